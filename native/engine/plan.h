// SPDX-License-Identifier: Apache-2.0
// Where everything lies for one input size: the maps of each block and their places in the activation
// arena. Computed before the first image; running adds nothing to it.
#pragma once

#include <vector>

#include "engine/geometry.h"
#include "engine/packed.h"

namespace effnet {

// Two regions take turns as block input and output; one holds the expanded map, one what the
// convolution makes of it, and the rest is small. Offsets in floats into the activation arena.
struct block_plan {
  map in, out;      // out may carry the border that the next block's convolution reads
  map hidden;       // expanded and bordered; for a block without expansion, `in` itself
  map filtered;     // output of the depthwise, or of the dense convolution before a projection
  size_t in_at = 0, out_at = 0;
  bool gate_on_weights = false;  // the gate multiplies the smaller operand of the projection
  // Output rows that expand and depthwise make together, one panel of channels after the other, the expanded
  // rows of a band lying in scratch of the thread's own; 0: one after the other on the whole map.
  int band_rows = 0;
};

struct plan {
  int height = 0, width = 0;  // of the image
  window stem_rows, stem_columns;
  map stem_out;
  size_t stem_out_at = 0;
  std::vector<block_plan> blocks;
  std::vector<feature_map> features;
  map head_in;
  size_t head_in_at = 0;
  size_t bands_at = 0, band_floats = 0;  // of each thread
  size_t gated_at = 0, gated_floats = 0;  // of each thread, a panel of the projection times the gate
  size_t hidden_at = 0, filtered_at = 0, sums_at = 0, mean_at = 0, squeezed_at = 0, gate_at = 0;
  size_t pool_at = 0, pooled_at = 0, embedding_at = 0, logits_at = 0;  // sum, mean, what the classifier sees
  size_t floats = 0;  // of the arena
};

// Items a thread should find in a loop, so that a late or slow one leaves work to the others.
constexpr int kItemsPerThread = 4;

// What the choice of the way through a block depends on besides its shapes.
struct machine {
  int threads = 1;
  size_t l2 = 0;  // bytes of the second-level cache

  // Items that a loop should have.
  int items() const { return threads > 1 ? threads * kItemsPerThread : 1; }
  // Pieces into which each of `panels` is cut where a cut costs work: few, but the threads' shares are alike.
  int pieces(int panels) const {
    if (panels >= items()) return 1;
    int pieces = div_up(2 * threads, panels);
    while (panels * pieces % threads != 0) ++pieces;
    return pieces;
  }
};

std::vector<feature_map> feature_maps(const model::impl& m, int height, int width);
plan make_plan(const model::impl& m, const machine& on, int height, int width);

}  // namespace effnet
