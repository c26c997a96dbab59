// SPDX-License-Identifier: Apache-2.0
// Activation functions on f32v, written once. Include after one of the vector headers.
#pragma once

#include "kernels/kernels.h"

namespace effnet {
namespace {

// An activation as a function object that holds its constants in registers.
template <activation A>
struct activator {
  static constexpr int kConstants = 2;
  EFFNET_INLINE f32v operator()(f32v x) const {
    if constexpr (A == activation::relu) return max(f32v::zero(), x);
    if constexpr (A == activation::relu6) return min(f32v::set(6.0f), max(f32v::zero(), x));
    const f32v ramp = min(f32v::set(6.0f), max(f32v::zero(), x + f32v::set(3.0f)));
    if constexpr (A == activation::hard_swish) return x * (ramp * f32v::set(1.0f / 6));  // in this order no large x overflows
    if constexpr (A == activation::hard_sigmoid) return ramp * f32v::set(1.0f / 6);
    return x;
  }
};

// t / (1 + 2^t) = -log2(e) swish(x) where t = -log2(e) x.
template <>
struct activator<activation::exp2_swish> {
  static constexpr int kConstants = exp2_function::kConstants + 1;
  exp2_function exp2;
  EFFNET_INLINE f32v operator()(f32v t) const { return quotient(t, f32v::set(1.0f) + exp2(t)); }
};

// 1 / (1 + 2^t) = sigmoid(x) where t = -log2(e) x.
template <>
struct activator<activation::exp2_sigmoid> {
  static constexpr int kConstants = exp2_function::kConstants + 1;
  exp2_function exp2;
  EFFNET_INLINE f32v operator()(f32v t) const { return quotient(f32v::set(1.0f), f32v::set(1.0f) + exp2(t)); }
};

// Calls f with the activation's function, so that the choice is made once and not for each vector.
template <class F>
EFFNET_INLINE void with_activation(activation act, F f) {
  switch (act) {
    case activation::none: return f(activator<activation::none>{});
    case activation::relu: return f(activator<activation::relu>{});
    case activation::relu6: return f(activator<activation::relu6>{});
    case activation::exp2_swish: return f(activator<activation::exp2_swish>{});
    case activation::exp2_sigmoid: return f(activator<activation::exp2_sigmoid>{});
    case activation::hard_swish: return f(activator<activation::hard_swish>{});
    case activation::hard_sigmoid: return f(activator<activation::hard_sigmoid>{});
    case activation::swish:
    case activation::sigmoid: break;  // the packer turns these into the two above
  }
}

// The vectors of x[0, count), in place; every activation, in one copy of the code.
EFFNET_NOINLINE void activate_memory(activation act, float* x, int count) {
  with_activation(act, [&](auto f) EFFNET_LAMBDA {
    for (int i = 0; i < count; i += f32v::kLanes) f(f32v::load(x + i)).store(x + i);
  });
}

// f on the N vectors at(0) .. at(N - 1), which are in registers. Where those and f's constants do not
// fit together, the last ones wait in memory, and not the constants, which every vector needs.
template <int N, class At, class F>
EFFNET_INLINE void apply_in_registers(At at, const F& f) {
  constexpr int L = f32v::kLanes, kTemporaries = 3;
  constexpr int kFree = f32v::kRegisters - F::kConstants - kTemporaries;
  constexpr int kWaiting = N > kFree ? N - kFree : 0, kKept = N - kWaiting;
  float waiting[kWaiting * L + 1];
  unroll<kWaiting>([&](auto i) EFFNET_LAMBDA { at(index<kKept + i>{}).store(waiting + i * L); });
  if constexpr (kWaiting > 0) forget(waiting);
  unroll<kKept>([&](auto i) EFFNET_LAMBDA { at(i) = f(at(i)); });
  unroll<kWaiting>([&](auto i) EFFNET_LAMBDA { f(f32v::load(waiting + i * L)).store(waiting + i * L); });
  if constexpr (kWaiting > 0) forget(waiting);
  unroll<kWaiting>([&](auto i) EFFNET_LAMBDA { at(index<kKept + i>{}) = f32v::load(waiting + i * L); });
}

// Hundreds of tiles contain this code, so only the activations of whole networks are written out; the
// others take a way through memory. In plain C++, where an activation is a hundred instructions, all do.
template <int N, class At>
EFFNET_INLINE void activate_registers(activation act, At at) {
  if (act == activation::none) return;
  if constexpr (f32v::kWriteOut) {
    if (act == activation::relu) return apply_in_registers<N>(at, activator<activation::relu>{});
    if (act == activation::relu6) return apply_in_registers<N>(at, activator<activation::relu6>{});
    if (act == activation::exp2_swish) return apply_in_registers<N>(at, activator<activation::exp2_swish>{});
  }
  float memory[N * f32v::kLanes];
  unroll<N>([&](auto i) EFFNET_LAMBDA { at(i).store(memory + i * f32v::kLanes); });
  activate_memory(act, memory, N * f32v::kLanes);
  unroll<N>([&](auto i) EFFNET_LAMBDA { at(i) = f32v::load(memory + i * f32v::kLanes); });
}

}  // namespace
}  // namespace effnet
