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

#include "image/band.h"
#include "image/resample.h"
#include "image/scratch.h"

namespace effnet {

namespace {

// Sides that the resize may have before the crop: beyond this a crop fraction makes no sense.
constexpr double kMaxResizedSide = 1 << 24;

status invalid(std::string message) { return status::error(status_code::invalid_argument, std::move(message)); }

std::string size_text(int64_t width, int64_t height) { return std::to_string(width) + " x " + std::to_string(height); }

status check(const pixels& src, const recipe& how) {
  if (src.data == nullptr || src.width < 1 || src.height < 1 || src.width > kMaxSourceSide || src.height > kMaxSourceSide) {
    return invalid("Expected an image with sides of 1 to " + std::to_string(kMaxSourceSide) + " pixels but received " +
                   size_text(src.width, src.height));
  }
  const size_t row = static_cast<size_t>(src.width) * static_cast<size_t>(bytes_per_pixel(src.format));
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
  const int64_t target_h = static_cast<int64_t>(std::floor(how.height / how.crop_fraction));
  const int64_t target_w = static_cast<int64_t>(std::floor(how.width / how.crop_fraction));
  int64_t height = target_h, width = target_w;
  if (!how.squash) {
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
  const kernel_table& table;
  // Normalised value of each byte: (v / 255 - mean) / std in single precision, as PyTorch rounds it.
  float normalised[3][256];

  tap_plan taps_x, taps_y;
  lerp_plan lerps_x, lerps_y;
  scratch<uint8_t> band;     // of source rows, turned
  scratch<uint8_t> columns;  // the same resampled: [output columns][kBandRows][3]
  scratch<uint8_t> window;   // RGB rows of the crop's width, resampled horizontally
  scratch<uint8_t> line;     // one RGB row, resampled vertically
  scratch<float> lerp_rows;  // two rows, resampled horizontally without antialias; means; deviations

  explicit impl(const kernel_table& t) : table(t) {}
  void make_table(const recipe& how);
  void normalise(const uint8_t* rgb, int width, float* dst) const;
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

// At most kBandRows source rows, resampled horizontally, to RGB rows `pitch` bytes apart.
void image_preparer::impl::fill(const pixels& src, const pass& x, int top, int rows, uint8_t* dst, size_t pitch) {
  const int count = x.a->count, left = x.begin();
  if (x.plan == nullptr) return copy_rows(src, top, rows, left, count, dst, pitch);
  turn_rows(src, top, rows, left, x.end() - left, band.data());
  resample_args r = x.plan->args();
  r.src = band.data();
  r.src_step = r.dst_step = r.bytes = kResampleBytes;
  r.src_first = left;
  r.dst = columns.data();
  r.end = count;
  table.resample.fn(r);
  turn_back(columns.data(), count, rows, dst, pitch);
}

status image_preparer::impl::antialiased(const pixels& src, const geometry& g, interpolation filter, input_image* dst) {
  if (g.x.resizes()) {
    if (status s = taps_x.make(g.x, filter); !s.ok()) return s;
  }
  if (g.y.resizes()) {
    if (status s = taps_y.make(g.y, filter); !s.ok()) return s;
  }
  const pass x{&g.x, g.x.resizes() ? &taps_x : nullptr}, y{&g.y, g.y.resizes() ? &taps_y : nullptr};

  // Rows are as long as the kernel wants them; nobody looks at what follows their pixels. The window
  // slides by moving what is still needed to its start; twice the longest reach, or a few bands more,
  // keeps those moves rare.
  const size_t rgb_bytes = static_cast<size_t>(3 * g.x.count);
  const size_t pitch = (rgb_bytes + kResampleBytes - 1) / kResampleBytes * kResampleBytes;
  const int capacity = std::min(y.end() - y.begin(), 2 * y.longest() + 4 * kBandRows);
  if (!band.reserve(x.plan ? static_cast<size_t>(x.end() - x.begin()) * kResampleBytes : 0) ||
      !columns.reserve(x.plan ? static_cast<size_t>(g.x.count) * kResampleBytes : 0) ||
      !window.reserve(pitch * static_cast<size_t>(capacity)) || !line.reserve(pitch)) {
    return no_memory();
  }

  resample_args r;
  if (y.plan != nullptr) r = y.plan->args();
  r.src = window.data();
  r.src_step = static_cast<ptrdiff_t>(pitch);
  r.dst = line.data();
  r.bytes = static_cast<int>(pitch);
  int kept = y.begin(), filled = y.begin();  // source rows [kept, filled) are in the window
  const auto row_of = [&](int source) { return window.data() + static_cast<size_t>(source - kept) * pitch; };
  for (int i = 0; i < g.y.count; ++i) {
    while (filled < y.end(i)) {
      const int rows = std::min(kBandRows, y.end() - filled);
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
      r.src_first = kept;
      r.begin = i;
      r.end = i + 1;
      table.resample.fn(r);
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
  if (!lerp_rows.reserve(4 * static_cast<size_t>(floats))) return no_memory();
  float *means = lerp_rows.data() + 2 * floats, *deviations = means + floats;
  for (int j = 0; j < floats; ++j) {
    means[j] = how.mean[j % 3];
    deviations[j] = how.std[j % 3];
  }

  // Two neighbouring source rows, each at the place of its parity, and reused by the next output row.
  int held[2] = {-1, -1};
  const int bytes = bytes_per_pixel(src.format);
  const bool swapped = src.format == pixel_format::bgra;
  const int offsets[3] = {swapped ? 2 : 0, bytes == 1 ? 0 : 1, bytes == 1 || swapped ? 0 : 2};
  const auto row_of = [&](int source) {
    float* row = lerp_rows.data() + (source & 1) * static_cast<size_t>(floats);
    if (held[source & 1] == source) return row;
    held[source & 1] = source;
    const uint8_t* p = src.data + static_cast<size_t>(source) * src.stride;
    for (int i = 0; i < count; ++i) {
      const lerp& at = lerps_x.at(i);
      for (int c = 0; c < 3; ++c) {
        const float lower = p[static_cast<size_t>(at.lower) * bytes + offsets[c]];
        const float upper = p[static_cast<size_t>(at.upper) * bytes + offsets[c]];
        row[3 * i + c] = lower + (upper - lower) * at.fraction;
      }
    }
    return row;
  };

  for (int i = 0; i < g.y.count; ++i) {
    const lerp& at = lerps_y.at(i);
    const float *lower = row_of(at.lower), *upper = row_of(at.upper);
    float* out = dst->row(i);
    // Means and deviations repeated along a row make this a loop that compilers turn into vectors: a
    // 451 x 300 image takes 0.26 ms on Zen 4, with a loop over three channels inside 0.44.
    for (int j = 0; j < floats; ++j) {
      const float value = lower[j] + (upper[j] - lower[j]) * at.fraction;
      out[j] = (value / 255.0f - means[j]) / deviations[j];
    }
  }
  return status::success();
}

image_preparer::image_preparer(const kernel_table& table) : impl_(new (std::nothrow) impl(table)) {}
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
