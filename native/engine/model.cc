// SPDX-License-Identifier: Apache-2.0
// From a network description to packed weights, in one arena in the order of execution. Nothing is run
// here, and the description has been checked.
#include "engine/model.h"

#include <algorithm>
#include <new>
#include <vector>

#include "engine/check.h"
#include "engine/packed.h"
#include "engine/plan.h"
#include "kernels/dispatch.h"

namespace effnet {

namespace {

// The kernel for one size where the table has it, else the one for any size.
const named<depthwise_fn>& depthwise_kernel(const kernel_table& t, int kernel, int stride) {
  if (kernel == 3) return stride == 1 ? t.depthwise_k3s1 : t.depthwise_k3s2;
  if (kernel == 5) return stride == 1 ? t.depthwise_k5s1 : t.depthwise_k5s2;
  return stride == 1 ? t.depthwise_s1 : t.depthwise_s2;
}

const named<conv_fn>& conv_kernel(const kernel_table& t, int stride) { return stride == 1 ? t.conv_s1 : t.conv_s2; }

// [n][in][taps], taps being kernel x kernel.
struct weight_shape {
  int n, in, taps;
  int row() const { return in * taps; }
};

// Walks the network twice with the same code: the first time, without memory, it only counts. Weights are
// read a panel at a time, so that stored ones need no more memory than that, and a stop waits no longer.
// `carried_` is by what the values of the maps differ from the network's own at this point: an
// activation in the kernels' form wants its argument times `before` and leaves its result times `after`.
class packer {
 public:
  packer(const kernel_table& table, float* memory, const std::atomic<bool>* stop) : table_(table), memory_(memory), stop_(stop) {}
  size_t used() const { return used_; }
  const status& outcome() const { return outcome_; }

  packed_conv stem(const stem_block& s, activation* act, float* own_scale) {
    packed_conv p;
    p.kernel = s.kernel;
    p.stride = s.stride;
    p.fn = table_.stem_k3s2.fn;
    p.matrix = taps(s.weights, s.bias, {s.out, s.in, s.kernel * s.kernel}, s.kernel, s.in, false, pass(s.act, act));
    *own_scale = 1.0f / carried_;
    return p;
  }

  packed_mbconv block(const mbconv_block& b) {
    packed_mbconv p;
    p.first = used_;
    const float input = carried_;
    p.expanded = b.expanded;
    p.out = b.out;
    p.squeeze = b.squeeze;
    p.has_expand = b.has_expand;
    p.residual = b.residual;
    if (b.has_expand) p.expand = pointwise(b.expand_weights, b.expand_bias, b.expanded, b.in, b.act, &p.act);
    p.depthwise = depthwise(b, &p.act);
    if (b.squeeze != 0) {
      const float map = carried_;
      p.reduce = dense(b.reduce_weights, b.reduce_bias, b.squeeze, b.expanded, b.squeeze_act, &p.squeeze_act);
      p.excite = dense(b.excite_weights, b.excite_bias, b.expanded, b.squeeze, b.gate_act, &p.gate_act);
      carried_ *= map;  // the gate multiplies it
    }
    p.project = pointwise(b.project_weights, b.project_bias, b.out, b.expanded, activation::none, nullptr);
    p.residual_scale = carried_ / input;
    p.own_scale = 1.0f / carried_;
    return p;
  }
  packed_fused block(const fused_block& b) {
    packed_fused p;
    p.first = used_;
    const float input = carried_;
    p.expanded = b.expanded;
    p.out = b.out;
    p.has_project = b.has_project;
    p.residual = b.residual;
    p.conv = conv(b, &p.act);
    if (b.has_project) p.project = pointwise(b.project_weights, b.project_bias, b.out, b.expanded, activation::none, nullptr);
    p.residual_scale = carried_ / input;
    p.own_scale = 1.0f / carried_;
    return p;
  }
  packed_head head(const head_block& b) {
    packed_head p;
    p.first = used_;
    p.conv = pointwise(b.conv_weights, b.conv_bias, b.features, b.in, b.act, &p.act);
    p.pool_scale = 1.0f / carried_;
    carried_ = 1.0f;
    if (b.hidden != 0) p.hidden = dense(b.hidden_weights, b.hidden_bias, b.hidden, b.features, b.hidden_act, &p.hidden_act);
    p.embedding_scale = 1.0f / carried_;
    p.embedding = b.embedding();
    if (b.classes != 0) p.classifier = dense(b.classifier_weights, b.classifier_bias, b.classes, b.embedding(), activation::none, nullptr);
    return p;
  }

 private:
  // The factors of one layer's weights and bias.
  struct factors {
    float weights, bias;
  };
  // Passes through a layer; its activation in the kernels' form goes to `to`.
  factors pass(activation act, activation* to) {
    const scaled_activation scaled = kernel_activation(act, table_);
    if (to != nullptr) *to = scaled.act;
    const factors f{scaled.before / carried_, scaled.before};
    carried_ = scaled.after;
    return f;
  }

