// SPDX-License-Identifier: Apache-2.0
// A fresh process that loads one file and runs it once, and prints what that took as JSON: memory at its
// highest, and how long the event loop had to wait. For loading.test.ts; Linux only.

import { readFileSync } from 'node:fs';

import { addon } from '../../../lib/binding.js';
import { load } from '../../../lib/index.js';

/** Bytes of a field of /proc/self/status. */
function memory(field: 'VmRSS' | 'VmHWM'): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'latin1'));
  return Number(match?.[1]) * 1024;
}

/** Nanoseconds that this thread has spent on a processor: waiting for one does not count. */
function busy(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')[0]);
}

async function main([path = '', architecture = '']: readonly string[]): Promise<void> {
  addon();
  const before = memory('VmRSS');
  let last = busy();
  let blocked = 0;
  const tick = (): void => {
    const now = busy();
    blocked = Math.max(blocked, now - last);
    last = now;
  };
  const timer = setInterval(tick, 1);
  const began = performance.now();
  const model = await load({ weights: path, threads: 2, ...(architecture === '' ? {} : { architecture }) });
  tick();
  clearInterval(timer);
  const loadTime = performance.now() - began;
  const loaded = memory('VmHWM') - before;
  const { resolution } = model.info;
  const logits = await model.run(new Float32Array(resolution * resolution * 3).fill(0.1));
  const firstTime = performance.now() - began;
  const run = memory('VmHWM') - before;
  const milliseconds = { load: loadTime, firstLogits: firstTime, blocked: blocked / 1e6 };
  process.stdout.write(JSON.stringify({ loaded, run, left: memory('VmRSS') - before, milliseconds, finite: logits.every(Number.isFinite) }));
}

void main(process.argv.slice(2));
