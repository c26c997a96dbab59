// SPDX-License-Identifier: Apache-2.0
// A network with its weights from JavaScript objects. The weights are not copied, and their sizes are
// checked by the engine. Throws Napi::Error for anything else that is wrong.
#pragma once

#include <napi.h>

#include <deque>

#include "engine/network.h"

namespace effnet::node {

struct network_input {
  network net;
  std::deque<stored_weights> stored;  // what net's weights point to
  Napi::Array arrays;                 // every array that holds weights
};

// { padding, stem, blocks, head } and the weights under the same keys: Float32Arrays, or for weights but
// not for biases { bytes, type, outputsLast, norm } as stored_weights describes them. The memory is good
// until the next call into JavaScript, any of which may take it away; or, where nobody else holds the
// arrays, as long as they live. `spent`: it may be given back once read.
network_input network_of(const Napi::Object& description, const Napi::Object& weights, bool spent);

}  // namespace effnet::node
