// SPDX-License-Identifier: Apache-2.0
// A network as the engine receives it: a list of blocks, each with its shapes and its weights, as
// float32 with batch norm already folded or as a checkpoint has them. Plain data; nothing is computed here.
#pragma once

#include <cstddef>
#include <variant>
#include <vector>

#include "engine/stored_weights.h"
#include "kernels/kernels.h"

namespace effnet {

enum class padding : uint8_t {
  same,       // TensorFlow: total = max((ceil(n/s) - 1) * s + k - n, 0), the smaller half first
  symmetric,  // PyTorch: k / 2 on both sides
};

// Borrowed floats; valid only while the model is being created (weights are packed, not referenced).
// Weights, though no biases, may be `stored` in place of `data`; `size` is their number all the same. Where
// they have a batch norm, the bias is empty.
struct floats {
  const float* data = nullptr;
  size_t size = 0;
  const stored_weights* stored = nullptr;
};

struct stem_block {
  int in = 3, out = 0, kernel = 3, stride = 2;
  activation act = activation::swish;
  floats weights, bias;  // [out][in][kernel][kernel], [out]
};

// Expand 1x1, depthwise, excite, project 1x1 without activation, + input.
struct mbconv_block {
  int in = 0, expanded = 0, out = 0, kernel = 3, stride = 1;
  int squeeze = 0;  // channels of the squeeze; 0: no excite
  bool has_expand = true, residual = false;
  activation act = activation::swish;          // after expand and depthwise
  activation squeeze_act = activation::swish;  // inside the excite
  activation gate_act = activation::sigmoid;
  floats expand_weights, expand_bias;          // [expanded][in], [expanded]; empty without expand
  floats depthwise_weights, depthwise_bias;    // [expanded][kernel][kernel], [expanded]
  floats reduce_weights, reduce_bias;          // [squeeze][expanded], [squeeze]
  floats excite_weights, excite_bias;          // [expanded][squeeze], [expanded]
  floats project_weights, project_bias;        // [out][expanded], [out]
};

// Dense convolution, project 1x1 without activation, + input. Without projection it is one convolution
// with its activation, + input, and expanded equals out.
struct fused_block {
  int in = 0, expanded = 0, out = 0, kernel = 3, stride = 1;
  bool has_project = true, residual = false;
  activation act = activation::swish;      // after the dense convolution
  floats conv_weights, conv_bias;          // [expanded][in][kernel][kernel], [expanded]
  floats project_weights, project_bias;    // [out][expanded], [out]; empty without projection
};

using block = std::variant<mbconv_block, fused_block>;

// 1x1 convolution, mean over the pixels, dense layer where `hidden` is not 0, classifier.
struct head_block {
  int in = 0, features = 0, hidden = 0, classes = 0;  // hidden, classes: 0 for none
  activation act = activation::swish, hidden_act = activation::swish;
  floats conv_weights, conv_bias;              // [features][in], [features]
  floats hidden_weights, hidden_bias;          // [hidden][features], [hidden]; empty without it
  floats classifier_weights, classifier_bias;  // [classes][hidden, or features], [classes]

  int embedding() const { return hidden != 0 ? hidden : features; }
};

struct network {
  padding pad = padding::symmetric;
  stem_block stem;
  std::vector<block> blocks;
  head_block head;
};

}  // namespace effnet
