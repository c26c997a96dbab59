// SPDX-License-Identifier: Apache-2.0
// A network as the engine receives it: a list of blocks, each with its shapes and its float32
// weights with batch norm already folded. Plain data; nothing is computed here.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace effnet {

enum class padding : uint8_t {
  same,       // TensorFlow: total = max((ceil(n/s) - 1) * s + k - n, 0), the smaller half first
  symmetric,  // PyTorch: k / 2 on both sides
};

// Borrowed floats; valid only while the model is being created (weights are packed, not referenced).
struct floats {
  const float* data = nullptr;
  size_t size = 0;
};

struct stem_block {
  int in = 3, out = 0, kernel = 3, stride = 2;
  activation act = activation::swish;
  floats weights, bias;  // [out][in][kernel][kernel], [out]
};

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

struct head_block {
  int in = 0, features = 0, classes = 0;
  activation act = activation::swish;
  floats conv_weights, conv_bias;              // [features][in], [features]
  floats classifier_weights, classifier_bias;  // [classes][features], [classes]
};

struct network {
  padding pad = padding::symmetric;
  stem_block stem;
  std::vector<mbconv_block> blocks;
  head_block head;
};

}  // namespace effnet
