// SPDX-License-Identifier: Apache-2.0
// JavaScript values to plain structs, checked. The TypeScript layer gives users their messages; these
// checks make sure that no value whatever can crash the process. They throw Napi::Error, which the
// entry points turn into JavaScript exceptions.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/status.h"
#include "image/prepare.h"
#include "node/runner.h"

namespace effnet::node {

[[noreturn]] void throw_failure(Napi::Env env, const status& s);
[[noreturn]] void throw_invalid(Napi::Env env, const std::string& message);

// Runs an entry point's body; C++ exceptions other than Napi's become JavaScript errors here.
template <class Body>
Napi::Value guarded(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    throw_failure(env, {status_code::out_of_memory, {}});
  }
}

// Memory behind a typed array, as it is at this moment: any call into JavaScript afterwards may
// detach, resize or free it. A detached or out-of-bounds array has size 0.
struct array_view {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;  // elements
  void* data = nullptr;
};
struct float_view {
  float* data = nullptr;
  size_t size = 0;
};
struct byte_view {
  const uint8_t* data = nullptr;
  size_t size = 0;
};
// Without exceptions, for code that may run while the environment is ending. False for what is no such array.
bool view_array(napi_env env, napi_value value, array_view* out) noexcept;
bool view_floats(napi_env env, napi_value value, float_view* out) noexcept;
float_view floats_of(Napi::Value value, const char* name);
byte_view bytes_of(Napi::Value value, const char* name);

double number_of(Napi::Value value, const char* name);
int int_of(Napi::Value value, const char* name, int minimum, int maximum);
int int_in(const Napi::Object& object, const char* name, int minimum, int maximum);
bool bool_of(Napi::Value value, const char* name);
std::string string_in(const Napi::Object& object, const char* name);
Napi::Object object_of(Napi::Value value, const char* name);

// none, relu, relu6, swish, sigmoid, hard-swish, hard-sigmoid
activation activation_named(const std::string& name, Napi::Env env);

// { height, width, crop, cropFraction, filter, mean, std }
recipe recipe_of(const Napi::Object& object);

// { width, height, channels, stride } over `data`; every row lies inside it.
pixels pixels_of(const Napi::Object& object, byte_view data);
size_t bytes_needed(const pixels& image);

struct tensor_shape {
  int height = 0, width = 0;
  layout order = layout::nhwc;
  wanted what = wanted::logits;
};
tensor_shape shape_of(const Napi::Object& object);
wanted wanted_of(const std::string& name, Napi::Env env);

}  // namespace effnet::node
