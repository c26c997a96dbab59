// SPDX-License-Identifier: Apache-2.0
// Whole networks of every shape against the double-precision reference, on every table: both kinds of
// block, kernels, strides, paddings, odd channels and sizes, with and without expansion, excite,
// projection, residual and hidden layer: logits, embedding and the maps of each stride; the same bits for
// any thread count, any run and any order of sizes.
#include <map>

#include "random_network.h"
#include "tester.h"

namespace effnet {
namespace test {
namespace {

struct size {
  int height, width;
};
constexpr size kSizes[] = {{1, 1}, {1, 7}, {2, 2}, {3, 5}, {6, 4}, {9, 16}, {17, 13}, {16, 31}, {33, 40}, {40, 33}};
constexpr int kSizeCount = 10, kSizesPerNetwork = 3, kMostThreads = 4;
constexpr int kLargestSide = 31;
constexpr padding kPaddings[] = {padding::same, padding::symmetric};
constexpr int kKernels[] = {3, 5, 3, 5, 3, 3, 1, 7, 9};  // fused blocks: up to 5

// How often each feature occurred in what was run; all must.
struct coverage {
  std::map<std::string, long long> times;

  void add(const network& net) {
    for (const block& b : net.blocks) std::visit([&](const auto& one) { add(one); }, b);
    ++times[net.head.hidden > 0 ? "hidden" : "no hidden"];
  }
  void add(const mbconv_block& b) {
    add("mbconv", b.kernel, b.stride, b.residual, b.act);
    ++times[b.has_expand ? "expand" : "no expand"];
    ++times[b.squeeze > 0 ? "excite" : "no excite"];
  }
  void add(const fused_block& b) {
    add("fused", b.kernel, b.stride, b.residual, b.act);
    ++times[b.has_project ? "project" : "single convolution"];
  }
  void add(const std::string& kind, int kernel, int stride, bool residual, activation act) {
    ++times[kind + (residual ? " residual" : " without residual")];
    ++times[kind + " kernel " + std::to_string(kernel) + " stride " + std::to_string(stride)];
    ++times[kind + " activation " + std::to_string(int(act))];
  }
  // Residual, kernels and strides, activations of both kinds, and four pairs of yes and no.
  bool complete(long long enough) const {
    for (const auto& entry : times)
      if (entry.second < enough) return false;
    return times.size() == 2 * 2 + (5 + 3) * 2 + 2 * kActivations + 4 * 2;
  }
};

// Also one more and one less than the tiles of the kernels.
int some_channels(random_source& random, const kernel_table& table) {
  const int lanes = table.lanes, tile = lanes * table.gemm_vectors, wide = lanes * table.conv_vectors;
  const int choices[] = {1, 7, 24, 40, lanes - 1, lanes, lanes + 1, tile - 1, tile, tile + 1, wide - 1, wide, wide + 1};
  return choices[random.below(13)];
}

std::vector<block_shape> some_blocks(random_source& random, const kernel_table& table, int stem) {
  std::vector<block_shape> blocks(random.below(4));
  int channels = stem;
  for (block_shape& b : blocks) {
    b.fused = random.below(3) == 0;
    b.expanded = random.below(3) ? some_channels(random, table) : 0;
    b.out = random.below(2) ? channels : some_channels(random, table);
    b.kernel = kKernels[random.below(b.fused ? 7 : 9)];
    b.stride = random.below(3) ? 1 : 2;
    b.squeeze = random.below(3) ? 1 + random.below(table.lanes + 3) : 0;
    channels = b.out;
  }
  return blocks;
}

struct outputs {
  std::vector<float> logits, embedding, features;
  outputs(const model& m, const size& at) : logits(m.classes(), NAN), embedding(m.features(), NAN) {
    size_t floats = 0;
    for (const feature_map& f : m.feature_maps(at.height, at.width)) floats += f.floats();
    features.assign(floats, NAN);
  }
  run_output pointers() { return {logits.data(), embedding.data(), features.data()}; }
  bool operator==(const outputs& other) const {
    return std::memcmp(logits.data(), other.logits.data(), logits.size() * sizeof(float)) == 0 &&
           std::memcmp(embedding.data(), other.embedding.data(), embedding.size() * sizeof(float)) == 0 &&
           std::memcmp(features.data(), other.features.data(), features.size() * sizeof(float)) == 0;
  }
};

void check_values(test_case& c, const std::vector<float>& found, const reference::vector& expected, const char* what) {
  c.check(found.size() == expected.size(), "wrong number of outputs");
  for (size_t i = 0; i < expected.size(); ++i) {
    // The bound is worth something only while it is far below the values, which are about 1. Sums of up
    // to 1,225 products, one after another, take it to 3e-4.
    if (!c.check(expected[i].error < 5e-4, "the reference's bound has grown too wide to prove anything")) return;
    if (std::fabs(found[i] - expected[i].value) <= expected[i].error) continue;
    char message[160];
    std::snprintf(message, sizeof message, "%s %zu: expected %.9g within %.3g, found %.9g", what, i, expected[i].value,
                  expected[i].error, found[i]);
    c.check(false, message);
    return;
  }
}

// The maps as the engine lays them out, and that it says the same of them.
reference::vector expected_features(test_case& c, const model& m, const size& at, const std::vector<reference::map>& maps) {
  const std::vector<feature_map> said = m.feature_maps(at.height, at.width);
  reference::vector all;
  if (!c.check(said.size() == maps.size(), "wrong number of feature maps")) return all;
  for (size_t i = 0; i < maps.size(); ++i) {
    const reference::map& x = maps[i];
    c.check(said[i].stride == 2 << i, "wrong stride of a feature map");
    c.check(said[i].channels == x.channels && said[i].height == x.height && said[i].width == x.width, "wrong shape of a feature map");
    for (int y = 0; y < x.height; ++y)
      for (int column = 0; column < x.width; ++column)
        for (int channel = 0; channel < x.channels; ++channel) all.push_back(x.at(channel, y, column));
  }
  return all;
}

void check_outputs(test_case& c, const model& m, const size& at, const outputs& found, const reference::result& expected) {
  check_values(c, found.logits, expected.head.logits, "logit");
  check_values(c, found.embedding, expected.head.embedding, "embedding");
  check_values(c, found.features, expected_features(c, m, at, expected.features), "feature");
}

// One network on one table: executors with 1 to 4 threads and four ideas of the cache take the sizes in
// turn, then the first size again. One case per size.
void run_network(tester& t, const kernel_table& table, const random_network& r, int first_size, long long seed,
                 random_source& random) {
  std::shared_ptr<const model> m;
  std::unique_ptr<executor> executors[kMostThreads];
  status made = model::create(r.net, table, &m);
  // Each plans for another cache, so that blocks go through in bands of one row, of a few, and whole.
  constexpr size_t kCaches[kMostThreads] = {0, 1, 6 << 10, 40 << 10};
  const int turn = int(seed % kMostThreads);
  for (int threads = 1; made.ok() && threads <= kMostThreads; ++threads)
    made = executor::create(m, threads, &executors[threads - 1], kCaches[(threads - 1 + turn) % kMostThreads]);
  std::vector<outputs> firsts;
  input_image image, first_image;
  for (int i = 0; i < kSizesPerNetwork; ++i) {
    const size at = kSizes[(first_size + 7 * i) % kSizeCount];
    test_case c(t, table.isa,
                {{"seed", seed}, {"same", r.net.pad == padding::same}, {"blocks", (long long)r.net.blocks.size()},
                 {"height", at.height}, {"width", at.width}});
    if (!c.ok(made)) continue;
    const std::vector<float> pixels = random_pixels(random, at.height, at.width);
    if (!c.ok(fill_image(image, pixels, at.height, at.width))) continue;
    if (i == 0 && !c.ok(fill_image(first_image, pixels, at.height, at.width))) continue;
    const reference::result expected = reference::run(r.net, to_reference(pixels, at.height, at.width));
    outputs first(*m, at);
    for (int threads = 1; threads <= kMostThreads; ++threads) {
      executor& e = *executors[threads - 1];
      outputs out(*m, at), again(*m, at);
      c.check(e.threads() == threads, "threads() differs from what was asked for");
      c.ok(e.prepare(at.height, at.width));
      c.ok(e.run(image, out.pointers(), nullptr));
      c.ok(e.run(image, again.pointers(), nullptr));
      c.check(out == again, "a second run gave other bits");
      if (threads == 1) {
        first = out;
        check_outputs(c, *m, at, out, expected);
      }
      c.check(out == first, "another number of threads gave other bits");
    }
    firsts.push_back(first);
    outputs back(*m, kSizes[first_size % kSizeCount]);
    c.ok(executors[i]->run(first_image, back.pointers(), nullptr));
    c.check(back == firsts[0], "returning to the first size gave other bits");
  }
}

long long sweep_networks(tester& t, const kernel_table& table) {
  // As many more as it takes to see every kind often enough.
  const int least = t.reduced() ? 40 : 110, most = 400;
  int networks = 0;
  coverage seen;
  for (int seed = 0; seed < least || (seed < most && !seen.complete(2)); ++seed, ++networks)
    for (padding pad : kPaddings) {
      random_source random(1000 + uint64_t(seed));
      const int stem = some_channels(random, table), features = some_channels(random, table);
      const int hidden = random.below(3) ? 0 : some_channels(random, table);
      // One after the other: the order of a call's arguments is the compiler's choice.
      const int classes = 1 + random.below(40);
      const std::vector<block_shape> blocks = some_blocks(random, table, stem);
      const random_network r(random, pad, stem, blocks, features, classes, hidden);
      seen.add(r.net);
      run_network(t, table, r, seed, seed, random);
    }
  test_case c(t, table.isa, {{"networks", networks}});
  for (const auto& entry : seen.times) c.check(entry.second >= 2, ("too seldom: " + entry.first).c_str());
  c.check(seen.complete(2), "expected every kind of block to occur often enough");
  return 2LL * networks * kSizesPerNetwork + 1;
}

// One network of every kind of block through every image from 1 x 1 to 31 x 31 and its transposed
// neighbour, with one thread and with more than the map has rows.
long long sweep_sizes(tester& t, const kernel_table& table) {
  constexpr int kThreads[] = {1, 7};
  const int lanes = table.lanes;
  for (padding pad : kPaddings) {
    random_source random(77);
    const std::vector<block_shape> blocks = {{0, lanes + 1, 3, 1, 0, true},  {0, lanes - 1, 3, 1, 3, false},
                                             {lanes + 2, 9, 5, 2, 0, true},  {lanes + 3, 9, 3, 1, 0, true},
                                             {lanes + 1, 12, 5, 2, 4, false}, {13, 12, 7, 1, 5, false}};
    const random_network r(random, pad, lanes + 1, blocks, lanes * 2 + 1, 11, lanes - 1);
    std::shared_ptr<const model> m;
    std::unique_ptr<executor> executors[2];
    status made = model::create(r.net, table, &m);
    for (int i = 0; made.ok() && i < 2; ++i) made = executor::create(m, kThreads[i], &executors[i]);
    input_image image;
    for (int side = 1; side <= kLargestSide; ++side)
      for (const size at : {size{side, side}, size{kLargestSide + 1 - side, side}}) {
        test_case c(t, table.isa, {{"same", pad == padding::same}, {"height", at.height}, {"width", at.width}});
        if (!c.ok(made)) continue;
        const std::vector<float> pixels = random_pixels(random, at.height, at.width);
        if (!c.ok(fill_image(image, pixels, at.height, at.width))) continue;
        const reference::result expected = reference::run(r.net, to_reference(pixels, at.height, at.width));
        outputs out(*m, at), many(*m, at);
        c.ok(executors[0]->run(image, out.pointers(), nullptr));
        c.ok(executors[1]->run(image, many.pointers(), nullptr));
        check_outputs(c, *m, at, out, expected);
        c.check(out == many, "more threads than rows gave other bits");
      }
  }
  return 2LL * kLargestSide * 2;
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet::test;
  tester t("engine_test");
  run_on_tables(t, 1, {{"networks", sweep_networks}, {"sizes", sweep_sizes}});
  return t.finish();
}
