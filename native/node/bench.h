// SPDX-License-Identifier: Apache-2.0
// What the benchmarks of single kernels share: buffers, descriptions, and something that can be run
// again and again. Used by kernel_bench.cc, convolution_bench.cc and vector_bench.cc alone.
#pragma once

#include <napi.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

#include "base/buffer.h"
#include "base/status.h"
#include "kernels/dispatch.h"
#include "kernels/kernels.h"
#include "node/values.h"

namespace effnet::node {

constexpr int kMaxChannels = 1 << 16;
constexpr int kMaxSide = 1 << 13;
constexpr int kMaxPixels = kMaxSide * kMaxSide;
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
  // The kernel form of what a network calls it.
  activation act() const { return kernel_activation(activation_named(string_in(object_, "activation"), env()), *table_).act; }
  bool flag(const char* name) const { return object_.Get(name).ToBoolean().Value(); }

 private:
  Napi::Object object_;
  const kernel_table* table_;
};

inline void must(Napi::Env env, const status& s) {
  if (!s.ok()) throw_failure(env, s);
}

// The kernel's benchmark, or null where the name is none of theirs.
std::shared_ptr<bench> make_convolution_bench(const std::string& kernel, const description& d);  // gemm, stem, depthwise, conv
std::shared_ptr<bench> make_vector_bench(const std::string& kernel, const description& d);       // the others

}  // namespace effnet::node
