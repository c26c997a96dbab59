// SPDX-License-Identifier: Apache-2.0
// The session's thread and the settling of its promises. Plain Node-API without the C++ wrapper's
// exceptions: everything here may run while the environment is ending, when every call may fail and
// a failure must simply be passed over.
#include "node/job.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <system_error>
#include <utility>

namespace effnet::node {

failure to_failure(const status& s) {
  switch (s.code) {
    case status_code::invalid_argument: return {"ERR_INVALID_ARGUMENT", s.message};
    case status_code::out_of_memory:
      return {"ERR_OUT_OF_MEMORY", s.message.empty() ? "Memory ran out: use a smaller network or input, or close other models" : s.message};
    case status_code::unsupported: return {"ERR_UNSUPPORTED", s.message};
    case status_code::cancelled: return {"ERR_CANCELLED", "The call was stopped before it finished"};
    case status_code::ok: break;
  }
  return {"ERR_NATIVE", s.message};
}

napi_value to_error(napi_env env, const failure& f) {
  napi_value code = nullptr, message = nullptr, error = nullptr;
  if (napi_create_string_utf8(env, f.code, NAPI_AUTO_LENGTH, &code) != napi_ok) return nullptr;
  if (napi_create_string_utf8(env, f.message.data(), f.message.size(), &message) != napi_ok) return nullptr;
  if (napi_create_error(env, code, message, &error) != napi_ok) return nullptr;
  return error;
}

status job_queue::create(napi_env env, owner* who, std::unique_ptr<job_queue>* out) {
  std::unique_ptr<job_queue> queue(new job_queue(env, who));
  napi_value name = nullptr;
  if (napi_create_string_utf8(env, "efficientnet-simd", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, queue.get(), on_wake,
                                      &queue->wake_js_) != napi_ok) {
    return status::error(status_code::unsupported, "Node could not create the session's completion callback");
  }
  napi_unref_threadsafe_function(env, queue->wake_js_);
  // Hooks run last first: this one, added after the callback's own, runs while the callback lives.
  if (napi_add_env_cleanup_hook(env, on_environment_end, queue.get()) != napi_ok) {
    return status::error(status_code::unsupported, "Node could not register the session's cleanup hook");
  }
  try {
    queue->thread_ = std::thread([self = queue.get()] { self->run(); });
  } catch (const std::system_error& e) {
    return status::error(status_code::out_of_memory,
                         std::string("The system gave no thread for the session (") + e.what() +
                             "): close other models, or raise the limit on threads");
  }
  *out = std::move(queue);
  return status::success();
}

job_queue::~job_queue() {
  stop_thread();
  if (torn_down_) return;
  napi_remove_env_cleanup_hook(env_, on_environment_end, this);
  if (wake_js_ != nullptr) napi_release_threadsafe_function(wake_js_, napi_tsfn_abort);
}

// ---- the session's thread ---------------------------------------------------------------------------

namespace {

template <class Work>
status guarded(Work work) noexcept {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return {status_code::out_of_memory, {}};
  } catch (...) {
    return {status_code::unsupported, "Internal error"};
  }
}

}  // namespace

namespace {

// For how long a thread that has run one image of a list waits for the next to be decoded. A photo of 640x480
// takes 5 ms; on all threads in place of one, an image waits for the decoder's threads at every layer.
constexpr auto kNextOfList = std::chrono::milliseconds(10);

}  // namespace

void job_queue::run() noexcept {
  for (;;) {
    entry* e = nullptr;
    std::shared_ptr<runner> lanes;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_thread_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) {
        ended_ = true;
        break;
      }
      lanes = worth_lanes();
      e = begin_next();
      if (lanes) leader_ = e;
    }
    if (lanes) {
      lanes->serve(*this);
      e = take_leader();  // still there where a synchronous call came before it
    }
    if (e != nullptr) end(e, guarded([e] { return e->work->execute(e->stop); }));
  }
  napi_call_threadsafe_function(wake_js_, nullptr, napi_tsfn_nonblocking);
}

bool job_queue::serve_one(runner::desk& at) noexcept {
  entry* e = take_leader();
  if (e == nullptr) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (more_to_come_) wake_thread_.wait_for(lock, kNextOfList, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_ || waiting_.empty() || !waiting_.front()->work->side_by_side()) return false;
    e = begin_next();
  }
  end(e, guarded([&] { return e->work->execute_at(at, e->stop); }));
  return true;
}

// The runner of the jobs that wait first, where those that may run side by side are enough to do so, or
// will be.
std::shared_ptr<runner> job_queue::worth_lanes() const {
  const std::shared_ptr<runner> on = waiting_.front()->work->side_by_side();
  if (on && more_to_come_ && on->info().threads > 1) return on;
  int count = 0;
  for (auto at = waiting_.begin(); on && at != waiting_.end() && (*at)->work->side_by_side() == on; ++at)
    if (on->worth_lanes(++count)) return on;
  return nullptr;
}

job_queue::entry* job_queue::begin_next() {
  running_.splice(running_.end(), waiting_, waiting_.begin());
  return running_.back().get();
}

job_queue::entry* job_queue::take_leader() {
  std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(leader_, nullptr);
}

