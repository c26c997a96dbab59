// SPDX-License-Identifier: Apache-2.0
// Weights as a checkpoint has them: any floating-point type, unaligned, in either order of dimensions,
// and batch norm beside them, not yet folded in. Read here into rows of float32 in the engine's order, a few rows at a
// time, so that no second copy of them ever exists. Which tensor is which layer's is not known here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace effnet {

enum class element_type : uint8_t { f32, f16, bf16, f64 };
constexpr size_t element_bytes(element_type t) { return t == element_type::f64 ? 8 : t == element_type::f32 ? 4 : 2; }

// One number for each output, little-endian.
struct stored_vector {
  const uint8_t* bytes = nullptr;
  element_type type = element_type::f32;
};

// A layer's batch norm: scale * (x - mean) / sqrt(variance + epsilon) + shift.
struct stored_norm {
  stored_vector scale, shift, mean, variance;
  double epsilon = 0;
};

struct stored_weights {
  const uint8_t* bytes = nullptr;  // little-endian
  element_type type = element_type::f32;
  bool outputs_last = false;        // [taps][in][n], as TensorFlow; else [n][in][taps], the engine's order
  std::optional<stored_norm> norm;  // the layer then has no bias of its own
  bool spent = false;               // nobody reads the bytes after this: their memory is given back
};

// What makes a layer of n outputs one with its batch norm: factors[o] = scale / sqrt(variance + epsilon) for
// its weights, and bias[o] = shift - mean * factor, computed in double precision and rounded once. False if
// a number is not finite, a variance negative (or zero without epsilon), or every variance zero.
bool fold_norm(const stored_norm& norm, int n, double* factors, float* bias);

// Writes rows [first, first + count), each of in * taps floats in the order [in][taps]:
// stored * factor, computed in double precision and rounded once. False if one of them is NaN or infinite,
// in the file or after rounding. `n` is the number of all rows, and of the factors; without any they are 1.
bool read_rows(const stored_weights& w, const double* factors, int n, int in, int taps, int first, int count, float* dst);

// Gives the memory of `elements` weights back to the system, but for what shares a page with other data,
// if they are spent. They read as zeros afterwards, or as before where the system has no such call.
void release(const stored_weights& w, size_t elements);

}  // namespace effnet
