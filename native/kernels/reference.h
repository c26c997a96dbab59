// SPDX-License-Identifier: Apache-2.0
// The specification of every kernel and block, written naively in double precision on plain
// [channels][height][width] arrays. For tests only: it knows nothing of lanes, panels or packing,
// and nothing here is fast.
//
// Every value carries `error`: how far a correct float32 computation of it may lie from it. Where
// the bound comes from, with u = 2^-24 the relative error of one rounding (to nearest):
//   * A product of t factors (1 + d), |d| <= u, differs from 1 by at most gamma(t) = t u / (1 - t u).
//   * A sum of t products, added in any order, fused or not: each product meets one rounding of its
//     own and at most t of additions, so |computed - sum| <= gamma(t + 1) * sum |a b|. Two more roundings
//     stand for the factors -log2(e) and -ln(2) that packing may fold into a weight: gamma(t + 3).
//   * Operands that are themselves off by ea and eb add |a| eb + |b| ea + ea eb per product.
//   * An activation with Lipschitz constant l turns an input error e into l e, and those that are more
//     than a comparison add a relative error of their own, activation_error().
//   * kTiny covers underflow: subnormals may be flushed.
// Nothing is guessed; a kernel may add in whatever order it likes and must still meet the bound.
#pragma once

#include <vector>

#include "engine/network.h"
#include "kernels/kernels.h"

namespace effnet {
namespace reference {

constexpr double kUnit = 1.0 / (1 << 24);
constexpr double kTiny = 1e-30;
// What simd/<isa>.h promise of 2^t, relative, at worst; and where its argument may be limited.
constexpr double kExp2Error = 6e-7;
constexpr int kExp2Limit = 125;

struct approx {
  double value = 0, error = 0;
};
using vector = std::vector<approx>;

double gamma(int roundings);
double activate(activation act, double x);
double lipschitz(activation act);
// How far the activation of the float x may lie from the true value, 0 where it only compares.
// Hard swish and hard sigmoid round the sum, the sixth and at most two products: 4 u, and 2 u are left
// for terms of second order. Swish and sigmoid are quotients by 1 + e^-x (exp2_swish and exp2_sigmoid
// by 1 + 2^x, without the product). The exponent -x log2(e) meets two roundings (constant, product),
// so that e^-x is off by kExp2Error + 2 u |x|, relative; of the sum only the share
// e^-x / (1 + e^-x) = 1 - sigmoid(x) is e^-x. The sum and a quotient good to 1 ulp add 3 u, and one
// more u is left for terms of second order. Where x or the exponent is limited, the quotient is kExp2Limit
// or 1 times 2^-kExp2Limit instead of less.
double activation_error(activation act, double x);

approx activate(activation act, approx x);
approx add(approx a, approx b);
approx multiply(approx a, approx b);

// A sum of products and of single terms, with its bound.
class dot {
 public:
  void add(approx a, approx b);
  void add(approx a);
  approx result() const;

 private:
  double value_ = 0, magnitude_ = 0, carried_ = 0;
  int terms_ = 0;
};

// [channels][height][width]; outside lie zeros, which is what padding means.
struct map {
  int channels = 0, height = 0, width = 0;
  vector values;

  map() = default;
  map(int c, int h, int w) : channels(c), height(h), width(w), values(size_t(c) * h * w) {}
  approx& at(int c, int y, int x) { return values[(size_t(c) * height + y) * width + x]; }
  approx at(int c, int y, int x) const {
    if (y < 0 || x < 0 || y >= height || x >= width) return {};
    return values[(size_t(c) * height + y) * width + x];
  }
};

// Kernel `size`, stride and zeros before the first row and column; the zeros behind the last follow
// from the size of the output.
struct window {
  int size = 1, stride = 1;
  int top = 0, left = 0;
  int out_height = 0, out_width = 0;
};
// The window of a layer on a height x width map. Padding is that of padding's own comment.
window make_window(padding pad, int size, int stride, int height, int width);

// src [m][k], weights [n][k], bias [n], residual [m][n] or empty, to [m][n]:
//   act(sum_k src * weights + bias) + residual
vector gemm(const vector& src, const float* weights, const float* bias, int m, int n, int k,
            activation act, const vector& residual);
// src [m][n] to [n]: sums over the m pixels.
vector sum_pixels(const vector& src, int m, int n);
// weights [out][in][size][size], bias [out].
map convolution(const map& src, const float* weights, const float* bias, int out, const window& w,
                activation act);
// weights [channels][size][size], bias [channels].
map depthwise(const map& src, const float* weights, const float* bias, const window& w,
              activation act);
map add(const map& a, const map& b);
// 1 x 1 convolution: weights [out][in], bias [out]; residual may be null.
map pointwise(const map& src, const float* weights, const float* bias, int out, activation act,
              const map* residual);
// src [k], weights [n][k], bias [n] to [n].
vector gemv(const vector& src, const float* weights, const float* bias, int n, activation act);
// Per channel, over all pixels.
vector mean(const map& src);
// src times one factor per channel.
map gate(const map& src, const vector& factors);
// Byte `byte` of output `output` of a resize; exact, so there is no bound.
uint8_t resample(const resample_args& a, int output, int byte);

struct head_result {
  vector embedding, logits;
};
struct result {
  std::vector<map> features;  // what the last layer of each stride puts out
  head_result head;
};
map stem(const stem_block& b, padding pad, const map& image);
map block(const mbconv_block& b, padding pad, const map& src);
map block(const fused_block& b, padding pad, const map& src);
head_result head(const head_block& b, const map& src);
// image: [3][height][width], of any size from 1 x 1.
result run(const network& net, const map& image);

}  // namespace reference
}  // namespace effnet
