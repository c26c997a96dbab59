// SPDX-License-Identifier: Apache-2.0
// The AVX-512 intrinsics of simd/avx512.h in plain C++, found in place of the compiler's header in builds with
// EFFNET_EMULATE_AVX512. So the AVX-512 kernels can be tested on any x86-64: their arithmetic, their reads and
// writes, not their speed or their registers. Only what simd/avx512.h uses is here; anything else does not compile.
// Meanings: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2.
#pragma once

#include <smmintrin.h>

#include <cmath>
#include <cstdint>
#include <cstring>

typedef float __m512 __attribute__((vector_size(64)));
typedef double __m512d __attribute__((vector_size(64)));
typedef int32_t __m512i __attribute__((vector_size(64)));

namespace effnet_emulated {

template <class V, class F>
inline __attribute__((always_inline)) V each(F lane) {
  V v;
  for (int i = 0; i < 16; ++i) v[i] = lane(i);
  return v;
}
template <class V>
inline V load(const void* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// a + b rounded to float towards minus infinity. The error of the sum in double precision (Knuth's TwoSum) tells on
// which side of it the exact sum lies.
inline float add_down(float a, float b) {
  const double x = a, y = b, sum = x + y, part = sum - x, error = (x - (sum - part)) + (y - part);
  const float rounded = float(sum);
  return rounded > sum || (double(rounded) == sum && error < 0) ? std::nextafterf(rounded, -INFINITY) : rounded;
}

// What is left of x below sixteenths, rounded down; 0 for an infinity.
inline float below_sixteenths(float x) { return std::isinf(x) ? 0.0f : float(double(x) - std::floor(double(x) * 16) / 16); }

// a times 2 to the floor of b.
inline float scale(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return NAN;
  const double power = std::floor(double(b));
  return float(std::ldexp(double(a), power > 1000 ? 1000 : power < -1000 ? -1000 : int(power)));
}

// 1 / x with as few bits as VRCP14PS may give: cut to 14.
inline float reciprocal(float x) {
  const float r = float(1.0 / double(x));
  uint32_t bits;
  std::memcpy(&bits, &r, sizeof bits);
  if (std::isfinite(r)) bits &= ~uint32_t((1 << 9) - 1);
  float cut;
  std::memcpy(&cut, &bits, sizeof cut);
  return cut;
}

}  // namespace effnet_emulated

// Arithmetic and memory.
inline __m512 _mm512_setzero_ps() { return __m512{}; }
inline __m512 _mm512_set1_ps(float x) {
  return effnet_emulated::each<__m512>([x](int) { return x; });
}
inline __m512 _mm512_setr_ps(float a, float b, float c, float d, float e, float f, float g, float h, float i, float j, float k,
                             float l, float m, float n, float o, float p) {
  return __m512{a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p};
}
inline __m512 _mm512_loadu_ps(const float* p) { return effnet_emulated::load<__m512>(p); }
inline void _mm512_storeu_ps(float* p, __m512 v) { std::memcpy(p, &v, sizeof v); }
inline __m512 _mm512_add_ps(__m512 a, __m512 b) { return a + b; }
inline __m512 _mm512_sub_ps(__m512 a, __m512 b) { return a - b; }
inline __m512 _mm512_mul_ps(__m512 a, __m512 b) { return a * b; }
inline __m512 _mm512_div_ps(__m512 a, __m512 b) { return a / b; }
inline __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
  return effnet_emulated::each<__m512>([&](int i) { return __builtin_fmaf(a[i], b[i], c[i]); });
}
inline __m512 _mm512_fnmadd_ps(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(-a, b, c); }
// The second operand where either is not a number.
inline __m512 _mm512_max_ps(__m512 a, __m512 b) {
  return effnet_emulated::each<__m512>([&](int i) { return a[i] > b[i] ? a[i] : b[i]; });
}
inline __m512 _mm512_min_ps(__m512 a, __m512 b) {
  return effnet_emulated::each<__m512>([&](int i) { return a[i] < b[i] ? a[i] : b[i]; });
}

