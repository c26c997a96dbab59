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

// Scratch that is so many times too large is given back.
constexpr size_t kMuchLarger = 16;

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

// Where a map is wanted, copies it; returns where the next one goes.
float* executor::impl::copy_features(int block, const map& m, size_t from, float scale, float* to) {
  if (to == nullptr) return nullptr;
  for (const feature_map& wanted : current.features) {
    if (wanted.block != block) continue;
    copy_pixels(m, at(from), scale, to);
    to += wanted.floats();
  }
  return to;
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
  // What follows waits for memory alone, so as much of it is asked for as half of the cache holds.
  const size_t end = std::min(net().arena.size(), head.conv.weights + head.conv.layout.size() + l2 / 2 / sizeof(float));
  const cuts panel(head.conv.layout.count(), 1, 1);
  pool->parallel_for(panel.pieces, [&, g](int item) {
    gemm_args part = g;
    part.panel_begin = panel.cut(item);
    part.panel_end = panel.cut(item + 1);
    look_ahead(part, head.conv, end, part.panel_begin, part.panel_end);
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

status executor::impl::prepare(int height, int width) {
  for (const int side : {height, width}) {
    if (side < 1 || side > input_image::kMaxSide) {
      return status::error(status_code::invalid_argument, "Expected height and width to be 1 to " +
                                                              std::to_string(input_image::kMaxSide) + " but received " +
                                                              std::to_string(height) + " x " + std::to_string(width));
    }
  }
  if (current.height == height && current.width == width) return status::success();
  try {
    plan next = make_plan(net(), {threads, l2}, height, width);
    current = plan();
    // Kept where it suffices, unless a much larger image has passed: its scratch, gigabytes at
    // 4096 x 4096, would stay for good.
    if (next.floats > arena.size() || next.floats < arena.size() / kMuchLarger) {
      if (status s = arena.resize(next.floats); !s.ok()) return s;
    }
    current = std::move(next);
    band_of.assign(size_t(threads), kNoBlock);
    has_gated.assign(size_t(threads), 0);
    return status::success();
  } catch (const std::bad_alloc&) {
    return status::error(status_code::out_of_memory, "Not enough memory to plan the network");
  }
}

void executor::impl::give_back() {
  current = plan();
  arena = aligned_buffer();
}

status executor::impl::run(const input_image& image, const run_output& out, const std::atomic<bool>* stop,
                           std::vector<step_time>* steps) {
  if (status s = prepare(image.height(), image.width()); !s.ok()) return s;
  const auto stopped = [&] { return stop != nullptr && stop->load(std::memory_order_relaxed); };
  const auto cancelled = [] { return status::error(status_code::cancelled, "The run was stopped"); };
  if (stopped()) return cancelled();
  if (status s = clock.start(steps, kStepsPerBlock * (current.blocks.size() + 1)); !s.ok()) return s;
  std::fill(band_of.begin(), band_of.end(), kNoBlock);
  run_stem(image);
  float* features = copy_features(-1, current.stem_out, current.stem_out_at, net().stem_own_scale, out.features);
  for (size_t i = 0; i < current.blocks.size(); ++i) {
    if (stopped()) return cancelled();
    const block_plan& p = current.blocks[i];
    std::visit(
        [&](const auto& b) {
          run_block(int(i), b, p);
          features = copy_features(int(i), p.out, p.out_at, b.own_scale, features);
        },
        net().blocks[i]);
  }
  if (stopped()) return cancelled();
  if (out.embedding == nullptr && out.logits == nullptr) return status::success();
  run_head();
  if (out.embedding != nullptr) {
    const float* embedding = at(current.embedding_at);
    for (int i = 0; i < owner->features(); ++i) out.embedding[i] = embedding[i] * net().head.embedding_scale;
  }
  if (out.logits != nullptr && owner->classes() != 0) {
    run_classifier();
    std::memcpy(out.logits, at(current.logits_at), sizeof(float) * size_t(owner->classes()));
  }
  return status::success();
}

executor::executor(std::unique_ptr<impl> p, std::unique_ptr<team> t) : impl_(std::move(p)), team_(std::move(t)) {}
executor::~executor() = default;

status executor::create(std::shared_ptr<const model> m, int threads, std::unique_ptr<executor>* out, size_t l2) {
  constexpr int kMaxThreads = 1024;
  if (threads < 1 || threads > kMaxThreads) {
    return status::error(status_code::invalid_argument,
                         "Expected threads to be 1 to " + std::to_string(kMaxThreads) + " but received " + std::to_string(threads));
  }
  try {
    auto t = std::make_unique<team>();
    if (status s = thread_pool::create(threads, &t->everyone); !s.ok()) return s;
    if (status s = thread_pool::create(1, &t->nobody); !s.ok()) return s;
    const auto make = [&](thread_pool* pool) {
      auto p = std::make_unique<impl>();
      p->owner = m;
      p->pool = pool;
      p->threads = pool->threads();
      p->l2 = l2 != 0 ? l2 : caches().l2;
      // Half of the cache: the weights' panel and the output need room too.
      p->source_budget = p->l2 / 2 / sizeof(float);
      return p;
    };
    auto first = make(t->everyone.get());
    for (int i = 1; i < threads; ++i) t->lanes.push_back(make(t->nobody.get()));
    out->reset(new executor(std::move(first), std::move(t)));
    return status::success();
  } catch (const std::bad_alloc&) {
    return status::error(status_code::out_of_memory, "Not enough memory for an executor");
  }
}

status executor::prepare(int height, int width) {
  if (status s = impl_->prepare(height, width); !s.ok()) return s;
  // Lanes that ran a much larger image may not run again for long.
  for (const auto& l : team_->lanes)
    if (impl_->current.floats < l->arena.size() / kMuchLarger) l->give_back();
  return status::success();
}

status executor::run(const input_image& image, const run_output& out, const std::atomic<bool>* stop,
                     std::vector<step_time>* steps) {
  if (status s = prepare(image.height(), image.width()); !s.ok()) return s;
  return impl_->run(image, out, stop, steps);
}

executor::impl& executor::lane_impl(int index) { return index == 0 ? *impl_ : *team_->lanes[size_t(index) - 1]; }

status executor::lane::prepare(int height, int width) { return owner_->lane_impl(index_).prepare(height, width); }

status executor::lane::run(const input_image& image, const run_output& out, const std::atomic<bool>* stop) {
  return owner_->lane_impl(index_).run(image, out, stop, nullptr);
}

void executor::run_lanes(void (*work)(void* context, lane& l), void* context) {
  impl_->pool = team_->nobody.get();
  team_->everyone->together([&](int thread) {
    lane l(this, thread);
    work(context, l);
  });
  impl_->pool = team_->everyone.get();
}

std::string step_name(const step_time& step) {
  return step.block < 0 ? step.step : "blocks." + std::to_string(step.block) + "." + step.step;
}

int executor::threads() const { return team_->everyone->threads(); }

size_t executor::activation_bytes() const {
  size_t floats = impl_->arena.size();
  for (const auto& l : team_->lanes) floats += l->arena.size();
  return floats * sizeof(float);
}

}  // namespace effnet
