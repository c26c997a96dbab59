// SPDX-License-Identifier: Apache-2.0
// f32v without intrinsics, for any CPU: 4 lanes in plain C++, which compilers turn into whatever the
// baseline has (SSE2, for one). A product and a sum round separately: std::fma without hardware
// support is a library call, a hundred times slower.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "simd/unroll.h"

namespace effnet {
namespace {

struct f32v {
  static constexpr int kLanes = 4;
  static constexpr int kRegisters = 16;
  static constexpr int kTogether = 1;  // vectors whose activations are computed in step
  static constexpr int kChains = 4;  // most accumulators of a vector times a matrix
  static constexpr bool kNewton = false;  // newton_quotient is more than a name
  float v[4];

  static EFFNET_INLINE f32v zero() { return {{0, 0, 0, 0}}; }
  static EFFNET_INLINE f32v set(float x) { return {{x, x, x, x}}; }
  static EFFNET_INLINE f32v load(const float* p) { return {{p[0], p[1], p[2], p[3]}}; }
  EFFNET_INLINE void store(float* p) const {
    for (int i = 0; i < 4; ++i) p[i] = v[i];
  }
};

template <class F>
EFFNET_INLINE f32v each(F f) {
  return {{f(0), f(1), f(2), f(3)}};
}

EFFNET_INLINE f32v operator+(f32v a, f32v b) {
  return each([&](int i) { return a.v[i] + b.v[i]; });
}
EFFNET_INLINE f32v operator-(f32v a, f32v b) {
  return each([&](int i) { return a.v[i] - b.v[i]; });
}
EFFNET_INLINE f32v operator*(f32v a, f32v b) {
  return each([&](int i) { return a.v[i] * b.v[i]; });
}
// a * b + c, rounded twice
EFFNET_INLINE f32v fma(f32v a, f32v b, f32v c) {
  return each([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}
// max(a, b) and min(a, b) return b where either is not a number, as on x86.
EFFNET_INLINE f32v max(f32v a, f32v b) {
  return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
EFFNET_INLINE f32v min(f32v a, f32v b) {
  return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}

// Two floats in turns: p[0], p[1], p[0] ...
EFFNET_INLINE f32v alternate(const float* p) { return {{p[0], p[1], p[0], p[1]}}; }
// Sums of neighbours, a[0] + a[1] first, in the lower lanes; zeros in the upper ones.
EFFNET_INLINE f32v add_neighbours(f32v a) { return {{a.v[0] + a.v[1], a.v[2] + a.v[3], 0.0f, 0.0f}}; }

// a / b
EFFNET_INLINE f32v quotient(f32v a, f32v b) {
  return each([&](int i) { return a.v[i] / b.v[i]; });
}
EFFNET_INLINE f32v newton_quotient(f32v a, f32v b) { return quotient(a, b); }

// 1 + 2^t for t up to 125, below -125 as there; the relative error of 2^t stays
// below 5e-7: t = n + f with |f| <= 1/2, a quintic in
// f (least maximum relative error 7.5e-8), and n added to the exponent bits. Adding and subtracting
// 1.5 * 2^23 rounds to the nearest integer.
struct one_plus_exp2 {
  static EFFNET_INLINE f32v limit(f32v t) { return min(f32v::set(125.0f), t); }
  template <int N>
  EFFNET_INLINE void operator()(const f32v (&t)[N], f32v (&sum)[N]) const {
    unroll<N>([&](auto i) EFFNET_LAMBDA { sum[i] = f32v::set(1.0f) + exp2(t[i]); });
  }
  static EFFNET_INLINE f32v exp2(f32v t) {
    t = max(f32v::set(-125.0f), t);
    const f32v magic = f32v::set(12582912.0f);
    const f32v shifted = t + magic;
    const f32v f = t - (shifted - magic);
    f32v p = fma(f, f32v::set(0.00132764701f), f32v::set(0.00967554096f));
    p = fma(f, p, f32v::set(0.0555071309f));
    p = fma(f, p, f32v::set(0.240221202f));
    p = fma(f, p, f32v::set(0.693146944f));
    p = fma(f, p, f32v::set(1.00000012f));
    return each([&](int i) {
      uint32_t bits, n;
      std::memcpy(&bits, &p.v[i], 4);
      std::memcpy(&n, &shifted.v[i], 4);
      bits += n << 23;
      float r;
      std::memcpy(&r, &bits, 4);
      return r;
    });
  }
};

// Sixteen 32-bit integers, for 8-bit images; load_bytes and store_bytes touch 16 bytes. Stored are
// (v >> Shift) cut to 0..255.
struct i32x16 {
  int32_t v[16];

  static EFFNET_INLINE i32x16 set(int32_t x) {
    i32x16 r;
    for (int i = 0; i < 16; ++i) r.v[i] = x;
    return r;
  }
  static EFFNET_INLINE i32x16 load_bytes(const uint8_t* p) {
    i32x16 r;
    for (int i = 0; i < 16; ++i) r.v[i] = p[i];
    return r;
  }
  template <int Shift>
  EFFNET_INLINE void store_bytes(uint8_t* p) const {
    for (int i = 0; i < 16; ++i) {
      const int32_t x = v[i] >> Shift;
      p[i] = uint8_t(x < 0 ? 0 : x > 255 ? 255 : x);
    }
  }
};

EFFNET_INLINE i32x16 operator+(i32x16 a, i32x16 b) {
  for (int i = 0; i < 16; ++i) a.v[i] += b.v[i];
  return a;
}
EFFNET_INLINE i32x16 operator*(i32x16 a, i32x16 b) {
  for (int i = 0; i < 16; ++i) a.v[i] *= b.v[i];
  return a;
}

}  // namespace
}  // namespace effnet
