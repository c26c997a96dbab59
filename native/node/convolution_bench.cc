// SPDX-License-Identifier: Apache-2.0
// Buffers and arguments for the kernels that convolve: matrix products, stem, depthwise and dense
// convolutions. Nothing is timed here.
#include <memory>
#include <string>

#include "kernels/pack.h"
#include "node/bench.h"

namespace effnet::node {

namespace {

// Pointwise layers, pooled or stored.
class gemm_bench final : public repeated<gemm_args> {
 public:
  gemm_bench(const description& d, bool pool) {
    const kernel_table& t = d.table();
    const int width = d.number("m", kMaxPixels), n = d.channels("n"), k = d.channels("k");
    const double m = width;
    use(t.gemm);
    flops = 2 * m * n * k;
    const panels layout = make_panels(k, n, t.lanes, t.gemm_vectors, t.gemm_halves);
    const ptrdiff_t plane = ptrdiff_t(width) * t.lanes;
    const size_t dst_floats = size_t(plane) * size_t(layout.vectors);
    must(d.env(), fill(&src_, size_t(plane) * div_up(k, t.lanes)));
    must(d.env(), fill(&weights_, layout.size()));
    must(d.env(), fill(&bias_, size_t(layout.vectors) * t.lanes));
    must(d.env(), fill(&dst_, pool ? size_t(layout.vectors) * t.lanes : dst_floats));
    args_.src = src_.data();
    args_.segment_stride = plane;
    args_.segments = div_up(k, t.lanes);
    args_.segment_length = t.lanes;
    args_.last_segment_length = k - (args_.segments - 1) * t.lanes;
    args_.weights = weights_.data();
    args_.panel_stride = layout.stride();
    args_.bias = bias_.data();
    args_.vectors = layout.vectors;
    args_.half = layout.half;
    args_.panel_end = layout.count();
    args_.pixel_end = width;
    args_.act = d.act();
    if (pool) {
      args_.pool = dst_.data();
    } else {
      args_.dst = dst_.data();
      args_.dst_plane = plane;
      args_.dst_rows = {width, 0};
    }
    bytes = size({m * k, double(k) * n, double(n), pool ? double(n) : m * n});
    if (!pool && d.flag("residual")) {
      must(d.env(), fill(&residual_, dst_floats));
      args_.residual = residual_.data();
      args_.residual_plane = plane;
      args_.residual_rows = {width, 0};
      bytes += size({m * n});
    }
  }

 private:
  aligned_buffer src_, weights_, bias_, dst_, residual_;
};

class depthwise_bench final : public repeated<depthwise_args> {
 public:
  explicit depthwise_bench(const description& d) {
    const kernel_table& t = d.table();
    const int kernel = d.number("kernelSize", 31), stride = d.number("stride", 2);
    const int height = d.side("height"), width = d.side("width"), channels = d.channels("channels");
    use(select(t, kernel, stride));
    const int blocks = div_up(channels, t.lanes);
    const int rows = (height - 1) * stride + kernel, columns = (width - 1) * stride + kernel;
    const double pixels = double(height) * width, taps = double(kernel) * kernel;
    flops = 2 * pixels * taps * channels;
    bytes = size({double(rows) * columns * channels, taps * channels, double(channels), pixels * channels});
    args_.src_row = ptrdiff_t(columns) * t.lanes;
    args_.src_plane = args_.src_row * rows;
    args_.dst_row = ptrdiff_t(width) * t.lanes;
    args_.dst_plane = args_.dst_row * height;
    must(d.env(), fill(&src_, size_t(args_.src_plane) * blocks));
    must(d.env(), fill(&weights_, size_t(blocks) * kernel * kernel * t.lanes));
    must(d.env(), fill(&bias_, size_t(blocks) * t.lanes));
    must(d.env(), fill(&dst_, size_t(args_.dst_plane) * blocks));
    must(d.env(), fill(&sums_, size_t(blocks) * height * t.lanes));
    args_.src = src_.data();
    args_.weights = weights_.data();
    args_.bias = bias_.data();
    args_.dst = dst_.data();
    args_.sums = sums_.data();
    args_.out_height = args_.row_end = height;
    args_.out_width = width;
    args_.kernel = kernel;
    args_.block_end = blocks;
    args_.act = d.act();
  }

 private:
  static const named<depthwise_fn>& select(const kernel_table& t, int kernel, int stride) {
    if (kernel == 3) return stride == 1 ? t.depthwise_k3s1 : t.depthwise_k3s2;
    if (kernel == 5) return stride == 1 ? t.depthwise_k5s1 : t.depthwise_k5s2;
    return stride == 1 ? t.depthwise_s1 : t.depthwise_s2;
  }

  aligned_buffer src_, weights_, bias_, dst_, sums_;
};

// Dense convolution, k to n channels, of a map; or of an interleaved image, which is the stem.
class conv_bench final : public repeated<conv_args> {
 public:
  conv_bench(const description& d, bool stem) {
    const kernel_table& t = d.table();
    const int kernel = stem ? 3 : d.number("kernelSize", 31), stride = stem ? 2 : d.number("stride", 2);
    const int height = d.side("height"), width = d.side("width"), n = d.channels("n"), k = stem ? 3 : d.channels("k");
    use(stem ? t.stem_k3s2 : stride == 1 ? t.conv_s1 : t.conv_s2);
    const int rows = (height - 1) * stride + kernel, columns = (width - 1) * stride + kernel;
    const double pixels = double(height) * width, terms = double(k) * kernel * kernel;
    if (terms > kMaxPixels) throw_invalid(d.env(), "Expected a convolution of fewer terms than k * kernelSize * kernelSize");
    const panels layout = make_conv_panels(k, kernel, stem ? k : t.lanes, n, t.lanes, t.conv_vectors, !stem && t.gemm_halves);
    flops = 2 * pixels * terms * n;
    bytes = size({double(rows) * columns * k, terms * n, double(n), pixels * n});
    args_.src_row = ptrdiff_t(columns) * (stem ? k : t.lanes);
    args_.src_plane = args_.src_row * rows;
    args_.dst_row = ptrdiff_t(width) * t.lanes;
    args_.dst_plane = args_.dst_row * height;
    must(d.env(), fill(&src_, size_t(args_.src_plane) * div_up(k, t.lanes)));
    must(d.env(), fill(&weights_, layout.size()));
    must(d.env(), fill(&bias_, size_t(layout.vectors) * t.lanes));
    must(d.env(), fill(&dst_, size_t(args_.dst_plane) * layout.vectors));
    args_.src = src_.data();
    args_.channels = k;
    args_.kernel = kernel;
    args_.weights = weights_.data();
    args_.panel_stride = layout.stride();
    args_.panel_vectors = layout.panel_vectors;
    args_.bias = bias_.data();
    args_.dst = dst_.data();
    args_.out_width = width;
    args_.vectors = layout.vectors;
    args_.half = layout.half;
    args_.panel_end = layout.count();
    args_.row_end = height;
    args_.act = d.act();
  }

 private:
  aligned_buffer src_, weights_, bias_, dst_;
};

}  // namespace

std::shared_ptr<bench> make_convolution_bench(const std::string& kernel, const description& d) {
  if (kernel == "gemm") return std::make_shared<gemm_bench>(d, false);
  if (kernel == "gemm_pool") return std::make_shared<gemm_bench>(d, true);
  if (kernel == "stem") return std::make_shared<conv_bench>(d, true);
  if (kernel == "depthwise") return std::make_shared<depthwise_bench>(d);
  if (kernel == "conv") return std::make_shared<conv_bench>(d, false);
  return nullptr;
}

}  // namespace effnet::node
