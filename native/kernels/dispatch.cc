// SPDX-License-Identifier: Apache-2.0
// The list of kernel tables, best first, and the choice among them.
#include "kernels/dispatch.h"

#include <cstdlib>

#include "base/cpu.h"
#include "kernels/tables.h"

namespace effnet {

namespace {

status not_here(const std::string& origin, const std::string& wanted) {
  const std::string brand = cpu_brand();
  return status::error(status_code::unsupported,
                       "Expected " + origin + " to name an instruction set of this CPU" +
                           (brand.empty() ? "" : " (" + brand + ")") + ", but " + wanted +
                           " is not available here; leave it out to use the best one that is");
}

// Of another processor's family, and so not in this binary.
bool known_elsewhere(const std::string& name) { return name == "avx512" || name == "avx2" || name == "neon"; }

}  // namespace

const std::vector<const kernel_table*>& all_kernel_tables() {
  static const std::vector<const kernel_table*> tables = {
#if defined(__x86_64__) || defined(_M_X64)
      &kAvx512, &kAvx2,
#endif
#if defined(__aarch64__) || defined(_M_ARM64)
      &kNeon,
#endif
      &kScalar,
  };
  return tables;
}

scaled_activation kernel_activation(activation act, const kernel_table& table) {
  return to_kernel(act, !(table.newton && divides_slowly()));
}

bool runs_here(const kernel_table& table) { return (table.cpu_bits & ~cpu_features()) == 0; }

status pick_kernel_table(const std::string& name, const kernel_table** table) {
  std::string wanted = name, origin = "isa";
  if (wanted.empty()) {
    if (const char* forced = std::getenv("EFFICIENTNET_SIMD_ISA")) wanted = forced;
    origin = "EFFICIENTNET_SIMD_ISA";
  }
  std::string known;
  for (const kernel_table* t : all_kernel_tables()) {
    if (wanted.empty() ? runs_here(*t) : wanted == t->isa) {
      if (!runs_here(*t)) return not_here(origin, wanted);
      *table = t;
      return status::success();
    }
    known += (known.empty() ? "" : ", ") + std::string(t->isa);
  }
  if (known_elsewhere(wanted)) return not_here(origin, wanted);
  return status::error(status_code::invalid_argument,
                       "Expected " + origin + " to be one of " + known + " but received '" + wanted + "'");
}

}  // namespace effnet
