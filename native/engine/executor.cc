// SPDX-License-Identifier: Apache-2.0
// Runs a packed network: the stem, the blocks (mbconv.cc, fused.cc) and the head, each a few loops over
// the pool. The order of additions within an output never depends on how a loop is cut, so neither does
// any bit of the result.
#include "engine/executor_impl.h"

#include <cstring>
#include <new>

#include "base/cpu.h"

namespace effnet {

namespace {

// At most, the stem and the head together counting as a block.
constexpr size_t kStepsPerBlock = 4;

}  // namespace

void executor::impl::run_stem(const input_image& image) {
  const plan& p = current;
  conv_args c = conv_layer(net().stem, net().stem_act);
  c.src = image.row(0) - p.stem_rows.before * image.row_stride() - 3 * p.stem_columns.before;
  c.src_row = image.row_stride();
  c.channels = 3;
  convolve(c, net().stem, p.stem_out, at(p.stem_out_at));
  clock.lap(-1, "stem");
}

// The head's map is summed as it is computed and never stored. A panel takes all pixels, so that the
// sum's order is fixed.
void executor::impl::run_head() {
  const map& in = current.head_in;
  const packed_head& head = net().head;
  gemm_args g = matrix_args(head.conv, head.act);
  source_map(g, in, at(current.head_in_at));
  g.pool = at(current.pool_at);
  g.pixel_end = in.pixels();
  const cuts panel(head.conv.layout.count(), 1, 1);
  pool->parallel_for(panel.pieces, [&, g](int item) {
    gemm_args part = g;
    part.panel_begin = panel.cut(item);
    part.panel_end = panel.cut(item + 1);
    table().gemm.fn(part);
  });
  mean_args mean;
  mean.sums = g.pool;
  mean.mean = at(current.pooled_at);
  mean.rows = 1;
  mean.block_end = head.conv.layout.vectors;
  mean.scale = head.pool_scale / float(in.pixels());
  table().mean.fn(mean);
  clock.lap(-1, "head.conv");
  if (head.hidden.n == 0) return;
  dense(head.hidden, at(current.pooled_at), at(current.embedding_at), head.hidden_act);
  clock.lap(-1, "head.hidden");
}

void executor::impl::run_classifier() {
  dense(net().head.classifier, at(current.embedding_at), at(current.logits_at), activation::none);
  clock.lap(-1, "head.classifier");
}

executor::executor(std::unique_ptr<impl> p) : impl_(std::move(p)) {}
executor::~executor() = default;

status executor::create(std::shared_ptr<const model> m, int threads, std::unique_ptr<executor>* out, size_t l2) {
  constexpr int kMaxThreads = 1024;
  if (threads < 1 || threads > kMaxThreads) {
    return status::error(status_code::invalid_argument,
                         "Expected threads to be 1 to " + std::to_string(kMaxThreads) + " but received " + std::to_string(threads));
  }
  try {
    auto p = std::make_unique<impl>();
    p->owner = std::move(m);
    p->l2 = l2 != 0 ? l2 : caches().l2;
    // A quarter of the cache: the weights' panel, the output and the next chunk need room too.
    p->source_budget = p->l2 / 4 / sizeof(float);
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
    plan next = make_plan(e.net(), {e.pool->threads(), e.l2}, height, width);
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
    std::visit([&](const auto& b) { e.run_block(int(i), b, e.current.blocks[i]); }, e.net().blocks[i]);
  }
  if (stopped()) return cancelled();
  e.run_head();
  if (out.embedding != nullptr) {
    const float* embedding = e.at(e.current.embedding_at);
    for (int i = 0; i < e.owner->features(); ++i) out.embedding[i] = embedding[i] * e.net().head.embedding_scale;
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
