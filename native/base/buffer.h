// SPDX-License-Identifier: Apache-2.0
// Owning buffer of floats, aligned for vectors; large ones are aligned to 2 MB and offered to the
// system as huge pages. Contents are zero after resize. Never throws.
#pragma once

#include <cstddef>

#include "base/status.h"

namespace effnet {

class aligned_buffer {
 public:
  aligned_buffer() = default;
  ~aligned_buffer() { release(); }
  aligned_buffer(aligned_buffer&& other) noexcept : data_(other.data_), size_(other.size_) {
    other.data_ = nullptr;
    other.size_ = 0;
  }
  aligned_buffer& operator=(aligned_buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  aligned_buffer(const aligned_buffer&) = delete;
  aligned_buffer& operator=(const aligned_buffer&) = delete;

  // Replaces the contents by `floats` zeros. On out_of_memory the buffer is empty.
  status resize(size_t floats);
  float* data() { return data_; }
  const float* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void release();
  float* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace effnet
