// SPDX-License-Identifier: Apache-2.0
// Runs a function again and again and notes how long each run took, and what the system says about
// the time in between. Judges nothing.

import type { Usage } from './trust.js';

export interface SamplingPlan {
  /** How long to go on, in seconds, warming up not counted. */
  readonly seconds: number;
  /** At least this many runs, unless they take more than `limitSeconds`. */
  readonly fewest: number;
  readonly limitSeconds: number;
}

export interface Samples extends Usage {
  readonly milliseconds: readonly number[];
}

/** Warming up: caches, branch predictors, the clock, JavaScript's compiler. */
const WARM_UP = { seconds: 0.3, fewest: 3, limitSeconds: 10 } as const;

/** Between two looks at who is watching, in seconds. */
const BREATH = 0.1;

/**
 * Warms up, then samples. `progress` is told the share that is done, ten times a second at most.
 * Lets the event loop turn as often; runs themselves follow each other at once.
 */
export async function sample(run: () => void, plan: SamplingPlan, progress?: (share: number) => void): Promise<Samples> {
  await repeat(run, WARM_UP);
  const cpu = process.cpuUsage();
  const switches = process.resourceUsage().involuntaryContextSwitches;
  const start = performance.now();
  const milliseconds = await repeat(run, plan, progress);
  const elapsed = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return {
    milliseconds,
    cpuShare: (user + system) / 1e3 / elapsed,
    switchesPerSecond: (process.resourceUsage().involuntaryContextSwitches - switches) / (elapsed / 1e3),
  };
}

async function repeat(run: () => void, plan: SamplingPlan, progress?: (share: number) => void): Promise<number[]> {
  const times: number[] = [];
  const start = performance.now();
  let breath = start;
  for (;;) {
    const before = performance.now();
    run();
    const after = performance.now();
    times.push(after - before);
    const seconds = (after - start) / 1e3;
    if (seconds >= plan.limitSeconds || (seconds >= plan.seconds && times.length >= plan.fewest)) return times;
    if (after - breath < BREATH * 1e3) continue;
    progress?.(Math.max(seconds / plan.limitSeconds, Math.min(seconds / plan.seconds, times.length / plan.fewest)));
    await new Promise((resolve) => setImmediate(resolve));
    breath = performance.now();
  }
}
