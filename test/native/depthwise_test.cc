// SPDX-License-Identifier: Apache-2.0
// The depthwise kernels of every table, of fixed and of any size, against the double-precision reference:
// every width to 40, maps with borders, row sums, cuts of rows and blocks, guard pages.
#include "kernels/pack.h"
#include "layout.h"
#include "tester.h"

namespace effnet {
namespace test {
namespace {

struct kernel_case {
  const named<depthwise_fn>* kernel;
  int size, stride;
};

struct shape {
  int channels = 1, out_height = 1, out_width = 1;
  activation act = activation::none;
  bool sums = false;
  int gap = 0;  // vectors after each row, of source and destination
};

struct problem {
  std::vector<float> src;  // [channels][rows][columns], border included
  std::vector<float> weights, bias;
  reference::map result;   // channels rounded up to lanes
  int rows = 0, columns = 0;
};

problem make_problem(const kernel_case& k, const shape& s, int lanes, random_source& random) {
  problem p;
  p.rows = (s.out_height - 1) * k.stride + k.size;
  p.columns = (s.out_width - 1) * k.stride + k.size;
  p.src = random.floats(size_t(s.channels) * p.rows * p.columns);
  p.weights = random.floats(size_t(s.channels) * k.size * k.size);
  p.bias = random.floats(s.channels);
  const int padded = round_up(s.channels, lanes);
  std::vector<float> src = p.src, weights = p.weights, bias = p.bias;
  src.resize(size_t(padded) * p.rows * p.columns);
  weights.resize(size_t(padded) * k.size * k.size);
  bias.resize(padded);
  reference::map map(padded, p.rows, p.columns);
  map.values = exact(src);
  reference::window w;
  w.size = k.size;
  w.stride = k.stride;
  w.out_height = s.out_height;
  w.out_width = s.out_width;
  p.result = reference::depthwise(map, weights.data(), bias.data(), w, s.act);
  return p;
}

struct placed {
  const kernel_table& table;
  const kernel_case& k;
  const shape& s;
  int blocks;
  layout src_map, dst_map;
  buffer src, weights, bias;
  depthwise_args args;

  placed(const kernel_table& t, const kernel_case& k_, const shape& s_, const problem& p, edge where)
      : table(t), k(k_), s(s_), blocks(blocks_of(s.channels, t.lanes)),
        src_map(t.lanes, blocks, p.rows * p.columns, p.columns, s.gap, s.gap),
        dst_map(t.lanes, blocks, s.out_height * s.out_width, s.out_width, 2 - s.gap, s.gap * 3),
        src(src_map.size(), where, t.lanes), weights(size_t(blocks) * k.size * k.size * t.lanes, where, t.lanes),
        bias(size_t(blocks) * t.lanes, where, t.lanes) {
    const size_t plane = size_t(p.rows) * p.columns;
    fill_map(src, src_map, [&](int c, int i) { return c < s.channels ? p.src[c * plane + i] : 0.0f; });
    pack_depthwise(p.weights.data(), s.channels, k.size * k.size, t.lanes, weights.data());
    pack_vector(p.bias.data(), s.channels, t.lanes, bias.data());
    args.src = src.data();
    args.src_plane = src_map.plane;
    args.src_row = ptrdiff_t(p.columns) * t.lanes + src_map.gap;
    args.weights = weights.data();
    args.bias = bias.data();
    args.dst_plane = dst_map.plane;
    args.dst_row = ptrdiff_t(s.out_width) * t.lanes + dst_map.gap;
    args.out_height = s.out_height;
    args.out_width = s.out_width;
    args.kernel = k.size;
    args.source_far = s.out_width % 2 == 1;
    args.act = s.act;
  }

