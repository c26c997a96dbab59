// SPDX-License-Identifier: Apache-2.0
// HDF5 files as h5py writes them for Keras: a tree of groups, contiguous datasets as views on the file,
// chunked ones put together (hdf5-chunks.ts), and attributes that are text. No general reader: links to
// other places and files and compound types are refused. Measured on files with up to three bytes changed,
// jsfive 0.4.2 took 127 MB for one of 6,000 of 19 kB, h5wasm 0.10.3 looped endlessly on one of 3,000 and aborted on
// another; neither says where a file is wrong, and h5wasm's build for Node opens whatever file a link names.
// HDF5 File Format Specification 3.0.

import { quote } from './bytes.js';
import { Hdf5Bytes, kMaxRatio, type Extent } from './hdf5-bytes.js';
import { chunkedElements, isChunked } from './hdf5-chunks.js';
import { filtersOf } from './hdf5-filters.js';
import { messageType, headerMessages } from './hdf5-header.js';
import {
  attributeOf, dataspaceOf, datatypeOf, elementsOf, sizeOf, type Hdf5Type, type Message, type RawAttribute,
} from './hdf5-messages.js';

const signature = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1');
const kMaxDepth = 32;

export interface Hdf5Dataset {
  readonly kind: 'dataset';
  /** 'model_weights/stem_conv/stem_conv/kernel:0' */
  readonly path: string;
  readonly shape: readonly number[];
  readonly type: Hdf5Type;
  /** Little-endian, row-major; a view on the file, but for a dataset of chunks. */
  readonly bytes: Uint8Array;
  /** Those that hold text; a scalar is a list of one. */
  readonly attributes: ReadonlyMap<string, readonly string[]>;
}

/** True where the bytes begin as an HDF5 file does. */
export function looksLikeHdf5(bytes: Uint8Array): boolean {
  return bytes.length >= signature.length && signature.every((byte, i) => bytes[i] === byte);
}

/**
 * The root group. `base` is where `bytes` begin in the file that the user gave. Objects are read when
 * they are asked for; each failure is ERR_INVALID_CHECKPOINT naming the place, or ERR_UNSUPPORTED.
 */
export function readHdf5(bytes: Uint8Array, base: number = 0): Hdf5Group {
  const file = new Hdf5Bytes(bytes, base);
  if (!looksLikeHdf5(bytes)) file.fail('Expected the signature of an HDF5 file', 0);
  return new Hdf5Group(file, rootAddress(file), '');
}

/** The superblock, section II. */
function rootAddress(file: Hdf5Bytes): number {
  const version = file.u8(8);
  if (version > 3) file.unsupported(`has a superblock of version ${version}`, 8);
  const isOld = version < 2;
  const sizesAt = isOld ? 13 : 9;
  if (file.u8(sizesAt) !== 8 || file.u8(sizesAt + 1) !== 8) file.unsupported('has addresses or lengths that are not of 8 bytes', sizesAt);
  // Version 1 has four more bytes than version 0.
  const baseAt = isOld ? 24 + 4 * version : 12;
  if (file.u64(baseAt) !== 0) file.unsupported('begins in the middle of a file', baseAt);
  const endAt = isOld ? baseAt + 16 : 28;
  const end = file.u64(endAt);
  if (end > file.length) file.fail(`The file is truncated: expected ${end} bytes but it has ${file.length}`, endAt);
  return file.place(isOld ? baseAt + 40 : 36);
}

export class Hdf5Group {
  readonly kind = 'group';
  /** Empty for the root. */
  readonly path: string;
  readonly #file: Hdf5Bytes;
  readonly #messages: readonly Message[];
  readonly #opened = new Map<string, Hdf5Group | Hdf5Dataset>();
  #links: ReadonlyMap<string, number> | undefined;
  #attributes: ReadonlyMap<string, readonly string[]> | undefined;

  constructor(file: Hdf5Bytes, at: number, path: string, messages: readonly Message[] = headerMessages(file, at)) {
    this.#file = file;
    this.path = path;
    this.#messages = messages;
  }

  /** Those that hold text; a scalar is a list of one. */
  get attributes(): ReadonlyMap<string, readonly string[]> {
    this.#attributes ??= readAttributes(this.#file, this.#messages);
    return this.#attributes;
  }

