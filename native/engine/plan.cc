// SPDX-License-Identifier: Apache-2.0
// Where everything lies for one input size.
#include "engine/plan.h"

#include <algorithm>

namespace effnet {

namespace {

// Sizes of the shared regions: the largest use of each.
struct regions {
  size_t turn[2] = {0, 0}, hidden = 0, band = 0, filtered = 0, sums = 0, channels = 0, squeezed = 0, gated = 0;
};

size_t round_up_to_line(size_t floats) { return (floats + 15) / 16 * 16; }

void grow(size_t& region, size_t floats) { region = std::max(region, floats); }

// The window of a block's convolution, and whether it moves over the block's input itself, which then
// carries the border.
struct moving_window {
  int kernel, stride;
  bool over_input;
};
moving_window window_of(const packed_mbconv& b) { return {b.depthwise.kernel, b.depthwise.stride, !b.has_expand}; }
moving_window window_of(const packed_fused& b) { return {b.conv.kernel, b.conv.stride, true}; }
moving_window window_of(const packed_block& block) {
  return std::visit([](const auto& b) { return window_of(b); }, block);
}

// Where it stands on a map of this size.
struct positions {
  window rows, columns;
  positions(const moving_window& w, const map& m, padding pad)
      : rows(make_window(m.height, w.kernel, w.stride, pad)), columns(make_window(m.width, w.kernel, w.stride, pad)) {}
};

// `plain` with the border that block i reads around its input.
map input_of(const model::impl& m, size_t i, const map& plain) {
  if (i >= m.blocks.size()) return plain;
  const moving_window w = window_of(m.blocks[i]);
  if (!w.over_input) return plain;
  const positions at(w, plain, m.pad);
  return with_border(plain, at.rows, at.columns);
}

int band_rows_of(const packed_mbconv& b, const map& hidden, int out_rows, const machine& on) {
  const int halo = b.depthwise.kernel - b.depthwise.stride;
  const int pieces = on.pieces(b.expand.layout.count());
  const bool cached = hidden.floats() * sizeof(float) <= on.l2;
  if (cached && pieces > 1 && out_rows * b.depthwise.stride < 4 * halo * pieces) return 0;
  const size_t row = size_t(hidden.row()) * size_t(b.expand.layout.panel_vectors) * sizeof(float);
  const int rows = int(on.l2 / 4 / row);
  return std::min(out_rows, std::max(1, (rows - b.depthwise.kernel) / b.depthwise.stride + 1));
}

// Floats of the expanded rows that one band of a panel reads.
size_t band_floats(const packed_mbconv& b, const map& hidden, int rows) {
  return size_t((rows - 1) * b.depthwise.stride + b.depthwise.kernel) * size_t(hidden.row()) * size_t(b.expand.layout.widest());
}

// The maps between a block's input and its output, and the room that its scratch needs.
void plan_inside(const packed_mbconv& b, const positions& at, const machine& on, block_plan& p, regions& r) {
  const int lanes = p.in.lanes;
  p.hidden = p.in;
  if (b.has_expand) {
    p.hidden = with_border(make_map(b.expanded, p.in.height, p.in.width, lanes), at.rows, at.columns);
    p.band_rows = band_rows_of(b, p.hidden, at.rows.out, on);
    if (p.band_rows != 0)
      grow(r.band, band_floats(b, p.hidden, p.band_rows));
    else
      grow(r.hidden, p.hidden.floats());
  }
  p.filtered = make_map(b.expanded, at.rows.out, at.columns.out, lanes);
  grow(r.filtered, p.filtered.floats());
  if (b.squeeze == 0) return;
  p.gate_on_weights = b.project.layout.size() < p.filtered.floats();
  grow(r.sums, size_t(p.filtered.blocks) * at.rows.out * lanes);
  grow(r.channels, size_t(p.filtered.blocks) * lanes);
  grow(r.squeezed, size_t(round_up(b.squeeze, lanes)));
  if (p.gate_on_weights) {
    // A matrix that several chunks of pixels share is kept whole: of maps that the cache does not hold.
    const bool shared = p.filtered.floats() * sizeof(float) > on.l2;
    grow(r.gated, shared ? b.project.layout.size() : size_t(b.expanded) * size_t(b.project.layout.widest()) * size_t(lanes));
  }
}

void plan_inside(const packed_fused& b, const positions& at, const machine&, block_plan& p, regions& r) {
  p.hidden = p.in;
  p.filtered = p.out;
  if (!b.has_project) return;
  p.filtered = make_map(b.expanded, at.rows.out, at.columns.out, p.in.lanes);
  grow(r.filtered, p.filtered.floats());
}

block_plan plan_block(const model::impl& m, const machine& on, size_t i, const map& in, regions& r) {
  const positions at(window_of(m.blocks[i]), in, m.pad);
  block_plan p;
  p.in = in;
  std::visit(
      [&](const auto& b) {
        p.out = input_of(m, i + 1, make_map(b.out, at.rows.out, at.columns.out, in.lanes));
        plan_inside(b, at, on, p, r);
      },
      m.blocks[i]);
  return p;
}

}  // namespace

std::vector<feature_map> feature_maps(const model::impl& m, int height, int width) {
  feature_map at;
  at.channels = m.stem.matrix.n;
  at.height = make_window(height, m.stem.kernel, m.stem.stride, m.pad).out;
  at.width = make_window(width, m.stem.kernel, m.stem.stride, m.pad).out;
  at.stride = m.stem.stride;
  std::vector<feature_map> maps;
  for (size_t i = 0; i < m.blocks.size(); ++i) {
    const moving_window w = window_of(m.blocks[i]);
    if (w.stride != 1) maps.push_back(at);
    at.block = int(i);
    at.channels = std::visit([](const auto& b) { return b.out; }, m.blocks[i]);
    at.height = make_window(at.height, w.kernel, w.stride, m.pad).out;
    at.width = make_window(at.width, w.kernel, w.stride, m.pad).out;
    at.stride *= w.stride;
  }
  maps.push_back(at);
  return maps;
}

plan make_plan(const model::impl& m, const machine& on, int height, int width) {
  const int lanes = m.table->lanes;
  plan p;
  p.height = height;
  p.width = width;
  p.stem_rows = make_window(height, 3, 2, m.pad);
  p.stem_columns = make_window(width, 3, 2, m.pad);
  p.stem_out = input_of(m, 0, make_map(m.stem.matrix.n, p.stem_rows.out, p.stem_columns.out, lanes));
  regions r;
  grow(r.turn[0], p.stem_out.floats());
  map at = p.stem_out;
  for (size_t i = 0; i < m.blocks.size(); ++i) {
    p.blocks.push_back(plan_block(m, on, i, at, r));
    at = p.blocks.back().out;
    grow(r.turn[(i + 1) % 2], at.floats());
  }
  p.head_in = at;
  p.features = feature_maps(m, height, width);

  const auto place = [&](size_t floats) {
    const size_t here = p.floats;
    p.floats += round_up_to_line(floats);
    return here;
  };
  const size_t turn[2] = {place(r.turn[0]), place(r.turn[1])};
  p.hidden_at = place(r.hidden);
  p.band_floats = round_up_to_line(r.band);
  p.bands_at = place(p.band_floats * size_t(on.threads));
  p.filtered_at = place(r.filtered);
  p.sums_at = place(r.sums);
  p.mean_at = place(r.channels);
  p.gate_at = place(r.channels);
  p.squeezed_at = place(r.squeezed);
  p.gated_floats = round_up_to_line(r.gated);
  p.gated_at = place(p.gated_floats * size_t(on.threads));
  p.pool_at = place(size_t(round_up(m.head.conv.n, lanes)));
  p.pooled_at = place(size_t(round_up(m.head.conv.n, lanes)));
  p.embedding_at = m.head.hidden.n != 0 ? place(size_t(round_up(m.head.hidden.n, lanes))) : p.pooled_at;
  p.logits_at = place(size_t(round_up(m.head.classifier.n, lanes)));
  p.stem_out_at = turn[0];
  p.head_in_at = turn[m.blocks.size() % 2];
  for (size_t i = 0; i < p.blocks.size(); ++i) {
    block_plan& b = p.blocks[i];
    b.in_at = turn[i % 2];
    b.out_at = turn[(i + 1) % 2];
  }
  return p;
}

}  // namespace effnet
