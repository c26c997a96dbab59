// SPDX-License-Identifier: Apache-2.0
// Buffers and arguments for the kernels that work on vectors and whole maps, squeeze, excite, gate and
// classifier, for the resize of photos, and for the probes of the machine. Nothing is timed here.
#include <memory>
#include <string>
#include <vector>

#include "base/pool.h"
#include "image/resample.h"
#include "kernels/pack.h"
#include "node/bench.h"

namespace effnet::node {

namespace {

constexpr int kMaxThreads = 1024;

class gemv_bench final : public repeated<gemv_args> {
 public:
  explicit gemv_bench(const description& d) {
    const kernel_table& t = d.table();
    const int n = d.channels("n"), k = d.channels("k");
    const panels layout = make_panels(k, n, t.lanes, t.gemv_vectors);
    use(t.gemv);
    flops = 2.0 * n * k;
    bytes = size({double(k), double(n) * k, 2.0 * n});
    must(d.env(), fill(&src_, size_t(k)));
    must(d.env(), fill(&weights_, layout.size()));
    must(d.env(), fill(&bias_, size_t(layout.vectors) * t.lanes));
    must(d.env(), fill(&dst_, size_t(layout.vectors) * t.lanes));
    args_.src = src_.data();
    args_.k = k;
    args_.weights = weights_.data();
    args_.panel_stride = layout.stride();
    args_.bias = bias_.data();
    args_.dst = dst_.data();
    args_.vectors = layout.vectors;
    args_.panel_end = layout.count();
    args_.act = d.act();
  }

 private:
  aligned_buffer src_, weights_, bias_, dst_;
};

// Squeeze: the mean of the depthwise's row sums.
class mean_bench final : public repeated<mean_args> {
 public:
  explicit mean_bench(const description& d) {
    const kernel_table& t = d.table();
    const int channels = d.channels("channels"), height = d.side("height"), width = d.side("width");
    const int blocks = div_up(channels, t.lanes);
    use(t.mean);
    flops = double(height) * channels;
    bytes = size({double(height) * channels, double(channels)});
    must(d.env(), fill(&sums_, size_t(blocks) * height * t.lanes));
    must(d.env(), fill(&mean_, size_t(blocks) * t.lanes));
    args_ = {sums_.data(), mean_.data(), height, 0, blocks, 1.0f / (float(height) * float(width))};
  }

 private:
  aligned_buffer sums_, mean_;
};

class gate_weights_bench final : public repeated<gate_weights_args> {
 public:
  explicit gate_weights_bench(const description& d) {
    const kernel_table& t = d.table();
    const int n = d.channels("n"), k = d.channels("k");
    const int width = round_up(n, t.lanes);
    use(t.gate_weights);
    flops = double(n) * k;
    bytes = size({2.0 * n * k, double(k)});
    must(d.env(), fill(&src_, size_t(width) * k));
    must(d.env(), fill(&dst_, size_t(width) * k));
    must(d.env(), fill(&gate_, size_t(k)));
    args_ = {src_.data(), dst_.data(), gate_.data(), k, width / t.lanes, false};
  }

 private:
  aligned_buffer src_, dst_, gate_;
};

class gate_map_bench final : public repeated<gate_map_args> {
 public:
  explicit gate_map_bench(const description& d) {
    const kernel_table& t = d.table();
    const int channels = d.channels("channels"), pixels = d.side("height") * d.side("width");
    const int blocks = div_up(channels, t.lanes);
    use(t.gate_map);
    flops = double(pixels) * channels;
    bytes = size({2.0 * pixels * channels, double(channels)});
    const ptrdiff_t plane = ptrdiff_t(pixels) * t.lanes;
    must(d.env(), fill(&map_, size_t(plane) * blocks));
    // In place: gates of 1 leave the numbers as they are however often it is run.
    must(d.env(), gate_.resize(size_t(blocks) * t.lanes));
    for (size_t i = 0; i < gate_.size(); ++i) gate_.data()[i] = 1.0f;
    args_ = {map_.data(), plane, gate_.data(), pixels, 0, blocks};
  }

