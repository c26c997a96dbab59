// SPDX-License-Identifier: Apache-2.0
// An MBConv block: expand, depthwise, squeeze and excite, project. Where the expanded map would leave the
// cache, expand and depthwise take turns on bands of rows; otherwise each runs over the whole map.
#include <cstring>

#include "engine/executor_impl.h"

namespace effnet {

void executor::impl::run_block(int index, const packed_mbconv& b, const block_plan& p) {
  if (p.band_rows != 0) {
    expand_and_filter(index, b, p);
    clock.lap(index, "expand+depthwise");
  } else {
    if (b.has_expand) {
      gemm_args g = matrix_args(b.expand, b.act);
      source_map(g, p.in, at(p.in_at));
      pointwise(g, b.expand, p.hidden, at(current.hidden_at), b.project.weights);
      clock.lap(index, "expand");
    }
    filter(b, p);
    clock.lap(index, "depthwise");
  }
  const float* gate = nullptr;
  if (b.squeeze != 0) {
    gate = excite(b, p);
    clock.lap(index, "excite");
  }
  project(b.project, gate, p.filtered, b.residual ? &b.residual_scale : nullptr, p, first_after(index));
  clock.lap(index, "project");
}

// The expanded rows of one panel that one band of output rows reads, with their border. Rows are counted
// as in the bordered map.
struct band {
  const map& hidden;
  int vectors, most_vectors;  // of this panel, and of the widest
  float* memory;
  ptrdiff_t plane;
  int first = 0, end = 0;  // rows that it holds

