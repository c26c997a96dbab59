// SPDX-License-Identifier: Apache-2.0
// The kernel table for AArch64 NEON. The only file built with that instruction set's flags; it exports nothing
// but the table, so that no function compiled for this CPU can be called on a lesser one.
#include "simd/neon.h"

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

using tiles = tile_sizes<false, 6, 6, 6>;
constexpr int kSteps = 1;
using dense_tiles = tile_sizes<tiles::kHalves, 14, 10, 6>;
constexpr int kSegment = 14;
constexpr int kShortSegment = 10;  // of 14, GCC 12 keeps weights of 5 x 5 with stride 2 on the stack

}  // namespace

extern constexpr kernel_table kNeon = {
    "neon",
    cpu_bit::neon,
    f32v::kLanes,
    tiles::kRows[tiles::kVectors - 1],
    tiles::tallest(),
    tiles::kVectors,
    tiles::kHalves,
    kGemvVectors,
    dense_tiles::kVectors,
    f32v::kNewton,
    {"gemm_f32_6x12_neon", gemm<tiles, kSteps>},
    {"stem_f32_k3s2_neon", conv<dense_tiles, 2, 3>},
    {"depthwise_f32_k3s1_neon", depthwise<3, 1, kSegment>},
    {"depthwise_f32_k3s2_neon", depthwise<3, 2, kSegment>},
    {"depthwise_f32_k5s1_neon", depthwise<5, 1, kSegment>},
    {"depthwise_f32_k5s2_neon", depthwise<5, 2, kShortSegment>},
    {"depthwise_f32_s1_neon", depthwise_any<1>},
    {"depthwise_f32_s2_neon", depthwise_any<2>},
    {"conv_f32_s1_neon", conv<dense_tiles, 1, f32v::kLanes>},
    {"conv_f32_s2_neon", conv<dense_tiles, 2, f32v::kLanes>},
    {"gemv_f32_neon", gemv},
    {"mean_f32_neon", mean},
    {"gate_weights_f32_neon", gate_weights},
    {"gate_map_f32_neon", gate_map},
    {"resample_u8_neon", resample},
    kProbeChains,
    {"probe_fma_f32_neon", probe_fma},
    {"probe_read_f32_neon", probe_read},
};

}  // namespace effnet
