// SPDX-License-Identifier: Apache-2.0
// The contract between the engine and the kernels: argument structs, the table of one instruction
// set, and the ordered list of tables. No kernel body and no intrinsic is here.
//
// Names used everywhere below:
//   L      lanes: floats in one vector of the table's instruction set (kernel_table::lanes)
//   map    activations in channel blocks: [ceil(c / L)][rows][columns][L]; the lanes past c hold zeros
//          (act(0), so a sigmoid leaves 0.5 there; no result depends on these lanes)
//   plane  floats between two channel blocks of a map
//   m n k  pixels, output channels, input channels of a pointwise layer
//   panel  nr = panel_vectors * L output channels whose weights lie together
// Strides are in floats, never bytes. Pointers to maps and weights are aligned to 64 bytes.
// A kernel reads and writes nothing outside what its arguments describe, masked or not.
#pragma once

#include <cstddef>
#include <cstdint>

namespace effnet {

// hard_sigmoid(x) = min(max(x + 3, 0), 6) / 6 and hard_swish(x) = x * hard_sigmoid(x), as PyTorch.
// Networks have the first seven, kernels all but swish and sigmoid: instead of those they compute
// exp2_swish(t) = t / (1 + 2^t) and exp2_sigmoid(t) = 1 / (1 + 2^t). With t = -log2(e) x they are
// -log2(e) swish(x) and sigmoid(x); the factors are folded into weights and biases when those are packed,
// which saves a multiplication for every activation. newton_swish is exp2_swish without a division, for
// processors that divide slowly.
enum class activation : uint8_t { none, relu, relu6, swish, sigmoid, hard_swish, hard_sigmoid, exp2_swish, exp2_sigmoid, newton_swish };
constexpr int kActivations = 7;  // of a network

// The kernels' form of a network's activation, with the factors that make it the same function:
// kernel(before * x) = after * network(x).
struct scaled_activation {
  activation act;
  float before, after;
};
constexpr scaled_activation to_kernel(activation act, bool divide = true) {
  constexpr float kMinusLog2E = -1.44269504f;
  if (act == activation::swish) return {divide ? activation::exp2_swish : activation::newton_swish, kMinusLog2E, kMinusLog2E};
  if (act == activation::sigmoid) return {activation::exp2_sigmoid, kMinusLog2E, 1.0f};
  return {act, 1.0f, 1.0f};
}

// Where pixel number i of a map lies: pixels of one row follow each other L floats apart, and
// `gap` floats (a border, or 0) are skipped after each row of `width` pixels.
struct pixel_rows {
  int width = 1;
  ptrdiff_t gap = 0;
};

// A pointwise layer as a matrix product:
//   dst[n][i] = act(sum_k src[k][i] * weights[k][n] + bias[n]) + residual_scale * residual[n][i]
// The k inputs of pixel i are `segments` runs of `segment_length` consecutive floats (the last run
// holds last_segment_length), run s starting at src + s * segment_stride + i * L: a run is what one channel
// block has of the pixel.
// Outputs of a panel are computed for all of [pixel_begin, pixel_end) by one call; how callers cut
// the pixels never changes a bit of the result, since each output adds its terms in the order of k.
struct gemm_args {
  const float* src = nullptr;
  ptrdiff_t segment_stride = 0;
  int segments = 0;
  int segment_length = 0;
  int last_segment_length = 0;
  const float* weights = nullptr;  // the panel: [k][panel vectors * L]
  ptrdiff_t panel_stride = 0;      // floats from one panel to the next
  const float* bias = nullptr;     // [n rounded up to L], zeros past n
  float* dst = nullptr;            // map, or null when pooling
  ptrdiff_t dst_plane = 0;
  pixel_rows dst_rows;
  const float* residual = nullptr;  // map or null
  ptrdiff_t residual_plane = 0;
  pixel_rows residual_rows;
  float residual_scale = 1.0f;
  float* pool = nullptr;  // pooling only: [n rounded up to L], receives the sum over all pixels
  int vectors = 0;         // output vectors: ceil(n / L)
  bool half = false;       // the panels are packed with a half vector at the end (kernels/pack.h)
  // Memory that will be needed soon, asked for in even steps while all of this is computed; null: none. Any address
  // will do.
  const float* ahead = nullptr;
  ptrdiff_t ahead_floats = 0;
  // The source lies beyond the second-level cache: the first panel asks for the next tile's pixels instead. With its
  // source from memory a projection of B7 takes half of the time (Zen 5, 2.9 in place of 5.5 ms).
  bool source_far = false;
  int panel_begin = 0, panel_end = 0;
  int pixel_begin = 0, pixel_end = 0;
  activation act = activation::none;
};
using gemm_fn = void (*)(const gemm_args&);

// Dense convolution with a square kernel, output rows [row_begin, row_end) of [panel_begin, panel_end):
//   dst[n][y][x] = act(sum_{c,i,j} src[c][y * s + i][x * s + j] * weights[n][c][i][j] + bias[n])
//                  + residual_scale * residual[n][y][x]
// src points at the top-left element of a map whose border already holds zeros, so that the padding
// is part of the source. Stride s is the kernel's own. The stem's source is an interleaved image, its
// three channels one block, so that src_plane plays no part. A panel is panel_vectors wide, at most
// kernel_table::conv_vectors, and its k runs over channel blocks, rows of the kernel, columns of the
// kernel, and the channels of the block (as many as there are, in the last one).
struct conv_args {
  const float* src = nullptr;
  ptrdiff_t src_plane = 0, src_row = 0;
  int channels = 0;  // of src
  int kernel = 0;
  const float* weights = nullptr;  // the panel: [k][panel vectors * L]
  ptrdiff_t panel_stride = 0;
  int panel_vectors = 0;
  const float* bias = nullptr;  // [n rounded up to L], zeros past n
  float* dst = nullptr;
  ptrdiff_t dst_plane = 0, dst_row = 0;
  const float* residual = nullptr;  // map or null
  ptrdiff_t residual_plane = 0, residual_row = 0;
  float residual_scale = 1.0f;
  int out_width = 0;
  int vectors = 0;    // output vectors: ceil(n / L)
  bool half = false;  // the panels are packed with a half vector at the end (kernels/pack.h)
  int panel_begin = 0, panel_end = 0;
  int row_begin = 0, row_end = 0;
  activation act = activation::none;
};
using conv_fn = void (*)(const conv_args&);

// Depthwise convolution of channel blocks [block_begin, block_end), output rows [row_begin, row_end):
//   dst[c][y][x] = act(sum_{i,j} src[c][y * s + i][x * s + j] * weights[c][i][j] + bias[c])
// src points at the top-left element of a map whose border already holds zeros, so that the padding
// is part of the source. sums, when not null, receives per block and row the sum over that row of dst
// ([blocks][out_height][L]); the squeeze adds them in row order.
struct depthwise_args {
  const float* src = nullptr;
  ptrdiff_t src_plane = 0, src_row = 0;
  const float* weights = nullptr;  // [blocks][kernel * kernel][L]
  const float* bias = nullptr;     // [blocks][L]
  float* dst = nullptr;
  ptrdiff_t dst_plane = 0, dst_row = 0;
  float* sums = nullptr;
  int out_height = 0, out_width = 0;
  int kernel = 0;  // looked at by depthwise_s1 and depthwise_s2, which take any size
  bool source_far = false;  // beyond the second-level cache: the next row may be asked for while one is computed
  int block_begin = 0, block_end = 0;
  int row_begin = 0, row_end = 0;
  activation act = activation::none;
};
using depthwise_fn = void (*)(const depthwise_args&);

// One vector through a matrix, for squeeze, excite and classifier:
//   dst[n] = act(sum_k src[k] * weights[k][n] + bias[n])
// Weights as in gemm_args. dst has room for n rounded up to L.
struct gemv_args {
  const float* src = nullptr;
  int k = 0;
  const float* weights = nullptr;
  ptrdiff_t panel_stride = 0;
  const float* bias = nullptr;
  float* dst = nullptr;
  int vectors = 0;
  int panel_begin = 0, panel_end = 0;
  activation act = activation::none;
};
using gemv_fn = void (*)(const gemv_args&);

// mean[c] = scale * sum_y sums[c][y] for channel blocks [block_begin, block_end).
struct mean_args {
  const float* sums = nullptr;  // [blocks][rows][L]
  float* mean = nullptr;        // [blocks][L]
  int rows = 0;
  int block_begin = 0, block_end = 0;
  float scale = 1.0f;
};
using mean_fn = void (*)(const mean_args&);

// The gate, on the smaller operand of the projection.
// Weights: dst[k][n] = src[k][n] * gate[k], a panel of `vectors` as kernels/pack.h has it, in one run.
// Map: dst[b][i] = src[b][i] * gate[b] over `pixels` vectors of each channel block.
struct gate_weights_args {
  const float* src = nullptr;
  float* dst = nullptr;
  const float* gate = nullptr;
  int k = 0;
  int vectors = 0;    // of the panel
  bool half = false;  // it ends in half a vector
};
using gate_weights_fn = void (*)(const gate_weights_args&);
struct gate_map_args {
  float* map = nullptr;  // in place
  ptrdiff_t plane = 0;
  const float* gate = nullptr;  // [blocks][L]
  int pixels = 0;
  int block_begin = 0, block_end = 0;
};
using gate_map_fn = void (*)(const gate_map_args&);

// One pass of an antialiased resize of 8-bit pixels. Position p of the source is `bytes` bytes at
// src + (p - src_first) * src_step; output i of [begin, end) is `bytes` bytes at dst + (i - begin) * dst_step:
//   dst[i][b] = clip((2^(bits - 1) + sum_k weights[i][k] * src[runs[i].first + k][b]) >> bits), bits = kResampleBits
// Vertically a position is a row, horizontally one column of a band of rows. Sums fit 32 bits where the
// weights of an output add up to 2^kResampleBits and their sizes to less than twice that. All strides
// here are in bytes.
struct tap_run {
  int first, count;
  int end() const { return first + count; }
};
constexpr int kResampleBits = 32 - 8 - 2;  // 8 for the pixel, 2 for sums outside 0..255
constexpr int kResampleBytes = 48;         // `bytes` is a multiple: whole pixels and whole vectors
struct resample_args {
  const uint8_t* src = nullptr;
  ptrdiff_t src_step = 0;
  int src_first = 0;
  const tap_run* runs = nullptr;
  const int32_t* weights = nullptr;  // [outputs][weight_pitch]
  ptrdiff_t weight_pitch = 0;
  uint8_t* dst = nullptr;
  ptrdiff_t dst_step = 0;
  int bytes = 0;
  int begin = 0, end = 0;
};
using resample_fn = void (*)(const resample_args&);

// What the machine can do, measured for benchmarks; the engine uses neither.
// fma:  `iterations` multiply-adds on each of kernel_table::probe_chains vectors that stay in registers:
//       v[j] = v[j] * 1/2 + 1/2 from v[j] = 1 + j; dst = sum_j v[j]
// read: dst = sum of the `vectors` vectors from src on, gone through `iterations` times
struct probe_args {
  const float* src = nullptr;
  size_t vectors = 0;
  int64_t iterations = 0;
  float* dst = nullptr;  // [L]
};
using probe_fn = void (*)(const probe_args&);

// A named kernel: <op>_f32_<params>_<isa>; the name is what tests, benches and model.info show.
template <class Fn>
struct named {
  const char* name = nullptr;
  Fn fn = nullptr;
};

constexpr int kMaxPanelVectors = 4;

// Everything the engine needs from one instruction set. Tile sizes are data: packing reads them.
struct kernel_table {
  const char* isa;
  uint32_t cpu_bits;  // cpu features (base/cpu.h) that must all be present
  int lanes;
  int gemm_rows;     // pixels of a tile as wide as a panel
  int gemm_tallest;  // the most pixels of a tile
  int gemm_vectors;  // panel width, in vectors
  bool gemm_halves;  // panels may end in half a vector (kernels/pack.h)
  int gemv_vectors;  // panel width of gemv, in vectors
  int conv_vectors;  // widest panel of the dense convolutions, in vectors
  bool newton;       // newton_swish differs from exp2_swish, and is the faster where division is slow
  named<gemm_fn> gemm;
  named<conv_fn> stem_k3s2;  // of an interleaved image with 3 channels
  named<depthwise_fn> depthwise_k3s1, depthwise_k3s2, depthwise_k5s1, depthwise_k5s2;
  named<depthwise_fn> depthwise_s1, depthwise_s2;  // any kernel size
  named<conv_fn> conv_s1, conv_s2;                 // any kernel size
  named<gemv_fn> gemv;
  named<mean_fn> mean;
  named<gate_weights_fn> gate_weights;
  named<gate_map_fn> gate_map;
  named<resample_fn> resample;  // of 8-bit pixels; u8 in its name
  int probe_chains;  // multiply-adds of one iteration of probe_fma
  named<probe_fn> probe_fma, probe_read;
};

}  // namespace effnet
