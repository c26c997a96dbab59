// SPDX-License-Identifier: Apache-2.0
// f32v for AVX2 with FMA: 8 lanes, 16 registers. Only operations; no kernel and no maths beyond 2^t
// and a quotient, whose cheapest form depends on the instruction set.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "simd/unroll.h"

namespace effnet {
namespace {

struct f32v {
  static constexpr int kLanes = 8;
  static constexpr int kRegisters = 16;
  static constexpr int kTogether = 2;  // vectors whose activations are computed in step
  static constexpr int kChains = 12;  // most accumulators of a vector times a matrix
  static constexpr bool kNewton = false;  // newton_quotient is more than a name
  __m256 v;

  static EFFNET_INLINE f32v zero() { return {_mm256_setzero_ps()}; }
  static EFFNET_INLINE f32v set(float x) { return {_mm256_set1_ps(x)}; }
  static EFFNET_INLINE f32v load(const float* p) { return {_mm256_loadu_ps(p)}; }
  EFFNET_INLINE void store(float* p) const { _mm256_storeu_ps(p, v); }
};

EFFNET_INLINE f32v operator+(f32v a, f32v b) { return {_mm256_add_ps(a.v, b.v)}; }
EFFNET_INLINE f32v operator-(f32v a, f32v b) { return {_mm256_sub_ps(a.v, b.v)}; }
EFFNET_INLINE f32v operator*(f32v a, f32v b) { return {_mm256_mul_ps(a.v, b.v)}; }
// a * b + c
EFFNET_INLINE f32v fma(f32v a, f32v b, f32v c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
// max(a, b) and min(a, b) return b where either is not a number.
EFFNET_INLINE f32v max(f32v a, f32v b) { return {_mm256_max_ps(a.v, b.v)}; }
EFFNET_INLINE f32v min(f32v a, f32v b) { return {_mm256_min_ps(a.v, b.v)}; }

// Two floats in turns: p[0], p[1], p[0] ...
EFFNET_INLINE f32v alternate(const float* p) {
  double both;
  std::memcpy(&both, p, sizeof both);
  return {_mm256_castpd_ps(_mm256_set1_pd(both))};
}
// Sums of neighbours, a[0] + a[1] first, in the lower lanes; zeros in the upper ones.
EFFNET_INLINE f32v add_neighbours(f32v a) {
  const __m128 low = _mm256_castps256_ps128(a.v), high = _mm256_extractf128_ps(a.v, 1);
  return {_mm256_insertf128_ps(_mm256_setzero_ps(), _mm_hadd_ps(low, high), 0)};
}

// a / b
EFFNET_INLINE f32v quotient(f32v a, f32v b) { return {_mm256_div_ps(a.v, b.v)}; }
// Division also where it is slow: on Emerald Rapids a swish takes 2.15 ns a vector, by reciprocal and Newton 2.37.
EFFNET_INLINE f32v newton_quotient(f32v a, f32v b) { return quotient(a, b); }

// 1 + 2^t, below -125 as there, infinite from 127.94 on; the relative error of 2^t stays below 2e-7. t is rounded to
// eighths m (the low three bits of t + 1.5 * 2^20 are m's fraction); 2^fraction comes from a table held in one
// register, the rest |f| <= 1/16 from a cubic. The shift by 20 brings floor(m) to the exponent bits, pushes
// out the bits of 1.5 * 2^20 and leaves the fraction in bits 20 to 22, which the table's entries make up for.
// Step by step for all N vectors, for the core looks too few instructions ahead to overlap chains of fifteen
// steps itself. With 16 registers the constants are better read from memory, of which a core loads two
// vectors a cycle.
struct one_plus_exp2 {
  static EFFNET_INLINE f32v limit(f32v t) { return t; }
  template <int N>
  EFFNET_INLINE void operator()(const f32v (&t)[N], f32v (&sum)[N]) const {
    const __m256 low = _mm256_set1_ps(-125.0f), high = _mm256_set1_ps(128.0f), magic = _mm256_set1_ps(1572864.0f);
    const __m256 one = _mm256_set1_ps(1.0f);
    const __m256i table = _mm256_setr_epi32(0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7,
                                            0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7);
    __m256 f[N], shifted[N], p[N];
    unroll<N>([&](auto i) EFFNET_LAMBDA { f[i] = _mm256_max_ps(low, _mm256_min_ps(high, t[i].v)); });
    unroll<N>([&](auto i) EFFNET_LAMBDA { shifted[i] = _mm256_add_ps(f[i], magic); });
    unroll<N>([&](auto i) EFFNET_LAMBDA { f[i] = _mm256_sub_ps(f[i], _mm256_sub_ps(shifted[i], magic)); });
    unroll<N>([&](auto i) EFFNET_LAMBDA { p[i] = _mm256_fmadd_ps(f[i], _mm256_set1_ps(0.0554962218f), _mm256_set1_ps(0.24025763f)); });
    unroll<N>([&](auto i) EFFNET_LAMBDA { p[i] = _mm256_fmadd_ps(f[i], p[i], _mm256_set1_ps(0.693147214f)); });
    unroll<N>([&](auto i) EFFNET_LAMBDA { p[i] = _mm256_fmadd_ps(f[i], p[i], one); });
    unroll<N>([&](auto i) EFFNET_LAMBDA {
      const __m256i bits = _mm256_castps_si256(shifted[i]);
      const __m256i power = _mm256_add_epi32(_mm256_permutevar8x32_epi32(table, bits), _mm256_slli_epi32(bits, 20));
      sum[i].v = _mm256_fmadd_ps(_mm256_castsi256_ps(power), p[i], one);
    });
  }
};

// Sixteen 32-bit integers, for 8-bit images; load_bytes and store_bytes touch 16 bytes. Stored are
// (v >> Shift) cut to 0..255.
struct i32x16 {
  __m256i v[2];

  static EFFNET_INLINE i32x16 set(int32_t x) { return {{_mm256_set1_epi32(x), _mm256_set1_epi32(x)}}; }
  static EFFNET_INLINE i32x16 load_bytes(const uint8_t* p) {
    return {{_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))),
             _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8)))}};
  }
  template <int Shift>
  EFFNET_INLINE void store_bytes(uint8_t* p) const {
    // Both packs work within halves of a vector: 0-3 8-11 | 4-7 12-15, which the permutation mends.
    const __m256i words = _mm256_packs_epi32(_mm256_srai_epi32(v[0], Shift), _mm256_srai_epi32(v[1], Shift));
    const __m256i ordered = _mm256_permute4x64_epi64(words, 0xd8);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)));
  }
};

EFFNET_INLINE i32x16 operator+(i32x16 a, i32x16 b) {
  return {{_mm256_add_epi32(a.v[0], b.v[0]), _mm256_add_epi32(a.v[1], b.v[1])}};
}
EFFNET_INLINE i32x16 operator*(i32x16 a, i32x16 b) {
  return {{_mm256_mullo_epi32(a.v[0], b.v[0]), _mm256_mullo_epi32(a.v[1], b.v[1])}};
}

}  // namespace
}  // namespace effnet
