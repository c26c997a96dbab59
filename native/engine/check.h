// SPDX-License-Identifier: Apache-2.0
// Whether a network can be packed and run: shapes that follow from each other, weights of the right
// size, and only what the kernels can do.
#pragma once

#include "base/status.h"
#include "engine/network.h"

namespace effnet {

// Errors name the block and the tensor: what was expected and what was found.
status check_network(const network& net);

}  // namespace effnet
