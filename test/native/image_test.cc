// SPDX-License-Identifier: Apache-2.0
// Image preparation: byte for byte against Pillow and within rounding against PyTorch (from
// test/golden/image.bin, see make_image_golden.py), formats, limits, memory, and no access outside
// the source, which lies between guard pages. Run from the repository root, or with that file's path.
//
// Alone: g++ -std=c++17 -O2 -Inative test/native/image_test.cc native/image/*.cc
//        native/engine/input_image.cc native/base/buffer.cc
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "engine/model.h"
#include "guarded.h"
#include "image/prepare.h"
#include "image/resample.h"

// Every allocation through operator new is counted; of those that may return null, the one that
// finds `allocations_left` at zero does so. Not inlined, or GCC sees malloc and delete paired.
static long long allocations = 0, allocations_left = -1;

__attribute__((noinline)) void* operator new(size_t bytes) {
  ++allocations;
  void* p = std::malloc(bytes ? bytes : 1);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
void* operator new[](size_t bytes) { return operator new(bytes); }
__attribute__((noinline)) void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  ++allocations;
  if (allocations_left >= 0 && allocations_left-- == 0) return nullptr;
  return std::malloc(bytes ? bytes : 1);
}
void* operator new[](size_t bytes, const std::nothrow_t& tag) noexcept { return operator new(bytes, tag); }
__attribute__((noinline)) void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { operator delete(p); }
void operator delete(void* p, size_t) noexcept { operator delete(p); }
void operator delete[](void* p, size_t) noexcept { operator delete(p); }

