// SPDX-License-Identifier: Apache-2.0
// gemv of every table against the double-precision reference: every output count to two panels and
// one vector, sums short and long, every activation, cuts of panels, guard pages.
#include "kernels/pack.h"
#include "layout.h"
#include "tester.h"

namespace effnet {
namespace test {
namespace {

void run_shape(tester& t, const kernel_table& table, int n, int k, activation act, random_source& random) {
  const std::vector<float> src = random.floats(k), weights = random.floats(size_t(n) * k), bias = random.floats(n);
  const panels cut = make_panels(k, n, table.lanes, table.gemv_vectors);
  const size_t padded = size_t(cut.vectors) * table.lanes;
  std::vector<float> all_weights = weights, all_bias = bias;
  all_weights.resize(padded * k);
  all_bias.resize(padded);
  const reference::vector result =
      reference::gemv(exact(src), all_weights.data(), all_bias.data(), int(padded), act);

  for (edge where : kEdges) {
    test_case c(t, table.gemv.name, {{"n", n}, {"k", k}, {"act", int(act)}, {"at_end", where == edge::end}});
    buffer x(k, where), w(cut.size(), where, table.lanes), b(padded, where, table.lanes);
    buffer whole(padded, where, table.lanes), parts(padded, where, table.lanes);
    x.assign(src);
    pack_panels(weights.data(), n, cut, w.data());
    pack_vector(bias.data(), n, table.lanes, b.data());
    gemv_args args;
    args.src = x.data();
    args.k = k;
    args.weights = w.data();
    args.panel_stride = cut.stride();
    args.bias = b.data();
    args.vectors = cut.vectors;
    args.act = act;

    args.dst = whole.data();
    args.panel_end = cut.count();
    table.gemv.fn(args);
    c.check_buffer(whole, result, "whole");

    args.dst = parts.data();
    const std::vector<int> panel_cuts = cuts(random, 0, cut.count(), 1 + random.below(3));
    for (size_t i = 1; i < panel_cuts.size(); ++i) {
      args.panel_begin = panel_cuts[i - 1];
      args.panel_end = panel_cuts[i];
      table.gemv.fn(args);
      if (i > 1) continue;
      reference::vector expected = result;
      for (size_t j = size_t(args.panel_end) * table.gemv_vectors * table.lanes; j < padded; ++j) expected[j] = kUntouched;
      c.check_buffer(parts, expected, "the first part alone");
    }
    c.check_same_bits(whole, parts, "cutting panels changed bits");
    c.check(parts.slack_intact(), "a part wrote outside the buffer");
  }
}

// Every number of outputs; every k to two vectors and one, and long sums.
long long sweep(tester& t, const kernel_table& table, random_source& random) {
  const int most_n = 2 * table.gemv_vectors * table.lanes + 1, most_k = 2 * table.lanes + 1;
  int turn = 0;
  for (int n = 1; n <= most_n; ++n)
    for (int k : {1, 3, 8, 31}) run_shape(t, table, n, k, kKernelActivations[turn++ % kKernelActivationCount], random);
  const std::vector<int> outputs = around_tile(table.lanes, table.lanes * table.gemv_vectors);
  std::vector<int> inputs{48, 672, 1280};
  for (int k = 1; k <= most_k; ++k) inputs.push_back(k);
  for (int k : inputs)
    for (int n : outputs) run_shape(t, table, n, k, kKernelActivations[turn++ % kKernelActivationCount], random);
  for (activation act : kKernelActivations)
    for (int n : outputs) run_shape(t, table, n, 40, act, random);
  return 2LL * (most_n * 4 + (most_k + 3) * kAroundTile + kKernelActivationCount * kAroundTile);
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet::test;
  tester t("gemv_test");
  run_on_tables(t, 11, {{"gemv", sweep}});
  return t.finish();
}
