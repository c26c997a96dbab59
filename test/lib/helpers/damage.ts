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
