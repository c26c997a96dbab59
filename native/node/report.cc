// SPDX-License-Identifier: Apache-2.0
// The processor's report and image preparation on its own.
#include "node/report.h"

#include <algorithm>
#include <new>

#include "base/cpu.h"
#include "kernels/dispatch.h"
#include "node/values.h"

namespace effnet::node {

namespace {

Napi::Object describe_table(Napi::Env env, const kernel_table& table) {
  Napi::Object tiles = Napi::Object::New(env);
  tiles.Set("gemmRows", table.gemm_rows);
  tiles.Set("gemmColumns", table.gemm_vectors * table.lanes);
  tiles.Set("gemvColumns", table.gemv_vectors * table.lanes);
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", table.isa);
  object.Set("present", runs_here(table));
  object.Set("lanes", table.lanes);
  object.Set("tiles", tiles);
  return object;
}

}  // namespace

Napi::Value cpu_report(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    const auto& tables = all_kernel_tables();
    Napi::Array isas = Napi::Array::New(env, tables.size());
    for (size_t i = 0; i < tables.size(); ++i) isas.Set(static_cast<uint32_t>(i), describe_table(env, *tables[i]));
    const cache_sizes sizes = caches();
    Napi::Object memory = Napi::Object::New(env);
    memory.Set("l1", static_cast<double>(sizes.l1));
    memory.Set("l2", static_cast<double>(sizes.l2));
    memory.Set("l3", static_cast<double>(sizes.l3));
    const kernel_table* chosen = nullptr;
    const status picked = pick_kernel_table({}, &chosen);
    Napi::Object object = Napi::Object::New(env);
    object.Set("brand", cpu_brand());
    object.Set("cores", usable_cores());
    object.Set("caches", memory);
    object.Set("chosen", picked.ok() ? Napi::Value(Napi::String::New(env, chosen->isa)) : env.Null());
    object.Set("isas", isas);
    return object;
  } catch (const std::bad_alloc&) {
    throw_failure(env, {status_code::out_of_memory, {}});
  }
}

Napi::Value prepare_image(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    pixels image = pixels_of(object_of(info[1], "image"), {});
    const recipe how = recipe_of(object_of(info[2], "recipe"));
    const size_t row = static_cast<size_t>(how.width) * 3;
    Napi::Float32Array out = Napi::Float32Array::New(env, row * static_cast<size_t>(how.height));
    const byte_view bytes = bytes_of(info[0], "data");
    const size_t needed = bytes_needed(image);
    if (bytes.size < needed) {
      throw_invalid(env, "Expected data to hold " + std::to_string(needed) + " bytes, found " + std::to_string(bytes.size));
    }
    image.data = bytes.data;
    const kernel_table* table = nullptr;
    if (const status picked = pick_kernel_table({}, &table); !picked.ok()) throw_failure(env, picked);
    input_image filled;
    image_preparer preparer(*table);
    const status s = preparer.prepare(image, how, &filled);
    if (!s.ok()) throw_failure(env, s);
    for (int y = 0; y < how.height; ++y) {
      std::copy(filled.row(y), filled.row(y) + row, out.Data() + static_cast<size_t>(y) * row);
    }
    return out;
  } catch (const std::bad_alloc&) {
    throw_failure(env, {status_code::out_of_memory, {}});
  }
}

Napi::Value discard(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  bool is_buffer = false;
  if (napi_is_arraybuffer(env, info[0], &is_buffer) != napi_ok || !is_buffer) {
    throw_invalid(env, "Expected an ArrayBuffer for buffer");
  }
  if (napi_detach_arraybuffer(env, info[0]) != napi_ok) {
    throw_invalid(env, "Expected an ArrayBuffer that can be transferred for buffer");
  }
  return env.Undefined();
}

}  // namespace effnet::node
