// SPDX-License-Identifier: Apache-2.0
// What a reader may do with a damaged file: load it, or refuse it with a typed error.

import { strict as assert } from 'node:assert';
import { EfficientNetError, type ErrorCode } from '../../../lib/errors.js';

/** What a damaged file may be: malformed, of a kind that is not supported, or of weights that do not fit each other. */
const codes: readonly ErrorCode[] = ['ERR_INVALID_CHECKPOINT', 'ERR_UNSUPPORTED', 'ERR_WEIGHTS_MISMATCH'];

/** True for a load, false for a typed error; anything else is a failure. */
export function loads(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    assert.ok(error instanceof EfficientNetError, String(error));
    assert.ok(codes.includes(error.code), error.code);
    return false;
  }
}

/**
 * How long it takes, not counting what the machine does beside it: the shortest of three, by the clock or
 * by the processor's time, which other processes do not lengthen and V8's own threads do.
 */
export function milliseconds(work: () => unknown): number {
  const times = [0, 1, 2].map(() => {
    const [started, before] = [performance.now(), process.cpuUsage()];
    work();
    const { user, system } = process.cpuUsage(before);
    return Math.min(performance.now() - started, (user + system) / 1000);
  });
  return Math.min(...times);
}

const kMilliseconds = 50;

/** As loads, and within 50 ms. */
export function loadsQuickly(read: () => unknown): boolean {
  const started = performance.now();
  const loaded = loads(read);
  if (performance.now() - started >= kMilliseconds) {
    const shortest = milliseconds(() => loads(read));
    assert.ok(shortest < kMilliseconds, `took ${shortest} ms`);
  }
  return loaded;
}

/** That a reader refuses, with the code and in those words, within 50 ms. */
export function assertRefuses(read: () => unknown, code: ErrorCode, message: RegExp): void {
  assertRefusesAtLength(read, code, message);
  assert.ok(!loadsQuickly(read));
}

/** The same for files of megabytes, which take their time. */
export function assertRefusesAtLength(read: () => unknown, code: ErrorCode, message: RegExp): void {
  assert.throws(read, (error: unknown) => {
    assert.ok(error instanceof EfficientNetError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}
