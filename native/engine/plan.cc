// SPDX-License-Identifier: Apache-2.0
// Where everything lies for one input size.
#include "engine/plan.h"

#include <algorithm>

namespace effnet {

namespace {

// Sizes of the shared regions: the largest use of each.
struct regions {
  size_t turn[2] = {0, 0}, hidden = 0, filtered = 0, sums = 0, channels = 0, squeezed = 0, weights = 0;
};

void grow(size_t& region, size_t floats) { region = std::max(region, floats); }

// The border that block i reads around its input: only a depthwise without an expansion before it
// reads the block's input directly.
map input_of(const model::impl& m, size_t i, const map& plain) {
  if (i >= m.blocks.size() || m.blocks[i].has_expand) return plain;
  const packed_depthwise& d = m.blocks[i].depthwise;
  return with_border(plain, make_window(plain.height, d.kernel, d.stride, m.pad),
                     make_window(plain.width, d.kernel, d.stride, m.pad));
}

block_plan plan_block(const model::impl& m, size_t i, const map& in, regions& r) {
  const packed_mbconv& b = m.blocks[i];
  const int lanes = m.table->lanes;
  const window rows = make_window(in.height, b.depthwise.kernel, b.depthwise.stride, m.pad);
  const window columns = make_window(in.width, b.depthwise.kernel, b.depthwise.stride, m.pad);
  block_plan p;
  p.in = in;
  p.hidden = b.has_expand ? with_border(make_map(b.expanded, in.height, in.width, lanes), rows, columns) : in;
  p.filtered = make_map(b.expanded, rows.out, columns.out, lanes);
  p.out = input_of(m, i + 1, make_map(b.out, rows.out, columns.out, lanes));
  p.gate_on_weights = b.squeeze != 0 && b.project.layout.size() < p.filtered.floats();
  if (b.has_expand) grow(r.hidden, p.hidden.floats());
  grow(r.filtered, p.filtered.floats());
  grow(r.sums, size_t(p.filtered.blocks) * rows.out * lanes);
  grow(r.channels, size_t(p.filtered.blocks) * lanes);
  if (b.squeeze != 0) grow(r.squeezed, size_t(round_up(b.squeeze, lanes)));
  if (p.gate_on_weights) grow(r.weights, b.project.layout.size());
  return p;
}

}  // namespace

plan make_plan(const model::impl& m, int height, int width) {
  const int lanes = m.table->lanes;
  plan p;
  p.height = height;
  p.width = width;
  p.stem_rows = make_window(height, 3, 2, m.pad);
  p.stem_columns = make_window(width, 3, 2, m.pad);
  p.stem_out = input_of(m, 0, make_map(m.stem.n, p.stem_rows.out, p.stem_columns.out, lanes));
  regions r;
  grow(r.turn[0], p.stem_out.floats());
  map at = p.stem_out;
  for (size_t i = 0; i < m.blocks.size(); ++i) {
    p.blocks.push_back(plan_block(m, i, at, r));
    at = p.blocks.back().out;
    grow(r.turn[(i + 1) % 2], at.floats());
  }
  p.head_in = at;

  const auto place = [&](size_t floats) {
    constexpr size_t kLine = 16;
    const size_t here = p.floats;
    p.floats += (floats + kLine - 1) / kLine * kLine;
    return here;
  };
  const size_t turn[2] = {place(r.turn[0]), place(r.turn[1])};
  const size_t hidden = place(r.hidden);
  p.filtered_at = place(r.filtered);
  p.sums_at = place(r.sums);
  p.mean_at = place(r.channels);
  p.gate_at = place(r.channels);
  p.squeezed_at = place(r.squeezed);
  p.weights_at = place(r.weights);
  p.pool_at = place(size_t(round_up(m.head.n, lanes)));
  p.embedding_at = place(size_t(round_up(m.head.n, lanes)));
  p.logits_at = place(size_t(round_up(m.classifier.n, lanes)));
  p.stem_out_at = turn[0];
  p.head_in_at = turn[m.blocks.size() % 2];
  for (size_t i = 0; i < p.blocks.size(); ++i) {
    block_plan& b = p.blocks[i];
    b.in_at = turn[i % 2];
    b.out_at = turn[(i + 1) % 2];
    b.hidden_at = m.blocks[i].has_expand ? hidden : b.in_at;
  }
  return p;
}

}  // namespace effnet
