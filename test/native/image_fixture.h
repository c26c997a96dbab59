// SPDX-License-Identifier: Apache-2.0
// What the tests of image preparation share: sources between guard pages, the patterns of
// make_image_golden.py, and looks at a prepared image.
#pragma once

#include <cstring>
#include <vector>

#include "engine/model.h"
#include "guarded.h"
#include "image/band.h"
#include "image/prepare.h"
#include "image/resample.h"

namespace effnet {
namespace test {

constexpr const char* kFormatNames[] = {"rgb", "rgba", "bgra", "gray"};

// The patterns of make_image_golden.py.
inline uint32_t mix(uint32_t x, uint32_t y, uint32_t c) {
  uint32_t h = x * 0x9E3779B1u ^ y * 0x85EBCA77u ^ c * 0xC2B2AE3Du;
  h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
  h = (h ^ (h >> 12)) * 0x297A2D39u;
  return h ^ (h >> 15);
}

inline uint8_t sample(int pattern, uint32_t x, uint32_t y, uint32_t c) {
  if (c == 3) return uint8_t(mix(x, y, c) >> 16);
  switch (pattern) {
    case 0: return uint8_t(mix(x, y, c) >> 24);
    case 1: return y % 7 == 3 ? 0 : uint8_t((mix(x / 2, y / 3, 5) & 1) * 255);
    case 2: return uint8_t(((x + y + c) & 1) * 255);
    default: return uint8_t(x * 3 + y * 5 + c * 40);
  }
}

// A source image whose last byte, or first, touches an inaccessible page.
class guarded_image {
 public:
  guarded_image(int width, int height, pixel_format format, size_t gap, edge where) {
    const int bytes = bytes_per_pixel(format);
    image_.width = width;
    image_.height = height;
    image_.format = format;
    image_.stride = size_t(width) * bytes + gap;
    const size_t size = image_.stride * size_t(height - 1) + size_t(width) * bytes;
    const size_t page = guarded_pages::page_size();
    pages_ = (size + page - 1) / page;
    base_ = static_cast<uint8_t*>(guarded_pages::take(pages_));
    data_ = base_ + (where == edge::end ? pages_ * page - size : 0);
    image_.data = data_;
    std::memset(data_, 0xa5, size);
  }
  ~guarded_image() { guarded_pages::give_back(base_, pages_); }
  guarded_image(const guarded_image&) = delete;
  guarded_image& operator=(const guarded_image&) = delete;

  // sample(x, y, c) is red, green, blue or alpha for c of 0 to 3; of gray, c is 0.
  template <class Sample>
  void fill(Sample sample) {
    static constexpr int kOrder[4][4] = {{0, 1, 2, 3}, {0, 1, 2, 3}, {2, 1, 0, 3}, {0, 0, 0, 0}};
    const int bytes = bytes_per_pixel(image_.format);
    for (int y = 0; y < image_.height; ++y)
      for (int x = 0; x < image_.width; ++x)
        for (int c = 0; c < bytes; ++c)
          data_[size_t(y) * image_.stride + size_t(x) * bytes + c] = sample(x, y, kOrder[int(image_.format)][c]);
  }
  void fill_pattern(int pattern) {
    fill([=](int x, int y, int c) { return sample(pattern, uint32_t(x), uint32_t(y), uint32_t(c)); });
  }
  const pixels& get() const { return image_; }

 private:
  pixels image_;
  uint8_t *base_, *data_;
  size_t pages_;
};

// Without normalisation: pixels become x / 255.
inline recipe unit_recipe(int height, int width, interpolation filter, bool squash, double crop) {
  recipe r;
  r.height = height;
  r.width = width;
  r.filter = filter;
  r.squash = squash;
  r.crop_fraction = crop;
  for (int c = 0; c < 3; ++c) {
    r.mean[c] = 0.0f;
    r.std[c] = 1.0f;
  }
  return r;
}

inline bool border_is_zero(const input_image& image) {
  const int b = input_image::kBorder;
  for (int y = -b; y < image.height() + b; ++y)
    for (int i = -3 * b; i < 3 * (image.width() + b); ++i) {
      const bool inside = y >= 0 && y < image.height() && i >= 0 && i < 3 * image.width();
      if (!inside && image.row(0)[y * image.row_stride() + i] != 0.0f) return false;
    }
  return true;
}

inline bool same_image(const input_image& a, const input_image& b) {
  for (int y = 0; y < a.height(); ++y)
    if (std::memcmp(a.row(y), b.row(y), size_t(a.width()) * 3 * sizeof(float)) != 0) return false;
  return a.height() == b.height() && a.width() == b.width();
}

}  // namespace test
}  // namespace effnet
