// SPDX-License-Identifier: Apache-2.0
// The thread pool: every index once, for any count and number of threads, over very many short loops
// (which is how an inference uses it), after pauses long enough for the workers to sleep, and beside
// other pools.
#include "base/pool.h"

#include <chrono>
#include <memory>
#include <thread>

#include "tester.h"

namespace effnet {
namespace test {
namespace {

constexpr int kMostThreads = 8;

// Runs one loop and says whether each index was visited exactly once.
bool visits_once(thread_pool& pool, int count, std::vector<std::atomic<int>>& visits) {
  for (int i = 0; i < count; ++i) visits[i].store(0, std::memory_order_relaxed);
  pool.parallel_for(count, [&](int i) { visits[i].fetch_add(1, std::memory_order_relaxed); });
  // parallel_for has returned: all visits must be visible without further waiting.
  for (int i = 0; i < count; ++i)
    if (visits[i].load(std::memory_order_relaxed) != 1) return false;
  return true;
}

void test_counts(tester& t, thread_pool& pool, int threads) {
  std::vector<std::atomic<int>> visits(10000);
  for (int count : {0, 1, 2, 3, threads - 1, threads, threads + 1, 7 * threads + 1, 1000, 10000}) {
    test_case c(t, "counts", {{"threads", threads}, {"count", count}});
    for (int i = 0; i < 20; ++i) c.check(visits_once(pool, count, visits), "an index was not visited exactly once");
  }
}

// Plain, unsynchronised results: the loop's end must order them.
void test_many_loops(tester& t, thread_pool& pool, int threads) {
  test_case c(t, "many loops", {{"threads", threads}});
  const int loops = t.reduced() ? 200 : 20000;
  std::vector<long long> sums(16, 0);
  for (int loop = 1; loop <= loops; ++loop) {
    const int count = loop % 16 + 1;
    pool.parallel_for(count, [&sums, loop](int i) { sums[i] += loop; });
  }
  std::vector<long long> expected(16, 0);
  for (int loop = 1; loop <= loops; ++loop)
    for (int i = 0; i <= loop % 16; ++i) expected[i] += loop;
  c.check(sums == expected, "a loop was lost, or run twice");
}

// Workers fall asleep between loops and must wake for the next.
void test_pauses(tester& t, thread_pool& pool, int threads) {
  test_case c(t, "pauses", {{"threads", threads}});
  std::vector<std::atomic<int>> visits(64);
  for (int i = 0; i < 30; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(20 * i));
    c.check(visits_once(pool, 64, visits), "an index was not visited exactly once");
  }
}

// With slow items, more than one thread must come to help; where only one core exists this holds too,
// since an item that sleeps leaves the core to others.
void test_shares(tester& t, int threads) {
  test_case c(t, "shares", {{"threads", threads}});
  std::unique_ptr<thread_pool> own;  // one that has not seen a busy machine yet
  if (!c.ok(thread_pool::create(threads, &own))) return;
  thread_pool& pool = *own;
  std::vector<std::thread::id> by(4 * size_t(threads));
  pool.parallel_for(int(by.size()), [&](int i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    by[size_t(i)] = std::this_thread::get_id();
  });
  std::sort(by.begin(), by.end());
  const long long different = std::unique(by.begin(), by.end()) - by.begin();
  c.check(different <= threads, "more threads than asked for");
  c.check(threads == 1 || different > 1, "the workers did not help");
}

// What a thread calls itself is its own alone, so that it can name scratch memory.
void test_thread_index(tester& t, thread_pool& pool, int threads) {
  test_case c(t, "thread index", {{"threads", threads}});
  std::vector<std::atomic<int>> inside(static_cast<size_t>(threads));
  std::atomic<int> wrong{0};
  for (int loop = 0; loop < 50; ++loop)
    pool.parallel_for(100, [&](int, int thread) {
      if (thread < 0 || thread >= threads || inside[size_t(thread)].fetch_add(1) != 0) {
        ++wrong;
        return;
      }
      inside[size_t(thread)].fetch_sub(1);
    });
  c.check(wrong == 0, "two items of one index at once, or an index outside the threads");
}

// Every thread that comes gets a call, whatever was concluded from earlier loops.
void test_together(tester& t, thread_pool& pool, int threads) {
  test_case c(t, "together", {{"threads", threads}});
  for (int round = 0; round < 30; ++round) {
    std::atomic<int> calls{0}, wrong{0};
    pool.together([&](int thread) {
      ++calls;
      wrong += thread < 0 || thread >= threads;
      while (calls < threads) std::this_thread::yield();  // hangs unless all come
    });
    c.check(calls == threads && wrong == 0, "expected a call on each thread");
  }
}

// A worker that takes far longer than the caller, as if its core had been taken away: the caller works
// alone, and tries the worker again later.
void test_stall(tester& t) {
  test_case c(t, "stall", {});
  std::unique_ptr<thread_pool> pool;
  if (!c.ok(thread_pool::create(2, &pool))) return;
  const auto helped = [&] {
    std::atomic<bool> other{false};
    pool->parallel_for(8, [&](int, int thread) {
      if (thread != 0) other = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    });
    return other.load();
  };
  const auto stall = [&] {
    std::atomic<bool> stalled{false};
    while (!stalled)
      pool->parallel_for(4, [&](int, int thread) {
        if (thread == 0 || stalled.exchange(true)) return std::this_thread::sleep_for(std::chrono::microseconds(100));
        std::this_thread::sleep_for(std::chrono::milliseconds(60));
      });
  };
  // Once is not enough: on a busy machine the few milliseconds may be over before the next loop.
  bool alone = false;
  for (int i = 0; i < 10 && !alone; ++i) {
    stall();
    alone = !helped();
  }
  c.check(alone, "the worker was used right after it had stalled");
  test_together(t, *pool, 2);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  c.check(helped(), "the worker was never tried again");
}

void test_lifetimes(tester& t) {
  for (int threads = 1; threads <= kMostThreads; ++threads) {
    test_case c(t, "lifetimes", {{"threads", threads}});
    for (int i = 0; i < (t.reduced() ? 5 : 50); ++i) {
      std::unique_ptr<thread_pool> pool;
      if (!c.ok(thread_pool::create(threads, &pool))) break;
      c.check(pool->threads() == threads, "threads() differs from what was asked for");
      std::vector<std::atomic<int>> visits(32);
      if (i % 2) c.check(visits_once(*pool, 32, visits), "an index was not visited exactly once");
    }
  }
}

// Pools of several callers do not know of each other.
void test_side_by_side(tester& t) {
  test_case c(t, "side by side", {});
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i)
    callers.emplace_back([&, i] {
      std::unique_ptr<thread_pool> pool;
      std::vector<std::atomic<int>> visits(100);
      if (!thread_pool::create(1 + i, &pool).ok()) {
        ++wrong;
        return;
      }
      for (int loop = 0; loop < (t.reduced() ? 20 : 500); ++loop) wrong += !visits_once(*pool, 1 + loop % 100, visits);
    });
  for (std::thread& caller : callers) caller.join();
  c.check(wrong == 0, "an index was not visited exactly once");
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet;
  using namespace effnet::test;
  tester t("pool_test");
  for (int threads = 1; threads <= kMostThreads; ++threads) {
    std::unique_ptr<thread_pool> pool;
    if (!thread_pool::create(threads, &pool).ok()) break;  // the count below tells
    test_counts(t, *pool, threads);
    test_many_loops(t, *pool, threads);
    test_pauses(t, *pool, threads);
    test_shares(t, threads);
    test_thread_index(t, *pool, threads);
    test_together(t, *pool, threads);
  }
  t.expect_count("pools", kMostThreads * (10 + 1 + 1 + 1 + 1 + 1));
  test_stall(t);
  t.expect_count("stall", 2);
  test_lifetimes(t);
  t.expect_count("lifetimes", kMostThreads);
  test_side_by_side(t);
  t.expect_count("side by side", 1);
  return t.finish();
}
