// SPDX-License-Identifier: Apache-2.0
// The dense convolutions and the stem of every table against the double-precision reference: kernels 1, 3
// and 5, both strides, channels and widths on both sides of each tile, maps with borders, residuals,
// arbitrary cuts of rows and panels, guard pages.
#include "kernels/pack.h"
#include "layout.h"
#include "tester.h"

namespace effnet {
namespace test {
namespace {

struct shape {
  int in = 1, out = 1, kernel = 3, stride = 1, panel_vectors = 1;
  int out_height = 1, out_width = 1;
  activation act = activation::none;
  bool residual = false;
  int gap = 0;        // vectors after each row of source and destination
  bool stem = false;  // the source is an interleaved image, `in` channels of it a block

  int rows() const { return (out_height - 1) * stride + kernel; }
  int columns() const { return (out_width - 1) * stride + kernel; }
  int pixels() const { return out_height * out_width; }
  int taps() const { return in * kernel * kernel; }
  int together(int lanes) const { return stem ? in : lanes; }  // channels of a source block
};

struct problem {
  std::vector<float> src, weights, bias, residual;  // [in][rows][columns], [out][in][kernel][kernel], [out], [out][pixels]
  reference::map result;                            // channels rounded up to lanes
};

problem make_problem(const shape& s, int lanes, random_source& random) {
  problem p;
  const size_t taps = size_t(s.in) * s.kernel * s.kernel, pixels = size_t(s.pixels());
  p.src = random.floats(size_t(s.in) * s.rows() * s.columns());
  p.weights = random.floats(s.out * taps);
  p.bias = random.floats(s.out);
  if (s.residual) p.residual = random.floats(s.out * pixels);
  // Past `out` lie weights, bias and residual of zero, so that the reference gives act(0) there.
  const int padded = round_up(s.out, lanes);
  std::vector<float> weights = p.weights, bias = p.bias, residual = p.residual;
  weights.resize(padded * taps);
  bias.resize(padded);
  residual.resize(padded * pixels);
  reference::map map(s.in, s.rows(), s.columns());
  map.values = exact(p.src);
  reference::window w;
  w.size = s.kernel;
  w.stride = s.stride;
  w.out_height = s.out_height;
  w.out_width = s.out_width;
  p.result = reference::convolution(map, weights.data(), bias.data(), padded, w, s.act);
  for (size_t i = 0; s.residual && i < residual.size(); ++i)
    p.result.values[i] = reference::add(p.result.values[i], {residual[i], 0});
  return p;
}

const named<conv_fn>& kernel_of(const shape& s, const kernel_table& t) {
  return s.stem ? t.stem_k3s2 : s.stride == 1 ? t.conv_s1 : t.conv_s2;
}

// Half a vector follows two full ones at most.
panels cut_panels(const shape& s, const kernel_table& t) {
  panels p = make_conv_panels(s.in, s.kernel, s.together(t.lanes), s.out, t.lanes, t.conv_vectors, !s.stem && t.gemm_halves);
  p.panel_vectors = p.half && s.panel_vectors > 2 ? 2 : s.panel_vectors;
  return p;
}

// The problem in guarded buffers, packed for one kernel.
struct placed {
  const kernel_table& table;
  const shape& s;
  panels cut;
  layout src_map, dst_map, residual_map;
  buffer src, weights, bias, residual;
  conv_args args;

