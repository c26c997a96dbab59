// SPDX-License-Identifier: Apache-2.0
// Sizes of the register tiles of the matrix product and of the dense convolution, and tables of the functions
// that compute one. Knows no kernel. Included after the vector header of an instruction set.
#pragma once

namespace effnet {
namespace {

// The tallest tiles of 1, 2, ... vectors; the accumulators, a row of weights and one broadcast must fit
// the registers. Tiles that end in half a vector (kernels/pack.h) have an accumulator more for each output.
template <bool Halves, int... Rows>
struct tile_sizes {
  static constexpr bool kHalves = Halves;
  static constexpr int kVectors = sizeof...(Rows);
  static constexpr int kRows[kVectors] = {Rows...};
  static constexpr int rows(int vectors, bool half) {
    int most = kRows[vectors - 1];
    while (half && most * (vectors + 1) + vectors + 2 > f32v::kRegisters) --most;
    return most;
  }
  static constexpr int tallest() {
    int most = 0;
    for (int rows : kRows) most = rows > most ? rows : most;
    return most;
  }
};

// Kind::tile<MR, NV, Half> for every tile up to the tallest of its width, as [half][NV - 1][MR - 1].
template <class Tiles, class Kind>
struct tile_table {
  typename Kind::fn at[2][Tiles::kVectors][Tiles::tallest()];
  constexpr tile_table() : at() {
    fill<1, 1, false>();
    if constexpr (Tiles::kHalves) fill<1, 1, true>();
  }
  // Half a vector follows one or two full ones.
  template <int MR, int NV, bool Half>
  constexpr void fill() {
    static_assert(MR * (NV + Half) + NV + 1 + Half <= f32v::kRegisters, "accumulators would spill");
    at[Half][NV - 1][MR - 1] = Kind::template tile<MR, NV, Half>;
    if constexpr (MR < Tiles::rows(NV, Half))
      fill<MR + 1, NV, Half>();
    else if constexpr (NV < (Half && Tiles::kVectors > 2 ? 2 : Tiles::kVectors))
      fill<1, NV + 1, Half>();
  }
};

}  // namespace
}  // namespace effnet
