// SPDX-License-Identifier: Apache-2.0
// Writes HDF5 files for tests, block by block, in the layout that h5py writes for Keras (superblock 0,
// object headers 1, symbol tables), so that any part can be made wrong. Deliberately shares no code
// with the reader under test.

export const u8 = (value: number): Buffer => Buffer.of(value);
export const u16 = (value: number): Buffer => Buffer.from(Uint16Array.of(value).buffer);
export const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
export const u64 = (value: number | bigint): Buffer => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
export const nowhere = 2n ** 64n - 1n;

export interface Message {
  readonly type: number;
  readonly data: Buffer;
  readonly flags?: number;
}

export interface Entry {
  readonly name: string;
  readonly at: number | bigint;
  /** 2 makes it a soft link. */
  readonly cache?: number;
}

/** Symbols that a node has room for; libhdf5 reads whole nodes. */
const kLeaf = 4;

function filled(bytes: Buffer, length: number): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(Math.max(0, length - bytes.length))]);
}

function padded(bytes: Buffer, unit = 8): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((unit - (bytes.length % unit)) % unit)]);
}

// ---- messages -------------------------------------------------------------------------------------

export const types = {
  f32: Buffer.concat([Buffer.of(0x11, 0x20, 31, 0), u32(4), u16(0), u16(32), Buffer.of(23, 8, 0, 23), u32(127)]),
  f16: Buffer.concat([Buffer.of(0x11, 0x20, 15, 0), u32(2), u16(0), u16(16), Buffer.of(10, 5, 0, 10), u32(15)]),
  bigEndian: Buffer.concat([Buffer.of(0x11, 0x21, 31, 0), u32(4), u16(0), u16(32), Buffer.of(23, 8, 0, 23), u32(127)]),
  i64: Buffer.concat([Buffer.of(0x10, 0x08, 0, 0), u32(8), u16(0), u16(64)]),
  compound: Buffer.concat([Buffer.of(0x16, 1, 0, 0), u32(4), Buffer.alloc(8)]),
  text: (size: number): Buffer => Buffer.concat([Buffer.of(0x13, 0, 0, 0), u32(size)]),
  reference: Buffer.concat([Buffer.of(0x19, 1, 0, 0), u32(16), Buffer.of(0x13, 0, 0, 0), u32(1)]),
} as const;

export function space(shape: readonly (number | bigint)[]): Message {
  return { type: 1, data: Buffer.concat([Buffer.of(1, shape.length, 0, 0), u32(0), ...shape.map(u64)]) };
}

export function datatype(type: Buffer): Message {
  return { type: 3, data: type };
}

export function contiguous(at: number | bigint, size: number | bigint): Message {
  return { type: 8, data: Buffer.concat([Buffer.of(3, 1), u64(at), u64(size)]) };
}

/** Version 1; a text is stored in place. */
export function attribute(name: string, values: readonly string[], options: { type?: Buffer; data?: Buffer; shape?: readonly number[] } = {}): Message {
  const size = Math.max(1, ...values.map((value) => Buffer.byteLength(value)));
  const { type = types.text(size), shape = [values.length] } = options;
  const data = options.data ?? Buffer.concat(values.map((value) => Buffer.concat([Buffer.from(value), Buffer.alloc(size)]).subarray(0, size)));
  const text = Buffer.concat([Buffer.from(name), u8(0)]);
  const extent = space(shape).data;
  const head = Buffer.concat([Buffer.of(1, 0), u16(text.length), u16(type.length), u16(extent.length)]);
  return { type: 12, data: Buffer.concat([head, padded(text), padded(type), padded(extent), data]) };
}

// ---- the file -------------------------------------------------------------------------------------

export class Hdf5Writer {
  readonly #parts: Buffer[] = [Buffer.alloc(96)];
  #length = 96;

  /** Where the next block will lie: for cycles. */
  get next(): number {
    return this.#length;
  }

  block(bytes: Buffer): number {
    const at = this.#length;
    const whole = padded(bytes);
    this.#parts.push(whole);
    this.#length += whole.length;
    return at;
  }

  /** An object header of version 1. */
  header(messages: readonly Message[]): number {
    const body = Buffer.concat(
      messages.map(({ type, data, flags = 0 }) => {
        const whole = padded(data);
        return Buffer.concat([u16(type), u16(whole.length), Buffer.of(flags, 0, 0, 0), whole]);
      }),
    );
    return this.block(Buffer.concat([Buffer.of(1, 0), u16(messages.length), u32(1), u32(body.length), u32(0), body]));
  }

  dataset(shape: readonly number[], data: Buffer, more: readonly Message[] = [], type: Buffer = types.f32): number {
    const at = this.block(data);
    return this.header([space(shape), datatype(type), contiguous(at, data.length), ...more]);
  }

  group(entries: readonly Entry[], more: readonly Message[] = []): number {
    const names: Buffer[] = [Buffer.alloc(8)];
    let length = 8;
    let last = 0;
    // Sorted by name, as libhdf5 looks them up.
    const symbols = [...entries].sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, at, cache = 0 }) => {
      const text = padded(Buffer.from(`${name}\0`));
      names.push(text);
      last = length;
      length += text.length;
      return Buffer.concat([u64(last), u64(at), u32(cache), u32(0), Buffer.alloc(16)]);
    });
    const data = this.block(Buffer.concat(names));
    const heap = this.block(Buffer.concat([Buffer.from('HEAP'), u32(0), u64(length), u64(1), u64(data)]));
    const node = this.block(filled(Buffer.concat([Buffer.from('SNOD'), Buffer.of(1, 0), u16(symbols.length), ...symbols]), 8 + kLeaf * 40));
    return this.header([symbolTable(this.tree([node], last), heap), ...more]);
  }

  /** `last` is the place of the last name among the names. */
  tree(children: readonly (number | bigint)[], last = 0): number {
    const links = children.map((child) => Buffer.concat([u64(0), u64(child)]));
    const node = Buffer.concat([Buffer.from('TREE'), Buffer.of(0, 0), u16(children.length), u64(nowhere), u64(nowhere), ...links, u64(last)]);
    return this.block(filled(node, 32 + 2 * 16));
  }

  /** A global heap of texts, numbered from 1. */
  texts(values: readonly string[]): number {
    const objects = values.map((value, i) => Buffer.concat([u16(i + 1), u16(0), u32(0), u64(Buffer.byteLength(value)), padded(Buffer.from(value))]));
    const size = objects.reduce((sum, { length }) => sum + length, 16);
    return this.block(Buffer.concat([Buffer.from('GCOL'), u32(1), u64(size), ...objects]));
  }

  finish(root: number, faults: { readonly base?: number; readonly end?: number; readonly sizes?: number; readonly version?: number } = {}): Buffer {
    const { base = 0, end = this.#length, sizes = 8, version = 0 } = faults;
    const superblock = Buffer.concat([
      Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'), Buffer.of(version, 0, 0, 0, 0, sizes, 8, 0), u16(kLeaf / 2), u16(1), u32(0),
      u64(base), u64(nowhere), u64(end), u64(nowhere), u64(0), u64(root), u32(0), u32(0), Buffer.alloc(16),
    ]);
    superblock.copy(this.#parts[0] ?? superblock);
    return Buffer.concat(this.#parts);
  }
}

export function symbolTable(tree: number | bigint, heap: number | bigint): Message {
  return { type: 17, data: Buffer.concat([u64(tree), u64(heap)]) };
}

/** One element of an attribute of texts that lie in a heap. */
export function inHeap(length: number, heap: number, index: number): Buffer {
  return Buffer.concat([u32(length), u64(heap), u32(index)]);
}
