// SPDX-License-Identifier: Apache-2.0
// An MBConv block: expand, depthwise, squeeze and excite, project. Stages inside it may be fused without
// a change elsewhere.
#include "engine/executor_impl.h"

namespace effnet {

void executor::impl::run_block(int index, const packed_mbconv& b, const block_plan& p) {
  if (b.has_expand) {
    gemm_args g = matrix_args(b.expand, b.act);
    source_map(g, p.in, at(p.in_at));
    pointwise(g, b.expand, p.hidden, at(current.hidden_at));
    clock.lap(index, "expand");
  }
  filter(b, p);
  clock.lap(index, "depthwise");
  const float* weights = net().at(b.project.weights);
  if (b.squeeze != 0) {
    weights = excite(b, p);
    clock.lap(index, "excite");
  }
  project(b.project, weights, p.filtered, b.residual ? &b.residual_scale : nullptr, p);
  clock.lap(index, "project");
}

void executor::impl::filter(const packed_mbconv& b, const block_plan& p) {
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
  d.act = b.act;
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

// Squeeze and excite; returns the projection's weights, which carry the gate where those are smaller
// than the map.
const float* executor::impl::excite(const packed_mbconv& b, const block_plan& p) {
  const float* weights = net().at(b.project.weights);
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
  if (!p.gate_on_weights) {
    const cuts blocks(p.filtered.blocks, p.filtered.blocks, wanted());
    pool->parallel_for(blocks.pieces, [&](int item) {
      table().gate_map.fn({at(current.filtered_at), p.filtered.plane(), gate, p.filtered.pixels(), blocks.cut(item), blocks.cut(item + 1)});
    });
    return weights;
  }
  float* gated = at(current.weights_at);
  const panels& layout = b.project.layout;
  const cuts rows(b.expanded, b.expanded, wanted());
  pool->parallel_for(rows.pieces, [&](int item) {
    for (int panel = 0; panel < layout.count(); ++panel) {
      const ptrdiff_t begin = panel * layout.stride();
      table().gate_weights.fn({weights + begin, gated + begin, gate, layout.width(panel) * layout.lanes, rows.cut(item), rows.cut(item + 1)});
    }
  });
  return gated;
}

}  // namespace effnet
