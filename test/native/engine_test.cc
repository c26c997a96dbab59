// SPDX-License-Identifier: Apache-2.0
// Whole networks of every shape against the double-precision reference, on every table: kernels,
// strides, paddings, odd channels and sizes, with and without expansion, excite and residual; the
// same bits for any thread count, any run and any order of sizes.
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
constexpr padding kPaddings[] = {padding::same, padding::symmetric};

// How often each feature occurred in what was run; all must.
struct coverage {
  long long expand = 0, no_expand = 0, excite = 0, no_excite = 0, residual = 0, no_residual = 0;
  long long kernel[6] = {}, stride[3] = {};

  void add(const network& net) {
    for (const mbconv_block& b : net.blocks) {
      ++(b.has_expand ? expand : no_expand);
      ++(b.squeeze > 0 ? excite : no_excite);
      ++(b.residual ? residual : no_residual);
      ++kernel[b.kernel];
      ++stride[b.stride];
    }
  }
  bool complete(long long enough) const {
    for (long long n : {expand, no_expand, excite, no_excite, residual, no_residual, kernel[3], kernel[5], stride[1], stride[2]})
      if (n < enough) return false;
    return true;
  }
};

int some_channels(random_source& random, int lanes) {
  const int choices[] = {1, 7, 24, 40, lanes - 1, lanes, lanes + 1, 2 * lanes, 3 * lanes + 2};
  return choices[random.below(9)];
}

std::vector<block_shape> some_blocks(random_source& random, int lanes, int stem) {
  std::vector<block_shape> blocks(random.below(4));
  int channels = stem;
  for (block_shape& b : blocks) {
    b.expanded = random.below(3) ? some_channels(random, lanes) : 0;
    b.out = random.below(2) ? channels : some_channels(random, lanes);
    b.kernel = random.below(2) ? 3 : 5;
    b.stride = random.below(3) ? 1 : 2;
    b.squeeze = random.below(3) ? 1 + random.below(lanes + 3) : 0;
    channels = b.out;
  }
  return blocks;
}

struct outputs {
  std::vector<float> logits, embedding;
  explicit outputs(const model& m) : logits(m.classes(), NAN), embedding(m.features(), NAN) {}
  run_output pointers() { return {logits.data(), embedding.data()}; }
  bool operator==(const outputs& other) const {
    return std::memcmp(logits.data(), other.logits.data(), logits.size() * sizeof(float)) == 0 &&
           std::memcmp(embedding.data(), other.embedding.data(), embedding.size() * sizeof(float)) == 0;
  }
};

void check_values(test_case& c, const std::vector<float>& found, const reference::vector& expected, const char* what) {
  c.check(found.size() == expected.size(), "wrong number of outputs");
  for (size_t i = 0; i < expected.size(); ++i) {
    // The bound is worth something only while it is far below the values.
    if (!c.check(expected[i].error < 1e-4, "the reference's bound has grown too wide to prove anything")) return;
    if (std::fabs(found[i] - expected[i].value) <= expected[i].error) continue;
    char message[160];
    std::snprintf(message, sizeof message, "%s %zu: expected %.9g within %.3g, found %.9g", what, i, expected[i].value,
                  expected[i].error, found[i]);
    c.check(false, message);
    return;
  }
}

// One network on one table: executors with 1 to 4 threads take the sizes in turn, then the first size
// again. One case per size.
void run_network(tester& t, const kernel_table& table, const random_network& r, int first_size, long long seed,
                 random_source& random) {
  std::shared_ptr<const model> m;
  std::unique_ptr<executor> executors[kMostThreads];
  status made = model::create(r.net, table, &m);
  for (int threads = 1; made.ok() && threads <= kMostThreads; ++threads)
    made = executor::create(m, threads, &executors[threads - 1]);
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
    const reference::head_result expected = reference::run(r.net, to_reference(pixels, at.height, at.width));
    outputs first(*m);
    for (int threads = 1; threads <= kMostThreads; ++threads) {
      executor& e = *executors[threads - 1];
      outputs out(*m), again(*m);
      c.check(e.threads() == threads, "threads() differs from what was asked for");
      c.ok(e.prepare(at.height, at.width));
      c.ok(e.run(image, out.pointers(), nullptr));
      c.ok(e.run(image, again.pointers(), nullptr));
      c.check(out == again, "a second run gave other bits");
      if (threads == 1) {
        first = out;
        check_values(c, out.logits, expected.logits, "logit");
        check_values(c, out.embedding, expected.embedding, "embedding");
      }
      c.check(out == first, "another number of threads gave other bits");
    }
    firsts.push_back(first);
    outputs back(*m);
    c.ok(executors[i]->run(first_image, back.pointers(), nullptr));
    c.check(back == firsts[0], "returning to the first size gave other bits");
  }
}

long long sweep(tester& t, const kernel_table& table) {
  const int networks = t.reduced() ? 20 : 60;
  coverage seen;
  for (int seed = 0; seed < networks; ++seed)
    for (padding pad : kPaddings) {
      random_source random(1000 + uint64_t(seed));
      const int stem = some_channels(random, table.lanes), features = some_channels(random, table.lanes);
      const random_network r(random, pad, stem, some_blocks(random, table.lanes, stem), features, 1 + random.below(40));
      seen.add(r.net);
      run_network(t, table, r, seed, seed, random);
    }
  test_case c(t, table.isa, {{"networks", networks}});
  c.check(seen.complete(t.reduced() ? 4 : 12), "expected every kind of block to occur often enough");
  return 2LL * networks * kSizesPerNetwork + 1;
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet;
  using namespace effnet::test;
  tester t("engine_test");
  for (const kernel_table* table : t.tables()) {
    t.expect_count("networks", sweep(t, *table));
    t.note_table(*table);
  }
  return t.finish();
}
