// SPDX-License-Identifier: Apache-2.0
// Dense convolution (contract: conv_args), written once over f32v. Included by the translation unit of
// each instruction set after its vector header.
//
// A matrix product like gemm.inl, whose k runs over channel blocks, kernel rows, kernel columns and the
// channels of a block. C channels lie together: the L of a map's block, or the 3 of an interleaved image.
// Neighbouring columns follow each other, so a full block is one run of kernel * C floats for each kernel
// row:
//
//   source row      | C floats of x | x + 1 | x + 2 | x + 3 ...
//   output x        |<------- one run ------>|
//   output x + 1            |<------- one run ------>|             (PS floats further, PS = stride * C)
//
// The last block, where it is not full, takes a run per column. A tile is MR neighbouring outputs of one
// row by NV vectors, all in registers, and half a vector after them where there is one. Tiles leave plain sums in the
// destination; activation and residual follow row by row, in code that exists once, so that only the loop over k is
// written out for every size of tile.
#pragma once

#include "kernels/kernels.h"
#include "kernels/tile.inl"
#include "simd/math.h"

namespace effnet {
namespace {

// v[i][j]: output i, vector j. h[i]: the half vector after them, even and odd steps of k in turns.
template <int MR, int NV, bool Half>
struct conv_sums {
  f32v v[MR][NV];
  f32v h[Half ? MR : 1];
};

// One step of k; inputs of neighbouring outputs lie PS floats apart.
template <int PS, int MR, int NV, bool Half>
EFFNET_INLINE void multiply_tap(const float* src, const float* weights, conv_sums<MR, NV, Half>& acc) {
  constexpr int L = f32v::kLanes;
  f32v w[NV];
  unroll<NV>([&](auto j) EFFNET_LAMBDA { w[j] = f32v::load(weights + j * L); });
  unroll<MR>([&](auto i) EFFNET_LAMBDA {
    const f32v x = f32v::set(src[i * PS]);
    unroll<NV>([&](auto j) EFFNET_LAMBDA { acc.v[i][j] = fma(x, w[j], acc.v[i][j]); });
  });
}

// Two steps, or a last one, of a panel that ends in half a vector.
template <int Count, int PS, int MR, int NV>
EFFNET_INLINE const float* multiply_half_taps(const float* src, const float* weights, conv_sums<MR, NV, true>& acc) {
  constexpr int L = f32v::kLanes;
  unroll<Count>([&](auto step) EFFNET_LAMBDA {
    multiply_tap<PS>(src + step, weights + step * NV * L, acc);
    in_order();
  });
  const f32v w = f32v::load(weights + Count * NV * L);
  unroll<MR>([&](auto i) EFFNET_LAMBDA {
    acc.h[i] = fma(Count == 2 ? alternate(src + i * PS) : f32v::set(src[i * PS]), w, acc.h[i]);
  });
  return weights + (Count * NV + 1) * L;
}

template <int PS, int MR, int NV, bool Half>
EFFNET_INLINE const float* multiply_run(const float* src, int length, const float* weights, conv_sums<MR, NV, Half>& acc) {
  int k = 0;
  if constexpr (Half) {
    for (; k + 2 <= length; k += 2) weights = multiply_half_taps<2, PS>(src + k, weights, acc);
    if (k < length) weights = multiply_half_taps<1, PS>(src + k, weights, acc);
  } else {
    for (; k < length; ++k) {
      multiply_tap<PS>(src + k, weights, acc);
      weights += NV * f32v::kLanes;
    }
  }
  return weights;
}

// The sums of MR outputs, bias included, to the NV channel blocks from dst on, and one more with half a
// vector.
template <int MR, int NV, bool Half, int Stride, int C>
void conv_tile(const conv_args& c, const float* src, const float* weights, const float* bias, float* dst) {
  constexpr int L = f32v::kLanes;
  conv_sums<MR, NV, Half> acc;
  unroll<NV>([&](auto j) EFFNET_LAMBDA {
    const f32v b = f32v::load(bias + j * L);
    unroll<MR>([&](auto i) EFFNET_LAMBDA { acc.v[i][j] = b; });
  });
  if constexpr (Half) unroll<MR>([&](auto i) EFFNET_LAMBDA { acc.h[i] = f32v::zero(); });
  for (int channel = 0; channel < c.channels; channel += C) {
    const int together = c.channels - channel < C ? c.channels - channel : C;
    const int runs = together == C ? 1 : c.kernel, length = together == C ? c.kernel * C : together;
    for (int ky = 0; ky < c.kernel; ++ky)
      for (int run = 0; run < runs; ++run)
        weights = multiply_run<Stride * C>(src + ky * c.src_row + run * C, length, weights, acc);
    src += c.src_plane;
  }
  unroll<NV>([&](auto j) EFFNET_LAMBDA {
    unroll<MR>([&](auto i) EFFNET_LAMBDA { acc.v[i][j].store(dst + i * L); });
    dst += c.dst_plane;
  });
  if constexpr (Half) {
    const f32v b = f32v::load(bias + NV * L);
    unroll<MR>([&](auto i) EFFNET_LAMBDA { (add_neighbours(acc.h[i]) + b).store(dst + i * L); });
  }
}

template <int Stride, int C>
struct conv_kind {
  using fn = void (*)(const conv_args&, const float* src, const float* weights, const float* bias, float* dst);
  template <int MR, int NV, bool Half>
  static constexpr fn tile = conv_tile<MR, NV, Half, Stride, C>;
};

// What follows the sums, in place: activation and residual of a panel's part of row y.
EFFNET_NOINLINE void finish_row(const conv_args& c, int vector, int width, int y) {
  const int count = c.out_width * f32v::kLanes;
  for (int j = vector; j < vector + width; ++j) {
    float* dst = c.dst + j * c.dst_plane + y * c.dst_row;
    if (c.residual == nullptr)
      activate_run(c.act, dst, count);
    else
      activate_add(c.act, dst, count, c.residual_scale, c.residual + j * c.residual_plane + y * c.residual_row);
  }
}

template <class Tiles, int Stride, int C>
void conv(const conv_args& c) {
  constexpr int L = f32v::kLanes;
  static constexpr tile_table<Tiles, conv_kind<Stride, C>> tiles;
  const int full = c.vectors - c.half;
  for (int panel = c.panel_begin; panel < c.panel_end; ++panel) {
    const int vector = panel * c.panel_vectors;
    const int width = full - vector < c.panel_vectors ? full - vector : c.panel_vectors;
    const bool half = c.half && vector + width == full;
    const float* weights = c.weights + panel * c.panel_stride;
    const int tallest = Tiles::rows(width, half);
    const int count = (c.out_width + tallest - 1) / tallest;
    for (int y = c.row_begin; y < c.row_end; ++y) {
      const float* src = c.src + ptrdiff_t(y) * Stride * c.src_row;
      float* dst = c.dst + vector * c.dst_plane + y * c.dst_row;
      for (int t = 0, x = 0; t < count; ++t) {
        const int pixels = (c.out_width - x) / (count - t);  // tiles whose heights differ by at most one
        tiles.at[half][width - 1][pixels - 1](c, src + ptrdiff_t(x) * Stride * C, weights, c.bias + vector * L, dst + ptrdiff_t(x) * L);
        x += pixels;
      }
      if (c.act != activation::none || c.residual != nullptr) finish_row(c, vector, width + half, y);
    }
  }
}

}  // namespace
}  // namespace effnet
