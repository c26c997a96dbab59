// SPDX-License-Identifier: Apache-2.0
// test/golden/make_networks.py as a process that makes one random network after the other: starting
// PyTorch takes seconds, a small network tenths of one. Compares nothing.

import { strict as assert } from 'node:assert';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { pythonWith, root } from './oracle.js';

const script = join(root, 'test', 'golden', 'make_networks.py');

export type Library = 'torchvision' | 'timm';
export type Size = readonly [height: number, width: number];

export interface NetworkJob {
  readonly library: Library;
  readonly model: string;
  readonly seed: number;
  readonly classes: number;
  readonly batch: number;
  /** Images from which batch norm's statistics are made; 2 unless given. */
  readonly statistics?: number;
  readonly sizes: readonly Size[];
  /** The maps of each stride too; torchvision only. */
  readonly features?: boolean;
  readonly out: string;
  /** Torch's names of element types: then files in both containers for each, in place of weights.pth. */
  readonly types?: readonly string[];
}

/** A Python that has the library, or undefined; throws where the environment says that it must be there. */
export function pythonFor(library: Library): string | undefined {
  return pythonWith(['torch', library], library === 'timm' ? 'EFFNET_REQUIRE_TIMM' : 'EFFNET_REQUIRE_TORCH');
}

export class ReferenceNetworks {
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  readonly #answers: AsyncIterator<string>;
  #errors = '';

  constructor(python: string) {
    assert.ok(existsSync(script), script);
    this.#process = spawn(python, ['-W', 'ignore', script], { stdio: ['pipe', 'pipe', 'pipe'] });
    assert.ok(this.#process.stdout !== null && this.#process.stderr !== null);
    this.#process.stderr.setEncoding('utf8').on('data', (text: string) => (this.#errors = (this.#errors + text).slice(-2000)));
    this.#lines = createInterface({ input: this.#process.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  /** What the process says first: versions of the libraries. */
  start(): Promise<Readonly<Record<string, unknown>>> {
    return this.#answer();
  }

  /** The network's parameters, once its files are written. */
  async make(job: NetworkJob): Promise<number> {
    const { parameters } = await this.#ask(job);
    assert.equal(typeof parameters, 'number');
    return Number(parameters);
  }

  /** How the library prepares images for each of its published weights. */
  configurations(library: Library): Promise<Readonly<Record<string, unknown>>> {
    return this.#ask({ configurations: library });
  }

  /** Parameters and multiply-accumulates of one of the library's models, an image of size x size pixels. */
  async count(library: Library, model: string, size: number): Promise<{ readonly parameters: number; readonly macs: number }> {
    const { parameters, macs } = await this.#ask({ count: library, model, size });
    return { parameters: Number(parameters), macs: Number(macs) };
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('close', resolve));
    this.#process.stdin?.end();
    await ended;
    this.#lines.close();
  }

  async #ask(job: object): Promise<Readonly<Record<string, unknown>>> {
    this.#process.stdin?.write(`${JSON.stringify(job)}\n`);
    const answer = await this.#answer();
    assert.equal(answer['error'], undefined, String(answer['error']));
    return answer;
  }

  async #answer(): Promise<Readonly<Record<string, unknown>>> {
    const { value, done } = await this.#answers.next();
    assert.ok(done !== true, `the reference process ended: ${this.#errors}`);
    return JSON.parse(value) as Readonly<Record<string, unknown>>;
  }
}
