// SPDX-License-Identifier: Apache-2.0
// The calls that run images: their arguments read and checked, and the jobs made of them. A job owns a
// copy of its input; the output is written when the job is done.
#pragma once

#include <napi.h>

#include <memory>

#include "node/job.h"
#include "node/runner.h"
#include "node/values.h"

namespace effnet::node {

// A tensor call's arguments: input, output, shape. `batch` checks them against the memory that is there.
struct tensor_call {
  tensor_shape shape;
  float_view input, output;

  explicit tensor_call(const Napi::CallbackInfo& info);
  tensor_batch batch(Napi::Env env, const runner& r) const;
  size_t wanted_floats(const tensor_batch& batch, const runner& r) const;
};

// A pixel call's arguments: data, output, image, recipe, wanted.
struct pixel_call {
  photo from;
  wanted what;
  byte_view bytes;
  float_view output;

  explicit pixel_call(const Napi::CallbackInfo& info);
  void check(Napi::Env env, const runner& r) const;
  size_t wanted_floats(const runner& r) const { return r.size_of(what, from.how.height, from.how.width); }
};

// Copies the input now; `output` is the JavaScript array. `more`: another image follows soon.
std::unique_ptr<job> make_job(std::shared_ptr<runner> r, const tensor_call& call, const tensor_batch& batch, Napi::Value output);
std::unique_ptr<job> make_job(std::shared_ptr<runner> r, const pixel_call& call, Napi::Value output, bool more);

Napi::Value timings_object(Napi::Env env, const timings& times);

}  // namespace effnet::node
