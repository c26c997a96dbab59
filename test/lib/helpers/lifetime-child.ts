// SPDX-License-Identifier: Apache-2.0
// A process, or a worker in it, that ends in the middle of an inference: the scenarios of
// lifetime.test.ts, one per name. Prints what it saw as JSON; the test looks at the exit code too.

import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { load, type Model } from '../../../lib/index.js';
import { noise, syntheticCheckpoint } from './synthetic.js';

const numbers = 224 * 224 * 3;
/** Seconds of work, in pieces of a fraction of a millisecond: blocks of one small image each. */
const longBatch = (): Float32Array => new Float32Array(48 * numbers).fill(0.5);

/** No vector code, and one thread unless said otherwise: the slowest that there is. */
function slowModel(threads = 1): Promise<Model> {
  return load({ weights: syntheticCheckpoint(), threads, isa: 'scalar' });
}

function say(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function startLongRun(): Promise<Model> {
  const model = await slowModel();
  model.run(longBatch()).then(
    () => say('finished'),
    (error: unknown) => say(`failed ${String(error)}`),
  );
  await sleep(30);
  return model;
}

const scenarios: Readonly<Record<string, () => Promise<void>>> = {
  async 'exit'() {
    await startLongRun();
    process.exit(7);
  },

  async 'throw'() {
    await startLongRun();
    throw new Error('thrown on purpose');
  },

  // The promise keeps the process alive until it settles; the idle model then does not.
  async 'wait'() {
    const model = await load({ weights: syntheticCheckpoint(), threads: 2 });
    void model.run(new Float32Array(numbers)).then((logits) => say(logits.length));
  },

  async 'close'() {
    const model = await startLongRun();
    void model.close();
  },

  async 'workers'() {
    const times: number[] = [];
    for (let i = 0; i < 18; i++) {
      const worker = new Worker(__filename, { workerData: ['run', 'run-lanes', 'run-sync', 'run-batch'][i % 4] });
      await once(worker, 'message');
      await sleep((i * 7) % 20);
      const before = performance.now();
      await worker.terminate();
      times.push(performance.now() - before);
    }
    say({ terminated: times.length, slowest: Math.max(...times) });
  },

  async 'worker-exit'() {
    for (let i = 0; i < 8; i++) {
      const worker = new Worker(__filename, { workerData: 'exit' });
      const [code] = (await once(worker, 'exit')) as readonly unknown[];
      if (code !== 5) throw new Error(`the worker exited with ${String(code)}`);
    }
    say('exited');
  },

  // Loads, runs and ends without closing, again and again in one process.
  async 'worker-reload'() {
    const results: string[] = [];
    for (let i = 0; i < 8; i++) {
      const worker = new Worker(__filename, { workerData: 'once' });
      const ended = once(worker, 'exit');
      results.push(String(await once(worker, 'message')));
      await ended;
    }
    say({ runs: results.length, different: new Set(results).size });
  },

  // Models that are dropped without close(); needs --expose-gc.
  async 'collect'() {
    const collect = globalThis.gc;
    if (collect === undefined) throw new Error('started without --expose-gc');
    const threads = (): number => readdirSync('/proc/self/task').length;
    const bytes = syntheticCheckpoint();
    const use = async (): Promise<void> => {
      const model = await load({ weights: bytes, threads: 3 });
      await model.run(new Float32Array(numbers));
    };
    await use();
    const settle = async (): Promise<void> => {
      for (let i = 0; i < 5; i++) {
        collect();
        await sleep(5);
      }
    };
    await settle();
    const before = threads();
    for (let i = 0; i < 20; i++) await use();
    const most = threads();
    await settle();
    say({ before, most, after: threads() });
  },
};

const workers: Readonly<Record<string, () => Promise<void>>> = {
  async 'run'() {
    const model = await slowModel();
    const batch = longBatch();
    for (let i = 0; i < 2; i++) void model.run(batch);
    parentPort?.postMessage('started');
  },
  // One image on each thread: of a tensor, and of calls that wait.
  async 'run-batch'() {
    const model = await slowModel(3);
    void model.run(longBatch());
    parentPort?.postMessage('started');
  },
  async 'run-lanes'() {
    const model = await slowModel(3);
    const image = new Float32Array(numbers);
    for (let i = 0; i < 40; i++) void model.run(image);
    parentPort?.postMessage('started');
  },
  async 'run-sync'() {
    const model = await slowModel();
    parentPort?.postMessage('started');
    const image = new Float32Array(numbers);
    for (;;) model.runSync(image);
  },
  async 'exit'() {
    const model = await slowModel();
    void model.run(longBatch());
    await sleep(10);
    process.exit(5);
  },
  async 'once'() {
    const model = await slowModel();
    parentPort?.postMessage((await model.run(noise(numbers, 3))).join());
  },
};

const name: unknown = isMainThread ? process.argv[2] : workerData;
const scenario = typeof name === 'string' ? (isMainThread ? scenarios : workers)[name] : undefined;
if (scenario === undefined) throw new Error(`no scenario ${String(name)}`);
void scenario();
