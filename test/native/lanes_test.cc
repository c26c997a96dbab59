// SPDX-License-Identifier: Apache-2.0
// Images side by side, each on one thread of an executor: the same bits as one by one for any number of
// threads and images, images of different sizes, scratch shared with runs on all threads and given back,
// each image stopped by its own flag, no allocation once the sizes are known.
#include <array>
#include <thread>

#include "allocations.h"
#include "engine_session.h"

namespace effnet {
namespace test {
namespace {

constexpr int kMostThreads = 4, kMostImages = 9;

struct size {
  int height, width;
};
constexpr size kSizes[] = {{24, 20}, {9, 16}, {33, 17}};

// Images, and what one thread alone makes of each.
struct work {
  std::shared_ptr<const model> m;
  std::array<input_image, kMostImages> images;
  std::vector<std::vector<float>> expected;

  bool make(test_case& c, const network& net, const kernel_table& table, bool same_size) {
    std::unique_ptr<executor> alone;
    if (!c.ok(model::create(net, table, &m)) || !c.ok(executor::create(m, 1, &alone))) return false;
    for (int i = 0; i < kMostImages; ++i) {
      const size at = kSizes[same_size ? 0 : i % 3];
      random_source random(100 + uint64_t(i));
      expected.emplace_back(size_t(m->classes()));
      if (!c.ok(fill_image(images[size_t(i)], random_pixels(random, at.height, at.width), at.height, at.width)) ||
          !c.ok(alone->run(images[size_t(i)], {expected.back().data()}, nullptr)))
        return false;
    }
    return true;
  }
};

// Runs the first images, each lane taking the next; what each of them gave.
struct batch {
  std::vector<std::vector<float>> logits;
  std::vector<status> done;

