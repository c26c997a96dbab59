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
};

struct plan {
  int height = 0, width = 0;  // of the image
  window stem_rows, stem_columns;
  map stem_out;
  size_t stem_out_at = 0;
  std::vector<block_plan> blocks;
  map head_in;
  size_t head_in_at = 0;
  size_t hidden_at = 0, filtered_at = 0, sums_at = 0, mean_at = 0, squeezed_at = 0, gate_at = 0, weights_at = 0;
  size_t pool_at = 0, pooled_at = 0, embedding_at = 0, logits_at = 0;  // sum, mean, what the classifier sees
  size_t floats = 0;  // of the arena
};

plan make_plan(const model::impl& m, int height, int width);

}  // namespace effnet
