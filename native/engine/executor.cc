// SPDX-License-Identifier: Apache-2.0
// Runs a packed network: one function per kind of block, each a few loops over the pool. The order of
// additions within an output never depends on how a loop is cut, so neither does any bit of the result.
#include <algorithm>
#include <cstring>
#include <new>

#include "base/cpu.h"
#include "base/pool.h"
#include "engine/model.h"
#include "engine/packed.h"
#include "engine/plan.h"
#include "engine/step_clock.h"

namespace effnet {

struct executor::impl {
  std::shared_ptr<const model> owner;
  std::unique_ptr<thread_pool> pool;
  size_t source_budget = 0;  // floats of a pointwise source that a chunk of pixels may cover
  plan current;
  aligned_buffer arena;
  step_clock clock;

  const model::impl& net() const { return owner->get(); }
  const kernel_table& table() const { return *net().table; }
  float* at(size_t offset) { return arena.data() + offset; }

  gemm_args matrix_args(const packed_matrix& m, activation act) const;
  void store_to(gemm_args& g, const map& dst, float* dst_at) const;
  void pointwise(gemm_args g, const packed_matrix& m, const map& dst, float* dst_at);
  void dense(const packed_matrix& m, const float* src, float* dst, activation act);
  void run_stem(const input_image& image);
  void run_mbconv(int index);
  void filter(const packed_mbconv& b, const block_plan& p);
  const float* excite(const packed_mbconv& b, const block_plan& p);
  void run_head();
  void run_classifier();
};

namespace {

// At most, the stem and the head together counting as a block.
constexpr size_t kStepsPerBlock = 4;

// Items a thread should find in a loop, so that a late or slow one leaves work to the others.
constexpr int kItemsPerThread = 4;

// How far prefetching runs ahead of the weights in use, in floats: 128 KB. B0 on Zen 4, one thread:
// nothing 9.05 ms, 64 KB 8.81, 128 KB 8.80, 256 KB 8.72.
constexpr ptrdiff_t kPrefetch = 64 << 10;

// Cuts `count` into pieces of about `piece`, at least as many as `pieces`; piece i is [cut(i), cut(i + 1)).
struct cuts {
  int count, pieces;
  cuts(int n, int piece, int at_least) : count(n), pieces(std::max(1, std::min(n, std::max(div_up(n, std::max(piece, 1)), at_least)))) {}
  int cut(int i) const { return int(int64_t(count) * i / pieces); }
};

// Zeros everything of blocks [begin, end) that is not a pixel.
void clear_border(const map& m, float* base, int begin, int end) {
  if (!m.bordered()) return;
  const size_t line = size_t(m.row()) * sizeof(float);
  const ptrdiff_t right = ptrdiff_t(m.left + m.width) * m.lanes;
  for (int b = begin; b < end; ++b) {
    float* plane = base + b * m.plane();
    std::memset(plane, 0, line * m.top);
    for (int y = m.top; y < m.top + m.height; ++y) {
      float* row = plane + y * m.row();
      std::memset(row, 0, sizeof(float) * size_t(m.left) * m.lanes);
      std::memset(row + right, 0, sizeof(float) * size_t(m.row() - right));
    }
    std::memset(plane + (m.top + m.height) * m.row(), 0, line * size_t(m.rows - m.top - m.height));
  }
}

void source_map(gemm_args& g, const map& src, const float* base) {
  g.src = base;
  g.segment_stride = src.plane();
  g.segments = src.blocks;
  g.segment_length = src.lanes;
  g.last_segment_length = src.channels - (src.blocks - 1) * src.lanes;
}

}  // namespace

gemm_args executor::impl::matrix_args(const packed_matrix& m, activation act) const {
  gemm_args g;
  g.weights = net().at(m.weights);
  g.bias = net().at(m.bias);
  g.panel_stride = m.layout.stride();
  g.vectors = m.layout.vectors;
  g.half = m.layout.half;
  g.panel_end = m.layout.count();
  g.act = act;
  return g;
}

void executor::impl::store_to(gemm_args& g, const map& dst, float* dst_at) const {
  g.dst = dst_at + dst.inside();
  g.dst_plane = dst.plane();
  g.dst_rows = dst.pixel_layout();
}

// Pixels are cut so that a chunk of the source stays in the second-level cache while all panels pass
// over it; where that leaves too few items for the threads, panels are cut too.
void executor::impl::pointwise(gemm_args g, const packed_matrix& m, const map& dst, float* dst_at) {
  store_to(g, dst, dst_at);
  const int threads = pool->threads();
  const int rows = table().gemm_rows;
  const int chunk = std::max(1, int(source_budget / size_t(m.k)) / rows) * rows;
  const cuts pixels(dst.pixels(), chunk, 1);
  const int wanted = threads > 1 ? threads * kItemsPerThread : 1;
  const cuts panel(m.layout.count(), m.layout.count(), div_up(wanted, pixels.pieces));
  pool->parallel_for(pixels.pieces * panel.pieces, [&, g](int item) {
    gemm_args part = g;
    const int chunk_index = item / panel.pieces, group = item % panel.pieces;
    part.pixel_begin = pixels.cut(chunk_index);
    part.pixel_end = pixels.cut(chunk_index + 1);
    part.panel_begin = panel.cut(group);
    part.panel_end = panel.cut(group + 1);
    if (chunk_index == 0) {
      part.prefetch = kPrefetch;
      const int vectors = m.layout.panel_vectors;
      const int end = part.panel_end == m.layout.count() ? dst.blocks : part.panel_end * vectors;
      clear_border(dst, dst_at, part.panel_begin * vectors, end);
    }
    table().gemm.fn(part);
  });
}

void executor::impl::dense(const packed_matrix& m, const float* src, float* dst, activation act) {
  gemv_args g;
  g.src = src;
  g.k = m.k;
  g.weights = net().at(m.weights);
  g.bias = net().at(m.bias);
  g.panel_stride = m.layout.stride();
  g.dst = dst;
  g.vectors = m.layout.vectors;
  g.act = act;
  // Below about 64 k multiply-adds (some 2 microseconds) handing out items costs more than it saves.
  constexpr int64_t kWorthSharing = 1 << 16;
  const bool share = int64_t(m.k) * m.n >= kWorthSharing;
  const cuts panel(m.layout.count(), m.layout.count(), share ? pool->threads() * kItemsPerThread : 1);
  pool->parallel_for(panel.pieces, [&, g](int item) {
    gemv_args part = g;
    part.panel_begin = panel.cut(item);
    part.panel_end = panel.cut(item + 1);
    table().gemv.fn(part);
  });
}

void executor::impl::run_stem(const input_image& image) {
  const plan& p = current;
  const packed_matrix& m = net().stem;
  gemm_args g = matrix_args(m, net().stem_act);
  store_to(g, p.stem_out, at(p.stem_out_at));
  g.segments = 3;
  g.segment_length = g.last_segment_length = 9;
  g.segment_stride = image.row_stride();
  g.dst_rows = {p.stem_out.width, 0};
  const float* first = image.row(0) - p.stem_rows.before * image.row_stride() - 3 * p.stem_columns.before;
  const cuts rows(p.stem_out.height, p.stem_out.height, pool->threads() > 1 ? pool->threads() * kItemsPerThread : 1);
  pool->parallel_for(rows.pieces, [&, g](int item) {
    if (item == 0) clear_border(p.stem_out, at(p.stem_out_at), 0, p.stem_out.blocks);
    gemm_args part = g;
    part.pixel_end = p.stem_out.width;
    for (int y = rows.cut(item); y < rows.cut(item + 1); ++y) {
      part.src = first + 2 * y * image.row_stride();
      part.dst = g.dst + y * p.stem_out.row();
      table().stem_k3s2.fn(part);
    }
  });
  clock.lap(-1, "stem");
}

void executor::impl::filter(const packed_mbconv& b, const block_plan& p) {
  depthwise_args d;
  d.src = at(p.hidden_at);
  d.src_plane = p.hidden.plane();
  d.src_row = p.hidden.row();
  d.weights = net().at(b.depthwise.weights);
  d.bias = net().at(b.depthwise.bias);
  d.dst = at(current.filtered_at);
  d.dst_plane = p.filtered.plane();
  d.dst_row = p.filtered.row();
  d.sums = b.squeeze != 0 ? at(current.sums_at) : nullptr;
  d.out_height = p.filtered.height;
  d.out_width = p.filtered.width;
  d.act = b.act;
  const int threads = pool->threads();
  const cuts blocks(p.filtered.blocks, 1, 1);
  const cuts rows(p.filtered.height, p.filtered.height, threads > 1 ? div_up(threads * kItemsPerThread, blocks.pieces) : 1);
  pool->parallel_for(blocks.pieces * rows.pieces, [&, d](int item) {
    depthwise_args part = d;
    part.block_begin = blocks.cut(item / rows.pieces);
    part.block_end = blocks.cut(item / rows.pieces + 1);
    part.row_begin = rows.cut(item % rows.pieces);
    part.row_end = rows.cut(item % rows.pieces + 1);
    b.depthwise.fn(part);
  });
}

// Squeeze and excite; returns the projection's weights, which carry the gate where those are smaller
// than the map.
const float* executor::impl::excite(const packed_mbconv& b, const block_plan& p) {
  const float* weights = net().at(b.project.weights);
  if (b.squeeze == 0) return weights;
  float *average = at(current.mean_at), *squeezed = at(current.squeezed_at), *gate = at(current.gate_at);
  mean_args mean;
  mean.sums = at(current.sums_at);
  mean.mean = average;
  mean.rows = p.filtered.height;
  mean.block_end = p.filtered.blocks;
  mean.scale = 1.0f / float(p.filtered.pixels());
  table().mean.fn(mean);
  dense(b.reduce, average, squeezed, b.squeeze_act);
  dense(b.excite, squeezed, gate, b.gate_act);
  const int pieces = pool->threads() > 1 ? pool->threads() * kItemsPerThread : 1;
  if (!p.gate_on_weights) {
    const cuts blocks(p.filtered.blocks, p.filtered.blocks, pieces);
    pool->parallel_for(blocks.pieces, [&](int item) {
      table().gate_map.fn({at(current.filtered_at), p.filtered.plane(), gate, p.filtered.pixels(), blocks.cut(item), blocks.cut(item + 1)});
    });
    return weights;
  }
  float* gated = at(current.weights_at);
  const panels& layout = b.project.layout;
  const cuts rows(b.expanded, b.expanded, pieces);
  pool->parallel_for(rows.pieces, [&](int item) {
    for (int panel = 0; panel < layout.count(); ++panel) {
      const ptrdiff_t begin = panel * layout.stride();
      table().gate_weights.fn({weights + begin, gated + begin, gate, layout.width(panel) * layout.lanes, rows.cut(item), rows.cut(item + 1)});
    }
  });
  return gated;
}

void executor::impl::run_mbconv(int index) {
  const packed_mbconv& b = net().blocks[size_t(index)];
  const block_plan& p = current.blocks[size_t(index)];
  if (b.has_expand) {
    gemm_args g = matrix_args(b.expand, b.act);
    source_map(g, p.in, at(p.in_at));
    pointwise(g, b.expand, p.hidden, at(p.hidden_at));
    clock.lap(index, "expand");
  }
  filter(b, p);
  clock.lap(index, "depthwise");
  gemm_args g = matrix_args(b.project, activation::none);
  g.weights = excite(b, p);
  if (b.squeeze != 0) clock.lap(index, "excite");
  source_map(g, p.filtered, at(current.filtered_at));
  if (b.residual) {
    g.residual = at(p.in_at) + p.in.inside();
    g.residual_plane = p.in.plane();
    g.residual_rows = p.in.pixel_layout();
  }
  pointwise(g, b.project, p.out, at(p.out_at));
  clock.lap(index, "project");
}

// The head's map is summed as it is computed and never stored. A panel takes all pixels, so that the
// sum's order is fixed.
void executor::impl::run_head() {
  const map& in = current.head_in;
  gemm_args g = matrix_args(net().head, net().head_act);
  source_map(g, in, at(current.head_in_at));
  g.pool = at(current.pool_at);
  g.pixel_end = in.pixels();
  const cuts panel(net().head.layout.count(), 1, 1);
  pool->parallel_for(panel.pieces, [&, g](int item) {
    gemm_args part = g;
    part.panel_begin = panel.cut(item);
    part.panel_end = panel.cut(item + 1);
    table().gemm.fn(part);
  });
  mean_args mean;
  mean.sums = g.pool;
  mean.mean = at(current.embedding_at);
  mean.rows = 1;
  mean.block_end = net().head.layout.vectors;
  mean.scale = 1.0f / float(in.pixels());
  table().mean.fn(mean);
  clock.lap(-1, "head.conv");
}

void executor::impl::run_classifier() {
  dense(net().classifier, at(current.embedding_at), at(current.logits_at), activation::none);
  clock.lap(-1, "head.classifier");
}

executor::executor(std::unique_ptr<impl> p) : impl_(std::move(p)) {}
executor::~executor() = default;

status executor::create(std::shared_ptr<const model> m, int threads, std::unique_ptr<executor>* out) {
  constexpr int kMaxThreads = 1024;
  if (threads < 1 || threads > kMaxThreads) {
    return status::error(status_code::invalid_argument,
                         "Expected threads to be 1 to " + std::to_string(kMaxThreads) + " but received " + std::to_string(threads));
  }
  try {
    auto p = std::make_unique<impl>();
    p->owner = std::move(m);
    // A quarter of the cache: the weights' panel, the output and the next chunk need room too.
    p->source_budget = caches().l2 / 4 / sizeof(float);
    if (status s = thread_pool::create(threads, &p->pool); !s.ok()) return s;
    out->reset(new executor(std::move(p)));
    return status::success();
  } catch (const std::bad_alloc&) {
    return status::error(status_code::out_of_memory, "Not enough memory for an executor");
  }
}

status executor::prepare(int height, int width) {
  impl& e = *impl_;
  for (const int side : {height, width}) {
    if (side < 1 || side > input_image::kMaxSide) {
      return status::error(status_code::invalid_argument, "Expected height and width to be 1 to " +
                                                              std::to_string(input_image::kMaxSide) + " but received " +
                                                              std::to_string(height) + " x " + std::to_string(width));
    }
  }
  if (e.current.height == height && e.current.width == width) return status::success();
  try {
    plan next = make_plan(e.net(), height, width);
    e.current = plan();
    // Kept where it suffices, unless a much larger image has passed: its scratch, gigabytes at
    // 4096 x 4096, would stay for good.
    if (next.floats > e.arena.size() || next.floats < e.arena.size() / 16) {
      if (status s = e.arena.resize(next.floats); !s.ok()) return s;
    }
    e.current = std::move(next);
    return status::success();
  } catch (const std::bad_alloc&) {
    return status::error(status_code::out_of_memory, "Not enough memory to plan the network");
  }
}

status executor::run(const input_image& image, const run_output& out, const std::atomic<bool>* stop,
                     std::vector<step_time>* steps) {
  impl& e = *impl_;
  if (status s = prepare(image.height(), image.width()); !s.ok()) return s;
  const auto stopped = [&] { return stop != nullptr && stop->load(std::memory_order_relaxed); };
  const auto cancelled = [] { return status::error(status_code::cancelled, "The run was stopped"); };
  if (stopped()) return cancelled();
  if (status s = e.clock.start(steps, kStepsPerBlock * (e.current.blocks.size() + 1)); !s.ok()) return s;
  e.run_stem(image);
  for (size_t i = 0; i < e.current.blocks.size(); ++i) {
    if (stopped()) return cancelled();
    e.run_mbconv(int(i));
  }
  if (stopped()) return cancelled();
  e.run_head();
  if (out.embedding != nullptr) {
    std::memcpy(out.embedding, e.at(e.current.embedding_at), sizeof(float) * size_t(e.owner->features()));
  }
  if (out.logits != nullptr) {
    e.run_classifier();
    std::memcpy(out.logits, e.at(e.current.logits_at), sizeof(float) * size_t(e.owner->classes()));
  }
  return status::success();
}

std::string step_name(const step_time& step) {
  return step.block < 0 ? step.step : "blocks." + std::to_string(step.block) + "." + step.step;
}

int executor::threads() const { return impl_->pool->threads(); }
size_t executor::activation_bytes() const { return impl_->arena.size() * sizeof(float); }

}  // namespace effnet
