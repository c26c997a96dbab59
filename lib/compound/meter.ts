// SPDX-License-Identifier: Apache-2.0
// What a network costs on this machine, measured with made-up weights: milliseconds for one image and
// the memory that it holds. Chooses no network.

import type { Isa } from '../binding.js';
import { sample, type SamplingPlan } from '../bench/sampling.js';
import { median, relativeSpread } from '../bench/statistics.js';
import { openMadeUp, type Subject, type SubjectOptions } from '../bench/subject.js';
import { judgeSamples, judgeUsage } from '../bench/trust.js';
import { cpu } from '../cpu.js';
import { describe } from '../describe.js';
import { EfficientNetError } from '../errors.js';
import type { Network } from '../network.js';

/** A network's cost as measured. */
export interface Measured {
  /** The median of its runs; NaN where only the memory was wanted. */
  readonly milliseconds: number;
  /** Packed weights and activations, in bytes. */
  readonly memory: number;
  /** Between the quartiles of the runs, as a share of the median. */
  readonly spread: number;
  readonly runs: number;
  /** Why the time may not be believed; empty on a quiet machine. */
  readonly doubts: readonly string[];
}

/** How long to measure: one network of many, the one that was chosen, or one that was chosen by counting. */
export type Effort = 'memory' | 'short' | 'long' | 'brief';

export interface Meter {
  readonly isa: Isa;
  readonly threads: number;
  measure(network: Network, effort: Effort, signal?: AbortSignal): Promise<Measured>;
}

const plans = {
  short: { seconds: 0.5, fewest: 12, limitSeconds: 6 },
  long: { seconds: 1.5, fewest: 25, limitSeconds: 15 },
  brief: { seconds: 0.3, fewest: 10, limitSeconds: 3 },
} as const;

/** Nothing was decided by the time of what was counted: where a run takes over a second, three must do. */
const kSlow = { milliseconds: 1000, plan: { seconds: 0, fewest: 3, limitSeconds: Infinity, isWarm: true } } as const;

/**
 * Milliseconds of a first run up to which further ones may hold the event loop, as those of `bench` do: what
 * it takes to call another thread would be some per cent of less.
 */
const kQuick = 25;
/** Between two turns of the event loop, in seconds. */
const BREATH = 0.01;

/** A disturbed measurement is repeated, up to this many times in all. */
const MOST_ATTEMPTS = 3;
/** Milliseconds after which no further one is begun: large networks take long enough once. */
const LONGEST_ATTEMPTS = 3000;

/** Measures on this machine; the instruction set and threads that a model would use unless given. */
export function machineMeter({ threads, isa }: { readonly threads?: number | undefined; readonly isa?: Isa | undefined }): Meter {
  const report = cpu();
  const used = isa ?? report.chosen;
  if (used === null) {
    throw new EfficientNetError(
      'ERR_UNSUPPORTED',
      'EFFICIENTNET_SIMD_ISA names an instruction set that cannot be used here; efficientnet-simd info --cpu lists those that can',
    );
  }
  const options = { threads: threads ?? report.cores, isa: used };
  return { ...options, measure: (network, effort, signal) => measure(network, options, effort, signal) };
}

async function measure(
  network: Network,
  options: { readonly threads: number; readonly isa: Isa },
  effort: Effort,
  signal?: AbortSignal,
): Promise<Measured> {
  signal?.throwIfAborted();
  checkMemory(network);
  const { resolution } = network;
  const subject = await open(network, { ...options, height: resolution, width: resolution }, signal);
  try {
    const start = performance.now();
    await subject.start(signal);
    const first = performance.now() - start;
    if (effort === 'memory')
      return { milliseconds: NaN, memory: memoryOf(subject), spread: NaN, runs: 1, doubts: [] };
    const once = (): Promise<Measured> => attempt(subject, effort, first, signal);
    const end = performance.now() + LONGEST_ATTEMPTS;
    const attempts = [await once()];
    // Whatever disturbs makes it slower, never faster: the best of the attempts is the network's own time.
    while (attempts.length < MOST_ATTEMPTS && performance.now() < end && attempts.every(({ doubts }) => doubts.length > 0))
      attempts.push(await once());
    const undisturbed = attempts.filter(({ doubts }) => doubts.length === 0);
    return (undisturbed.length > 0 ? undisturbed : attempts).reduce((a, b) => (b.milliseconds < a.milliseconds ? b : a));
  } finally {
    await subject.close();
  }
}

/** `first` is what a first run took, in milliseconds. */
async function attempt(subject: Subject, effort: Exclude<Effort, 'memory'>, first: number, signal?: AbortSignal): Promise<Measured> {
  const plan: SamplingPlan = effort === 'brief' && first > kSlow.milliseconds ? kSlow.plan : plans[effort];
  const run = first > kQuick ? (): Promise<void> => subject.start(signal) : subject.run;
  const samples = await sample(run, { ...plan, breath: BREATH }, () => signal?.throwIfAborted());
  signal?.throwIfAborted();
  const { milliseconds } = samples;
  return {
    milliseconds: median(milliseconds),
    memory: memoryOf(subject),
    spread: relativeSpread(milliseconds),
    runs: milliseconds.length,
    doubts: [...judgeSamples(milliseconds), ...judgeUsage(samples)].filter((doubt) => doubt !== undefined),
  };
}

function memoryOf(subject: Subject): number {
  const { weightBytes, activationBytes } = subject.info;
  return weightBytes + activationBytes;
}

/** The weights exist twice for a moment: made up, and packed. */
function checkMemory(network: Network): void {
  const needed = 2 * 4 * describe(network).parameters;
  const free = process.availableMemory();
  if (needed > free)
    throw outOfMemory(network, `${Math.ceil(needed / 2 ** 20)} MiB, of which ${Math.floor(free / 2 ** 20)} MiB are free`);
}

async function open(network: Network, options: SubjectOptions, signal?: AbortSignal): Promise<Subject> {
  try {
    return await openMadeUp(network, options, signal);
  } catch (error) {
    // A typed array that cannot be had is a RangeError.
    if (error instanceof RangeError) throw outOfMemory(network, 'more memory than this process may take');
    throw error;
  }
}

function outOfMemory({ name }: Network, needed: string): EfficientNetError {
  return new EfficientNetError('ERR_OUT_OF_MEMORY', `Measuring ${name} needs ${needed}: choose a smaller network`);
}
