// SPDX-License-Identifier: Apache-2.0
// The kernel table for AVX2 with FMA. The only file built with that instruction set's flags; it exports nothing
// but the table, so that no function compiled for this CPU can be called on a lesser one.
#include "simd/avx2.h"

#include "base/cpu_bits.h"
#include "kernels/conv.inl"
#include "kernels/depthwise.inl"
#include "kernels/depthwise_any.inl"
#include "kernels/gemm.inl"
#include "kernels/probe.inl"
#include "kernels/resample.inl"
#include "kernels/squeeze.inl"
#include "kernels/tables.h"

namespace effnet {
namespace {

using tiles = tile_sizes<false, 9, 6>;  // nine single vectors: 24 channels of 56x56 in 166 us, 176 with six (Zen 3)
constexpr int kSteps = 2;
using dense_tiles = tile_sizes<tiles::kHalves, 14, 6, 4>;
constexpr int kSegment = 7;

}  // namespace

extern constexpr kernel_table kAvx2 = {
    "avx2",
    cpu_bit::avx2_fma,
    f32v::kLanes,
    tiles::kRows[tiles::kVectors - 1],
    tiles::tallest(),
    tiles::kVectors,
    tiles::kHalves,
    kGemvVectors,
    dense_tiles::kVectors,
    f32v::kNewton,
    {"gemm_f32_6x16_avx2", gemm<tiles, kSteps>},
    {"stem_f32_k3s2_avx2", conv<dense_tiles, 2, 3>},
    {"depthwise_f32_k3s1_avx2", depthwise<3, 1, kSegment>},
    {"depthwise_f32_k3s2_avx2", depthwise<3, 2, kSegment>},
    {"depthwise_f32_k5s1_avx2", depthwise<5, 1, kSegment>},
    {"depthwise_f32_k5s2_avx2", depthwise<5, 2, kSegment>},
    {"depthwise_f32_s1_avx2", depthwise_any<1>},
    {"depthwise_f32_s2_avx2", depthwise_any<2>},
    {"conv_f32_s1_avx2", conv<dense_tiles, 1, f32v::kLanes>},
    {"conv_f32_s2_avx2", conv<dense_tiles, 2, f32v::kLanes>},
    {"gemv_f32_avx2", gemv},
    {"mean_f32_avx2", mean},
    {"gate_weights_f32_avx2", gate_weights},
    {"gate_map_f32_avx2", gate_map},
    {"resample_u8_avx2", resample},
    kProbeChains,
    {"probe_fma_f32_avx2", probe_fma},
    {"probe_read_f32_avx2", probe_read},
};

}  // namespace effnet
