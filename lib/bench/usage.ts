// SPDX-License-Identifier: Apache-2.0
// What the operating system says about this process between two moments: processor time, how often a
// core was taken away, and for how long its threads had to wait for one. Judges nothing.

import { readdirSync, readFileSync } from 'node:fs';

import type { Usage } from './trust.js';

/** Begins to watch; the function returned says what has happened since. */
export function watchUsage(): () => Usage {
  const queue = queueTimes();
  const cpu = process.cpuUsage();
  const switches = process.resourceUsage().involuntaryContextSwitches;
  const start = performance.now();
  return () => {
    const elapsed = performance.now() - start;
    const { user, system } = process.cpuUsage(cpu);
    const taken = process.resourceUsage().involuntaryContextSwitches - switches;
    const waitingShare = shareBetween(queue, queueTimes());
    return {
      cpuShare: (user + system) / 1e3 / elapsed,
      switchesPerSecond: taken / (elapsed / 1e3),
      ...(waitingShare === undefined ? {} : { waitingShare }),
    };
  };
}

/** Nanoseconds that each thread ran, and was ready to run but had no core. */
type QueueTimes = ReadonlyMap<string, readonly [ran: number, waited: number]>;

/** Linux alone keeps them (Documentation/scheduler/sched-stats.rst), and not in every build; empty elsewhere. */
function queueTimes(): QueueTimes {
  const times = new Map<string, readonly [number, number]>();
  try {
    for (const thread of readdirSync('/proc/self/task')) {
      const [ran, waited] = readFileSync(`/proc/self/task/${thread}/schedstat`, 'ascii').split(' ').map(Number);
      if (ran !== undefined && waited !== undefined) times.set(thread, [ran, waited]);
    }
  } catch {
    return new Map(); // no such files, or a thread that ended between two lines
  }
  return times;
}

/** Of the time that threads wanted a core, the share that they had none. */
function shareBetween(before: QueueTimes, after: QueueTimes): number | undefined {
  let [ran, waited] = [0, 0];
  for (const [thread, [laterRan, laterWaited]] of after) {
    const [earlierRan, earlierWaited] = before.get(thread) ?? [0, 0];
    ran += laterRan - earlierRan;
    waited += laterWaited - earlierWaited;
  }
  return before.size === 0 || !(ran + waited > 0) ? undefined : waited / (ran + waited);
}
