// SPDX-License-Identifier: Apache-2.0
// Resize, crop and normalise in one walk down the source. Bands of source rows are resampled
// horizontally into a sliding window of 8-bit rows; as soon as the window holds the rows of an output
// row, that row is resampled vertically and normalised into its place. Only what the crop shows is
// computed, and the scratch does not grow with the height of the source beyond one output row's reach.
#include "image/prepare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "image/resample.h"
#include "image/scratch.h"

namespace effnet {

namespace {

// Rows that are resampled horizontally together. A band is turned so that the pixels of one column
// lie side by side, and the loop over the taps works on 3 * kBand bytes at a time.
constexpr int kBand = 16;
constexpr int kColumn = 3 * kBand;

// Sides that the resize may have before the crop: beyond this a crop fraction makes no sense.
constexpr double kMaxResizedSide = 1 << 24;

// Offsets of red, green and blue inside a pixel of `bytes` bytes.
struct pixel_shape {
  int bytes, r, g, b;
};

pixel_shape shape_of(pixel_format format) {
  switch (format) {
    case pixel_format::rgba: return {4, 0, 1, 2};
    case pixel_format::bgra: return {4, 2, 1, 0};
    case pixel_format::gray: return {1, 0, 0, 0};
    case pixel_format::rgb: break;
  }
  return {3, 0, 1, 2};
}

// Calls body(bytes, r, g, b) with compile-time constants, so that its loops are specialised.
template <int Bytes, int R, int G, int B>
struct fixed_shape {
  static constexpr int bytes = Bytes, r = R, g = G, b = B;
};
template <class Body>
void with_shape(pixel_format format, Body body) {
  switch (format) {
    case pixel_format::rgb: return body(fixed_shape<3, 0, 1, 2>());
    case pixel_format::rgba: return body(fixed_shape<4, 0, 1, 2>());
    case pixel_format::bgra: return body(fixed_shape<4, 2, 1, 0>());
    case pixel_format::gray: return body(fixed_shape<1, 0, 0, 0>());
  }
}

status invalid(std::string message) { return status::error(status_code::invalid_argument, std::move(message)); }

std::string size_text(int64_t width, int64_t height) { return std::to_string(width) + " x " + std::to_string(height); }

status check(const pixels& src, const recipe& how) {
  if (src.data == nullptr || src.width < 1 || src.height < 1 || src.width > kMaxSourceSide || src.height > kMaxSourceSide) {
    return invalid("Expected an image with sides of 1 to " + std::to_string(kMaxSourceSide) + " pixels but received " +
                   size_text(src.width, src.height));
  }
  const size_t row = static_cast<size_t>(src.width) * static_cast<size_t>(shape_of(src.format).bytes);
  if (src.stride < row || src.stride > static_cast<size_t>(PTRDIFF_MAX) / static_cast<size_t>(src.height)) {
    return invalid("Expected a stride of at least " + std::to_string(row) + " bytes but received " + std::to_string(src.stride));
  }
  if (!(how.crop_fraction > 0.0 && how.crop_fraction <= 1.0) ||
      std::max(how.height, how.width) / how.crop_fraction > kMaxResizedSide) {
    return invalid("Expected a crop fraction above 0 and at most 1 but received " + std::to_string(how.crop_fraction));
  }
  for (int c = 0; c < 3; ++c) {
    if (!std::isfinite(how.mean[c]) || !std::isfinite(how.std[c]) || how.std[c] == 0.0f) {
      return invalid("Expected finite numbers for mean and std, std not 0, but received " + std::to_string(how.mean[c]) +
                     " and " + std::to_string(how.std[c]));
    }
  }
  return status::success();
}

struct geometry {
  axis x, y;
};

// torchvision's center_crop rounds half to even, as the default rounding mode does.
int64_t crop_offset(int64_t resized, int cropped) {
  return static_cast<int64_t>(std::nearbyint(static_cast<double>(resized - cropped) / 2.0));
}

// Sizes and offsets as timm and torchvision compute them. Since the crop fraction is at most 1, the
// resized image is never smaller than the crop, and nothing needs to be padded.
geometry place(const pixels& src, const recipe& how) {
  int64_t height = how.height, width = how.width;
  if (!how.squash) {
    const int64_t target_h = static_cast<int64_t>(std::floor(how.height / how.crop_fraction));
    const int64_t target_w = static_cast<int64_t>(std::floor(how.width / how.crop_fraction));
    if (target_h == target_w) {
      // torchvision's Resize to one number: the short side is met, the long side is truncated.
      const int64_t shorter = std::min(src.width, src.height), longer = std::max(src.width, src.height);
      const int64_t other = static_cast<int64_t>(static_cast<double>(target_h * longer) / static_cast<double>(shorter));
      width = src.width <= src.height ? target_h : other;
      height = src.width <= src.height ? other : target_h;
    } else {
      // timm's ResizeKeepRatio: the side that needs the larger scale is met, the other is rounded.
      const double ratio = std::min(src.height / static_cast<double>(target_h), src.width / static_cast<double>(target_w));
      height = static_cast<int64_t>(std::nearbyint(src.height / ratio));
      width = static_cast<int64_t>(std::nearbyint(src.width / ratio));
    }
  }
  geometry g;
  g.x = {src.width, width, crop_offset(width, how.width), how.width};
  g.y = {src.height, height, crop_offset(height, how.height), how.height};
  return g;
}

// The resize of one axis where there may be none: then each position is its own single tap.
struct pass {
  const axis* a;
  const tap_plan* plan;  // null without a resize

