// SPDX-License-Identifier: Apache-2.0
// Sizes and places of maps: output sizes and padding of a strided window, and a map with its border.
#pragma once

#include <cstddef>

#include "engine/network.h"
#include "kernels/kernels.h"
#include "kernels/pack.h"

namespace effnet {

// A window of `kernel` moving by `stride` over n elements.
struct window {
  int out;     // positions
  int before;  // zeros needed in front of the first element
  int span;    // elements that all positions together reach, zeros included
};

// SAME as TensorFlow computes it from the real size, symmetric as PyTorch with padding kernel / 2.
inline window make_window(int n, int kernel, int stride, padding pad) {
  window w{};
  if (pad == padding::same) {
    w.out = div_up(n, stride);
    const int total = (w.out - 1) * stride + kernel - n;
    w.before = total > 0 ? total / 2 : 0;
  } else {
    w.out = (n + kernel / 2 * 2 - kernel) / stride + 1;
    w.before = kernel / 2;
  }
  w.span = (w.out - 1) * stride + kernel;
  return w;
}

// A map in channel blocks with a border of zeros around its height x width pixels. Strides in floats.
struct map {
  int channels = 0, blocks = 0, height = 0, width = 0, lanes = 0;
  int top = 0, left = 0, rows = 0, columns = 0;  // rows and columns with the border

  ptrdiff_t row() const { return ptrdiff_t(columns) * lanes; }
  ptrdiff_t plane() const { return ptrdiff_t(rows) * row(); }
  size_t floats() const { return size_t(blocks) * size_t(plane()); }
  // From the start of a plane to its first pixel.
  ptrdiff_t inside() const { return top * row() + ptrdiff_t(left) * lanes; }
  int pixels() const { return height * width; }
  pixel_rows pixel_layout() const { return {width, ptrdiff_t(columns - width) * lanes}; }
  bool bordered() const { return rows != height || columns != width; }
};

inline map make_map(int channels, int height, int width, int lanes) {
  map m;
  m.channels = channels;
  m.blocks = div_up(channels, lanes);
  m.height = m.rows = height;
  m.width = m.columns = width;
  m.lanes = lanes;
  return m;
}

// The same map with the border that these windows read.
inline map with_border(map m, const window& vertical, const window& horizontal) {
  const auto most = [](int a, int b) { return a > b ? a : b; };
  m.top = vertical.before;
  m.left = horizontal.before;
  m.rows = most(m.top + m.height, vertical.span);
  m.columns = most(m.left + m.width, horizontal.span);
  return m;
}

}  // namespace effnet