// Lanes.
inline __m512d _mm512_set1_pd(double x) { return __m512d{x, x, x, x, x, x, x, x}; }
inline __m512 _mm512_castpd_ps(__m512d v) { return effnet_emulated::load<__m512>(&v); }
inline __m512i _mm512_castps_si512(__m512 v) { return effnet_emulated::load<__m512i>(&v); }
inline __m512 _mm512_permute_ps(__m512 a, int control) {
  return effnet_emulated::each<__m512>([&](int i) { return a[i / 4 * 4 + (control >> 2 * (i % 4) & 3)]; });
}
inline __m512 _mm512_permutexvar_ps(__m512i index, __m512 a) {
  return effnet_emulated::each<__m512>([&](int i) { return a[index[i] & 15]; });
}
inline __m512 _mm512_maskz_compress_ps(uint16_t mask, __m512 a) {
  __m512 v{};
  for (int i = 0, to = 0; i < 16; ++i)
    if (mask >> i & 1) v[to++] = a[i];
  return v;
}

// Powers of two and reciprocals; no other rounding and no other fraction than those asked for here.
inline __m512 _mm512_add_round_ps(__m512 a, __m512 b, int rounding) {
  if (rounding != (_MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)) __builtin_trap();
  return effnet_emulated::each<__m512>([&](int i) { return effnet_emulated::add_down(a[i], b[i]); });
}
inline __m512 _mm512_reduce_ps(__m512 a, int control) {
  if (control != (4 << 4 | 1)) __builtin_trap();
  return effnet_emulated::each<__m512>([&](int i) { return effnet_emulated::below_sixteenths(a[i]); });
}
inline __m512 _mm512_scalef_ps(__m512 a, __m512 b) {
  return effnet_emulated::each<__m512>([&](int i) { return effnet_emulated::scale(a[i], b[i]); });
}
inline __m512 _mm512_rcp14_ps(__m512 a) {
  return effnet_emulated::each<__m512>([&](int i) { return effnet_emulated::reciprocal(a[i]); });
}

// 32-bit integers; sums and products wrap.
inline __m512i _mm512_setzero_si512() { return __m512i{}; }
inline __m512i _mm512_set1_epi32(int32_t x) {
  return effnet_emulated::each<__m512i>([x](int) { return x; });
}
inline __m512i _mm512_add_epi32(__m512i a, __m512i b) {
  return effnet_emulated::each<__m512i>([&](int i) { return int32_t(uint32_t(a[i]) + uint32_t(b[i])); });
}
inline __m512i _mm512_mullo_epi32(__m512i a, __m512i b) {
  return effnet_emulated::each<__m512i>([&](int i) { return int32_t(uint32_t(a[i]) * uint32_t(b[i])); });
}
inline __m512i _mm512_max_epi32(__m512i a, __m512i b) {
  return effnet_emulated::each<__m512i>([&](int i) { return a[i] > b[i] ? a[i] : b[i]; });
}
inline __m512i _mm512_srai_epi32(__m512i a, unsigned shift) {
  return effnet_emulated::each<__m512i>([&](int i) { return a[i] >> shift; });
}
inline __m512i _mm512_cvtepu8_epi32(__m128i bytes) {
  uint8_t from[16];
  std::memcpy(from, &bytes, sizeof from);
  return effnet_emulated::each<__m512i>([&](int i) { return int32_t(from[i]); });
}
// Of unsigned numbers, those above 255 to 255.
inline __m128i _mm512_cvtusepi32_epi8(__m512i v) {
  uint8_t to[16];
  for (int i = 0; i < 16; ++i) to[i] = uint32_t(v[i]) > 255 ? 255 : uint8_t(v[i]);
  __m128i bytes;
  std::memcpy(&bytes, to, sizeof bytes);
  return bytes;
}