  size_t sums_size() const { return s.sums ? size_t(blocks) * s.out_height * table.lanes : 0; }
  void run(buffer& dst, buffer& sums, int block_begin, int block_end, int row_begin, int row_end) const {
    depthwise_args a = args;
    a.dst = dst.data();
    a.sums = s.sums ? sums.data() : nullptr;
    a.block_begin = block_begin;
    a.block_end = block_end;
    a.row_begin = row_begin;
    a.row_end = row_end;
    k.kernel->fn(a);
  }
  reference::vector expected(const problem& p, int block_begin, int block_end, int row_begin, int row_end) const {
    reference::vector all(dst_map.size(), kUntouched);
    const size_t plane = size_t(s.out_height) * s.out_width;
    expect_map(all, dst_map, block_begin, block_end, row_begin * s.out_width, row_end * s.out_width,
               [&](int c, int i) { return p.result.values[c * plane + i]; });
    return all;
  }
  // The sums of the rows as the kernel stored them: only the additions round.
  reference::vector expected_sums(const buffer& dst, int block_begin, int block_end, int row_begin, int row_end) const {
    reference::vector all(sums_size(), kUntouched);
    for (int b = block_begin; s.sums && b < block_end; ++b)
      for (int y = row_begin; y < row_end; ++y)
        for (int lane = 0; lane < table.lanes; ++lane) {
          reference::dot sum;
          for (int x = 0; x < s.out_width; ++x)
            sum.add({dst[dst_map.at(b * table.lanes + lane, y * s.out_width + x)], 0});
          all[(size_t(b) * s.out_height + y) * table.lanes + lane] = sum.result();
        }
    return all;
  }
};

void run_shape(tester& t, const kernel_table& table, const kernel_case& k, const shape& s, random_source& random) {
  const problem p = make_problem(k, s, table.lanes, random);
  for (edge where : kEdges) {
    test_case c(t, k.kernel->name,
                {{"channels", s.channels}, {"out_height", s.out_height}, {"out_width", s.out_width}, {"act", int(s.act)},
                 {"sums", s.sums}, {"gap", s.gap}, {"at_end", where == edge::end}});
    const placed at(table, k, s, p, where);
    buffer dst(at.dst_map.size(), where, table.lanes), dst_parts(at.dst_map.size(), where, table.lanes);
    buffer sums(at.sums_size(), where, table.lanes), sums_parts(at.sums_size(), where, table.lanes);
    at.run(dst, sums, 0, at.blocks, 0, s.out_height);
    c.check_buffer(dst, at.expected(p, 0, at.blocks, 0, s.out_height), "whole");
    c.check_buffer(sums, at.expected_sums(dst, 0, at.blocks, 0, s.out_height), "row sums");

    const std::vector<int> block_cuts = cuts(random, 0, at.blocks, 1 + random.below(3));
    const std::vector<int> row_cuts = cuts(random, 0, s.out_height, 1 + random.below(3));
    for (size_t a = 1; a < block_cuts.size(); ++a)
      for (size_t b = 1; b < row_cuts.size(); ++b) {
        at.run(dst_parts, sums_parts, block_cuts[a - 1], block_cuts[a], row_cuts[b - 1], row_cuts[b]);
        if (a + b != 2) continue;
        c.check_buffer(dst_parts, at.expected(p, 0, block_cuts[a], 0, row_cuts[b]), "the first part alone");
        c.check_buffer(sums_parts, at.expected_sums(dst, 0, block_cuts[a], 0, row_cuts[b]), "its row sums");
      }
    c.check_same_bits(dst, dst_parts, "cutting rows or blocks changed bits");
    c.check_same_bits(sums, sums_parts, "cutting rows or blocks changed bits of the row sums");
    c.check(dst_parts.slack_intact() && sums_parts.slack_intact(), "a part wrote outside a buffer");
  }
}

constexpr int kWidest = 40;
constexpr int kHeights[] = {1, 2, 3, 5};

// Every width, some heights, one to three blocks; activation, sums and gaps take turns.
long long sweep_sizes(tester& t, const kernel_table& table, const kernel_case& k, int widest, random_source& random) {
  int turn = 0;
  for (int width = 1; width <= widest; ++width)
    for (int height : kHeights)
      for (int blocks = 1; blocks <= 3; ++blocks) {
        shape s;
        s.channels = blocks * table.lanes - turn % table.lanes;
        s.out_height = height;
        s.out_width = width;
        s.act = kKernelActivations[turn % kKernelActivationCount];
        s.sums = turn / kKernelActivationCount % 2 == 0;
        s.gap = turn / 3 % 3;
        run_shape(t, table, k, s, random);
        ++turn;
      }
  return 2LL * widest * 4 * 3;
}

// Every activation with and without sums.
long long sweep_activations(tester& t, const kernel_table& table, const kernel_case& k, random_source& random) {
  for (activation act : kKernelActivations)
    for (bool sums : {false, true})
      for (int width : {7, 28, 29}) {
        shape s;
        s.channels = table.lanes + 1;
        s.out_height = 4;
        s.out_width = width;
        s.act = act;
        s.sums = sums;
        s.gap = 1;
        run_shape(t, table, k, s, random);
      }
  return 2LL * kKernelActivationCount * 2 * 3;
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet;
  using namespace effnet::test;
  tester t("depthwise_test");
  for (const kernel_table* table : t.tables()) {
    const kernel_case kernels[] = {{&table->depthwise_k3s1, 3, 1},
                                   {&table->depthwise_k3s2, 3, 2},
                                   {&table->depthwise_k5s1, 5, 1},
                                   {&table->depthwise_k5s2, 5, 2},
                                   {&table->depthwise_s1, 1, 1},
                                   {&table->depthwise_s2, 1, 2},
                                   {&table->depthwise_s1, 3, 1},
                                   {&table->depthwise_s2, 5, 2},
                                   {&table->depthwise_s1, 7, 1},
                                   {&table->depthwise_s2, 7, 2},
                                   {&table->depthwise_s1, 31, 1}};
    for (const kernel_case& k : kernels) {
      random_source random(uint64_t(k.size) * 10 + k.stride);
      const bool large = k.size > 7;
      t.expect_count("sizes", sweep_sizes(t, *table, k, large ? 9 : kWidest, random));
      t.expect_count("activations", sweep_activations(t, *table, k, random));
    }
    t.note_table(*table);
  }
  return t.finish();
}
