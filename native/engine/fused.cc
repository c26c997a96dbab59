// SPDX-License-Identifier: Apache-2.0
// A fused MBConv block: a dense convolution in place of expand and depthwise, then project.
#include "engine/executor_impl.h"

namespace effnet {

void executor::impl::run_block(int index, const packed_fused& b, const block_plan& p) {
  if (!b.has_project) {
    convolve(b, p, p.out, at(p.out_at));
    clock.lap(index, "conv");
    return;
  }
  convolve(b, p, p.filtered, at(current.filtered_at));
  clock.lap(index, "conv");
  project(b.project, net().at(b.project.weights), p.filtered, b.residual ? &b.residual_scale : nullptr, p);
  clock.lap(index, "project");
}

// Rows are cut so that the source of a piece stays in the second-level cache while all panels pass over
// it, and further for the threads as long as every piece has enough pixels to be worth a pass of the
// weights; then panels are cut.
void executor::impl::convolve(const packed_fused& b, const block_plan& p, const map& dst, float* dst_at) {
  const packed_matrix& m = b.conv.matrix;
  conv_args c;
  c.src = at(p.in_at);
  c.src_plane = p.in.plane();
  c.src_row = p.in.row();
  c.channels = p.in.channels;
  c.kernel = b.conv.kernel;
  c.weights = net().at(m.weights);
  c.panel_stride = m.layout.stride();
  c.panel_vectors = m.layout.panel_vectors;
  c.bias = net().at(m.bias);
  c.dst = dst_at + dst.inside();
  c.dst_plane = dst.plane();
  c.dst_row = dst.row();
  if (b.residual && !b.has_project) {
    c.residual_scale = b.residual_scale;
    c.residual = at(p.in_at) + p.in.inside();
    c.residual_plane = p.in.plane();
    c.residual_row = p.in.row();
  }
  c.out_width = dst.width;
  c.vectors = m.layout.vectors;
  c.act = b.act;
  constexpr int kLeastPixels = 128;
  const size_t source_row = size_t(p.in.blocks) * size_t(p.in.row()) * size_t(b.conv.stride);
  const cuts rows(dst.height, int(source_budget / source_row), std::min(wanted(), dst.pixels() / kLeastPixels));
  const cuts panel(m.layout.count(), m.layout.count(), div_up(wanted(), rows.pieces));
  pool->parallel_for(rows.pieces * panel.pieces, [&, c](int item) {
    conv_args part = c;
    const int row = item / panel.pieces, group = item % panel.pieces;
    part.row_begin = rows.cut(row);
    part.row_end = rows.cut(row + 1);
    part.panel_begin = panel.cut(group);
    part.panel_end = panel.cut(group + 1);
    if (row == 0) {
      const int vectors = m.layout.panel_vectors;
      clear_border(dst, dst_at, part.panel_begin * vectors, std::min(part.panel_end * vectors, dst.blocks));
    }
    b.conv.fn(part);
  });
}

}  // namespace effnet
