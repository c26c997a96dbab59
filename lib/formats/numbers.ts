// SPDX-License-Identifier: Apache-2.0
// A tensor's elements as numbers: float32 and float64 as they lie in the file, half precision and
// bfloat16 widened to float32, which holds each of their values exactly; integers too. Judges no value.

import { elementBytes } from './bytes.js';
import type { ElementType, Tensor } from './tensor.js';

export type Numbers = Float32Array | Float64Array;

/** True where numbersOf can read the type. */
export function isFloat(type: ElementType): type is 'f32' | 'f16' | 'bf16' | 'f64' {
  return type === 'f32' || type === 'f64' || type === 'f16' || type === 'bf16';
}

/** The elements in order: a view where the file's bytes are aligned and need no widening, else a copy. */
export function numbersOf({ name, type, bytes }: Pick<Tensor, 'name' | 'type' | 'bytes'>): Numbers {
  switch (type) {
    case 'f32': {
      const aligned = alignedTo(bytes, 4);
      return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
    }
    case 'f64': {
      const aligned = alignedTo(bytes, 8);
      return new Float64Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 8);
    }
    case 'f16':
      return widenHalf(words(bytes));
    case 'bf16':
      return widenBfloat(words(bytes));
    default:
      throw new TypeError(`tensor ${name} has the type ${type}, which holds no floating-point numbers`);
  }
}

/** The elements of an integer tensor; those of 64 bits are rounded where no number holds them exactly. */
export function integersOf({ type, bytes }: Pick<Tensor, 'type' | 'bytes'>): Float64Array | undefined {
  const read = integerReaders.get(type);
  if (read === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float64Array.from({ length: bytes.byteLength / elementBytes[type] }, (_, i) => read(view, i));
}

const integerReaders: ReadonlyMap<ElementType, (view: DataView, index: number) => number> = new Map([
  ['i64', (view, i) => Number(view.getBigInt64(8 * i, true))],
  ['i32', (view, i) => view.getInt32(4 * i, true)],
  ['i16', (view, i) => view.getInt16(2 * i, true)],
  ['i8', (view, i) => view.getInt8(i)],
  ['u8', (view, i) => view.getUint8(i)],
  ['bool', (view, i) => view.getUint8(i)],
]);

function alignedTo(bytes: Uint8Array, size: number): Uint8Array {
  return bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes); // A Buffer's slice would be a view.
}

function words(bytes: Uint8Array): Uint16Array {
  const aligned = alignedTo(bytes, 2);
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
}

/** Its bits are the upper half of a float32's. */
function widenBfloat(source: Uint16Array): Float32Array {
  const bits = new Uint32Array(source.length);
  for (let i = 0; i < source.length; i++) bits[i] = (source[i] ?? 0) << 16;
  return new Float32Array(bits.buffer);
}

let halves: Float32Array | undefined;

function widenHalf(source: Uint16Array): Float32Array {
  halves ??= Float32Array.from({ length: 65_536 }, (_, bits) => halfValue(bits));
  const result = new Float32Array(source.length);
  for (let i = 0; i < source.length; i++) result[i] = halves[source[i] ?? 0] ?? NaN;
  return result;
}

/** IEEE 754 binary16: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction. */
function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
