// SPDX-License-Identifier: Apache-2.0
// The harness of the native tests: named cases, counted; buffers between inaccessible pages; loops
// over the kernel tables that run here. No framework, and nothing that a test could forget to call:
// finish() fails when a demanded instruction set was not run or a counter is off.
//
// Environment: EFFNET_EXPECT_ISA="avx512,avx2,scalar" fails where one listed is missing here or was
// not run; EFFNET_TEST_REDUCED=1 samples more thinly, for emulators (still counted and asserted).
#pragma once

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

#include "guarded.h"
#include "kernels/dispatch.h"
#include "kernels/reference.h"

namespace effnet {
namespace test {

struct param {
  const char* name;
  long long value;
};

class tester {
 public:
  explicit tester(const char* suite) : suite_(suite) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const char* reduced = std::getenv("EFFNET_TEST_REDUCED");
    reduced_ = reduced && *reduced && std::strcmp(reduced, "0") != 0;
    if (reduced_) std::printf("%s: reduced sampling\n", suite_);
  }

  bool reduced() const { return reduced_; }

  // The tables that run here; each is noted as run once a case of it has been counted.
  std::vector<const kernel_table*> tables() {
    std::vector<const kernel_table*> here;
    for (const kernel_table* table : all_kernel_tables())
      if (runs_here(*table)) here.push_back(table);
    loops_over_tables_ = true;
    return here;
  }
  void note_table(const kernel_table& table) {
    const long long executed = cases_ - noted_;
    std::printf("%s: %s, %lld cases\n", suite_, table.isa, executed);
    if (executed > 0) run_.push_back(table.isa);
    noted_ = cases_;
  }

  // Fails unless exactly `expected` cases were counted since the last call.
  void expect_count(const char* what, long long expected) {
    const long long executed = cases_ - counted_;
    if (executed == expected)
      ++passed_;
    else
      fail_line("%s: expected %lld cases, executed %lld", what, expected, executed);
    counted_ = cases_;
  }

  int finish() {
    const char* demanded = std::getenv("EFFNET_EXPECT_ISA");
    if (demanded && loops_over_tables_) {
      std::string list = demanded;
      for (size_t at = 0; at <= list.size();) {
        const size_t end = std::min(list.find(',', at), list.size());
        const std::string isa = list.substr(at, end - at);
        bool found = isa.empty();
        for (const std::string& run : run_) found = found || run == isa;
        if (!found) fail_line("EFFNET_EXPECT_ISA: expected %s to be run, it was not", isa.c_str());
        at = end + 1;
      }
    }
    std::printf("%lld passed, %lld failed\n", passed_, failed_);
    return failed_ == 0 ? 0 : 1;
  }

 private:
  friend class test_case;
  template <class... Args>
  void fail_line(const char* format, Args... args) {
    ++failed_;
    std::printf("FAIL %s: ", suite_);
    std::printf(format, args...);
    std::printf("\n");
  }

  const char* suite_;
  bool reduced_ = false, loops_over_tables_ = false;
  long long passed_ = 0, failed_ = 0, cases_ = 0, noted_ = 0, counted_ = 0;
  std::vector<std::string> run_;
};

// One counted case. Its name and parameters are printed at its first failure and, by a signal
// handler, when it touches a guard page.
class test_case {
 public:
  test_case(tester& t, const char* name, std::initializer_list<param> params) : tester_(t), name_(name) {
    for (const param& p : params)
      if (count_ < kMaxParams) params_[count_++] = p;
    crash_text() = text();
    install_crash_handler();
  }
  ~test_case() {
    ++tester_.cases_;
    if (failed_)
      ++tester_.failed_;
    else
      ++tester_.passed_;
    crash_text().clear();
  }
  test_case(const test_case&) = delete;
  test_case& operator=(const test_case&) = delete;

  bool failed() const { return failed_; }

  bool check(bool good, const char* what) {
    if (!good) fail(what);
    return good;
  }
  bool ok(const status& s) {
    if (!s.ok()) fail(s.message.c_str());
    return s.ok();
  }

