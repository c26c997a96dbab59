// SPDX-License-Identifier: Apache-2.0
// Registration of the addon, and nothing else. Each environment that loads it gets its own data.
#include <napi.h>

#include <memory>

#include "node/kernel_bench.h"
#include "node/report.h"
#include "node/session.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto data = std::make_unique<effnet::node::addon_data>();
  effnet::node::session::define(env, data.get());
  env.SetInstanceData(data.release());
  exports.Set("createSession", Napi::Function::New<effnet::node::session::create>(env, "createSession"));
  exports.Set("prepareImage", Napi::Function::New<effnet::node::prepare_image>(env, "prepareImage"));
  exports.Set("discard", Napi::Function::New<effnet::node::discard>(env, "discard"));
  exports.Set("kernelBench", Napi::Function::New<effnet::node::kernel_bench>(env, "kernelBench"));
  exports.Set("cpu", Napi::Function::New<effnet::node::cpu_report>(env, "cpu"));
  return exports;
}

}  // namespace

NODE_API_MODULE(efficientnet_simd, init)
