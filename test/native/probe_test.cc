// SPDX-License-Identifier: Apache-2.0
// The probes of every table: that they do the work that benchmarks count, told by exact results, and
// read nothing outside their buffer. How fast they are is not tested.
#include "tester.h"

namespace effnet {
namespace test {
namespace {

// v = v / 2 + 1/2 from 1 + j leaves 1 + j / 2^i: exact while j / 2^i is a multiple of 2^-23, and 1 once
// it is half of that, which rounds to even.
double chain_sum(int chains, int iterations) {
  float sum = 0;
  for (int j = 0; j < chains; ++j) {
    float v = 1.0f + float(j);
    for (int i = 0; i < iterations; ++i) v = v * 0.5f + 0.5f;
    sum = sum + v;
  }
  return sum;
}

long long check_fma(tester& t, const kernel_table& table) {
  constexpr int kIterations[] = {0, 1, 2, 7, 200};
  for (int iterations : kIterations) {
    test_case c(t, table.probe_fma.name, {{"iterations", iterations}});
    buffer dst(size_t(table.lanes), edge::end, table.lanes);
    probe_args args;
    args.iterations = iterations;
    args.dst = dst.data();
    table.probe_fma.fn(args);
    const reference::approx sum{chain_sum(table.probe_chains, iterations), 0};
    c.check_buffer(dst, reference::vector(size_t(table.lanes), sum), "sum of the chains");
  }
  return sizeof kIterations / sizeof kIterations[0];
}

long long check_read(tester& t, const kernel_table& table) {
  long long cases = 0;
  for (int vectors : {0, 1, 7, 8, 9, 64, 131}) {
    for (int iterations : {1, 3}) {
      for (edge where : kEdges) {
        test_case c(t, table.probe_read.name, {{"vectors", vectors}, {"iterations", iterations}, {"at_end", where == edge::end}});
        const size_t floats = size_t(vectors) * table.lanes;
        buffer src(floats, where, table.lanes), dst(size_t(table.lanes), where, table.lanes);
        reference::vector expected(size_t(table.lanes), reference::approx{0, 0});
        for (size_t i = 0; i < floats; ++i) {
          src[i] = float(i % 251);  // whole numbers: sums below 2^24 are exact in any order
          expected[i % table.lanes].value += iterations * double(src[i]);
        }
        probe_args args;
        args.src = src.data();
        args.vectors = size_t(vectors);
        args.iterations = iterations;
        args.dst = dst.data();
        table.probe_read.fn(args);
        c.check_buffer(dst, expected, "sum of the vectors");
        ++cases;
      }
    }
  }
  return cases;
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet::test;
  tester t("probe_test");
  run_on_tables(t, 1, {{"fma", check_fma}, {"read", check_read}});
  return t.finish();
}
