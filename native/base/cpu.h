// SPDX-License-Identifier: Apache-2.0
// What this processor and this process may use: instruction sets (cpuid + xgetbv on x86, hwcap on
// ARM), core count (affinity and cgroup quota), cache sizes. It selects nothing; kernels/dispatch does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/cpu_bits.h"

namespace effnet {

// Features that both the processor and the operating system support, as cpu_bit flags.
uint32_t cpu_features();

// Cores this process may use, at least 1: the affinity mask, further limited by a cgroup v1 or v2
// CPU quota (rounded up).
int usable_cores();

// Data cache sizes of the first core in bytes; conservative defaults where the system does not tell.
struct cache_sizes {
  size_t l1 = 32 * 1024, l2 = 512 * 1024, l3 = 8 * 1024 * 1024;
};
cache_sizes caches();

// Whether a division of vectors keeps the core longer than a reciprocal and a Newton step: on Intel's.
bool divides_slowly();

// Marketing name of the processor, or an empty string.
std::string cpu_brand();

}  // namespace effnet
