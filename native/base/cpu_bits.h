// SPDX-License-Identifier: Apache-2.0
// The bits of cpu_features() and of kernel_table::cpu_bits. Apart from cpu.h, so that the files built
// for one instruction set take in no standard container with them.
#pragma once

#include <cstdint>

namespace effnet {
namespace cpu_bit {
constexpr uint32_t avx2_fma = 1u << 0;  // AVX2 and FMA, with the operating system saving ymm
constexpr uint32_t avx512 = 1u << 1;    // F, BW, DQ, VL, with the operating system saving zmm
constexpr uint32_t neon = 1u << 2;      // AArch64 Advanced SIMD
}  // namespace cpu_bit
}  // namespace effnet
