// SPDX-License-Identifier: Apache-2.0
// Readers with one fault each, for the fuzzer's own tests: each accepts its seed and then breaks its
// promise on some changed file.

import { EfficientNetError } from '../../../lib/errors.js';
import type { FuzzReader } from '../../fuzz/reader.js';

const seed = Buffer.from('a seed of some length, so that most changes keep its first byte');
const isSound = (bytes: Uint8Array): boolean => Buffer.from(bytes).equals(seed);
const kept: Uint8Array[] = [];

function faulty(name: string, read: (bytes: Uint8Array) => void): FuzzReader {
  return { name, seeds: () => [seed], read: (bytes) => (isSound(bytes) ? undefined : read(bytes)) };
}

export const readers: readonly FuzzReader[] = [
  faulty('throws-another-error', (bytes) => void new DataView(bytes.buffer).getUint32(bytes.length)),
  faulty('throws-no-error', () => {
    throw 'text';
  }),
  faulty('never-returns', () => {
    for (;;);
  }),
  faulty('is-slow', () => {
    for (const start = performance.now(); performance.now() - start < 1100; );
  }),
  faulty('believes-a-length', (bytes) => new Uint8Array(bytes.length * 2 ** 20)),
  faulty('keeps-memory', (bytes) => void kept.push(new Uint8Array(bytes), new Uint8Array(4096))),
  { name: 'refuses-its-seed', seeds: () => [seed], read: () => fail() },
  { name: 'rejects-late', seeds: () => [seed], read: async (bytes) => (isSound(bytes) ? undefined : Promise.reject(new RangeError('late'))) },
  { name: 'is-sound', seeds: () => [seed], read: (bytes) => (bytes[0] === seed[0] ? undefined : fail()) },
];

function fail(): never {
  throw new EfficientNetError('ERR_INVALID_CHECKPOINT', 'no');
}