namespace {

using namespace effnet;

int passed = 0, failed = 0;

bool check(bool good, const std::string& what) {
  if (good) {
    ++passed;
  } else {
    ++failed;
    std::printf("FAIL %s\n", what.c_str());
  }
  return good;
}

bool refused(const status& s, status_code code, const char* part, const std::string& what) {
  return check(s.code == code && s.message.find(part) != std::string::npos,
               what + ": expected a refusal with '" + part + "', found '" + s.message + "'");
}

constexpr const char* kFormatNames[] = {"rgb", "rgba", "bgra", "gray"};
constexpr int kBytes[] = {3, 4, 4, 1};

// The patterns of make_image_golden.py.
uint32_t mix(uint32_t x, uint32_t y, uint32_t c) {
  uint32_t h = x * 0x9E3779B1u ^ y * 0x85EBCA77u ^ c * 0xC2B2AE3Du;
  h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
  h = (h ^ (h >> 12)) * 0x297A2D39u;
  return h ^ (h >> 15);
}

uint8_t sample(int pattern, uint32_t x, uint32_t y, uint32_t c) {
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
  guarded_image(int width, int height, pixel_format format, size_t gap, test::edge edge) {
    const int bytes = kBytes[int(format)];
    image_.width = width;
    image_.height = height;
    image_.format = format;
    image_.stride = size_t(width) * bytes + gap;
    const size_t size = image_.stride * size_t(height - 1) + size_t(width) * bytes;
    const size_t page = test::guarded_pages::page_size();
    pages_ = (size + page - 1) / page;
    base_ = static_cast<uint8_t*>(test::guarded_pages::take(pages_));
    data_ = base_ + (edge == test::edge::end ? pages_ * page - size : 0);
    image_.data = data_;
    std::memset(data_, 0xa5, size);
  }
  ~guarded_image() { test::guarded_pages::give_back(base_, pages_); }
  guarded_image(const guarded_image&) = delete;
  guarded_image& operator=(const guarded_image&) = delete;

  template <class Sample>
  void fill(Sample sample) {
    static constexpr int kOrder[4][4] = {{0, 1, 2, 3}, {0, 1, 2, 3}, {2, 1, 0, 3}, {0, 0, 0, 0}};
    const int bytes = kBytes[int(image_.format)];
    for (int y = 0; y < image_.height; ++y)
      for (int x = 0; x < image_.width; ++x)
        for (int c = 0; c < bytes; ++c)
          data_[size_t(y) * image_.stride + size_t(x) * bytes + c] = sample(x, y, kOrder[int(image_.format)][c]);
  }
  const pixels& get() const { return image_; }

 private:
  pixels image_;
  uint8_t *base_, *data_;
  size_t pages_;
};

recipe unit_recipe(int height, int width, interpolation filter, bool squash, double crop) {
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

bool border_is_zero(const input_image& image) {
  const int b = input_image::kBorder;
  for (int y = -b; y < image.height() + b; ++y)
    for (int i = -3 * b; i < 3 * (image.width() + b); ++i) {
      const bool inside = y >= 0 && y < image.height() && i >= 0 && i < 3 * image.width();
      if (!inside && image.row(0)[y * image.row_stride() + i] != 0.0f) return false;
    }
  return true;
}

// ---- golden ----------------------------------------------------------------------------------------

struct golden_case {
  char name[32];
  int32_t pattern, width, height, format, filter, squash, out_h, out_w, unused;
  double crop;
};

std::vector<uint8_t> read_file(const char* path) {
  std::vector<uint8_t> bytes;
  if (FILE* file = std::fopen(path, "rb")) {
    uint8_t chunk[65536];
    for (size_t n; (n = std::fread(chunk, 1, sizeof chunk, file)) > 0;) bytes.insert(bytes.end(), chunk, chunk + n);
    std::fclose(file);
  }
  return bytes;
}

void compare_golden(const golden_case& g, const uint8_t* expected, test::edge edge, image_preparer* preparer) {
  guarded_image source(g.width, g.height, pixel_format(g.format), edge == test::edge::end ? 0 : 5, edge);
  source.fill([&](int x, int y, int c) { return sample(g.pattern, uint32_t(x), uint32_t(y), uint32_t(c)); });
  const interpolation filter = interpolation(g.filter);
  const bool plain = filter == interpolation::bilinear_plain;
  input_image out;
  const status s = preparer->prepare(source.get(), unit_recipe(g.out_h, g.out_w, filter, g.squash != 0, g.crop), &out);
  if (!check(s.ok(), std::string(g.name) + ": " + s.message)) return;

  int differing = 0;
  double worst = 0.0;  // in 1/255
  for (int y = 0; y < g.out_h; ++y)
    for (int i = 0; i < 3 * g.out_w; ++i) {
      const size_t at = size_t(y) * 3 * size_t(g.out_w) + size_t(i);
      double wanted;
      if (plain) {
        float value;
        std::memcpy(&value, expected + 4 * at, 4);
        wanted = value;
      } else {
        wanted = expected[at];
      }
      const double found = double(out.row(y)[i]) * 255.0;
      worst = std::fmax(worst, std::fabs(found - wanted));
      differing += std::fabs(found - wanted) > (plain ? 1e-3 : 1e-4);
    }
  // Antialiased: every byte. Plain: coordinates up to 451 in single precision, times steps of 255
  // between neighbours, plus the roundings of two lerps.
  const double bound = plain ? 451 * 3 * 0x1p-24 * 255 : 255 * 0x1p-23;
  char text[160];
  std::snprintf(text, sizeof text, "%s: %d of %d values differ, at most by %.3g/255", g.name, differing,
                3 * g.out_w * g.out_h, worst);
  check(worst <= bound, text);
  check(border_is_zero(out), std::string(g.name) + ": the border is not zero");
}

void test_golden(const char* path) {
  const std::vector<uint8_t> bytes = read_file(path);
  if (!check(bytes.size() > 16 && std::memcmp(bytes.data(), "EFIMAGE1", 8) == 0,
             std::string("expected the golden images in ") + path))
    return;
  int32_t count;
  std::memcpy(&count, bytes.data() + 8, 4);
  constexpr size_t kHeader = 32 + 9 * 4 + 8;
  size_t at = 16;
  int done = 0;
  image_preparer preparer;  // one for all, so that leftovers of one image would spoil the next
  while (at + kHeader <= bytes.size()) {
    golden_case g;
    std::memcpy(g.name, &bytes[at], 32);
    std::memcpy(&g.pattern, &bytes[at + 32], 9 * 4);
    std::memcpy(&g.crop, &bytes[at + 68], 8);
    at += kHeader;
    const size_t size = size_t(g.out_h) * size_t(g.out_w) * 3 * (g.filter == int(interpolation::bilinear_plain) ? 4 : 1);
    if (!check(at + size <= bytes.size(), "the golden file is cut off")) return;
    for (test::edge edge : test::kEdges) compare_golden(g, &bytes[at], edge, &preparer);
    at += size;
    ++done;
  }
  check(done == count && count >= 28, "expected " + std::to_string(count) + " golden cases, ran " + std::to_string(done));
}

// ---- properties ------------------------------------------------------------------------------------

// An image of one colour stays that colour through any resize: weights sum to 1, nothing of outside
// comes in, and every place is written.
void test_one_colour() {
  image_preparer preparer;
  input_image out;
  uint32_t state = 1;
  const auto below = [&](int n) {
    state = mix(state, 7, 11);
    return int(state % uint32_t(n));
  };
  for (int i = 0; i < 400; ++i) {
    const int width = 1 + below(i % 3 ? 40 : 700), height = 1 + below(i % 5 ? 40 : 700);
    const int out_h = 1 + below(50), out_w = 1 + below(50), format = below(4), filter = below(3);
    const bool squash = below(2) != 0;
    const double crop = 0.05 + below(96) / 100.0;
    guarded_image source(width, height, pixel_format(format), size_t(below(3)), below(2) ? test::edge::begin : test::edge::end);
    const uint8_t colour[4] = {uint8_t(below(256)), uint8_t(below(256)), uint8_t(below(256)), uint8_t(below(256))};
    source.fill([&](int, int, int c) { return colour[c]; });
    const status s = preparer.prepare(source.get(), unit_recipe(out_h, out_w, interpolation(filter), squash, crop), &out);
    bool good = s.ok() && out.height() == out_h && out.width() == out_w && border_is_zero(out);
    for (int y = 0; good && y < out_h; ++y)
      for (int j = 0; j < 3 * out_w; ++j) {
        const uint8_t wanted = colour[format == int(pixel_format::gray) ? 0 : j % 3];
        good = good && std::fabs(out.row(y)[j] * 255.0f - wanted) < 1e-4f * 255;
      }
    check(good, "one colour: " + std::to_string(width) + " x " + std::to_string(height) + " " + kFormatNames[format] + " to " +
                    std::to_string(out_w) + " x " + std::to_string(out_h) + ", filter " + std::to_string(filter) +
                    (squash ? ", squash" : ", crop ") + std::to_string(crop) + " " + s.message);
  }
}

bool same_image(const input_image& a, const input_image& b) {
  for (int y = 0; y < a.height(); ++y)
    if (std::memcmp(a.row(y), b.row(y), size_t(a.width()) * 3 * sizeof(float)) != 0) return false;
  return a.height() == b.height() && a.width() == b.width();
}

void test_formats() {
  for (interpolation filter : {interpolation::bicubic, interpolation::bilinear, interpolation::bilinear_plain}) {
    input_image expected;
    for (int format = 0; format < 3; ++format) {
      guarded_image source(75, 53, pixel_format(format), size_t(format) * 7, test::edge::end);
      source.fill([](int x, int y, int c) { return sample(0, uint32_t(x), uint32_t(y), uint32_t(c)); });
      recipe how;
      how.height = how.width = 32;
      how.filter = filter;
      input_image out;
      image_preparer preparer;
      if (!check(preparer.prepare(source.get(), how, format == 0 ? &expected : &out).ok(), "formats")) continue;
      if (format > 0) check(same_image(expected, out), std::string(kFormatNames[format]) + " differs from rgb");
    }
  }
}

void test_normalisation() {
  guarded_image source(16, 16, pixel_format::rgb, 0, test::edge::end);
  source.fill([](int x, int y, int c) { return uint8_t(y * 16 + x + c); });
  recipe how = unit_recipe(16, 16, interpolation::bicubic, true, 1.0);
  const recipe standard;
  for (int c = 0; c < 3; ++c) {
    how.mean[c] = standard.mean[c];
    how.std[c] = standard.std[c];
  }
  image_preparer preparer;
  input_image out, plain;
  bool good = preparer.prepare(source.get(), how, &out).ok();
  how.filter = interpolation::bilinear_plain;
  good = good && preparer.prepare(source.get(), how, &plain).ok();
  for (int y = 0; good && y < 16; ++y)
    for (int i = 0; i < 48; ++i) {
      const float v = uint8_t(y * 16 + i / 3 + i % 3);
      good = good && out.row(y)[i] == (v / 255.0f - how.mean[i % 3]) / how.std[i % 3] && plain.row(y)[i] == out.row(y)[i];
    }
  check(good, "normalisation is not (x / 255 - mean) / std");
}

// Sides and ratios at the limits; the pixels are untouched zero pages, so they cost no memory.
void test_extremes() {
  struct extreme {
    int width, height;
    interpolation filter;
    bool squash;
  };
  constexpr int kLong = kMaxSourceSide;
  const extreme cases[] = {
      {20000, 20000, interpolation::bilinear_plain, false}, {20000, 2000, interpolation::bicubic, true},
      {kLong, 1, interpolation::bicubic, true},             {1, kLong, interpolation::bicubic, true},
      {kLong, 1, interpolation::bicubic, false},            {1, kLong, interpolation::bicubic, false},
      {kLong, 1, interpolation::bilinear_plain, false},     {1, kLong, interpolation::bilinear_plain, false},
      {1, 1, interpolation::bicubic, false},
  };
  image_preparer preparer;
  input_image out;
  for (const extreme& e : cases) {
    const size_t bytes = size_t(e.width) * size_t(e.height);
    void* zeros = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!check(zeros != MAP_FAILED, "mmap")) continue;
    pixels image;
    image.data = static_cast<const uint8_t*>(zeros);
    image.width = e.width;
    image.height = e.height;
    image.format = pixel_format::gray;
    image.stride = size_t(e.width);
    const status s = preparer.prepare(image, unit_recipe(64, 64, e.filter, e.squash, 0.875), &out);
    bool good = s.ok();
    for (int y = 0; good && y < 64; ++y)
      for (int i = 0; i < 3 * 64; ++i) good = good && out.row(y)[i] == 0.0f;
    check(good, "extreme " + std::to_string(e.width) + " x " + std::to_string(e.height) + ": " + s.message);
    munmap(zeros, bytes);
  }
}

// ---- errors and memory -----------------------------------------------------------------------------

void test_refusals() {
  guarded_image source(8, 6, pixel_format::rgb, 0, test::edge::end);
  image_preparer preparer;
  input_image out;
  const recipe good = unit_recipe(4, 4, interpolation::bicubic, false, 0.875);
  const auto with_image = [&](auto change, const char* part, const char* what) {
    pixels p = source.get();
    change(&p);
    refused(preparer.prepare(p, good, &out), status_code::invalid_argument, part, what);
  };
  with_image([](pixels* p) { p->data = nullptr; }, "sides", "no data");
  with_image([](pixels* p) { p->width = 0; }, "0 x 6", "width 0");
  with_image([](pixels* p) { p->height = -1; }, "8 x -1", "height -1");
  with_image([](pixels* p) { p->width = kMaxSourceSide + 1; }, "1048576", "too wide");
  with_image([](pixels* p) { p->stride = 23; }, "at least 24 bytes but received 23", "short stride");
  with_image([](pixels* p) { p->stride = SIZE_MAX / 2; }, "stride", "overflowing stride");
  const auto with_recipe = [&](auto change, const char* part, const char* what) {
    recipe r = good;
    change(&r);
    refused(preparer.prepare(source.get(), r, &out), status_code::invalid_argument, part, what);
  };
  with_recipe([](recipe* r) { r->height = 0; }, "1 to 4096", "height 0");
  with_recipe([](recipe* r) { r->width = input_image::kMaxSide + 1; }, "1 to 4096", "width over the limit");
  with_recipe([](recipe* r) { r->crop_fraction = 0.0; }, "crop fraction", "crop 0");
  with_recipe([](recipe* r) { r->crop_fraction = 1.5; }, "crop fraction", "crop 1.5");
  with_recipe([](recipe* r) { r->crop_fraction = 1e-300; }, "crop fraction", "crop 1e-300");
  with_recipe([](recipe* r) { r->crop_fraction = std::nan(""); }, "crop fraction", "crop NaN");
  with_recipe([](recipe* r) { r->std[1] = 0.0f; }, "std", "std 0");
  with_recipe([](recipe* r) { r->mean[2] = INFINITY; }, "mean", "mean infinite");
  check(preparer.prepare(source.get(), good, &out).ok(), "usable after refusals");
}

void test_allocations() {
  for (interpolation filter : {interpolation::bicubic, interpolation::bilinear_plain}) {
    guarded_image source(61, 47, pixel_format::rgb, 0, test::edge::end);
    source.fill([](int x, int y, int c) { return sample(1, uint32_t(x), uint32_t(y), uint32_t(c)); });
    const recipe how = unit_recipe(32, 32, filter, false, 0.875);
    input_image out, expected;
    image_preparer preparer;
    check(preparer.prepare(source.get(), how, &expected).ok(), "first image");
    check(preparer.prepare(source.get(), how, &out).ok(), "another destination");
    const long long before = allocations;
    const float* place = out.row(0);
    const bool ok = preparer.prepare(source.get(), how, &out).ok();
    const long long made = allocations - before;
    check(ok && made == 0 && out.row(0) == place, "a second image made " + std::to_string(made) + " allocations");
    check(same_image(out, expected), "the second image differs from the first");

    // Each allocation fails once, the preparer's own included: a status, and usable afterwards.
    int refusals = 0;
    for (int survive = 0; survive < 30; ++survive) {
      allocations_left = survive;
      image_preparer starved;
      input_image target;
      const status s = starved.prepare(source.get(), how, &target);
      allocations_left = -1;
      if (s.ok()) break;
      ++refusals;
      if (s.code != status_code::out_of_memory) check(false, "out of memory reported as: " + s.message);
      if (survive > 0) {
        check(starved.prepare(source.get(), how, &target).ok() && same_image(target, expected), "usable after out of memory");
      }
    }
    check(refusals >= 3 && refusals < 30, "expected a refusal per allocation, found " + std::to_string(refusals));
  }
}

void test_input_image() {
  input_image image;
  refused(image.resize(0, 5), status_code::invalid_argument, "0 x 5", "input_image of height 0");
  refused(image.resize(5, input_image::kMaxSide + 1), status_code::invalid_argument, "4097", "input_image too wide");
  if (!check(image.resize(9, 7).ok(), "input_image 9 x 7")) return;
  const int border = input_image::kBorder;
  const float* storage = image.row(0) - border * image.row_stride() - 3 * border;
  check(reinterpret_cast<uintptr_t>(storage) % 64 == 0, "the storage is not aligned to 64 bytes");
  check(image.row_stride() >= 3 * (7 + 2 * border), "rows overlap");
  check(image.row(3) - image.row(2) == image.row_stride(), "rows lie row_stride apart");
  const auto fill = [&] {
    for (int y = 0; y < image.height(); ++y)
      for (int i = 0; i < 3 * image.width(); ++i) image.row(y)[i] = 1.0f;
  };
  fill();
  check(border_is_zero(image), "border of 9 x 7");
  check(image.resize(4, 9).ok() && image.row(0) - border * image.row_stride() - 3 * border == storage, "memory is kept when it suffices");
  fill();
  check(border_is_zero(image), "border after shrinking");
  check(image.resize(31, 40).ok(), "input_image 31 x 40");
  fill();
  check(border_is_zero(image) && image.height() == 31 && image.width() == 40, "border after growing");
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  test_golden(argc > 1 ? argv[1] : "test/golden/image.bin");
  test_one_colour();
  test_formats();
  test_normalisation();
  test_extremes();
  test_refusals();
  test_allocations();
  test_input_image();
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
