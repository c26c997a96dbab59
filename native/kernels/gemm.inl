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
//   ...      (MR rows, L floats apart)
//
// MR and NV are compile-time, so is the distance between pixels: with it at run time clang 19 keeps row
// pointers on the stack. m pixels are cut into div_up(m, rows) tiles whose heights differ
// by at most one, so that no tile is left with a few rows. Tiles leave plain sums; activation, residual and
// pooling follow on some tens of pixels while these are in the first-level cache, in code that exists once.
#pragma once

#include "kernels/kernels.h"
#include "kernels/tile.inl"
#include "simd/math.h"

namespace effnet {
namespace {

// v[i][j]: pixel i, vector j. h[i]: the half vector after them, even and odd steps of k in turns.
template <int MR, int NV, bool Half>
struct accumulators {
  f32v v[MR][NV];
  f32v h[Half ? MR : 1];
};

// One step of k: a row of weights, and at a + i * L the input of pixel i.
template <int MR, int NV, bool Half>
EFFNET_INLINE void multiply_step(const float* a, const float* weights, accumulators<MR, NV, Half>& acc) {
  constexpr int L = f32v::kLanes;
  f32v w[NV];
  unroll<NV>([&](auto j) EFFNET_LAMBDA { w[j] = f32v::load(weights + j * L); });
  unroll<MR>([&](auto i) EFFNET_LAMBDA {
    const f32v x = f32v::set(a[i * L]);
    unroll<NV>([&](auto j) EFFNET_LAMBDA { acc.v[i][j] = fma(x, w[j], acc.v[i][j]); });
  });
}

// Two steps, or a last one, of a panel that ends in half a vector. A pair costs 2 NV + 1 multiply-adds a pixel and no
// other vector instruction; a blend of two pixels' inputs would share the multiply-adds' ports.
template <int Count, int MR, int NV>
EFFNET_INLINE const float* multiply_half(const float* a, const float* weights, accumulators<MR, NV, true>& acc) {
  constexpr int L = f32v::kLanes;
  unroll<Count>([&](auto step) EFFNET_LAMBDA {
    multiply_step(a + step, weights + step * NV * L, acc);
    in_order();
  });
  const f32v w = f32v::load(weights + Count * NV * L);
  unroll<MR>([&](auto i) EFFNET_LAMBDA {
    acc.h[i] = fma(Count == 2 ? alternate(a + i * L) : f32v::set(a[i * L]), w, acc.h[i]);
  });
  return weights + (Count * NV + 1) * L;
}

// What is asked for, one address for each step of k: a part of gemm_args::ahead, or the next tile's pixels, segment by
// segment. Less than a line further each time, lines are asked for more than once, which costs nothing: the loads have a
// port to spare.
struct look_ahead {
  const float* at;
  ptrdiff_t stride;
  ptrdiff_t segment;  // further after each segment
  EFFNET_INLINE void step() {
    prefetch(at);
    at += stride;
  }
};

template <int MR, int NV, int Steps>
EFFNET_INLINE void multiply(const gemm_args& g, const float* src, const float* weights, look_ahead ahead,
                            accumulators<MR, NV, false>& acc) {
  constexpr int kRow = NV * f32v::kLanes;
  for (int s = 0; s < g.segments; ++s) {
    const float* a = src + s * g.segment_stride;
    const int length = s + 1 == g.segments ? g.last_segment_length : g.segment_length;
    int k = 0;
    for (; k + Steps <= length; k += Steps) {
      unroll<Steps>([&](auto step) EFFNET_LAMBDA {
        ahead.step();
        multiply_step(a + step, weights + step * kRow, acc);
      });
      a += Steps;
      weights += Steps * kRow;
    }
    if constexpr (Steps > 1) {
      for (; k < length; ++k) {
        ahead.step();
        multiply_step(a++, weights, acc);
        weights += kRow;
      }
    }
    ahead.at += ahead.segment;
  }
}

template <int MR, int NV, int Steps>
EFFNET_INLINE void multiply(const gemm_args& g, const float* src, const float* weights, look_ahead ahead,
                            accumulators<MR, NV, true>& acc) {
  for (int s = 0; s < g.segments; ++s) {
    const float* a = src + s * g.segment_stride;
    const int length = s + 1 == g.segments ? g.last_segment_length : g.segment_length;
    int k = 0;
    for (; k + 2 <= length; k += 2) {
      ahead.step();
      ahead.step();
      weights = multiply_half<2>(a + k, weights, acc);
    }
    if (k < length) {
      ahead.step();
      weights = multiply_half<1>(a + k, weights, acc);
    }
    ahead.at += ahead.segment;
  }
}

// Where a tile leaves its sums: pixel i of vector j at at + j * plane + offset(rows, i).
struct gemm_target {
  float* at;
  ptrdiff_t plane;
  pixel_rows rows;
};

EFFNET_INLINE ptrdiff_t pixel_offset(const pixel_rows& rows, int pixel) {
  return ptrdiff_t(pixel) * f32v::kLanes + (rows.gap == 0 ? 0 : pixel / rows.width * rows.gap);
}

// Steps over the target's pixels, the first being number `pixel`.
struct pixel_walk {
  int left;  // in this row
  ptrdiff_t at;
  pixel_walk(const pixel_rows& rows, int pixel) : left(rows.width - pixel % rows.width), at(pixel_offset(rows, pixel)) {}
  // Offsets of the next MR pixels.
  template <int MR>
  EFFNET_INLINE void take(const pixel_rows& rows, ptrdiff_t (&offset)[MR]) {
    for (int i = 0; i < MR; ++i) {
      offset[i] = at;
      at += f32v::kLanes;
      if (--left == 0) {
        left = rows.width;
        at += rows.gap;
      }
    }
  }
};

// The sums of MR pixels, bias included, to the target's pixels.
template <int MR, int NV, bool Half, int Steps>
EFFNET_INLINE void gemm_tile(const gemm_args& g, const float* src, const float* weights, look_ahead ahead, const float* bias,
                             const gemm_target& target, pixel_walk& pixels) {
  constexpr int L = f32v::kLanes;
  accumulators<MR, NV, Half> acc;
  unroll<NV>([&](auto j) EFFNET_LAMBDA {
    const f32v b = f32v::load(bias + j * L);
    unroll<MR>([&](auto i) EFFNET_LAMBDA { acc.v[i][j] = b; });
  });
  if constexpr (Half) unroll<MR>([&](auto i) EFFNET_LAMBDA { acc.h[i] = f32v::zero(); });
  multiply<MR, NV, Steps>(g, src, weights, ahead, acc);
  ptrdiff_t to[MR];
  pixels.take(target.rows, to);
  float* dst = target.at;
  unroll<NV>([&](auto j) EFFNET_LAMBDA {
    unroll<MR>([&](auto i) EFFNET_LAMBDA { acc.v[i][j].store(dst + to[i]); });
    dst += target.plane;
  });
  if constexpr (Half) {
    const f32v b = f32v::load(bias + NV * L);
    unroll<MR>([&](auto i) EFFNET_LAMBDA { (add_neighbours(acc.h[i]) + b).store(dst + to[i]); });
  }
}

// `tiles` one after the other, from the target's pixel `pixel` on; each looks as much further as it does itself.
template <int MR, int NV, bool Half, int Steps>
void gemm_tiles(const gemm_args& g, const float* src, const float* weights, look_ahead ahead, ptrdiff_t ahead_each, const float* bias,
                const gemm_target& target, int pixel, int tiles) {
  pixel_walk pixels(target.rows, pixel);
  for (; tiles > 0; --tiles) {
    gemm_tile<MR, NV, Half, Steps>(g, src, weights, ahead, bias, target, pixels);
    src += MR * f32v::kLanes;
    ahead.at += ahead_each;
  }
}

// Steps: of k, written out in the inner loop.
template <int Steps>
struct gemm_kind {
  using fn = void (*)(const gemm_args&, const float* src, const float* weights, look_ahead ahead, ptrdiff_t ahead_each,
                      const float* bias, const gemm_target&, int pixel, int tiles);
  template <int MR, int NV, bool Half>
  static constexpr fn tile = gemm_tiles<MR, NV, Half, Steps>;
};

// How many pixels from `pixel` on, of `most`, lie together.
EFFNET_INLINE int run_length(const pixel_rows& rows, int pixel, int most) {
  const int left = rows.gap == 0 ? most : rows.width - pixel % rows.width;
  return left < most ? left : most;
}

// What follows the sums of pixels [begin, end), in place: activation and residual, run by run.
EFFNET_NOINLINE void finish_pixels(const gemm_args& g, int vector, int vectors, int begin, int end) {
  if (g.act == activation::none && g.residual == nullptr) return;
  for (int j = vector; j < vector + vectors; ++j) {
    for (int pixel = begin, run; pixel < end; pixel += run) {
      run = run_length(g.dst_rows, pixel, end - pixel);
      float* dst = g.dst + j * g.dst_plane + pixel_offset(g.dst_rows, pixel);
      if (g.residual == nullptr) {
        activate_run(g.act, dst, run * f32v::kLanes);
        continue;
      }
      run = run_length(g.residual_rows, pixel, run);
      const float* residual = g.residual + j * g.residual_plane + pixel_offset(g.residual_rows, pixel);
      activate_add(g.act, dst, run * f32v::kLanes, g.residual_scale, residual);
    }
  }
}

EFFNET_NOINLINE void finish_pool(const gemm_args& g, int vector, int vectors, const gemm_target& sums, int pixels) {
  constexpr int L = f32v::kLanes;
  for (int j = 0; j < vectors; ++j) {
    float* pool = g.pool + (vector + j) * L;
    (f32v::load(pool) + activate_sum(g.act, sums.at + j * sums.plane, pixels * L)).store(pool);
  }
}

// Pixels whose sums wait in the first-level cache for what follows them, at least. With 48 the beginning of what
// follows shows: B0 takes 1.01 times as long (Zen 5).
constexpr int kWaitingPixels = 96;

// Where one panel lies, and its share of what to look ahead to, or that it looks ahead to its source.
struct gemm_panel_at {
  int vector, width;  // the first, and how many there are before half a one
  bool half;
  const float* weights;
  const float* ahead;
  ptrdiff_t ahead_floats;
  bool source_far;
};

template <class Tiles, int Steps>
EFFNET_INLINE void gemm_panel(const gemm_args& g, const gemm_panel_at& p) {
  constexpr int L = f32v::kLanes, kMost = kWaitingPixels + Tiles::tallest();
  static constexpr tile_table<Tiles, gemm_kind<Steps>> tiles;
  alignas(64) float pooled[kMost * (Tiles::kVectors + 1) * L];
  const bool pool = g.pool != nullptr;
  const int vectors = p.width + p.half;
  const gemm_target target = pool ? gemm_target{pooled, kMost * L, {kMost, 0}}
                                  : gemm_target{g.dst + p.vector * g.dst_plane, g.dst_plane, g.dst_rows};
  const int pixels = g.pixel_end - g.pixel_begin, tallest = Tiles::rows(p.width, p.half);
  const int count = (pixels + tallest - 1) / tallest;
  const int low = pixels / count, taller = pixels % count;
  const int k = (g.segments - 1) * g.segment_length + g.last_segment_length;
  const ptrdiff_t share = p.ahead_floats / count, stride = (share + k - 1) / k;
  int pixel = g.pixel_begin, finished = pixel;
  for (int t = 0, run; t < count; t += run) {
    const int rows = low + (t < taller), alike = t < taller ? taller - t : count - t;
    const int wanted = (kWaitingPixels - (pixel - finished) + rows - 1) / rows;
    run = wanted < alike ? wanted : alike;
    const float* src = g.src + ptrdiff_t(pixel) * L;
    // The L steps of a segment pass the `rows` vectors that the next tile has of it.
    const look_ahead ahead = p.source_far ? look_ahead{src + rows * L, rows, g.segment_stride - rows * L}
                                          : look_ahead{p.ahead + t * share, stride, 0};
    tiles.at[p.half][p.width - 1][rows - 1](g, src, p.weights, ahead, p.source_far ? rows * L : share, g.bias + p.vector * L,
                                            target, pool ? pixel - finished : pixel, run);
    pixel += run * rows;
    if (t + run < count && pixel - finished < kWaitingPixels) continue;
    if (pool)
      finish_pool(g, p.vector, vectors, target, pixel - finished);
    else
      finish_pixels(g, p.vector, vectors, finished, pixel);
    finished = pixel;
  }
}

template <class Tiles, int Steps>
void gemm(const gemm_args& g) {
  constexpr int L = f32v::kLanes;
  const int full = g.vectors - g.half, panels = g.panel_end - g.panel_begin;
  const bool looks = g.ahead != nullptr && panels > 0;
  const ptrdiff_t share = looks ? g.ahead_floats / panels : 0;
  for (int panel = g.panel_begin; panel < g.panel_end; ++panel) {
    gemm_panel_at p;
    p.vector = panel * Tiles::kVectors;
    p.width = full - p.vector < Tiles::kVectors ? full - p.vector : Tiles::kVectors;
    p.half = g.half && p.vector + p.width == full;
    p.weights = g.weights + panel * g.panel_stride;
    p.ahead = looks ? g.ahead + (panel - g.panel_begin) * share : p.weights;
    p.ahead_floats = share;
    p.source_far = g.source_far && panel == g.panel_begin;
    if (g.pool != nullptr)
      for (int j = 0; j < p.width + p.half; ++j) f32v::zero().store(g.pool + (p.vector + j) * L);
    if (g.pixel_begin < g.pixel_end) gemm_panel<Tiles, Steps>(g, p);
  }
}

}  // namespace
}  // namespace effnet
