// SPDX-License-Identifier: Apache-2.0
// The small kernels around the excite, written once over f32v: vector times matrix (also the
// classifier), mean of the row sums, and the gate. Included by the translation unit of each
// instruction set after its vector header.
#pragma once

#include "kernels/kernels.h"
#include "simd/math.h"

namespace effnet {
namespace {

// One panel NV vectors wide. k is cut into U runs whose partial sums are added in a fixed order at the end: NV * U
// chains hide the latency of the multiply-add when NV is small, and several runs at once find more of a large
// matrix on its way from memory. On Emerald Rapids the classifier of B0 comes with 14.5 GB/s in one run and with
// 18.7 in four.
template <int NV, int U>
void gemv_panel(const gemv_args& g, const float* w, int vector) {
  constexpr int L = f32v::kLanes;
  static_assert(NV * U + 1 <= f32v::kRegisters, "accumulators would spill");
  f32v acc[U][NV];
  unroll<NV>([&](auto j) EFFNET_LAMBDA {
    acc[0][j] = f32v::load(g.bias + (vector + j) * L);
    unroll<U - 1>([&](auto u) EFFNET_LAMBDA { acc[u + 1][j] = f32v::zero(); });
  });
  const int run = g.k / U;
  const ptrdiff_t run_weights = ptrdiff_t(run) * NV * L;
  for (int k = 0; k < run; ++k) {
    unroll<U>([&](auto u) EFFNET_LAMBDA {
      const f32v x = f32v::set(g.src[k + u * run]);
      unroll<NV>([&](auto j) EFFNET_LAMBDA { acc[u][j] = fma(x, f32v::load(w + u * run_weights + j * L), acc[u][j]); });
    });
    w += NV * L;
  }
  w += (U - 1) * run_weights;
  for (int k = U * run; k < g.k; ++k) {
    const f32v x = f32v::set(g.src[k]);
    unroll<NV>([&](auto j) EFFNET_LAMBDA { acc[0][j] = fma(x, f32v::load(w + j * L), acc[0][j]); });
    w += NV * L;
  }
  unroll<U - 1>([&](auto u) EFFNET_LAMBDA {
    unroll<NV>([&](auto j) EFFNET_LAMBDA { acc[0][j] = acc[0][j] + acc[u + 1][j]; });
  });
  with_activation(g.act, [&](auto f) EFFNET_LAMBDA {
    f(acc[0]);
    unroll<NV>([&](auto j) EFFNET_LAMBDA { acc[0][j].store(g.dst + (vector + j) * L); });
  });
}

constexpr int kGemvVectors = 4;

void gemv(const gemv_args& g) {
  constexpr int kMost = f32v::kRegisters - 3;  // accumulators beside an input, a weight and an address' worth of slack
  for (int panel = g.panel_begin; panel < g.panel_end; ++panel) {
    const int vector = panel * kGemvVectors;
    const float* w = g.weights + panel * g.panel_stride;
    switch (g.vectors - vector) {
      case 1: gemv_panel<1, 8>(g, w, vector); break;
      case 2: gemv_panel<2, kMost / 2 < 8 ? kMost / 2 : 8>(g, w, vector); break;
      case 3: gemv_panel<3, kMost / 3 < 4 ? kMost / 3 : 4>(g, w, vector); break;
      default: gemv_panel<4, kMost / 4 < 4 ? kMost / 4 : 4>(g, w, vector); break;
    }
  }
}

void mean(const mean_args& m) {
  constexpr int L = f32v::kLanes;
  for (int block = m.block_begin; block < m.block_end; ++block) {
    const float* sums = m.sums + ptrdiff_t(block) * m.rows * L;
    f32v total = f32v::zero();
    for (int y = 0; y < m.rows; ++y) total = total + f32v::load(sums + ptrdiff_t(y) * L);
    (total * f32v::set(m.scale)).store(m.mean + ptrdiff_t(block) * L);
  }
}

void gate_weights(const gate_weights_args& g) {
  constexpr int L = f32v::kLanes;
  for (int k = g.k_begin; k < g.k_end; ++k) {
    const f32v gate = f32v::set(g.gate[k]);
    const ptrdiff_t row = ptrdiff_t(k) * g.width;
    for (int j = 0; j < g.width; j += L) (f32v::load(g.src + row + j) * gate).store(g.dst + row + j);
  }
}

void gate_map(const gate_map_args& g) {
  constexpr int L = f32v::kLanes;
  for (int block = g.block_begin; block < g.block_end; ++block) {
    const f32v gate = f32v::load(g.gate + ptrdiff_t(block) * L);
    float* map = g.map + block * g.plane;
    for (int i = 0; i < g.pixels; ++i) (f32v::load(map + ptrdiff_t(i) * L) * gate).store(map + ptrdiff_t(i) * L);
  }
}

}  // namespace
}  // namespace effnet
