// SPDX-License-Identifier: Apache-2.0
// The messages of an HDF5 object header that describe data: element type, shape, layout, attribute.
// HDF5 File Format Specification 3.0, section IV.A.2. What a Keras file never has (external storage,
// compound types) is named and refused; chunks are in hdf5-chunks.ts.

import { elementBytes, elementCount, formatShape, quote } from './bytes.js';
import type { Hdf5Bytes } from './hdf5-bytes.js';
import type { ElementType } from './tensor.js';

export interface Message {
  readonly type: number;
  /** Where its body lies. */
  readonly at: number;
  readonly size: number;
}

export type Hdf5Type =
  | { readonly kind: 'number'; readonly type: ElementType; readonly size: number }
  /** Two opaque bytes: how h5py stores bfloat16, which HDF5 does not know. */
  | { readonly kind: 'opaque'; readonly size: number }
  | { readonly kind: 'text'; readonly size: number }
  /** A text elsewhere in the file. */
  | { readonly kind: 'reference'; readonly size: number }
  | { readonly kind: 'other'; readonly size: number; readonly what: string };

const kMaxRank = 32;

/** Section IV.A.2.d. `size` bounds the message. */
export function datatypeOf(file: Hdf5Bytes, { at, size }: Message): Hdf5Type {
  if (size < 8) file.fail('The datatype is cut off', at);
  const [first, bits] = [file.u8(at), file.u8(at + 1)];
  const [kind, version, length] = [first & 15, first >> 4, file.u32(at + 4)];
  if (version < 1 || version > 4) file.fail(`Expected a datatype of version 1 to 4, not ${version}`, at);
  const other = (what: string): Hdf5Type => ({ kind: 'other', size: length, what });
  switch (kind) {
    case 0: {
      const names: Readonly<Record<string, ElementType>> = { 1: 'u8', '1s': 'i8', '2s': 'i16', '4s': 'i32', '8s': 'i64' };
      const type = names[`${length}${(bits & 8) === 0 ? '' : 's'}`];
      return type === undefined || (bits & 1) !== 0 ? other('integers that are unsigned or big-endian') : { kind: 'number', type, size: length };
    }
    case 1:
      return readFloat(file, at, size, bits, length) ?? other('floating-point numbers of no common type');
    case 3:
      return { kind: 'text', size: length };
    case 5:
      return { kind: 'opaque', size: length };
    case 8:
      // How h5py stores booleans; no weight is one.
      return other('an enumeration');
    case 9:
      // A variable length is a count, an address and an index.
      return (bits & 15) === 1 && length === 16 ? { kind: 'reference', size: length } : other('lists of variable length');
    default:
      return other(`elements of class ${kind}`);
  }
}

/** Place and width of the exponent, width of the fraction, bias: IEEE 754's three, and bfloat16. */
const floats: readonly (readonly [type: ElementType, exponentAt: number, exponent: number, fraction: number, bias: number])[] = [
  ['f16', 10, 5, 10, 15],
  ['bf16', 7, 8, 7, 127],
  ['f32', 23, 8, 23, 127],
  ['f64', 52, 11, 52, 1023],
];

function readFloat(file: Hdf5Bytes, at: number, size: number, bits: number, length: number): Hdf5Type | undefined {
  if (size < 20) file.fail('The datatype is shorter than that of a floating-point number', at);
  const [offset, precision] = [file.u16(at + 8), file.u16(at + 10)];
  const fields = [file.u8(at + 12), file.u8(at + 13), file.u8(at + 15), file.u32(at + 16)];
  const isLittle = (bits & 0x41) === 0;
  const found = floats.find((row) => row.slice(1).every((value, i) => value === fields[i]));
  if (found === undefined || !isLittle || offset !== 0 || precision !== length * 8 || length !== elementBytes[found[0]]) return undefined;
  return { kind: 'number', type: found[0], size: length };
}

/** Section IV.A.2.b: the lengths, none for a scalar; undefined for a dataspace of nothing. */
export function dataspaceOf(file: Hdf5Bytes, { at, size }: Message): readonly number[] | undefined {
  if (size < 4) file.fail('The dataspace is cut off', at);
  const [version, rank] = [file.u8(at), file.u8(at + 1)];
  if (version !== 1 && version !== 2) file.fail(`Expected a dataspace of version 1 or 2, not ${version}`, at);
  if (version === 2 && file.u8(at + 3) === 2) return undefined;
  const start = at + (version === 1 ? 8 : 4);
  if (rank > kMaxRank || start + rank * 8 > at + size) file.fail(`The dataspace has no room for ${rank} dimensions`, at);
  return Array.from({ length: rank }, (_, i) => file.u64(start + i * 8));
}

