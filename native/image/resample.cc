// SPDX-License-Identifier: Apache-2.0
// Weights of the resize filters. The arithmetic follows Pillow's 8-bit resampling: double-precision
// weights normalised to sum 1, rounded to 22 bits; the kernel adds in integers, rounds and clips once a pass.
#include "image/resample.h"

#include <algorithm>
#include <cmath>

namespace effnet {

namespace {

constexpr double kPi = 3.14159265358979323846;

double triangle(double x) {
  x = std::fabs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

double sinc(double x) { return x == 0.0 ? 1.0 : std::sin(x * kPi) / (x * kPi); }

double lanczos(double x) { return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0; }

// A raised cosine over one lobe; Pillow writes its two constants in single precision.
double hamming(double x) {
  x = std::fabs(x);
  return x < 1.0 ? sinc(x) * (double(0.54f) + double(0.46f) * std::cos(x * kPi)) : 0.0;
}

// Keys' cubic with a = -0.5.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

struct filter_shape {
  double (*weight)(double);
  double support;  // half its width, in source pixels where nothing shrinks
};

filter_shape shape_of(interpolation filter) {
  switch (filter) {
    case interpolation::bicubic: return {cubic, 2.0};
    case interpolation::lanczos: return {lanczos, 3.0};
    case interpolation::box: return {box, 0.5};
    case interpolation::hamming: return {hamming, 1.0};
    default: return {triangle, 1.0};
  }
}

int32_t to_fixed(double weight) {
  const double scaled = weight * (1 << kResampleBits);
  return static_cast<int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

status no_memory() {
  return status::error(status_code::out_of_memory, "Not enough memory for the weights of the resize; use a smaller image");
}

}  // namespace

status tap_plan::make(const axis& a, interpolation filter) {
  if (a == axis_ && filter == filter_) return status::success();
  axis_ = axis();  // until the plan is whole
  if (status s = filter == interpolation::nearest ? make_nearest(a) : make_filtered(a, filter); !s.ok()) return s;
  axis_ = a;
  filter_ = filter;
  return status::success();
}

status tap_plan::make_nearest(const axis& a) {
  const size_t count = static_cast<size_t>(a.count);
  if (!runs_.reserve(count) || !weights_.reserve(count)) return no_memory();
  pitch_ = 1;
  longest_ = 1;
  // Pillow adds the step up instead of multiplying, and so do we: the last bit may choose the pixel.
  const double step = static_cast<double>(a.source) / static_cast<double>(a.resized);
  double at = step * 0.5;
  for (int64_t i = 0; i < a.first; ++i) at += step;
  for (int i = 0; i < a.count; ++i, at += step) {
    runs_.data()[i] = {std::min(static_cast<int>(at), a.source - 1), 1};
    weights_.data()[i] = 1 << kResampleBits;
  }
  return status::success();
}

status tap_plan::make_filtered(const axis& a, interpolation filter) {
  const filter_shape shape = shape_of(filter);
  const double scale = static_cast<double>(a.source) / static_cast<double>(a.resized);
  // Shrinking stretches the filter over the source pixels that an output pixel covers.
  const double stretch = std::max(scale, 1.0);
  const double support = shape.support * stretch;

  pitch_ = std::min(static_cast<size_t>(std::ceil(support)) * 2 + 1, static_cast<size_t>(a.source));
  const size_t count = static_cast<size_t>(a.count);
  if (!runs_.reserve(count) || !weights_.reserve(count * pitch_) || !exact_.reserve(pitch_)) return no_memory();

  longest_ = 0;
  for (int i = 0; i < a.count; ++i) {
    const double centre = (static_cast<double>(a.first + i) + 0.5) * scale;
    const int begin = std::max(static_cast<int>(centre - support + 0.5), 0);
    const int end = std::min(static_cast<int>(centre + support + 0.5), a.source);
    double total = 0.0;
    for (int k = begin; k < end; ++k) {
      const double weight = shape.weight((k - centre + 0.5) * (1.0 / stretch));
      exact_.data()[k - begin] = weight;
      total += weight;
    }
    int32_t* weights = weights_.data() + static_cast<size_t>(i) * pitch_;
    for (int k = 0; k < end - begin; ++k) {
      weights[k] = to_fixed(total == 0.0 ? exact_.data()[k] : exact_.data()[k] / total);
    }
    runs_.data()[i] = {begin, end - begin};
    longest_ = std::max(longest_, end - begin);
  }
  return status::success();
}

resample_args tap_plan::args() const {
  resample_args r;
  r.runs = runs_.data();
  r.weights = weights_.data();
  r.weight_pitch = static_cast<ptrdiff_t>(pitch_);
  return r;
}

status lerp_plan::make(const axis& a) {
  if (a == axis_) return status::success();
  axis_ = axis();
  if (!lerps_.reserve(static_cast<size_t>(a.count))) return no_memory();
  // Single precision throughout, as TensorFlow and PyTorch compute the coordinates.
  const float scale = static_cast<float>(a.source) / static_cast<float>(a.resized);
  const int last = a.source - 1;
  for (int i = 0; i < a.count; ++i) {
    const float at = std::max((static_cast<float>(a.first + i) + 0.5f) * scale - 0.5f, 0.0f);
    const int lower = static_cast<int>(std::min(std::floor(at), static_cast<float>(last)));
    lerps_.data()[i] = {lower, std::min(lower + 1, last), lower == last ? 0.0f : at - static_cast<float>(lower)};
  }
  axis_ = a;
  return status::success();
}

}  // namespace effnet
