// SPDX-License-Identifier: Apache-2.0
// A strict reader of flatbuffers: every offset is checked against the file before it is followed, and
// lists are read to a limit, since many offsets may point to one place. It knows the encoding and no
// schema. An own one, because the known package for JavaScript verifies nothing.

import { ByteReader, invalidCheckpoint } from './bytes.js';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** One table; fields go by their number in the schema, and one that is absent has its default. */
export class FlatTable {
  readonly #bytes: Uint8Array;
  readonly #reader: ByteReader;
  readonly #position: number;
  readonly #vtable: number;
  readonly #fields: number;

  private constructor(bytes: Uint8Array, reader: ByteReader, position: number) {
    this.#bytes = bytes;
    this.#reader = reader;
    this.#position = position;
    this.#vtable = position - reader.i32(position);
    if (this.#vtable < 0) throw invalidCheckpoint('A table of the file has its layout before the file begins', position);
    // Its own length and the table's, 2 bytes each, then 2 bytes for each field.
    const length = reader.u16(this.#vtable);
    if (length < 4 || length % 2 !== 0 || this.#vtable + length > bytes.length) {
      throw invalidCheckpoint(`Expected the layout of a table but its length is ${length}`, this.#vtable);
    }
    this.#fields = (length - 4) / 2;
  }

  /** The table that the file begins with. */
  static root(bytes: Uint8Array): FlatTable {
    const reader = new ByteReader(bytes);
    return new FlatTable(bytes, reader, reader.u32(0));
  }

  /** Of this table in the file. */
  get offset(): number {
    return this.#position;
  }

  u8(field: number, otherwise = 0): number {
    const at = this.#at(field);
    return at === undefined ? otherwise : this.#reader.u8(at);
  }

  i8(field: number, otherwise = 0): number {
    const value = this.u8(field, otherwise & 0xff);
    return value >= 128 ? value - 256 : value;
  }

  i32(field: number, otherwise = 0): number {
    const at = this.#at(field);
    return at === undefined ? otherwise : this.#reader.i32(at);
  }

  u32(field: number, otherwise = 0): number {
    const at = this.#at(field);
    return at === undefined ? otherwise : this.#reader.u32(at);
  }

  u64(field: number, otherwise = 0): number {
    const at = this.#at(field);
    return at === undefined ? otherwise : this.#reader.u64(at);
  }

  table(field: number): FlatTable | undefined {
    const at = this.#reference(field);
    return at === undefined ? undefined : new FlatTable(this.#bytes, this.#reader, at);
  }

  /** Text, cut after `limit` bytes. */
  string(field: number, limit: number): string {
    const { at, length } = this.#vector(field, 1);
    return utf8.decode(this.#bytes.subarray(at, at + Math.min(length, limit)));
  }

  /** A view on the file. */
  bytes(field: number): Uint8Array {
    const { at, length } = this.#vector(field, 1);
    return this.#bytes.subarray(at, at + length);
  }

  /** How many elements of `size` bytes the list has; 0 where there is none. */
  length(field: number, size: number): number {
    return this.#vector(field, size).length;
  }

  /** The first `limit` 32-bit integers of a list. */
  integers(field: number, limit: number): number[] {
    const { at, length } = this.#vector(field, 4);
    return Array.from({ length: Math.min(length, limit) }, (_, i) => this.#reader.i32(at + 4 * i));
  }

  /** A list of at most `limit` tables. */
  tables(field: number, limit: number): FlatTable[] {
    const { at, length } = this.#vector(field, 4);
    if (length > limit) throw invalidCheckpoint(`Expected a list of at most ${limit} tables but the file says ${length}`, at - 4);
    return Array.from({ length }, (_, i) => new FlatTable(this.#bytes, this.#reader, at + 4 * i + this.#reader.u32(at + 4 * i)));
  }

  /** Where a field lies; undefined where the table does not have it. */
  #at(field: number): number | undefined {
    if (field >= this.#fields) return undefined;
    const offset = this.#reader.u16(this.#vtable + 4 + 2 * field);
    return offset === 0 ? undefined : this.#position + offset;
  }

  /** Where the offset in a field leads. */
  #reference(field: number): number | undefined {
    const at = this.#at(field);
    return at === undefined ? undefined : at + this.#reader.u32(at);
  }

  #vector(field: number, size: number): { readonly at: number; readonly length: number } {
    const start = this.#reference(field);
    if (start === undefined) return { at: 0, length: 0 };
    const length = this.#reader.u32(start);
    const at = start + 4;
    if (length * size > this.#bytes.length - at) {
      throw invalidCheckpoint(`A list of ${length} elements of ${size} bytes reaches past the file, which has ${this.#bytes.length} bytes`, start);
    }
    return { at, length };
  }
}
