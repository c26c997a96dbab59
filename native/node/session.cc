// SPDX-License-Identifier: Apache-2.0
// Sessions: arguments in, jobs out. Every entry point reads all its arguments before it looks at the
// session, since reading may run a getter, and looks at memory last.
#include "node/session.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "kernels/dispatch.h"
#include "node/values.h"

namespace effnet::node {

namespace {

constexpr int kMaxThreads = 1024;

// Runs an entry point's body; C++ exceptions other than Napi's become JavaScript errors here.
template <class Body>
Napi::Value guarded(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    throw_failure(env, {status_code::out_of_memory, {}});
  }
}

// A Float32Array that a job writes when it is done, and not before: it may be detached or shrunk in
// the meantime, so it is looked at again at that moment.
class output_array {
 public:
  output_array(Napi::Value value, size_t size) : reference_(Napi::Persistent(value.As<Napi::Object>())), size_(size) {}
  status store(napi_env env, const std::vector<float>& from) const {
    napi_value value = nullptr;
    float_view view;
    if (napi_get_reference_value(env, reference_, &value) != napi_ok || value == nullptr ||
        !view_floats(env, value, &view) || view.size < size_) {
      return status::error(status_code::invalid_argument,
                           "Expected output to keep its " + std::to_string(size_) +
                               " numbers until the call has finished, but its buffer was transferred or resized");
    }
    std::copy(from.begin(), from.end(), view.data);
    return status::success();
  }

 private:
  Napi::ObjectReference reference_;
  size_t size_;
};

class tensor_job final : public job {
 public:
  tensor_job(std::shared_ptr<runner> r, std::vector<float> input, tensor_batch batch, wanted what, output_array out)
      : runner_(std::move(r)), input_(std::move(input)), batch_(batch), what_(what), out_(std::move(out)) {
    batch_.data = input_.data();
  }
  status execute(const std::atomic<bool>& stop) override {
    result_.resize(runner_->width_of(what_) * static_cast<size_t>(batch_.images));
    return runner_->run(batch_, what_, result_.data(), runner::caller::job, &stop);
  }
  status finish(napi_env env, napi_value* value) override {
    napi_get_undefined(env, value);
    return out_.store(env, result_);
  }

 private:
  std::shared_ptr<runner> runner_;
  std::vector<float> input_, result_;
  tensor_batch batch_;
  wanted what_;
  output_array out_;
};

Napi::Value timings_object(napi_env env, const timings& times) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("prepare", times.prepare_ms);
  object.Set("infer", times.infer_ms);
  return object;
}

// The same with plain Node-API, for use while the environment may be ending.
napi_value timings_value(napi_env env, const timings& times) noexcept {
  napi_value object = nullptr, prepare = nullptr, infer = nullptr;
  if (napi_create_object(env, &object) != napi_ok || napi_create_double(env, times.prepare_ms, &prepare) != napi_ok ||
      napi_create_double(env, times.infer_ms, &infer) != napi_ok ||
      napi_set_named_property(env, object, "prepare", prepare) != napi_ok ||
      napi_set_named_property(env, object, "infer", infer) != napi_ok) {
    return nullptr;
  }
  return object;
}

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

class pixels_job final : public job {
 public:
  pixels_job(std::shared_ptr<runner> r, std::vector<uint8_t> bytes, const pixels& image, const recipe& how, wanted what,
             output_array out)
      : runner_(std::move(r)), bytes_(std::move(bytes)), image_(image), how_(how), what_(what), out_(std::move(out)) {
    image_.data = bytes_.data();
  }
  status execute(const std::atomic<bool>& stop) override {
    result_.resize(runner_->width_of(what_));
    return runner_->run(image_, how_, what_, result_.data(), &times_, runner::caller::job, &stop);
  }
  status finish(napi_env env, napi_value* value) override {
    *value = timings_value(env, times_);
    return out_.store(env, result_);
  }

 private:
  std::shared_ptr<runner> runner_;
  std::vector<uint8_t> bytes_;
  std::vector<float> result_;
  pixels image_;
  recipe how_;
  wanted what_;
  timings times_;
  output_array out_;
};

// A tensor call's arguments: input, output, shape.
struct tensor_call {
  tensor_shape shape;
  float_view input, output;

  tensor_call(const Napi::CallbackInfo& info)
      : shape(shape_of(object_of(info[2], "shape"))), input(floats_of(info[0], "input")), output(floats_of(info[1], "output")) {}

  // The batch, checked against the memory that is really there.
  tensor_batch batch(Napi::Env env, const runner& r) const {
    const size_t one = static_cast<size_t>(shape.height) * static_cast<size_t>(shape.width) * 3;
    const size_t images = input.size / one;
    if (images == 0 || images * one != input.size || images > (size_t{1} << 24)) {
      throw_invalid(env, "Expected input to hold a multiple of " + std::to_string(one) + " numbers (" +
                             std::to_string(shape.height) + " x " + std::to_string(shape.width) +
                             " x 3), found " + std::to_string(input.size));
    }
    const size_t needed = images * r.width_of(shape.what);
    if (output.size < needed) {
      throw_invalid(env, "Expected output to have room for " + std::to_string(needed) + " numbers, found " +
                             std::to_string(output.size));
    }
    return {input.data, static_cast<int>(images), shape.height, shape.width, shape.order};
  }
};

// A pixel call's arguments: data, output, image, recipe, wanted.
struct pixel_call {
  pixels image;
  recipe how;
  wanted what;
  byte_view bytes;
  float_view output;

