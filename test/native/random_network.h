// SPDX-License-Identifier: Apache-2.0
// Small networks with random weights, for tests of the engine, and images for them.
//
// Weights of one output have absolute values that add up to about 1, three quarters of them positive:
// such a layer neither shrinks the signal nor multiplies the error bound of the reference, which
// therefore stays small enough (1e-5 to 3e-4 of the logits) to find any mistake after many layers.
#pragma once

#include <deque>
#include <memory>

#include "engine/model.h"
#include "engine/network.h"
#include "tester.h"

namespace effnet {
namespace test {

// What to build; everything else follows.
struct block_shape {
  int expanded = 0;  // 0: no expansion, or, where fused, no projection
  int out = 1, kernel = 3, stride = 1, squeeze = 0;
  bool fused = false;
};

class random_network {
 public:
  random_network(random_source& random, padding pad, int stem, const std::vector<block_shape>& shapes, int features,
                 int classes, int hidden = 0)
      : random_(random) {
    net.pad = pad;
    net.stem.out = stem;
    net.stem.act = some_activation();
    net.stem.weights = weights(stem, 27);
    net.stem.bias = biases(stem);
    int channels = stem;
    for (const block_shape& shape : shapes) {
      if (shape.fused)
        net.blocks.push_back(fused(shape, channels));
      else
        net.blocks.push_back(mbconv(shape, channels));
      channels = shape.out;
    }
    net.head.in = channels;
    net.head.features = features;
    net.head.hidden = hidden;
    net.head.classes = classes;
    net.head.act = some_activation();
    net.head.hidden_act = some_activation();
    net.head.conv_weights = weights(features, channels);
    net.head.conv_bias = biases(features);
    if (hidden > 0) {
      net.head.hidden_weights = weights(hidden, features);
      net.head.hidden_bias = biases(hidden);
    }
    net.head.classifier_weights = weights(classes, net.head.embedding());
    net.head.classifier_bias = biases(classes);
  }
  random_network(const random_network&) = delete;
  random_network& operator=(const random_network&) = delete;

  network net;

 private:
  // Swish most of the time; each of the others now and then.
  activation some_activation() { return random_.below(2) ? activation::swish : kAllActivations[random_.below(kActivations)]; }

  template <class Block>
  Block start(const block_shape& shape, int in) {
    Block b;
    b.in = in;
    b.out = shape.out;
    b.kernel = shape.kernel;
    b.stride = shape.stride;
    b.residual = b.stride == 1 && b.in == b.out;
    b.act = some_activation();
    return b;
  }

  fused_block fused(const block_shape& shape, int in) {
    auto b = start<fused_block>(shape, in);
    b.has_project = shape.expanded > 0;
    b.expanded = b.has_project ? shape.expanded : b.out;
    b.conv_weights = weights(b.expanded, in * b.kernel * b.kernel);
    b.conv_bias = biases(b.expanded);
    if (b.has_project) {
      b.project_weights = weights(b.out, b.expanded);
      b.project_bias = biases(b.out);
    }
    return b;
  }

  mbconv_block mbconv(const block_shape& shape, int in) {
    auto b = start<mbconv_block>(shape, in);
    b.has_expand = shape.expanded > 0;
    b.expanded = b.has_expand ? shape.expanded : in;
    b.squeeze = shape.squeeze;
    b.squeeze_act = some_activation();
    b.gate_act = random_.below(3) ? activation::sigmoid : random_.below(2) ? activation::hard_sigmoid : activation::relu6;
    if (b.has_expand) {
      b.expand_weights = weights(b.expanded, in);
      b.expand_bias = biases(b.expanded);
    }
    b.depthwise_weights = weights(b.expanded, b.kernel * b.kernel);
    b.depthwise_bias = biases(b.expanded);
    if (b.squeeze > 0) {
      b.reduce_weights = weights(b.squeeze, b.expanded);
      b.reduce_bias = biases(b.squeeze);
      b.excite_weights = weights(b.expanded, b.squeeze);
      b.excite_bias = biases(b.expanded);
    }
    b.project_weights = weights(b.out, b.expanded);
    b.project_bias = biases(b.out);
    return b;
  }

  floats weights(int n, int k) {
    std::vector<float> values = random_.floats(size_t(n) * k, -1.0f / 3, 1.0f);
    for (float& x : values) x *= 2.4f / k;
    return keep(std::move(values));
  }
  floats biases(int n) { return keep(random_.floats(n, -0.4f, 0.6f)); }
  floats keep(std::vector<float> values) {
    storage_.push_back(std::move(values));
    return {storage_.back().data(), storage_.back().size()};
  }

  random_source& random_;
  std::deque<std::vector<float>> storage_;
};

// [3][height][width].
inline std::vector<float> random_pixels(random_source& random, int height, int width) {
  return random.floats(size_t(3) * height * width, -1, 1.5f);
}

inline reference::map to_reference(const std::vector<float>& pixels, int height, int width) {
  reference::map m(3, height, width);
  m.values = exact(pixels);
  return m;
}

inline status fill_image(input_image& image, const std::vector<float>& pixels, int height, int width) {
  status s = image.resize(height, width);
  if (!s.ok()) return s;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c) image.row(y)[3 * x + c] = pixels[(size_t(c) * height + y) * width + x];
  return s;
}

}  // namespace test
}  // namespace effnet
