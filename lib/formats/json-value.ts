// SPDX-License-Identifier: Apache-2.0
// Guards for values out of a parsed JSON file: each returns the typed value or throws
// ERR_INVALID_CHECKPOINT saying what was expected. Not for callers' arguments; see check.ts.

import { invalidCheckpoint } from './bytes.js';

export type JsonObject = Readonly<Record<string, unknown>>;

export function asObject(value: unknown, what: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw invalidCheckpoint(`Expected an object for ${what}`);
}

export function asArray(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw invalidCheckpoint(`Expected an array for ${what}`);
}

export function asString(value: unknown, what: string): string {
  if (typeof value === 'string' && value.length > 0) return value;
  throw invalidCheckpoint(`Expected a string for ${what}`);
}
