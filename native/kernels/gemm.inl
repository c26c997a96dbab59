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
template <int Rows, int Vectors, bool Halves>
struct gemm_tiles {
  static constexpr int kRows = Rows, kVectors = Vectors;
  static constexpr bool kHalves = Halves;  // tiles that end in half a vector
  static_assert(Rows * Vectors + Vectors + 1 <= f32v::kRegisters, "accumulators would spill");
};

// Rows of a tile that ends in half a vector: a pair of pixels shares one accumulator there, and both
// pixels' broadcasts and their blend are alive at once.
template <class Tiles>
constexpr int half_rows(int vectors) {
  int rows = Tiles::kRows;
  while (rows * vectors + (rows + 1) / 2 + vectors + 4 > f32v::kRegisters) --rows;
  return rows;
}

// v[i][j]: pixel i, vector j. Half: h[p] holds the half vector after them for pixels 2p (lower lanes)
// and 2p + 1 (upper lanes).
template <int MR, int NV, bool Half>
struct accumulators {
  f32v v[MR][NV];
  f32v h[Half ? (MR + 1) / 2 : 1];
};

template <int MR, int NV, bool Half, int PS>
EFFNET_INLINE void multiply(const gemm_args& g, const float* src, const float* weights, const float* ahead,
                            accumulators<MR, NV, Half>& acc) {
  constexpr int L = f32v::kLanes, kPairs = Half ? (MR + 1) / 2 : 0;
  for (int s = 0; s < g.segments; ++s) {
    const float* a = src + s * g.segment_stride;
    const int length = s + 1 == g.segments ? g.last_segment_length : g.segment_length;
    for (int k = 0; k < length; ++k) {
      f32v w[NV];
      unroll<NV>([&](auto j) EFFNET_LAMBDA { w[j] = f32v::load(weights + j * L); });
      prefetch(ahead);
      if constexpr (!Half) {
        unroll<MR>([&](auto i) EFFNET_LAMBDA {
          const f32v x = f32v::set(a[i * PS]);
          unroll<NV>([&](auto j) EFFNET_LAMBDA { acc.v[i][j] = fma(x, w[j], acc.v[i][j]); });
        });
      } else {
        const f32v last = f32v::load(weights + NV * L);
        unroll<kPairs>([&](auto p) EFFNET_LAMBDA {
          constexpr int even = 2 * decltype(p){}, odd = even + 1 < MR ? even + 1 : even;
          const f32v x = f32v::set(a[even * PS]);
          f32v y = x;
          unroll<NV>([&](auto j) EFFNET_LAMBDA { acc.v[even][j] = fma(x, w[j], acc.v[even][j]); });
          if constexpr (odd != even) {
            y = f32v::set(a[odd * PS]);
            unroll<NV>([&](auto j) EFFNET_LAMBDA { acc.v[odd][j] = fma(y, w[j], acc.v[odd][j]); });
          }
          acc.h[p] = fma(halves(x, y), last, acc.h[p]);
        });
      }
      weights += (NV + Half) * L;
      ahead += kLine;
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

template <int MR, int NV, bool Half>
EFFNET_INLINE void store_tile(const gemm_args& g, int vector, int pixel, accumulators<MR, NV, Half>& acc) {
  constexpr int kPairs = Half ? (MR + 1) / 2 : 0;
  ptrdiff_t to[MR];
  pixel_offsets<MR>(g.dst_rows, pixel, to);
  if (g.residual != nullptr) {
    ptrdiff_t from[MR];
    pixel_offsets<MR>(g.residual_rows, pixel, from);
    const f32v scale = f32v::set(g.residual_scale);
    unroll<NV>([&](auto j) EFFNET_LAMBDA {
      const float* residual = g.residual + (vector + j) * g.residual_plane;
      unroll<MR>([&](auto i) EFFNET_LAMBDA { acc.v[i][j] = fma(scale, f32v::load(residual + from[i]), acc.v[i][j]); });
    });
    const float* residual = g.residual + (vector + NV) * g.residual_plane;
    unroll<kPairs>([&](auto p) EFFNET_LAMBDA {
      constexpr int even = 2 * decltype(p){}, odd = even + 1 < MR ? even + 1 : even;
      acc.h[p] = fma(scale, join(f32v::load(residual + from[even]), f32v::load(residual + from[odd])), acc.h[p]);
    });
  }
  unroll<NV>([&](auto j) EFFNET_LAMBDA {
    float* dst = g.dst + (vector + j) * g.dst_plane;
    unroll<MR>([&](auto i) EFFNET_LAMBDA { acc.v[i][j].store(dst + to[i]); });
  });
  float* dst = g.dst + (vector + NV) * g.dst_plane;
  unroll<kPairs>([&](auto p) EFFNET_LAMBDA {
    constexpr int even = 2 * decltype(p){};
    lower(acc.h[p]).store(dst + to[even]);
    if constexpr (even + 1 < MR) upper(acc.h[p]).store(dst + to[even + 1]);
  });
}

template <int MR, int NV, bool Half>
EFFNET_INLINE void pool_tile(const gemm_args& g, int vector, accumulators<MR, NV, Half>& acc) {
  unroll<NV>([&](auto j) EFFNET_LAMBDA {
    float* pool = g.pool + (vector + j) * f32v::kLanes;
    f32v sum = acc.v[0][j];
    unroll<MR - 1>([&](auto i) EFFNET_LAMBDA { sum = sum + acc.v[i + 1][j]; });
    (f32v::load(pool) + sum).store(pool);
  });
  if constexpr (Half) {
    constexpr int kPairs = (MR + 1) / 2;
    if constexpr (MR % 2 != 0) acc.h[kPairs - 1] = lower(acc.h[kPairs - 1]);  // its upper lanes are nobody's
    f32v sum = acc.h[0];
    unroll<kPairs - 1>([&](auto p) EFFNET_LAMBDA { sum = sum + acc.h[p + 1]; });
    float* pool = g.pool + (vector + NV) * f32v::kLanes;
    (f32v::load(pool) + (lower(sum) + upper(sum))).store(pool);
  }
}

template <int MR, int NV, bool Half, int PS>
void gemm_tile(const gemm_args& g, const float* weights, const float* ahead, int vector, int pixel) {
  constexpr int L = f32v::kLanes, kPairs = Half ? (MR + 1) / 2 : 0;
  accumulators<MR, NV, Half> acc;
  unroll<NV>([&](auto j) EFFNET_LAMBDA {
    const f32v bias = f32v::load(g.bias + (vector + j) * L);
    unroll<MR>([&](auto i) EFFNET_LAMBDA { acc.v[i][j] = bias; });
  });
  if constexpr (Half) {
    const f32v bias = f32v::load(g.bias + (vector + NV) * L);
    unroll<kPairs>([&](auto p) EFFNET_LAMBDA { acc.h[p] = join(bias, bias); });
  }
  multiply<MR, NV, Half, PS>(g, g.src + ptrdiff_t(pixel) * PS, weights, ahead, acc);
  activate_registers<MR * NV + kPairs>(g.act, [&](auto i) EFFNET_LAMBDA -> f32v& {
    if constexpr (i < MR * NV) return acc.v[i / NV][i % NV];
    else return acc.h[i - MR * NV];
  });
  if (g.pool != nullptr)
    pool_tile<MR, NV, Half>(g, vector, acc);
  else
    store_tile<MR, NV, Half>(g, vector, pixel, acc);
}

using gemm_tile_fn = void (*)(const gemm_args&, const float* weights, const float* ahead, int vector, int pixel);

// Every tile up to Rows x Vectors, as [row count - 1][vector count - 1]; those that end in half a
// vector have fewer rows.
template <class Tiles, int PS>
struct gemm_tile_table {
  gemm_tile_fn at[Tiles::kRows][Tiles::kVectors];
  gemm_tile_fn half[Tiles::kRows][Tiles::kVectors];
  constexpr gemm_tile_table() : at(), half() { fill_rows<1>(); }
  template <int MR>
  constexpr void fill_rows() {
    fill_vectors<MR, 1>();
    if constexpr (MR < Tiles::kRows) fill_rows<MR + 1>();
  }
  template <int MR, int NV>
  constexpr void fill_vectors() {
    at[MR - 1][NV - 1] = gemm_tile<MR, NV, false, PS>;
    if constexpr (Tiles::kHalves && MR <= half_rows<Tiles>(NV)) half[MR - 1][NV - 1] = gemm_tile<MR, NV, true, PS>;
    if constexpr (NV < Tiles::kVectors) fill_vectors<MR, NV + 1>();
  }
};

// The pixels of one panel. `ahead` is where this panel's share of prefetching begins: as many bytes as
// the panel has, spread over its tiles, one line a step of k.
template <class Tiles, int PS>
EFFNET_INLINE void gemm_panel(const gemm_args& g, const gemm_tile_fn (*tiles)[Tiles::kVectors], int tallest, int vector,
                              int width, const float* weights, ptrdiff_t size) {
  const int pixels = g.pixel_end - g.pixel_begin;
  const int count = (pixels + tallest - 1) / tallest;
  const int low = pixels / count, taller = pixels % count;
  const ptrdiff_t share = (size / count + kLine - 1) / kLine * kLine;
  int pixel = g.pixel_begin;
  for (int t = 0; t < count; ++t) {
    const int rows = low + (t < taller);
    const ptrdiff_t done = t * share < size ? t * share : size;
    tiles[rows - 1][width - 1](g, weights, weights + (g.prefetch + done), vector, pixel);
    pixel += rows;
  }
}

template <class Tiles, int PS>
void gemm(const gemm_args& g) {
  constexpr int L = f32v::kLanes;
  static constexpr gemm_tile_table<Tiles, PS> tiles;
  const int full = g.vectors - g.half;
  const int k = (g.segments - 1) * g.segment_length + g.last_segment_length;
  for (int panel = g.panel_begin; panel < g.panel_end; ++panel) {
    const int vector = panel * Tiles::kVectors;
    const int width = full - vector < Tiles::kVectors ? full - vector : Tiles::kVectors;
    const float* weights = g.weights + panel * g.panel_stride;
    const bool half = g.half && vector + width == full;
    if (g.pool != nullptr)
      for (int j = 0; j < width + half; ++j) f32v::zero().store(g.pool + (vector + j) * L);
    if (g.pixel_begin >= g.pixel_end) continue;
    if (half)
      gemm_panel<Tiles, PS>(g, tiles.half, half_rows<Tiles>(width), vector, width, weights, ptrdiff_t(k) * (width + 1) * L);
    else
      gemm_panel<Tiles, PS>(g, tiles.at, Tiles::kRows, vector, width, weights, ptrdiff_t(k) * width * L);
  }
}

}  // namespace
}  // namespace effnet
