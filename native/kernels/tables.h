// SPDX-License-Identifier: Apache-2.0
// Declares the table that each instruction set's translation unit exports, and nothing else of it.
#pragma once

#include "kernels/kernels.h"

namespace effnet {

extern const kernel_table kScalar;
#if defined(__x86_64__) || defined(_M_X64)
extern const kernel_table kAvx2;
extern const kernel_table kAvx512;
#endif
#if defined(__aarch64__) || defined(_M_ARM64)
extern const kernel_table kNeon;
#endif

}  // namespace effnet
