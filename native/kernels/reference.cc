// SPDX-License-Identifier: Apache-2.0
// The naive double-precision kernels and blocks that every other implementation is compared with.
// Loops are written in the order of the formulas; reference.h derives the bounds.
#include "kernels/reference.h"

#include <algorithm>
#include <cmath>

namespace effnet {
namespace reference {

double gamma(int roundings) {
  const double t = roundings * kUnit;
  return t / (1 - t);
}

double activate(activation act, double x) {
  switch (act) {
    case activation::none: return x;
    case activation::relu: return std::max(x, 0.0);
    case activation::relu6: return std::min(std::max(x, 0.0), 6.0);
    case activation::swish: return x / (1 + std::exp(-x));
    case activation::sigmoid: return 1 / (1 + std::exp(-x));
    case activation::hard_swish: return x * std::min(std::max(x + 3, 0.0), 6.0) / 6;
    case activation::hard_sigmoid: return std::min(std::max(x + 3, 0.0), 6.0) / 6;
    case activation::exp2_swish:
    case activation::newton_swish: return x / (1 + std::exp2(x));
    case activation::exp2_sigmoid: return 1 / (1 + std::exp2(x));
  }
  return x;
}

// Swish is steepest where its second derivative vanishes, at x = 2.3994: 1.0998. Sigmoid at 0. Hard
// swish has the slope (2 x + 3) / 6 between -3 and 3.
double lipschitz(activation act) {
  if (act == activation::swish || act == activation::exp2_swish || act == activation::newton_swish) return 1.1;
  if (act == activation::sigmoid || act == activation::exp2_sigmoid) return 0.25;
  if (act == activation::hard_swish) return 1.5;
  if (act == activation::hard_sigmoid) return 1.0 / 6;
  return 1;
}

double activation_error(activation act, double x) {
  if (act == activation::hard_swish || act == activation::hard_sigmoid) return 6 * kUnit * std::fabs(activate(act, x)) + kTiny;
  if (act == activation::newton_swish) act = activation::exp2_swish;
  const bool swish = act == activation::swish || act == activation::exp2_swish;
  const bool sigmoid = act == activation::sigmoid || act == activation::exp2_sigmoid;
  if (!swish && !sigmoid) return 0;
  const bool scaled = act == activation::exp2_swish || act == activation::exp2_sigmoid;
  const double share = 1 - activate(scaled ? activation::exp2_sigmoid : activation::sigmoid, x);
  const double relative = share * (kExp2Error + (scaled ? 0 : 2 * kUnit * std::fabs(x))) + 4 * kUnit;
  const double limited = std::ldexp(swish ? kExp2Limit : 1, -kExp2Limit);
  return relative * std::fabs(activate(act, x)) + limited + kTiny;
}

approx activate(activation act, approx x) {
  const double value = activate(act, x.value);
  const double moved = lipschitz(act) * x.error;
  const double own = std::max(activation_error(act, x.value - x.error), activation_error(act, x.value + x.error));
  return {value, moved + own};
}

approx add(approx a, approx b) {
  const double value = a.value + b.value;
  const double error = a.error + b.error;
  return {value, error + kUnit * (std::fabs(value) + error)};
}

approx multiply(approx a, approx b) {
  const double value = a.value * b.value;
  const double error = std::fabs(a.value) * b.error + std::fabs(b.value) * a.error + a.error * b.error;
  return {value, error + kUnit * (std::fabs(value) + error) + kTiny};
}

void dot::add(approx a, approx b) {
  const double product = a.value * b.value;
  const double carried = std::fabs(a.value) * b.error + std::fabs(b.value) * a.error + a.error * b.error;
  value_ += product;
  carried_ += carried;
  magnitude_ += std::fabs(product) + carried;
  ++terms_;
}

void dot::add(approx a) { add(a, {1, 0}); }

approx dot::result() const { return {value_, carried_ + gamma(terms_ + 3) * magnitude_ + kTiny}; }

window make_window(padding pad, int size, int stride, int height, int width) {
  window w;
  w.size = size;
  w.stride = stride;
  if (pad == padding::symmetric) {
    w.top = w.left = size / 2;
    w.out_height = (height + 2 * (size / 2) - size) / stride + 1;
    w.out_width = (width + 2 * (size / 2) - size) / stride + 1;
  } else {
    w.out_height = (height + stride - 1) / stride;
    w.out_width = (width + stride - 1) / stride;
    w.top = std::max((w.out_height - 1) * stride + size - height, 0) / 2;
    w.left = std::max((w.out_width - 1) * stride + size - width, 0) / 2;
  }
  return w;
}

vector gemm(const vector& src, const float* weights, const float* bias, int m, int n, int k,
            activation act, const vector& residual) {
  vector dst(size_t(m) * n);
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      dot sum;
      for (int l = 0; l < k; ++l) sum.add(src[size_t(i) * k + l], {weights[size_t(j) * k + l], 0});
      sum.add({bias[j], 0});
      approx value = activate(act, sum.result());
      if (!residual.empty()) value = add(value, residual[size_t(i) * n + j]);
      dst[size_t(i) * n + j] = value;
    }
  return dst;
}

vector sum_pixels(const vector& src, int m, int n) {
  vector sums(n);
  for (int j = 0; j < n; ++j) {
    dot sum;
    for (int i = 0; i < m; ++i) sum.add(src[size_t(i) * n + j]);
    sums[j] = sum.result();
  }
  return sums;
}

map convolution(const map& src, const float* weights, const float* bias, int out, const window& w,
                activation act) {
  map dst(out, w.out_height, w.out_width);
  for (int o = 0; o < out; ++o)
    for (int y = 0; y < w.out_height; ++y)
      for (int x = 0; x < w.out_width; ++x) {
        dot sum;
        const float* weight = weights + size_t(o) * src.channels * w.size * w.size;
        for (int c = 0; c < src.channels; ++c)
          for (int i = 0; i < w.size; ++i)
            for (int j = 0; j < w.size; ++j)
              sum.add(src.at(c, y * w.stride + i - w.top, x * w.stride + j - w.left), {*weight++, 0});
        sum.add({bias[o], 0});
        dst.at(o, y, x) = activate(act, sum.result());
      }
  return dst;
}

map depthwise(const map& src, const float* weights, const float* bias, const window& w,
              activation act) {
  map dst(src.channels, w.out_height, w.out_width);
  for (int c = 0; c < src.channels; ++c)
    for (int y = 0; y < w.out_height; ++y)
      for (int x = 0; x < w.out_width; ++x) {
        dot sum;
        const float* weight = weights + size_t(c) * w.size * w.size;
        for (int i = 0; i < w.size; ++i)
          for (int j = 0; j < w.size; ++j)
            sum.add(src.at(c, y * w.stride + i - w.top, x * w.stride + j - w.left), {*weight++, 0});
        sum.add({bias[c], 0});
        dst.at(c, y, x) = activate(act, sum.result());
      }
  return dst;
}

map add(const map& a, const map& b) {
  map dst = a;
  for (size_t i = 0; i < dst.values.size(); ++i) dst.values[i] = add(a.values[i], b.values[i]);
  return dst;
}

map pointwise(const map& src, const float* weights, const float* bias, int out, activation act,
              const map* residual) {
  const window w = make_window(padding::symmetric, 1, 1, src.height, src.width);
  const map dst = convolution(src, weights, bias, out, w, act);
  return residual ? add(dst, *residual) : dst;
}

vector gemv(const vector& src, const float* weights, const float* bias, int n, activation act) {
  return gemm(src, weights, bias, 1, n, int(src.size()), act, {});
}

vector mean(const map& src) {
  const int pixels = src.height * src.width;
  const approx scale{1.0 / pixels, kUnit / pixels};
  vector result(src.channels);
  for (int c = 0; c < src.channels; ++c) {
    dot sum;
    for (int y = 0; y < src.height; ++y)
      for (int x = 0; x < src.width; ++x) sum.add(src.at(c, y, x));
    result[c] = multiply(sum.result(), scale);
  }
  return result;
}

map gate(const map& src, const vector& factors) {
  map dst(src.channels, src.height, src.width);
  for (int c = 0; c < src.channels; ++c)
    for (int y = 0; y < src.height; ++y)
      for (int x = 0; x < src.width; ++x) dst.at(c, y, x) = multiply(src.at(c, y, x), factors[c]);
  return dst;
}

uint8_t resample(const resample_args& a, int output, int byte) {
  const tap_run& run = a.runs[output];
  double sum = 0.5;
  for (int k = 0; k < run.count; ++k) {
    const uint8_t pixel = a.src[(run.first + k - a.src_first) * a.src_step + byte];
    sum += double(a.weights[output * a.weight_pitch + k]) / (1 << kResampleBits) * pixel;
  }
  return uint8_t(std::min(std::max(std::floor(sum), 0.0), 255.0));
}

map stem(const stem_block& b, padding pad, const map& image) {
  const window w = make_window(pad, b.kernel, b.stride, image.height, image.width);
  return convolution(image, b.weights.data, b.bias.data, b.out, w, b.act);
}

map block(const mbconv_block& b, padding pad, const map& src) {
  map x = src;
  if (b.has_expand)
    x = pointwise(x, b.expand_weights.data, b.expand_bias.data, b.expanded, b.act, nullptr);
  const window w = make_window(pad, b.kernel, b.stride, x.height, x.width);
  x = depthwise(x, b.depthwise_weights.data, b.depthwise_bias.data, w, b.act);
  if (b.squeeze > 0) {
    const vector squeezed =
        gemv(mean(x), b.reduce_weights.data, b.reduce_bias.data, b.squeeze, b.squeeze_act);
    x = gate(x, gemv(squeezed, b.excite_weights.data, b.excite_bias.data, b.expanded, b.gate_act));
  }
  return pointwise(x, b.project_weights.data, b.project_bias.data, b.out, activation::none,
                   b.residual ? &src : nullptr);
}

map block(const fused_block& b, padding pad, const map& src) {
  const window w = make_window(pad, b.kernel, b.stride, src.height, src.width);
  const map x = convolution(src, b.conv_weights.data, b.conv_bias.data, b.expanded, w, b.act);
  const map* residual = b.residual ? &src : nullptr;
  if (!b.has_project) return residual ? add(x, *residual) : x;
  return pointwise(x, b.project_weights.data, b.project_bias.data, b.out, activation::none, residual);
}

head_result head(const head_block& b, const map& src) {
  head_result result;
  result.embedding =
      mean(pointwise(src, b.conv_weights.data, b.conv_bias.data, b.features, b.act, nullptr));
  if (b.hidden > 0)
    result.embedding = gemv(result.embedding, b.hidden_weights.data, b.hidden_bias.data, b.hidden, b.hidden_act);
  result.logits = gemv(result.embedding, b.classifier_weights.data, b.classifier_bias.data, b.classes,
                       activation::none);
  return result;
}

result run(const network& net, const map& image) {
  result r;
  map x = stem(net.stem, net.pad, image);
  for (const effnet::block& one : net.blocks) {
    if (std::visit([](const auto& b) { return b.stride; }, one) != 1) r.features.push_back(x);
    x = std::visit([&](const auto& b) { return block(b, net.pad, x); }, one);
  }
  r.features.push_back(x);
  r.head = head(net.head, x);
  return r;
}

}  // namespace reference
}  // namespace effnet
