// SPDX-License-Identifier: Apache-2.0
// Convolution as a matrix product (contract: gemm_args), written once over f32v. Included by the
// translation unit of each instruction set after its vector header.
//
// A tile is MR pixels by NV output vectors, all in registers; each step of k loads NV weight vectors
// and, per pixel, broadcasts one input float into NV multiply-adds:
//
//            k ->                panel [k][NV * L]              tile
//   pixel 0  a0 a1 a2 ...        w00 .. w0(NVL)                acc[0][0] .. acc[0][NV-1]
//   pixel 1  b0 b1 b2 ...    x   w10 .. w1(NVL)      ->        acc[1][0] ..
//   ...      (MR rows, PS floats apart)
//
// MR and NV are compile-time, so is the distance PS between pixels: with it at run time clang 19
// keeps row pointers on the stack. m pixels are cut into div_up(m, rows) tiles whose heights differ
// by at most one, so that no tile is left with a few rows.
#pragma once

#include "kernels/kernels.h"
#include "simd/math.h"

namespace effnet {
namespace {

// Tiles of one kernel: Rows x Vectors at most; the accumulators, a row of weights and one broadcast
// must fit the registers.
template <int Rows, int Vectors>
struct gemm_tiles {
  static constexpr int kRows = Rows, kVectors = Vectors;
  static_assert(Rows * Vectors + Vectors + 1 <= f32v::kRegisters, "accumulators would spill");
};

template <int MR, int NV>
struct accumulators {
  f32v v[MR][NV];
};

template <int MR, int NV, int PS>
EFFNET_INLINE void multiply(const gemm_args& g, const float* src, const float* weights, accumulators<MR, NV>& acc) {
  constexpr int L = f32v::kLanes;
  for (int s = 0; s < g.segments; ++s) {
    const float* a = src + s * g.segment_stride;
    const int length = s + 1 == g.segments ? g.last_segment_length : g.segment_length;
    for (int k = 0; k < length; ++k) {
      f32v w[NV];
      unroll<NV>([&](auto j) EFFNET_LAMBDA { w[j] = f32v::load(weights + j * L); });
      unroll<MR>([&](auto i) EFFNET_LAMBDA {
        const f32v x = f32v::set(a[i * PS]);
        unroll<NV>([&](auto j) EFFNET_LAMBDA { acc.v[i][j] = fma(x, w[j], acc.v[i][j]); });
      });
      weights += NV * L;
      ++a;
    }
  }
}

// Offsets of MR consecutive pixels, the first being number `pixel`.
template <int MR>
EFFNET_INLINE void pixel_offsets(const pixel_rows& rows, int pixel, ptrdiff_t (&offset)[MR]) {
  constexpr int L = f32v::kLanes;
  int column = pixel % rows.width;
  ptrdiff_t at = ptrdiff_t(pixel) * L + pixel / rows.width * rows.gap;
  for (int i = 0; i < MR; ++i) {
    offset[i] = at;
    at += L;
    if (++column == rows.width) {
      column = 0;
      at += rows.gap;
    }
  }
}

template <int MR, int NV>
EFFNET_INLINE void store_tile(const gemm_args& g, int vector, int pixel, accumulators<MR, NV>& acc) {
  ptrdiff_t to[MR];
  pixel_offsets<MR>(g.dst_rows, pixel, to);
  if (g.residual != nullptr) {
    ptrdiff_t from[MR];
    pixel_offsets<MR>(g.residual_rows, pixel, from);
    unroll<NV>([&](auto j) EFFNET_LAMBDA {
      const float* residual = g.residual + (vector + j) * g.residual_plane;
      unroll<MR>([&](auto i) EFFNET_LAMBDA { acc.v[i][j] = acc.v[i][j] + f32v::load(residual + from[i]); });
    });
  }
  unroll<NV>([&](auto j) EFFNET_LAMBDA {
    float* dst = g.dst + (vector + j) * g.dst_plane;
    unroll<MR>([&](auto i) EFFNET_LAMBDA { acc.v[i][j].store(dst + to[i]); });
  });
}

template <int MR, int NV>
EFFNET_INLINE void pool_tile(const gemm_args& g, int vector, const accumulators<MR, NV>& acc) {
  unroll<NV>([&](auto j) EFFNET_LAMBDA {
    float* pool = g.pool + (vector + j) * f32v::kLanes;
    f32v sum = acc.v[0][j];
    unroll<MR - 1>([&](auto i) EFFNET_LAMBDA { sum = sum + acc.v[i + 1][j]; });
    (f32v::load(pool) + sum).store(pool);
  });
}

template <int MR, int NV, int PS, bool Pool>
void gemm_tile(const gemm_args& g, const float* weights, int vector, int pixel) {
  constexpr int L = f32v::kLanes;
  accumulators<MR, NV> acc;
  unroll<NV>([&](auto j) EFFNET_LAMBDA {
    const f32v bias = f32v::load(g.bias + (vector + j) * L);
    unroll<MR>([&](auto i) EFFNET_LAMBDA { acc.v[i][j] = bias; });
  });
  multiply<MR, NV, PS>(g, g.src + ptrdiff_t(pixel) * PS, weights, acc);
  activate_registers<MR * NV>(g.act, [&](auto i) EFFNET_LAMBDA -> f32v& { return acc.v[i / NV][i % NV]; });
  if constexpr (Pool)
    pool_tile<MR, NV>(g, vector, acc);
  else
    store_tile<MR, NV>(g, vector, pixel, acc);
}

using gemm_tile_fn = void (*)(const gemm_args&, const float* weights, int vector, int pixel);

// Every tile up to Rows x Vectors, as [row count - 1][vector count - 1].
template <class Tiles, int PS, bool Pool>
struct gemm_tile_table {
  gemm_tile_fn at[Tiles::kRows][Tiles::kVectors];
  constexpr gemm_tile_table() : at() { fill_rows<1>(); }
  template <int MR>
  constexpr void fill_rows() {
    fill_vectors<MR, 1>();
    if constexpr (MR < Tiles::kRows) fill_rows<MR + 1>();
  }
  template <int MR, int NV>
  constexpr void fill_vectors() {
    at[MR - 1][NV - 1] = gemm_tile<MR, NV, PS, Pool>;
    if constexpr (NV < Tiles::kVectors) fill_vectors<MR, NV + 1>();
  }
};

template <class Tiles, int PS, bool Pool>
void gemm(const gemm_args& g) {
  constexpr int L = f32v::kLanes;
  static constexpr gemm_tile_table<Tiles, PS, Pool> tiles;
  const int pixels = g.pixel_end - g.pixel_begin;
  for (int panel = g.panel_begin; panel < g.panel_end; ++panel) {
    const int vector = panel * Tiles::kVectors;
    const int width = g.vectors - vector < Tiles::kVectors ? g.vectors - vector : Tiles::kVectors;
    const float* weights = g.weights + panel * g.panel_stride;
    if constexpr (Pool)
      for (int j = 0; j < width; ++j) f32v::zero().store(g.pool + (vector + j) * L);
    if (pixels <= 0) continue;
    const int count = (pixels + Tiles::kRows - 1) / Tiles::kRows;
    const int low = pixels / count, taller = pixels % count;
    int pixel = g.pixel_begin;
    for (int t = 0; t < count; ++t) {
      const int rows = low + (t < taller);
      tiles.at[rows - 1][width - 1](g, weights, vector, pixel);
      pixel += rows;
    }
  }
}

}  // namespace
}  // namespace effnet
