// SPDX-License-Identifier: Apache-2.0
// What the fuzzer's thread tells its watcher without a message, since a thread that hangs sends none:
// which execution is running, since when, and on which input.

import { maxInputBytes } from './mutate.js';

const kNumbers = 3 * 8;

export class Shared {
  readonly #numbers: Float64Array;
  readonly #input: Uint8Array;

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(kNumbers + maxInputBytes);
  }

  constructor(memory: SharedArrayBuffer) {
    this.#numbers = new Float64Array(memory, 0, 3);
    this.#input = new Uint8Array(memory, kNumbers);
  }

  begin(execution: number, input: Uint8Array): void {
    this.#input.set(input.subarray(0, maxInputBytes));
    this.#numbers[1] = Math.min(input.length, maxInputBytes);
    this.#numbers[2] = execution;
    this.#numbers[0] = Date.now();
  }

  end(): void {
    this.#numbers[0] = 0;
  }

  /** How long the running execution has taken so far; 0 between two. */
  runningMs(): number {
    const started = this.#numbers[0] ?? 0;
    return started === 0 ? 0 : Date.now() - started;
  }

  get execution(): number {
    return this.#numbers[2] ?? 0;
  }

  get input(): Uint8Array {
    return new Uint8Array(this.#input.subarray(0, this.#numbers[1] ?? 0));
  }
}
