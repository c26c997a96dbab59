// SPDX-License-Identifier: Apache-2.0
// Memory that grows and is kept between images: plain elements, no constructors, nothing thrown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace effnet {

template <class T>
class scratch {
 public:
  // Room for n elements. Growing zeroes them; what was there before is lost. False when the memory
  // is not to be had; the old contents are gone then too.
  bool reserve(size_t n) {
    if (n <= size_) return true;
    data_.reset();
    size_ = 0;
    if (n > static_cast<size_t>(PTRDIFF_MAX) / sizeof(T)) return false;
    data_.reset(new (std::nothrow) T[n]());
    if (data_ == nullptr) return false;
    size_ = n;
    return true;
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }

 private:
  std::unique_ptr<T[]> data_;
  size_t size_ = 0;
};

}  // namespace effnet
