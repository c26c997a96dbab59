// SPDX-License-Identifier: Apache-2.0
// HDF5 datasets stored in chunks, as h5py writes them with compression, chunks or shuffle: the list of
// chunks in each of the ways that HDF5 keeps one for a dataset of fixed size (the B-tree of version 1,
// a single chunk, an implicit list, a fixed array), and the chunks put together. Every chunk of the
// dataset must be there once, and none may lie over another. What filters do is in hdf5-filters.ts.
// HDF5 File Format Specification 3.0, sections III.A.1, IV.A.2.i and VII.

import { elementCount, formatShape, quote } from './bytes.js';
import type { Hdf5Bytes } from './hdf5-bytes.js';
import { decodeChunk, type Filter, type StoredChunk } from './hdf5-filters.js';
import type { Message } from './hdf5-messages.js';

/** A dataset of which chunks are sought. */
export interface ChunkedDataset {
  readonly path: string;
  readonly shape: readonly number[];
  /** Bytes of an element. */
  readonly width: number;
  /** Bytes of all of them, which must be what the file can hold. */
  readonly size: number;
  readonly filters: readonly Filter[];
}

interface Grid extends ChunkedDataset {
  /** In elements. */
  readonly chunk: readonly number[];
  readonly chunkBytes: number;
  /** Chunks along each dimension. */
  readonly counts: readonly number[];
  /** In all. */
  readonly count: number;
}

/** Chunks by their place in the grid, row by row. */
type Chunks = Map<number, StoredChunk>;

const index = { single: 1, implicit: 2, fixedArray: 3, extensibleArray: 4, tree: 5 } as const;
const flag = { partialUnfiltered: 1, singleFiltered: 2 } as const;

/** True where the layout says that the dataset lies in chunks. Version 5, of HDF5 2.0, differs from 4 in how wide sizes are. */
export function isChunked(file: Hdf5Bytes, { at, size }: Message): boolean {
  return size >= 2 && file.u8(at) >= 3 && file.u8(at) <= 5 && file.u8(at + 1) === 2;
}

/** The dataset's elements in row-major order: a view of the file where one unfiltered chunk is all of it. */
export function chunkedElements(file: Hdf5Bytes, layout: Message, dataset: ChunkedDataset): Uint8Array {
  const reader = file.u8(layout.at) === 3 ? readLayout3 : readLayout4;
  const [grid, chunks] = reader(file, layout, dataset);
  checkApart(file, chunks, grid, layout.at);
  return assemble(file, chunks, grid);
}

// ---- the layout message -----------------------------------------------------------------------------

function readLayout3(file: Hdf5Bytes, { at, size }: Message, dataset: ChunkedDataset): readonly [Grid, Chunks] {
  const rank = file.u8(at + 2);
  if (size < 11 + rank * 4) file.fail(`The data layout of ${quote(dataset.path)} is cut off`, at);
  const grid = gridOf(file, dataset, Array.from({ length: rank }, (_, i) => file.u32(at + 11 + i * 4)), at);
  if (grid.count === 0) return [grid, new Map()];
  return [grid, readTree(file, treeAddress(file, at + 3, dataset), grid)];
}

function readLayout4(file: Hdf5Bytes, { at, size }: Message, dataset: ChunkedDataset): readonly [Grid, Chunks] {
  const [flags, rank, wide] = [file.u8(at + 2), file.u8(at + 3), file.u8(at + 4)];
  const indexAt = at + 5 + rank * wide;
  if (wide < 1 || wide > 8 || indexAt + 1 > at + size) file.fail(`The data layout of ${quote(dataset.path)} is cut off`, at);
  if ((flags & flag.partialUnfiltered) !== 0 && dataset.filters.length > 0) file.unsupported(`leaves chunks of the dataset ${quote(dataset.path)} unfiltered`, at);
  const grid = gridOf(file, dataset, Array.from({ length: rank }, (_, i) => littleEndian(file, at + 5 + i * wide, wide)), at);
  if (grid.count === 0) return [grid, new Map()];
  const kind = file.u8(indexAt);
  const isFiltered = (flags & flag.singleFiltered) !== 0;
  const facts = kind === index.single && isFiltered ? 12 : kind === index.fixedArray ? 1 : 0;
  const addressAt = indexAt + 1 + facts;
  if (addressAt + 8 > at + size) file.fail(`The data layout of ${quote(dataset.path)} is cut off`, at);
  const address = treeAddress(file, addressAt, dataset);
  if (kind === index.fixedArray) return [grid, readFixedArray(file, address, grid)];
  if (kind === index.implicit && dataset.filters.length === 0) {
    file.check(address, grid.count * grid.chunkBytes);
    return [grid, new Map(Array.from({ length: grid.count }, (_, i) => [i, { at: address + i * grid.chunkBytes, size: grid.chunkBytes, mask: 0 }]))];
  }
  if (kind !== index.single) file.unsupported(`lists the chunks of the dataset ${quote(dataset.path)} by an index of kind ${kind}, for datasets that can grow`, indexAt);
  if (isFiltered !== dataset.filters.length > 0) file.fail(`The dataset ${quote(dataset.path)} and its layout disagree about filters`, at);
  const stored = isFiltered ? { at: address, size: file.u64(indexAt + 1), mask: file.u32(indexAt + 9) } : { at: address, size: grid.chunkBytes, mask: 0 };
  return [grid, new Map([[0, stored]])];
}

