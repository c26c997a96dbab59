// SPDX-License-Identifier: Apache-2.0
// Asynchronous work of one session: a thread of its own (never one of libuv's), jobs begun and settled in
// the order they were added, several at once where they allow it, promises settled on the JavaScript thread.
//
// Lifetimes, the reason why this is not napi_async_work (which an ending environment waits for):
// - a hook on the environment's end stops the running job and joins the thread, so that a terminated
//   worker or process.exit() waits for one block of a network, not for the whole inference;
// - the event loop is kept alive while a promise is pending, and only then;
// - once the environment is ending no promise is touched: the jobs are dropped.
#pragma once

#include <node_api.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/status.h"
#include "node/runner.h"

namespace effnet::node {

// One piece of work. Created and destroyed on the JavaScript thread.
class job {
 public:
  virtual ~job() = default;
  // On the session's thread; must not touch JavaScript. Returns soon after `stop` becomes true.
  virtual status execute(const std::atomic<bool>& stop) = 0;
  // Jobs of one image may run side by side with others like them: on the threads of this runner, each at
  // a desk of its own. Null for all others.
  virtual std::shared_ptr<runner> side_by_side() const { return nullptr; }
  virtual status execute_at(runner::desk&, const std::atomic<bool>& stop) { return execute(stop); }
  // Whether another is about to be added, as while a list is being decoded.
  virtual bool more_to_come() const { return false; }
  // On the JavaScript thread, after execute succeeded: stores results and sets the promise's value.
  virtual status finish(napi_env env, napi_value* value) = 0;
};

// What a promise is rejected with: an Error with `code`.
struct failure {
  const char* code;
  std::string message;
};
failure to_failure(const status& s);
// The Error object, or null when the environment no longer makes objects.
napi_value to_error(napi_env env, const failure& f);

// All members are for the JavaScript thread.
class job_queue final : private runner::counter {
 public:
  // The queue tells its owner when it turns busy (a promise is pending) and idle again, so that the
  // owner can keep itself alive in between.
  class owner {
   public:
    virtual void queue_busy(bool busy) = 0;

   protected:
    ~owner() = default;
  };

  static status create(napi_env env, owner* who, std::unique_ptr<job_queue>* out);
  ~job_queue();  // stops the running job, waits for the thread
  job_queue(const job_queue&) = delete;
  job_queue& operator=(const job_queue&) = delete;

  // Queues a job; `promise` settles when it has run. Ids belong to the caller; 0 is never cancelled.
  status add(uint32_t id, std::unique_ptr<job> work, napi_value* promise);
  // Rejects that job's promise now; the job is removed, or stops at its next block. Unknown ids (the
  // job has settled) are ignored.
  void cancel(uint32_t id);
  // Rejects every pending promise with ERR_CLOSED now. `promise` resolves once the thread has ended.
  // To be called once.
  status close(napi_value* promise);
  bool ended_with_environment() const { return torn_down_; }

 private:
  struct entry {
    uint32_t id = 0;
    std::unique_ptr<job> work;
    napi_deferred deferred = nullptr;  // null once settled; JavaScript thread only
    std::atomic<bool> stop{false};
    status outcome;
    bool done = false;  // guarded by the mutex
  };

  job_queue(napi_env env, owner* who) : env_(env), owner_(who) {}
  void run() noexcept;
  bool serve_one(runner::desk& at) noexcept override;
  std::shared_ptr<runner> worth_lanes() const;
  entry* begin_next();
  entry* take_leader();
  void end(entry* e, status outcome) noexcept;
  void stop_thread() noexcept;
  void drain() noexcept;
  void settle(entry* e, napi_value value, const failure* why) noexcept;
  void update_busy() noexcept;
  static void on_wake(napi_env env, napi_value callback, void* context, void* data) noexcept;
  static void on_environment_end(void* self) noexcept;

  napi_env env_;
  owner* owner_;
  napi_threadsafe_function wake_js_ = nullptr;
  std::thread thread_;
  bool torn_down_ = false;
  bool busy_ = false;
  napi_deferred closing_ = nullptr;
  size_t unsettled_ = 0;

  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_thread_;
  // A job travels waiting -> running -> finished by splicing, which cannot fail, and overtakes no other.
  // The session's threads only move entries; they are made and destroyed on the JavaScript thread.
  using entries = std::list<std::unique_ptr<entry>>;
  entries waiting_, running_, finished_;
  entry* leader_ = nullptr;  // running, but not yet executed: the first of those that run side by side
  bool more_to_come_ = false;  // as the job that was added last says
  bool stopping_ = false;
  bool ended_ = false;
};

}  // namespace effnet::node
