// SPDX-License-Identifier: Apache-2.0
// Assertions on the errors of the public functions: class, code, and what the message must say.

import { strict as assert } from 'node:assert';

import { EfficientNetError } from '../../../lib/index.js';

function assertError(error: unknown, code: string, parts: readonly string[]): asserts error is EfficientNetError {
  assert.ok(error instanceof EfficientNetError, String(error));
  assert.equal(error.code, code, error.message);
  for (const part of parts) assert.ok(error.message.includes(part), error.message);
}

/** Fails unless the call throws such an error. */
export function refuses(call: () => unknown, code: string, ...parts: readonly string[]): void {
  assert.throws(call, (error: unknown) => {
    assertError(error, code, parts);
    return true;
  });
}

/** The error that the promise rejects with. */
export async function rejects(promise: Promise<unknown>, code: string, ...parts: readonly string[]): Promise<EfficientNetError> {
  const error = await promise.then(
    () => assert.fail('resolved'),
    (reason: unknown) => reason,
  );
  assertError(error, code, parts);
  return error;
}
