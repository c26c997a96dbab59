// SPDX-License-Identifier: Apache-2.0
// Strict JSON to values, for a file whose structure is not known in advance: equal keys, deep nesting and
// more values than a model can have are refused with their place, before they take memory. Objects
// have no prototype, so that no key means anything but itself. Checks no schema.

import { JsonScanner } from './json-scanner.js';

/** Attributes of a graph's nodes nest 7 deep, a model inside a Keras model 12. */
const kMaxDepth = 64;
/** The largest networks of the family have 200,000. */
const kMaxValues = 1_000_000;

const scalar = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?)(?![\w.+-])/y;

/** The value that all of `bytes` are. Throws ERR_INVALID_CHECKPOINT naming the byte. */
export function parseJsonTree(bytes: Uint8Array): unknown {
  const scanner = new JsonScanner(bytes, 0);
  let values = 0;
  const read = (depth: number): unknown => {
    if (depth > kMaxDepth) scanner.fail(`Expected JSON that nests at most ${kMaxDepth} deep`);
    if (++values > kMaxValues) scanner.fail(`Expected JSON of at most ${kMaxValues} values`);
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
