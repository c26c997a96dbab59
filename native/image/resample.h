// SPDX-License-Identifier: Apache-2.0
// One axis of a resize: which source positions make an output position, and with what weights.
// The weights of its filters are those of Pillow's 8-bit resize, so that its bytes are reproduced exactly;
// plain ones those of TensorFlow's half-pixel bilinear resize. No pixel formats and no images here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "image/prepare.h"
#include "image/scratch.h"
#include "kernels/kernels.h"

namespace effnet {

// Longest side of a source image; with it, weights and offsets stay far inside 32 and 64 bits.
constexpr int kMaxSourceSide = 1 << 20;

// Positions first .. first + count - 1 of an axis resized from `source` to `resized` positions.
struct axis {
  int source = 0;
  int64_t resized = 0;
  int64_t first = 0;
  int count = 0;

  bool resizes() const { return resized != source; }
  bool operator==(const axis& other) const {
    return source == other.source && resized == other.resized && first == other.first && count == other.count;
  }
};

// Weights of Pillow's filters in 22-bit fixed point; of `nearest` one of 1.
class tap_plan {
 public:
  // Nothing is computed again for the axis and filter of the last call. The axis does resize.
  status make(const axis& a, interpolation filter);  // not bilinear_plain

  const tap_run& at(int i) const { return runs_.data()[i]; }
  // Runs and weights, for the kernel.
  resample_args args() const;
  // Longest of the runs.
  int longest() const { return longest_; }

 private:
  status make_nearest(const axis& a);
  status make_filtered(const axis& a, interpolation filter);

  axis axis_;
  interpolation filter_ = interpolation::bicubic;
  size_t pitch_ = 0;
  int longest_ = 0;
  scratch<tap_run> runs_;
  scratch<int32_t> weights_;
  scratch<double> exact_;  // the weights of one run before rounding
};

// Half-pixel bilinear: value = lower + (upper - lower) * fraction.
struct lerp {
  int lower, upper;
  float fraction;
};

class lerp_plan {
 public:
  status make(const axis& a);
  const lerp& at(int i) const { return lerps_.data()[i]; }

 private:
  axis axis_;
  scratch<lerp> lerps_;
};

}  // namespace effnet
