// SPDX-License-Identifier: Apache-2.0
// The image that the stem reads: float rows inside a border of zeros.
#include "engine/model.h"

#include <cstring>
#include <new>

#include "base/buffer.h"

namespace effnet {

struct input_image::storage {
  aligned_buffer floats;
};

input_image::input_image() = default;
input_image::~input_image() = default;

status input_image::resize(int height, int width) {
  if (height < 1 || width < 1 || height > kMaxSide || width > kMaxSide) {
    return status::error(status_code::invalid_argument, "Expected height and width to be 1 to " + std::to_string(kMaxSide) +
                                                            " but received " + std::to_string(height) + " x " +
                                                            std::to_string(width));
  }
  if (height == height_ && width == width_) return status::success();
  if (storage_ == nullptr) {
    storage_.reset(new (std::nothrow) storage());
    if (storage_ == nullptr) return status::error(status_code::out_of_memory, "Not enough memory for an image");
  }
  const ptrdiff_t stride = 3 * ptrdiff_t(width + 2 * kBorder);
  const size_t needed = size_t(stride) * size_t(height + 2 * kBorder);
  if (needed > storage_->floats.size()) {
    height_ = width_ = 0;
    if (status s = storage_->floats.resize(needed); !s.ok()) return s;
  } else {
    std::memset(storage_->floats.data(), 0, needed * sizeof(float));
  }
  height_ = height;
  width_ = width;
  row_stride_ = stride;
  return status::success();
}

const float* input_image::row(int y) const { return storage_->floats.data() + (y + kBorder) * row_stride_ + 3 * kBorder; }
float* input_image::row(int y) { return storage_->floats.data() + (y + kBorder) * row_stride_ + 3 * kBorder; }

}  // namespace effnet
