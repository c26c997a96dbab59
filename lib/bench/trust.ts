// SPDX-License-Identifier: Apache-2.0
// Whether a measurement may be believed. The rules are here, once, with the reason in words when one
// is broken; what to do then is the caller's.

import { drift, relativeSpread, type Ratio } from './statistics.js';

/** Half of the samples must lie within this share of the median. A quiet machine gives 0.5 to 2 %. */
export const WIDEST_SPREAD = 0.05;
/** The medians of a measurement's halves may differ by this share. */
export const LARGEST_DRIFT = 0.03;
/** The multiply-add peak before and after a measurement may differ by this share. */
export const LARGEST_PEAK_CHANGE = 0.05;
/** Processor time over elapsed time: below this somebody else had the core. */
export const LEAST_CPU_SHARE = 0.95;
/** Of the time that the threads of the process wanted a core, the share that they waited for one. */
export const MOST_WAITING = 0.05;
/** Times a second that the system took a core away, where it does not say for how long. One competitor on one core gives 100 to 250. */
export const MOST_SWITCHES = 30;
export const FEWEST_SAMPLES = 10;
/**
 * The interval in which a ratio's median lies with 95 % confidence, as a share of the median. Fifteen
 * rounds whose quartiles are 5 % apart, the rule of old, have an interval of this width.
 */
export const WIDEST_INTERVAL = 0.04;
/** With fewer rounds there is no such interval. */
export const FEWEST_ROUNDS = 6;

/** What the operating system says about a measurement. */
export interface Usage {
  /** Processor time of the process, all threads, over elapsed time. */
  readonly cpuShare: number;
  /** Involuntary context switches a second; 0 where the system does not count them. */
  readonly switchesPerSecond: number;
  /** Time that threads were ready but had no core, over that and the time that they ran; only where the system tells. */
  readonly waitingShare?: number;
}

export interface Verdict {
  readonly trustworthy: boolean;
  /** What is wrong, one sentence each; empty if nothing is. */
  readonly reasons: readonly string[];
}

export function verdict(reasons: readonly (string | undefined)[]): Verdict {
  const found = reasons.filter((reason) => reason !== undefined);
  return { trustworthy: found.length === 0, reasons: found };
}

export function percent(share: number, digits = 0): string {
  return `${(100 * share).toFixed(digits)} %`;
}

/** Judges samples of one thing measured again and again. */
export function judgeSamples(samples: readonly number[]): readonly (string | undefined)[] {
  const spread = relativeSpread(samples);
  const moved = drift(samples);
  return [
    samples.length < FEWEST_SAMPLES ? `only ${samples.length} runs; ${FEWEST_SAMPLES} are needed to see their spread` : undefined,
    !(spread <= WIDEST_SPREAD)
      ? `the middle half of the runs spreads over ${percent(spread, 1)} of the median, more than ${percent(WIDEST_SPREAD)}`
      : undefined,
    Math.abs(moved) > LARGEST_DRIFT
      ? `the second half of the runs was ${percent(Math.abs(moved), 1)} ${moved > 0 ? 'slower' : 'faster'} than the first, more than ${percent(LARGEST_DRIFT)}`
      : undefined,
  ];
}

export function judgeUsage({ cpuShare, switchesPerSecond, waitingShare }: Usage): readonly (string | undefined)[] {
  return [
    cpuShare < LEAST_CPU_SHARE ? `the process had a core for ${percent(cpuShare)} of the time only: something else was running on it` : undefined,
    // How often says little where it is known for how long: two threads on two cores are interrupted by whatever stirs.
    waitingShare === undefined && switchesPerSecond > MOST_SWITCHES
      ? `a core was taken away ${Math.round(switchesPerSecond)} times a second: something else was running on it`
      : undefined,
    waitingShare !== undefined && waitingShare > MOST_WAITING
      ? `its threads waited for a core for ${percent(waitingShare)} of the time: something else was running on it`
      : undefined,
  ];
}

/** The same peak, measured before and after. */
export function judgePeak(before: number, after: number): string | undefined {
  const moved = after / before - 1;
  return Math.abs(moved) > LARGEST_PEAK_CHANGE
    ? `the measured peak changed by ${percent(moved, 1)} meanwhile: the clock, or a neighbour, changed`
    : undefined;
}

/** A ratio taken round by round: its median must be known well enough. */
export function judgeRatio(name: string, { median, interval: [low, high] }: Ratio, rounds: number): string | undefined {
  if (rounds < FEWEST_ROUNDS) return `${name}: only ${rounds} rounds; ${FEWEST_ROUNDS} are needed to see how well they agree`;
  const width = (high - low) / median;
  return width <= WIDEST_INTERVAL
    ? undefined
    : `${name}: the ratio is somewhere between ${low.toFixed(3)} and ${high.toFixed(3)}, ${percent(width, 1)} apart, more than ${percent(WIDEST_INTERVAL)}`;
}
