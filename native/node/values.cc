// SPDX-License-Identifier: Apache-2.0
// Reading JavaScript values: numbers and strings first, memory last, so that no getter can run
// between looking at a buffer and using it.
#include "node/values.h"

#include <cmath>
#include <limits>
#include <utility>

#include "node/job.h"

namespace effnet::node {

void throw_failure(Napi::Env env, const status& s) {
  napi_value error = to_error(env, to_failure(s));
  if (error == nullptr) throw Napi::Error::New(env);
  throw Napi::Error(env, error);
}

void throw_invalid(Napi::Env env, const std::string& message) {
  throw_failure(env, status::error(status_code::invalid_argument, message));
}

bool view_array(napi_env env, napi_value value, array_view* out) noexcept {
  bool is = false;
  if (napi_is_typedarray(env, value, &is) != napi_ok || !is) return false;
  if (napi_get_typedarray_info(env, value, &out->type, &out->length, &out->data, nullptr, nullptr) != napi_ok) {
    return false;
  }
  if (out->data == nullptr) out->length = 0;
  return true;
}

double number_of(Napi::Value value, const char* name) {
  double number = 0;
  if (napi_get_value_double(value.Env(), value, &number) != napi_ok) {
    throw_invalid(value.Env(), std::string("Expected a number for ") + name);
  }
  return number;
}

bool view_floats(napi_env env, napi_value value, float_view* out) noexcept {
  array_view array;
  if (!view_array(env, value, &array) || array.type != napi_float32_array) return false;
  *out = {static_cast<float*>(array.data), array.length};
  return true;
}

float_view floats_of(Napi::Value value, const char* name) {
  float_view view;
  if (!view_floats(value.Env(), value, &view)) {
    throw_invalid(value.Env(), std::string("Expected a Float32Array for ") + name);
  }
  return view;
}

byte_view bytes_of(Napi::Value value, const char* name) {
  array_view array;
  if (!view_array(value.Env(), value, &array) ||
      (array.type != napi_uint8_array && array.type != napi_uint8_clamped_array)) {
    throw_invalid(value.Env(), std::string("Expected a Uint8Array for ") + name);
  }
  return {static_cast<const uint8_t*>(array.data), array.length};
}

int int_of(Napi::Value value, const char* name, int minimum, int maximum) {
  const double number = number_of(value, name);
  if (!(number >= minimum && number <= maximum) || number != std::floor(number)) {
    throw_invalid(value.Env(), std::string("Expected an integer from ") + std::to_string(minimum) + " to " +
                                   std::to_string(maximum) + " for " + name + " but received " +
                                   std::to_string(number));
  }
  return static_cast<int>(number);
}

int int_in(const Napi::Object& object, const char* name, int minimum, int maximum) {
  return int_of(object.Get(name), name, minimum, maximum);
}

std::string string_in(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsString()) throw_invalid(object.Env(), std::string("Expected a string for ") + name);
  return value.As<Napi::String>().Utf8Value();
}

bool bool_of(Napi::Value value, const char* name) {
  if (!value.IsBoolean()) throw_invalid(value.Env(), std::string("Expected true or false for ") + name);
  return value.As<Napi::Boolean>().Value();
}

Napi::Object object_of(Napi::Value value, const char* name) {
  if (!value.IsObject()) throw_invalid(value.Env(), std::string("Expected an object for ") + name);
  return value.As<Napi::Object>();
}

activation activation_named(const std::string& name, Napi::Env env) {
  if (name == "none") return activation::none;
  if (name == "relu") return activation::relu;
  if (name == "relu6") return activation::relu6;
  if (name == "swish") return activation::swish;
  if (name == "sigmoid") return activation::sigmoid;
  if (name == "hard-swish") return activation::hard_swish;
  if (name == "hard-sigmoid") return activation::hard_sigmoid;
  throw_invalid(env, "Expected none, relu, relu6, swish, sigmoid, hard-swish or hard-sigmoid for activation but received " + name);
}

// ---- images and tensors -------------------------------------------------------------------------------

