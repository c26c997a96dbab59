// SPDX-License-Identifier: Apache-2.0
// f32v for AArch64 Advanced SIMD: 4 lanes, 32 registers. Only operations; no kernel and no maths
// beyond 2^t and a quotient, whose cheapest form depends on the instruction set.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "simd/unroll.h"

namespace effnet {
namespace {

struct f32v {
  static constexpr int kLanes = 4;
  static constexpr int kRegisters = 32;
  static constexpr int kTogether = 4;  // vectors whose activations are computed in step
  static constexpr int kChains = 12;  // most accumulators of a vector times a matrix; with 16 GCC 12 runs out of registers
  static constexpr bool kNewton = false;  // newton_quotient is more than a name
  float32x4_t v;

  static EFFNET_INLINE f32v zero() { return {vdupq_n_f32(0.0f)}; }
  static EFFNET_INLINE f32v set(float x) { return {vdupq_n_f32(x)}; }
  static EFFNET_INLINE f32v load(const float* p) { return {vld1q_f32(p)}; }
  EFFNET_INLINE void store(float* p) const { vst1q_f32(p, v); }
};

EFFNET_INLINE f32v operator+(f32v a, f32v b) { return {vaddq_f32(a.v, b.v)}; }
EFFNET_INLINE f32v operator-(f32v a, f32v b) { return {vsubq_f32(a.v, b.v)}; }
EFFNET_INLINE f32v operator*(f32v a, f32v b) { return {vmulq_f32(a.v, b.v)}; }
// a * b + c
EFFNET_INLINE f32v fma(f32v a, f32v b, f32v c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
// max(a, b) and min(a, b) return b where either is not a number, as on x86.
EFFNET_INLINE f32v max(f32v a, f32v b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
EFFNET_INLINE f32v min(f32v a, f32v b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }

// Two floats in turns: p[0], p[1], p[0] ...
EFFNET_INLINE f32v alternate(const float* p) {
  const float32x2_t both = vld1_f32(p);
  return {vcombine_f32(both, both)};
}
// Sums of neighbours, a[0] + a[1] first, in the lower lanes; zeros in the upper ones.
EFFNET_INLINE f32v add_neighbours(f32v a) { return {vpaddq_f32(a.v, vdupq_n_f32(0.0f))}; }

// a / b
EFFNET_INLINE f32v quotient(f32v a, f32v b) { return {vdivq_f32(a.v, b.v)}; }
EFFNET_INLINE f32v newton_quotient(f32v a, f32v b) { return quotient(a, b); }

// 1 + 2^t for t up to 125, below -125 as there; the relative error of 2^t stays
// below 3e-7: t = n + f with |f| <= 1/2, a quintic in
// f (least maximum relative error 7.5e-8), and n added to the exponent bits.
struct one_plus_exp2 {
  static EFFNET_INLINE f32v limit(f32v t) { return min(f32v::set(125.0f), t); }
  template <int N>
  EFFNET_INLINE void operator()(const f32v (&t)[N], f32v (&sum)[N]) const {
    unroll<N>([&](auto i) EFFNET_LAMBDA { sum[i] = f32v::set(1.0f) + exp2(t[i]); });
  }
  static EFFNET_INLINE f32v exp2(f32v t) {
    t = max(f32v::set(-125.0f), t);
    const float32x4_t n = vrndnq_f32(t.v);
    const float32x4_t f = vsubq_f32(t.v, n);
    float32x4_t p = vfmaq_f32(vdupq_n_f32(0.00967554096f), f, vdupq_n_f32(0.00132764701f));
    p = vfmaq_f32(vdupq_n_f32(0.0555071309f), f, p);
    p = vfmaq_f32(vdupq_n_f32(0.240221202f), f, p);
    p = vfmaq_f32(vdupq_n_f32(0.693146944f), f, p);
    p = vfmaq_f32(vdupq_n_f32(1.00000012f), f, p);
    const int32x4_t exponent = vshlq_n_s32(vcvtq_s32_f32(n), 23);
    return {vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(p), exponent))};
  }
};

// Sixteen 32-bit integers, for 8-bit images; load_bytes and store_bytes touch 16 bytes. Stored are
// (v >> Shift) cut to 0..255.
struct i32x16 {
  int32x4_t v[4];

  static EFFNET_INLINE i32x16 set(int32_t x) { return {{vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x)}}; }
  static EFFNET_INLINE i32x16 load_bytes(const uint8_t* p) {
    const uint8x16_t bytes = vld1q_u8(p);
    const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_u8(vget_high_u8(bytes));
    return {{vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low))), vreinterpretq_s32_u32(vmovl_u16(vget_high_u16(low))),
             vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high))), vreinterpretq_s32_u32(vmovl_u16(vget_high_u16(high)))}};
  }
  template <int Shift>
  EFFNET_INLINE void store_bytes(uint8_t* p) const {
    const auto words = [&](int i) EFFNET_LAMBDA { return vqmovn_s32(vshrq_n_s32(v[i], Shift)); };
    vst1q_u8(p, vcombine_u8(vqmovun_s16(vcombine_s16(words(0), words(1))), vqmovun_s16(vcombine_s16(words(2), words(3)))));
  }
};

EFFNET_INLINE i32x16 operator+(i32x16 a, i32x16 b) {
  return {{vaddq_s32(a.v[0], b.v[0]), vaddq_s32(a.v[1], b.v[1]), vaddq_s32(a.v[2], b.v[2]), vaddq_s32(a.v[3], b.v[3])}};
}
EFFNET_INLINE i32x16 operator*(i32x16 a, i32x16 b) {
  return {{vmulq_s32(a.v[0], b.v[0]), vmulq_s32(a.v[1], b.v[1]), vmulq_s32(a.v[2], b.v[2]), vmulq_s32(a.v[3], b.v[3])}};
}

}  // namespace
}  // namespace effnet
