// SPDX-License-Identifier: Apache-2.0
// The layers that several kinds of block are made of: pointwise and dense, with their work cut for the
// threads, and the borders of maps. The order of additions within an output never depends on a cut.
#include <cstring>

#include "engine/executor_impl.h"

namespace effnet {

namespace {

// How far ahead of the weights in use others are asked for: this part of the second-level cache.
constexpr size_t kLead = 8;

}  // namespace

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

void copy_pixels(const map& m, const float* base, float scale, float* to) {
  for (int y = 0; y < m.height; ++y)
    for (int x = 0; x < m.width; ++x, to += m.channels) {
      const float* pixel = base + m.inside() + y * m.row() + ptrdiff_t(x) * m.lanes;
      for (int c = 0; c < m.channels; ++c) to[c] = pixel[c / m.lanes * m.plane() + c % m.lanes] * scale;
    }
}

void source_map(gemm_args& g, const map& src, const float* base) {
  g.src = base;
  g.segment_stride = src.plane();
  g.segments = src.blocks;
  g.segment_length = src.lanes;
  g.last_segment_length = src.channels - (src.blocks - 1) * src.lanes;
}

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

gemm_args one_panel(gemm_args g, const panels& layout, int panel) {
  const ptrdiff_t block = ptrdiff_t(panel) * layout.panel_vectors;
  g.weights += panel * layout.stride();
  g.bias += block * layout.lanes;
  if (g.dst != nullptr) g.dst += block * g.dst_plane;
  if (g.residual != nullptr) g.residual += block * g.residual_plane;
  g.vectors = layout.width(panel);
  g.half = layout.ends_half(panel);
  g.panel_begin = 0;
  g.panel_end = 1;
  return g;
}

// While these panels are computed, memory is asked for that lies kLead further on: as much of what there is up to
// `next`, the next pointwise layer's weights, as the panels are of the layer. So all weights between two
// pointwise layers come too, those of a depthwise and of an excite that would wait for each of their lines.
// Threads take the panels in turns, so that each asks for those that it will come to.
void executor::impl::look_ahead(gemm_args& g, const packed_matrix& m, size_t next, int panel_begin, int panel_end) const {
  const ptrdiff_t floats = ptrdiff_t(next - m.weights) / m.layout.count();
  const ptrdiff_t lead = ptrdiff_t(l2 / kLead / sizeof(float)), takers = pool->threads();
  const ptrdiff_t turns = (lead + floats - 1) / floats;
  g.ahead = net().at(m.weights) + panel_begin * floats + (takers == 1 ? lead : takers * turns * floats);
  g.ahead_floats = (panel_end - panel_begin) * floats;
}

// Where the weights begin that follow a block's.
size_t executor::impl::first_after(int block) const {
  const size_t next = size_t(block) + 1;
  if (next == net().blocks.size()) return net().head.first;
  return std::visit([](const auto& b) { return b.first; }, net().blocks[next]);
}

// Pieces of a pointwise layer's pixels: a chunk of the source stays in the second-level cache while all panels pass
// over it. Threads with few panels to share get as many pieces each as the others, unless the pieces become so small
// that their panels' weights, read and gated again for each, would take the gain.
int executor::impl::pixel_pieces(const panels& layout, int k, int pixels) const {
  constexpr int kWorthGating = 4, kManyPanels = 8;  // tiles of a piece; panels for each thread
  const int rows = table().gemm_rows, takers = pool->threads();
  const int chunk = std::max(1, int(source_budget / size_t(k)) / rows) * rows;
  const int chunks = div_up(pixels, chunk);
  if (takers == 1 || layout.count() >= kManyPanels * takers) return chunks;
  const int enough = div_up(2 * takers, layout.count());
  const int even = round_up(std::max(chunks, enough), takers);
  if (pixels >= even * kWorthGating * rows) return even;
  return std::max(chunks, std::min(enough, pixels / rows));
}

// With a gate, the weights are multiplied by it panel by panel, just before the product.
void executor::impl::pointwise(gemm_args g, const packed_matrix& m, const map& dst, float* dst_at, size_t next, const float* gate) {
  store_to(g, dst, dst_at);
  const panels& layout = m.layout;
  const cuts pixels(dst.pixels(), dst.pixels(), pixel_pieces(layout, m.k, dst.pixels()));
  const cuts panel(layout.count(), layout.count(), pixels.pieces >= wanted() ? 1 : layout.count());
  // A thread that takes all panels of a chunk keeps them gated for its next.
  const bool keeps = panel.pieces == 1 && pixels.pieces > pool->threads() && layout.size() <= current.gated_floats;
  std::fill(has_gated.begin(), has_gated.end(), char(0));
  pool->parallel_for(pixels.pieces * panel.pieces, [&, g](int item, int thread) {
    const int chunk_index = item / panel.pieces, group = item % panel.pieces;
    const int begin = panel.cut(group), end = panel.cut(group + 1);
    gemm_args part = g;
    part.pixel_begin = pixels.cut(chunk_index);
    part.pixel_end = pixels.cut(chunk_index + 1);
    if (chunk_index == 0) {
      look_ahead(part, m, next, begin, end);
      clear_border(dst, dst_at, begin * layout.panel_vectors, end == layout.count() ? dst.blocks : end * layout.panel_vectors);
    }
    if (gate == nullptr) {
      part.panel_begin = begin;
      part.panel_end = end;
      table().gemm.fn(part);
      return;
    }
    float* gated = at(current.gated_at) + size_t(thread) * current.gated_floats;
    for (int i = begin; i < end; ++i) {
      gemm_args one = one_panel(part, layout, i);
      one.source_far = part.source_far && i == begin;
      if (one.ahead != nullptr) {
        look_ahead(one, m, next, i, i + 1);
      } else {  // the next panel
        one.ahead = (keeps ? gated : g.weights) + ptrdiff_t(i + 1 < end ? i + 1 : begin) * layout.stride();
        one.ahead_floats = layout.stride();
      }
      float* to = keeps ? gated + i * layout.stride() : gated;
      if (!has_gated[size_t(thread)]) table().gate_weights.fn({one.weights, to, gate, m.k, one.vectors, one.half});
      one.weights = to;
      table().gemm.fn(one);
    }
    has_gated[size_t(thread)] = keeps;
  });
}

// The 1x1 convolution at the end of a block; the gate, where it is not null, is still to be multiplied by. A null
// residual_scale: no residual.
void executor::impl::project(const packed_matrix& m, const float* gate, const map& src, const float* residual_scale, const block_plan& p, size_t next) {
  gemm_args g = matrix_args(m, activation::none);
  source_map(g, src, at(current.filtered_at));
  g.source_far = far(src);
  if (residual_scale != nullptr) {
    g.residual_scale = *residual_scale;
    g.residual = at(p.in_at) + p.in.inside();
    g.residual_plane = p.in.plane();
    g.residual_rows = p.in.pixel_layout();
  }
  pointwise(g, m, p.out, at(p.out_at), next, gate);
}

conv_args executor::impl::conv_layer(const packed_conv& conv, activation act) const {
  conv_args c;
  c.kernel = conv.kernel;
  c.weights = net().at(conv.matrix.weights);
  c.panel_stride = conv.matrix.layout.stride();
  c.panel_vectors = conv.matrix.layout.panel_vectors;
  c.bias = net().at(conv.matrix.bias);
  c.vectors = conv.matrix.layout.vectors;
  c.half = conv.matrix.layout.half;
  c.act = act;
  return c;
}

// Rows are cut so that the source of a piece stays in the second-level cache while all panels pass over
// it, and further for the threads as long as every piece has enough pixels to be worth a pass of the
// weights; then panels are cut.
void executor::impl::convolve(conv_args c, const packed_conv& conv, const map& dst, float* dst_at) {
  c.dst = dst_at + dst.inside();
  c.dst_plane = dst.plane();
  c.dst_row = dst.row();
  c.out_width = dst.width;
  constexpr int kLeastPixels = 128;
  const panels& layout = conv.matrix.layout;
  const size_t source_row = size_t(div_up(c.channels, table().lanes)) * size_t(c.src_row) * size_t(conv.stride);
  const cuts rows(dst.height, int(source_budget / source_row), std::min(wanted(), dst.pixels() / kLeastPixels));
  const cuts panel(layout.count(), layout.count(), div_up(wanted(), rows.pieces));
  pool->parallel_for(rows.pieces * panel.pieces, [&, c](int item) {
    conv_args part = c;
    const int row = item / panel.pieces, group = item % panel.pieces;
    part.row_begin = rows.cut(row);
    part.row_end = rows.cut(row + 1);
    part.panel_begin = panel.cut(group);
    part.panel_end = panel.cut(group + 1);
    if (row == 0) {
      const int end = part.panel_end == layout.count() ? dst.blocks : part.panel_end * layout.panel_vectors;
      clear_border(dst, dst_at, part.panel_begin * layout.panel_vectors, end);
    }
    conv.fn(part);
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
  const cuts panel(m.layout.count(), m.layout.count(), share ? wanted() : 1);
  pool->parallel_for(panel.pieces, [&, g](int item) {
    gemv_args part = g;
    part.panel_begin = panel.cut(item);
    part.panel_end = panel.cut(item + 1);
    table().gemv.fn(part);
  });
}

}  // namespace effnet
