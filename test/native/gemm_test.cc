// SPDX-License-Identifier: Apache-2.0
// gemm of every table, storing and pooling, against the double-precision reference: sizes on both sides of
// each tile, maps with borders, arbitrary cuts of pixels and panels, guard pages. The bound is that of
// kernels/reference.h; nothing here knows how a kernel works.
#include <memory>

#include "kernels/pack.h"
#include "layout.h"
#include "tester.h"

namespace effnet {
namespace test {
namespace {

enum class kind { pointwise, pool };

struct shape {
  int m = 0, n = 0, k = 0;
  activation act = activation::none;
  bool residual = false;
  int width = 1;  // of the destination's rows
  int gap = 0;    // vectors
};

constexpr float kResidualScale = -0.5f;  // a power of two: exact

// The numbers of one case in plain order, and what the reference makes of them.
struct problem {
  std::vector<float> src;  // [m][k]
  std::vector<float> weights, bias, residual;
  reference::vector result;  // [m][vectors * lanes]
};

problem make_problem(const shape& s, int lanes, random_source& random) {
  problem p;
  const int padded = round_up(s.n, lanes);
  p.src = random.floats(size_t(s.m) * s.k);
  p.weights = random.floats(size_t(s.n) * s.k);
  p.bias = random.floats(s.n);
  if (s.residual) p.residual = random.floats(size_t(s.m) * s.n);
  // Past n lie weights, bias and residual of zero, so that the reference gives act(0) there.
  std::vector<float> weights = p.weights, bias = p.bias, residual(s.residual ? size_t(s.m) * padded : 0);
  weights.resize(size_t(padded) * s.k);
  bias.resize(padded);
  for (int i = 0; s.residual && i < s.m; ++i)
    for (int j = 0; j < s.n; ++j) residual[size_t(i) * padded + j] = kResidualScale * p.residual[size_t(i) * s.n + j];
  p.result = reference::gemm(exact(p.src), weights.data(), bias.data(), s.m, padded, s.k, s.act, exact(residual));
  return p;
}

// The problem in guarded buffers, packed for one kernel.
struct placed {
  const kernel_table& table;
  const shape& s;
  kind which;
  panels cut;
  layout src_map, dst_map, residual_map;
  buffer src, weights, bias, residual;
  gemm_args args;

  placed(kind which_, const kernel_table& t, const shape& shape_, const problem& p, edge where)
      : table(t), s(shape_), which(which_), cut(make_panels(s.k, s.n, t.lanes, t.gemm_vectors, t.gemm_halves)),
        src_map(t.lanes, blocks_of(s.k, t.lanes), s.m, std::max(s.m, 1), 0, s.gap),
        dst_map(t.lanes, cut.vectors, s.m, s.width, s.gap, s.gap * 2),
        residual_map(t.lanes, cut.vectors, s.m, s.m % 3 + 1, 2 - s.gap % 2, 1),
        src(src_map.size(), where, t.lanes), weights(cut.size(), where, t.lanes), bias(size_t(cut.vectors) * t.lanes, where, t.lanes),
        residual(s.residual ? residual_map.size() : 0, where, t.lanes) {
    place_source(p);
    pack_panels(p.weights.data(), s.n, cut, weights.data());
    pack_vector(p.bias.data(), s.n, t.lanes, bias.data());
    if (s.residual) {
      fill_map(residual, residual_map,
               [&](int c, int i) { return c < s.n ? p.residual[size_t(i) * s.n + c] : 0.0f; });
      args.residual_scale = kResidualScale;
      args.residual = residual.data();
      args.residual_plane = residual_map.plane;
      args.residual_rows = residual_map.rows();
    }
    args.src = src.data();
    args.weights = weights.data();
    args.panel_stride = cut.stride();
    args.bias = bias.data();
    args.vectors = cut.vectors;
    args.half = cut.half;
    args.ahead = args.weights + (1 << 20);  // far outside: nothing may be read there
    args.ahead_floats = 1 << 16;
    args.source_far = s.m % 2 == 1;  // nor may anything past the source
    args.act = s.act;
  }

