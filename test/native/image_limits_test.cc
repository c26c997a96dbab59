// SPDX-License-Identifier: Apache-2.0
// Image preparation at its limits: refused arguments, memory that runs out at each allocation, no
// allocation for a second image of a size, and the bordered image itself. Pixels are looked at in
// image_test and image_golden_test.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

#include "image_fixture.h"
#include "kernels/dispatch.h"

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
using namespace effnet::test;

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

const kernel_table& best_table() {
  const kernel_table* table = nullptr;
  return pick_kernel_table({}, &table).ok() ? *table : *all_kernel_tables().back();
}

void test_refusals() {
  guarded_image source(8, 6, pixel_format::rgb, 0, test::edge::end);
  image_preparer preparer(best_table());
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
    source.fill_pattern(1);
    const recipe how = unit_recipe(32, 32, filter, false, 0.875);
    input_image out, expected;
    image_preparer preparer(best_table());
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
      image_preparer starved(best_table());
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

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  test_refusals();
  test_allocations();
  test_input_image();
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
