// SPDX-License-Identifier: Apache-2.0
// Activation functions on f32v, written once. Include after one of the vector headers.
#pragma once

#include "kernels/kernels.h"

namespace effnet {
namespace {

// e^-x = 2^(-x * log2(e)). Not-a-number passes; exp2 keeps the argument where it is exact enough,
// writing its clamps so that not-a-number, always the second operand, survives them.
EFFNET_INLINE f32v exp_minus(f32v x) { return exp2(x * f32v::set(-1.44269504f)); }

// x / (1 + e^-x)
EFFNET_INLINE f32v swish(f32v x) { return quotient(x, f32v::set(1.0f) + exp_minus(x)); }

// 1 / (1 + e^-x)
EFFNET_INLINE f32v sigmoid(f32v x) { return quotient(f32v::set(1.0f), f32v::set(1.0f) + exp_minus(x)); }

// min(max(x + 3, 0), 6)
EFFNET_INLINE f32v ramp(f32v x) { return min(f32v::set(6.0f), max(f32v::zero(), x + f32v::set(3.0f))); }

template <activation A>
EFFNET_INLINE f32v activate(f32v x) {
  if constexpr (A == activation::relu) return max(f32v::zero(), x);
  if constexpr (A == activation::relu6) return min(f32v::set(6.0f), max(f32v::zero(), x));
  if constexpr (A == activation::swish) return swish(x);
  if constexpr (A == activation::sigmoid) return sigmoid(x);
  if constexpr (A == activation::hard_swish) return x * (ramp(x) * f32v::set(1.0f / 6));  // in this order no large x overflows
  if constexpr (A == activation::hard_sigmoid) return ramp(x) * f32v::set(1.0f / 6);
  return x;
}

// Calls f with the activation as a type, so that the choice is made once and not for each vector.
template <activation A>
struct activation_tag {
  static constexpr activation value = A;
};
template <class F>
EFFNET_INLINE void with_activation(activation act, F f) {
  switch (act) {
    case activation::none: return f(activation_tag<activation::none>{});
    case activation::relu: return f(activation_tag<activation::relu>{});
    case activation::relu6: return f(activation_tag<activation::relu6>{});
    case activation::swish: return f(activation_tag<activation::swish>{});
    case activation::sigmoid: return f(activation_tag<activation::sigmoid>{});
    case activation::hard_swish: return f(activation_tag<activation::hard_swish>{});
    case activation::hard_sigmoid: return f(activation_tag<activation::hard_sigmoid>{});
  }
}

// The vectors of x[0, count), in place; every activation, in one copy of the code.
EFFNET_NOINLINE void activate_memory(activation act, float* x, int count) {
  with_activation(act, [&](auto tag) EFFNET_LAMBDA {
    for (int i = 0; i < count; i += f32v::kLanes) activate<decltype(tag)::value>(f32v::load(x + i)).store(x + i);
  });
}

// The N vectors at(0) .. at(N - 1) held in registers. Hundreds of tiles contain this code, so only
// the activations of whole networks are written out; the others take a way through memory.
template <int N, class At>
EFFNET_INLINE void activate_registers(activation act, At at) {
  const auto apply = [&](auto tag) EFFNET_LAMBDA {
    unroll<N>([&](auto i) EFFNET_LAMBDA { at(i) = activate<decltype(tag)::value>(at(i)); });
  };
  switch (act) {
    case activation::none: return;
    case activation::relu: return apply(activation_tag<activation::relu>{});
    case activation::relu6: return apply(activation_tag<activation::relu6>{});
    case activation::swish: return apply(activation_tag<activation::swish>{});
    default: break;
  }
  float memory[N * f32v::kLanes];
  unroll<N>([&](auto i) EFFNET_LAMBDA { at(i).store(memory + i * f32v::kLanes); });
  activate_memory(act, memory, N * f32v::kLanes);
  unroll<N>([&](auto i) EFFNET_LAMBDA { at(i) = f32v::load(memory + i * f32v::kLanes); });
}

}  // namespace
}  // namespace effnet
