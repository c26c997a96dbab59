// SPDX-License-Identifier: Apache-2.0
// unroll<N>(f) calls f(index<0>), ..., f(index<N-1>) as straight code at any optimisation level, so
// that arrays of vectors indexed by it stay in registers. Loops left to the optimiser do not: GCC 12
// keeps such accumulators in memory at -O2 and clang 19 spills some at -O3.
// Everything is in an anonymous namespace: each instruction set's translation unit has its own copy,
// and the linker cannot merge code built for one CPU into code that runs on another.
#pragma once

#if defined(_MSC_VER) && !defined(__clang__)
#define EFFNET_INLINE __forceinline
#define EFFNET_NOINLINE __declspec(noinline)
#define EFFNET_LAMBDA
#else
#define EFFNET_INLINE inline __attribute__((always_inline))
#define EFFNET_NOINLINE __attribute__((noinline))
#define EFFNET_LAMBDA __attribute__((always_inline))
#endif

namespace effnet {
namespace {

constexpr int kLine = 16;  // floats in a cache line of 64 bytes

// Asks for the line at p in the first-level cache; any address will do, it never faults. Of the second level, B0 takes
// 1.01 times as long on Zen 5, with weights that wait there for as long as it takes to need them.
EFFNET_INLINE void prefetch(const float* p) {
#if defined(_MSC_VER) && !defined(__clang__)
#if defined(_M_X64)
  _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
#else
  __prefetch2(p, 0);
#endif
#else
  __builtin_prefetch(p, 0, 3);
#endif
}

// Memory at p may have changed as far as the compiler knows: what was stored is loaded again.
EFFNET_INLINE void forget(float* p) {
#if !defined(_MSC_VER) || defined(__clang__)
  __asm__ volatile("" : : "r"(p) : "memory");
#else
  (void)p;
#endif
}

// The compiler moves no load or store across. GCC 12 and clang 19 else load ahead what no register is left for.
EFFNET_INLINE void in_order() {
#if !defined(_MSC_VER) || defined(__clang__)
  __asm__ volatile("" : : : "memory");
#endif
}

template <int I>
struct index {
  constexpr operator int() const { return I; }
};

template <int I, int N>
struct unroller {
  template <class F>
  static EFFNET_INLINE void go(F& f) {
    f(index<I>{});
    unroller<I + 1, N>::go(f);
  }
};
template <int N>
struct unroller<N, N> {
  template <class F>
  static EFFNET_INLINE void go(F&) {}
};

template <int N, class F>
EFFNET_INLINE void unroll(F f) {
  unroller<0, N>::go(f);
}

}  // namespace
}  // namespace effnet