  int begin(int i) const { return plan ? plan->at(i).first : static_cast<int>(a->first) + i; }
  int end(int i) const { return plan ? plan->at(i).end() : static_cast<int>(a->first) + i + 1; }
  int begin() const { return begin(0); }
  int end() const { return end(a->count - 1); }
  int longest() const { return plan ? plan->longest() : 1; }
};

status no_memory() {
  return status::error(status_code::out_of_memory, "Not enough memory to resize the image; use a smaller image");
}

}  // namespace

struct image_preparer::impl {
  // Normalised value of each byte: (v / 255 - mean) / std in single precision, as PyTorch rounds it.
  float normalised[3][256];

  tap_plan taps_x, taps_y;
  lerp_plan lerps_x, lerps_y;
  scratch<uint8_t> band;     // [columns][kBand][3], of one band of source rows
  scratch<uint8_t> column;   // [kBand][3], resampled
  scratch<uint8_t> window;   // RGB rows of the crop's width, resampled horizontally
  scratch<uint8_t> line;     // one RGB row, resampled vertically
  scratch<float> lerp_rows;  // two rows, resampled horizontally without antialias

  void make_table(const recipe& how);
  void normalise(const uint8_t* rgb, int width, float* dst) const;
  void turn(const pixels& src, int top, int rows, int left, int columns);
  void fill(const pixels& src, const pass& x, int top, int rows, uint8_t* dst, size_t pitch);
  status antialiased(const pixels& src, const geometry& g, interpolation filter, input_image* dst);
  status plain(const pixels& src, const geometry& g, const recipe& how, input_image* dst);
};

void image_preparer::impl::make_table(const recipe& how) {
  for (int c = 0; c < 3; ++c) {
    for (int v = 0; v < 256; ++v) normalised[c][v] = (static_cast<float>(v) / 255.0f - how.mean[c]) / how.std[c];
  }
}

void image_preparer::impl::normalise(const uint8_t* rgb, int width, float* dst) const {
  for (int x = 0; x < width; ++x) {
    for (int c = 0; c < 3; ++c) dst[3 * x + c] = normalised[c][rgb[3 * x + c]];
  }
}

// Source rows top .. top + rows - 1, columns left .. left + columns - 1, to `band`.
void image_preparer::impl::turn(const pixels& src, int top, int rows, int left, int columns) {
  with_shape(src.format, [&](auto shape) {
    for (int r = 0; r < rows; ++r) {
      const uint8_t* p = src.data + static_cast<size_t>(top + r) * src.stride + static_cast<size_t>(left) * shape.bytes;
      uint8_t* out = band.data() + 3 * r;
      for (int x = 0; x < columns; ++x, p += shape.bytes, out += kColumn) {
        out[0] = p[shape.r];
        out[1] = p[shape.g];
        out[2] = p[shape.b];
      }
    }
  });
}

// At most kBand source rows, resampled horizontally, to RGB rows `pitch` bytes apart.
void image_preparer::impl::fill(const pixels& src, const pass& x, int top, int rows, uint8_t* dst, size_t pitch) {
  const int count = x.a->count, left = x.begin();
  if (x.plan == nullptr) {
    with_shape(src.format, [&](auto shape) {
      for (int r = 0; r < rows; ++r) {
        const uint8_t* p = src.data + static_cast<size_t>(top + r) * src.stride + static_cast<size_t>(left) * shape.bytes;
        uint8_t* out = dst + static_cast<size_t>(r) * pitch;
        for (int i = 0; i < count; ++i, p += shape.bytes, out += 3) {
          out[0] = p[shape.r];
          out[1] = p[shape.g];
          out[2] = p[shape.b];
        }
      }
    });
    return;
  }
  turn(src, top, rows, left, x.end() - left);
  for (int i = 0; i < count; ++i) {
    const tap_run run = x.plan->at(i);
    const uint8_t* from = band.data() + static_cast<size_t>(run.first - left) * kColumn;
    // Also where the band has fewer rows: a constant length is faster, and nobody looks at the rest.
    weighted_sum(from, kColumn, run, kColumn, column.data());
    for (int r = 0; r < rows; ++r) std::memcpy(dst + static_cast<size_t>(r) * pitch + 3 * i, column.data() + 3 * r, 3);
  }
}

status image_preparer::impl::antialiased(const pixels& src, const geometry& g, interpolation filter, input_image* dst) {
  if (g.x.resizes()) {
    if (status s = taps_x.make(g.x, filter); !s.ok()) return s;
  }
  if (g.y.resizes()) {
    if (status s = taps_y.make(g.y, filter); !s.ok()) return s;
  }
  const pass x{&g.x, g.x.resizes() ? &taps_x : nullptr}, y{&g.y, g.y.resizes() ? &taps_y : nullptr};

  // The window slides by moving what is still needed to its start; twice the longest reach, or a few
  // bands more, keeps those moves rare.
  const size_t pitch = static_cast<size_t>(3 * g.x.count);
  const int capacity = std::min(y.end() - y.begin(), 2 * y.longest() + 4 * kBand);
  if (!band.reserve(x.plan ? static_cast<size_t>(x.end() - x.begin()) * kColumn : 0) || !column.reserve(kColumn) ||
      !window.reserve(pitch * static_cast<size_t>(capacity)) || !line.reserve(pitch)) {
    return no_memory();
  }

  int kept = y.begin(), filled = y.begin();  // source rows [kept, filled) are in the window
  const auto row_of = [&](int source) { return window.data() + static_cast<size_t>(source - kept) * pitch; };
  for (int i = 0; i < g.y.count; ++i) {
    while (filled < y.end(i)) {
      const int rows = std::min(kBand, y.end() - filled);
      if (filled + rows - kept > capacity) {
        const int needed = std::min(y.begin(i), filled);
        std::memmove(window.data(), row_of(needed), static_cast<size_t>(filled - needed) * pitch);
        kept = needed;
      }
      fill(src, x, filled, rows, row_of(filled), pitch);
      filled += rows;
    }
    const uint8_t* rgb = row_of(y.begin(i));
    if (y.plan != nullptr) {
      weighted_sum(rgb, static_cast<ptrdiff_t>(pitch), y.plan->at(i), static_cast<int>(pitch), line.data());
      rgb = line.data();
    }
    normalise(rgb, g.x.count, dst->row(i));
  }
  return status::success();
}

status image_preparer::impl::plain(const pixels& src, const geometry& g, const recipe& how, input_image* dst) {
  if (status s = lerps_x.make(g.x); !s.ok()) return s;
  if (status s = lerps_y.make(g.y); !s.ok()) return s;
  const int count = g.x.count, floats = 3 * count;
  if (!lerp_rows.reserve(2 * static_cast<size_t>(floats))) return no_memory();

  // Two neighbouring source rows, each at the place of its parity, and reused by the next output row.
  int held[2] = {-1, -1};
  const pixel_shape shape = shape_of(src.format);
  const int offsets[3] = {shape.r, shape.g, shape.b};
  const auto row_of = [&](int source) {
    float* row = lerp_rows.data() + (source & 1) * static_cast<size_t>(floats);
    if (held[source & 1] == source) return row;
    held[source & 1] = source;
    const uint8_t* p = src.data + static_cast<size_t>(source) * src.stride;
    for (int i = 0; i < count; ++i) {
      const lerp& at = lerps_x.at(i);
      for (int c = 0; c < 3; ++c) {
        const float lower = p[static_cast<size_t>(at.lower) * shape.bytes + offsets[c]];
        const float upper = p[static_cast<size_t>(at.upper) * shape.bytes + offsets[c]];
        row[3 * i + c] = lower + (upper - lower) * at.fraction;
      }
    }
    return row;
  };

  for (int i = 0; i < g.y.count; ++i) {
    const lerp& at = lerps_y.at(i);
    const float *lower = row_of(at.lower), *upper = row_of(at.upper);
    float* out = dst->row(i);
    for (int j = 0; j < count; ++j) {
      for (int c = 0; c < 3; ++c) {
        const float value = lower[3 * j + c] + (upper[3 * j + c] - lower[3 * j + c]) * at.fraction;
        out[3 * j + c] = (value / 255.0f - how.mean[c]) / how.std[c];
      }
    }
  }
  return status::success();
}

image_preparer::image_preparer() : impl_(new (std::nothrow) impl()) {}
image_preparer::~image_preparer() = default;

status image_preparer::prepare(const pixels& src, const recipe& how, input_image* dst) {
  if (impl_ == nullptr) return no_memory();
  if (status s = check(src, how); !s.ok()) return s;
  if (status s = dst->resize(how.height, how.width); !s.ok()) return s;
  const geometry g = place(src, how);
  if (how.filter == interpolation::bilinear_plain) return impl_->plain(src, g, how, dst);
  impl_->make_table(how);
  return impl_->antialiased(src, g, how.filter, dst);
}

}  // namespace effnet
