// SPDX-License-Identifier: Apache-2.0
// Shared by the checkpoint readers: the error that names a place in a file, checked little-endian
// reads, and element counts that cannot overflow. No format's rules are here.

import { EfficientNetError } from '../errors.js';
import type { ElementType } from './tensor.js';

/** Bytes of one element. */
export const elementBytes: Readonly<Record<ElementType, number>> = {
  f32: 4, f16: 2, bf16: 2, f64: 8, i64: 8, i32: 4, i16: 2, i8: 1, u8: 1, bool: 1,
};

/** A malformed or hostile file; `offset` is the byte at which it was noticed. */
export function invalidCheckpoint(what: string, offset?: number): EfficientNetError {
  const place = offset === undefined ? '' : ` (at byte ${offset} of the file)`;
  return new EfficientNetError('ERR_INVALID_CHECKPOINT', `${what}${place}`);
}

/** Product of a shape, or undefined where it is no exact integer. Rank 0 has one element. */
export function elementCount(shape: readonly number[]): number | undefined {
  // A zero makes the product 0 whatever the order, so look for it before anything can overflow.
  if (shape.includes(0)) return 0;
  let count = 1;
  for (const size of shape) {
    count *= size;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

/** A shape for a message: [32, 3, 3, 3]. */
export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}

/** A name out of a file for a message: quoted, without control characters, shortened. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}...` : name);
}

/** Little-endian reads that fail with `ERR_INVALID_CHECKPOINT` instead of running past the end. */
export class ByteReader {
  readonly #view: DataView;
  readonly length: number;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.length = bytes.byteLength;
  }

  u8(offset: number): number {
    return this.#view.getUint8(this.#check(offset, 1));
  }

  u16(offset: number): number {
    return this.#view.getUint16(this.#check(offset, 2), true);
  }

  u32(offset: number): number {
    return this.#view.getUint32(this.#check(offset, 4), true);
  }

  i32(offset: number): number {
    return this.#view.getInt32(this.#check(offset, 4), true);
  }

  f64BigEndian(offset: number): number {
    return this.#view.getFloat64(this.#check(offset, 8), false);
  }

  /** Infinity where the value is too large for an exact number: it then fails every comparison with a size. */
  u64(offset: number): number {
    const value = this.#view.getBigUint64(this.#check(offset, 8), true);
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Infinity;
  }

  #check(offset: number, size: number): number {
    if (offset < 0 || offset + size > this.length) {
      throw invalidCheckpoint(`The file is truncated: expected ${size} more bytes but it has ${this.length} in all`, offset);
    }
    return offset;
  }
}
