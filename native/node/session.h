// SPDX-License-Identifier: Apache-2.0
// The addon's only class: a network packed for this processor, its thread and its queue. Reads
// arguments, copies what outlives the call, and leaves the work to runner and job_queue.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "node/job.h"
#include "node/runner.h"

namespace effnet::node {

// What one environment (the main thread, or a worker) keeps of the addon.
struct addon_data {
  Napi::FunctionReference session_class;
};

class session final : public Napi::ObjectWrap<session>, private job_queue::owner {
 public:
  static void define(Napi::Env env, addon_data* data);
  // createSession(network, weights, { threads, isa, height, width, owned }): promise of a session. `owned`
  // weights lie in buffers that nobody else holds: they are packed on the session's thread, and their pages
  // given back on the way. Others are packed before the call returns.
  static Napi::Value create(const Napi::CallbackInfo& info);

  explicit session(const Napi::CallbackInfo& info);
  ~session() override;

 private:
  friend class open_job;

  // run(input, output, shape, id): promise of undefined; runSync(input, output, shape).
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value run_sync(const Napi::CallbackInfo& info);
  // profile(input, output, shape): runSync, and how long each step of the last image took, in order, as
  // [{ name, milliseconds }]. The first step begins when the input is in place.
  Napi::Value profile(const Napi::CallbackInfo& info);
  // runPixels(data, output, image, recipe, wanted, id, more): promise of { prepare, infer } in milliseconds;
  // `more` says that another image follows soon. runPixelsSync(data, output, image, recipe, wanted): the same at once.
  Napi::Value run_pixels(const Napi::CallbackInfo& info);
  Napi::Value run_pixels_sync(const Napi::CallbackInfo& info);
  // featureMaps(height, width): [{ stride, channels, height, width }], what output "features" holds of an
  // image of that size, one [height][width][channels] after the other.
  Napi::Value feature_maps(const Napi::CallbackInfo& info);
  Napi::Value info(const Napi::CallbackInfo& info);
  void cancel(const Napi::CallbackInfo& info);
  // Promise that settles when the thread has ended and the memory is free.
  Napi::Value close(const Napi::CallbackInfo& info);

  void queue_busy(bool busy) override;
  std::shared_ptr<runner> opened(Napi::Env env) const;  // throws ERR_CLOSED
  void run_now(const Napi::CallbackInfo& info, std::vector<step_time>* steps);
  Napi::Value enqueue(Napi::Env env, uint32_t id, std::unique_ptr<job> work);
  void account(int64_t bytes);

  std::shared_ptr<runner> runner_;
  int64_t accounted_ = 0;  // bytes that the garbage collector was told of
  std::unique_ptr<job_queue> queue_;
};

}  // namespace effnet::node