  /** Names of what is in the group, as the file orders them. */
  get names(): readonly string[] {
    return [...this.#addresses().keys()];
  }

  has(name: string): boolean {
    return this.#addresses().has(name);
  }

  /** What lies under a name of this group; fails where there is nothing. */
  open(name: string): Hdf5Group | Hdf5Dataset {
    const known = this.#opened.get(name);
    if (known !== undefined) return known;
    const path = this.path === '' ? name : `${this.path}/${name}`;
    const at = this.#addresses().get(name);
    if (at === undefined) return this.#file.fail(`The file has no ${quote(path)}, which it speaks of`, 0);
    if (path.split('/').length > kMaxDepth) this.#file.fail(`The group ${quote(path)} lies too deep`, at);
    const messages = headerMessages(this.#file, at);
    const isDataset = messages.some(({ type }) => type === messageType.layout || type === messageType.datatype);
    const node = isDataset ? readDataset(this.#file, at, path, messages) : new Hdf5Group(this.#file, at, path, messages);
    this.#opened.set(name, node);
    return node;
  }

  #addresses(): ReadonlyMap<string, number> {
    this.#links ??= readLinks(this.#file, this.#messages, this.path);
    return this.#links;
  }
}

function readDataset(file: Hdf5Bytes, at: number, path: string, messages: readonly Message[]): Hdf5Dataset {
  const only = (type: number): Message => {
    const [found, second] = messages.filter((message) => message.type === type);
    if (found === undefined || second !== undefined) file.fail(`Expected one datatype, one dataspace, one layout and at most one list of filters of the dataset ${quote(path)}`, at);
    return found;
  };
  const elsewhere = messages.find(({ type }) => type === messageType.externalFiles);
  if (elsewhere !== undefined) file.fail(`The dataset ${quote(path)} lies in another file, which is not opened`, elsewhere.at);
  const type = datatypeOf(file, only(messageType.datatype));
  const space = only(messageType.dataspace);
  const shape = dataspaceOf(file, space);
  if (shape === undefined) return file.fail(`The dataset ${quote(path)} has no elements`, space.at);
  const layout = only(messageType.layout);
  const chunked = isChunked(file, layout);
  const size = sizeOf(file, shape, type, chunked ? kMaxRatio : 1, path, space.at);
  const filters = messages.some((message) => message.type === messageType.filters) ? filtersOf(file, only(messageType.filters), path) : [];
  if (!chunked && filters.length > 0) file.fail(`The dataset ${quote(path)} has filters but no chunks`, layout.at);
  if (!chunked) file.spendData(size, space.at);
  const bytes = chunked ? chunkedElements(file, layout, { path, shape, width: type.size, size, filters }) : elementsOf(file, layout, size, path);
  return { kind: 'dataset', path, shape, type, bytes, attributes: readAttributes(file, messages) };
}

// ---- links ----------------------------------------------------------------------------------------

function readLinks(file: Hdf5Bytes, messages: readonly Message[], path: string): ReadonlyMap<string, number> {
  const links = new Map<string, number>();
  const add = (name: string, target: number, at: number): void => {
    if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) file.fail(`Expected a plain name in the group ${quote(path)}, not ${quote(name)}`, at);
    if (links.has(name)) file.fail(`The group ${quote(path)} lists ${quote(name)} twice`, at);
    links.set(name, target);
  };
  for (const { type, at, size } of messages) {
    if (type === messageType.symbolTable) readSymbolTable(file, at, size, add);
    else if (type === messageType.link) readLink(file, at, size, add);
    else if (type === messageType.linkInfo) checkLinkInfo(file, at, size);
  }
  return links;
}

type AddLink = (name: string, target: number, at: number) => void;

/** Section III.A and III.B: a B-tree of nodes of symbols, whose names lie in a heap. */
function readSymbolTable(file: Hdf5Bytes, at: number, size: number, add: AddLink): void {
  if (size < 16) file.fail('The symbol table of a group is cut off', at);
  const [tree, heap] = [file.place(at), file.place(at + 8)];
  file.signature('HEAP', heap);
  const [namesSize, names] = [file.u64(heap + 8), file.place(heap + 24)];
  file.check(names, namesSize);
  const nodes = [tree];
  for (const node of nodes) {
    file.visit(node);
    if (Buffer.from(file.slice(node, 4)).toString('latin1') === 'SNOD') {
      readSymbols(file, node, { at: names, end: names + namesSize }, add);
      continue;
    }
    file.signature('TREE', node);
    if (file.u8(node + 4) !== 0) file.fail('Expected a tree of a group', node);
    const count = file.u16(node + 6);
    file.spend(count, node);
    for (let i = 0; i < count; i++) nodes.push(file.place(node + 32 + i * 16));
  }
}

function readSymbols(file: Hdf5Bytes, node: number, names: { readonly at: number; readonly end: number }, add: AddLink): void {
  const count = file.u16(node + 6);
  file.spend(count, node);
  for (let i = 0; i < count; i++) {
    const at = node + 8 + i * 40;
    const name = file.terminated(names.at + Math.min(file.u64(at), file.length), names.end);
    if (file.u32(at + 16) === 2) file.fail(`${quote(name)} is a link to another place, which is not followed`, at);
    add(name, file.place(at + 8), at);
  }
}

/** Section IV.A.2.g, as files of libver='latest' have them. */
function readLink(file: Hdf5Bytes, at: number, size: number, add: AddLink): void {
  const end = at + size;
  const flags = file.u8(at + 1);
  if (file.u8(at) !== 1) file.fail('Expected a link of version 1', at);
  let next = at + 2;
  const kind = (flags & 0x08) === 0 ? 0 : file.u8(next++);
  if ((flags & 0x04) !== 0) next += 8;
  if ((flags & 0x10) !== 0) next += 1;
  const width = 1 << (flags & 3);
  const length = file.unsigned(next, width);
  next += width;
  if (!(next + length + 8 <= end)) file.fail('A link of a group is cut off', at);
  const name = file.text(next, length);
  if (kind !== 0) file.fail(`${quote(name)} is a link to another place${kind === 64 ? ', in another file' : ''}, which is not followed`, at);
  add(name, file.place(next + length), at);
}

/** Section IV.A.2.c: where there are many links they lie in a heap of their own. */
function checkLinkInfo(file: Hdf5Bytes, at: number, size: number): void {
  const heapAt = at + 2 + ((file.u8(at + 1) & 1) === 0 ? 0 : 8);
  if (heapAt + 8 > at + size) file.fail('The description of the links of a group is cut off', at);
  if (file.address(heapAt) !== undefined) file.unsupported("has a group in the layout of libver='latest'", at);
}

// ---- attributes -----------------------------------------------------------------------------------

function readAttributes(file: Hdf5Bytes, messages: readonly Message[]): ReadonlyMap<string, readonly string[]> {
  const attributes = new Map<string, readonly string[]>();
  for (const message of messages) {
    if (message.type === messageType.attributeInfo) checkAttributeInfo(file, message);
    if (message.type !== messageType.attribute) continue;
    const attribute = attributeOf(file, message);
    if (attributes.has(attribute.name)) file.fail(`An object has the attribute ${quote(attribute.name)} twice`, message.at);
    const values = textOf(file, attribute);
    if (values !== undefined) attributes.set(attribute.name, values);
  }
  return attributes;
}

/** Section IV.A.2.v: the same for attributes. */
function checkAttributeInfo(file: Hdf5Bytes, { at, size }: Message): void {
  const heapAt = at + 2 + ((file.u8(at + 1) & 1) === 0 ? 0 : 2);
  if (heapAt + 8 > at + size) file.fail('The description of the attributes of an object is cut off', at);
  if (file.address(heapAt) !== undefined) file.unsupported("has attributes in the layout of libver='latest'", at);
}

/** Undefined for numbers, of which Keras stores none that matter. */
function textOf(file: Hdf5Bytes, { type, shape, at, size }: RawAttribute): readonly string[] | undefined {
  if ((type.kind !== 'text' && type.kind !== 'reference') || shape === undefined || type.size === 0) return undefined;
  const count = size / type.size;
  file.spend(count / 8, at);
  return Array.from({ length: count }, (_, i) => {
    const element = at + i * type.size;
    const place = type.kind === 'text' ? { at: element, size: type.size } : inHeap(file, element);
    file.spendData(place.size, element);
    return file.text(place.at, place.size).replace(/\0[^]*$/, '');
  });
}

/** Section III.E: a global heap's object, by the heap's address and the object's number. */
function inHeap(file: Hdf5Bytes, at: number): Extent {
  const length = file.u32(at);
  const address = file.address(at + 4);
  if (length === 0 || address === undefined) return { at, size: 0 };
  let heap = file.heaps.get(address);
  if (heap === undefined) file.heaps.set(address, (heap = readHeap(file, address)));
  const found = heap.get(file.u32(at + 12));
  if (found === undefined || length > found.size) return file.fail('A text refers to a place in the heap that there is not', at);
  return { at: found.at, size: length };
}

function readHeap(file: Hdf5Bytes, at: number): ReadonlyMap<number, Extent> {
  file.signature('GCOL', at);
  const size = file.u64(at + 8);
  file.check(at, size);
  const objects = new Map<number, Extent>();
  let next = at + 16;
  while (next + 16 <= at + size) {
    file.spend(1, next);
    const [index, length] = [file.u16(next), file.u64(next + 8)];
    if (index === 0) break;
    if (!(next + 16 + length <= at + size)) file.fail('An object of the heap is larger than the heap', next);
    objects.set(index, { at: next + 16, size: length });
    next += 16 + Math.ceil(length / 8) * 8;
  }
  return objects;
}