  // `together` channels lie together in a map that is read tap by tap; 0 where there is but one tap.
  packed_matrix matrix(const floats& weights, const floats& bias, const weight_shape& shape, const panels& layout, factors f,
                       int together = 0) {
    packed_matrix m;
    m.k = layout.k;
    m.n = shape.n;
    m.layout = layout;
    m.weights = take(layout.size());
    m.bias = vector(weights, bias, shape.n, f.bias);
    for (int panel = 0; panel < layout.count() && packs(); ++panel) {
      const int first = layout.first(panel), count = std::min(shape.n - first, layout.width(panel) * layout.lanes);
      const float* rows = rows_of(weights, shape, first, count);
      if (rows == nullptr) return m;
      if (together != 0) rows = interleave(rows, shape, count, together);
      pack_panel(rows, count, layout, panel, memory_ + m.weights + panel * layout.stride(), f.weights);
    }
    done_with(weights);
    return m;
  }
  packed_matrix pointwise(const floats& weights, const floats& bias, int n, int k, activation act, activation* to) {
    return matrix(weights, bias, {n, k, 1}, make_panels(k, n, table_.lanes, table_.gemm_vectors, table_.gemm_halves), pass(act, to));
  }
  packed_matrix dense(const floats& weights, const floats& bias, int n, int k, activation act, activation* to) {
    return matrix(weights, bias, {n, k, 1}, make_panels(k, n, table_.lanes, table_.gemv_vectors), pass(act, to));
  }
  // The taps of each output in the order in which a kernel meets them, then as any matrix.
  packed_matrix taps(const floats& weights, const floats& bias, const weight_shape& shape, int kernel, int together, bool halves, factors f) {
    const panels layout = make_conv_panels(shape.in, kernel, together, shape.n, table_.lanes, table_.conv_vectors, halves);
    return matrix(weights, bias, shape, layout, f, together);
  }
  packed_conv conv(const fused_block& b, activation* to) {
    packed_conv p;
    p.kernel = b.kernel;
    p.stride = b.stride;
    p.fn = conv_kernel(table_, b.stride).fn;
    p.matrix = taps(b.conv_weights, b.conv_bias, {b.expanded, b.in, b.kernel * b.kernel}, b.kernel, table_.lanes, table_.gemm_halves, pass(b.act, to));
    return p;
  }
  packed_depthwise depthwise(const mbconv_block& b, activation* to) {
    const weight_shape shape{b.expanded, 1, b.kernel * b.kernel};
    const factors f = pass(b.act, to);
    packed_depthwise p;
    p.channels = b.expanded;
    p.kernel = b.kernel;
    p.stride = b.stride;
    p.fn = depthwise_kernel(table_, b.kernel, b.stride).fn;
    p.weights = take(size_t(round_up(shape.n, table_.lanes)) * shape.taps);
    p.bias = vector(b.depthwise_weights, b.depthwise_bias, shape.n, f.bias);
    if (!packs()) return p;
    const float* rows = rows_of(b.depthwise_weights, shape, 0, shape.n);
    if (rows == nullptr) return p;
    pack_depthwise(rows, shape.n, shape.taps, table_.lanes, memory_ + p.weights, f.weights);
    done_with(b.depthwise_weights);
    return p;
  }

  // Whether there is something to pack, and no reason not to.
  bool packs() {
    if (memory_ == nullptr || !outcome_.ok()) return false;
    if (stop_ != nullptr && stop_->load(std::memory_order_relaxed)) outcome_ = {status_code::cancelled, {}};
    return outcome_.ok();
  }
  // Rows [first, first + count) in the engine's order, where they lie or in memory of our own; null where
  // one of them holds no number.
  const float* rows_of(const floats& weights, const weight_shape& shape, int first, int count) {
    if (weights.stored == nullptr) return weights.data + size_t(first) * shape.row();
    rows_.resize(std::max(rows_.size(), size_t(count) * shape.row()));
    const double* factors = weights.stored->norm ? factors_.data() : nullptr;
    if (read_rows(*weights.stored, factors, shape.n, shape.in, shape.taps, first, count, rows_.data())) return rows_.data();
    refuse("finite weights");
    return nullptr;
  }
  void refuse(const char* expected) {
    outcome_ = status::error(status_code::invalid_argument, std::string("Expected ") + expected + " in layer " + std::to_string(packed_) +
                                                                " (from 0, in the order of execution), also after batch norm");
  }
  const float* interleave(const float* rows, const weight_shape& shape, int count, int together) {
    interleaved_.resize(std::max(interleaved_.size(), size_t(count) * shape.row()));
    interleave_taps(rows, count, shape.in, shape.taps, together, interleaved_.data());
    return interleaved_.data();
  }
  void done_with(const floats& weights) {
    if (!packs()) return;
    ++packed_;
    if (weights.stored != nullptr) release(*weights.stored, weights.size);
  }

