// SPDX-License-Identifier: Apache-2.0
// Measures the steps of a run for whoever asks. A run that nobody times pays one branch a step.
#pragma once

#include <chrono>
#include <new>
#include <vector>

#include "engine/model.h"

namespace effnet {

class step_clock {
 public:
  // The next run's times, at most `most`, go to `to`; null: none are taken.
  status start(std::vector<step_time>* to, size_t most) {
    to_ = to;
    if (to_ == nullptr) return status::success();
    try {
      to_->clear();
      to_->reserve(most);
    } catch (const std::bad_alloc&) {
      return status::error(status_code::out_of_memory, "Not enough memory for the times of the steps");
    }
    last_ = clock::now();
    return status::success();
  }
  // The step that ends here began where the one before ended.
  void lap(int block, const char* step) {
    if (to_ != nullptr) record(block, step);
  }

 private:
  using clock = std::chrono::steady_clock;

  void record(int block, const char* step) {
    const clock::time_point now = clock::now();
    to_->push_back({block, step, std::chrono::duration<double>(now - last_).count()});
    last_ = now;
  }

  std::vector<step_time>* to_ = nullptr;
  clock::time_point last_;
};

}  // namespace effnet
