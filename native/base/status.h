// SPDX-License-Identifier: Apache-2.0
// Result of an operation that can fail. The core never throws across a layer, prints or aborts:
// it returns one of these, and native/node turns it into a JavaScript error, once.
#pragma once

#include <string>
#include <utility>

namespace effnet {

enum class status_code { ok, invalid_argument, out_of_memory, cancelled, unsupported };

struct [[nodiscard]] status {
  status_code code = status_code::ok;
  std::string message;  // expected, found, what to do; empty when ok

  bool ok() const { return code == status_code::ok; }
  static status success() { return {}; }
  static status error(status_code code, std::string message) { return {code, std::move(message)}; }
};

}  // namespace effnet