  placed(const kernel_table& t, const shape& shape_, const problem& p, edge where)
      : table(t), s(shape_), cut(cut_panels(s, t)),
        src_map(s.together(t.lanes), blocks_of(s.in, s.together(t.lanes)), s.rows() * s.columns(), s.columns(), s.gap, s.gap),
        dst_map(t.lanes, cut.vectors, s.pixels(), s.out_width, 2 - s.gap, s.gap * 3),
        residual_map(t.lanes, cut.vectors, s.pixels(), s.out_width, s.gap % 2, 1), src(src_map.size(), where, s.stem ? 1 : t.lanes),
        weights(cut.size(), where, t.lanes), bias(size_t(cut.vectors) * t.lanes, where, t.lanes),
        residual(s.residual ? residual_map.size() : 0, where, t.lanes) {
    // Lanes past the last channel keep the canary: no result may depend on them.
    const size_t plane = size_t(s.rows()) * s.columns();
    for (int c = 0; c < s.in; ++c)
      for (size_t i = 0; i < plane; ++i) src[src_map.at(c, int(i))] = p.src[c * plane + i];
    std::vector<float> taps(p.weights.size());
    interleave_taps(p.weights.data(), s.out, s.in, s.kernel * s.kernel, s.together(t.lanes), taps.data());
    pack_panels(taps.data(), s.out, cut, weights.data());
    pack_vector(p.bias.data(), s.out, t.lanes, bias.data());
    args.src = src.data();
    args.src_plane = src_map.plane;
    args.src_row = row_of(src_map);
    args.channels = s.in;
    args.kernel = s.kernel;
    args.weights = weights.data();
    args.panel_stride = cut.stride();
    args.panel_vectors = cut.panel_vectors;
    args.bias = bias.data();
    args.dst_plane = dst_map.plane;
    args.dst_row = row_of(dst_map);
    args.out_width = s.out_width;
    args.vectors = cut.vectors;
    args.half = cut.half;
    args.act = s.act;
    if (s.residual) {
      fill_map(residual, residual_map, [&](int c, int i) { return c < s.out ? p.residual[size_t(c) * s.pixels() + i] : 0.0f; });
      args.residual = residual.data();
      args.residual_plane = residual_map.plane;
      args.residual_row = row_of(residual_map);
    }
  }

