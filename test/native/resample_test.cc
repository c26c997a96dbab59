// SPDX-License-Identifier: Apache-2.0
// resample of every table against the reference, byte for byte: every number of taps to 40, runs that
// overlap and skip, sums below 0 and above 255, cuts of the outputs, guard pages on every operand.
#include <cstring>

#include "tester.h"

namespace effnet {
namespace test {
namespace {

// Plain data between guard pages; `buffer` holds floats.
template <class T>
class guarded_array {
 public:
  guarded_array(const std::vector<T>& values, edge where) : floats_((values.size() * sizeof(T) + 3) / 4, where) {
    std::memcpy(floats_.data(), values.data(), values.size() * sizeof(T));
  }
  const T* data() const { return reinterpret_cast<const T*>(floats_.data()); }

 private:
  buffer floats_;
};

// Weights of one output: they add up to one, their sizes to less than two, some below zero.
void make_weights(random_source& random, int count, int32_t* weights) {
  constexpr int kOne = 1 << kResampleBits;
  int left = kOne, below = kOne / 4;
  for (int k = 0; k + 1 < count; ++k) {
    weights[k] = random.below(2 * kOne / count + 1);
    if (random.below(3) == 0 && weights[k] <= below) {
      below -= weights[k];
      weights[k] = -weights[k];
    }
    if (weights[k] > left) weights[k] = left;
    left -= weights[k];
  }
  weights[count - 1] = left;
}

void run_shape(tester& t, const kernel_table& table, int taps, int bytes, int outputs, int gap, random_source& random) {
  const int pitch = taps + random.below(3), src_first = random.below(1000);
  std::vector<tap_run> runs(outputs);
  std::vector<int32_t> weights(size_t(outputs) * pitch);
  int positions = 1;
  for (int i = 0; i < outputs; ++i) {
    const int count = i == 0 ? taps : 1 + random.below(taps);
    runs[i] = {src_first + random.below(2 * outputs), count};
    positions = std::max(positions, runs[i].end() - src_first);
    make_weights(random, count, &weights[size_t(i) * pitch]);
  }
  const int step = bytes + gap, dst_step = bytes + 4 * random.below(3);
  std::vector<uint8_t> src(size_t(positions - 1) * step + bytes);
  // Black and white as often as anything else, so that sums leave 0..255.
  for (uint8_t& b : src) b = random.below(2) ? uint8_t(random.below(256)) : random.below(2) ? 255 : 0;

  for (edge where : kEdges) {
    test_case c(t, table.resample.name,
                {{"taps", taps}, {"bytes", bytes}, {"outputs", outputs}, {"gap", gap}, {"at_end", where == edge::end}});
    const guarded_array<uint8_t> s(src, where);
    const guarded_array<tap_run> r(runs, where);
    const guarded_array<int32_t> w(weights, where);
    buffer whole((size_t(outputs - 1) * dst_step + bytes) / 4, where), parts(whole.size(), where);
    resample_args args;
    args.src = s.data();
    args.src_step = step;
    args.src_first = src_first;
    args.runs = r.data();
    args.weights = w.data();
    args.weight_pitch = pitch;
    args.dst = reinterpret_cast<uint8_t*>(whole.data());
    args.dst_step = dst_step;
    args.bytes = bytes;
    args.end = outputs;
    table.resample.fn(args);

    const uint8_t* found = args.dst;
    for (int i = 0; i < outputs; ++i) {
      int differing = 0;
      for (int b = 0; b < bytes; ++b) differing += found[i * dst_step + b] != reference::resample(args, i, b);
      if (!c.check(differing == 0, "an output differs from the reference")) break;
    }
    bool gaps = true;
    for (int i = 0; i + 1 < outputs; ++i)
      for (int b = bytes; b < dst_step; b += 4) gaps = gaps && whole.untouched(size_t(i * dst_step + b) / 4);
    c.check(gaps && whole.slack_intact(), "written between or outside the outputs");

    const std::vector<int> at = cuts(random, 0, outputs, 1 + random.below(3));
    for (size_t i = 1; i < at.size(); ++i) {
      args.begin = at[i - 1];
      args.end = at[i];
      args.dst = reinterpret_cast<uint8_t*>(parts.data()) + ptrdiff_t(args.begin) * dst_step;
      table.resample.fn(args);
    }
    c.check_same_bits(whole, parts, "cutting the outputs changed bytes");
    c.check(parts.slack_intact(), "a part wrote outside the outputs");
  }
}

// Sums at the ends of what the contract allows: all weight on white, all negative weight on it.
void run_extreme(tester& t, const kernel_table& table, int32_t first, uint8_t expected) {
  test_case c(t, table.resample.name, {{"first weight", first}});
  std::vector<uint8_t> src(2 * kResampleBytes, 0);
  std::fill_n(src.begin(), kResampleBytes, 255);
  const int32_t weights[2] = {first, (1 << kResampleBits) - first};
  const tap_run run{0, 2};
  uint8_t dst[kResampleBytes];
  resample_args args;
  args.src = src.data();
  args.src_step = args.dst_step = args.bytes = kResampleBytes;
  args.runs = &run;
  args.weights = weights;
  args.weight_pitch = 2;
  args.dst = dst;
  args.end = 1;
  table.resample.fn(args);
  for (uint8_t b : dst) c.check(b == expected && b == reference::resample(args, 0, 0), "not cut to 0..255");
}

long long sweep(tester& t, const kernel_table& table, random_source& random) {
  long long shapes = 0;
  const int step = t.reduced() ? 7 : 1;
  for (int taps = 1; taps <= 40; taps += step)
    for (int bytes : {kResampleBytes, 2 * kResampleBytes, 5 * kResampleBytes})
      for (int outputs : {1, 2, 9}) {
        run_shape(t, table, taps, bytes, outputs, 4 * random.below(4), random);
        ++shapes;
      }
  constexpr int kOne = 1 << kResampleBits;
  run_extreme(t, table, kOne, 255);
  run_extreme(t, table, kOne + kOne / 2 - 1, 255);
  run_extreme(t, table, -kOne / 2 + 1, 0);
  run_extreme(t, table, 0, 0);
  // One half, just reached and just missed: 1.5 and the number below it.
  run_extreme(t, table, 3 * kOne / 510 + 1, 2);
  run_extreme(t, table, 3 * kOne / 510, 1);
  return 2 * shapes + 6;
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet::test;
  tester t("resample_test");
  run_on_tables(t, 23, {{"resample", sweep}});
  return t.finish();
}