  size_t take(size_t count) {
    constexpr size_t kLine = 16;  // floats in 64 bytes
    const size_t at = used_;
    used_ += (count + kLine - 1) / kLine * kLine;
    return at;
  }
  // A layer's bias: its own, or what its batch norm leaves of it, whose factors rows_of multiplies afterwards.
  size_t vector(const floats& weights, const floats& bias, int n, float factor) {
    const size_t at = take(size_t(round_up(n, table_.lanes)));
    if (!packs()) return at;
    const float* values = bias.data;
    if (weights.stored != nullptr && weights.stored->norm) {
      factors_.resize(std::max(factors_.size(), size_t(n)));
      bias_.resize(std::max(bias_.size(), size_t(n)));
      if (!fold_norm(*weights.stored->norm, n, factors_.data(), bias_.data())) {
        refuse("a bias that is finite and variances that are positive");
        return at;
      }
      values = bias_.data();
    }
    pack_vector(values, n, table_.lanes, memory_ + at, factor);
    return at;
  }

  const kernel_table& table_;
  float* memory_;
  const std::atomic<bool>* stop_;
  size_t used_ = 0;
  float carried_ = 1.0f;
  int packed_ = 0;  // layers
  status outcome_;
  std::vector<float> rows_, interleaved_, bias_;
  std::vector<double> factors_;
};

// `used`: the floats of memory that it takes.
status pack_network(const network& net, float* memory, const std::atomic<bool>* stop, model::impl* m, size_t* used) {
  packer p(*m->table, memory, stop);
  m->stem = p.stem(net.stem, &m->stem_act, &m->stem_own_scale);
  m->blocks.clear();
  for (const block& b : net.blocks)
    m->blocks.push_back(std::visit([&](const auto& one) { return packed_block(p.block(one)); }, b));
  m->head = p.head(net.head);
  *used = p.used();
  return p.outcome();
}

// The kernels that the network's layers use, in order, once each.
class used_kernels {
 public:
  explicit used_kernels(const kernel_table& t) : table_(t) {}
  std::vector<std::string> of(const network& net) {
    use(table_.stem_k3s2);
    for (const block& b : net.blocks) std::visit([&](const auto& one) { add(one); }, b);
    use(table_.gemm);
    use(table_.mean);
    use(table_.gemv);
    return std::move(names_);
  }

 private:
  void add(const mbconv_block& b) {
    if (b.has_expand) use(table_.gemm);
    use(depthwise_kernel(table_, b.kernel, b.stride));
    if (b.squeeze != 0) {
      use(table_.mean);
      use(table_.gemv);
      use(table_.gate_weights);
      use(table_.gate_map);
    }
    use(table_.gemm);
  }
  void add(const fused_block& b) {
    use(conv_kernel(table_, b.stride));
    if (b.has_project) use(table_.gemm);
  }
  template <class Fn>
  void use(const named<Fn>& kernel) {
    for (const std::string& name : names_)
      if (name == kernel.name) return;
    names_.emplace_back(kernel.name);
  }

  const kernel_table& table_;
  std::vector<std::string> names_;
};

}  // namespace

model::model(std::unique_ptr<impl> p) : impl_(std::move(p)) {}
model::~model() = default;

status model::create(const network& net, const kernel_table& table, std::shared_ptr<const model>* out,
                     const std::atomic<bool>* stop) {
  if (status s = check_network(net); !s.ok()) return s;
  try {
    auto m = std::make_unique<impl>();
    m->table = &table;
    m->pad = net.pad;
    m->kernels = used_kernels(table).of(net);
    size_t used = 0;
    if (status s = pack_network(net, nullptr, nullptr, m.get(), &used); !s.ok()) return s;
    if (status s = m->arena.resize(used); !s.ok()) return s;
    if (status s = pack_network(net, m->arena.data(), stop, m.get(), &used); !s.ok()) return s;
    out->reset(new model(std::move(m)));
    return status::success();
  } catch (const std::bad_alloc&) {
    return status::error(status_code::out_of_memory, "Not enough memory to pack the network's weights");
  }
}

const kernel_table& model::table() const { return *impl_->table; }
int model::classes() const { return impl_->head.classifier.n; }
int model::features() const { return impl_->head.embedding; }
std::vector<feature_map> model::feature_maps(int height, int width) const { return effnet::feature_maps(*impl_, height, width); }
size_t model::weight_bytes() const { return impl_->arena.size() * sizeof(float); }
std::vector<std::string> model::kernels() const { return impl_->kernels; }

}  // namespace effnet
