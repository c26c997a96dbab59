// SPDX-License-Identifier: Apache-2.0
// Sessions: arguments in, jobs out. Every entry point reads all its arguments before it looks at the
// session, since reading may run a getter, and looks at memory last.
#include "node/session.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "node/image_jobs.h"
#include "node/values.h"

namespace effnet::node {

namespace {

Napi::Value steps_array(Napi::Env env, const std::vector<step_time>& steps) {
  Napi::Array list = Napi::Array::New(env, steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", step_name(steps[i]));
    object.Set("milliseconds", steps[i].seconds * 1e3);
    list.Set(static_cast<uint32_t>(i), object);
  }
  return list;
}

uint32_t id_of(Napi::Value value) { return static_cast<uint32_t>(int_of(value, "id", 0, 0x7fffffff)); }

}  // namespace

// ---- creation; session::create is in open.cc ----------------------------------------------------------

void session::define(Napi::Env env, addon_data* data) {
  data->session_class = Napi::Persistent(DefineClass(env, "Session",
                                                     {
                                                         InstanceMethod<&session::run>("run"),
                                                         InstanceMethod<&session::run_sync>("runSync"),
                                                         InstanceMethod<&session::profile>("profile"),
                                                         InstanceMethod<&session::run_pixels>("runPixels"),
                                                         InstanceMethod<&session::run_pixels_sync>("runPixelsSync"),
                                                         InstanceMethod<&session::feature_maps>("featureMaps"),
                                                         InstanceMethod<&session::info>("info"),
                                                         InstanceMethod<&session::cancel>("cancel"),
                                                         InstanceMethod<&session::close>("close"),
                                                     }));
}

session::session(const Napi::CallbackInfo& info) : Napi::ObjectWrap<session>(info) {
  const Napi::Env env = info.Env();
  guarded(env, [&]() -> Napi::Value {
    runner_ = std::make_shared<runner>();
    const status s = job_queue::create(env, this, &queue_);
    if (!s.ok()) throw_failure(env, s);
    return {};
  });
}

session::~session() {
  const bool alive = queue_ != nullptr && !queue_->ended_with_environment();
  queue_.reset();
  if (alive) account(0);
}

// ---- work ---------------------------------------------------------------------------------------------

std::shared_ptr<runner> session::opened(Napi::Env env) const {
  if (runner_) return runner_;
  napi_value error = to_error(env, {"ERR_CLOSED", "The model is closed: load it again to use it"});
  if (error == nullptr) throw Napi::Error::New(env);
  throw Napi::Error(env, error);
}

Napi::Value session::enqueue(Napi::Env env, uint32_t id, std::unique_ptr<job> work) {
  napi_value promise = nullptr;
  const status s = queue_->add(id, std::move(work), &promise);
  if (!s.ok()) throw_failure(env, s);
  return Napi::Value(env, promise);
}

Napi::Value session::run(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const uint32_t id = id_of(info[3]);
    const tensor_call call(info);
    const auto r = opened(env);
    return enqueue(env, id, make_job(r, call, call.batch(env, *r), info[1]));
  });
}

void session::run_now(const Napi::CallbackInfo& info, std::vector<step_time>* steps) {
  const tensor_call call(info);
  const auto r = opened(info.Env());
  const tensor_batch batch = call.batch(info.Env(), *r);
  // Into memory of our own first: output stays as it was when the run fails.
  std::vector<float> result(call.wanted_floats(batch, *r));
  const status s = r->run(batch, call.shape.what, result.data(), runner::caller::sync, nullptr, steps);
  if (!s.ok()) throw_failure(info.Env(), s);
  std::copy(result.begin(), result.end(), call.output.data);
}

Napi::Value session::run_sync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    run_now(info, nullptr);
    return info.Env().Undefined();
  });
}

Napi::Value session::profile(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    std::vector<step_time> steps;
    run_now(info, &steps);
    return steps_array(info.Env(), steps);
  });
}

Napi::Value session::run_pixels(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const uint32_t id = id_of(info[5]);
    const bool more = info[6].ToBoolean();
    const pixel_call call(info);
    const auto r = opened(env);
    call.check(env, *r);
    return enqueue(env, id, make_job(r, call, info[1], more));
  });
}

Napi::Value session::run_pixels_sync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const pixel_call call(info);
    const auto r = opened(env);
    call.check(env, *r);
    std::vector<float> result(call.wanted_floats(*r));
    timings times;
    const status s = r->run({call.from, call.what, result.data(), &times}, runner::caller::sync, nullptr);
    if (!s.ok()) throw_failure(env, s);
    std::copy(result.begin(), result.end(), call.output.data);
    return timings_object(env, times);
  });
}

Napi::Value session::feature_maps(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const int height = int_of(info[0], "height", 1, input_image::kMaxSide);
    const int width = int_of(info[1], "width", 1, input_image::kMaxSide);
    const auto maps = opened(env)->feature_maps(height, width);
    Napi::Array list = Napi::Array::New(env, maps.size());
    for (size_t i = 0; i < maps.size(); ++i) {
      Napi::Object object = Napi::Object::New(env);
      object.Set("stride", maps[i].stride);
      object.Set("channels", maps[i].channels);
      object.Set("height", maps[i].height);
      object.Set("width", maps[i].width);
      list.Set(static_cast<uint32_t>(i), object);
    }
    return list;
  });
}

Napi::Value session::info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto r = opened(env);
    const runner_info& facts = r->info();
    Napi::Array kernels = Napi::Array::New(env, facts.kernels.size());
    for (size_t i = 0; i < facts.kernels.size(); ++i) kernels.Set(static_cast<uint32_t>(i), facts.kernels[i]);
    Napi::Object object = Napi::Object::New(env);
    object.Set("isa", facts.isa);
    object.Set("kernels", kernels);
    object.Set("threads", facts.threads);
    object.Set("classes", facts.classes);
    object.Set("features", facts.features);
    object.Set("weightBytes", static_cast<double>(facts.weight_bytes));
    object.Set("activationBytes", static_cast<double>(r->activation_bytes()));
    return object;
  });
}

// ---- lifetime -----------------------------------------------------------------------------------------

void session::cancel(const Napi::CallbackInfo& info) {
  const uint32_t id = id_of(info[0]);
  if (runner_) queue_->cancel(id);
}

Napi::Value session::close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    opened(env);
    napi_value promise = nullptr;
    const status s = queue_->close(&promise);
    if (!s.ok()) throw_failure(env, s);
    runner_.reset();  // a job that still runs holds it until its block ends
    account(0);
    return Napi::Value(env, promise);
  });
}

void session::queue_busy(bool busy) {
  uint32_t count = 0;
  if (busy) {
    napi_reference_ref(Env(), *this, &count);
  } else {
    napi_reference_unref(Env(), *this, &count);
  }
}

void session::account(int64_t bytes) {
  int64_t total = 0;
  if (bytes != accounted_) napi_adjust_external_memory(Env(), bytes - accounted_, &total);
  accounted_ = bytes;
}

}  // namespace effnet::node
