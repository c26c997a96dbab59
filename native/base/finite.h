// SPDX-License-Identifier: Apache-2.0
// Telling NaN and infinities apart from numbers, many at a time.
#pragma once

#include <cstdint>
#include <cstring>

namespace effnet {

// Not zero for NaN and infinity: all exponent bits set. Written on integers so that compilers turn a
// loop of it into vector code without leave to reorder float arithmetic.
inline uint32_t not_finite(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return (bits & 0x7f800000u) == 0x7f800000u ? 1u : 0u;
}

}  // namespace effnet
