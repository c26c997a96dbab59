// SPDX-License-Identifier: Apache-2.0
// Threads that share the items of a loop.
#include "base/pool.h"

#include <algorithm>
#include <new>
#include <system_error>

namespace effnet {

namespace {

inline void relax() {
#if defined(_MSC_VER)
  std::this_thread::yield();
#elif defined(__x86_64__)
  __asm__ volatile("pause");
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Loops of one inference follow each other within microseconds; a worker that slept in between would
// cost a system call each time. After this long it sleeps, so that an idle process is idle.
constexpr auto kSpin = std::chrono::microseconds(60);

// A worker that the system took off its core inside an item comes back milliseconds later, and until
// then the loop cannot end. With a busy process on the second of two cores this made two threads slower
// than one (12.8 against 9.6 ms for B0). So after a wait that no item explains, the caller works alone:
// a few milliseconds, since most of what takes a core passes at once, and twice as long each time it
// happens again soon. (With 20 to 160 ms and trust after 10,000 loops, a core lost ten times a second for a
// millisecond each left two threads 1.05 to 1.1 times as fast as one.) A wait that no scheduler makes means
// that the whole process stood still.
constexpr auto kStall = std::chrono::microseconds(200);
constexpr auto kStoppedProcess = std::chrono::milliseconds(100);
constexpr auto kAloneAtFirst = std::chrono::milliseconds(5), kAloneAtMost = std::chrono::milliseconds(1000);
// A busy process takes the core again within one of the scheduler's time slices.
constexpr auto kSoon = std::chrono::milliseconds(20);
constexpr int kSoonLoops = 400;

constexpr uint64_t kNoItem = 0x7fffffff;
constexpr uint32_t generation_of(uint64_t ticket) { return uint32_t(ticket >> 32); }
constexpr int item_of(uint64_t ticket) { return int(uint32_t(ticket)); }

}  // namespace

status thread_pool::create(int threads, std::unique_ptr<thread_pool>* out) {
  try {
    std::unique_ptr<thread_pool> pool(new thread_pool());
    pool->workers_.reserve(size_t(threads) - 1);
    for (int i = 1; i < threads; ++i) pool->workers_.emplace_back([p = pool.get(), i] { p->work(i); });
    *out = std::move(pool);
    return status::success();
  } catch (const std::system_error&) {
    return status::error(status_code::out_of_memory, "Expected to start " + std::to_string(threads) +
                                                         " threads, and the system refused; ask for fewer");
  } catch (const std::bad_alloc&) {
    return status::error(status_code::out_of_memory, "Not enough memory for " + std::to_string(threads) + " threads");
  }
}

thread_pool::~thread_pool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    quit_.store(true);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void thread_pool::run(int count, item_fn fn, void* context) {
  const clock::time_point begin = clock::now();
  if (begin < alone_until_) {
    for (int i = 0; i < count; ++i) fn(context, i, 0);
    return;
  }
  share(count, fn, context);
  const int items = help(generation_of(ticket_.load(std::memory_order_relaxed)), 0);
  if (done_.load(std::memory_order_acquire) == count) return judge_wait({}, 1, {});
  const clock::time_point idle = clock::now();
  wait_for(count);
  judge_wait(idle - begin, std::max(items, 1), clock::now() - idle);
}

void thread_pool::run_together(item_fn fn, void* context) {
  share(threads(), fn, context);
  help(generation_of(ticket_.load(std::memory_order_relaxed)), 0);
  wait_for(threads());
}

void thread_pool::wait_for(int count) {
  for (int spins = 0; done_.load(std::memory_order_acquire) != count; ++spins) {
    if (spins < 4096)
      relax();
    else
      std::this_thread::yield();
  }
}

// Offers the loop's items to the workers.
void thread_pool::share(int count, item_fn fn, void* context) {
  // Two generations a loop. The odd one is closed: once it stands, no claim of the loop before can
  // succeed, so the fields may be replaced; a worker that already read one of the new fields
  // (acquire) cannot miss it. The even one opens the loop.
  const uint32_t closed = generation_of(ticket_.load(std::memory_order_relaxed)) + 1, generation = closed + 1;
  ticket_.store(uint64_t(closed) << 32 | kNoItem);
  fn_.store(fn, std::memory_order_release);
  context_.store(context, std::memory_order_release);
  count_.store(count, std::memory_order_release);
  done_.store(0, std::memory_order_release);
  ticket_.store(uint64_t(generation) << 32);
  if (sleepers_.load() > 0) {
    std::lock_guard<std::mutex> lock(mutex_);
    wake_.notify_all();
  }
}

// The wait for the others' last items should not be longer than a few of the caller's own.
void thread_pool::judge_wait(clock::duration worked, int items, clock::duration waited) {
  if (waited > kStall + 3 * worked / items && waited < kStoppedProcess) {
    const clock::time_point now = clock::now();
    const bool again = good_loops_ < kSoonLoops || now - alone_until_ < kSoon;
    alone_for_ = again ? std::min<clock::duration>(std::max<clock::duration>(2 * alone_for_, kAloneAtFirst), kAloneAtMost) : kAloneAtFirst;
    alone_until_ = now + alone_for_;
    good_loops_ = 0;
  } else if (good_loops_ < kSoonLoops) {
    ++good_loops_;
  }
}

// Runs one item of that loop; false when none is left.
bool thread_pool::claim_and_run(uint32_t generation, int thread) {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  for (;;) {
    const item_fn fn = fn_.load(std::memory_order_acquire);
    void* const context = context_.load(std::memory_order_acquire);
    const int count = count_.load(std::memory_order_acquire);
    if (generation_of(ticket) != generation || item_of(ticket) >= count) return false;
    if (ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel, std::memory_order_acquire)) {
      fn(context, item_of(ticket), thread);
      done_.fetch_add(1, std::memory_order_release);
      return true;
    }
  }
}

// Runs items of that loop while any is left; returns how many.
int thread_pool::help(uint32_t generation, int thread) {
  int items = 0;
  while (claim_and_run(generation, thread)) ++items;
  return items;
}

// False when the pool is being destroyed.
bool thread_pool::wait_for_other_than(uint32_t generation) {
  const auto other = [&] { return generation_of(ticket_.load()) != generation || quit_.load(); };
  const auto until = clock::now() + kSpin;
  while (!other()) {
    for (int i = 0; i < 32 && !other(); ++i) relax();
    if (!other() && clock::now() > until) {
      std::unique_lock<std::mutex> lock(mutex_);
      sleepers_.fetch_add(1);
      wake_.wait(lock, other);
      sleepers_.fetch_sub(1);
    }
  }
  return !quit_.load();
}

void thread_pool::work(int thread) {
  uint32_t generation = 0;
  while (wait_for_other_than(generation)) {
    generation = generation_of(ticket_.load(std::memory_order_acquire));
    help(generation, thread);
  }
}

}  // namespace effnet
