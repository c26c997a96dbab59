// SPDX-License-Identifier: Apache-2.0
// Image preparation of every table, byte for byte against Pillow and within rounding against PyTorch:
// test/golden/image.bin, see make_image_golden.py. The source lies between guard pages. Run from the
// repository root, or with that file's path.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "image_fixture.h"
#include "tester.h"

namespace effnet {
namespace test {
namespace {

struct golden_case {
  char name[32];
  int32_t pattern, width, height, format, filter, squash, out_h, out_w, unused;
  double crop;
  const uint8_t* expected;

  bool plain() const { return filter == int(interpolation::bilinear_plain); }
  size_t bytes() const { return size_t(out_h) * size_t(out_w) * 3 * (plain() ? 4 : 1); }
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

// Empty unless the file is whole.
std::vector<golden_case> parse(const std::vector<uint8_t>& bytes) {
  constexpr size_t kHeader = 32 + 9 * 4 + 8;
  std::vector<golden_case> cases;
  if (bytes.size() < 16 || std::memcmp(bytes.data(), "EFIMAGE1", 8) != 0) return {};
  int32_t count;
  std::memcpy(&count, &bytes[8], 4);
  for (size_t at = 16; at + kHeader <= bytes.size();) {
    golden_case g;
    std::memcpy(g.name, &bytes[at], 32);
    std::memcpy(&g.pattern, &bytes[at + 32], 9 * 4);
    std::memcpy(&g.crop, &bytes[at + 68], 8);
    g.expected = &bytes[at + kHeader];
    at += kHeader + g.bytes();
    if (at > bytes.size()) return {};
    cases.push_back(g);
  }
  return int32_t(cases.size()) == count ? cases : std::vector<golden_case>();
}

double expected_value(const golden_case& g, size_t at) {
  if (!g.plain()) return g.expected[at];
  float value;
  std::memcpy(&value, g.expected + 4 * at, 4);
  return value;
}

void compare(tester& t, const kernel_table& table, const golden_case& g, edge where, image_preparer* preparer) {
  const std::string name = std::string(table.isa) + " " + g.name;
  test_case c(t, name.c_str(), {{"at_end", where == edge::end}});
  guarded_image source(g.width, g.height, pixel_format(g.format), where == edge::end ? 0 : 5, where);
  source.fill_pattern(g.pattern);
  input_image out;
  if (!c.ok(preparer->prepare(source.get(), unit_recipe(g.out_h, g.out_w, interpolation(g.filter), g.squash != 0, g.crop), &out)))
    return;

  int differing = 0;
  double worst = 0.0;  // in 1/255
  for (int y = 0; y < g.out_h; ++y)
    for (int i = 0; i < 3 * g.out_w; ++i) {
      const double wanted = expected_value(g, size_t(y) * 3 * size_t(g.out_w) + size_t(i));
      const double found = double(out.row(y)[i]) * 255.0;
      worst = std::fmax(worst, std::fabs(found - wanted));
      differing += std::fabs(found - wanted) > (g.plain() ? 1e-3 : 1e-4);
    }
  // Antialiased: every byte. Plain: coordinates up to 451 in single precision, times steps of 255
  // between neighbours, plus the roundings of two lerps.
  const double bound = g.plain() ? 451 * 3 * 0x1p-24 * 255 : 255 * 0x1p-23;
  char text[120];
  std::snprintf(text, sizeof text, "%d of %d values differ, at most by %.3g/255", differing, 3 * g.out_w * g.out_h, worst);
  c.check(worst <= bound, text);
  c.check(border_is_zero(out), "the border is not zero");
}

}  // namespace
}  // namespace test
}  // namespace effnet

int main(int argc, char** argv) {
  using namespace effnet;
  using namespace effnet::test;
  tester t("image_golden_test");
  const char* path = argc > 1 ? argv[1] : "test/golden/image.bin";
  const std::vector<uint8_t> bytes = read_file(path);
  const std::vector<golden_case> cases = parse(bytes);
  {
    test_case c(t, path, {{"cases", (long long)cases.size()}});
    c.check(cases.size() >= 42, "expected a whole file of golden images with 42 cases or more");
  }
  t.expect_count("golden file", 1);
  for (const kernel_table* table : t.tables()) {
    image_preparer preparer(*table);  // one for all, so that leftovers of one image would spoil the next
    for (const golden_case& g : cases)
      for (edge where : kEdges) compare(t, *table, g, where, &preparer);
    t.expect_count(table->isa, 2 * (long long)cases.size());
    t.note_table(*table);
  }
  return t.finish();
}
