// SPDX-License-Identifier: Apache-2.0
// What must hold of image preparation for every size, format and filter, on every table: one colour
// stays that colour, formats agree, tables agree, and sides at the limits work. Sources lie between
// guard pages. Pillow's own bytes are in image_golden_test.
#include <cmath>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "image_fixture.h"
#include "tester.h"

namespace effnet {
namespace test {
namespace {

constexpr interpolation kFilters[] = {interpolation::bicubic, interpolation::bilinear, interpolation::bilinear_plain, interpolation::nearest,
                                      interpolation::lanczos, interpolation::box,      interpolation::hamming};

// An image of one colour stays that colour through any resize: weights sum to 1, nothing of outside
// comes in, and every place is written.
void test_one_colour(tester& t, const kernel_table& table, int count) {
  image_preparer preparer(table);
  input_image out;
  random_source random(5);
  const auto below = [&](int n) { return random.below(n); };
  for (int i = 0; i < count; ++i) {
    const int width = 1 + below(i % 3 ? 40 : 700), height = 1 + below(i % 5 ? 40 : 700);
    const int out_h = 1 + below(50), out_w = 1 + below(50), format = below(4), filter = below(int(std::size(kFilters)));
    const bool squash = below(2) != 0;
    const int crop = 5 + below(96);
    test_case c(t, kFormatNames[format],
                {{"width", width}, {"height", height}, {"out_h", out_h}, {"out_w", out_w}, {"filter", filter}, {"squash", squash}, {"crop %", crop}});
    guarded_image source(width, height, pixel_format(format), size_t(below(3)), below(2) ? edge::begin : edge::end);
    const uint8_t colour[4] = {uint8_t(below(256)), uint8_t(below(256)), uint8_t(below(256)), uint8_t(below(256))};
    source.fill([&](int, int, int channel) { return colour[channel]; });
    if (!c.ok(preparer.prepare(source.get(), unit_recipe(out_h, out_w, interpolation(filter), squash, crop / 100.0), &out))) continue;
    bool good = out.height() == out_h && out.width() == out_w && border_is_zero(out);
    for (int y = 0; good && y < out_h; ++y)
      for (int j = 0; j < 3 * out_w; ++j) {
        const uint8_t wanted = colour[format == int(pixel_format::gray) ? 0 : j % 3];
        good = good && std::fabs(out.row(y)[j] * 255.0f - wanted) < 1e-4f * 255;
      }
    c.check(good, "not one colour");
  }
}

// Pixels of any format, with rows apart or not, give what red, green and blue give; and every table
// gives what the first one does. Widths around the tile of columns that is turned at a time.
void test_formats(tester& t, const kernel_table& table, const kernel_table& first) {
  for (interpolation filter : kFilters)
    for (int width : {31, 127, 128, 129, 257})
      for (int out : {32, 53, width < 53 ? width : 48}) {  // 53: no vertical resize
        test_case c(t, table.isa, {{"filter", int(filter)}, {"width", width}, {"out", out}});
        const recipe how = unit_recipe(out, out, filter, true, 1.0);
        input_image expected;
        {
          guarded_image source(width, 53, pixel_format::rgb, 0, edge::begin);
          source.fill_pattern(0);
          image_preparer preparer(first);
          c.ok(preparer.prepare(source.get(), how, &expected));
        }
        for (int format = 0; format < 3; ++format) {
          guarded_image source(width, 53, pixel_format(format), size_t(format) * 7, edge::end);
          source.fill_pattern(0);
          input_image found;
          image_preparer preparer(table);
          c.ok(preparer.prepare(source.get(), how, &found));
          c.check(same_image(expected, found), kFormatNames[format]);
        }
      }
}

void test_normalisation(tester& t, const kernel_table& table) {
  test_case c(t, table.isa, {{"normalisation", 1}});
  guarded_image source(16, 16, pixel_format::rgb, 0, edge::end);
  source.fill([](int x, int y, int channel) { return uint8_t(y * 16 + x + channel); });
  recipe how;
  how.height = how.width = 16;
  how.squash = true;
  how.crop_fraction = 1.0;
  image_preparer preparer(table);
  input_image out, plain;
  c.ok(preparer.prepare(source.get(), how, &out));
  how.filter = interpolation::bilinear_plain;
  c.ok(preparer.prepare(source.get(), how, &plain));
  bool good = true;
  for (int y = 0; y < 16; ++y)
    for (int i = 0; i < 48; ++i) {
      const float v = uint8_t(y * 16 + i / 3 + i % 3);
      good = good && out.row(y)[i] == (v / 255.0f - how.mean[i % 3]) / how.std[i % 3] && plain.row(y)[i] == out.row(y)[i];
    }
  c.check(good, "not (x / 255 - mean) / std");
}

struct extreme {
  int width, height;
  interpolation filter;
  bool squash;
};
constexpr int kLong = kMaxSourceSide;
constexpr extreme kExtremes[] = {
    {20000, 20000, interpolation::bilinear_plain, false}, {20000, 2000, interpolation::bicubic, true},
    {kLong, 1, interpolation::bicubic, true},             {1, kLong, interpolation::bicubic, true},
    {kLong, 1, interpolation::bicubic, false},            {1, kLong, interpolation::bicubic, false},
    {kLong, 1, interpolation::bilinear_plain, false},     {1, kLong, interpolation::bilinear_plain, false},
    {1, 1, interpolation::bicubic, false},
};

// Sides and ratios at the limits; the pixels are untouched zero pages, so they cost no memory.
void test_extremes(tester& t, const kernel_table& table) {
  image_preparer preparer(table);
  input_image out;
  for (const extreme& e : kExtremes) {
    test_case c(t, table.isa, {{"width", e.width}, {"height", e.height}, {"filter", int(e.filter)}, {"squash", e.squash}});
    const size_t bytes = size_t(e.width) * size_t(e.height);
    void* zeros = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!c.check(zeros != MAP_FAILED, "mmap")) continue;
    pixels image;
    image.data = static_cast<const uint8_t*>(zeros);
    image.width = e.width;
    image.height = e.height;
    image.format = pixel_format::gray;
    image.stride = size_t(e.width);
    c.ok(preparer.prepare(image, unit_recipe(64, 64, e.filter, e.squash, 0.875), &out));
    bool good = true;
    for (int y = 0; y < 64; ++y)
      for (int i = 0; i < 3 * 64; ++i) good = good && out.row(y)[i] == 0.0f;
    c.check(good, "not black");
    munmap(zeros, bytes);
  }
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main() {
  using namespace effnet;
  using namespace effnet::test;
  tester t("image_test");
  const std::vector<const kernel_table*> tables = t.tables();
  const int colours = t.reduced() ? 60 : 400;
  for (const kernel_table* table : tables) {
    test_one_colour(t, *table, colours);
    t.expect_count("one colour", colours);
    test_formats(t, *table, *tables.front());
    t.expect_count("formats", int(std::size(kFilters)) * 5 * 3);
    test_normalisation(t, *table);
    t.expect_count("normalisation", 1);
    test_extremes(t, *table);
    t.expect_count("extremes", sizeof kExtremes / sizeof kExtremes[0]);
    t.note_table(*table);
  }
  return t.finish();
}
