// SPDX-License-Identifier: Apache-2.0
// What a reader may do with a damaged file: load it, or refuse it with a typed error.

import { strict as assert } from 'node:assert';
import { EfficientNetError } from '../../../lib/errors.js';

/** True for a load, false for a typed error; anything else is a failure. */
export function loads(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    assert.ok(error instanceof EfficientNetError, String(error));
    assert.ok(error.code === 'ERR_INVALID_CHECKPOINT' || error.code === 'ERR_UNSUPPORTED', error.code);
    return false;
  }
}

/** How long it takes, not counting what the machine does beside it: the shortest of three. */
export function milliseconds(work: () => unknown): number {
  const times = [0, 1, 2].map(() => {
    const started = performance.now();
    work();
    return performance.now() - started;
  });
  return Math.min(...times);
}
