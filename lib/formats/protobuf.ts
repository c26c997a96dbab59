// SPDX-License-Identifier: Apache-2.0
// A strict reader of protocol buffer messages: every length is checked against the message around it
// and every number against its range, and errors name the byte. It knows the wire format, no schema.
// An own one, because the known packages read past the end without an error and cut lengths that are
// too long, so that a truncated file would load with wrong weights.

import { invalidCheckpoint } from './bytes.js';

const kVarint = 0;
const kFixed64 = 1;
const kDelimited = 2;
const kFixed32 = 5;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class MessageReader {
  readonly #bytes: Uint8Array;
  /** Of the message's first byte in the file. */
  readonly #base: number;
  #position = 0;
  #type = 0;
  #taken = true;

  constructor(bytes: Uint8Array, base = 0) {
    this.#bytes = bytes;
    this.#base = base;
  }

  /** Position in the file of what is read next. */
  get offset(): number {
    return this.#base + this.#position;
  }

  fail(what: string): never {
    throw invalidCheckpoint(what, this.offset);
  }

  /** Calls `visit` with each field's number; it takes the value with one call of the methods below, or leaves it. */
  fields(visit: (field: number) => void): void {
    while (this.#position < this.#bytes.length) {
      const tag = this.#varint();
      const field = Math.floor(tag / 8);
      this.#type = tag % 8;
      if (field < 1 || field > 0x1fffffff) this.fail(`Expected the tag of a field but found the number ${tag}`);
      this.#taken = false;
      visit(field);
      if (!this.#taken) this.#skip();
    }
  }

  /** A signed integer of at most 53 bits. */
  integer(): number {
    this.#take(kVarint, 'an integer');
    return this.#varint();
  }

  /** Appends one integer, or a packed field's many. */
  integers(to: number[], limit: number): void {
    if (this.#type !== kDelimited) {
      if (to.length === limit) this.fail(`Expected at most ${limit} integers`);
      to.push(this.integer());
      return;
    }
    const packed = this.message();
    while (packed.#position < packed.#bytes.length) {
      if (to.length === limit) packed.fail(`Expected at most ${limit} integers`);
      to.push(packed.#varint());
    }
  }

  float(): number {
    this.#take(kFixed32, 'a float');
    const at = this.#advance(4);
    return new DataView(this.#bytes.buffer, this.#bytes.byteOffset + at, 4).getFloat32(0, true);
  }

  /** Little-endian numbers of `size` bytes as they lie in the file: one of them, or a packed field's many. */
  fixed(size: 4 | 8): Uint8Array {
    const type = size === 4 ? kFixed32 : kFixed64;
    if (this.#type === kDelimited) {
      const packed = this.bytes();
      if (packed.length % size !== 0) this.fail(`Expected packed numbers of ${size} bytes each but found ${packed.length} bytes`);
      return packed;
    }
    this.#take(type, `a number of ${size} bytes`);
    const at = this.#advance(size);
    return this.#bytes.subarray(at, at + size);
  }

  /** A view on the file. */
  bytes(): Uint8Array {
    this.#take(kDelimited, 'bytes');
    const length = this.#varint();
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  string(): string {
    const bytes = this.bytes();
    try {
      return utf8.decode(bytes);
    } catch {
      return this.fail('Expected text in UTF-8');
    }
  }

  message(): MessageReader {
    const bytes = this.bytes();
    return new MessageReader(bytes, this.offset - bytes.length);
  }

  #take(type: number, what: string): void {
    if (this.#taken || this.#type !== type) this.fail(`Expected ${what} but found a field of wire type ${this.#type}`);
    this.#taken = true;
  }

  #skip(): void {
    this.#taken = true;
    switch (this.#type) {
      case kVarint:
        this.#varint();
        return;
      case kFixed64:
        this.#advance(8);
        return;
      case kDelimited:
        this.#advance(this.#varint());
        return;
      case kFixed32:
        this.#advance(4);
        return;
      default:
        this.fail(`Expected a field of wire type 0, 1, 2 or 5 but found ${this.#type}`);
    }
  }

  /** Returns where the `count` bytes begin. */
  #advance(count: number): number {
    const at = this.#position;
    if (count < 0 || count > this.#bytes.length - at) {
      this.fail(`A field of ${count} bytes reaches past its message, of which ${this.#bytes.length - at} bytes are left`);
    }
    this.#position += count;
    return at;
  }

  /** Up to 10 bytes; negative numbers are 64 bits in two's complement. */
  #varint(): number {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#position];
      if (byte === undefined) this.fail('The message is truncated within a number');
      this.#position++;
      const bits = byte & 0x7f;
      // 28 bits in the lower half, so that no shift overflows.
      if (shift < 28) low += bits << shift;
      else high += bits * 2 ** (shift - 28);
      if (byte >= 0x80) continue;
      // The upper half has 36 bits; above half of them the number is negative.
      if (high >= 2 ** 36) this.fail('Expected a number of at most 64 bits');
      const value = (high >= 2 ** 35 ? high - 2 ** 36 : high) * 2 ** 28 + low;
      if (!Number.isSafeInteger(value)) this.fail('Expected a number of at most 53 bits');
      return value;
    }
    return this.fail('Expected a number of at most 10 bytes');
  }
}
