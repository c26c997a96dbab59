// SPDX-License-Identifier: Apache-2.0
// safetensors files: a strict reader, whose tensors are views on the file's bytes, and a writer.
//
//   u64 little-endian N | N bytes of JSON, padded with spaces | data, tensor after tensor
//
// A file that any rule of the format forbids is refused, so that no two readers can see two models
// in it: duplicate keys, holes, overlaps, bytes after the end, shapes that do not fit their data.

import { invalidArgument } from '../check.js';
import { EfficientNetError } from '../errors.js';
import { ByteReader, elementBytes, elementCount, formatShape, invalidCheckpoint, quote } from './bytes.js';
import { JsonScanner, loneSurrogate } from './json-scanner.js';
import type { Checkpoint, ElementType, Tensor } from './tensor.js';

const kMaxHeader = 100_000_000;
// The largest network of the family has about 2,000. The limit bounds what a hostile header can make us allocate.
const kMaxTensors = 100_000;
const kMaxRank = 32;
const kPrefix = 8;

const typeNames: Readonly<Record<ElementType, string>> = {
  f32: 'F32', f16: 'F16', bf16: 'BF16', f64: 'F64', i64: 'I64', i32: 'I32', i16: 'I16', i8: 'I8', u8: 'U8', bool: 'BOOL',
};
const typesByName: ReadonlyMap<string, ElementType> = new Map(
  (Object.keys(typeNames) as ElementType[]).map((type) => [typeNames[type], type]),
);
/** Types of the format that no network of the family is published in. */
const foreignTypes: ReadonlySet<string> = new Set([
  'U16', 'U32', 'U64', 'F8_E4M3', 'F8_E5M2', 'F8_E8M0', 'F6_E2M3', 'F6_E3M2', 'F4', 'C64',
]);

interface Entry {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
  /** Where the header speaks of it. */
  readonly offset: number;
}

/** True where the bytes can be nothing else; says nothing about whether they are sound. */
export function looksLikeSafetensors(bytes: Uint8Array): boolean {
  return bytes.length > kPrefix && bytes[kPrefix] === 0x7b && new ByteReader(bytes).u64(0) <= kMaxHeader;
}

/**
 * Reads a safetensors file. Tensors are views on `bytes`, in the order of their data.
 * Throws ERR_INVALID_CHECKPOINT naming the place in the file, or ERR_UNSUPPORTED for an element
 * type of the format that this package has no use for.
 */
export function readSafetensors(bytes: Uint8Array): Checkpoint {
  const dataStart = safetensorsDataStart(bytes);
  const { entries, metadata } = readHeader(bytes.subarray(kPrefix, dataStart));
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  const dataLength = bytes.length - dataStart;
  const tensors = new Map<string, Tensor>();
  let expectedBegin = 0;
  for (const entry of entries) {
    checkEntry(entry, expectedBegin, dataLength);
    const { name, type, shape, begin, end } = entry;
    tensors.set(name, { name, type, shape, bytes: bytes.subarray(dataStart + begin, dataStart + end) });
    expectedBegin = end;
  }
  if (expectedBegin !== dataLength) {
    throw invalidCheckpoint(
      `Expected ${expectedBegin} bytes of tensor data as the header says but the file has ${dataLength}`,
      dataStart + expectedBegin,
    );
  }
  return { format: 'safetensors', tensors, metadata };
}

/** Where the header ends, which is all that readSafetensors reads of the bytes themselves. */
export function safetensorsDataStart(bytes: Uint8Array): number {
  return kPrefix + headerLength(bytes);
}

function headerLength(bytes: Uint8Array): number {
  if (bytes.length < kPrefix) {
    throw invalidCheckpoint(`The file is truncated: expected at least ${kPrefix} bytes but it has ${bytes.length}`, bytes.length);
  }
  const length = new ByteReader(bytes).u64(0);
  if (length > kMaxHeader) throw invalidCheckpoint(`Expected a header of at most ${kMaxHeader} bytes but the file says ${length}`, 0);
  if (length > bytes.length - kPrefix) {
    throw invalidCheckpoint(`The file is truncated: the header has ${length} bytes but only ${bytes.length - kPrefix} follow`, 0);
  }
  if (bytes[kPrefix] !== 0x7b || length < 2) throw invalidCheckpoint("Expected the header to begin with '{'", kPrefix);
  return length;
}

function readHeader(header: Uint8Array): { entries: Entry[]; metadata: Map<string, string> } {
  const scanner = new JsonScanner(header, kPrefix);
  const entries: Entry[] = [];
  const metadata = new Map<string, string>();
  scanner.object((name, offset) => {
    if (name === '__metadata__') {
      scanner.object((key) => metadata.set(key, scanner.string()));
      return;
    }
    if (entries.length === kMaxTensors) scanner.fail(`Expected at most ${kMaxTensors} tensors`, offset);
    entries.push(readEntry(scanner, name, offset));
  });
  scanner.end();
  return { entries, metadata };
}

/** An entry as the library writes it; numbers of at most 15 digits are exact. */
const usualEntry = (() => {
  const space = '[ \\n\\r\\t]*';
  const number = '(?:0|[1-9]\\d{0,14})';
  const between = `${space},${space}`;
  const numbers = `(?:${number}(?:${between}${number}){0,7})?`;
  const member = (key: string, value: string): string => `"${key}"${space}:${space}${value}`;
  const members = [
    member('dtype', `"(${Object.values(typeNames).join('|')})"`),
    member('shape', `\\[${space}(${numbers})${space}\\]`),
    member('data_offsets', `\\[${space}(${number})${between}(${number})${space}\\]`),
  ];
  return new RegExp(`\\{${space}${members.join(between)}${space}\\}`, 'y');
})();

