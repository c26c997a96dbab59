// SPDX-License-Identifier: Apache-2.0
// From a network description to packed weights: checks every size, then packs into one arena in the
// order of execution. Nothing is run here.
#include "engine/model.h"

#include <new>
#include <vector>

#include "engine/packed.h"

namespace effnet {

namespace {

status wrong_size(const std::string& what, size_t expected, size_t found) {
  return status::error(status_code::invalid_argument, "Expected " + std::to_string(expected) + " values for " + what +
                                                          " but received " + std::to_string(found));
}

// Channel counts are bounded so that products of two, and of one with a kernel area, fit an int.
constexpr int kMaxChannels = 1 << 15;

status check_channels(const std::string& what, int n) {
  if (n >= 1 && n <= kMaxChannels) return status::success();
  return status::error(status_code::invalid_argument, "Expected " + what + " to be 1 to " + std::to_string(kMaxChannels) +
                                                          " but received " + std::to_string(n));
}

status check_matrix(const std::string& what, const floats& weights, const floats& bias, int n, int k) {
  if (status s = check_channels(what + " output channels", n); !s.ok()) return s;
  if (weights.size != size_t(n) * size_t(k)) return wrong_size(what + ".weight", size_t(n) * size_t(k), weights.size);
  if (bias.size != size_t(n)) return wrong_size(what + ".bias", size_t(n), bias.size);
  return status::success();
}

const named<depthwise_fn>* depthwise_kernel(const kernel_table& t, int kernel, int stride) {
  if (kernel == 3) return stride == 1 ? &t.depthwise_k3s1 : stride == 2 ? &t.depthwise_k3s2 : nullptr;
  if (kernel == 5) return stride == 1 ? &t.depthwise_k5s1 : stride == 2 ? &t.depthwise_k5s2 : nullptr;
  return nullptr;
}

status check_block(const mbconv_block& b, int in, const std::string& name) {
  if (b.in != in) return wrong_size(name + " input channels (the block before it puts out as many)", size_t(in), size_t(b.in));
  if (status s = check_channels(name + " expanded channels", b.expanded); !s.ok()) return s;
  if (!b.has_expand && b.expanded != b.in) return wrong_size(name + " expanded channels without expansion", size_t(b.in), size_t(b.expanded));
  if ((b.kernel != 3 && b.kernel != 5) || (b.stride != 1 && b.stride != 2)) {
    return status::error(status_code::unsupported, "Expected " + name + " to have kernel 3 or 5 and stride 1 or 2 but received kernel " +
                                                       std::to_string(b.kernel) + ", stride " + std::to_string(b.stride));
  }
  if (b.residual && (b.stride != 1 || b.in != b.out)) {
    return status::error(status_code::invalid_argument,
                         "Expected " + name + " to have stride 1 and as many outputs as inputs, since it has a residual");
  }
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

status check_network(const network& net) {
  if (net.stem.in != 3 || net.stem.kernel != 3 || net.stem.stride != 2) {
    return status::error(status_code::unsupported, "Expected a stem of 3 input channels, kernel 3 and stride 2 but received " +
                                                       std::to_string(net.stem.in) + ", " + std::to_string(net.stem.kernel) +
                                                       " and " + std::to_string(net.stem.stride));
  }
  if (status s = check_matrix("stem", net.stem.weights, net.stem.bias, net.stem.out, 27); !s.ok()) return s;
  int channels = net.stem.out;
  for (size_t i = 0; i < net.blocks.size(); ++i) {
    if (status s = check_block(net.blocks[i], channels, "blocks." + std::to_string(i)); !s.ok()) return s;
    channels = net.blocks[i].out;
  }
  if (net.head.in != channels) return wrong_size("head input channels", size_t(channels), size_t(net.head.in));
  if (status s = check_matrix("head.conv", net.head.conv_weights, net.head.conv_bias, net.head.features, net.head.in); !s.ok()) return s;
  return check_matrix("head.classifier", net.head.classifier_weights, net.head.classifier_bias, net.head.classes, net.head.features);
}

// Walks the network twice with the same code: the first time, without memory, it only counts.
class packer {
 public:
  packer(const kernel_table& table, float* memory) : table_(table), memory_(memory) {}
  size_t used() const { return used_; }

  packed_matrix matrix(const floats& weights, const floats& bias, int n, int k, int panel_vectors, bool halves) {
    packed_matrix m;
    m.k = k;
    m.n = n;
    m.layout = make_panels(k, n, table_.lanes, panel_vectors, halves);
    m.weights = take(m.layout.size());
    m.bias = vector(bias, n);
    if (memory_ != nullptr) pack_panels(weights.data, n, m.layout, memory_ + m.weights);
    return m;
  }
  packed_matrix pointwise(const floats& weights, const floats& bias, int n, int k) {
    return matrix(weights, bias, n, k, table_.gemm_vectors, table_.gemm_halves);
  }
  packed_matrix dense(const floats& weights, const floats& bias, int n, int k) {
    return matrix(weights, bias, n, k, table_.gemv_vectors, false);
  }

  packed_matrix stem(const stem_block& s) {
    std::vector<float> interleaved;
    if (memory_ != nullptr) {
      interleaved.resize(s.weights.size);
      interleave_taps(s.weights.data, s.out, s.in, s.kernel, s.in, interleaved.data());
    }
    return pointwise({interleaved.data(), interleaved.size()}, s.bias, s.out, s.in * s.kernel * s.kernel);
  }

  packed_mbconv mbconv(const mbconv_block& b) {
    packed_mbconv p;
    p.in = b.in;
    p.expanded = b.expanded;
    p.out = b.out;
    p.squeeze = b.squeeze;
    p.has_expand = b.has_expand;
    p.residual = b.residual;
    p.act = b.act;
    p.squeeze_act = b.squeeze_act;
    p.gate_act = b.gate_act;
    if (b.has_expand) p.expand = pointwise(b.expand_weights, b.expand_bias, b.expanded, b.in);
    const int taps = b.kernel * b.kernel;
    p.depthwise = {b.expanded, b.kernel, b.stride, take(size_t(round_up(b.expanded, table_.lanes)) * taps), 0,
                   depthwise_kernel(table_, b.kernel, b.stride)->fn};
    p.depthwise.bias = vector(b.depthwise_bias, b.expanded);
    if (memory_ != nullptr) pack_depthwise(b.depthwise_weights.data, b.expanded, taps, table_.lanes, memory_ + p.depthwise.weights);
    if (b.squeeze != 0) {
      p.reduce = dense(b.reduce_weights, b.reduce_bias, b.squeeze, b.expanded);
      p.excite = dense(b.excite_weights, b.excite_bias, b.expanded, b.squeeze);
    }
    p.project = pointwise(b.project_weights, b.project_bias, b.out, b.expanded);
    return p;
  }

 private:
  size_t take(size_t count) {
    constexpr size_t kLine = 16;  // floats in 64 bytes
    const size_t at = used_;
    used_ += (count + kLine - 1) / kLine * kLine;
    return at;
  }
  size_t vector(const floats& src, int n) {
    const size_t at = take(size_t(round_up(n, table_.lanes)));
    if (memory_ != nullptr) pack_vector(src.data, n, table_.lanes, memory_ + at);
    return at;
  }

  const kernel_table& table_;
  float* memory_;
  size_t used_ = 0;
};

size_t pack_network(const network& net, float* memory, model::impl* m) {
  packer p(*m->table, memory);
  m->stem = p.stem(net.stem);
  m->blocks.clear();
  for (const mbconv_block& b : net.blocks) m->blocks.push_back(p.mbconv(b));
  m->head = p.pointwise(net.head.conv_weights, net.head.conv_bias, net.head.features, net.head.in);
  m->classifier = p.dense(net.head.classifier_weights, net.head.classifier_bias, net.head.classes, net.head.features);
  return p.used();
}

std::vector<std::string> kernel_names(const network& net, const kernel_table& t) {
  std::vector<std::string> names;
  const auto use = [&](const char* name) {
    for (const std::string& n : names)
      if (n == name) return;
    names.emplace_back(name);
  };
  use(t.stem_k3s2.name);
  for (const mbconv_block& b : net.blocks) {
    if (b.has_expand) use(t.gemm.name);
    use(depthwise_kernel(t, b.kernel, b.stride)->name);
    if (b.squeeze != 0) {
      use(t.mean.name);
      use(t.gemv.name);
      use(t.gate_weights.name);
      use(t.gate_map.name);
    }
    use(t.gemm.name);
  }
  use(t.gemm.name);
  use(t.gemv.name);
  return names;
}

}  // namespace

model::model(std::unique_ptr<impl> p) : impl_(std::move(p)) {}
model::~model() = default;

status model::create(const network& net, const kernel_table& table, std::shared_ptr<const model>* out) {
  if (status s = check_network(net); !s.ok()) return s;
  try {
    auto m = std::make_unique<impl>();
    m->table = &table;
    m->pad = net.pad;
    m->stem_act = net.stem.act;
    m->head_act = net.head.act;
    m->kernels = kernel_names(net, table);
    if (status s = m->arena.resize(pack_network(net, nullptr, m.get())); !s.ok()) return s;
    pack_network(net, m->arena.data(), m.get());
    out->reset(new model(std::move(m)));
    return status::success();
  } catch (const std::bad_alloc&) {
    return status::error(status_code::out_of_memory, "Not enough memory to pack the network's weights");
  }
}

const kernel_table& model::table() const { return *impl_->table; }
int model::classes() const { return impl_->classifier.n; }
int model::features() const { return impl_->classifier.k; }
size_t model::weight_bytes() const { return impl_->arena.size() * sizeof(float); }
std::vector<std::string> model::kernels() const { return impl_->kernels; }

}  // namespace effnet
