// SPDX-License-Identifier: Apache-2.0
// One kernel of one instruction set on buffers of its own, to be run again and again by a benchmark.
// Nothing is timed here and no result is looked at; what a kernel computes is tested elsewhere.
#pragma once

#include <napi.h>

namespace effnet::node {

// kernelBench({ isa, kernel, ... }): { name, flops, bytes, run(iterations) }. `flops` and `bytes` are
// those of one iteration: a multiply-add counts two, an operand is counted once however often the
// kernel reads it. `run` blocks until the iterations are done. What the description holds besides
// `isa` and `kernel` depends on the kernel:
//   gemm               m, n, k, activation, residual     m pixels, k to n channels
//   gemm_pool          m, n, k, activation              the same kernel, summing over the pixels
//   stem               height, width, n, activation      of the output; 3 channels in
//   depthwise          kernelSize, stride, channels, height, width, activation; of the output
//   conv               kernelSize, stride, height, width, n, k, activation; k to n channels, size of the output
//   gemv               n, k, activation
//   mean, gate_map     channels, height, width
//   gate_weights       n, k
//   resample           k, m, n, bytes                   bytes a position; n of m outputs from k inputs
//   probe_fma          threads                           runs on all of them at once; sums of all
//   probe_read         threads, bytes                    every thread reads as many of its own
Napi::Value kernel_bench(const Napi::CallbackInfo& info);

}  // namespace effnet::node
