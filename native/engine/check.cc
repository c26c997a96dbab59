// SPDX-License-Identifier: Apache-2.0
// Whether a network can be packed and run. Written as a walk that stops at the first mistake.
#include "engine/check.h"

namespace effnet {

namespace {

// Channel counts are bounded so that products of two, and of one with a kernel area, fit an int.
constexpr int kMaxChannels = 1 << 15;
constexpr int kMaxKernel = 31;

status wrong_size(const std::string& what, size_t expected, size_t found) {
  return status::error(status_code::invalid_argument, "Expected " + std::to_string(expected) + " values for " + what +
                                                          " but received " + std::to_string(found));
}

status check_channels(const std::string& what, int n) {
  if (n >= 1 && n <= kMaxChannels) return status::success();
  return status::error(status_code::invalid_argument, "Expected " + what + " to be 1 to " + std::to_string(kMaxChannels) +
                                                          " but received " + std::to_string(n));
}

status check_matrix(const std::string& what, const floats& weights, const floats& bias, int n, int k) {
  if (status s = check_channels(what + " output channels", n); !s.ok()) return s;
  if (weights.size != size_t(n) * size_t(k)) return wrong_size(what + ".weight", size_t(n) * size_t(k), weights.size);
  const size_t biases = weights.stored != nullptr && weights.stored->norm ? 0 : size_t(n);
  if (bias.size != biases) return wrong_size(what + ".bias", biases, bias.size);
  return status::success();
}

// What both kinds of block share: channels that follow from the block before, a window that the kernels
// know, and a residual only where input and output have the same shape.
template <class Block>
status check_shape(const Block& b, int in, const std::string& name) {
  if (b.in != in) return wrong_size(name + " input channels (the block before it puts out as many)", size_t(in), size_t(b.in));
  if (status s = check_channels(name + " expanded channels", b.expanded); !s.ok()) return s;
  if (b.kernel < 1 || b.kernel > kMaxKernel || b.kernel % 2 == 0 || (b.stride != 1 && b.stride != 2)) {
    return status::error(status_code::unsupported, "Expected " + name + " to have an odd kernel from 1 to " +
                                                       std::to_string(kMaxKernel) + " and stride 1 or 2 but received kernel " +
                                                       std::to_string(b.kernel) + ", stride " + std::to_string(b.stride));
  }
  if (b.residual && (b.stride != 1 || b.in != b.out)) {
    return status::error(status_code::invalid_argument,
                         "Expected " + name + " to have stride 1 and as many outputs as inputs, since it has a residual");
  }
  return status::success();
}

status check_block(const mbconv_block& b, int in, const std::string& name) {
  if (status s = check_shape(b, in, name); !s.ok()) return s;
  if (!b.has_expand && b.expanded != b.in) return wrong_size(name + " expanded channels without expansion", size_t(b.in), size_t(b.expanded));
  if (b.has_expand) {
    if (status s = check_matrix(name + ".expand", b.expand_weights, b.expand_bias, b.expanded, b.in); !s.ok()) return s;
  }
  if (status s = check_matrix(name + ".depthwise", b.depthwise_weights, b.depthwise_bias, b.expanded, b.kernel * b.kernel); !s.ok()) return s;
  if (b.squeeze != 0) {
    if (status s = check_matrix(name + ".reduce", b.reduce_weights, b.reduce_bias, b.squeeze, b.expanded); !s.ok()) return s;
    if (status s = check_matrix(name + ".excite", b.excite_weights, b.excite_bias, b.expanded, b.squeeze); !s.ok()) return s;
  }
  return check_matrix(name + ".project", b.project_weights, b.project_bias, b.out, b.expanded);
}

status check_block(const fused_block& b, int in, const std::string& name) {
  if (status s = check_shape(b, in, name); !s.ok()) return s;
  if (!b.has_project && b.expanded != b.out) return wrong_size(name + " expanded channels without projection", size_t(b.out), size_t(b.expanded));
  const int taps = b.in * b.kernel * b.kernel;
  if (status s = check_matrix(name + ".conv", b.conv_weights, b.conv_bias, b.expanded, taps); !s.ok()) return s;
  if (!b.has_project) return status::success();
  return check_matrix(name + ".project", b.project_weights, b.project_bias, b.out, b.expanded);
}

status check_stem(const stem_block& s) {
  if (s.in != 3 || s.kernel != 3 || s.stride != 2) {
    return status::error(status_code::unsupported, "Expected a stem of 3 input channels, kernel 3 and stride 2 but received " +
                                                       std::to_string(s.in) + ", " + std::to_string(s.kernel) + " and " +
                                                       std::to_string(s.stride));
  }
  return check_matrix("stem", s.weights, s.bias, s.out, 27);
}

status check_head(const head_block& h, int in) {
  if (h.in != in) return wrong_size("head input channels", size_t(in), size_t(h.in));
  if (status s = check_matrix("head.conv", h.conv_weights, h.conv_bias, h.features, h.in); !s.ok()) return s;
  if (h.hidden != 0) {
    if (status s = check_matrix("head.hidden", h.hidden_weights, h.hidden_bias, h.hidden, h.features); !s.ok()) return s;
  }
  if (h.classes == 0) return status::success();
  return check_matrix("head.classifier", h.classifier_weights, h.classifier_bias, h.classes, h.embedding());
}

}  // namespace

status check_network(const network& net) {
  if (status s = check_stem(net.stem); !s.ok()) return s;
  int channels = net.stem.out;
  for (size_t i = 0; i < net.blocks.size(); ++i) {
    const auto check = [&](const auto& b) {
      const status s = check_block(b, channels, "blocks." + std::to_string(i));
      channels = b.out;
      return s;
    };
    if (status s = std::visit(check, net.blocks[i]); !s.ok()) return s;
  }
  return check_head(net.head, channels);
}

}  // namespace effnet