  static ptrdiff_t row_of(const layout& l) { return ptrdiff_t(l.width) * l.lanes + l.gap; }
  void run(buffer& dst, int panel_begin, int panel_end, int row_begin, int row_end) const {
    conv_args a = args;
    a.dst = dst.data();
    a.panel_begin = panel_begin;
    a.panel_end = panel_end;
    a.row_begin = row_begin;
    a.row_end = row_end;
    kernel_of(s, table).fn(a);
  }
  reference::vector expected(const problem& p, int panel_begin, int panel_end, int row_begin, int row_end) const {
    reference::vector all(dst_map.size(), kUntouched);
    const int block_end = panel_end == cut.count() ? cut.vectors : panel_end * cut.panel_vectors;
    expect_map(all, dst_map, panel_begin * cut.panel_vectors, block_end,
               row_begin * s.out_width, row_end * s.out_width,
               [&](int c, int i) { return p.result.values[size_t(c) * s.pixels() + i]; });
    return all;
  }
};

// Two cases, one per edge: the whole, a part alone, and the whole from parts in any cut.
void run_shape(tester& t, const kernel_table& table, const shape& s, random_source& random) {
  const problem p = make_problem(s, table.lanes, random);
  for (edge where : kEdges) {
    test_case c(t, kernel_of(s, table).name,
                {{"kernel", s.kernel}, {"in", s.in}, {"out", s.out}, {"panel", s.panel_vectors}, {"out_height", s.out_height},
                 {"out_width", s.out_width}, {"act", int(s.act)}, {"residual", s.residual}, {"gap", s.gap},
                 {"at_end", where == edge::end}});
    const placed at(table, s, p, where);
    const int panel_count = at.cut.count();
    buffer whole(at.dst_map.size(), where, table.lanes), parts(at.dst_map.size(), where, table.lanes);
    at.run(whole, 0, panel_count, 0, s.out_height);
    c.check_buffer(whole, at.expected(p, 0, panel_count, 0, s.out_height), "whole");
    const std::vector<int> panel_cuts = cuts(random, 0, panel_count, 1 + random.below(3));
    const std::vector<int> row_cuts = cuts(random, 0, s.out_height, 1 + random.below(3));
    for (size_t a = 1; a < panel_cuts.size(); ++a)
      for (size_t b = 1; b < row_cuts.size(); ++b) {
        at.run(parts, panel_cuts[a - 1], panel_cuts[a], row_cuts[b - 1], row_cuts[b]);
        if (a + b == 2) c.check_buffer(parts, at.expected(p, 0, panel_cuts[a], 0, row_cuts[b]), "the first part alone");
      }
    c.check_same_bits(whole, parts, "cutting rows or panels changed bits");
    c.check(parts.slack_intact(), "a part wrote outside the buffer");
  }
}

constexpr int kKernels[] = {1, 3, 5};
constexpr int kWidest = 30;

// Every width to two tiles and more, for every panel width; all else takes turns.
long long sweep_widths(tester& t, const kernel_table& table, random_source& random) {
  const std::vector<int> inputs = {1, table.lanes - 1, table.lanes, table.lanes + 1, 2 * table.lanes, 2 * table.lanes + 3};
  int turn = 0;
  for (int stride : {1, 2})
    for (int kernel : kKernels)
      for (int panel_vectors = 1; panel_vectors <= table.conv_vectors; ++panel_vectors)
        for (int width = 1; width <= kWidest; ++width) {
          shape s;
          s.stride = stride, s.kernel = kernel, s.panel_vectors = panel_vectors, s.out_width = width;
          s.in = inputs[turn % 6];
          s.out = panel_vectors * table.lanes * (1 + turn % 2) - turn / 2 % table.lanes;
          s.out_height = 1 + turn / 5 % 3;
          s.act = kKernelActivations[turn % kKernelActivationCount];
          s.residual = turn / 3 % 2 == 1;
          s.gap = turn / 4 % 3;
          run_shape(t, table, s, random);
          ++turn;
        }
  return 2LL * 2 * 3 * table.conv_vectors * kWidest;
}

// Every number of outputs to two panels and one, and of inputs to two blocks and one.
long long sweep_channels(tester& t, const kernel_table& table, random_source& random) {
  const int widest = table.conv_vectors, most = 2 * widest * table.lanes + 1, inputs = 2 * table.lanes + 1;
  int turn = 0;
  for (int i = 1; i <= most + inputs; ++i) {
    shape s;
    s.out = i <= most ? i : table.lanes + 1;
    s.in = i <= most ? 1 + turn % (table.lanes + 1) : i - most;
    s.kernel = kKernels[turn % 3];
    s.stride = 1 + turn / 3 % 2;
    s.panel_vectors = 1 + turn / 2 % widest;
    s.out_height = 2, s.out_width = 4 + turn % 4;
    s.act = kKernelActivations[turn % kKernelActivationCount];
    s.residual = turn % 2 == 1;
    s.gap = turn % 3;
    run_shape(t, table, s, random);
    ++turn;
  }
  return 2LL * (most + inputs);
}

// The stem: every number of outputs to two panels and one, widths to two tiles.
long long sweep_stem(tester& t, const kernel_table& table, random_source& random) {
  const int widest = table.conv_vectors, most = 2 * widest * table.lanes + 1;
  for (int out = 1; out <= most; ++out)
    for (int turn = 0; turn < 3; ++turn) {
      shape s;
      s.stem = true, s.in = 3, s.stride = 2, s.out = out;
      s.panel_vectors = 1 + (out + turn) % widest;
      s.out_height = 1 + out % 2, s.out_width = 1 + (out * 3 + turn) % kWidest;
      s.act = kKernelActivations[(out + turn) % kKernelActivationCount];
      s.gap = turn;
      run_shape(t, table, s, random);
    }
  return 2LL * most * 3;
}

// Every activation with and without residual.
long long sweep_activations(tester& t, const kernel_table& table, random_source& random) {
  for (int stride : {1, 2})
    for (activation act : kKernelActivations)
      for (bool residual : {false, true}) {
        shape s;
        s.in = table.lanes + 2, s.out = table.conv_vectors * table.lanes + 1, s.panel_vectors = table.conv_vectors;
        s.stride = stride, s.out_height = 3, s.out_width = 9;
        s.act = act, s.residual = residual, s.gap = 1;
        run_shape(t, table, s, random);
      }
  return 2LL * 2 * kKernelActivationCount * 2;
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet::test;
  tester t("conv_test");
  run_on_tables(t, 23, {{"widths", sweep_widths}, {"channels", sweep_channels}, {"stem", sweep_stem},
                        {"activations", sweep_activations}});
  return t.finish();
}
