// SPDX-License-Identifier: Apache-2.0
// f32v for AVX2 with FMA: 8 lanes, 16 registers. Only operations; no kernel and no maths beyond 2^t
// and a quotient, whose cheapest form depends on the instruction set.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "simd/unroll.h"

namespace effnet {
namespace {

struct f32v {
  static constexpr int kLanes = 8;
  static constexpr int kRegisters = 16;
  static constexpr bool kWriteOut = true;  // activations in every tile (simd/math.h)
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

// Halves, for layers whose last vector is at most half full: lower lanes of a and upper lanes of b;
// lower lanes of a and of b; the lower, or the upper lanes of a in the lower ones, then zeros.
EFFNET_INLINE f32v halves(f32v a, f32v b) { return {_mm256_blend_ps(a.v, b.v, 0xf0)}; }
EFFNET_INLINE f32v join(f32v a, f32v b) { return {_mm256_insertf128_ps(a.v, _mm256_castps256_ps128(b.v), 1)}; }
EFFNET_INLINE f32v lower(f32v a) { return {_mm256_blend_ps(_mm256_setzero_ps(), a.v, 0x0f)}; }
EFFNET_INLINE f32v upper(f32v a) { return {_mm256_insertf128_ps(_mm256_setzero_ps(), _mm256_extractf128_ps(a.v, 1), 0)}; }

// a / b
EFFNET_INLINE f32v quotient(f32v a, f32v b) { return {_mm256_div_ps(a.v, b.v)}; }

// 2^t with t clamped to -125..125, relative error below 4e-7. t is rounded to eighths m (the low
// three bits of t + 1.5 * 2^20 are m's fraction); 2^fraction comes from a table held in one register,
// the rest |f| <= 1/16 from a cubic, and floor(m) is added to the exponent bits. With 16 registers the
// constants are better read from memory, of which a core loads two vectors a cycle.
struct exp2_function {
  static constexpr int kConstants = 0;
  EFFNET_INLINE f32v operator()(f32v t) const {
    t = max(f32v::set(-125.0f), min(f32v::set(125.0f), t));
    const __m256 magic = _mm256_set1_ps(1572864.0f);
    const __m256 table = _mm256_setr_ps(1.0f, 1.09050773f, 1.18920711f, 1.29683955f, 1.41421356f, 1.54221083f,
                                        1.68179283f, 1.83400809f);
    const __m256 shifted = _mm256_add_ps(t.v, magic);
    const __m256 f = _mm256_sub_ps(t.v, _mm256_sub_ps(shifted, magic));
    const __m256i bits = _mm256_castps_si256(shifted);
    const __m256 power = _mm256_permutevar8x32_ps(table, bits);
    const __m256 square = _mm256_fmadd_ps(f, _mm256_set1_ps(0.0554989018f), _mm256_set1_ps(0.240264073f));
    const __m256 slope = _mm256_fmadd_ps(f, square, _mm256_set1_ps(0.693147182f));
    const __m256 r = _mm256_fmadd_ps(_mm256_mul_ps(power, f), slope, power);
    // bits >> 3 holds floor(m) plus magic's own bits, which the shift by 23 pushes out.
    const __m256i exponent = _mm256_slli_epi32(_mm256_srai_epi32(bits, 3), 23);
    return {_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(r), exponent))};
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
