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
  float* dst = g.dst + vector * L;
  unroll<NV>([&](auto j) EFFNET_LAMBDA { acc[0][j].store(dst + j * L); });
  activate_run(g.act, dst, NV * L);
}

constexpr int kGemvVectors = 4;

// Runs of a panel `vectors` wide.
constexpr int gemv_runs(int vectors) {
  const int most = vectors <= 2 ? 8 : 4, fit = f32v::kChains / vectors;
  return fit < most ? fit : most;
}

void gemv(const gemv_args& g) {
  for (int panel = g.panel_begin; panel < g.panel_end; ++panel) {
    const int vector = panel * kGemvVectors;
    const float* w = g.weights + panel * g.panel_stride;
    switch (g.vectors - vector) {
      case 1: gemv_panel<1, gemv_runs(1)>(g, w, vector); break;
      case 2: gemv_panel<2, gemv_runs(2)>(g, w, vector); break;
      case 3: gemv_panel<3, gemv_runs(3)>(g, w, vector); break;
      default: gemv_panel<4, gemv_runs(4)>(g, w, vector); break;
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

// `vectors` of src times x to dst.
EFFNET_INLINE void scale_vectors(const float*& src, float*& dst, int vectors, f32v x) {
  constexpr int L = f32v::kLanes;
  for (int j = 0; j < vectors; ++j, src += L, dst += L) (f32v::load(src) * x).store(dst);
}

void gate_weights(const gate_weights_args& g) {
  const float* src = g.src;
  float* dst = g.dst;
  const int full = g.vectors - g.half;
  int k = 0;
  for (; g.half && k + 2 <= g.k; k += 2) {
    scale_vectors(src, dst, full, f32v::set(g.gate[k]));
    scale_vectors(src, dst, full, f32v::set(g.gate[k + 1]));
    scale_vectors(src, dst, 1, alternate(g.gate + k));
  }
  for (; k < g.k; ++k) scale_vectors(src, dst, g.vectors, f32v::set(g.gate[k]));
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
