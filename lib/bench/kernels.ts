// SPDX-License-Identifier: Apache-2.0
// Measures single kernels with the package `benchmark`, on the shapes that networks have. Every kernel
// finds its operands where the last run left them, in a cache if they fit: the network's own runs are
// colder, and `bench --layers` shows those.

import type Benchmark from 'benchmark';

import { addon, fromNative, type Isa, type KernelBench } from '../binding.js';
import { cpu } from '../cpu.js';
import { EfficientNetError } from '../errors.js';
import type { KernelUse } from './kernel-shapes.js';
import { measurePeak, type Peak } from './machine.js';
import { machine, type BenchProgress, type Machine } from './model-bench.js';
import { median, quantile, relativeSpread } from './statistics.js';
import { judgePeak, percent, verdict, WIDEST_SPREAD, type Verdict } from './trust.js';

export interface KernelTime {
  /** As in model.info.kernels. */
  readonly kernel: string;
  readonly label: string;
  /** How many layers of each network have this shape. */
  readonly layers: Readonly<Record<string, number>>;
  /** Microseconds of one call on one thread. */
  readonly microseconds: { readonly min: number; readonly median: number };
  readonly samples: number;
  readonly spread: number;
  /** Whether the samples of this kernel agree. */
  readonly trustworthy: boolean;
  readonly gflops: number;
  readonly peakFraction: number;
  /** Operands, each counted once, over the time. */
  readonly gigabytesPerSecond: number;
}

export interface KernelsBench extends Verdict {
  readonly isa: Isa;
  readonly threads: 1;
  readonly peak: Peak;
  readonly machine: Machine;
  readonly kernels: readonly KernelTime[];
}

export interface KernelsOptions {
  /** Empty: the one a model would use. */
  readonly isa: Isa | '';
  /** For each kernel. */
  readonly seconds: number;
}

/** A sample of `benchmark` calls the kernel often enough that the way into the addon does not count. */
const LEAST_MICROSECONDS = 200;
const FEWEST_SAMPLES = 10;

/** Rejects with ERR_MISSING_DEPENDENCY where `benchmark` is not installed, ERR_UNSUPPORTED for an ISA that is not here. */
export async function benchKernels(uses: readonly KernelUse[], options: KernelsOptions, progress: BenchProgress): Promise<KernelsBench> {
  const Runner = await loadBenchmark();
  progress('Measuring the peak', 0);
  const before = measurePeak(options.isa, 1);
  const measured: { readonly use: KernelUse; readonly bench: KernelBench; readonly seconds: readonly number[] }[] = [];
  for (const [i, use] of uses.entries()) {
    progress(use.label, i / uses.length);
    const bench = prepare(use, options.isa);
    measured.push({ use, bench, seconds: await measure(Runner, bench, options.seconds) });
  }
  const after = measurePeak(options.isa, 1);
  const peak = after.gflops > before.gflops ? after : before;
  const kernels = measured.map(({ use, bench, seconds }) => timeOf(use, bench, seconds, peak.gflops));
  return { isa: chosen(options.isa), threads: 1, peak, machine: machine(), ...judge(kernels, before, after), kernels };
}

/** The optional package, loaded when first needed. */
async function loadBenchmark(): Promise<typeof Benchmark> {
  try {
    return (await import('benchmark')).default;
  } catch (cause) {
    throw new EfficientNetError(
      'ERR_MISSING_DEPENDENCY',
      'bench --kernels needs the package benchmark, which is not installed. Run `npm install --no-save benchmark`',
      { cause },
    );
  }
}

function prepare({ shape }: KernelUse, isa: Isa | ''): KernelBench {
  try {
    return addon().kernelBench({ ...shape, isa });
  } catch (error) {
    throw fromNative(error);
  }
}

/** Seconds of one call of the kernel, one number for each sample. */
async function measure(Runner: typeof Benchmark, bench: KernelBench, seconds: number): Promise<readonly number[]> {
  const timed = (count: number): number => {
    const start = performance.now();
    bench.run(count);
    return (performance.now() - start) * 1e3;
  };
  let calls = 1;
  while (timed(calls) < LEAST_MICROSECONDS && calls < 2 ** 20) calls *= 2;
  const { stats, error } = await new Promise<Benchmark>((resolve) => {
    const run = new Runner('kernel', () => bench.run(calls), {
      maxTime: seconds,
      minSamples: FEWEST_SAMPLES,
      // A sample shorter than that of the package's own choice (50 ms), so that a second holds many.
      minTime: Math.min(0.05, seconds / (2 * FEWEST_SAMPLES)),
      onComplete: () => resolve(run),
    });
    run.run({ async: true });
  });
  if (error !== undefined) throw fromNative(error);
  return stats.sample.map((each: number) => each / calls);
}

function timeOf({ label, layers }: KernelUse, bench: KernelBench, seconds: readonly number[], peak: number): KernelTime {
  const middle = median(seconds);
  const gflops = bench.flops / middle / 1e9;
  return {
    kernel: bench.name,
    label,
    layers,
    microseconds: { min: quantile(seconds, 0) * 1e6, median: middle * 1e6 },
    samples: seconds.length,
    spread: relativeSpread(seconds),
    trustworthy: relativeSpread(seconds) <= WIDEST_SPREAD,
    gflops,
    peakFraction: gflops / peak,
    gigabytesPerSecond: bench.bytes / middle / 1e9,
  };
}

/** Among more than a hundred a few meet a disturbance: each says so itself, and the others stand. */
const MOST_NOISY = 0.2;

function judge(kernels: readonly KernelTime[], before: Peak, after: Peak): Verdict {
  const noisy = kernels.filter(({ trustworthy }) => !trustworthy);
  return verdict([
    noisy.length > MOST_NOISY * kernels.length
      ? `the samples of ${noisy.length} of ${kernels.length} kernels spread over more than ${percent(WIDEST_SPREAD)} of their median`
      : undefined,
    judgePeak(before.gflops, after.gflops),
  ]);
}

function chosen(isa: Isa | ''): Isa {
  if (isa !== '') return isa;
  const { chosen: best, isas } = cpu();
  return best ?? isas.at(-1)?.name ?? 'scalar';
}
