// SPDX-License-Identifier: Apache-2.0
// From decoded 8-bit pixels to the stem's input: resize, crop and normalise, straight into the
// bordered image. No decoding here, and nothing of Node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/status.h"
#include "engine/model.h"
#include "kernels/kernels.h"

namespace effnet {

enum class pixel_format : uint8_t { rgb, rgba, bgra, gray };  // alpha is ignored

struct pixels {
  const uint8_t* data = nullptr;
  int width = 0, height = 0;
  pixel_format format = pixel_format::rgb;
  size_t stride = 0;  // bytes from one row to the next
};

enum class interpolation : uint8_t {
  // Pillow's, byte for byte: antialiased, the horizontal pass first, 8 bits after each pass. (From 12.2
  // on Pillow itself takes the vertical pass first for some tall images; published results are older.)
  bicubic,   // a = -0.5
  bilinear,
  bilinear_plain,  // TensorFlow's resize: half-pixel centres, no antialias, float result
  // Pillow's again. `nearest` takes one pixel for each, also where the image shrinks.
  nearest,
  lanczos,
  box,
  hamming,
};

struct recipe {
  int height = 224, width = 224;  // of the network's input
  // Centre crop: resize the short side to floor(size / crop_fraction), keep the aspect, cut the centre.
  // Where height and width differ, the image is resized to just cover floor(height / crop_fraction) by
  // floor(width / crop_fraction), as timm does.
  // squash: resize both sides to floor(size / crop_fraction), the aspect lost, and cut the centre.
  bool squash = false;
  double crop_fraction = 0.875;  // above 0, at most 1
  interpolation filter = interpolation::bicubic;
  float mean[3] = {0.485f, 0.456f, 0.406f};  // of x / 255, RGB
  float std[3] = {0.229f, 0.224f, 0.225f};
};

// Scratch that is kept between images, so that a second image of the same size allocates nothing.
class image_preparer {
 public:
  explicit image_preparer(const kernel_table& table);
  ~image_preparer();
  // Resizes `dst` to the recipe's size and fills it with (x / 255 - mean) / std. Sides of the source
  // are at most 2^20; (height - 1) * stride + width * bytes per pixel bytes of it are read.
  status prepare(const pixels& src, const recipe& how, input_image* dst);

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace effnet
