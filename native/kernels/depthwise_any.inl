// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution with any kernel size (contract: depthwise_args), written once over f32v. Included
// by the translation unit of each instruction set after its vector header. The sizes that networks are
// full of have kernels of their own in depthwise.inl.
//
// W neighbouring outputs of a row of one channel block stay in registers while all taps pass: one load
// of a weight, then one load and one multiply-add per output. Activation and row sum follow in a second
// pass over the finished row, which is in the first-level cache, and exist once.
#pragma once

#include "kernels/kernels.h"
#include "simd/math.h"

namespace effnet {
namespace {

template <int S, int W>
void depthwise_any_segment(const depthwise_args& d, const float* src, const float* weights, const float* bias, float* dst) {
  constexpr int L = f32v::kLanes;
  f32v acc[W];
  const f32v b = f32v::load(bias);
  unroll<W>([&](auto i) EFFNET_LAMBDA { acc[i] = b; });
  for (int ky = 0; ky < d.kernel; ++ky, src += d.src_row)
    for (int kx = 0; kx < d.kernel; ++kx, weights += L) {
      const f32v w = f32v::load(weights);
      const float* from = src + kx * L;
      unroll<W>([&](auto i) EFFNET_LAMBDA { acc[i] = fma(f32v::load(from + i * S * L), w, acc[i]); });
    }
  unroll<W>([&](auto i) EFFNET_LAMBDA { acc[i].store(dst + i * L); });
}

using depthwise_any_fn = void (*)(const depthwise_args&, const float*, const float*, const float*, float*);

constexpr int kAnyWidest = 8;
template <int S>
struct depthwise_any_table {
  depthwise_any_fn at[kAnyWidest];
  constexpr depthwise_any_table() : at() { fill<1>(); }
  template <int W>
  constexpr void fill() {
    at[W - 1] = depthwise_any_segment<S, W>;
    if constexpr (W < kAnyWidest) fill<W + 1>();
  }
};

template <int S>
void depthwise_any(const depthwise_args& d) {
  constexpr int L = f32v::kLanes;
  static constexpr depthwise_any_table<S> segments;
  const int count = (d.out_width + kAnyWidest - 1) / kAnyWidest;
  for (int block = d.block_begin; block < d.block_end; ++block) {
    const float* weights = d.weights + ptrdiff_t(block) * d.kernel * d.kernel * L;
    const float* bias = d.bias + ptrdiff_t(block) * L;
    for (int y = d.row_begin; y < d.row_end; ++y) {
      const float* src = d.src + block * d.src_plane + ptrdiff_t(y) * S * d.src_row;
      float* dst = d.dst + block * d.dst_plane + y * d.dst_row;
      for (int i = 0, x = 0; i < count; ++i) {
        const int width = (d.out_width - x) / (count - i);  // segments whose widths differ by at most one
        segments.at[width - 1](d, src + ptrdiff_t(x) * S * L, weights, bias, dst + ptrdiff_t(x) * L);
        x += width;
      }
      finish_depthwise_row(d, block, y);
    }
  }
}

}  // namespace
}  // namespace effnet