  explicit batch(const model& m) : logits(kMostImages, std::vector<float>(size_t(m.classes()))), done(kMostImages) {}
  void run(executor& e, const work& w, int images, const std::atomic<bool>* stops = nullptr) {
    std::atomic<int> next{0};
    e.run_lanes([&](executor::lane& l) {
      for (int i = next++; i < images; i = next++)
        done[size_t(i)] = l.run(w.images[size_t(i)], {logits[size_t(i)].data()}, stops == nullptr ? nullptr : stops + i);
    });
  }
};

std::unique_ptr<random_network> network_of(int which, const kernel_table& table) {
  if (which == 0) return sample_network(table);
  static random_source random(12);
  const std::vector<block_shape> blocks = which == 1 ? std::vector<block_shape>{{24, 8, 3, 1, 4}, {40, 16, 5, 2, 6}, {48, 16, 3, 1, 4}}
                                                     : std::vector<block_shape>{{0, 16, 3, 1, 0, true}, {32, 24, 3, 2, 0, true}, {60, 24, 3, 1, 5}};
  return std::make_unique<random_network>(random, which == 1 ? padding::symmetric : padding::same, 8 + which, blocks, 33, 10 + which);
}

long long test_bits(tester& t, const kernel_table& table) {
  for (int which = 0; which < 3; ++which)
    for (bool same_size : {true, false})
      for (int threads = 1; threads <= kMostThreads; ++threads) {
        test_case c(t, "bits", {{"network", which}, {"same size", same_size}, {"threads", threads}});
        const auto r = network_of(which, table);
        work w;
        std::unique_ptr<executor> e;
        // A small cache, so that blocks go through in bands, whose scratch is the thread's own.
        if (!w.make(c, r->net, table, same_size) || !c.ok(executor::create(w.m, threads, &e, 6 << 10))) continue;
        batch b(*w.m);
        std::vector<float> again(size_t(w.m->classes()));
        for (int images = 1; images <= kMostImages; ++images) {
          for (auto& logits : b.logits) logits.assign(logits.size(), NAN);
          b.run(*e, w, images);
          for (int i = 0; i < images; ++i) {
            c.ok(b.done[size_t(i)]);
            c.check(b.logits[size_t(i)] == w.expected[size_t(i)], "an image in a lane gave other bits");
          }
          // All threads on one image, in the same scratch.
          c.ok(e->run(w.images[size_t(images) - 1], {again.data()}, nullptr));
          c.check(again == w.expected[size_t(images) - 1], "a run on all threads gave other bits after lanes");
        }
      }
  return 3 * 2 * kMostThreads;
}

// With work for all, all lanes are used, and none twice at once.
long long test_shares(tester& t, const kernel_table& table) {
  const auto r = sample_network(table);
  test_case c(t, "shares", {});
  work w;
  std::unique_ptr<executor> e;
  if (!w.make(c, r->net, table, true) || !c.ok(executor::create(w.m, 3, &e))) return 1;
  std::atomic<int> begun{0}, wrong{0};
  std::array<std::atomic<int>, 3> inside{};
  e->run_lanes([&](executor::lane& l) {
    if (l.index() < 0 || l.index() > 2 || inside[size_t(l.index())]++ != 0) ++wrong;
    ++begun;
    // Waits for the others: they come, or this hangs.
    while (begun < 3) std::this_thread::yield();
    --inside[size_t(l.index())];
  });
  c.check(begun == 3 && wrong == 0, "expected every lane once");
  return 1;
}

long long test_no_allocation(tester& t, const kernel_table& table) {
  const auto r = sample_network(table);
  for (int threads : {1, 2, 4}) {
    test_case c(t, "no allocation", {{"threads", threads}});
    work w;
    std::unique_ptr<executor> e;
    if (!w.make(c, r->net, table, true) || !c.ok(executor::create(w.m, threads, &e))) continue;
    // Which lanes take images is chance, so all are prepared.
    const auto prepare = [&] {
      std::atomic<int> begun{0};
      e->run_lanes([&](executor::lane& l) {
        c.ok(l.prepare(kSizes[0].height, kSizes[0].width));
        ++begun;
        while (begun < threads) std::this_thread::yield();
      });
    };
    const long long start = allocations();
    prepare();
    c.check(allocations() > start, "the counter of allocations does not work");
    batch b(*w.m);
    const std::array<std::atomic<bool>, kMostImages> stops{};
    long long least = 1;
    for (int round = 0; round < 8 && least > 0; ++round) {
      const long long before = allocations();
      for (int i = 0; i < 5; ++i) b.run(*e, w, kMostImages, stops.data());
      least = allocations() - before;
    }
    c.check(least == 0, "lanes allocated");
    c.check(b.logits == w.expected, "other bits");
  }
  return 3;
}

long long test_stop(tester& t, const kernel_table& table) {
  const auto r = sample_network(table);
  for (int threads : {1, 3}) {
    test_case c(t, "stop", {{"threads", threads}});
    work w;
    std::unique_ptr<executor> e;
    if (!w.make(c, r->net, table, false) || !c.ok(executor::create(w.m, threads, &e))) continue;
    batch b(*w.m);
    std::array<std::atomic<bool>, kMostImages> stops{};
    stops[2] = stops[5] = true;
    b.run(*e, w, kMostImages, stops.data());
    for (size_t i = 0; i < kMostImages; ++i) {
      if (stops[i]) {
        c.check(b.done[i].code == status_code::cancelled, "a stopped image went through");
      } else {
        c.ok(b.done[i]);
        c.check(b.logits[i] == w.expected[i], "stopping one image changed another");
      }
    }
  }
  return 2;
}

// Lanes hold scratch of one image each, and that of a much larger one goes with the next image.
long long test_scratch(tester& t, const kernel_table& table) {
  random_source random(8);
  const random_network r(random, padding::same, 8, {block_shape{16, 8, 3, 1, 4}}, 16, 5);
  test_case c(t, "scratch", {});
  constexpr int kThreads = 3;
  work w;
  std::unique_ptr<executor> e;
  if (!w.make(c, r.net, table, true) || !c.ok(executor::create(w.m, kThreads, &e))) return 1;
  const auto prepare = [&](int side) {
    std::atomic<int> begun{0};
    e->run_lanes([&](executor::lane& l) {
      c.ok(l.prepare(side, side));
      ++begun;
      while (begun < kThreads) std::this_thread::yield();
    });
    return e->activation_bytes();
  };
  c.ok(e->prepare(32, 32));
  const size_t one = e->activation_bytes();
  const size_t small = prepare(32), large = prepare(512);
  c.check(small > one && small <= kThreads * one, "expected scratch of one image for each lane");
  c.check(large > 16 * small, "the sizes are too close to show anything");
  c.check(prepare(32) == small, "a larger image's scratch was kept by lanes");
  prepare(512);
  std::vector<float> logits(size_t(w.m->classes()));
  c.ok(e->run(w.images[0], {logits.data()}, nullptr));
  c.check(e->activation_bytes() < 2 * one, "a larger image's scratch was kept by lanes that no longer run");
  c.check(logits == w.expected[0], "other scratch gave other bits");
  return 1;
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet::test;
  tester t("lanes_test");
  run_on_tables(t, 1, {{"bits", test_bits}, {"shares", test_shares}, {"no allocation", test_no_allocation},
                       {"stop", test_stop}, {"scratch", test_scratch}});
  return t.finish();
}
