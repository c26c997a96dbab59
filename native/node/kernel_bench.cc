// SPDX-License-Identifier: Apache-2.0
// From a kernel's name and shape to filled buffers and a function that runs it. One class per argument
// struct of kernels/kernels.h.
#include "node/kernel_bench.h"

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/pool.h"
#include "base/status.h"
#include "kernels/dispatch.h"
#include "kernels/kernels.h"
#include "kernels/pack.h"
#include "node/values.h"

namespace effnet::node {

namespace {

constexpr int kMaxChannels = 1 << 16;
constexpr int kMaxSide = 1 << 13;
constexpr int kMaxPixels = kMaxSide * kMaxSide;
constexpr int kMaxThreads = 1024;
constexpr int kMaxIterations = 1 << 30;
constexpr size_t kMaxFloats = size_t{1} << 31;

// What can be run again and again; destroyed with the JavaScript function that holds it.
class bench {
 public:
  virtual ~bench() = default;
  virtual void run(int iterations) = 0;

  const char* name = "";
  double flops = 0, bytes = 0;

 protected:
  // Small numbers around zero, none of them 0: zeroed memory may be one page seen many times.
  status fill(aligned_buffer* buffer, size_t floats) {
    if (floats > kMaxFloats) {
      return status::error(status_code::invalid_argument, "Expected a shape whose buffers hold at most " +
                                                              std::to_string(kMaxFloats) + " floats but it needs " +
                                                              std::to_string(floats));
    }
    if (status s = buffer->resize(floats); !s.ok()) return s;
    uint32_t state = 1;
    for (size_t i = 0; i < floats; ++i) {
      state = state * 1664525u + 1013904223u;
      buffer->data()[i] = (float(state >> 8) + 0.5f) * (1.0f / (1 << 23)) - 1.0f;
    }
    return status::success();
  }
  static double size(std::initializer_list<double> floats) {
    double sum = 0;
    for (double f : floats) sum += f;
    return sum * sizeof(float);
  }
};

// A kernel that one call with the same arguments runs.
template <class Args>
class repeated : public bench {
 public:
  void run(int iterations) override {
    for (int i = 0; i < iterations; ++i) fn_(args_);
  }

 protected:
  using kernel_fn = void (*)(const Args&);
  void use(const named<kernel_fn>& kernel) {
    name = kernel.name;
    fn_ = kernel.fn;
  }
  Args args_;

 private:
  kernel_fn fn_ = nullptr;
};

// Reads the numbers and names of a description.
class description {
 public:
  description(Napi::Object object, const kernel_table* table) : object_(object), table_(table) {}
  const kernel_table& table() const { return *table_; }
  Napi::Env env() const { return object_.Env(); }
  int number(const char* name, int most) const { return int_in(object_, name, 1, most); }
  int channels(const char* name) const { return number(name, kMaxChannels); }
  int side(const char* name) const { return number(name, kMaxSide); }
  activation act() const { return activation_named(string_in(object_, "activation"), env()); }
  bool flag(const char* name) const { return object_.Get(name).ToBoolean().Value(); }

 private:
  Napi::Object object_;
  const kernel_table* table_;
};

void must(Napi::Env env, const status& s) {
  if (!s.ok()) throw_failure(env, s);
}

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
    const panels layout = make_panels(k, n, t.lanes, t.gemm_vectors);
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
    const named<depthwise_fn>* found = select(t, kernel, stride);
    if (found == nullptr) throw_invalid(d.env(), "Expected kernelSize 3 or 5 for depthwise");
    use(*found);
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
    args_.block_end = blocks;
    args_.act = d.act();
  }

 private:
  static const named<depthwise_fn>* select(const kernel_table& t, int kernel, int stride) {
    if (kernel == 3) return stride == 1 ? &t.depthwise_k3s1 : &t.depthwise_k3s2;
    if (kernel == 5) return stride == 1 ? &t.depthwise_k5s1 : &t.depthwise_k5s2;
    return nullptr;
  }

  aligned_buffer src_, weights_, bias_, dst_, sums_;
};

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
    args_ = {src_.data(), dst_.data(), gate_.data(), width, 0, k};
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

std::shared_ptr<bench> make_bench(const std::string& kernel, const description& d) {
  using kind = gemm_bench::kind;
  if (kernel == "gemm") return std::make_shared<gemm_bench>(d, kind::pointwise);
  if (kernel == "gemm_pool") return std::make_shared<gemm_bench>(d, kind::pool);
  if (kernel == "stem") return std::make_shared<gemm_bench>(d, kind::stem);
  if (kernel == "depthwise") return std::make_shared<depthwise_bench>(d);
  if (kernel == "gemv") return std::make_shared<gemv_bench>(d);
  if (kernel == "mean") return std::make_shared<mean_bench>(d);
  if (kernel == "gate_weights") return std::make_shared<gate_weights_bench>(d);
  if (kernel == "gate_map") return std::make_shared<gate_map_bench>(d);
  if (kernel == "probe_fma") return std::make_shared<probe_bench>(d, false);
  if (kernel == "probe_read") return std::make_shared<probe_bench>(d, true);
  throw_invalid(d.env(), "Expected the name of a kernel but received " + kernel);
}

}  // namespace

Napi::Value kernel_bench(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    const Napi::Object options = object_of(info[0], "the kernel's description");
    const kernel_table* table = nullptr;
    must(env, pick_kernel_table(string_in(options, "isa"), &table));
    const std::shared_ptr<bench> b = make_bench(string_in(options, "kernel"), description(options, table));
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", b->name);
    object.Set("flops", b->flops);
    object.Set("bytes", b->bytes);
    object.Set("run", Napi::Function::New(env, [b](const Napi::CallbackInfo& call) {
                 b->run(int_of(call[0], "iterations", 1, kMaxIterations));
               }, "run"));
    return object;
  } catch (const std::bad_alloc&) {
    throw_failure(env, {status_code::out_of_memory, {}});
  }
}

}  // namespace effnet::node
