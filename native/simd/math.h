// SPDX-License-Identifier: Apache-2.0
// Activation functions on f32v, written once, and their way through memory. Include after one of the vector headers.
#pragma once

#include "kernels/kernels.h"

namespace effnet {
namespace {

// An activation as a function object that holds its constants in registers; of N vectors at once.
template <activation A>
struct activator {
  template <int N>
  EFFNET_INLINE void operator()(f32v (&x)[N]) const {
    unroll<N>([&](auto i) EFFNET_LAMBDA { x[i] = one(x[i]); });
  }
  static EFFNET_INLINE f32v one(f32v x) {
    if constexpr (A == activation::relu) return max(f32v::zero(), x);
    if constexpr (A == activation::relu6) return min(f32v::set(6.0f), max(f32v::zero(), x));
    const f32v ramp = min(f32v::set(6.0f), max(f32v::zero(), x + f32v::set(3.0f)));
    if constexpr (A == activation::hard_swish) return x * (ramp * f32v::set(1.0f / 6));  // in this order no large x overflows
    if constexpr (A == activation::hard_sigmoid) return ramp * f32v::set(1.0f / 6);
    return x;
  }
};

// t / (1 + 2^t) = -log2(e) swish(x) where t = -log2(e) x. Where 2^t is limited, so is the dividend: a quotient of 1e-36
// stands for all smaller ones.
template <>
struct activator<activation::exp2_swish> {
  one_plus_exp2 divisor;
  template <int N>
  EFFNET_INLINE void operator()(f32v (&t)[N]) const {
    f32v d[N];
    unroll<N>([&](auto i) EFFNET_LAMBDA { t[i] = divisor.limit(t[i]); });
    divisor(t, d);
    unroll<N>([&](auto i) EFFNET_LAMBDA { t[i] = quotient(t[i], d[i]); });
  }
};

// The same by a reciprocal and a Newton step, where that is more than a name; it wants a finite divisor.
template <>
struct activator<activation::newton_swish> {
  one_plus_exp2 divisor;
  template <int N>
  EFFNET_INLINE void operator()(f32v (&t)[N]) const {
    f32v d[N];
    unroll<N>([&](auto i) EFFNET_LAMBDA { t[i] = f32v::kNewton ? min(f32v::set(125.0f), t[i]) : divisor.limit(t[i]); });
    divisor(t, d);
    unroll<N>([&](auto i) EFFNET_LAMBDA { t[i] = newton_quotient(t[i], d[i]); });
  }
};

// 1 / (1 + 2^t) = sigmoid(x) where t = -log2(e) x.
template <>
struct activator<activation::exp2_sigmoid> {
  one_plus_exp2 divisor;
  template <int N>
  EFFNET_INLINE void operator()(f32v (&t)[N]) const {
    unroll<N>([&](auto i) EFFNET_LAMBDA { t[i] = divisor.limit(t[i]); });
    divisor(t, t);
    unroll<N>([&](auto i) EFFNET_LAMBDA { t[i] = quotient(f32v::set(1.0f), t[i]); });
  }
};

// Calls f with the activation's function, so that the choice is made once and not for each vector.
template <class F>
EFFNET_INLINE void with_activation(activation act, F f) {
  switch (act) {
    case activation::none: return f(activator<activation::none>{});
    case activation::relu: return f(activator<activation::relu>{});
    case activation::relu6: return f(activator<activation::relu6>{});
    case activation::exp2_swish: return f(activator<activation::exp2_swish>{});
    case activation::newton_swish: return f(activator<activation::newton_swish>{});
    case activation::exp2_sigmoid: return f(activator<activation::exp2_sigmoid>{});
    case activation::hard_swish: return f(activator<activation::hard_swish>{});
    case activation::hard_sigmoid: return f(activator<activation::hard_sigmoid>{});
    case activation::swish:
    case activation::sigmoid: break;  // the packer turns these into the two above
  }
}

// v = act(v) for the G vectors from x on, then x = then(position, v).
template <int G, class F, class Then>
EFFNET_INLINE void activate_together(float* x, int at, const F& f, Then then) {
  constexpr int L = f32v::kLanes;
  f32v v[G];
  unroll<G>([&](auto i) EFFNET_LAMBDA { v[i] = f32v::load(x + at + i * L); });
  f(v);
  unroll<G>([&](auto i) EFFNET_LAMBDA { then(at + i * L, v[i]).store(x + at + i * L); });
}

// Layers leave plain sums in memory, and activations follow on runs of them: exp2_swish takes 1.4 ns a vector
// there with AVX2 on Zen 4 and 1.9 ns in the registers of a tile, where twelve vectors cannot hide the latency
// of its steps and 16 registers do not hold two of them. It also keeps the activations out of hundreds of
// tiles.
template <class Then>
EFFNET_INLINE void activate_each(activation act, float* x, int count, Then then) {
  constexpr int L = f32v::kLanes, G = f32v::kTogether;
  with_activation(act, [&](auto f) EFFNET_LAMBDA {
    int at = 0;
    for (; at + G * L <= count; at += G * L) activate_together<G>(x, at, f, then);
    if constexpr (G > 2)
      for (; at + 2 * L <= count; at += 2 * L) activate_together<2>(x, at, f, then);
    for (; at < count; at += L) activate_together<1>(x, at, f, then);
  });
}

// x = act(x) for the vectors of x[0, count). These three exist once, not in every kernel.
EFFNET_NOINLINE void activate_run(activation act, float* x, int count) {
  if (act == activation::none) return;
  activate_each(act, x, count, [](int, f32v v) EFFNET_LAMBDA { return v; });
}

// The same, and the sum of the vectors.
EFFNET_NOINLINE f32v activate_sum(activation act, float* x, int count) {
  f32v sum = f32v::zero();
  activate_each(act, x, count, [&](int, f32v v) EFFNET_LAMBDA { return sum = sum + v, v; });
  return sum;
}

// x = act(x) + scale * y
EFFNET_NOINLINE void activate_add(activation act, float* x, int count, float scale, const float* y) {
  const f32v factor = f32v::set(scale);
  activate_each(act, x, count, [&](int at, f32v v) EFFNET_LAMBDA { return fma(factor, f32v::load(y + at), v); });
}

}  // namespace
}  // namespace effnet
