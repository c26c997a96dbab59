// SPDX-License-Identifier: Apache-2.0
// What this machine can do, measured and not looked up: multiply-adds from registers and the rate at
// which each level of memory is read. The roofline's roof.

import { addon, fromNative, type Isa, type KernelBench, type KernelShape } from '../binding.js';
import { cpu } from '../cpu.js';

export interface Peak {
  /** Of all threads together; a multiply-add counts two. */
  readonly gflops: number;
  readonly threads: number;
  /** The kernel that reached it. */
  readonly kernel: string;
}

export interface Bandwidth {
  readonly level: 'L1' | 'L2' | 'L3' | 'memory';
  /** Size of the buffer that was read again and again. */
  readonly bytes: number;
  /** 10^9 bytes a second, of all threads together. */
  readonly gigabytesPerSecond: number;
}

/** One stretch of measuring; long enough that waking a thread does not count, short enough to miss a neighbour. */
const STRETCH_MS = 15;
const STRETCHES = 12;
const PROBE_MS = 1;

/**
 * The most that `threads` cores do at once with the instruction set (empty: the one a model would
 * use). The best of several stretches, since whatever disturbs makes it slower, never faster.
 */
export function measurePeak(isa: Isa | '', threads: number): Peak {
  const { best, kernel } = fastest({ kernel: 'probe_fma', threads }, isa, STRETCHES);
  return { gflops: (best.flops / best.milliseconds) / 1e6, threads, kernel };
}

/**
 * The same in two milliseconds, again and again: GFLOP/s of the better of two stretches. To be compared
 * with what ran right before, on the same clock and beside the same neighbours.
 */
export function peakProbe(isa: Isa | '', threads: number): () => number {
  const { probe, timed, count } = prepare({ kernel: 'probe_fma', threads }, isa, PROBE_MS);
  return () => (probe.flops * count) / Math.min(timed(count), timed(count)) / 1e6;
}

/** Reads half of each cache, so that it fits for certain, and a buffer four times the last cache. */
export function measureBandwidth(isa: Isa | '', threads: number): readonly Bandwidth[] {
  const { l1, l2, l3 } = cpu().caches;
  const sizes: readonly (readonly [Bandwidth['level'], number])[] = [
    ['L1', l1 / 2],
    ['L2', l2 / 2],
    // Shared by the cores, unlike the other two.
    ...(l3 > 4 * l2 ? [['L3', l3 / 2 / threads] as const] : []),
    ['memory', Math.min(LARGEST_BUFFER, Math.max(64 << 20, 4 * l3)) / threads],
  ];
  return sizes.map(([level, size]) => {
    const bytes = Math.max(4096, Math.floor(size / 4096) * 4096);
    const { best } = fastest({ kernel: 'probe_read', threads, bytes }, isa, STRETCHES / 2);
    return { level, bytes, gigabytesPerSecond: best.bytes / best.milliseconds / 1e6 };
  });
}

const LARGEST_BUFFER = 512 << 20;

interface Stretch {
  readonly milliseconds: number;
  /** Of the whole stretch. */
  readonly flops: number;
  readonly bytes: number;
}

interface Prepared {
  readonly probe: KernelBench;
  /** Milliseconds of so many calls. */
  readonly timed: (count: number) => number;
  /** Calls that take about as long as asked. */
  readonly count: number;
}

function prepare(shape: KernelShape, isa: Isa | '', milliseconds: number): Prepared {
  try {
    const probe = addon().kernelBench({ ...shape, isa });
    const timed = (count: number): number => {
      const start = performance.now();
      probe.run(count);
      return performance.now() - start;
    };
    let count = 1;
    while (timed(count) < milliseconds / 3 && count < 2 ** 29) count *= 2;
    return { probe, timed, count: 3 * count };
  } catch (error) {
    throw fromNative(error);
  }
}

function fastest(shape: KernelShape, isa: Isa | '', stretches: number): { readonly best: Stretch; readonly kernel: string } {
  const { probe, timed, count } = prepare(shape, isa, STRETCH_MS);
  const milliseconds = Math.min(...Array.from({ length: stretches }, () => timed(count)));
  return { best: { milliseconds, flops: probe.flops * count, bytes: probe.bytes * count }, kernel: probe.name };
}
