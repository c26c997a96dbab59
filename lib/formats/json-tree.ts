// SPDX-License-Identifier: Apache-2.0
// Strict JSON to values, for a file whose structure is not known in advance: equal keys, deep nesting and
// more values than a model can have are refused with their place, before they take memory. Objects
// have no prototype, so that no key means anything but itself. Checks no schema.

import { invalidCheckpoint } from './bytes.js';
import { JsonScanner } from './json-scanner.js';

/** Attributes of a graph's nodes nest 7 deep, a model inside a Keras model 12. */
const kMaxDepth = 64;
/** L2's graph has 80,000 values, and marks at most twice as many. */
const kMaxMarks = 400_000;

const scalar = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?)(?![\w.+-])/y;

/** The value that all of `bytes` are. Throws ERR_INVALID_CHECKPOINT naming the byte. */
export function parseJsonTree(bytes: Uint8Array): unknown {
  checkMarks(bytes);
  const scanner = new JsonScanner(bytes, 0);
  const read = (depth: number): unknown => {
    if (depth > kMaxDepth) scanner.fail(`Expected JSON that nests at most ${kMaxDepth} deep`);
    const found = scanner.match(scalar);
    if (found !== undefined) return JSON.parse(found[0]);
    switch (scanner.next()) {
      case '{': {
        const members = Object.create(null) as Record<string, unknown>;
        scanner.object((key) => (members[key] = read(depth + 1)));
        return members;
      }
      case '[':
        return list(() => read(depth + 1));
      default:
        return scanner.string();
    }
  };
  const list = (element: () => unknown): readonly unknown[] => {
    const elements: unknown[] = [];
    scanner.expect('[');
    if (scanner.accept(']')) return elements;
    do elements.push(element());
    while (scanner.accept(','));
    scanner.expect(']');
    return elements;
  };
  const value = read(0);
  if (scanner.offset < bytes.length) scanner.fail('Malformed JSON: something follows the value');
  return value;
}

/** Every value but the outermost follows one of three marks: counting them is many times as fast as reading the values. */
function checkMarks(bytes: Uint8Array): void {
  let marks = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    const isMark = byte === 0x2c || byte === 0x3a || byte === 0x5b; // , : [
    if (isMark && ++marks > kMaxMarks) throw invalidCheckpoint(`Expected JSON of at most ${kMaxMarks} values and keys`, at);
  }
}
