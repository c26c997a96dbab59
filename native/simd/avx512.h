// SPDX-License-Identifier: Apache-2.0
// f32v for AVX-512 (F, BW, DQ, VL): 16 lanes, 32 registers. Only operations; no kernel and no maths
// beyond 2^t and a quotient, whose cheapest form depends on the instruction set.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "simd/unroll.h"

namespace effnet {
namespace {

struct f32v {
  static constexpr int kLanes = 16;
  static constexpr int kRegisters = 32;
  static constexpr int kTogether = 4;  // vectors whose activations are computed in step
  static constexpr int kChains = 16;  // most accumulators of a vector times a matrix
  static constexpr bool kNewton = true;  // newton_quotient is more than a name
  __m512 v;

  static EFFNET_INLINE f32v zero() { return {_mm512_setzero_ps()}; }
  static EFFNET_INLINE f32v set(float x) { return {_mm512_set1_ps(x)}; }
  static EFFNET_INLINE f32v load(const float* p) { return {_mm512_loadu_ps(p)}; }
  EFFNET_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
};

EFFNET_INLINE f32v operator+(f32v a, f32v b) { return {_mm512_add_ps(a.v, b.v)}; }
EFFNET_INLINE f32v operator-(f32v a, f32v b) { return {_mm512_sub_ps(a.v, b.v)}; }
EFFNET_INLINE f32v operator*(f32v a, f32v b) { return {_mm512_mul_ps(a.v, b.v)}; }
// a * b + c
EFFNET_INLINE f32v fma(f32v a, f32v b, f32v c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// max(a, b) and min(a, b) return b where either is not a number.
EFFNET_INLINE f32v max(f32v a, f32v b) { return {_mm512_max_ps(a.v, b.v)}; }
EFFNET_INLINE f32v min(f32v a, f32v b) { return {_mm512_min_ps(a.v, b.v)}; }

// Two floats in turns: p[0], p[1], p[0] ...
EFFNET_INLINE f32v alternate(const float* p) {
  double both;
  std::memcpy(&both, p, sizeof both);
  return {_mm512_castpd_ps(_mm512_set1_pd(both))};
}
// Sums of neighbours, a[0] + a[1] first, in the lower lanes; zeros in the upper ones.
EFFNET_INLINE f32v add_neighbours(f32v a) {
  const __m512 sums = _mm512_add_ps(a.v, _mm512_permute_ps(a.v, 0xb1));
  return {_mm512_maskz_compress_ps(0x5555, sums)};
}

// a / b
EFFNET_INLINE f32v quotient(f32v a, f32v b) { return {_mm512_div_ps(a.v, b.v)}; }
// a / b to 2.1 units in the last place, for 1 <= b <= 2^126, by a reciprocal good to 2^-14 and a Newton step on it: on
// the quotient it would make infinity minus infinity of an infinite a. A swish by division takes 3.5 ns a vector on
// Emerald Rapids, whose divider is busy for 10 cycles, and 2.3 so; on Zen 4 1.98 and 2.46, on Zen 5 0.75 and 0.98.
// kernels.h says who chooses.
EFFNET_INLINE f32v newton_quotient(f32v a, f32v b) {
  const __m512 r = _mm512_rcp14_ps(b.v);
  return {_mm512_mul_ps(a.v, _mm512_fmadd_ps(r, _mm512_fnmadd_ps(b.v, r, _mm512_set1_ps(1.0f)), r))};
}

// Makes the compiler forget what v holds, so that a constant stays in its register: GCC 12 and clang
// 19 else read it from memory each time, and a core loads one such vector a cycle.
EFFNET_INLINE void keep(__m512& v) {
#if defined(__AVX512F__) && (!defined(_MSC_VER) || defined(__clang__))  // not where it is emulated, for a test
  __asm__("" : "+v"(v));
#else
  (void)v;
#endif
}

// 1 + 2^t; the relative error of 2^t stays below 6e-7 while it is normal, below it is 0 and above infinite. t is cut
// into m, sixteenths rounded down (the low four bits of t + 1.5 * 2^19 are m's fraction), and 0 <= f < 1/16; 2^fraction
// comes from a table held in one register, 2^f from a quadratic (4.3e-7), and scalef multiplies by 2^floor(t) =
// 2^floor(m). Rounded to the nearest, t - f would take a subtraction more: on
// Emerald Rapids 1.65 against 1.90 ns a vector. Step by step for all N vectors, for the core looks too few
// instructions ahead to overlap the chains itself.
struct one_plus_exp2 {
  static EFFNET_INLINE f32v limit(f32v t) { return t; }
  __m512 magic = _mm512_set1_ps(786432.0f);
  __m512 table = _mm512_setr_ps(1.0f, 1.04427378f, 1.09050773f, 1.13878863f, 1.18920711f, 1.24185781f, 1.29683955f,
                                1.35425555f, 1.41421356f, 1.47682615f, 1.54221083f, 1.61049033f, 1.68179283f,
                                1.75625216f, 1.83400809f, 1.91520656f);
  __m512 square = _mm512_set1_ps(0.24543f), slope = _mm512_set1_ps(0.693028f), start = _mm512_set1_ps(1.00000036f);
  __m512 one = _mm512_set1_ps(1.0f);

  EFFNET_INLINE one_plus_exp2() {
    keep(magic);
    keep(table);
    keep(square);
    keep(slope);
    keep(start);
    keep(one);
  }
  template <int N>
  EFFNET_INLINE void operator()(const f32v (&t)[N], f32v (&sum)[N]) const {
    constexpr int kDown = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC, kSixteenthsDown = 4 << 4 | 1;
    __m512 index[N], f[N], power[N];
    unroll<N>([&](auto i) EFFNET_LAMBDA { index[i] = _mm512_add_round_ps(t[i].v, magic, kDown); });
    unroll<N>([&](auto i) EFFNET_LAMBDA { f[i] = _mm512_reduce_ps(t[i].v, kSixteenthsDown); });
    unroll<N>([&](auto i) EFFNET_LAMBDA {
      power[i] = _mm512_scalef_ps(_mm512_permutexvar_ps(_mm512_castps_si512(index[i]), table), t[i].v);
    });
    unroll<N>([&](auto i) EFFNET_LAMBDA { sum[i].v = _mm512_fmadd_ps(f[i], square, slope); });
    unroll<N>([&](auto i) EFFNET_LAMBDA { sum[i].v = _mm512_fmadd_ps(f[i], sum[i].v, start); });
    unroll<N>([&](auto i) EFFNET_LAMBDA { sum[i].v = _mm512_fmadd_ps(power[i], sum[i].v, one); });
  }
};

// Sixteen 32-bit integers, for 8-bit images; load_bytes and store_bytes touch 16 bytes. Stored are
// (v >> Shift) cut to 0..255.
struct i32x16 {
  __m512i v;

  static EFFNET_INLINE i32x16 set(int32_t x) { return {_mm512_set1_epi32(x)}; }
  static EFFNET_INLINE i32x16 load_bytes(const uint8_t* p) {
    return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  template <int Shift>
  EFFNET_INLINE void store_bytes(uint8_t* p) const {
    const __m512i positive = _mm512_max_epi32(_mm512_srai_epi32(v, Shift), _mm512_setzero_si512());
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtusepi32_epi8(positive));
  }
};

EFFNET_INLINE i32x16 operator+(i32x16 a, i32x16 b) { return {_mm512_add_epi32(a.v, b.v)}; }
EFFNET_INLINE i32x16 operator*(i32x16 a, i32x16 b) { return {_mm512_mullo_epi32(a.v, b.v)}; }

}  // namespace
}  // namespace effnet