 private:
  aligned_buffer map_, gate_;
};

// One antialiased pass over `k` source positions of `bytes` bytes each: the n in the middle of the m
// that they are resized to.
class resample_bench final : public repeated<resample_args> {
 public:
  explicit resample_bench(const description& d) {
    const int source = d.side("k"), resized = d.side("m"), count = d.side("n");
    const int width = d.number("bytes", kMaxSide) / kResampleBytes * kResampleBytes;
    if (count > resized || source == resized || width == 0) {
      throw_invalid(d.env(), "Expected a resize from k to another m, n of at most m, and " + std::to_string(kResampleBytes) + " bytes or more");
    }
    use(d.table().resample);
    must(d.env(), taps_.make({source, resized, (resized - count) / 2, count}, interpolation::bicubic));
    // Integers: nothing to set against a peak of floating point.
    bytes = double(source + count) * width;
    must(d.env(), fill(&src_, size_t(source) * width / sizeof(float)));
    must(d.env(), fill(&dst_, size_t(count) * width / sizeof(float)));
    args_ = taps_.args();
    args_.src = reinterpret_cast<const uint8_t*>(src_.data());
    args_.src_step = width;
    args_.dst = reinterpret_cast<uint8_t*>(dst_.data());
    args_.dst_step = width;
    args_.bytes = width;
    args_.begin = 0;
    args_.end = count;
  }

 private:
  tap_plan taps_;
  aligned_buffer src_, dst_;
};

// The same probe on every thread at once.
class probe_bench final : public bench {
 public:
  probe_bench(const description& d, bool reads) {
    const kernel_table& t = d.table();
    const int threads = d.number("threads", kMaxThreads);
    const auto& kernel = reads ? t.probe_read : t.probe_fma;
    name = kernel.name;
    fn_ = kernel.fn;
    const size_t vectors = reads ? size_t(d.number("bytes", kMaxIterations)) / (size_t(t.lanes) * sizeof(float)) : 0;
    parts_.resize(size_t(threads));
    for (part& p : parts_) {
      must(d.env(), fill(&p.src, vectors * t.lanes));
      must(d.env(), fill(&p.dst, kLine));
      p.args = {p.src.data(), vectors, 0, p.dst.data()};
    }
    if (reads) {
      bytes = size({double(vectors) * t.lanes * threads});
    } else {
      flops = 2.0 * t.probe_chains * t.lanes * threads;
    }
    must(d.env(), thread_pool::create(threads, &pool_));
  }

  void run(int iterations) override {
    pool_->parallel_for(int(parts_.size()), [&](int i) {
      probe_args args = parts_[size_t(i)].args;
      args.iterations = iterations;
      fn_(args);
    });
  }

 private:
  static constexpr size_t kLine = 16;  // floats in 64 bytes: no two threads share a line
  struct part {
    aligned_buffer src, dst;
    probe_args args;
  };
  std::vector<part> parts_;
  std::unique_ptr<thread_pool> pool_;
  probe_fn fn_ = nullptr;
};

}  // namespace

std::shared_ptr<bench> make_vector_bench(const std::string& kernel, const description& d) {
  if (kernel == "gemv") return std::make_shared<gemv_bench>(d);
  if (kernel == "mean") return std::make_shared<mean_bench>(d);
  if (kernel == "gate_weights") return std::make_shared<gate_weights_bench>(d);
  if (kernel == "gate_map") return std::make_shared<gate_map_bench>(d);
  if (kernel == "resample") return std::make_shared<resample_bench>(d);
  if (kernel == "probe_fma") return std::make_shared<probe_bench>(d, false);
  if (kernel == "probe_read") return std::make_shared<probe_bench>(d, true);
  return nullptr;
}

}  // namespace effnet::node
