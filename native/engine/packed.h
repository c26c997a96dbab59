// SPDX-License-Identifier: Apache-2.0
// A network whose weights lie in one arena, in the order of execution and in the layout of one kernel
// table. Made by model::create, read by the executor; positions are offsets in floats.
#pragma once

#include <variant>
#include <vector>

#include "base/buffer.h"
#include "engine/model.h"
#include "engine/network.h"
#include "kernels/kernels.h"
#include "kernels/pack.h"

namespace effnet {

struct packed_matrix {
  int k = 0, n = 0;
  panels layout{};
  size_t weights = 0, bias = 0;
};

struct packed_depthwise {
  int channels = 0, kernel = 0, stride = 0;
  size_t weights = 0, bias = 0;
  depthwise_fn fn = nullptr;
};

// A matrix whose k runs over the taps of a dense convolution.
struct packed_conv {
  int kernel = 0, stride = 0;
  packed_matrix matrix;
  conv_fn fn = nullptr;
};

// Activations are the kernels' (to_kernel), their factors folded into weights and biases. So a map may
// carry a multiple of the network's own values: residual_scale takes a block's input to the scale of its
// output; own_scale takes a block's or the stem's output, and embedding_scale the embedding, back to them.
struct packed_mbconv {
  size_t first = 0;  // where its weights begin
  int expanded = 0, out = 0, squeeze = 0;
  bool has_expand = false, residual = false;
  float residual_scale = 1.0f, own_scale = 1.0f;
  activation act, squeeze_act, gate_act;
  packed_matrix expand, reduce, excite, project;
  packed_depthwise depthwise;
};

struct packed_fused {
  size_t first = 0;
  int expanded = 0, out = 0;
  bool has_project = false, residual = false;
  float residual_scale = 1.0f, own_scale = 1.0f;
  activation act;
  packed_conv conv;
  packed_matrix project;
};

using packed_block = std::variant<packed_mbconv, packed_fused>;

struct packed_head {
  size_t first = 0;
  activation act, hidden_act;
  float pool_scale = 1.0f;       // the mean of the network's own values from the sum of the map's, times pixels
  float embedding_scale = 1.0f;
  int embedding = 0;             // numbers that the classifier sees
  packed_matrix conv, hidden, classifier;  // hidden, classifier: n is 0 where there is none
};

struct model::impl {
  const kernel_table* table = nullptr;
  padding pad = padding::symmetric;
  activation stem_act;
  float stem_own_scale = 1.0f;
  packed_conv stem;
  std::vector<packed_block> blocks;
  packed_head head;
  aligned_buffer arena;
  std::vector<std::string> kernels;

  const float* at(size_t offset) const { return arena.data() + offset; }
};

}  // namespace effnet
