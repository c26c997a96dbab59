// SPDX-License-Identifier: Apache-2.0
// The parts of HDF5 files that keep a dataset in chunks, for tests that make one of them wrong: layouts,
// lists of filters, and the three kinds of lists of chunks. The file itself is written by hdf5-writer.ts.

import { u16, u32, u64, nowhere, type Hdf5Writer, type Message } from './hdf5-writer.js';

export interface ChunkEntry {
  /** Its first element. */
  readonly place: readonly (number | bigint)[];
  readonly at: number | bigint;
  readonly size: number;
  readonly mask?: number;
}

/** Version 3; the last of the sides is the bytes of an element. */
export function chunked(tree: number | bigint, sides: readonly number[]): Message {
  return { type: 8, data: Buffer.concat([Buffer.of(3, 2, sides.length), u64(tree), ...sides.map(u32)]) };
}

/** Version 4 or 5: `facts` are what the kind of index knows, before its address. */
export function chunked4(kind: number, facts: Buffer, at: number | bigint, sides: readonly number[], flags = 0, version = 4): Message {
  return { type: 8, data: Buffer.concat([Buffer.of(version, 2, flags, sides.length, 4), ...sides.map(u32), Buffer.of(kind), facts, u64(at)]) };
}

/** Version 1, without names and values. */
export function filterList(...ids: readonly number[]): Message {
  return { type: 11, data: Buffer.concat([Buffer.of(1, ids.length), u16(0), u32(0), ...ids.map((id) => Buffer.concat([u16(id), u16(0), u16(0), u16(0)]))]) };
}

/** A node of the tree; above level 0 its children are nodes. */
export function chunkTree(file: Hdf5Writer, entries: readonly ChunkEntry[], { level = 0, kind = 1, listed = entries.length } = {}): number {
  const links = entries.map(({ place, at, size, mask = 0 }) => Buffer.concat([u32(size), u32(mask), ...place.map(u64), u64(0), u64(at)]));
  return file.block(Buffer.concat([Buffer.from('TREE'), Buffer.of(kind, level), u16(listed), u64(nowhere), u64(nowhere), ...links, Buffer.alloc(32)]));
}

export interface ArrayFaults {
  readonly version?: number;
  readonly client?: number;
  readonly entryBytes?: number;
  readonly count?: number;
  /** Of the block: the header that it belongs to. */
  readonly header?: number;
}

/** A fixed array of unfiltered chunks, without pages. */
export function fixedArray(file: Hdf5Writer, chunks: readonly (number | bigint)[], faults: ArrayFaults = {}): number {
  const { version = 0, client = 0, entryBytes = 8, count = chunks.length } = faults;
  const at = file.next;
  const block = at + 32;
  file.block(Buffer.concat([Buffer.from('FAHD'), Buffer.of(version, client, entryBytes, 10), u64(count), u64(block), u32(0)]));
  file.block(Buffer.concat([Buffer.from('FADB'), Buffer.of(0, client), u64(faults.header ?? at), ...chunks.map(u64), u32(0)]));
  return at;
}
