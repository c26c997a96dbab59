// SPDX-License-Identifier: Apache-2.0
// Functions of the addon that need no session: what this processor offers, image preparation, and an
// end to buffers.
#pragma once

#include <napi.h>

namespace effnet::node {

// cpu(): { brand, cores, caches: { l1, l2, l3 }, chosen, isas: [{ name, present, lanes, tiles }] };
// `chosen` is null when the environment variable names an instruction set that cannot be used.
Napi::Value cpu_report(const Napi::CallbackInfo& info);

// prepareImage(data, image, recipe): Float32Array of height * width * 3, rows of RGB.
Napi::Value prepare_image(const Napi::CallbackInfo& info);

// discard(buffer): frees an ArrayBuffer's memory at once.
Napi::Value discard(const Napi::CallbackInfo& info);

}  // namespace effnet::node
