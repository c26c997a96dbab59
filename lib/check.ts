// SPDX-License-Identifier: Apache-2.0
// Argument guards: each returns its argument with the checked type or throws ERR_INVALID_ARGUMENT
// saying "Expected X for name but received Y". They know nothing about networks or files.

import { types } from 'node:util';

import { EfficientNetError } from './errors.js';

/** The error of every guard; `expected` and `name` complete "Expected ... for ...". */
export function invalidArgument(name: string, expected: string, received: unknown): EfficientNetError {
  return new EfficientNetError(
    'ERR_INVALID_ARGUMENT',
    `Expected ${expected} for ${name} but received ${describeValue(received)}`,
  );
}

/** A short, safe description of any value for a message; never runs the value's own code. */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value.length > 60 ? `the string ${JSON.stringify(value.slice(0, 60))}...` : `the string ${JSON.stringify(value)}`;
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'bigint':
      return value < 2n ** 64n && value > -(2n ** 64n) ? `${String(value)}n of type bigint` : 'a bigint of more than 64 bits';
    case 'boolean':
    case 'undefined':
      return String(value);
    case 'function':
      return 'a function';
    case 'symbol':
      return 'a symbol';
    case 'object':
      if (value === null) return 'null';
      if (isRevoked(value)) return 'a revoked Proxy';
      if (Array.isArray(value)) return `an array of length ${value.length}`;
      if (ArrayBuffer.isView(value)) return `a ${viewName(value)} of ${value.byteLength} bytes`;
      return 'an object';
  }
}

/** Its kind by its internal slot, whatever its properties say. */
function viewName(value: ArrayBufferView): string {
  const name: unknown = Reflect.get(Object.getPrototypeOf(Uint8Array.prototype) as object, Symbol.toStringTag, value);
  return typeof name === 'string' ? name : 'DataView';
}

/**
 * Whether it is a Proxy that was revoked: of one, instanceof, Array.isArray and every property throw a
 * TypeError that names nothing. Runs none of the value's own code.
 */
export function isRevoked(value: unknown): boolean {
  if (!types.isProxy(value)) return false;
  try {
    Array.isArray(value); // looks through to the target, and asks no trap
    return false;
  } catch {
    return true;
  }
}

/** The argument, which must not be a revoked Proxy; what else it must be is for others to check. */
export function checkLive<T>(name: string, expected: string, value: T): T {
  if (isRevoked(value)) throw invalidArgument(name, expected, value);
  return value;
}

/** An integer in [minimum, maximum]. */
export function checkInteger(
  name: string,
  value: unknown,
  minimum: number,
  maximum: number = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= minimum && value <= maximum) {
    return value;
  }
  const range =
    maximum === Number.MAX_SAFE_INTEGER ? `an integer of at least ${minimum}` : `an integer from ${minimum} to ${maximum}`;
  throw invalidArgument(name, range, value);
}

/** A finite number in [minimum, maximum]. */
export function checkFinite(
  name: string,
  value: unknown,
  minimum: number = -Infinity,
  maximum: number = Infinity,
): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= minimum && value <= maximum) {
    return value;
  }
  const above = minimum === -Infinity ? '' : ` of at least ${minimum}`;
  const below = maximum === Infinity ? '' : `${above === '' ? ' of' : ' and'} at most ${maximum}`;
  throw invalidArgument(name, `a finite number${above}${below}`, value);
}

/** A string of at least one character. */
export function checkString(name: string, value: unknown): string {
  if (typeof value === 'string' && value.length > 0) return value;
  throw invalidArgument(name, 'a string that is not empty', value);
}

export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw invalidArgument(name, 'true or false', value);
}

/** One of the given strings; a near miss is suggested. */
export function checkOneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  const expected = `one of ${choices.map((choice) => `'${choice}'`).join(', ')}`;
  const error = invalidArgument(name, expected, value);
  const suggestion = typeof value === 'string' ? nearest(value, choices) : undefined;
  if (suggestion === undefined) throw error;
  throw new EfficientNetError('ERR_INVALID_ARGUMENT', `${error.message}. Did you mean '${suggestion}'?`);
}

/** An options object that has no keys but the known ones; undefined counts as no options. */
export function checkOptions<T extends object>(
  name: string,
  value: unknown,
  known: readonly (keyof T & string)[],
): Partial<T> {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || isRevoked(value) || Array.isArray(value) || ArrayBuffer.isView(value)) {
    throw invalidArgument(name, 'an object', value);
  }
  for (const key of Object.keys(value)) {
    // Not of a getter, which is asked once and by whoever wants the option.
    checkLive(key, 'a value that can be read', Object.getOwnPropertyDescriptor(value, key)?.value);
    if (known.some((one) => one === key)) continue;
    const suggestion = nearest(key, known);
    const hint = suggestion === undefined ? `Known options: ${known.join(', ')}` : `Did you mean '${suggestion}'?`;
    throw new EfficientNetError('ERR_INVALID_ARGUMENT', `Unknown option '${key}' in ${name}. ${hint}`);
  }
  return value as Partial<T>;
}

/** The candidate with the smallest edit distance, if it is near enough to be a likely slip. */
export function nearest(text: string, candidates: readonly string[]): string | undefined {
  // Longer texts are no slip of a short name, and the distance costs length times length.
  if (text.length > 80) return undefined;
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const distance = editDistance(text.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  const allowed = Math.max(1, Math.floor(text.length / 3));
  return bestDistance <= allowed ? best : undefined;
}

/** Levenshtein distance: insertions, deletions and substitutions each count one. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/** The bytes of a buffer; none of one that was transferred away, at which the constructor throws. */
export function bufferBytes(buffer: ArrayBufferLike): Uint8Array {
  return buffer.byteLength === 0 ? new Uint8Array(0) : new Uint8Array(buffer);
}

/** A copy; empty where the memory was transferred away or shrunk below the array. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 ? new Uint8Array(0) : new Uint8Array(bytes);
}
