// SPDX-License-Identifier: Apache-2.0
// The fuzzer's command: npm run fuzz -- [--reader NAME]... [--seconds N] [--seed N] [--jobs N] [--input FILE]
// Changes small checkpoints at random, reads them, and counts. A reader may refuse a file with an
// EfficientNetError; it may not throw anything else, take over a second, take memory that the file's
// length does not explain, or keep memory. Prints `N passed, N failed` last, one for each reader;
// a failing input is written to the temporary folder, to be read again with --input.

import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { readers } from './readers.js';
import { Shared } from './shared.js';
import type { Failure, Summary, Task } from './worker.js';

/** Far above the limit of one second, which the thread itself measures: here nothing came back at all. */
const kHangMs = 8000;

/** Runs one reader to its end in a thread; a thread that hangs or dies is a failure. */
export function fuzz(task: Omit<Task, 'shared'>, hangMs: number = kHangMs): Promise<Summary | Failure> {
  const memory = Shared.allocate();
  const shared = new Shared(memory);
  const worker = new Worker(join(__dirname, 'worker.js'), {
    workerData: { ...task, shared: memory } satisfies Task,
    resourceLimits: { maxOldGenerationSizeMb: 1024 },
  });
  return new Promise((resolve) => {
    const fail = (problem: string): void => resolve({ problem, input: shared.input, execution: shared.execution });
    const watch = setInterval(() => {
      if (shared.runningMs() <= hangMs) return;
      fail(`did not return within ${hangMs} ms`);
      void worker.terminate();
    }, Math.min(500, hangMs));
    worker.on('message', (result: Summary | Failure) => resolve(result));
    worker.on('error', (error) => fail(`ended its thread: ${String(error)}`));
    worker.on('exit', (code) => {
      clearInterval(watch);
      fail(`ended its thread with status ${code}`);
    });
  });
}

export function isFailure(result: Summary | Failure): result is Failure {
  return 'problem' in result;
}

function report(name: string, seed: number, result: Summary | Failure): boolean {
  if (isFailure(result)) {
    const path = join(tmpdir(), `fuzz-${name}-${seed}-${result.execution}.bin`);
    writeFileSync(path, result.input);
    console.log(`FAILED: ${name}, execution ${result.execution} of seed ${seed}: ${result.problem}`);
    console.log(`        npm run fuzz -- --reader ${name} --input ${path}`);
    return false;
  }
  const { executions, seconds, loads, outcomes, slowestMs, largestBytes, growth } = result;
  console.log(
    `${name}: ${executions} executions in ${seconds.toFixed(1)} s, ${loads} accepted, ${outcomes} kinds of outcome, ` +
      `slowest ${slowestMs.toFixed(1)} ms, largest ${(largestBytes / 2 ** 20).toFixed(1)} MB, grown by ${(growth / 2 ** 20).toFixed(1)} MB`,
  );
  return true;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      reader: { type: 'string', multiple: true, default: [] },
      seconds: { type: 'string', default: '10' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      jobs: { type: 'string', default: String(availableParallelism()) },
      input: { type: 'string' },
    },
  });
  const names = readers.map(({ name }) => name);
  const [seconds, seed, jobs] = [Number(values.seconds), Number(values.seed), Number(values.jobs)];
  const stranger = values.reader.find((name) => !names.includes(name));
  if (stranger !== undefined || !(seconds > 0) || !Number.isInteger(seed) || !(jobs >= 1)) {
    console.error(`Expected --reader from ${names.join(', ')}; --seconds above 0; --seed and --jobs whole numbers`);
    process.exitCode = 2;
    return;
  }
  const wanted = values.reader.length > 0 ? values.reader : names;
  const input = values.input === undefined ? undefined : new Uint8Array(readFileSync(values.input));
  console.log(`seed ${seed}`);
  let [passed, executions] = [0, 0];
  const queue = [...wanted];
  const work = async (): Promise<void> => {
    for (let reader = queue.shift(); reader !== undefined; reader = queue.shift()) {
      const result = await fuzz({ reader, seconds, seed, ...(input && { input }) });
      if (report(reader, seed, result)) passed++;
      if (!isFailure(result)) executions += result.executions;
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, wanted.length) }, work));
  console.log(`${executions} executions over ${wanted.length} readers`);
  console.log(`${passed} passed, ${wanted.length - passed} failed`);
  process.exitCode = passed === wanted.length ? 0 : 1;
}

if (require.main === module) void main();
