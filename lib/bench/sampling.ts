// SPDX-License-Identifier: Apache-2.0
// Runs a function again and again and notes how long each run took, and what the system says about
// the time in between. Judges nothing.

import type { Usage } from './trust.js';
import { watchUsage } from './usage.js';

export interface SamplingPlan {
  /** How long to go on, in seconds, warming up not counted. */
  readonly seconds: number;
  /** At least this many runs, unless they take more than `limitSeconds`. */
  readonly fewest: number;
  readonly limitSeconds: number;
  /** Between two turns of the event loop, in seconds; a tenth of one unless given. */
  readonly breath?: number;
  /** Runs before these have warmed up already. */
  readonly isWarm?: boolean;
}

/** A run, begun and ended by the call, or ended when its promise resolves. */
export type Run = () => void | Promise<void>;

/** Runs that followed each other, and what was probed right after them. */
export interface Block {
  readonly milliseconds: readonly number[];
  readonly probed: number;
}

export interface Samples extends Usage {
  readonly milliseconds: readonly number[];
  /** The same runs in blocks of a tenth of a second, of which each ends with a probe; empty without one. */
  readonly blocks: readonly Block[];
}

/** Warming up: caches, branch predictors, the clock, JavaScript's compiler. */
const WARM_UP = { seconds: 0.3, fewest: 3, limitSeconds: 10 } as const;

/** Between two looks at who is watching, in seconds. */
const BREATH = 0.1;

/**
 * Warms up, then samples. `progress` is told the share that is done, ten times a second at most.
 * Lets the event loop turn as often, and calls `probe` then, which measures something else that is to
 * be compared with the runs around it; runs themselves follow each other at once.
 */
export async function sample(run: Run, plan: SamplingPlan, progress?: (share: number) => void, probe?: () => number): Promise<Samples> {
  if (plan.isWarm !== true) await repeat(run, { ...WARM_UP, breath: plan.breath ?? BREATH });
  const blocks: Block[] = [];
  let first = 0;
  const usage = watchUsage();
  const milliseconds = await repeat(run, plan, (share, times) => {
    progress?.(share);
    if (probe === undefined) return;
    blocks.push({ milliseconds: times.slice(first), probed: probe() });
    first = times.length;
  });
  return { milliseconds, blocks, ...usage() };
}

async function repeat(run: Run, plan: SamplingPlan, pause?: (share: number, times: readonly number[]) => void): Promise<number[]> {
  const times: number[] = [];
  const start = performance.now();
  let breath = start;
  for (;;) {
    const before = performance.now();
    const pending = run();
    // Awaiting nothing would put a turn of the queue of promises into the time of every synchronous run.
    if (pending !== undefined) await pending;
    const after = performance.now();
    times.push(after - before);
    const seconds = (after - start) / 1e3;
    if (seconds >= plan.limitSeconds || (seconds >= plan.seconds && times.length >= plan.fewest)) return times;
    if (after - breath < (plan.breath ?? BREATH) * 1e3) continue;
    pause?.(Math.max(seconds / plan.limitSeconds, Math.min(seconds / plan.seconds, times.length / plan.fewest)), times);
    await new Promise((resolve) => setImmediate(resolve));
    breath = performance.now();
  }
}