namespace {

void read_triple(const Napi::Object& object, const char* name, float* out) {
  const Napi::Object values = object_of(object.Get(name), name);
  int_in(values, "length", 3, 3);
  for (uint32_t i = 0; i < 3; ++i) {
    const double number = number_of(values.Get(i), name);
    if (!std::isfinite(static_cast<float>(number))) {
      throw_invalid(object.Env(), std::string("Expected three finite numbers for ") + name);
    }
    out[i] = static_cast<float>(number);
  }
}

interpolation filter_named(const std::string& name, Napi::Env env) {
  if (name == "bicubic") return interpolation::bicubic;
  if (name == "bilinear") return interpolation::bilinear;
  if (name == "bilinear-plain") return interpolation::bilinear_plain;
  if (name == "nearest") return interpolation::nearest;
  if (name == "lanczos") return interpolation::lanczos;
  if (name == "box") return interpolation::box;
  if (name == "hamming") return interpolation::hamming;
  throw_invalid(env, "Expected bicubic, bilinear, bilinear-plain, nearest, lanczos, box or hamming for filter but received " + name);
}

pixel_format format_named(const std::string& name, Napi::Env env) {
  if (name == "rgb") return pixel_format::rgb;
  if (name == "rgba") return pixel_format::rgba;
  if (name == "bgra") return pixel_format::bgra;
  if (name == "gray") return pixel_format::gray;
  throw_invalid(env, "Expected rgb, rgba, bgra or gray for channels but received " + name);
}

size_t bytes_per_pixel(pixel_format format) {
  if (format == pixel_format::gray) return 1;
  return format == pixel_format::rgb ? 3 : 4;
}

}  // namespace

recipe recipe_of(const Napi::Object& object) {
  const Napi::Env env = object.Env();
  recipe r;
  r.height = int_in(object, "height", 1, input_image::kMaxSide);
  r.width = int_in(object, "width", 1, input_image::kMaxSide);
  const std::string crop = string_in(object, "crop");
  if (crop != "center" && crop != "squash") throw_invalid(env, "Expected center or squash for crop but received " + crop);
  r.squash = crop == "squash";
  r.crop_fraction = number_of(object.Get("cropFraction"), "cropFraction");
  if (!(r.crop_fraction > 0 && r.crop_fraction <= 1)) {
    throw_invalid(env, "Expected a number above 0 and at most 1 for cropFraction");
  }
  r.filter = filter_named(string_in(object, "filter"), env);
  read_triple(object, "mean", r.mean);
  read_triple(object, "std", r.std);
  for (const float deviation : r.std) {
    if (deviation == 0.0f) throw_invalid(env, "Expected numbers other than 0 for std");
  }
  return r;
}

size_t bytes_needed(const pixels& image) {
  const size_t row = static_cast<size_t>(image.width) * bytes_per_pixel(image.format);
  return image.stride * (static_cast<size_t>(image.height) - 1) + row;
}

pixels pixels_of(const Napi::Object& object, byte_view data) {
  // Bounded so that stride * height stays far inside 64 bits.
  constexpr int kMaxSide = 1 << 20;
  pixels p;
  p.width = int_in(object, "width", 1, kMaxSide);
  p.height = int_in(object, "height", 1, kMaxSide);
  p.format = format_named(string_in(object, "channels"), object.Env());
  p.stride = static_cast<size_t>(int_in(object, "stride", 1, std::numeric_limits<int>::max()));
  if (p.stride < static_cast<size_t>(p.width) * bytes_per_pixel(p.format)) {
    throw_invalid(object.Env(), "Expected a stride of at least one row of pixels");
  }
  p.data = data.data;
  return p;
}

wanted wanted_of(const std::string& name, Napi::Env env) {
  if (name == "logits") return wanted::logits;
  if (name == "embedding") return wanted::embedding;
  if (name == "features") return wanted::features;
  throw_invalid(env, "Expected logits, embedding or features but received " + name);
}

tensor_shape shape_of(const Napi::Object& object) {
  tensor_shape shape;
  shape.height = int_in(object, "height", 1, input_image::kMaxSide);
  shape.width = int_in(object, "width", 1, input_image::kMaxSide);
  const std::string order = string_in(object, "layout");
  if (order != "nhwc" && order != "nchw") {
    throw_invalid(object.Env(), "Expected nhwc or nchw for layout but received " + order);
  }
  shape.order = order == "nhwc" ? layout::nhwc : layout::nchw;
  shape.what = wanted_of(string_in(object, "output"), object.Env());
  return shape;
}

}  // namespace effnet::node
