// SPDX-License-Identifier: Apache-2.0
// From a kernel's description to an object that runs it. The kernels themselves are in
// convolution_bench.cc and vector_bench.cc.
#include "node/kernel_bench.h"

#include <memory>
#include <new>
#include <string>

#include "kernels/dispatch.h"
#include "node/bench.h"

namespace effnet::node {

namespace {

std::shared_ptr<bench> make_bench(const std::string& kernel, const description& d) {
  if (auto found = make_convolution_bench(kernel, d)) return found;
  if (auto found = make_vector_bench(kernel, d)) return found;
  throw_invalid(d.env(), "Expected the name of a kernel but received " + kernel);
}

}  // namespace

Napi::Value kernel_bench(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    const Napi::Object options = object_of(info[0], "the kernel's description");
    const kernel_table* table = nullptr;
    must(env, pick_kernel_table(string_in(options, "isa"), &table));
    const std::shared_ptr<bench> b = make_bench(string_in(options, "kernel"), description(options, table));
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", b->name);
    object.Set("flops", b->flops);
    object.Set("bytes", b->bytes);
    object.Set("run", Napi::Function::New(env, [b](const Napi::CallbackInfo& call) {
                 b->run(int_of(call[0], "iterations", 1, kMaxIterations));
               }, "run"));
    return object;
  } catch (const std::bad_alloc&) {
    throw_failure(env, {status_code::out_of_memory, {}});
  }
}

}  // namespace effnet::node
