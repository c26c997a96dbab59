// SPDX-License-Identifier: Apache-2.0
// Puts weights into the order in which the kernels read them. Used once, at load; not a kernel.
#pragma once

#include <cstddef>

namespace effnet {

constexpr int round_up(int x, int to) { return (x + to - 1) / to * to; }
constexpr int div_up(int x, int by) { return (x + by - 1) / by; }

// Output vectors of n channels are cut into panels of `panel_vectors`, the last one narrower where
// it does not divide. Panel p starts at p * stride and is [k][width(p) * lanes].
//
// With `half`, the last vector is at most half full. It follows the full ones in the last panel, which
// may so become one wider than the others, and holds two steps of k, one in the even and one in the odd lanes:
// an input for either multiplies both at once, and their sums are added in the end. So that panel is
//
//   full vectors of k, full vectors of k + 1, half of k and k + 1 in turns, full vectors of k + 2, ...
//
// What a kernel reads as one run is paired by itself, and an odd one ends in full vectors and a half whose odd
// lanes are 0. Runs are [0, whole), an even number, then `run` steps at a time.
struct panels {
  int k, vectors, panel_vectors, lanes;
  bool half;
  int whole, run;
  int count() const { return div_up(vectors - half, panel_vectors); }
  int width(int p) const { return p + 1 == count() ? vectors - p * panel_vectors : panel_vectors; }
  int first(int p) const { return p * panel_vectors * lanes; }  // the panel's first channel
  bool ends_half(int p) const { return half && p + 1 == count(); }
  // The widest panel's vectors.
  int widest() const { return count() == 1 ? width(0) : (half ? panel_vectors + 1 : panel_vectors); }
  ptrdiff_t stride() const { return ptrdiff_t(k) * panel_vectors * lanes; }
  size_t size() const { return size_t(k) * vectors * lanes; }  // room for them; a half leaves some of it
};

// `halves`: whether the kernel that will read them has tiles that end in half a vector.
inline panels make_panels(int k, int n, int lanes, int panel_vectors, bool halves = false) {
  const int rest = n % lanes;
  return {k, div_up(n, lanes), panel_vectors, lanes, halves && n > lanes && rest != 0 && rest <= lanes / 2, 0, k};
}

// For the dense convolutions of `in` channels, of which `together` are a block, `widest` being their widest
// panel: two vectors, and three where that leaves no vector alone: 3 = 3, 5 = 3 + 2. On Zen 4 three give AVX2
// 104 GFLOP/s for 24 channels against 100, and for even counts both are equal.
inline panels make_conv_panels(int in, int kernel, int together, int n, int lanes, int widest, bool halves) {
  const int taps = kernel * kernel, rest = in % together;
  panels p = make_panels(in * taps, n, lanes, 2, halves);
  if (!p.half && p.vectors % 2 != 0 && widest >= 3) p.panel_vectors = 3;
  p.whole = kernel * together % 2 == 0 ? (in - rest) * taps : 0;
  p.run = rest != 0 ? rest : kernel * together;
  return p;
}

// One panel: src is [n][k], the `n` rows from the panel's first channel on that there are, at most those of
// the panel; dst receives width(panel) * lanes * k floats, each times `factor`, zeros past n.
void pack_panel(const float* src, int n, const panels& p, int panel, float* dst, float factor = 1.0f);
// All of them: src is [n][k]; dst receives panels.size() floats.
void pack_panels(const float* src, int n, const panels& p, float* dst, float factor = 1.0f);

// Convolution: src [n][in][taps] to the order in which a kernel meets its inputs, [n][block][taps][channels
// of the block], where a block has `lanes` channels, the last one what is left.
// With lanes = in this is the order of an interleaved image.
void interleave_taps(const float* src, int n, int in, int taps, int lanes, float* dst);

// Depthwise: src [c][taps] times `factor` to dst [ceil(c / lanes)][taps][lanes], zeros past c.
void pack_depthwise(const float* src, int c, int taps, int lanes, float* dst, float factor = 1.0f);

// Vector of n floats times `factor`, zero-padded to a multiple of lanes.
void pack_vector(const float* src, int n, int lanes, float* dst, float factor = 1.0f);

}  // namespace effnet
