// SPDX-License-Identifier: Apache-2.0
// The kernel table for any CPU: plain C++. The only file built with that instruction set's flags; it exports nothing
// but the table, so that no function compiled for this CPU can be called on a lesser one.
#include "simd/scalar.h"

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

using tiles = tile_sizes<true, 4, 4>;
constexpr int kSteps = 1;
using dense_tiles = tile_sizes<tiles::kHalves, 4, 4>;
constexpr int kSegment = 7;

}  // namespace

extern constexpr kernel_table kScalar = {
    "scalar",
    0,
    f32v::kLanes,
    tiles::kRows[tiles::kVectors - 1],
    tiles::tallest(),
    tiles::kVectors,
    tiles::kHalves,
    kGemvVectors,
    dense_tiles::kVectors,
    f32v::kNewton,
    {"gemm_f32_4x8_scalar", gemm<tiles, kSteps>},
    {"stem_f32_k3s2_scalar", conv<dense_tiles, 2, 3>},
    {"depthwise_f32_k3s1_scalar", depthwise<3, 1, kSegment>},
    {"depthwise_f32_k3s2_scalar", depthwise<3, 2, kSegment>},
    {"depthwise_f32_k5s1_scalar", depthwise<5, 1, kSegment>},
    {"depthwise_f32_k5s2_scalar", depthwise<5, 2, kSegment>},
    {"depthwise_f32_s1_scalar", depthwise_any<1>},
    {"depthwise_f32_s2_scalar", depthwise_any<2>},
    {"conv_f32_s1_scalar", conv<dense_tiles, 1, f32v::kLanes>},
    {"conv_f32_s2_scalar", conv<dense_tiles, 2, f32v::kLanes>},
    {"gemv_f32_scalar", gemv},
    {"mean_f32_scalar", mean},
    {"gate_weights_f32_scalar", gate_weights},
    {"gate_map_f32_scalar", gate_map},
    {"resample_u8_scalar", resample},
    kProbeChains,
    {"probe_fma_f32_scalar", probe_fma},
    {"probe_read_f32_scalar", probe_read},
};

}  // namespace effnet