  pixel_call(const Napi::CallbackInfo& info)
      : image(pixels_of(object_of(info[2], "image"), {})),
        how(recipe_of(object_of(info[3], "recipe"))),
        what(wanted_of(info[4].ToString().Utf8Value(), info.Env())),
        bytes(bytes_of(info[0], "data")),
        output(floats_of(info[1], "output")) {
    image.data = bytes.data;
  }

  void check(Napi::Env env, const runner& r) const {
    const size_t needed = bytes_needed(image);
    if (bytes.size < needed) {
      throw_invalid(env, "Expected data to hold " + std::to_string(needed) + " bytes for " + std::to_string(image.width) +
                             " x " + std::to_string(image.height) + " pixels, found " + std::to_string(bytes.size));
    }
    if (output.size < r.width_of(what)) {
      throw_invalid(env, "Expected output to have room for " + std::to_string(r.width_of(what)) + " numbers, found " +
                             std::to_string(output.size));
    }
  }
};

uint32_t id_of(Napi::Value value) { return static_cast<uint32_t>(int_of(value, "id", 0, 0x7fffffff)); }

}  // namespace

// ---- creation -----------------------------------------------------------------------------------------

// Plans and starts threads on the session's thread; resolves to the session. `packed` is how packing went.
class open_job final : public job {
 public:
  open_job(session* owner, status packed, std::shared_ptr<const model> m, int threads, int height, int width)
      : session_(owner),
        runner_(owner->runner_),
        packed_(std::move(packed)),
        model_(std::move(m)),
        threads_(threads),
        height_(height),
        width_(width) {}
  status execute(const std::atomic<bool>& stop) override {
    if (!packed_.ok()) return packed_;
    if (stop.load(std::memory_order_relaxed)) return {status_code::cancelled, {}};
    return runner_->open(std::move(model_), threads_, height_, width_);
  }
  status finish(napi_env env, napi_value* value) override {
    session_->account(static_cast<int64_t>(runner_->info().weight_bytes + runner_->activation_bytes()));
    if (napi_get_reference_value(env, *session_, value) != napi_ok) *value = nullptr;
    return status::success();
  }

 private:
  session* session_;  // outlives its queue's jobs
  std::shared_ptr<runner> runner_;
  status packed_;
  std::shared_ptr<const model> model_;
  int threads_, height_, width_;
};

void session::define(Napi::Env env, addon_data* data) {
  data->session_class = Napi::Persistent(DefineClass(env, "Session",
                                                     {
                                                         InstanceMethod<&session::run>("run"),
                                                         InstanceMethod<&session::run_sync>("runSync"),
                                                         InstanceMethod<&session::profile>("profile"),
                                                         InstanceMethod<&session::run_pixels>("runPixels"),
                                                         InstanceMethod<&session::run_pixels_sync>("runPixelsSync"),
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

Napi::Value session::create(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Napi::Object options = object_of(info[2], "options");
    const int threads = int_in(options, "threads", 1, kMaxThreads);
    const int height = int_in(options, "height", 1, input_image::kMaxSide);
    const int width = int_in(options, "width", 1, input_image::kMaxSide);
    const kernel_table* table = nullptr;
    const status picked = pick_kernel_table(string_in(options, "isa"), &table);
    if (!picked.ok()) throw_failure(env, picked);
    // Packed at once, from where the weights lie: while another thread did it their buffers could be
    // transferred or resized, and a copy first took longer on this thread than packing does (14 against 7
    // ms for B0), and needed as much memory again.
    const network net = network_of(object_of(info[0], "network"), object_of(info[1], "weights"));
    std::shared_ptr<const model> packed;
    status s = model::create(net, *table, &packed);
    const Napi::Object object = env.GetInstanceData<addon_data>()->session_class.New({});
    session* self = Unwrap(object);
    return self->enqueue(env, 0, std::make_unique<open_job>(self, std::move(s), std::move(packed), threads, height, width));
  });
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
    const tensor_batch batch = call.batch(env, *r);
    std::vector<float> input(call.input.data, call.input.data + call.input.size);
    output_array output(info[1], static_cast<size_t>(batch.images) * r->width_of(call.shape.what));
    return enqueue(env, id, std::make_unique<tensor_job>(r, std::move(input), batch, call.shape.what, std::move(output)));
  });
}

void session::run_now(const Napi::CallbackInfo& info, std::vector<step_time>* steps) {
  const tensor_call call(info);
  const auto r = opened(info.Env());
  const tensor_batch batch = call.batch(info.Env(), *r);
  // Into memory of our own first: output stays as it was when the run fails.
  std::vector<float> result(static_cast<size_t>(batch.images) * r->width_of(call.shape.what));
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
    const pixel_call call(info);
    const auto r = opened(env);
    call.check(env, *r);
    std::vector<uint8_t> bytes(call.bytes.data, call.bytes.data + bytes_needed(call.image));
    output_array output(info[1], r->width_of(call.what));
    return enqueue(env, id,
                   std::make_unique<pixels_job>(r, std::move(bytes), call.image, call.how, call.what, std::move(output)));
  });
}

Napi::Value session::run_pixels_sync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const pixel_call call(info);
    const auto r = opened(env);
    call.check(env, *r);
    std::vector<float> result(r->width_of(call.what));
    timings times;
    const status s = r->run(call.image, call.how, call.what, result.data(), &times, runner::caller::sync, nullptr);
    if (!s.ok()) throw_failure(env, s);
    std::copy(result.begin(), result.end(), call.output.data);
    return timings_object(env, times);
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
