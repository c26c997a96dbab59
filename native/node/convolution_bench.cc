// SPDX-License-Identifier: Apache-2.0
// Buffers and arguments for the kernels that convolve: matrix products, stem, depthwise and dense
// convolutions. Nothing is timed here.
#include <memory>
#include <string>

#include "kernels/pack.h"
#include "node/bench.h"

namespace effnet::node {

namespace {

// Pointwise layers, pooled or stored, and the stem.
class gemm_bench final : public bench {
 public:
  enum class kind : uint8_t { pointwise, pool, stem };

  gemm_bench(const description& d, kind what) {
    const kernel_table& t = d.table();
    const bool stem = what == kind::stem;
    const int height = stem ? d.side("height") : 1;
    const int width = stem ? d.side("width") : d.number("m", kMaxPixels);
    const int n = d.channels("n"), k = stem ? kStemTerms : d.channels("k");
    const double m = double(height) * width;
    const auto& kernel = stem ? t.stem_k3s2 : t.gemm;
    name = kernel.name;
    fn_ = kernel.fn;
    flops = 2 * m * n * k;
    const panels layout = make_panels(k, n, t.lanes, t.gemm_vectors, t.gemm_halves);
    const ptrdiff_t row = 3 * (2 * ptrdiff_t(width) + 1);  // floats of an image row
    const ptrdiff_t plane = ptrdiff_t(width) * t.lanes;
    const size_t src_floats = stem ? size_t(row) * (2 * size_t(height) + 1) : size_t(plane) * div_up(k, t.lanes);
    const size_t dst_floats = size_t(plane) * height * size_t(layout.vectors);
    must(d.env(), fill(&src_, src_floats));
    must(d.env(), fill(&weights_, layout.size()));
    must(d.env(), fill(&bias_, size_t(layout.vectors) * t.lanes));
    must(d.env(), fill(&dst_, what == kind::pool ? size_t(layout.vectors) * t.lanes : dst_floats));
    args_.src = src_.data();
    args_.segment_stride = stem ? row : plane;
    args_.segments = stem ? 3 : div_up(k, t.lanes);
    args_.segment_length = stem ? 9 : t.lanes;
    args_.last_segment_length = stem ? 9 : k - (args_.segments - 1) * t.lanes;
    args_.weights = weights_.data();
    args_.panel_stride = layout.stride();
    args_.bias = bias_.data();
    args_.vectors = layout.vectors;
    args_.half = layout.half;
    args_.panel_end = layout.count();
    args_.pixel_end = width;
    args_.act = d.act();
    if (what == kind::pool) {
      args_.pool = dst_.data();
    } else {
      args_.dst = dst_.data();
      args_.dst_plane = plane * height;
      args_.dst_rows = {width, 0};
    }
    bytes = size({stem ? double(src_floats) : m * k, double(k) * n, double(n), what == kind::pool ? double(n) : m * n});
    if (what == kind::pointwise && d.flag("residual")) {
      must(d.env(), fill(&residual_, dst_floats));
      args_.residual = residual_.data();
      args_.residual_plane = plane;
      args_.residual_rows = {width, 0};
      bytes += size({m * n});
    }
    if (stem) {
      rows_ = height;
      src_step_ = 2 * row;
      dst_step_ = plane;
    }
  }

  void run(int iterations) override {
    for (int i = 0; i < iterations; ++i) {
      gemm_args part = args_;
      for (int y = 0; y < rows_; ++y) {
        fn_(part);
        part.src += src_step_;
        if (part.dst != nullptr) part.dst += dst_step_;
      }
    }
  }

 private:
  static constexpr int kStemTerms = 27;
  aligned_buffer src_, weights_, bias_, dst_, residual_;
  gemm_args args_;
  gemm_fn fn_ = nullptr;
  int rows_ = 1;  // calls of one iteration: the stem is called row by row
  ptrdiff_t src_step_ = 0, dst_step_ = 0;
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

// Dense convolution, k to n channels.
class conv_bench final : public repeated<conv_args> {
 public:
  explicit conv_bench(const description& d) {
    const kernel_table& t = d.table();
    const int kernel = d.number("kernelSize", 31), stride = d.number("stride", 2);
    const int height = d.side("height"), width = d.side("width"), n = d.channels("n"), k = d.channels("k");
    use(stride == 1 ? t.conv_s1 : t.conv_s2);
    const int rows = (height - 1) * stride + kernel, columns = (width - 1) * stride + kernel;
    const double pixels = double(height) * width, terms = double(k) * kernel * kernel;
    if (terms > kMaxPixels) throw_invalid(d.env(), "Expected a convolution of fewer terms than k * kernelSize * kernelSize");
    const panels layout = make_panels(int(terms), n, t.lanes, t.conv_vectors);
    flops = 2 * pixels * terms * n;
    bytes = size({double(rows) * columns * k, terms * n, double(n), pixels * n});
    args_.src_row = ptrdiff_t(columns) * t.lanes;
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
    args_.panel_vectors = t.conv_vectors;
    args_.bias = bias_.data();
    args_.dst = dst_.data();
    args_.out_width = width;
    args_.vectors = layout.vectors;
    args_.panel_end = layout.count();
    args_.row_end = height;
    args_.act = d.act();
  }

 private:
  aligned_buffer src_, weights_, bias_, dst_;
};

}  // namespace

std::shared_ptr<bench> make_convolution_bench(const std::string& kernel, const description& d) {
  using kind = gemm_bench::kind;
  if (kernel == "gemm") return std::make_shared<gemm_bench>(d, kind::pointwise);
  if (kernel == "gemm_pool") return std::make_shared<gemm_bench>(d, kind::pool);
  if (kernel == "stem") return std::make_shared<gemm_bench>(d, kind::stem);
  if (kernel == "depthwise") return std::make_shared<depthwise_bench>(d);
  if (kernel == "conv") return std::make_shared<conv_bench>(d);
  return nullptr;
}

}  // namespace effnet::node
