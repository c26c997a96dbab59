// SPDX-License-Identifier: Apache-2.0
// The bytes of an HDF5 file under the rules of the reader: every read is checked, every failure names
// its place, and what may be visited or made is bounded by the file's own size. Knows no structure of
// the format; see hdf5.ts.

import { EfficientNetError } from '../errors.js';
import { invalidCheckpoint, quote } from './bytes.js';

/** 64 bits that are all ones: an address of nothing. */
const kUndefined = 2n ** 64n - 1n;

/**
 * Bytes that the chunks of compressed datasets may take, for each of the file's own. Deflate can reach 1,032;
 * weights, whose fractions are noise, reach 1.2, and 2 to 4 where they were rounded to 16 bits.
 */
export const kMaxRatio = 16;

/** A stretch of the file. */
export interface Extent {
  readonly at: number;
  readonly size: number;
}

export class Hdf5Bytes {
  /** Heaps of texts that were read, by address; their objects by number. */
  readonly heaps = new Map<number, ReadonlyMap<number, Extent>>();
  readonly bytes: Uint8Array;
  /** Where the bytes begin in the file that the user gave, for messages. */
  readonly base: number;
  readonly #view: DataView;
  readonly #visited = new Set<number>();
  #items: number;
  #data: number;
  #decoded: number;

  constructor(bytes: Uint8Array, base: number) {
    this.bytes = bytes;
    this.base = base;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    // No structure that is listed takes less than 8 bytes, and sound files do not share what they store.
    this.#items = 64 + Math.floor(bytes.length / 8);
    this.#data = bytes.length;
    this.#decoded = bytes.length * kMaxRatio;
  }

  get length(): number {
    return this.bytes.length;
  }

  fail(what: string, at: number): never {
    throw invalidCheckpoint(what, this.base + at);
  }

  unsupported(what: string, at: number): never {
    throw new EfficientNetError(
      'ERR_UNSUPPORTED',
      `The HDF5 file ${what} (at byte ${this.base + at} of the file), which is not supported; save the model again with Keras and h5py's defaults`,
    );
  }

  u8(at: number): number {
    return this.#view.getUint8(this.check(at, 1));
  }

  u16(at: number): number {
    return this.#view.getUint16(this.check(at, 2), true);
  }

  u32(at: number): number {
    return this.#view.getUint32(this.check(at, 4), true);
  }

  /** Infinity where the value is too large for an exact number: it then fails every comparison with a size. */
  u64(at: number): number {
    const value = this.#view.getBigUint64(this.check(at, 8), true);
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Infinity;
  }

  /** Of 1, 2, 4 or 8 bytes. */
  unsigned(at: number, size: number): number {
    if (size === 1) return this.u8(at);
    if (size === 2) return this.u16(at);
    return size === 4 ? this.u32(at) : this.u64(at);
  }

  /** A place in the file, or undefined for the address of nothing. */
  address(at: number): number | undefined {
    if (this.#view.getBigUint64(this.check(at, 8), true) === kUndefined) return undefined;
    const address = this.u64(at);
    if (address >= this.length) this.fail(`The file is truncated or damaged: an address lies outside its ${this.length} bytes`, at);
    return address;
  }

  /** The same where there must be one. */
  place(at: number): number {
    return this.address(at) ?? this.fail('Expected an address of something', at);
  }

  /** `at`, if `size` bytes from there lie in the file. */
  check(at: number, size: number): number {
    if (at < 0 || !(at + size <= this.length)) {
      this.fail(`The file is truncated or damaged: expected ${size} bytes but it has ${this.length} in all`, Math.min(at, this.length));
    }
    return at;
  }

  slice(at: number, size: number): Uint8Array {
    this.check(at, size);
    return this.bytes.subarray(at, at + size);
  }

  text(at: number, size: number): string {
    const start = this.check(at, size);
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, size).toString('utf8');
  }

  /** Up to the next zero byte before `end`. */
  terminated(at: number, end: number): string {
    const zero = this.bytes.indexOf(0, this.check(at, 1));
    if (zero === -1 || zero >= end) this.fail('Expected a text that ends', at);
    return this.text(at, zero - at);
  }

  /** Fails unless the four letters are there. */
  signature(letters: string, at: number): void {
    if (Buffer.from(this.slice(at, 4)).toString('latin1') !== letters) this.fail(`Expected ${letters} there`, at);
  }

  /** Every structure is read once: a second way to it is a cycle, or a tree that grows without end. */
  visit(at: number): void {
    if (this.#visited.has(at)) this.fail('The file leads twice to the same place', at);
    this.#visited.add(at);
    this.spend(1, at);
  }

  /** Counts what is listed and made. */
  spend(items: number, at: number): void {
    this.#items -= items;
    if (!(this.#items >= 0)) this.fail('The file lists more than it has room for', at);
  }

  /** Counts elements of datasets and texts, which lie in the file once each. */
  spendData(size: number, at: number): void {
    this.#data -= size;
    if (!(this.#data >= 0)) this.fail('The file holds less data than its datasets and attributes claim', at);
  }

  /** Counts what chunks take in memory, before any of them is looked at. */
  spendDecoded(size: number, path: string, at: number): void {
    this.#decoded -= size;
    if (this.#decoded >= 0) return;
    this.fail(`The chunks of the dataset ${quote(path)} take ${size} bytes: with those before it more than ${kMaxRatio} times the file`, at);
  }
}
