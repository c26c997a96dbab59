// SPDX-License-Identifier: Apache-2.0
// The kernel table for AVX-512. The only file built with that instruction set's flags; it exports nothing
// but the table, so that no function compiled for this CPU can be called on a lesser one.
#include "simd/avx512.h"

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

using tiles = tile_sizes<true, 14, 14>;
constexpr int kSteps = 1;
using dense_tiles = tile_sizes<tiles::kHalves, 14, 14, 9>;
using stem_tiles = tile_sizes<false, 14, 14, 9>;  // halves in runs of 9: 1.33 against 0.76 ms for 24 channels of 384x384
constexpr int kSegment = 14;

}  // namespace

extern constexpr kernel_table kAvx512 = {
    "avx512",
    cpu_bit::avx512,
    f32v::kLanes,
    tiles::kRows[tiles::kVectors - 1],
    tiles::tallest(),
    tiles::kVectors,
    tiles::kHalves,
    kGemvVectors,
    dense_tiles::kVectors,
    f32v::kNewton,
    {"gemm_f32_14x32_avx512", gemm<tiles, kSteps>},
    {"stem_f32_k3s2_avx512", conv<stem_tiles, 2, 3>},
    {"depthwise_f32_k3s1_avx512", depthwise<3, 1, kSegment>},
    {"depthwise_f32_k3s2_avx512", depthwise<3, 2, kSegment>},
    {"depthwise_f32_k5s1_avx512", depthwise<5, 1, kSegment>},
    {"depthwise_f32_k5s2_avx512", depthwise<5, 2, kSegment>},
    {"depthwise_f32_s1_avx512", depthwise_any<1>},
    {"depthwise_f32_s2_avx512", depthwise_any<2>},
    {"conv_f32_s1_avx512", conv<dense_tiles, 1, f32v::kLanes>},
    {"conv_f32_s2_avx512", conv<dense_tiles, 2, f32v::kLanes>},
    {"gemv_f32_avx512", gemv},
    {"mean_f32_avx512", mean},
    {"gate_weights_f32_avx512", gate_weights},
    {"gate_map_f32_avx512", gate_map},
    {"resample_u8_avx512", resample},
    kProbeChains,
    {"probe_fma_f32_avx512", probe_fma},
    {"probe_read_f32_avx512", probe_read},
};

}  // namespace effnet
