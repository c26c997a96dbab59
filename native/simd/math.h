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

template <activation A>
EFFNET_INLINE f32v activate(f32v x) {
  if constexpr (A == activation::relu) return max(f32v::zero(), x);
  if constexpr (A == activation::relu6) return min(f32v::set(6.0f), max(f32v::zero(), x));
  if constexpr (A == activation::swish) return swish(x);
  if constexpr (A == activation::sigmoid) return sigmoid(x);
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
  }
}

}  // namespace
}  // namespace effnet
