// SPDX-License-Identifier: Apache-2.0
// Calls that run images. Arguments are read before the session is looked at, since reading may run a
// getter, and memory is looked at last.
#include "node/image_jobs.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace effnet::node {

namespace {

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

// timings_object with plain Node-API, for use while the environment may be ending.
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

// What jobs of images share. Those of one image may run side by side.
class image_job : public job {
 public:
  image_job(std::shared_ptr<runner> r, size_t floats, Napi::Value output) : runner_(std::move(r)), out_(output, floats), floats_(floats) {}
  status finish(napi_env env, napi_value* value) override {
    *value = value_of(env);
    return out_.store(env, result_);
  }

 protected:
  virtual napi_value value_of(napi_env env) const = 0;
  float* result() {
    result_.resize(floats_);
    return result_.data();
  }
  const std::shared_ptr<runner> runner_;

 private:
  output_array out_;
  size_t floats_;
  std::vector<float> result_;
};

class tensor_job final : public image_job {
 public:
  tensor_job(std::shared_ptr<runner> r, const tensor_call& call, const tensor_batch& batch, Napi::Value output)
      : image_job(r, call.wanted_floats(batch, *r), output),
        input_(call.input.data, call.input.data + call.input.size),
        batch_(batch),
        what_(call.shape.what) {
    batch_.data = input_.data();
  }
  status execute(const std::atomic<bool>& stop) override { return runner_->run(batch_, what_, result(), runner::caller::job, &stop); }
  std::shared_ptr<runner> side_by_side() const override { return batch_.images == 1 ? runner_ : nullptr; }
  status execute_at(runner::desk& at, const std::atomic<bool>& stop) override { return at.run({tensor_image{batch_, 0}, what_, result()}, &stop); }

 private:
  napi_value value_of(napi_env env) const override {
    napi_value undefined = nullptr;
    napi_get_undefined(env, &undefined);
    return undefined;
  }

  const std::vector<float> input_;
  tensor_batch batch_;
  const wanted what_;
};

class pixels_job final : public image_job {
 public:
  pixels_job(std::shared_ptr<runner> r, const pixel_call& call, Napi::Value output, bool more)
      : image_job(r, call.wanted_floats(*r), output),
        bytes_(call.bytes.data, call.bytes.data + bytes_needed(call.from.image)),
        from_(call.from),
        what_(call.what),
        more_(more) {
    from_.image.data = bytes_.data();
  }
  status execute(const std::atomic<bool>& stop) override { return runner_->run(task(), runner::caller::job, &stop); }
  std::shared_ptr<runner> side_by_side() const override { return runner_; }
  status execute_at(runner::desk& at, const std::atomic<bool>& stop) override { return at.run(task(), &stop); }
  bool more_to_come() const override { return more_; }

 private:
  image_task task() { return {from_, what_, result(), &times_}; }
  napi_value value_of(napi_env env) const override { return timings_value(env, times_); }

  const std::vector<uint8_t> bytes_;
  photo from_;
  const wanted what_;
  const bool more_;
  timings times_;
};

void check_output(Napi::Env env, const float_view& output, size_t needed) {
  if (output.size >= needed) return;
  throw_invalid(env, "Expected output to have room for " + std::to_string(needed) + " numbers, found " + std::to_string(output.size));
}

}  // namespace

tensor_call::tensor_call(const Napi::CallbackInfo& info)
    : shape(shape_of(object_of(info[2], "shape"))), input(floats_of(info[0], "input")), output(floats_of(info[1], "output")) {}

size_t tensor_call::wanted_floats(const tensor_batch& batch, const runner& r) const {
  return static_cast<size_t>(batch.images) * r.size_of(shape.what, shape.height, shape.width);
}

tensor_batch tensor_call::batch(Napi::Env env, const runner& r) const {
  const size_t one = static_cast<size_t>(shape.height) * static_cast<size_t>(shape.width) * 3;
  const size_t images = input.size / one;
  if (images == 0 || images * one != input.size || images > (size_t{1} << 24)) {
    throw_invalid(env, "Expected input to hold a multiple of " + std::to_string(one) + " numbers (" +
                           std::to_string(shape.height) + " x " + std::to_string(shape.width) + " x 3), found " +
                           std::to_string(input.size));
  }
  const tensor_batch found{input.data, static_cast<int>(images), shape.height, shape.width, shape.order};
  check_output(env, output, wanted_floats(found, r));
  return found;
}

pixel_call::pixel_call(const Napi::CallbackInfo& info)
    : from{pixels_of(object_of(info[2], "image"), {}), recipe_of(object_of(info[3], "recipe"))},
      what(wanted_of(info[4].ToString().Utf8Value(), info.Env())),
      bytes(bytes_of(info[0], "data")),
      output(floats_of(info[1], "output")) {
  from.image.data = bytes.data;
}

void pixel_call::check(Napi::Env env, const runner& r) const {
  const size_t needed = bytes_needed(from.image);
  if (bytes.size < needed) {
    throw_invalid(env, "Expected data to hold " + std::to_string(needed) + " bytes for " + std::to_string(from.image.width) +
                           " x " + std::to_string(from.image.height) + " pixels, found " + std::to_string(bytes.size));
  }
  check_output(env, output, wanted_floats(r));
}

std::unique_ptr<job> make_job(std::shared_ptr<runner> r, const tensor_call& call, const tensor_batch& batch, Napi::Value output) {
  return std::make_unique<tensor_job>(std::move(r), call, batch, output);
}

std::unique_ptr<job> make_job(std::shared_ptr<runner> r, const pixel_call& call, Napi::Value output, bool more) {
  return std::make_unique<pixels_job>(std::move(r), call, output, more);
}

Napi::Value timings_object(Napi::Env env, const timings& times) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("prepare", times.prepare_ms);
  object.Set("infer", times.infer_ms);
  return object;
}

}  // namespace effnet::node
