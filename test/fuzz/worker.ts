// SPDX-License-Identifier: Apache-2.0
// The fuzzer's loop over one reader, in a thread of its own so that a reader that never returns can be
// stopped. Which inputs reach new code is told by the kind of outcome: a message that was not seen
// before (numbers and names left out) keeps its input as a seed for more.

import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parentPort, workerData } from 'node:worker_threads';
import { EfficientNetError } from '../../lib/errors.js';
import { mutate, Random } from './mutate.js';
import type { FuzzReader } from './reader.js';
import { readers } from './readers.js';
import { Shared } from './shared.js';

/** What the thread is told. */
export interface Task {
  readonly reader: string;
  /** A module whose `readers` are used in place of the registry: the fuzzer's own tests. */
  readonly module?: string;
  readonly seconds: number;
  readonly seed: number;
  readonly shared: SharedArrayBuffer;
  /** One file to read instead of a run. */
  readonly input?: Uint8Array;
}

export interface Summary {
  readonly executions: number;
  readonly seconds: number;
  /** Files that were accepted. */
  readonly loads: number;
  /** Kinds of outcome. */
  readonly outcomes: number;
  /** Of the slowest execution, not counting one that was fast when repeated. */
  readonly slowestMs: number;
  /** Bytes that one execution took at most. */
  readonly largestBytes: number;
  /** What memory grew by over the run, in bytes. */
  readonly growth: number;
}

export interface Failure {
  readonly problem: string;
  readonly input: Uint8Array;
  readonly execution: number;
}

const kSlowMs = 1000;
const kMaxCorpus = 2000;
/** One execution: what its input's length explains, and what parsing anything costs. */
const kBytesPerInputByte = 400;
const kBytesAtLeast = 16 * 2 ** 20;
const kMaxGrowth = 24 * 2 ** 20;
const kExecutionsBetweenChecks = 20_000;

async function main(task: Task): Promise<void> {
  const { readers: known } = task.module === undefined ? { readers } : ((await import(task.module)) as { readers: readonly FuzzReader[] });
  const reader = known.find(({ name }) => name === task.reader);
  if (reader === undefined) throw new Error(`no reader ${task.reader}`);
  const run = new Run(reader, await reader.seeds(), task);
  parentPort?.postMessage(await run.all());
}

class Run {
  readonly #reader: FuzzReader;
  readonly #task: Task;
  readonly #shared: Shared;
  readonly #random: Random;
  readonly #tokens: readonly Uint8Array[];
  readonly #corpus: Uint8Array[];
  readonly #outcomes = new Set<string>();
  readonly #collect: () => void;
  #executions = 0;
  #loads = 0;
  #slowestMs = 0;
  #largestBytes = 0;

  constructor(reader: FuzzReader, seeds: readonly Uint8Array[], task: Task) {
    this.#reader = reader;
    this.#task = task;
    this.#shared = new Shared(task.shared);
    this.#random = new Random(task.seed);
    this.#tokens = (reader.tokens ?? []).map((token) => (typeof token === 'string' ? Buffer.from(token) : token));
    this.#corpus = seeds.map((seed) => new Uint8Array(seed));
    setFlagsFromString('--expose-gc');
    this.#collect = runInNewContext('gc') as () => void;
  }

  async all(): Promise<Summary | Failure> {
    const started = performance.now();
    const { input, seconds } = this.#task;
    const files = input === undefined ? this.#corpus.slice() : [input];
    for (const file of files) {
      const failure = await this.#execute(file, input === undefined);
      if (failure !== undefined) return failure;
    }
    let base = this.#memory();
    let next = kExecutionsBetweenChecks;
    let growth = 0;
    while (input === undefined && performance.now() - started < seconds * 1000) {
      const failure = await this.#execute(mutate(this.#random, this.#corpus, this.#tokens), false);
      if (failure !== undefined) return failure;
      if (this.#executions < next) continue;
      // What waits for the event loop, as zlib's memory after a damaged stream, is given back by then.
      await new Promise((resolve) => setImmediate(resolve));
      // The first stretch warms up: compiled code and kept seeds are no leak.
      if (next === kExecutionsBetweenChecks) base = this.#memory();
      next += kExecutionsBetweenChecks;
      growth = this.#memory() - base - this.#corpusBytes();
      if (growth > kMaxGrowth) return this.#failure(`memory grew by ${growth} bytes in ${this.#executions} executions`, new Uint8Array(0));
    }
    return {
      executions: this.#executions,
      seconds: (performance.now() - started) / 1000,
      loads: this.#loads,
      outcomes: this.#outcomes.size,
      slowestMs: this.#slowestMs,
      largestBytes: this.#largestBytes,
      growth: Math.max(0, growth),
    };
  }

  /** A seed must be accepted: a reader that refuses everything would pass every other check. */
  async #execute(input: Uint8Array, mustLoad: boolean): Promise<Failure | undefined> {
    this.#executions++;
    this.#shared.begin(this.#executions, input);
    const before = allocated();
    const started = performance.now();
    const outcome = await this.#outcomeOf(input);
    let ms = performance.now() - started;
    const bytes = allocated() - before;
    if (outcome instanceof Error) return this.#failure(`threw ${outcome.stack ?? String(outcome)}`, input);
    if (mustLoad && outcome !== '') return this.#failure(`refused a seed: ${outcome}`, input);
    if (ms > this.#slowestMs) ms = await this.#timeAgain(input, ms);
    if (ms > kSlowMs) return this.#failure(`took ${Math.round(ms)} ms for ${input.length} bytes`, input);
    this.#slowestMs = Math.max(this.#slowestMs, ms);
    this.#largestBytes = Math.max(this.#largestBytes, bytes);
    if (bytes > kBytesAtLeast + kBytesPerInputByte * input.length) {
      return this.#failure(`took ${bytes} bytes of memory for a file of ${input.length}`, input);
    }
    this.#shared.end();
    if (this.#corpus.length < kMaxCorpus && !this.#outcomes.has(outcome)) {
      this.#outcomes.add(outcome);
      this.#corpus.push(input);
    }
    return undefined;
  }

  /** '' for an accepted file, the kind of refusal, or an error that must not be. */
  async #outcomeOf(input: Uint8Array): Promise<string | Error> {
    try {
      const result = this.#reader.read(input);
      if (result instanceof Promise) await result;
      this.#loads++;
      return '';
    } catch (error) {
      if (error instanceof EfficientNetError) return kindOf(error);
      return error instanceof Error ? error : new Error(`something that is no error: ${String(error)}`);
    }
  }

  /** A pause of the machine is not the reader's. */
  async #timeAgain(input: Uint8Array, ms: number): Promise<number> {
    const loads = this.#loads;
    this.#shared.begin(this.#executions, input);
    const started = performance.now();
    await this.#outcomeOf(input);
    this.#loads = loads;
    return Math.min(ms, performance.now() - started);
  }

  #corpusBytes(): number {
    return this.#corpus.reduce((sum, file) => sum + file.length, 0);
  }

  #memory(): number {
    // Twice: the memory of buffers is given back behind the first collection.
    this.#collect();
    this.#collect();
    return allocated();
  }

  #failure(problem: string, input: Uint8Array): Failure {
    return { problem, input, execution: this.#executions };
  }
}

function allocated(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}

/** A message without what differs from file to file: its first words. */
function kindOf({ code, message }: EfficientNetError): string {
  const words = message.replace(/"(?:[^"\\]|\\.)*"|'[^']*'/g, ' ').match(/[A-Za-z]{2,}/g) ?? [];
  return `${code} ${words.slice(0, 16).join(' ')}`;
}

void main(workerData as Task);
