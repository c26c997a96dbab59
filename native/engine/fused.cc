// SPDX-License-Identifier: Apache-2.0
// A fused MBConv block: a dense convolution in place of expand and depthwise, then project.
#include "engine/executor_impl.h"

namespace effnet {

void executor::impl::run_block(int index, const packed_fused& b, const block_plan& p) {
  conv_args c = conv_layer(b.conv, b.act);
  c.src = at(p.in_at);
  c.src_plane = p.in.plane();
  c.src_row = p.in.row();
  c.channels = p.in.channels;
  if (b.has_project) {
    convolve(c, b.conv, p.filtered, at(current.filtered_at));
    clock.lap(index, "conv");
    project(b.project, nullptr, p.filtered, b.residual ? &b.residual_scale : nullptr, p, first_after(index));
    clock.lap(index, "project");
    return;
  }
  if (b.residual) {
    c.residual_scale = b.residual_scale;
    c.residual = at(p.in_at) + p.in.inside();
    c.residual_plane = p.in.plane();
    c.residual_row = p.in.row();
  }
  convolve(c, b.conv, p.out, at(p.out_at));
  clock.lap(index, "conv");
}

}  // namespace effnet