/** Undefined for an entry of any other form, sound or not. */
function readUsualEntry(scanner: JsonScanner, name: string, offset: number): Entry | undefined {
  const [, dtype = '', sizes = '', begin, end] = scanner.match(usualEntry) ?? [];
  const type = typesByName.get(dtype);
  if (type === undefined) return undefined;
  const shape = sizes === '' ? [] : sizes.split(',').map(Number);
  return { name, type, shape, begin: Number(begin), end: Number(end), offset };
}

function readEntry(scanner: JsonScanner, name: string, offset: number): Entry {
  const usual = readUsualEntry(scanner, name, offset);
  if (usual !== undefined) return usual;
  let type: ElementType | undefined;
  let shape: readonly number[] | undefined;
  let offsets: readonly number[] | undefined;
  scanner.object((key, keyOffset) => {
    if (key === 'dtype') type = elementType(scanner.string(), name, keyOffset);
    else if (key === 'shape') shape = scanner.unsignedArray(kMaxRank);
    else if (key === 'data_offsets') offsets = scanner.unsignedArray(2);
    else scanner.fail(`Unknown key ${quote(key)} in the entry of tensor ${quote(name)}`, keyOffset);
  });
  const [begin, end] = offsets ?? [];
  if (type === undefined || shape === undefined || begin === undefined || end === undefined) {
    return scanner.fail(`Expected dtype, shape and two data_offsets for tensor ${quote(name)}`, offset);
  }
  return { name, type, shape, begin, end, offset };
}

function elementType(text: string, tensor: string, offset: number): ElementType {
  const type = typesByName.get(text);
  if (type !== undefined) return type;
  if (foreignTypes.has(text)) {
    throw new EfficientNetError(
      'ERR_UNSUPPORTED',
      `Tensor ${quote(tensor)} has the element type ${text}, which is not supported; convert it to F32`,
    );
  }
  throw invalidCheckpoint(`Unknown element type ${quote(text)} of tensor ${quote(tensor)}`, offset);
}

function checkEntry(entry: Entry, expectedBegin: number, dataLength: number): void {
  const { name, type, shape, begin, end, offset } = entry;
  if (begin !== expectedBegin) {
    const problem = begin < expectedBegin ? 'overlaps the tensor before it' : 'leaves a hole before it';
    throw invalidCheckpoint(`Tensor ${quote(name)} ${problem}: expected its data to begin at ${expectedBegin}, not ${begin}`, offset);
  }
  if (end < begin || end > dataLength) {
    throw invalidCheckpoint(`Tensor ${quote(name)} has data_offsets [${begin}, ${end}] outside the ${dataLength} bytes of data`, offset);
  }
  const count = elementCount(shape);
  const expectedBytes = count === undefined ? Infinity : count * elementBytes[type];
  if (expectedBytes !== end - begin) {
    throw invalidCheckpoint(
      `Tensor ${quote(name)} of shape ${formatShape(shape)} and type ${typeNames[type]} needs ` +
        `${expectedBytes} bytes but has ${end - begin}`,
      offset,
    );
  }
}

/**
 * The parts of a safetensors file, to be written one after the other; the tensors' bytes are not
 * copied. The data begins at a multiple of 8, so float32 tensors stay aligned.
 * Throws ERR_INVALID_ARGUMENT for tensors that would not make a sound file.
 */
export function safetensorsParts(tensors: Iterable<Tensor>, metadata: Readonly<Record<string, string>> = {}): Uint8Array[] {
  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) header.push(['__metadata__', checkMetadata(metadata)]);
  const names = new Set<string>(['__metadata__']);
  const data: Uint8Array[] = [];
  let begin = 0;
  for (const { name, type, shape, bytes } of tensors) {
    if (names.has(name) || loneSurrogate.test(name)) {
      throw invalidArgument('tensors', 'well-formed names that differ from each other and from __metadata__', name);
    }
    names.add(name);
    const count = elementCount(shape);
    if (count === undefined || count * elementBytes[type] !== bytes.length) {
      throw invalidArgument(`the bytes of tensor ${quote(name)} of shape ${formatShape(shape)}`, `product(shape) elements of ${type}`, bytes);
    }
    header.push([name, { dtype: typeNames[type], shape, data_offsets: [begin, begin + bytes.length] }]);
    data.push(bytes);
    begin += bytes.length;
  }
  // Text is joined by hand: an object would reorder names that look like integers.
  const text = `{${header.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
  const json = Buffer.from(text, 'utf8');
  const length = Math.ceil(json.length / 8) * 8;
  if (length > kMaxHeader) throw invalidArgument('tensors', `a header of at most ${kMaxHeader} bytes`, length);
  const start = new Uint8Array(kPrefix + length).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(length), true);
  start.set(json, kPrefix);
  return [start, ...data];
}

/** A whole safetensors file in memory; see safetensorsParts. */
export function writeSafetensors(tensors: Iterable<Tensor>, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const parts = safetensorsParts(tensors, metadata);
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    file.set(part, offset);
    offset += part.length;
  }
  return file;
}

function checkMetadata(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string' || loneSurrogate.test(key + value)) {
      throw invalidArgument(`metadata.${key}`, 'a well-formed string', value);
    }
  }
  return metadata;
}