  // Every float of the buffer: either within its bound of the expected value, or, where the error is
  // negative, never written. The slack between the buffer and the guard pages as well.
  bool check_buffer(const buffer& actual, const reference::vector& expected, const char* what) {
    if (!check(actual.size() == expected.size(), "the test compares buffers of different sizes")) return false;
    if (!check(actual.slack_intact(), "written outside the buffer")) return false;
    for (size_t i = 0; i < expected.size(); ++i) {
      const double found = actual[i];
      const double error = expected[i].error;
      const bool good = error < 0 ? actual.untouched(i) : std::fabs(found - expected[i].value) <= error;
      if (good) continue;
      char message[200];
      if (error < 0)
        std::snprintf(message, sizeof message, "%s: float %zu of %zu is outside what the arguments describe, found %g written",
                      what, i, expected.size(), found);
      else
        std::snprintf(message, sizeof message, "%s: float %zu of %zu: expected %.9g within %.3g, found %.9g", what, i,
                      expected.size(), expected[i].value, error, found);
      fail(message);
      return false;
    }
    return true;
  }

  bool check_same_bits(const buffer& a, const buffer& b, const char* what) {
    return check(a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0, what);
  }

 private:
  static constexpr int kMaxParams = 12;
  static constexpr long long kMaxPrinted = 40;

  std::string text() const {
    std::string all = name_;
    for (int i = 0; i < count_; ++i) all += std::string(" ") + params_[i].name + "=" + std::to_string(params_[i].value);
    return all;
  }
  void fail(const char* what) {
    if (!failed_ && tester_.failed_ < kMaxPrinted) std::printf("FAIL %s: %s\n", text().c_str(), what);
    failed_ = true;
  }

  tester& tester_;
  const char* name_;
  param params_[kMaxParams];
  int count_ = 0;
  bool failed_ = false;
};

// Random numbers that are the same everywhere.
class random_source {
 public:
  explicit random_source(uint64_t seed = 1) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  uint32_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return uint32_t(state_ >> 32);
  }
  int below(int n) { return int(next() % uint32_t(n)); }
  // Uniform, 24 bits.
  float between(float low, float high) { return low + (high - low) * float(next() >> 8) * (1.0f / (1 << 24)); }
  std::vector<float> floats(size_t n, float low = -1.0f, float high = 1.0f) {
    std::vector<float> v(n);
    for (float& x : v) x = between(low, high);
    return v;
  }

 private:
  uint64_t state_;
};

// A test of one table, which says how many cases it ran: f(tester, table) or f(tester, table, random).
struct table_test {
  template <class F>
  table_test(const char* name, F f) : what(name), run([f](tester& t, const kernel_table& table, random_source& random) {
      if constexpr (std::is_invocable_v<F, tester&, const kernel_table&, random_source&>)
        return f(t, table, random);
      else
        return f(t, table);
    }) {}
  const char* what;
  std::function<long long(tester&, const kernel_table&, random_source&)> run;
};

// All of them on every table that runs here, each table with the same random numbers.
inline void run_on_tables(tester& t, uint64_t seed, const std::vector<table_test>& tests) {
  for (const kernel_table* table : t.tables()) {
    random_source random(seed);
    for (const table_test& test : tests) t.expect_count(test.what, test.run(t, *table, random));
    t.note_table(*table);
  }
}

inline reference::vector exact(const std::vector<float>& v) {
  reference::vector result(v.size());
  for (size_t i = 0; i < v.size(); ++i) result[i] = {v[i], 0};
  return result;
}

// Not described by the arguments: must keep its canary.
constexpr reference::approx kUntouched{0, -1};

// [begin, end) cut at random points into `parts` runs, some of them empty.
inline std::vector<int> cuts(random_source& random, int begin, int end, int parts) {
  std::vector<int> at{begin, end};
  for (int i = 1; i < parts; ++i) at.push_back(begin + random.below(end - begin + 1));
  std::sort(at.begin(), at.end());
  return at;
}

// Sizes on both sides of one and two tiles of `tile`, itself a multiple of `lanes`.
inline std::vector<int> around_tile(int lanes, int tile) {
  return {1, 2, lanes - 1, lanes, lanes + 1, tile - 1, tile, tile + 1, 2 * tile - 1, 2 * tile, 2 * tile + 1};
}
constexpr int kAroundTile = 11;

constexpr activation kAllActivations[kActivations] = {
    activation::none,    activation::relu,       activation::relu6,       activation::swish,
    activation::sigmoid, activation::hard_swish, activation::hard_sigmoid};
// What the kernels compute.
constexpr int kKernelActivationCount = kActivations + 1;
constexpr activation kKernelActivations[kKernelActivationCount] = {
    activation::none,         activation::relu,       activation::relu6,       activation::exp2_swish,
    activation::exp2_sigmoid, activation::hard_swish, activation::hard_sigmoid, activation::newton_swish};

}  // namespace test
}  // namespace effnet
