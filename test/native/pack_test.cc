// SPDX-License-Identifier: Apache-2.0
// Packing, element by element against the layouts that pack.h describes; buffers end at guard pages.
#include "kernels/pack.h"

#include <algorithm>

#include "tester.h"

namespace effnet {
namespace test {
namespace {

constexpr int kLanes[] = {4, 8, 16};

// Element (channel, input) of the matrix lies where gemm_args says; everything is written once.
void test_panels(tester& t, random_source& random) {
  for (int lanes : kLanes)
    for (int panel_vectors = 1; panel_vectors <= kMaxPanelVectors; ++panel_vectors)
      for (int n : {1, lanes - 1, lanes, lanes + 1, panel_vectors * lanes, panel_vectors * lanes + 1,
                    3 * panel_vectors * lanes - lanes})
        for (int k : {1, 2, 27, 40}) {
          test_case c(t, "pack_panels", {{"lanes", lanes}, {"panel", panel_vectors}, {"n", n}, {"k", k}});
          const panels p = make_panels(k, n, lanes, panel_vectors);
          const int vectors = (n + lanes - 1) / lanes, panel_width = panel_vectors * lanes;
          c.check(p.vectors == vectors && p.count() == (vectors + panel_vectors - 1) / panel_vectors, "wrong counts");
          c.check(p.size() == size_t(vectors) * lanes * k, "wrong size");
          const std::vector<float> src = random.floats(size_t(n) * k);
          buffer dst(p.size(), edge::end, lanes);
          const float factor = k % 2 ? 1.0f : -1.5f;
          pack_panels(src.data(), n, p, dst.data(), factor);
          reference::vector expected(dst.size(), kUntouched);
          for (int channel = 0; channel < vectors * lanes; ++channel)
            for (int i = 0; i < k; ++i) {
              const int panel = channel / panel_width;
              const int width = std::min(panel_width, vectors * lanes - panel * panel_width);
              const size_t at = size_t(panel) * panel_width * k + size_t(i) * width + channel % panel_width;
              expected[at] = {channel < n ? src[size_t(channel) * k + i] * factor : 0.0, 0};
            }
          c.check_buffer(dst, expected, "panels");
          c.check(p.stride() == ptrdiff_t(panel_width) * k, "wrong stride");
        }
}

// The run that k lies in, and how many floats of the panel lie before it.
struct run_place {
  int begin, end;
  size_t at;
};
run_place run_of(const panels& p, int full, int k) {
  run_place r{0, p.whole > 0 ? p.whole : p.run, 0};
  while (r.end <= k) {
    const int length = r.end - r.begin;
    r = {r.end, r.end + p.run, r.at + size_t(length) * full + size_t(length + 1) / 2 * p.lanes};
  }
  return r;
}

// Where step k has the full vectors' first channel, and where the half vector has its channel c.
size_t place_in_full(const panels& p, int full, int k) {
  const run_place r = run_of(p, full, k);
  const int pair = (k - r.begin) / 2;
  return r.at + size_t(pair) * (2 * full + p.lanes) + size_t((k - r.begin) % 2) * full;
}
size_t place_in_half(const panels& p, int full, int c, int k) {
  const run_place r = run_of(p, full, k);
  const int pair = (k - r.begin) / 2, steps = std::min(2, r.end - r.begin - 2 * pair);
  return r.at + size_t(pair) * (2 * full + p.lanes) + size_t(steps) * full + 2 * c + (k - r.begin) % 2;
}

// The last vector half full: it belongs to the last panel, two steps of k in turns, run by run.
void test_halves(tester& t, random_source& random) {
  for (int lanes : kLanes)
    for (int panel_vectors : {1, 2, 3})
      for (int n = 1; n <= 3 * panel_vectors * lanes; ++n)
        for (int whole : {0, 4})
          for (int run : {1, 2, 3}) {
            const int k = whole + 3 * run, rest = n % lanes, vectors = (n + lanes - 1) / lanes;
            test_case c(t, "pack_panels, halves", {{"lanes", lanes}, {"panel", panel_vectors}, {"n", n}, {"whole", whole}, {"run", run}});
            panels p = make_panels(k, n, lanes, panel_vectors, true);
            p.whole = whole, p.run = run;
            c.check(p.half == (n > lanes && rest >= 1 && rest <= lanes / 2), "half");
            c.check(p.size() == size_t(vectors) * lanes * k, "wrong size");
            const std::vector<float> src = random.floats(size_t(n) * k);
            buffer dst(p.size(), edge::end, lanes);
            pack_panels(src.data(), n, p, dst.data(), -1.5f);
            reference::vector expected(dst.size(), kUntouched);
            for (int panel = 0; panel < p.count(); ++panel) {
              const size_t start = size_t(panel) * p.stride();
              const int width = p.width(panel) * lanes, full = p.ends_half(panel) ? width - lanes : width;
              for (int i = 0; i < k; ++i)
                for (int column = 0; column < full; ++column) {
                  const int channel = p.first(panel) + column;
                  const size_t at = p.ends_half(panel) ? place_in_full(p, full, i) + column : size_t(i) * width + column;
                  expected[start + at] = {channel < n ? double(src[size_t(channel) * k + i] * -1.5f) : 0.0, 0};
                }
              if (!p.ends_half(panel)) continue;
              for (int column = 0; column < lanes / 2; ++column)
                for (int i = 0; i < k; ++i) {
                  const int channel = p.first(panel) + full + column;
                  const size_t at = start + place_in_half(p, full, column, i);
                  expected[at] = {channel < n ? double(src[size_t(channel) * k + i] * -1.5f) : 0.0, 0};
                  const bool ends_run = i + 1 == k || (i + 1 == whole) || (i >= whole && (i - whole) % run == run - 1);
                  const bool even = (i < whole ? i : (i - whole) % run) % 2 == 0;
                  if (ends_run && even) expected[at + 1] = {0, 0};
                }
            }
            c.check_buffer(dst, expected, "panels");
          }
}

// Written from the other side: where each weight must lie.
void test_taps(tester& t, random_source& random) {
  for (int n : {1, 3, 32})
    for (int in : {1, 3, 7, 8, 9, 17})
      for (int kernel : {1, 3, 5})
        for (int lanes : {3, 4, 8, 16}) {
          test_case c(t, "interleave_taps", {{"n", n}, {"in", in}, {"kernel", kernel}, {"lanes", lanes}});
          const int taps = kernel * kernel;
          const std::vector<float> src = random.floats(size_t(n) * in * taps);
          buffer dst(src.size(), edge::end);
          interleave_taps(src.data(), n, in, taps, lanes, dst.data());
          reference::vector expected(src.size(), kUntouched);
          for (int o = 0; o < n; ++o)
            for (int ch = 0; ch < in; ++ch)
              for (int tap = 0; tap < taps; ++tap) {
                const int before = ch / lanes * lanes, width = std::min(lanes, in - before);
                expected[size_t(o) * in * taps + size_t(before) * taps + size_t(tap) * width + ch - before] = {
                    src[(size_t(o) * in + ch) * taps + tap], 0};
              }
          c.check_buffer(dst, expected, "taps");
        }
}

void test_depthwise(tester& t, random_source& random) {
  for (int lanes : kLanes)
    for (int channels : {1, lanes - 1, lanes, lanes + 1, 3 * lanes - 1})
      for (int taps : {9, 25}) {
        test_case c(t, "pack_depthwise", {{"lanes", lanes}, {"channels", channels}, {"taps", taps}});
        const int padded = (channels + lanes - 1) / lanes * lanes;
        const std::vector<float> src = random.floats(size_t(channels) * taps);
        buffer dst(size_t(padded) * taps, edge::end, lanes);
        const float factor = taps % 10 == 9 ? -3.0f : 1.0f;
        pack_depthwise(src.data(), channels, taps, lanes, dst.data(), factor);
        reference::vector expected(dst.size(), kUntouched);
        for (int channel = 0; channel < padded; ++channel)
          for (int tap = 0; tap < taps; ++tap)
            expected[size_t(channel / lanes) * taps * lanes + size_t(tap) * lanes + channel % lanes] = {
                channel < channels ? src[size_t(channel) * taps + tap] * factor : 0.0, 0};
        c.check_buffer(dst, expected, "depthwise");
      }
}

void test_vector(tester& t, random_source& random) {
  for (int lanes : kLanes)
    for (int n = 1; n <= 2 * lanes + 1; ++n) {
      test_case c(t, "pack_vector", {{"lanes", lanes}, {"n", n}});
      const std::vector<float> src = random.floats(n);
      buffer dst(size_t(n + lanes - 1) / lanes * lanes, edge::end, lanes);
      const float factor = n % 2 ? 0.3f : 1.0f;
      pack_vector(src.data(), n, lanes, dst.data(), factor);
      reference::vector expected(dst.size(), {0, 0});
      for (int i = 0; i < n; ++i) expected[i] = {src[i] * factor, 0};
      c.check_buffer(dst, expected, "vector");
    }
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet;
  using namespace effnet::test;
  tester t("pack_test");
  random_source random(17);
  test_panels(t, random);
  t.expect_count("panels", 3 * 4 * 7 * 4);
  test_halves(t, random);
  t.expect_count("halves", 3 * (1 + 2 + 3) * (4 + 8 + 16) * 2 * 3);
  test_taps(t, random);
  t.expect_count("taps", 3 * 6 * 3 * 4);
  test_depthwise(t, random);
  t.expect_count("depthwise", 3 * 5 * 2);
  test_vector(t, random);
  t.expect_count("vector", 9 + 17 + 33);
  return t.finish();
}
