// SPDX-License-Identifier: Apache-2.0
// The process of one contestant: answers the race's requests one after the other, and exits when its
// input ends. Started as `node --expose-gc child.js NAME`; sleeps while others run.

import { createInterface } from 'node:readline';

import { watchUsage } from '../usage.js';
import { NotInstalled, MARK, type Answer, type Memory, type Opened, type Request, type Response, type Rest, type Task, type Turn } from './protocol.js';
import type { Contestant } from './contestant.js';

/** Only the one that runs is loaded: what the others need would count as its memory. */
const contestants: Readonly<Record<string, () => Promise<Contestant>>> = {
  'efficientnet-simd': async () => new (await import('./own.js')).Own(),
  'onnxruntime-node': async () => new (await import('./onnxruntime.js')).OnnxruntimeNode(),
  'onnxruntime-web': async () => new (await import('./onnxruntime.js')).OnnxruntimeWeb(),
  'sharp + onnxruntime-node': async () => new (await import('./onnxruntime.js')).SharpOnnxruntime(),
  'transformers.js': async () => new (await import('./transformers.js')).TransformersPipeline(),
};

class Host {
  #contestant: Contestant | undefined;

  async handle(request: Request): Promise<Opened | Answer | Memory | Rest | Turn> {
    switch (request.method) {
      case 'open':
        return this.#open(request.task);
      case 'answer':
        return this.#answer();
      case 'run':
        return this.#run(request.warmUp, request.milliseconds, request.fewest);
      case 'memory':
        return { resident: resident() };
      case 'rest':
        return { idle: await comesToRest() };
    }
  }

  async #open(task: Task): Promise<Opened> {
    const bare = resident();
    const start = performance.now();
    const make = contestants[process.argv[2] ?? ''];
    if (make === undefined) throw new Error(`no contestant is called ${process.argv[2] ?? ''}`);
    this.#contestant = await make();
    const version = await this.#contestant.open(task);
    const milliseconds = performance.now() - start;
    return { version, milliseconds, bare, loaded: resident() };
  }

  async #answer(): Promise<Answer> {
    const contestant = this.#opened();
    const start = performance.now();
    await contestant.run();
    const milliseconds = performance.now() - start;
    return { values: Array.from(contestant.values()), milliseconds };
  }

  async #run(warmUp: number, duration: number, fewest: number): Promise<Turn> {
    const contestant = this.#opened();
    const ready = performance.now();
    for (let i = 0; i < warmUp && (i === 0 || performance.now() - ready < duration); i++) await contestant.run();
    const usage = watchUsage();
    const start = performance.now();
    const milliseconds: number[] = [];
    for (let now = start; now - start < duration || milliseconds.length < fewest; ) {
      await contestant.run();
      const after = performance.now();
      milliseconds.push(after - now);
      now = after;
    }
    return { milliseconds, ...usage() };
  }

  #opened(): Contestant {
    if (this.#contestant === undefined) throw new Error('the contestant has not been opened');
    return this.#contestant;
  }
}

/** A window long enough for clocks that tick every 16 ms, and how much of it may be busy. */
const WINDOW_MS = 100;
const IDLE_SHARE = 0.25;
const MOST_WINDOWS = 30;

async function comesToRest(): Promise<boolean> {
  for (let i = 0; i < MOST_WINDOWS; i++) {
    const cpu = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, WINDOW_MS));
    const { user, system } = process.cpuUsage(cpu);
    if ((user + system) / 1e3 < IDLE_SHARE * WINDOW_MS) return true;
  }
  return false;
}

function resident(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

function respond(response: Response): void {
  process.stdout.write(`${MARK}${JSON.stringify(response)}\n`);
}

async function serve(): Promise<void> {
  const host = new Host();
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Request;
    try {
      respond({ id: request.id, ok: true, value: await host.handle(request) });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const install = error instanceof NotInstalled ? error.install : undefined;
      respond({ id: request.id, ok: false, error: { message, ...(install === undefined ? {} : { install }) } });
    }
  }
  process.exit(); // onnxruntime's threads would keep it
}

void serve();
