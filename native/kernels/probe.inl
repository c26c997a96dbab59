// SPDX-License-Identifier: Apache-2.0
// Probes of the machine (contract: probe_args), written once over f32v: how many multiply-adds a core
// can do from registers, and how fast it reads. For benchmarks; no network runs through them. Included
// by the translation unit of each instruction set after its vector header.
//
// 12 chains cover two multiply-adds a cycle of a latency up to 6, and leave four of 16 registers for
// the two constants; with 32 registers 24 chains cover four a cycle (Neoverse V, Apple). They are
// never spilled: the loop holds nothing else.
#pragma once

#include "kernels/kernels.h"
#include "simd/unroll.h"

namespace effnet {
namespace {

constexpr int kProbeChains = f32v::kRegisters >= 32 ? 24 : 12;
static_assert(kProbeChains + 2 <= f32v::kRegisters, "the chains would spill");

// v = v / 2 + 1/2 tends to 1 from 1 + j: nothing overflows, becomes subnormal or can be left out.
void probe_fma(const probe_args& p) {
  const f32v half = f32v::set(0.5f);
  f32v v[kProbeChains];
  unroll<kProbeChains>([&](auto j) EFFNET_LAMBDA { v[j] = f32v::set(1.0f + float(int(j))); });
  for (int64_t i = 0; i < p.iterations; ++i) {
    unroll<kProbeChains>([&](auto j) EFFNET_LAMBDA { v[j] = fma(v[j], half, half); });
  }
  unroll<kProbeChains - 1>([&](auto j) EFFNET_LAMBDA { v[0] = v[0] + v[j + 1]; });
  v[0].store(p.dst);
}

// Eight sums at once: two additions a cycle of a latency of four.
void probe_read(const probe_args& p) {
  constexpr int L = f32v::kLanes, kSums = 8;
  f32v sum[kSums];
  unroll<kSums>([&](auto j) EFFNET_LAMBDA { sum[j] = f32v::zero(); });
  for (int64_t i = 0; i < p.iterations; ++i) {
    const float* src = p.src;
    size_t left = p.vectors;
    for (; left >= size_t(kSums); left -= kSums) {
      unroll<kSums>([&](auto j) EFFNET_LAMBDA { sum[j] = sum[j] + f32v::load(src + j * L); });
      src += kSums * L;
    }
    for (; left > 0; --left) {
      sum[0] = sum[0] + f32v::load(src);
      src += L;
    }
  }
  unroll<kSums - 1>([&](auto j) EFFNET_LAMBDA { sum[0] = sum[0] + sum[j + 1]; });
  sum[0].store(p.dst);
}

}  // namespace
}  // namespace effnet
