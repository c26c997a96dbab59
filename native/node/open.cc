// SPDX-License-Identifier: Apache-2.0
// Creating a session: weights are packed, the input size planned for and threads started.
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "kernels/dispatch.h"
#include "node/network_values.h"
#include "node/session.h"
#include "node/values.h"

namespace effnet::node {

namespace {

constexpr int kMaxThreads = 1024;

struct session_options {
  int threads, height, width;
  bool owned;
  const kernel_table* table = nullptr;
};

session_options options_of(const Napi::Object& object) {
  session_options o;
  o.threads = int_in(object, "threads", 1, kMaxThreads);
  o.height = int_in(object, "height", 1, input_image::kMaxSide);
  o.width = int_in(object, "width", 1, input_image::kMaxSide);
  const Napi::Value owned = object.Get("owned");
  o.owned = !owned.IsUndefined() && bool_of(owned, "owned");
  const status picked = pick_kernel_table(string_in(object, "isa"), &o.table);
  if (!picked.ok()) throw_failure(object.Env(), picked);
  return o;
}

}  // namespace

// Packs what nobody else holds, plans and starts threads on the session's thread; resolves to the session.
class open_job final : public job {
 public:
  open_job(session* owner, network_input input, const session_options& o)
      : session_(owner), runner_(owner->runner_), options_(o), input_(std::move(input)) {}

  // On the JavaScript thread, before the job is queued: afterwards the weights' memory is not looked at.
  void pack_now() {
    pack(nullptr);
    input_.reset();
  }
  // Keeps the memory until the job has ended.
  void keep() { arrays_ = Napi::Persistent(input_->arrays.As<Napi::Object>()); }

  status execute(const std::atomic<bool>& stop) override {
    if (input_) pack(&stop);
    if (!packed_.ok()) return packed_;
    if (stop.load(std::memory_order_relaxed)) return {status_code::cancelled, {}};
    return runner_->open(std::move(model_), options_.threads, options_.height, options_.width);
  }
  status finish(napi_env env, napi_value* value) override {
    session_->account(static_cast<int64_t>(runner_->info().weight_bytes + runner_->activation_bytes()));
    if (napi_get_reference_value(env, *session_, value) != napi_ok) *value = nullptr;
    return status::success();
  }

 private:
  void pack(const std::atomic<bool>* stop) {
    packed_ = model::create(input_->net, *options_.table, &model_, stop);
  }

  session* session_;  // outlives its queue's jobs
  std::shared_ptr<runner> runner_;
  session_options options_;
  std::optional<network_input> input_;
  Napi::ObjectReference arrays_;
  status packed_;
  std::shared_ptr<const model> model_;
};

Napi::Value session::create(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const session_options options = options_of(object_of(info[2], "options"));
    const Napi::Object object = env.GetInstanceData<addon_data>()->session_class.New({});
    session* self = Unwrap(object);
    auto work = std::make_unique<open_job>(
        self, network_of(object_of(info[0], "network"), object_of(info[1], "weights"), options.owned), options);
    // While another thread packed what a caller can reach, its buffers could be transferred or resized; a
    // copy first takes longer on this thread than packing does, and as much memory again.
    if (options.owned) {
      work->keep();
    } else {
      work->pack_now();
    }
    return self->enqueue(env, 0, std::move(work));
  });
}

}  // namespace effnet::node