  // Lanes past k keep the canary: they belong to no run, so no result may depend on them.
  void place_source(const problem& p) {
    for (int c = 0; c < s.k; ++c)
      for (int i = 0; i < s.m; ++i) src[src_map.at(c, i)] = p.src[size_t(i) * s.k + c];
    args.segment_stride = src_map.plane;
    args.segments = src_map.blocks;
    args.segment_length = table.lanes;
    args.last_segment_length = s.k - (src_map.blocks - 1) * table.lanes;
  }

  size_t output_size() const {
    return which == kind::pool ? size_t(cut.vectors) * table.lanes : dst_map.size();
  }
  void run(buffer& out, int panel_begin, int panel_end, int pixel_begin, int pixel_end) const {
    gemm_args a = args;
    if (which == kind::pool) {
      a.pool = out.data();
    } else {
      a.dst = out.data();
      a.dst_plane = dst_map.plane;
      a.dst_rows = dst_map.rows();
    }
    a.panel_begin = panel_begin;
    a.panel_end = panel_end;
    a.pixel_begin = pixel_begin;
    a.pixel_end = pixel_end;
    table.gemm.fn(a);
  }

  reference::vector expected(const problem& p, int panel_begin, int panel_end, int pixel_begin, int pixel_end) const {
    const int padded = cut.vectors * table.lanes;
    const int block_begin = panel_begin * table.gemm_vectors;
    const int block_end = panel_end == cut.count() ? cut.vectors : panel_end * table.gemm_vectors;
    reference::vector all(output_size(), kUntouched);
    if (which == kind::pool) {
      const reference::vector sums = reference::sum_pixels(
          {p.result.begin() + size_t(pixel_begin) * padded, p.result.begin() + size_t(pixel_end) * padded},
          pixel_end - pixel_begin, padded);
      for (int c = block_begin * table.lanes; c < block_end * table.lanes; ++c) all[c] = sums[c];
    } else {
      expect_map(all, dst_map, block_begin, block_end, pixel_begin, pixel_end,
                 [&](int c, int i) { return p.result[size_t(i) * padded + c]; });
    }
    return all;
  }
};

// Two cases, one per edge: the whole, a part alone, and the whole from parts in any cut.
void run_shape(tester& t, kind which, const kernel_table& table, const shape& s, random_source& random) {
  const problem p = make_problem(s, table.lanes, random);
  for (edge where : kEdges) {
    test_case c(t, table.gemm.name,
                {{"pool", which == kind::pool}, {"m", s.m}, {"n", s.n}, {"k", s.k}, {"act", int(s.act)}, {"residual", s.residual}, {"width", s.width},
                 {"gap", s.gap}, {"at_end", where == edge::end}});
    const placed at(which, table, s, p, where);
    const int panel_count = at.cut.count();
    buffer whole(at.output_size(), where, table.lanes), parts(at.output_size(), where, table.lanes);
    at.run(whole, 0, panel_count, 0, s.m);
    c.check_buffer(whole, at.expected(p, 0, panel_count, 0, s.m), "whole");

    const bool cut_pixels = which != kind::pool;
    const std::vector<int> pixel_cuts = cuts(random, 0, s.m, cut_pixels ? 1 + random.below(4) : 1);
    const std::vector<int> panel_cuts = cuts(random, 0, panel_count, 1 + random.below(3));
    for (size_t a = 1; a < panel_cuts.size(); ++a)
      for (size_t b = 1; b < pixel_cuts.size(); ++b) {
        at.run(parts, panel_cuts[a - 1], panel_cuts[a], pixel_cuts[b - 1], pixel_cuts[b]);
        if (a + b == 2)
          c.check_buffer(parts, at.expected(p, 0, panel_cuts[a], 0, pixel_cuts[b]), "the first part alone");
      }
    c.check_same_bits(whole, parts, "cutting pixels or panels changed bits");
    c.check(parts.slack_intact(), "a part wrote outside the buffer");
  }
}

// Widths and gaps of the destination that fall differently on every tile.
void vary_rows(shape& s, int turn, int tile) {
  const int widths[] = {std::max(s.m, 1), 1, 3, tile - 1, tile, tile + 1, 2, 7};
  s.width = std::max(widths[turn % 8], 1);
  s.gap = turn / 8 % 3;
}

constexpr int kSecondK = 5;
std::vector<int> few_k(int lanes) { return {1, lanes - 1, lanes, lanes + 1, 2 * lanes + 1}; }

// Every pixel count to two tiles and one, around every width of a panel.
long long sweep_pixels(tester& t, const kernel_table& table, random_source& random) {
  const std::vector<int> sizes = around_tile(table.lanes, table.lanes * table.gemm_vectors);
  int turn = 0;
  for (int m = 0; m <= 2 * table.gemm_tallest + 1; ++m)
    for (int n : sizes)
      for (int k : few_k(table.lanes)) {
        shape s;
        s.m = m, s.n = n, s.k = k;
        s.act = kKernelActivations[turn % kKernelActivationCount];
        s.residual = turn / 2 % 2 == 1;
        vary_rows(s, turn, table.gemm_rows);
        run_shape(t, kind::pointwise, table, s, random);
        ++turn;
      }
  return 2LL * (2 * table.gemm_tallest + 2) * kAroundTile * kSecondK;
}

// Every number of output channels to two panels and one.
long long sweep_outputs(tester& t, const kernel_table& table, random_source& random) {
  const int tile = table.gemm_tallest, most = 2 * table.gemm_vectors * table.lanes + 1;
  int turn = 3;
  for (int n = 1; n <= most; ++n)
    for (int m : {1, table.gemm_rows, tile - 1, tile, tile + 1}) {
      shape s;
      s.m = m, s.n = n, s.k = few_k(table.lanes)[turn % kSecondK];
      s.act = kKernelActivations[turn / 2 % kKernelActivationCount];
      s.residual = turn / 3 % 2 == 1;
      vary_rows(s, turn, tile);
      run_shape(t, kind::pointwise, table, s, random);
      ++turn;
    }
  return 2LL * most * 5;
}

// Every number of inputs to two blocks and one, and long sums; every activation, with and without
// residual.
long long sweep_inputs(tester& t, const kernel_table& table, random_source& random) {
  std::vector<int> inputs{96, 240, 1152};
  const int most = 2 * table.lanes + 1;
  for (int k = 1; k <= most; ++k) inputs.push_back(k);
  int turn = 5;
  for (int k : inputs)
    for (activation act : kKernelActivations)
      for (bool residual : {false, true}) {
        shape s;
        s.m = table.gemm_tallest + 2, s.n = table.lanes * table.gemm_vectors + 1, s.k = k;
        s.act = act;
        s.residual = residual;
        vary_rows(s, turn, table.gemm_rows);
        run_shape(t, kind::pointwise, table, s, random);
        ++turn;
      }
  return 2LL * (most + 3) * kKernelActivationCount * 2;
}

long long sweep_pool(tester& t, const kernel_table& table, random_source& random) {
  int turn = 0;
  for (int m = 0; m <= 2 * table.gemm_tallest + 1; ++m)
    for (int n : around_tile(table.lanes, table.lanes * table.gemm_vectors))
      for (int k : few_k(table.lanes)) {
        shape s;
        s.m = m, s.n = n, s.k = k;
        s.act = kKernelActivations[turn++ % kKernelActivationCount];
        s.width = std::max(m, 1);
        run_shape(t, kind::pool, table, s, random);
      }
  return 2LL * (2 * table.gemm_tallest + 2) * kAroundTile * kSecondK;
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet::test;
  tester t("gemm_test");
  run_on_tables(t, 7, {{"pixels", sweep_pixels}, {"outputs", sweep_outputs}, {"inputs", sweep_inputs},
                       {"pool", sweep_pool}});
  return t.finish();
}
