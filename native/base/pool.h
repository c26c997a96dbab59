// SPDX-License-Identifier: Apache-2.0
// Threads that share the items of a loop. The caller works too. Items are claimed one by one, so a
// worker that looks late delays nobody: a loop ends when its items are done, not when every worker has
// come. A worker that loses its core inside an item does delay: where that happens, the caller works
// alone for a while. Which thread runs an item must not influence the result.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/status.h"

namespace effnet {

class thread_pool {
 public:
  // Starts threads - 1 workers; threads >= 1.
  static status create(int threads, std::unique_ptr<thread_pool>* out);
  ~thread_pool();
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  int threads() const { return int(workers_.size()) + 1; }

  // Calls f(i) or f(i, thread) for every i in [0, count), in any order and on any thread, and returns
  // when all are done. `thread` is 0 (the caller) to threads() - 1; no two calls with the same one
  // overlap. Not reentrant; one caller at a time. f must not throw.
  template <class F>
  void parallel_for(int count, F&& f) {
    using function = std::remove_reference_t<F>;
    const item_fn call = [](void* context, int i, int thread) {
      if constexpr (std::is_invocable_v<function&, int, int>)
        (*static_cast<function*>(context))(i, thread);
      else
        (*static_cast<function*>(context))(i);
    };
    if (count <= 1 || workers_.empty())
      for (int i = 0; i < count; ++i) call(&f, i, 0);
    else
      run(count, call, &f);
  }

  // Calls f(thread) threads() times, on the threads that come, and returns when all calls have: for work
  // that hands itself out in long pieces, an image each. A thread that comes late finds less to do, and
  // one that loses its core delays its own piece, so nothing is concluded from either.
  template <class F>
  void together(F&& f) {
    using function = std::remove_reference_t<F>;
    run_together([](void* context, int, int thread) { (*static_cast<function*>(context))(thread); }, &f);
  }

 private:
  using item_fn = void (*)(void* context, int item, int thread);
  using clock = std::chrono::steady_clock;

  thread_pool() = default;
  void run(int count, item_fn fn, void* context);
  void run_together(item_fn fn, void* context);
  void share(int count, item_fn fn, void* context);
  int help(uint32_t generation, int thread);
  void wait_for(int count);
  void judge_wait(clock::duration worked, int items, clock::duration waited);
  void work(int thread);
  bool claim_and_run(uint32_t generation, int thread);
  bool wait_for_other_than(uint32_t generation);

  // The upper half counts loops (twice, see run), the lower is the next unclaimed item. A claim is a
  // compare-exchange of both: it fails once the loop it belongs to is over, so the fields that were
  // read before it are those of the right loop.
  std::atomic<uint64_t> ticket_{0};
  std::atomic<item_fn> fn_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<int> count_{0};
  alignas(64) std::atomic<int> done_{0};

  // The caller's own: until when it works alone, how long it did the last time, and how many loops went
  // well since, as far as that is counted.
  clock::time_point alone_until_{};
  clock::duration alone_for_{};
  int good_loops_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<int> sleepers_{0};
  std::atomic<bool> quit_{false};
  std::vector<std::thread> workers_;
};

}  // namespace effnet
