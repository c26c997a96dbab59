// SPDX-License-Identifier: Apache-2.0
// What the parts of the executor share: its state, the layers that several kinds of block are made of,
// and how a loop is cut for the threads. Included by executor.cc, layers.cc, mbconv.cc and fused.cc only.
#pragma once

#include <algorithm>
#include <memory>

#include "base/pool.h"
#include "engine/model.h"
#include "engine/packed.h"
#include "engine/plan.h"
#include "engine/step_clock.h"

namespace effnet {

// Cuts `count` into pieces of about `piece`, at least as many as `pieces`; piece i is [cut(i), cut(i + 1)).
struct cuts {
  int count, pieces;
  cuts(int n, int piece, int at_least) : count(n), pieces(std::max(1, std::min(n, std::max(div_up(n, std::max(piece, 1)), at_least)))) {}
  int cut(int i) const { return int(int64_t(count) * i / pieces); }
};

// Zeros everything of blocks [begin, end) that is not a pixel.
void clear_border(const map& m, float* base, int begin, int end);
// [height][width][channels], each number times `scale`.
void copy_pixels(const map& m, const float* base, float scale, float* to);
// What remains of it for one panel alone.
gemm_args one_panel(gemm_args g, const panels& layout, int panel);
// The map as a pointwise layer's source.
void source_map(gemm_args& g, const map& src, const float* base);

// What runs images one at a time: the executor with all its threads, or one of its lanes. The executor
// itself is the first lane, so that the scratch of its lanes is all that it has.
struct executor::impl {
  static constexpr int kNoBlock = -1;

  std::shared_ptr<const model> owner;
  thread_pool* pool = nullptr;  // shares the items of the loops
  int threads = 1;              // that scratch is planned for
  size_t l2 = 0;             // bytes
  size_t source_budget = 0;  // floats of a layer's source that one item may cover
  plan current;
  aligned_buffer arena;
  std::vector<char> has_gated;  // of each thread: all panels of the layer that is being computed
  std::vector<int> band_of;  // of each thread: the block whose border stands around its band
  step_clock clock;

  const model::impl& net() const { return owner->get(); }
  const kernel_table& table() const { return *net().table; }
  float* at(size_t offset) { return arena.data() + offset; }
  // More than the second-level cache holds.
  bool far(const map& m) const { return m.floats() * sizeof(float) > l2; }
  // Items that a loop should have.
  int wanted() const { return machine{pool->threads(), l2}.items(); }

  // layers.cc
  gemm_args matrix_args(const packed_matrix& m, activation act) const;
  void store_to(gemm_args& g, const map& dst, float* dst_at) const;
  int pixel_pieces(const panels& layout, int k, int pixels) const;
  void pointwise(gemm_args g, const packed_matrix& m, const map& dst, float* dst_at, size_t next, const float* gate = nullptr);
  void project(const packed_matrix& m, const float* gate, const map& src, const float* residual_scale, const block_plan& p, size_t next);
  void look_ahead(gemm_args& g, const packed_matrix& m, size_t next, int panel_begin, int panel_end) const;
  size_t first_after(int block) const;
  conv_args conv_layer(const packed_conv& conv, activation act) const;
  void convolve(conv_args c, const packed_conv& conv, const map& dst, float* dst_at);
  void dense(const packed_matrix& m, const float* src, float* dst, activation act);

  // mbconv.cc
  void run_block(int index, const packed_mbconv& b, const block_plan& p);
  depthwise_args depthwise(const packed_mbconv& b, const block_plan& p);
  void filter(const packed_mbconv& b, const block_plan& p);
  void expand_and_filter(int index, const packed_mbconv& b, const block_plan& p);
  const float* excite(const packed_mbconv& b, const block_plan& p);

  // fused.cc
  void run_block(int index, const packed_fused& b, const block_plan& p);

  // executor.cc
  status prepare(int height, int width);
  status run(const input_image& image, const run_output& out, const std::atomic<bool>* stop, std::vector<step_time>* steps);
  void give_back();
  void run_stem(const input_image& image);
  float* copy_features(int block, const map& m, size_t from, float scale, float* to);
  void run_head();
  void run_classifier();
};

// The executor's threads, and the lanes besides itself.
struct executor::team {
  std::unique_ptr<thread_pool> everyone, nobody;  // `nobody`: the caller alone
  std::vector<std::unique_ptr<impl>> lanes;       // of threads 1, 2, ...
};

}  // namespace effnet
