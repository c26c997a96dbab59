// SPDX-License-Identifier: Apache-2.0
// Maps in channel blocks as the kernels see them, for tests: where a float lies, filling a buffer,
// and the expected contents of one. Written from kernels.h alone, without the engine's own helpers.
#pragma once

#include <cstddef>

#include "kernels/reference.h"
#include "tester.h"

namespace effnet {
namespace test {

constexpr int blocks_of(int channels, int lanes) { return (channels + lanes - 1) / lanes; }

// Pixel i of block b lies at b * plane + i * lanes + (i / width) * gap.
struct layout {
  int lanes, blocks, pixels, width;
  ptrdiff_t gap, plane;

  // `gap` and `spare` in vectors: after each row, and between channel blocks.
  layout(int lanes_, int blocks_, int pixels_, int width_, int gap_, int spare)
      : lanes(lanes_), blocks(blocks_), pixels(pixels_), width(width_), gap(ptrdiff_t(gap_) * lanes_), plane(0) {
    plane = extent() + ptrdiff_t(spare) * lanes;
  }
  ptrdiff_t pixel(int i) const { return ptrdiff_t(i) * lanes + i / width * gap; }
  ptrdiff_t extent() const { return pixels > 0 ? pixel(pixels - 1) + lanes : 0; }
  size_t size() const { return size_t(blocks - 1) * plane + extent(); }
  size_t at(int channel, int i) const {
    return size_t(channel / lanes) * plane + pixel(i) + channel % lanes;
  }
  pixel_rows rows() const { return {width, gap}; }
};

// value(channel, pixel) -> float, for every lane of every block.
template <class F>
void fill_map(buffer& b, const layout& l, F value) {
  for (int c = 0; c < l.blocks * l.lanes; ++c)
    for (int i = 0; i < l.pixels; ++i) b[l.at(c, i)] = value(c, i);
}

// Adds value(channel, pixel) -> approx for blocks and pixels in the given ranges to the expectation
// of a buffer, of which everything else stays untouched.
template <class F>
void expect_map(reference::vector& expected, const layout& l, int block_begin, int block_end, int pixel_begin,
                int pixel_end, F value) {
  for (int c = block_begin * l.lanes; c < block_end * l.lanes; ++c)
    for (int i = pixel_begin; i < pixel_end; ++i) expected[l.at(c, i)] = value(c, i);
}

}  // namespace test
}  // namespace effnet
