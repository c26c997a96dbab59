// SPDX-License-Identifier: Apache-2.0
// The list of kernel tables, best first, and the choice among them. Done once, when a session is made.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/kernels.h"

namespace effnet {

// Tables compiled into this binary, best first; scalar is always the last.
const std::vector<const kernel_table*>& all_kernel_tables();

// Whether this CPU can run the table.
bool runs_here(const kernel_table& table);

// The activation in the form that the table's kernels compute fastest here.
scaled_activation kernel_activation(activation act, const kernel_table& table);

// The best table this CPU can run, or exactly the one named. `name` is empty, or an instruction set;
// when empty, the environment variable EFFICIENTNET_SIMD_ISA is consulted. Unknown names
// (invalid_argument) and names this CPU lacks (unsupported) are errors, never a fallback.
status pick_kernel_table(const std::string& name, const kernel_table** table);

}  // namespace effnet