function treeAddress(file: Hdf5Bytes, at: number, { path }: ChunkedDataset): number {
  return file.address(at) ?? file.fail(`The dataset ${quote(path)} was never written`, at);
}

/** `sides` are the chunk's, the last of them the bytes of an element. */
function gridOf(file: Hdf5Bytes, dataset: ChunkedDataset, sides: readonly number[], at: number): Grid {
  const { path, shape, width } = dataset;
  const chunk = sides.slice(0, -1);
  if (chunk.length !== shape.length || shape.length === 0 || sides.at(-1) !== width || chunk.includes(0)) {
    file.fail(`The chunks ${formatShape(sides)} of ${quote(path)} do not fit its shape ${formatShape(shape)} and elements of ${width} bytes`, at);
  }
  const counts = shape.map((side, d) => Math.ceil(side / (chunk[d] ?? 1)));
  const [elements, count] = [elementCount(chunk) ?? Infinity, elementCount(counts) ?? Infinity];
  const grid = { ...dataset, chunk, chunkBytes: elements * width, counts, count };
  file.spend(count, at);
  // Chunks at the edges are whole, and may be larger than the dataset.
  file.spendDecoded(count * grid.chunkBytes, path, at);
  return grid;
}

// ---- lists of chunks --------------------------------------------------------------------------------

/** Version 1, section III.A.1: every key is a chunk's size, its mask, its place, and a zero. */
function readTree(file: Hdf5Bytes, root: number, grid: Grid): Chunks {
  const rank = grid.shape.length;
  const keyBytes = 16 + rank * 8;
  const chunks: Chunks = new Map();
  const nodes = [{ at: root, level: file.u8(root + 5) }];
  for (const { at, level } of nodes) {
    file.visit(at);
    file.signature('TREE', at);
    if (file.u8(at + 4) !== 1 || file.u8(at + 5) !== level) file.fail(`Expected a tree of chunks of ${quote(grid.path)}, at level ${level}`, at);
    const entries = file.u16(at + 6);
    file.check(at, 24 + entries * (keyBytes + 8));
    file.spend(entries, at);
    for (let i = 0; i < entries; i++) {
      const key = at + 24 + i * (keyBytes + 8);
      const child = file.place(key + keyBytes);
      if (level > 0) nodes.push({ at: child, level: level - 1 });
      else add(file, chunks, grid, placeOf(file, key + 8, grid), { at: child, size: file.u32(key), mask: file.u32(key + 4) });
    }
  }
  return chunks;
}

/** From a chunk's first element, a number for each dimension, to its place in the grid. */
function placeOf(file: Hdf5Bytes, at: number, { shape, chunk, counts, path }: Grid): number {
  return shape.reduce((place, side, d) => {
    const [first, step] = [file.u64(at + d * 8), chunk[d] ?? 1];
    if (!(first < side) || first % step !== 0) file.fail(`A chunk of ${quote(path)} begins at ${first} of the ${side} elements of dimension ${d}, in steps of ${step}`, at + d * 8);
    return place * (counts[d] ?? 1) + first / step;
  }, 0);
}

function add(file: Hdf5Bytes, chunks: Chunks, { path }: Grid, place: number, chunk: StoredChunk): void {
  if (chunks.has(place)) file.fail(`The dataset ${quote(path)} lists a chunk twice`, chunk.at);
  chunks.set(place, chunk);
}