/**
 * Section IV.A.2.i: where a dataset's elements lie. `expected` is what type and shape ask for; the
 * layout must say the same, so that no size is taken on trust.
 */
export function elementsOf(file: Hdf5Bytes, { at, size }: Message, expected: number, path: string): Uint8Array {
  if (size < 4) file.fail(`The data layout of ${quote(path)} is cut off`, at);
  const [version, kind] = [file.u8(at), file.u8(at + 1)];
  if (version !== 3 && version !== 4) file.unsupported(`has a data layout of version ${version} in ${quote(path)}`, at);
  if (kind !== 0 && kind !== 1) file.unsupported(`stores the dataset ${quote(path)} by a layout of class ${kind}`, at);
  if (kind === 1 && size < 18) file.fail(`The data layout of ${quote(path)} is cut off`, at);
  const length = kind === 0 ? file.u16(at + 2) : file.u64(at + 10);
  if (length !== expected) {
    file.fail(`The dataset ${quote(path)} needs ${expected} bytes by its shape and type but its layout says ${length}`, at);
  }
  if (kind === 0) {
    if (4 + length > size) file.fail(`The dataset ${quote(path)} is larger than the message that holds it`, at);
    return file.slice(at + 4, length);
  }
  const address = file.address(at + 2);
  if (length === 0) return file.slice(0, 0);
  if (address === undefined) return file.fail(`The dataset ${quote(path)} was never written`, at);
  return file.slice(address, length);
}

/** Bytes of a dataset by its shape, checked before anything is looked at; `ratio` is more than 1 where it may be compressed. */
export function sizeOf(file: Hdf5Bytes, shape: readonly number[], type: Hdf5Type, ratio: number, path: string, at: number): number {
  const count = elementCount(shape);
  const size = count === undefined ? Infinity : count * type.size;
  if (size <= file.length * ratio) return size;
  const limit = ratio === 1 ? `the file's ${file.length}` : `${ratio} times the file's ${file.length}`;
  return file.fail(`The dataset ${quote(path)} of shape ${formatShape(shape)} needs ${size} bytes, more than ${limit}`, at);
}

export interface RawAttribute {
  readonly name: string;
  readonly type: Hdf5Type;
  /** Undefined where it has no value. */
  readonly shape: readonly number[] | undefined;
  /** Where its elements lie, `size` bytes. */
  readonly at: number;
  readonly size: number;
}

/** Section IV.A.2.m. */
export function attributeOf(file: Hdf5Bytes, { at, size }: Message): RawAttribute {
  if (size < 8) file.fail('The attribute is cut off', at);
  const version = file.u8(at);
  if (version < 1 || version > 3) file.fail(`Expected an attribute of version 1 to 3, not ${version}`, at);
  if (version > 1 && file.u8(at + 1) !== 0) file.unsupported('shares the type of an attribute', at);
  // Version 1 pads each part to 8 bytes; version 3 adds the name's character set.
  const pad = (length: number): number => (version === 1 ? Math.ceil(length / 8) * 8 : length);
  const [nameSize, typeSize, spaceSize] = [file.u16(at + 2), file.u16(at + 4), file.u16(at + 6)];
  const nameAt = at + (version === 3 ? 9 : 8);
  const typeAt = nameAt + pad(nameSize);
  const spaceAt = typeAt + pad(typeSize);
  const dataAt = spaceAt + pad(spaceSize);
  if (nameSize < 1 || dataAt > at + size) file.fail('The parts of an attribute are longer than the attribute', at);
  const name = file.terminated(nameAt, nameAt + nameSize);
  const type = datatypeOf(file, { type: 3, at: typeAt, size: typeSize });
  const shape = dataspaceOf(file, { type: 1, at: spaceAt, size: spaceSize });
  const count = shape === undefined ? 0 : (elementCount(shape) ?? Infinity);
  const length = count * type.size;
  if (!(dataAt + length <= at + size)) file.fail(`The attribute ${quote(name)} is longer than the message that holds it`, at);
  return { name, type, shape, at: dataAt, size: length };
}
