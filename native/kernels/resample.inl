// SPDX-License-Identifier: Apache-2.0
// The weighted sums of an 8-bit resize, exact: integers throughout, one rounding at the end.
//
// A block of kResampleBytes bytes is three accumulators of 16 sums; per tap, three loads that widen
// bytes, three products by the broadcast weight, three sums. Registers: 3 accumulators and 1 weight of
// 16 lanes each, so 4 of 32 on AVX-512, 8 of 16 on AVX2, 16 of 32 on NEON. No floats: 22-bit weights
// times bytes do not fit a float's 24 bits.
#pragma once

#include "kernels/kernels.h"
#include "simd/unroll.h"

namespace effnet {
namespace {

constexpr int kResampleVectors = kResampleBytes / 16;

void resample_run(const resample_args& a, const tap_run& run, const int32_t* weights, uint8_t* dst) {
  for (int at = 0; at < a.bytes; at += kResampleBytes) {
    const uint8_t* src = a.src + (run.first - a.src_first) * a.src_step + at;
    i32x16 sum[kResampleVectors];
    unroll<kResampleVectors>([&](auto v) EFFNET_LAMBDA { sum[v] = i32x16::set(1 << (kResampleBits - 1)); });
    for (int k = 0; k < run.count; ++k, src += a.src_step) {
      const i32x16 weight = i32x16::set(weights[k]);
      unroll<kResampleVectors>([&](auto v) EFFNET_LAMBDA { sum[v] = sum[v] + i32x16::load_bytes(src + 16 * v) * weight; });
    }
    unroll<kResampleVectors>([&](auto v) EFFNET_LAMBDA { sum[v].template store_bytes<kResampleBits>(dst + at + 16 * v); });
  }
}

void resample(const resample_args& a) {
  for (int i = a.begin; i < a.end; ++i) {
    resample_run(a, a.runs[i], a.weights + i * a.weight_pitch, a.dst + (i - a.begin) * a.dst_step);
  }
}

}  // namespace
}  // namespace effnet