/** Section VII.C: a header, then a block of elements, in pages where there are many; all chunks in their order. */
function readFixedArray(file: Hdf5Bytes, at: number, grid: Grid): Chunks {
  file.visit(at);
  file.signature('FAHD', at);
  const [version, client, entryBytes, pageBits] = [file.u8(at + 4), file.u8(at + 5), file.u8(at + 6), file.u8(at + 7)];
  const isFiltered = grid.filters.length > 0;
  if (version !== 0 || client !== (isFiltered ? 1 : 0)) file.fail(`Expected an array of ${isFiltered ? 'filtered' : 'plain'} chunks of ${quote(grid.path)}`, at);
  // An address, and where filters change the length, this and the mask.
  const sizeBytes = entryBytes - 12;
  if (isFiltered ? sizeBytes < 1 || sizeBytes > 8 : entryBytes !== 8) file.fail(`An array of chunks cannot have entries of ${entryBytes} bytes`, at);
  if (file.u64(at + 8) !== grid.count) file.fail(`The array lists ${file.u64(at + 8)} chunks of ${quote(grid.path)}, expected ${grid.count}`, at + 8);
  const block = file.place(at + 16);
  file.visit(block);
  file.signature('FADB', block);
  if (file.u8(block + 4) !== 0 || file.u8(block + 5) !== client || file.u64(block + 6) !== at) file.fail('The array of chunks and its block contradict each other', block);
  const perPage = 2 ** Math.min(pageBits, 32);
  const pages = grid.count > perPage ? Math.ceil(grid.count / perPage) : 0;
  // Behind a bit for each page that was written, and a checksum, each page ends with its own.
  const first = block + 14 + (pages === 0 ? 0 : Math.ceil(pages / 8) + 4);
  const chunks: Chunks = new Map();
  for (let i = 0; i < grid.count; i++) {
    const entry = first + i * entryBytes + (pages === 0 ? 0 : Math.floor(i / perPage) * 4);
    const address = file.address(entry) ?? file.fail(`A chunk of ${quote(grid.path)} was never written`, entry);
    const stored = isFiltered
      ? { size: littleEndian(file, entry + 8, sizeBytes), mask: file.u32(entry + 8 + sizeBytes) }
      : { size: grid.chunkBytes, mask: 0 };
    chunks.set(i, { at: address, ...stored });
  }
  return chunks;
}

/** Infinity where it is no exact number. */
function littleEndian(file: Hdf5Bytes, at: number, width: number): number {
  let value = 0;
  for (let i = width - 1; i >= 0; i--) value = value * 256 + file.u8(at + i);
  return Number.isSafeInteger(value) ? value : Infinity;
}

// ---- from chunks to elements ------------------------------------------------------------------------

/** Every chunk there, in the file, and apart from the others. */
function checkApart(file: Hdf5Bytes, chunks: Chunks, { count, path }: Grid, at: number): void {
  if (chunks.size !== count) file.fail(`The dataset ${quote(path)} has ${chunks.size} chunks, expected ${count}`, at);
  let end = 0;
  for (const chunk of [...chunks.values()].sort((a, b) => a.at - b.at)) {
    if (chunk.at < end) file.fail(`Two chunks of ${quote(path)} lie over each other`, chunk.at);
    file.check(chunk.at, chunk.size);
    file.spendData(chunk.size, chunk.at);
    end = chunk.at + chunk.size;
  }
}

function assemble(file: Hdf5Bytes, chunks: Chunks, grid: Grid): Uint8Array {
  const { filters, chunkBytes, width, path, size, shape, chunk, counts } = grid;
  const only = chunks.get(0);
  const decode = (stored: StoredChunk): Uint8Array => decodeChunk(file, stored, filters, chunkBytes, width, path);
  if (only !== undefined && chunks.size === 1 && chunkBytes === size) return decode(only);
  const result = new Uint8Array(size);
  for (const [place, stored] of chunks) {
    let rest = place;
    const first = counts.map(() => 0);
    for (let d = counts.length - 1; d >= 0; d--) {
      const n = counts[d] ?? 1;
      first[d] = (rest % n) * (chunk[d] ?? 1);
      rest = Math.floor(rest / n);
    }
    copyChunk(decode(stored), result, { shape, chunk, first, width });
  }
  return result;
}

interface Placed {
  readonly shape: readonly number[];
  readonly chunk: readonly number[];
  /** The chunk's first element in the dataset. */
  readonly first: readonly number[];
  readonly width: number;
}

/** Copies what of the chunk lies inside the dataset, in runs as long as both have them. */
function copyChunk(source: Uint8Array, target: Uint8Array, { shape, chunk, first, width }: Placed): void {
  // Dimensions behind `along` are whole in the chunk: a run spans them all.
  let along = shape.length - 1;
  let unit = width;
  for (; along > 0 && chunk[along] === shape[along]; along--) unit *= shape[along] ?? 1;
  const inside = shape.map((side, d) => Math.min(chunk[d] ?? 1, side - (first[d] ?? 0)));
  const run = (inside[along] ?? 1) * unit;
  const copy = (d: number, from: number, to: number): void => {
    // In elements of dimension d so far.
    const [start, step] = [to * (shape[d] ?? 1) + (first[d] ?? 0), from * (chunk[d] ?? 1)];
    if (d === along) return target.set(source.subarray(step * unit, step * unit + run), start * unit);
    for (let i = 0; i < (inside[d] ?? 1); i++) copy(d + 1, step + i, start + i);
  };
  copy(0, 0, 0);
}
