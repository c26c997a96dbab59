// SPDX-License-Identifier: Apache-2.0
// Dense convolution (contract: conv_args), written once over f32v. Included by the translation unit of
// each instruction set after its vector header.
//
// A matrix product like gemm.inl, whose k runs over channel blocks, kernel rows, kernel columns and the
// lanes of a block. Neighbouring columns follow each other, so a full block is one run of
// kernel * L floats for each kernel row:
//
//   source row      | L floats of x | x + 1 | x + 2 | x + 3 ...
//   output x        |<------- one run ------>|
//   output x + 1            |<------- one run ------>|             (PS floats further, PS = stride * L)
//
// The last block, where it is not full, takes a run per column. A tile is MR neighbouring outputs of one
// row by NV vectors, all in registers. As hundreds of multiply-adds stand behind every output, the tile
// goes through memory to the code that finishes it, which then exists once: only the loop of a tile is
// written out for every MR and NV.
#pragma once

#include "kernels/kernels.h"
#include "simd/math.h"

namespace effnet {
namespace {

// The tallest tiles of 1, 2, ... vectors; the accumulators, a row of weights and one broadcast must fit
// the registers.
template <int... Rows>
struct conv_tiles {
  static constexpr int kVectors = sizeof...(Rows);
  static constexpr int kRows[kVectors] = {Rows...};
  static constexpr int tallest() {
    int most = 0;
    for (int rows : kRows) most = rows > most ? rows : most;
    return most;
  }
};

template <int MR, int NV, int PS>
EFFNET_INLINE const float* multiply_run(const float* src, int length, const float* weights, f32v (&acc)[MR][NV]) {
  constexpr int L = f32v::kLanes;
  for (int k = 0; k < length; ++k) {
    f32v w[NV];
    unroll<NV>([&](auto j) EFFNET_LAMBDA { w[j] = f32v::load(weights + j * L); });
    unroll<MR>([&](auto i) EFFNET_LAMBDA {
      const f32v x = f32v::set(src[i * PS]);
      unroll<NV>([&](auto j) EFFNET_LAMBDA { acc[i][j] = fma(x, w[j], acc[i][j]); });
    });
    weights += NV * L;
    ++src;
  }
  return weights;
}

// Writes [NV][MR][L] sums, bias included, to `tile`.
template <int MR, int NV, int PS>
void conv_tile(const conv_args& c, const float* src, const float* weights, const float* bias, float* tile) {
  constexpr int L = f32v::kLanes;
  static_assert(MR * NV + NV + 1 <= f32v::kRegisters, "accumulators would spill");
  f32v acc[MR][NV];
  unroll<NV>([&](auto j) EFFNET_LAMBDA {
    const f32v b = f32v::load(bias + j * L);
    unroll<MR>([&](auto i) EFFNET_LAMBDA { acc[i][j] = b; });
  });
  for (int channel = 0; channel < c.channels; channel += L) {
    const int lanes = c.channels - channel < L ? c.channels - channel : L;
    const int runs = lanes == L ? 1 : c.kernel, length = lanes == L ? c.kernel * L : lanes;
    for (int ky = 0; ky < c.kernel; ++ky)
      for (int run = 0; run < runs; ++run)
        weights = multiply_run<MR, NV, PS>(src + ky * c.src_row + run * L, length, weights, acc);
    src += c.src_plane;
  }
  unroll<NV>([&](auto j) EFFNET_LAMBDA {
    unroll<MR>([&](auto i) EFFNET_LAMBDA { acc[i][j].store(tile + (j * MR + i) * L); });
  });
}

using conv_tile_fn = void (*)(const conv_args&, const float* src, const float* weights, const float* bias, float* tile);

// Every tile up to the tallest of its width, as [vector count - 1][row count - 1].
template <class Tiles, int PS>
struct conv_tile_table {
  conv_tile_fn at[Tiles::kVectors][Tiles::tallest()];
  constexpr conv_tile_table() : at() { fill<1, 1>(); }
  template <int MR, int NV>
  constexpr void fill() {
    at[NV - 1][MR - 1] = conv_tile<MR, NV, PS>;
    if constexpr (MR < Tiles::kRows[NV - 1])
      fill<MR + 1, NV>();
    else if constexpr (NV < Tiles::kVectors)
      fill<1, NV + 1>();
  }
};

// Activation, residual and the way to the map: `pixels` outputs of row y from column x on.
EFFNET_NOINLINE void finish_tile(const conv_args& c, float* tile, int vector, int width, int y, int x, int pixels) {
  constexpr int L = f32v::kLanes;
  activate_memory(c.act, tile, width * pixels * L);
  for (int j = 0; j < width; ++j) {
    const float* from = tile + j * pixels * L;
    float* dst = c.dst + (vector + j) * c.dst_plane + y * c.dst_row + ptrdiff_t(x) * L;
    const float* residual =
        c.residual != nullptr ? c.residual + (vector + j) * c.residual_plane + y * c.residual_row + ptrdiff_t(x) * L : nullptr;
    for (int i = 0; i < pixels * L; i += L) {
      f32v v = f32v::load(from + i);
      if (residual != nullptr) v = fma(f32v::set(c.residual_scale), f32v::load(residual + i), v);
      v.store(dst + i);
    }
  }
}

template <class Tiles, int Stride>
void conv(const conv_args& c) {
  constexpr int L = f32v::kLanes;
  static constexpr conv_tile_table<Tiles, Stride * L> tiles;
  alignas(64) float tile[f32v::kRegisters * L];
  for (int panel = c.panel_begin; panel < c.panel_end; ++panel) {
    const int vector = panel * c.panel_vectors;
    const int width = c.vectors - vector < c.panel_vectors ? c.vectors - vector : c.panel_vectors;
    const float* weights = c.weights + panel * c.panel_stride;
    const int tallest = Tiles::kRows[width - 1];
    const int count = (c.out_width + tallest - 1) / tallest;
    for (int y = c.row_begin; y < c.row_end; ++y) {
      const float* src = c.src + ptrdiff_t(y) * Stride * c.src_row;
      for (int t = 0, x = 0; t < count; ++t) {
        const int pixels = (c.out_width - x) / (count - t);  // tiles whose heights differ by at most one
        tiles.at[width - 1][pixels - 1](c, src + ptrdiff_t(x) * Stride * L, weights, c.bias + vector * L, tile);
        finish_tile(c, tile, vector, width, y, x, pixels);
        x += pixels;
      }
    }
  }
}

}  // namespace
}  // namespace effnet
