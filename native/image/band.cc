// SPDX-License-Identifier: Apache-2.0
// Turning bands of rows into columns and back.
#include "image/band.h"

#include <algorithm>
#include <cstring>

namespace effnet {

namespace {

// Columns turned together: their part of the band, 6 KB, stays in the first-level cache while the rows
// are walked one after the other.
constexpr int kTile = 128;

uint32_t load_word(const uint8_t* p) {
  uint32_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// The first three bytes of a word in memory are red, green and blue; the fourth is anything.
template <pixel_format Format>
struct reader;

template <>
struct reader<pixel_format::rgb> {
  static constexpr int kBytes = 3;
  static uint32_t word(const uint8_t* p) { return load_word(p); }  // one byte beyond the pixel
  static uint32_t last(const uint8_t* p) {
    uint32_t word = 0;
    std::memcpy(&word, p, 3);
    return word;
  }
};

template <>
struct reader<pixel_format::rgba> {
  static constexpr int kBytes = 4;
  static uint32_t word(const uint8_t* p) { return load_word(p); }
  static uint32_t last(const uint8_t* p) { return word(p); }
};

template <>
struct reader<pixel_format::bgra> {
  static constexpr int kBytes = 4;
  // The same in either byte order: the bytes at the ends but for alpha change places.
  static uint32_t word(const uint8_t* p) {
    const uint8_t rgb[4] = {p[2], p[1], p[0], 0};
    return load_word(rgb);
  }
  static uint32_t last(const uint8_t* p) { return word(p); }
};

template <>
struct reader<pixel_format::gray> {
  static constexpr int kBytes = 1;
  static uint32_t word(const uint8_t* p) { return *p * 0x01010101u; }
  static uint32_t last(const uint8_t* p) { return word(p); }
};

template <class Body>
void with_reader(pixel_format format, Body body) {
  switch (format) {
    case pixel_format::rgb: return body(reader<pixel_format::rgb>());
    case pixel_format::rgba: return body(reader<pixel_format::rgba>());
    case pixel_format::bgra: return body(reader<pixel_format::bgra>());
    case pixel_format::gray: return body(reader<pixel_format::gray>());
  }
}

const uint8_t* pixel_at(const pixels& src, int x, int y, int bytes) {
  return src.data + static_cast<size_t>(y) * src.stride + static_cast<size_t>(x) * static_cast<size_t>(bytes);
}

// `columns` pixels from p to places `step` bytes apart; `Store` bytes of all words but the last.
template <int Store, class Reader>
void spread(Reader, const uint8_t* p, int columns, uint8_t* dst, size_t step) {
  for (int x = 1; x < columns; ++x, p += Reader::kBytes, dst += step) {
    const uint32_t word = Reader::word(p);
    std::memcpy(dst, &word, Store);
  }
  const uint32_t word = Reader::last(p);
  std::memcpy(dst, &word, 3);
}

}  // namespace

int bytes_per_pixel(pixel_format format) {
  int bytes = 0;
  with_reader(format, [&](auto reader) { bytes = reader.kBytes; });
  return bytes;
}

void turn_rows(const pixels& src, int top, int rows, int left, int columns, uint8_t* band) {
  with_reader(src.format, [&](auto reader) {
    for (int x = 0; x < columns; x += kTile) {
      const int count = std::min(kTile, columns - x);
      for (int r = 0; r < rows; ++r) {
        const uint8_t* p = pixel_at(src, left + x, top + r, reader.kBytes);
        uint8_t* dst = band + static_cast<size_t>(x) * kResampleBytes + 3 * r;
        // A word's fourth byte falls on the pixel of the next row, which follows; in the last row it
        // would fall on the next column, which is there already.
        if (r + 1 < kBandRows) {
          spread<4>(reader, p, count, dst, kResampleBytes);
        } else {
          spread<3>(reader, p, count, dst, kResampleBytes);
        }
      }
    }
  });
}

void turn_back(const uint8_t* band, int columns, int rows, uint8_t* dst, size_t pitch) {
  for (int r = 0; r < rows; ++r) {
    const uint8_t* from = band + 3 * r;
    uint8_t* to = dst + static_cast<size_t>(r) * pitch;
    for (int x = 1; x < columns; ++x, from += kResampleBytes, to += 3) std::memcpy(to, from, 4);
    std::memcpy(to, from, 3);
  }
}

void copy_rows(const pixels& src, int top, int rows, int left, int columns, uint8_t* dst, size_t pitch) {
  with_reader(src.format, [&](auto reader) {
    for (int r = 0; r < rows; ++r) {
      const uint8_t* p = pixel_at(src, left, top + r, reader.kBytes);
      spread<4>(reader, p, columns, dst + static_cast<size_t>(r) * pitch, 3);
    }
  });
}

}  // namespace effnet
