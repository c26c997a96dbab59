// SPDX-License-Identifier: Apache-2.0
// Weights as a checkpoint has them: any floating-point type, unaligned, in either order of dimensions,
// and batch norm not yet folded in. Read here into rows of float32 in the engine's order, a few rows at a
// time, so that no second copy of them ever exists. Which tensor is which layer's is not known here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace effnet {

enum class element_type : uint8_t { f32, f16, bf16, f64 };
constexpr size_t element_bytes(element_type t) { return t == element_type::f64 ? 8 : t == element_type::f32 ? 4 : 2; }

struct stored_weights {
  const uint8_t* bytes = nullptr;  // little-endian
  element_type type = element_type::f32;
  bool outputs_last = false;        // [taps][in][n], as TensorFlow; else [n][in][taps], the engine's order
  const double* factors = nullptr;  // one for each of the n outputs, or null: the scale of a batch norm
  bool spent = false;               // nobody reads the bytes after this: their memory is given back
};

// Writes rows [first, first + count), each of in * taps floats in the order [in][taps]:
// stored * factor, computed in double precision and rounded once. False if one of them is NaN or infinite,
// in the file or after rounding. `n` is the number of all rows.
bool read_rows(const stored_weights& w, int n, int in, int taps, int first, int count, float* dst);

// Gives the memory of `elements` weights back to the system, but for what shares a page with other data,
// if they are spent. They read as zeros afterwards, or as before where the system has no such call.
void release(const stored_weights& w, size_t elements);

}  // namespace effnet