  float* row(int vector, int y) { return memory + vector * plane + (y - first) * hidden.row(); }
  // Makes room for rows [begin, ...), keeping those that it already has at their new places.
  void move_to(int begin) {
    const int kept = std::max(0, end - begin);
    for (int v = 0; v < vectors && kept > 0; ++v)
      std::memmove(memory + v * plane, row(v, begin), sizeof(float) * size_t(kept) * size_t(hidden.row()));
    first = begin;
    end = begin + kept;
  }
  void clear_rows(int begin, int to) {
    for (int v = 0; v < most_vectors && begin < to; ++v) std::memset(row(v, begin), 0, sizeof(float) * size_t(to - begin) * size_t(hidden.row()));
  }
  // The columns of the border, of rows that the band may come to hold. No pixel is ever written there.
  void clear_sides(int rows) {
    const size_t right = size_t(hidden.left + hidden.width) * size_t(hidden.lanes);
    for (int v = 0; v < most_vectors; ++v)
      for (int y = 0; y < rows; ++y) {
        float* line = memory + v * plane + y * hidden.row();
        std::memset(line, 0, sizeof(float) * size_t(hidden.left) * size_t(hidden.lanes));
        std::memset(line + right, 0, sizeof(float) * (size_t(hidden.row()) - right));
      }
  }
};

// A panel of the expansion after the other, each in bands of rows small enough to stay in the cache until
// the depthwise has read them. Threads share the panels, and the rows where panels are few; the first band
// of a piece computes again the rows that the piece above ends with.
void executor::impl::expand_and_filter(int index, const packed_mbconv& b, const block_plan& p) {
  const panels& layout = b.expand.layout;
  const int stride = b.depthwise.stride, kernel = b.depthwise.kernel;
  const int band_height = (p.band_rows - 1) * stride + kernel;
  const cuts rows(p.filtered.height, p.filtered.height, machine{pool->threads(), l2}.pieces(layout.count()));
  const depthwise_args all = depthwise(b, p);
  pool->parallel_for(layout.count() * rows.pieces, [&](int item, int thread) {
    const int panel = item / rows.pieces, piece = item % rows.pieces, block = panel * layout.panel_vectors;
    gemm_args g = one_panel(matrix_args(b.expand, b.act), layout, panel);
    source_map(g, p.in, nullptr);
    g.source_far = far(p.in);
    if (piece == 0) look_ahead(g, b.expand, b.project.weights, panel, panel + 1);
    g.dst_rows = p.hidden.pixel_layout();
    g.dst_plane = band_height * p.hidden.row();
    depthwise_args d = all;
    d.weights += ptrdiff_t(block) * kernel * kernel * table().lanes;
    d.bias += ptrdiff_t(block) * table().lanes;
    d.block_end = g.vectors;
    d.src_plane = g.dst_plane;
    band held{p.hidden, g.vectors, layout.widest(), at(current.bands_at) + size_t(thread) * current.band_floats, g.dst_plane};
    // Where a band is the whole map, what one panel leaves of its border serves the next.
    const bool whole = p.band_rows == p.filtered.height && rows.pieces == 1;
    const bool bordered = whole && band_of[size_t(thread)] == index;
    if (!bordered) held.clear_sides(band_height);
    band_of[size_t(thread)] = whole ? index : kNoBlock;
    for (int y = rows.cut(piece), y_end = rows.cut(piece + 1); y < y_end; y += p.band_rows) {
      const int count = std::min(p.band_rows, y_end - y);
      held.move_to(y * stride);
      const int end = (y + count - 1) * stride + kernel;
      const auto image_row = [&](int row) { return std::min(std::max(row - p.hidden.top, 0), p.hidden.height); };
      const int from = image_row(held.end), to = image_row(end);
      if (!bordered) held.clear_rows(held.end, std::min(end, p.hidden.top));
      g.src = at(p.in_at) + from * p.in.row();
      g.dst = held.row(0, p.hidden.top + from) + p.hidden.left * p.hidden.lanes;
      g.pixel_end = (to - from) * p.hidden.width;
      if (from < to) table().gemm.fn(g);
      g.ahead = nullptr;
      if (!bordered) held.clear_rows(std::max(held.end, p.hidden.top + p.hidden.height), end);
      held.end = end;
      d.src = held.memory;
      d.dst = all.dst + block * all.dst_plane + y * all.dst_row;
      d.sums = all.sums == nullptr ? nullptr : all.sums + (ptrdiff_t(block) * all.out_height + y) * table().lanes;
      d.row_end = count;
      b.depthwise.fn(d);
    }
  });
}

depthwise_args executor::impl::depthwise(const packed_mbconv& b, const block_plan& p) {
  depthwise_args d;
  d.src = at(b.has_expand ? current.hidden_at : p.in_at);
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
  d.kernel = b.depthwise.kernel;
  d.source_far = !b.has_expand && far(p.hidden);
  d.act = b.act;
  return d;
}

void executor::impl::filter(const packed_mbconv& b, const block_plan& p) {
  const depthwise_args d = depthwise(b, p);
  const cuts blocks(p.filtered.blocks, 1, 1);
  const cuts rows(p.filtered.height, p.filtered.height, div_up(wanted(), blocks.pieces));
  pool->parallel_for(blocks.pieces * rows.pieces, [&, d](int item) {
    depthwise_args part = d;
    part.block_begin = blocks.cut(item / rows.pieces);
    part.block_end = blocks.cut(item / rows.pieces + 1);
    part.row_begin = rows.cut(item % rows.pieces);
    part.row_end = rows.cut(item % rows.pieces + 1);
    b.depthwise.fn(part);
  });
}

// Squeeze and excite; returns the gate where the projection's weights are to carry it, being smaller than the
// map, else null.
const float* executor::impl::excite(const packed_mbconv& b, const block_plan& p) {
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
  if (p.gate_on_weights) return gate;
  const cuts blocks(p.filtered.blocks, p.filtered.blocks, wanted());
  pool->parallel_for(blocks.pieces, [&](int item) {
    table().gate_map.fn({at(current.filtered_at), p.filtered.plane(), gate, p.filtered.pixels(), blocks.cut(item), blocks.cut(item + 1)});
  });
  return nullptr;
}

}  // namespace effnet
