// SPDX-License-Identifier: Apache-2.0
// Weights of a checkpoint to rows of float32. Each type is widened to the same double precision number
// that JavaScript would see, so that the result is that of lib/fold.ts bit for bit.
#include "engine/stored_weights.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "base/finite.h"

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace effnet {

namespace {

// Every value of these types is a float32 exactly, so nothing is rounded before the factor.
struct f32_element {
  static constexpr size_t kBytes = 4;
  static float load(const uint8_t* p) {
    float v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
};

struct f64_element {
  static constexpr size_t kBytes = 8;
  static double load(const uint8_t* p) {
    double v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
};

float from_bits(uint32_t bits) {
  float v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

uint32_t half_word(const uint8_t* p) {
  uint16_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// The upper half of a float32.
struct bf16_element {
  static constexpr size_t kBytes = 2;
  static float load(const uint8_t* p) { return from_bits(half_word(p) << 16); }
};

// IEEE 754 binary16: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction.
struct f16_element {
  static constexpr size_t kBytes = 2;
  static float load(const uint8_t* p) {
    const uint32_t half = half_word(p), sign = (half & 0x8000u) << 16, rest = half & 0x7fffu;
    if (rest >= 0x7c00u) return from_bits(sign | 0x7f800000u | rest << 13);
    if (rest >= 0x0400u) return from_bits(sign | ((rest << 13) + (112u << 23)));
    const float subnormal = float(rest) * (1.0f / (1 << 24));
    return sign != 0 ? -subnormal : subnormal;
  }
};

// stored * factor, rounded once; times 1 is exact, so that no weight without a norm changes.
template <class Element>
float scaled(const uint8_t* from, double factor) {
  return static_cast<float>(static_cast<double>(Element::load(from)) * factor);
}

template <class Element>
double widened(const uint8_t* bytes, int i) {
  return static_cast<double>(Element::load(bytes + size_t(i) * Element::kBytes));
}

double number_at(const stored_vector& v, int i) {
  switch (v.type) {
    case element_type::f32: return widened<f32_element>(v.bytes, i);
    case element_type::f16: return widened<f16_element>(v.bytes, i);
    case element_type::bf16: return widened<bf16_element>(v.bytes, i);
    case element_type::f64: return widened<f64_element>(v.bytes, i);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

// [n][in][taps]: what is wanted, row for row.
template <class Element>
uint32_t read_engine(const stored_weights& w, const double* factors, size_t length, int first, int count, float* dst) {
  uint32_t bad = 0;
  for (int row = first; row < first + count; ++row, dst += length) {
    const uint8_t* src = w.bytes + size_t(row) * length * Element::kBytes;
    const double factor = factors != nullptr ? factors[row] : 1.0;
    for (size_t i = 0; i < length; ++i) {
      dst[i] = scaled<Element>(src + i * Element::kBytes, factor);
      bad |= not_finite(dst[i]);
    }
  }
  return bad;
}

// [taps][in][n]: runs of `count` outputs are read, and written to as many rows, whose lines the first-level
// cache holds until they are full.
template <class Element>
uint32_t read_outputs_last(const stored_weights& w, const double* factors, int n, int in, int taps, int first, int count, float* dst) {
  uint32_t bad = 0;
  const size_t length = size_t(in) * taps;
  for (int i = 0; i < in; ++i)
    for (int t = 0; t < taps; ++t) {
      const uint8_t* src = w.bytes + ((size_t(t) * in + i) * n + first) * Element::kBytes;
      float* to = dst + size_t(i) * taps + t;
      for (int r = 0; r < count; ++r) {
        const float value = scaled<Element>(src + r * Element::kBytes, factors != nullptr ? factors[first + r] : 1.0);
        bad |= not_finite(value);
        to[r * length] = value;
      }
    }
  return bad;
}

template <class Element>
bool read_as(const stored_weights& w, const double* factors, int n, int in, int taps, int first, int count, float* dst) {
  const uint32_t bad = w.outputs_last ? read_outputs_last<Element>(w, factors, n, in, taps, first, count, dst)
                                      : read_engine<Element>(w, factors, size_t(in) * taps, first, count, dst);
  return bad == 0;
}

}  // namespace

bool fold_norm(const stored_norm& norm, int n, double* factors, float* bias) {
  bool sound = true, all_zero = true;
  for (int o = 0; o < n; ++o) {
    const double scale = number_at(norm.scale, o), variance = number_at(norm.variance, o), spread = variance + norm.epsilon;
    factors[o] = scale / std::sqrt(spread);
    const double folded = number_at(norm.shift, o) - number_at(norm.mean, o) * factors[o];
    bias[o] = static_cast<float>(folded);
    // An infinite scale over an infinite spread, or a mean of zero, could hide one another.
    sound = sound && std::isfinite(scale) && std::isfinite(bias[o]) && variance >= 0 && spread > 0 && std::isfinite(variance);
    all_zero = all_zero && variance == 0;
  }
  return sound && !all_zero;
}

bool read_rows(const stored_weights& w, const double* factors, int n, int in, int taps, int first, int count, float* dst) {
  switch (w.type) {
    case element_type::f32: return read_as<f32_element>(w, factors, n, in, taps, first, count, dst);
    case element_type::f16: return read_as<f16_element>(w, factors, n, in, taps, first, count, dst);
    case element_type::bf16: return read_as<bf16_element>(w, factors, n, in, taps, first, count, dst);
    case element_type::f64: return read_as<f64_element>(w, factors, n, in, taps, first, count, dst);
  }
  return false;
}

void release(const stored_weights& w, size_t elements) {
#if defined(__linux__)
  if (!w.spent) return;
  static const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t bytes = reinterpret_cast<uintptr_t>(w.bytes);
  const uintptr_t begin = (bytes + page - 1) / page * page, end = (bytes + elements * element_bytes(w.type)) / page * page;
  // A request: where it is refused (locked memory), the pages stay until the buffer is freed.
  if (end > begin) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
#else
  (void)w;
  (void)elements;
#endif
}

}  // namespace effnet