// What has been executed is finished once all that was added before it is.
void job_queue::end(entry* e, status outcome) noexcept {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    e->outcome = std::move(outcome);
    e->done = true;
    while (!running_.empty() && running_.front()->done) finished_.splice(finished_.end(), running_, running_.begin());
  }
  napi_call_threadsafe_function(wake_js_, nullptr, napi_tsfn_nonblocking);
}

// ---- the JavaScript thread --------------------------------------------------------------------------

void job_queue::stop_thread() noexcept {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    for (auto& e : running_) e->stop.store(true, std::memory_order_relaxed);
  }
  wake_thread_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void job_queue::on_environment_end(void* self) noexcept {
  auto* queue = static_cast<job_queue*>(self);
  queue->stop_thread();
  queue->torn_down_ = true;
  // The jobs own references into the environment, so they go while it still exists. Their promises
  // stay pending for ever; Node offers no way to drop one, which loses eight bytes each.
  queue->waiting_.clear();
  queue->finished_.clear();
}

status job_queue::add(uint32_t id, std::unique_ptr<job> work, napi_value* promise) {
  entries one;
  one.push_back(std::make_unique<entry>());
  one.front()->id = id;
  one.front()->work = std::move(work);
  if (napi_create_promise(env_, &one.front()->deferred, promise) != napi_ok) {
    return status::error(status_code::unsupported, "Node could not create a promise");
  }
  ++unsettled_;
  update_busy();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    more_to_come_ = one.front()->work->more_to_come();
    waiting_.splice(waiting_.end(), one);
  }
  wake_thread_.notify_one();
  return status::success();
}

void job_queue::settle(entry* e, napi_value value, const failure* why) noexcept {
  if (e->deferred == nullptr) return;
  napi_deferred deferred = e->deferred;
  e->deferred = nullptr;
  --unsettled_;
  if (why != nullptr) value = to_error(env_, *why);
  if (value == nullptr) return;
  if (why != nullptr) {
    napi_reject_deferred(env_, deferred, value);
  } else {
    napi_resolve_deferred(env_, deferred, value);
  }
}

void job_queue::cancel(uint32_t id) {
  if (id == 0) return;
  entry* found = nullptr;
  entries removed;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (entries* list : {&waiting_, &running_, &finished_}) {
      auto at = std::find_if(list->begin(), list->end(), [id](const auto& e) { return e->id == id; });
      if (at == list->end()) continue;
      found = at->get();
      found->stop.store(true, std::memory_order_relaxed);
      if (list == &waiting_) removed.splice(removed.end(), waiting_, at);
      break;
    }
  }
  // A running entry stays alive here: only drain(), on this thread, destroys it.
  if (found == nullptr) return;
  const failure why{"ERR_CANCELLED", "The call was stopped before it finished"};
  settle(found, nullptr, &why);
  update_busy();
}

status job_queue::close(napi_value* promise) {
  if (napi_create_promise(env_, &closing_, promise) != napi_ok) {
    closing_ = nullptr;
    return status::error(status_code::unsupported, "Node could not create a promise");
  }
  const failure why{"ERR_CLOSED", "The model was closed before this call finished"};
  entries all;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    all.splice(all.end(), finished_);
    all.splice(all.end(), waiting_);
    for (const auto& e : running_) {
      e->stop.store(true, std::memory_order_relaxed);
      settle(e.get(), nullptr, &why);  // here, since the session's threads may finish it at any time
    }
  }
  wake_thread_.notify_all();
  for (const auto& e : all) settle(e.get(), nullptr, &why);
  update_busy();
  return status::success();
}

void job_queue::update_busy() noexcept {
  const bool busy = unsettled_ > 0 || closing_ != nullptr;
  if (busy == busy_) return;
  busy_ = busy;
  if (busy) {
    napi_ref_threadsafe_function(env_, wake_js_);
  } else {
    napi_unref_threadsafe_function(env_, wake_js_);
  }
  owner_->queue_busy(busy);
}

void job_queue::on_wake(napi_env env, napi_value, void* context, void*) noexcept {
  // Without an environment the callback is being emptied, and the queue may be gone.
  if (env != nullptr) static_cast<job_queue*>(context)->drain();
}

void job_queue::drain() noexcept {
  entries finished;
  bool ended = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    finished.splice(finished.end(), finished_);
    ended = ended_;
  }
  for (const auto& e : finished) {
    if (e->deferred == nullptr) continue;
    try {
      napi_value value = nullptr;
      if (e->outcome.ok()) e->outcome = e->work->finish(env_, &value);
      if (e->outcome.ok()) {
        settle(e.get(), value, nullptr);
      } else {
        const failure why = to_failure(e->outcome);
        settle(e.get(), nullptr, &why);
      }
    } catch (...) {
      const failure why{"ERR_OUT_OF_MEMORY", "Out of memory"};  // short enough to need none itself
      settle(e.get(), nullptr, &why);
    }
  }
  if (ended && closing_ != nullptr) {
    if (thread_.joinable()) thread_.join();
    finished.clear();  // the last jobs may hold the session's memory, which "closed" promises freed
    napi_deferred closing = closing_;
    closing_ = nullptr;
    napi_value undefined = nullptr;
    if (napi_get_undefined(env_, &undefined) == napi_ok) napi_resolve_deferred(env_, closing, undefined);
  }
  update_busy();
}

}  // namespace effnet::node
