// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution (contract: depthwise_args), written once over f32v. Included by the
// translation unit of each instruction set after its vector header.
//
// One call of a segment computes W neighbouring outputs of a row, of one channel block, in W
// accumulators. For each kernel row it loads K weights, then every input vector once, and uses it
// in all the outputs it reaches:
//
//   stride 1, K = 3      x0 x1 x2 x3 ...       out o takes x(o) w0 + x(o+1) w1 + x(o+2) w2
//   stride 2, K = 3      x0 x1 x2 x3 x4 ...    out o takes x(2o) w0 + x(2o+1) w1 + x(2o+2) w2
//
// The border of zeros in the source makes edges like the rest. A row is cut into segments whose
// widths differ by at most one. On maps so narrow that half the accumulators would stay idle, two rows
// are computed at once (stride 1): an input vector then serves both.
#pragma once

#include "kernels/kernels.h"
#include "simd/math.h"

namespace effnet {
namespace {

template <int K, int S, int W>
EFFNET_INLINE void accumulate_row(const float* src, const float* weights, f32v (&acc)[W]) {
  constexpr int L = f32v::kLanes;
  f32v w[K];
  unroll<K>([&](auto j) EFFNET_LAMBDA { w[j] = f32v::load(weights + j * L); });
  unroll<(W - 1) * S + K>([&](auto column) EFFNET_LAMBDA {
    const f32v x = f32v::load(src + column * L);
    unroll<K>([&](auto j) EFFNET_LAMBDA {
      constexpr int from = decltype(column){} - decltype(j){};
      if constexpr (from >= 0 && from % S == 0 && from / S < W) acc[from / S] = fma(x, w[j], acc[from / S]);
    });
  });
}

// The sums of W outputs.
template <int K, int S, int W>
void depthwise_segment(const depthwise_args& d, const float* src, const float* weights, const float* bias, float* dst) {
  constexpr int L = f32v::kLanes;
  f32v acc[W];
  const f32v b = f32v::load(bias);
  unroll<W>([&](auto i) EFFNET_LAMBDA { acc[i] = b; });
  for (int ky = 0; ky < K; ++ky) accumulate_row<K, S, W>(src + ky * d.src_row, weights + ky * K * L, acc);
  unroll<W>([&](auto i) EFFNET_LAMBDA { acc[i].store(dst + i * L); });
}

// One row of input for two rows of output: upper row weights for acc[0], one row earlier for acc[1].
template <int K, int W>
EFFNET_INLINE void accumulate_row_of_two(const float* src, const float* weights, f32v (&acc)[2][W]) {
  constexpr int L = f32v::kLanes;
  f32v w[2][K];
  unroll<K>([&](auto j) EFFNET_LAMBDA {
    w[0][j] = f32v::load(weights + j * L);
    w[1][j] = f32v::load(weights + (j - K) * L);
  });
  unroll<W - 1 + K>([&](auto column) EFFNET_LAMBDA {
    const f32v x = f32v::load(src + column * L);
    unroll<K>([&](auto j) EFFNET_LAMBDA {
      constexpr int to = decltype(column){} - decltype(j){};
      if constexpr (to >= 0 && to < W) {
        acc[0][to] = fma(x, w[0][j], acc[0][to]);
        acc[1][to] = fma(x, w[1][j], acc[1][to]);
      }
    });
  });
}

// The sums of two whole rows of W outputs, stride 1. The terms of each output come in the same order as in
// depthwise_segment.
template <int K, int W>
void depthwise_pair(const depthwise_args& d, const float* src, const float* weights, const float* bias, float* dst) {
  constexpr int L = f32v::kLanes;
  f32v acc[2][W];
  const f32v b = f32v::load(bias);
  unroll<2 * W>([&](auto i) EFFNET_LAMBDA { acc[i / W][i % W] = b; });
  accumulate_row<K, 1, W>(src, weights, acc[0]);
  for (int ky = 1; ky < K; ++ky) accumulate_row_of_two<K, W>(src + ky * d.src_row, weights + ky * K * L, acc);
  accumulate_row<K, 1, W>(src + K * d.src_row, weights + (K - 1) * K * L, acc[1]);
  unroll<2 * W>([&](auto i) EFFNET_LAMBDA { acc[i / W][i % W].store(dst + (i / W) * d.dst_row + (i % W) * L); });
}

using depthwise_fn_of_size = void (*)(const depthwise_args&, const float* src, const float* weights, const float* bias, float* dst);

// Widths up to Widest / 2, where the registers hold two rows of them and the weights of two kernel rows.
template <int K, int S, int Widest>
struct depthwise_pair_table {
  static constexpr int kWidest = S == 1 && 2 * (Widest / 2) + 2 * K + 3 <= f32v::kRegisters ? Widest / 2 : 0;
  depthwise_fn_of_size at[kWidest + 1];
  constexpr depthwise_pair_table() : at() {
    if constexpr (kWidest > 0) fill<1>();
  }
  template <int W>
  constexpr void fill() {
    at[W] = depthwise_pair<K, W>;
    if constexpr (W < kWidest) fill<W + 1>();
  }
};

template <int K, int S, int Widest>
struct depthwise_segment_table {
  depthwise_fn_of_size at[Widest];
  constexpr depthwise_segment_table() : at() { fill<1>(); }
  template <int W>
  constexpr void fill() {
    at[W - 1] = depthwise_segment<K, S, W>;
    if constexpr (W < Widest) fill<W + 1>();
  }
};

// What follows the sums of row y, in place: the activation, and the sum of the results.
EFFNET_INLINE void finish_depthwise_row(const depthwise_args& d, int block, int y) {
  constexpr int L = f32v::kLanes;
  float* dst = d.dst + block * d.dst_plane + y * d.dst_row;
  if (d.sums == nullptr) return activate_run(d.act, dst, d.out_width * L);
  activate_sum(d.act, dst, d.out_width * L).store(d.sums + (ptrdiff_t(block) * d.out_height + y) * L);
}

template <int K, int S, int Widest>
void depthwise(const depthwise_args& d) {
  constexpr int L = f32v::kLanes;
  static_assert(Widest + K + 1 <= f32v::kRegisters, "accumulators would spill");
  static constexpr depthwise_segment_table<K, S, Widest> segments;
  static constexpr depthwise_pair_table<K, S, Widest> pairs;
  const bool narrow = d.out_width > 0 && d.out_width <= pairs.kWidest;
  const int count = (d.out_width + Widest - 1) / Widest;
  const int low = count > 0 ? d.out_width / count : 0, wider = count > 0 ? d.out_width % count : 0;
  for (int block = d.block_begin; block < d.block_end; ++block) {
    const float* weights = d.weights + ptrdiff_t(block) * K * K * L;
    const float* bias = d.bias + ptrdiff_t(block) * L;
    int y = d.row_begin;
    for (; narrow && y + 2 <= d.row_end; y += 2) {
      pairs.at[d.out_width](d, d.src + block * d.src_plane + ptrdiff_t(y) * d.src_row, weights, bias,
                            d.dst + block * d.dst_plane + y * d.dst_row);
      finish_depthwise_row(d, block, y);
      finish_depthwise_row(d, block, y + 1);
    }
    for (; y < d.row_end; ++y) {
      const float* src = d.src + block * d.src_plane + ptrdiff_t(y) * S * d.src_row;
      float* dst = d.dst + block * d.dst_plane + y * d.dst_row;
      for (int i = 0; i < count; ++i) {
        const int width = low + (i < wider);
        if (d.source_far)
          for (int column = 0; column < width * S; ++column) prefetch(src + K * d.src_row + column * L);
        segments.at[width - 1](d, src, weights, bias, dst);
        src += width * S * L;
        dst += width * L;
      }
      finish_depthwise_row(d, block, y);
    }
  }
}

}  // namespace
}  // namespace effnet
