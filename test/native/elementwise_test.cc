// SPDX-License-Identifier: Apache-2.0
// What works on one element at a time: mean, the two gates, and the activation functions over the
// whole range of floats, seen through gemm, gemv and depthwise.
#include <limits>

#include "kernels/pack.h"
#include "layout.h"
#include "tester.h"

namespace effnet {
namespace test {
namespace {

long long sweep_mean(tester& t, const kernel_table& table, random_source& random) {
  constexpr int kRows = 41, kBlocks = 3;
  const int lanes = table.lanes;
  for (int rows = 1; rows <= kRows; ++rows)
    for (int blocks = 1; blocks <= kBlocks; ++blocks)
      for (edge where : kEdges) {
        test_case c(t, table.mean.name, {{"rows", rows}, {"blocks", blocks}, {"at_end", where == edge::end}});
        const size_t outputs = size_t(blocks) * lanes;
        buffer sums(outputs * rows, where, lanes), whole(outputs, where, lanes), parts(outputs, where, lanes);
        sums.assign(random.floats(sums.size(), -3, 5));
        mean_args args;
        args.sums = sums.data();
        args.rows = rows;
        args.scale = random.between(0.001f, 1.0f);
        reference::vector expected(outputs);
        for (size_t i = 0; i < outputs; ++i) {
          reference::dot sum;
          for (int y = 0; y < rows; ++y) sum.add({sums[(i / lanes * rows + y) * lanes + i % lanes], 0});
          expected[i] = reference::multiply(sum.result(), {args.scale, 0});
        }
        args.mean = whole.data();
        args.block_end = blocks;
        table.mean.fn(args);
        c.check_buffer(whole, expected, "whole");
        args.mean = parts.data();
        const std::vector<int> at = cuts(random, 0, blocks, 3);
        for (size_t i = 1; i < at.size(); ++i) {
          args.block_begin = at[i - 1];
          args.block_end = at[i];
          table.mean.fn(args);
          if (i > 1) continue;
          reference::vector first = expected;
          for (size_t j = size_t(at[1]) * lanes; j < outputs; ++j) first[j] = kUntouched;
          c.check_buffer(parts, first, "the first part alone");
        }
        c.check_same_bits(whole, parts, "cutting blocks changed bits");
      }
  return 2LL * kRows * kBlocks;
}

// A product of two floats rounds once, so every bit is known.
reference::approx product(float a, float b) { return {a * b, 0}; }

// Packed and gated must be gated and packed.
long long sweep_gate_weights(tester& t, const kernel_table& table, random_source& random) {
  constexpr int kWidest = 9, kMostRows = 12;
  for (int vectors = 1; vectors <= kWidest; ++vectors)
    for (int rows = 0; rows <= kMostRows; ++rows)
      for (bool half : {false, true})
        for (edge where : kEdges) {
          test_case c(t, table.gate_weights.name, {{"vectors", vectors}, {"rows", rows}, {"half", half}, {"at_end", where == edge::end}});
          const int n = vectors * table.lanes - (half ? table.lanes / 2 : 0);
          const panels cut = make_panels(rows, n, table.lanes, vectors, half);
          const bool ends_half = cut.half && rows > 0;
          const size_t used = size_t(rows) * (vectors - ends_half) * table.lanes + (ends_half ? size_t(rows + 1) / 2 * table.lanes : 0);
          std::vector<float> weights = random.floats(size_t(n) * rows);
          buffer packed(cut.size(), edge::end, table.lanes), src(used, where, table.lanes), dst(used, where, table.lanes), gate(rows, where);
          pack_panels(weights.data(), n, cut, packed.data());
          for (size_t i = 0; i < used; ++i) src[i] = packed[i];
          gate.assign(random.floats(rows, 0, 1));
          for (int channel = 0; channel < n; ++channel)
            for (int k = 0; k < rows; ++k) weights[size_t(channel) * rows + k] *= gate[k];
          pack_panels(weights.data(), n, cut, packed.data());
          reference::vector expected(used);
          for (size_t i = 0; i < used; ++i) expected[i] = {packed[i], 0};
          table.gate_weights.fn({src.data(), dst.data(), gate.data(), rows, vectors, ends_half});
          c.check_buffer(dst, expected, "gated");
        }
  return 2LL * 2 * kWidest * (kMostRows + 1);
}

long long sweep_gate_map(tester& t, const kernel_table& table, random_source& random) {
  constexpr int kMostPixels = 20, kBlocks = 4;
  for (int pixels = 0; pixels <= kMostPixels; ++pixels)
    for (int blocks = 1; blocks <= kBlocks; ++blocks)
      for (edge where : kEdges) {
        test_case c(t, table.gate_map.name, {{"pixels", pixels}, {"blocks", blocks}, {"at_end", where == edge::end}});
        const layout l(table.lanes, blocks, pixels, std::max(pixels, 1), 0, pixels % 3);
        buffer map(l.size(), where, table.lanes), gate(size_t(blocks) * table.lanes, where, table.lanes);
        fill_map(map, l, [&](int, int) { return random.between(-1, 1); });
        gate.assign(random.floats(gate.size(), 0, 1));
        gate_map_args args;
        args.map = map.data();
        args.plane = l.plane;
        args.gate = gate.data();
        args.pixels = pixels;
        args.block_begin = random.below(blocks + 1);
        args.block_end = args.block_begin + random.below(blocks + 1 - args.block_begin);
        reference::vector expected(map.size(), kUntouched);
        for (int channel = 0; channel < blocks * table.lanes; ++channel)
          for (int i = 0; i < pixels; ++i) {
            const size_t at = l.at(channel, i);
            const bool inside = channel / table.lanes >= args.block_begin && channel / table.lanes < args.block_end;
            expected[at] = inside ? product(map[at], gate[channel]) : reference::approx{map[at], 0};
          }
        table.gate_map.fn(args);
        c.check_buffer(map, expected, "a range of blocks");
      }
  return 2LL * (kMostPixels + 1) * kBlocks;
}

// Every binary order of magnitude of both signs, densely where the functions bend, and the corners.
std::vector<float> activation_inputs(random_source& random) {
  std::vector<float> x{0.0f, -0.0f, 3.0f, -3.0f, 6.0f, 6.0000005f, 5.9999995f};
  for (int exponent = -149; exponent <= 127; ++exponent)
    for (int i = 0; i < 4; ++i) {
      const float value = std::ldexp(random.between(1, 2), exponent);
      x.push_back(i % 2 ? -value : value);
    }
  for (int i = -8000; i <= 8000; ++i) x.push_back(float(i) * 0.0125f + random.between(0, 0.0125f));
  x.push_back(std::numeric_limits<float>::max());
  x.push_back(-std::numeric_limits<float>::max());
  return x;
}

// act(x[i]) by three kernels. Each adds only products with 1 and 0, so that the activation sees
// exactly x[i] and its own error is all there is.
enum class through { gemm, gemv, depthwise };
constexpr through kThrough[] = {through::gemm, through::gemv, through::depthwise};

std::vector<float> apply(const kernel_table& table, through how, activation act, const std::vector<float>& x) {
  const int lanes = table.lanes, n = int(x.size()), blocks = blocks_of(n, lanes);
  const size_t padded = size_t(blocks) * lanes;
  const edge where = edge::end;
  buffer values(padded, where, lanes), zeros(padded, where, lanes), dst(padded, where, lanes), one(1, where);
  values.assign(x);
  std::fill_n(values.data() + n, padded - n, 0.0f);
  std::fill_n(zeros.data(), padded, 0.0f);
  one[0] = 1.0f;
  if (how == through::depthwise) {
    // One column of outputs per channel: nine taps, of which the middle one is 1.
    buffer src(padded * 9, where, lanes), weights(padded * 9, where, lanes);
    for (size_t c = 0; c < padded; ++c)
      for (int tap = 0; tap < 9; ++tap) {
        const size_t at = (c / lanes * 9 + tap) * lanes + c % lanes;
        src[at] = tap == 4 ? values[c] : 0.0f;
        weights[at] = tap == 4 ? 1.0f : 0.0f;
      }
    depthwise_args a;
    a.src = src.data();
    a.src_plane = 9 * lanes;
    a.src_row = 3 * lanes;
    a.weights = weights.data();
    a.bias = zeros.data();
    a.dst = dst.data();
    a.dst_plane = a.dst_row = lanes;
    a.out_height = a.out_width = 1;
    a.block_end = blocks;
    a.row_end = 1;
    a.act = act;
    table.depthwise_k3s1.fn(a);
  } else if (how == through::gemv) {
    gemv_args a;
    a.src = one.data();
    a.k = 1;
    a.weights = values.data();
    a.panel_stride = ptrdiff_t(table.gemv_vectors) * lanes;
    a.bias = zeros.data();
    a.dst = dst.data();
    a.vectors = blocks;
    a.panel_end = (blocks + table.gemv_vectors - 1) / table.gemv_vectors;
    a.act = act;
    table.gemv.fn(a);
  } else {
    gemm_args a;
    a.src = one.data();
    a.segments = 1;
    a.segment_length = lanes;
    a.last_segment_length = 1;
    a.weights = values.data();
    a.panel_stride = ptrdiff_t(table.gemm_vectors) * lanes;
    a.bias = zeros.data();
    a.dst = dst.data();
    a.dst_plane = lanes;
    a.vectors = blocks;
    a.panel_end = (blocks + table.gemm_vectors - 1) / table.gemm_vectors;
    a.pixel_end = 1;
    a.act = act;
    table.gemm.fn(a);
  }
  return std::vector<float>(dst.data(), dst.data() + n);
}

long long sweep_activations(tester& t, const kernel_table& table, random_source& random) {
  const std::vector<float> x = activation_inputs(random);
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  for (through how : kThrough)
    for (activation act : kKernelActivations) {
      test_case c(t, table.isa, {{"through", int(how)}, {"act", int(act)}, {"inputs", (long long)x.size()}});
      const std::vector<float> y = apply(table, how, act, x);
      for (size_t i = 0; i < x.size(); ++i) {
        const reference::approx expected = reference::activate(act, {x[i], 0});
        if (std::fabs(y[i] - expected.value) <= expected.error) continue;
        char message[120];
        std::snprintf(message, sizeof message, "x = %.9g: expected %.9g within %.3g, found %.9g", x[i], expected.value,
                      expected.error, y[i]);
        c.check(false, message);
        break;
      }
      // Not-a-number stays one; an infinity must neither trap nor disturb the lanes beside it.
      const std::vector<float> z = apply(table, how, act, {1.0f, nan, 1.0f, infinity, 1.0f, -infinity, 1.0f});
      c.check(std::isnan(z[1]), "not-a-number became a number");
      for (int i : {0, 2, 4, 6}) {
        const reference::approx one = reference::activate(act, {1.0, 0});
        c.check(std::fabs(z[i] - one.value) <= one.error, "a neighbour of not-a-number or infinity is wrong");
      }
    }
  return 3LL * kKernelActivationCount;
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet::test;
  tester t("elementwise_test");
  run_on_tables(t, 13, {{"mean", sweep_mean}, {"gate_weights", sweep_gate_weights}, {"gate_map", sweep_gate_map},
                        {"activations", sweep_activations}});
  return t.finish();
}
