// SPDX-License-Identifier: Apache-2.0
// Bands of source rows for the horizontal pass: turned so that the pixels of one column lie side by
// side, and turned back. Converts every pixel format to RGB on the way; computes nothing.
//
//   source rows            band: [columns][kBandRows][3]
//   r0 | p00 p01 p02 ..    column 0 | p00 p10 p20 .. |
//   r1 | p10 p11 p12 ..    column 1 | p01 p11 p21 .. |
//   r2 | p20 p21 p22 ..    column 2 | p02 p12 p22 .. |
//
// A pixel moves as one word of four bytes, the last of which the next pixel overwrites; where there is
// no next pixel, or it is there already, three bytes move. So nothing outside a row is read or written.
#pragma once

#include <cstddef>
#include <cstdint>

#include "image/prepare.h"
#include "kernels/kernels.h"

namespace effnet {

constexpr int kBandRows = kResampleBytes / 3;

// Source rows top .. top + rows - 1 (at most kBandRows), columns left .. left + columns - 1, to `band`,
// which has room for columns * kResampleBytes bytes. Where there are fewer rows, the rest of a column
// keeps what it had.
void turn_rows(const pixels& src, int top, int rows, int left, int columns, uint8_t* band);

// The first `rows` rows of a band of `columns` columns, to RGB rows `pitch` bytes apart.
void turn_back(const uint8_t* band, int columns, int rows, uint8_t* dst, size_t pitch);

// Source rows as RGB rows, not turned.
void copy_rows(const pixels& src, int top, int rows, int left, int columns, uint8_t* dst, size_t pitch);

int bytes_per_pixel(pixel_format format);

}  // namespace effnet
