// SPDX-License-Identifier: Apache-2.0
// Numbers from samples: quantiles, spread, and the ratio of two contestants that took turns. Knows
// neither clocks nor networks.

/** Milliseconds; of n samples p99 means something from n = 100 on, and is near the largest below. */
export interface Latency {
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  readonly p99: number;
}

/** By linear interpolation between the order statistics (Hyndman and Fan's type 7); NaN of nothing. */
export function quantile(samples: readonly number[], fraction: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = fraction * (sorted.length - 1);
  const below = sorted[Math.floor(at)] ?? NaN;
  const above = sorted[Math.ceil(at)] ?? NaN;
  return below + (above - below) * (at - Math.floor(at));
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

export function latencyOf(milliseconds: readonly number[]): Latency {
  return {
    min: quantile(milliseconds, 0),
    median: median(milliseconds),
    p95: quantile(milliseconds, 0.95),
    p99: quantile(milliseconds, 0.99),
  };
}

/** The distance between the quartiles as a share of the median. */
export function relativeSpread(samples: readonly number[]): number {
  return (quantile(samples, 0.75) - quantile(samples, 0.25)) / median(samples);
}

/** How much slower the second half of the samples is than the first, as a share; negative if faster. */
export function drift(samples: readonly number[]): number {
  const half = Math.ceil(samples.length / 2);
  return median(samples.slice(-half)) / median(samples.slice(0, half)) - 1;
}

/** A ratio with the quartiles between which half of the rounds lie. */
export interface Ratio {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** Between these the median of many more rounds would lie, with 95 % confidence. */
  readonly interval: readonly [low: number, high: number];
}

/**
 * The order statistics between which the median of the distribution lies with a confidence of 95 % at
 * least, whatever the distribution, if the samples are independent (the sign test's interval). All of
 * the samples, and less confidence, below six.
 */
export function medianInterval(samples: readonly number[]): readonly [low: number, high: number] {
  const sorted = [...samples].sort((a, b) => a - b);
  const n = sorted.length;
  // The largest k such that fewer than k of n fair coins show heads at most once in forty.
  let [k, chance, below] = [0, 0.5 ** n, 0];
  while (k < n / 2 && below + chance <= 0.025) {
    below += chance;
    chance *= (n - k) / (k + 1);
    k++;
  }
  const outer = Math.max(0, k - 1);
  return [sorted[outer] ?? NaN, sorted[n - 1 - outer] ?? NaN];
}

/** Of ratios that were taken one by one. */
export function ratioOf(ratios: readonly number[]): Ratio {
  return { median: median(ratios), low: quantile(ratios, 0.25), high: quantile(ratios, 0.75), interval: medianInterval(ratios) };
}

/**
 * The ratio of what was measured in the same round, round by round: what slows a whole round down
 * cancels out. Both lists have one number for each round.
 */
export function pairedRatio(ours: readonly number[], theirs: readonly number[]): Ratio {
  return ratioOf(ours.map((value, i) => value / (theirs[i] ?? NaN)).filter(Number.isFinite));
}
