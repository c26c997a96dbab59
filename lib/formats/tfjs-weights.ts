// SPDX-License-Identifier: Apache-2.0
// The weights of a TensorFlow.js model: the manifest in model.json, and the shards cut into constants.
// Quantised weights are brought back as TensorFlow.js does it. What they are for is not known here.

import { EfficientNetError } from '../errors.js';
import { elementBytes, elementCount, formatShape, invalidCheckpoint, quote } from './bytes.js';
import type { GraphConstant } from './graph.js';
import { asArray, asObject, asString } from './json-value.js';

const kMaxEntries = 100_000;
const kMaxShards = 4096;

interface Quantization {
  readonly scale: number;
  readonly min: number;
}

interface WeightEntry {
  readonly name: string;
  /** Of the constant. */
  readonly type: 'f32' | 'f16' | 'i32' | 'bool';
  /** Of the elements in the shard. */
  readonly stored: 'f32' | 'f16' | 'i32' | 'bool' | 'u8' | 'u16';
  readonly quantization: Quantization | undefined;
  readonly shape: readonly number[];
  /** In the shard, in bytes. */
  readonly length: number;
}

/** Weights that lie in their own shards one after the other. */
export interface WeightGroup {
  readonly paths: readonly string[];
  readonly weights: readonly WeightEntry[];
}

/** Reads weightsManifest. Shards are plain file names: a model cannot name a file in another folder. */
export function parseManifest(value: unknown): readonly WeightGroup[] {
  const groups = asArray(value, 'weightsManifest').map(parseGroup);
  const weights = groups.flatMap((group) => group.weights);
  const paths = groups.flatMap((group) => group.paths);
  if (weights.length > kMaxEntries || paths.length > kMaxShards) throw invalidCheckpoint('The model.json lists too many weights or shards');
  checkUnique(weights.map(({ name }) => name), 'weights');
  checkUnique(paths, 'shards');
  return groups;
}

/** Of all shards together. */
export function manifestBytes(groups: readonly WeightGroup[]): number {
  return groups.reduce((sum, { weights }) => sum + weights.reduce((part, weight) => part + weight.length, 0), 0);
}

/** The weights by name: views on the shards, but for those that have to be brought back from 8 or 16 bits. */
export function readWeights(groups: readonly WeightGroup[], shards: ReadonlyMap<string, Uint8Array>): Map<string, GraphConstant> {
  const constants = new Map<string, GraphConstant>();
  for (const { paths, weights } of groups) {
    const bytes = concatenate(paths, shards);
    const expected = weights.reduce((sum, weight) => sum + weight.length, 0);
    if (bytes.length !== expected) {
      throw invalidCheckpoint(`Expected ${expected} bytes in the shards ${paths.map(quote).join(', ')} but they have ${bytes.length}: truncated or of another model`);
    }
    let begin = 0;
    for (const weight of weights) {
      const { name, type, shape, length } = weight;
      constants.set(name, { type, shape, bytes: dequantized(weight, bytes.subarray(begin, begin + length)) });
      begin += length;
    }
  }
  return constants;
}

/** scale * element + min, in double precision and rounded once, as TensorFlow.js computes it. */
function dequantized({ type, stored, quantization }: WeightEntry, bytes: Uint8Array): Uint8Array {
  if (quantization === undefined) return bytes;
  const { scale, min } = quantization;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = stored === 'u8' ? 1 : 2;
  const values = type === 'i32' ? new Int32Array(bytes.length / size) : new Float32Array(bytes.length / size);
  for (let i = 0; i < values.length; i++) {
    const value = scale * (size === 1 ? view.getUint8(i) : view.getUint16(2 * i, true)) + min;
    values[i] = type === 'i32' ? Math.round(value) : value;
  }
  return new Uint8Array(values.buffer);
}

function parseGroup(value: unknown): WeightGroup {
  const group = asObject(value, 'an entry of weightsManifest');
  const paths = asArray(group['paths'], 'paths').map((path) => asString(path, 'the path of a shard'));
  const outside = paths.find((path) => !/^[^/\\:\u0000-\u001f]{1,255}$/.test(path) || path === '.' || path === '..');
  if (outside !== undefined) throw invalidCheckpoint(`Expected the shards as plain file names beside model.json, not ${quote(outside)}`);
  return { paths, weights: asArray(group['weights'], 'weights').map(parseWeight) };
}

function parseWeight(value: unknown): WeightEntry {
  const weight = asObject(value, 'an entry of weights');
  const name = asString(weight['name'], 'the name of a weight');
  const shape = asArray(weight['shape'], `the shape of ${quote(name)}`).map((size) => {
    if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return size;
    throw invalidCheckpoint(`Expected non-negative integers as the shape of ${quote(name)}`);
  });
  const dtype = asString(weight['dtype'], `the dtype of ${quote(name)}`);
  const plain = plainTypes.get(dtype);
  if (plain === undefined) {
    throw new EfficientNetError('ERR_UNSUPPORTED', `Weight ${quote(name)} has the element type ${quote(dtype)}, which is not supported; expected float32`);
  }
  const elements = weight['quantization'] === undefined ? { type: plain, stored: plain, quantization: undefined } : parseQuantization(weight['quantization'], name, plain);
  const count = elementCount(shape);
  const size = elements.stored === 'u16' ? 2 : elementBytes[elements.stored];
  if (count === undefined || !Number.isSafeInteger(count * size)) throw invalidCheckpoint(`The shape ${formatShape(shape)} of ${quote(name)} is too large`);
  return { name, shape, length: count * size, ...elements };
}

const plainTypes: ReadonlyMap<string, 'f32' | 'i32' | 'bool'> = new Map([['float32', 'f32'], ['int32', 'i32'], ['bool', 'bool']]);

function parseQuantization(value: unknown, name: string, type: 'f32' | 'i32' | 'bool'): Pick<WeightEntry, 'type' | 'stored' | 'quantization'> {
  const { dtype, scale, min = 0 } = asObject(value, `the quantization of ${quote(name)}`);
  if (dtype === 'float16' && type === 'f32') return { type: 'f16', stored: 'f16', quantization: undefined };
  if ((dtype !== 'uint8' && dtype !== 'uint16') || type === 'bool') {
    throw new EfficientNetError('ERR_UNSUPPORTED', `Weight ${quote(name)} is quantised in a way that is not supported; expected uint8, uint16 or float16`);
  }
  if (typeof scale !== 'number' || typeof min !== 'number' || !Number.isFinite(scale) || !Number.isFinite(min)) {
    throw invalidCheckpoint(`Expected finite numbers as scale and min in the quantization of ${quote(name)}`);
  }
  return { type, stored: dtype === 'uint8' ? 'u8' : 'u16', quantization: { scale, min } };
}

function checkUnique(names: readonly string[], what: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw invalidCheckpoint(`Two ${what} of model.json are named ${quote(name)}`);
    seen.add(name);
  }
}

/** One shard is used as it is; a weight can lie across two, so several are copied together. */
function concatenate(paths: readonly string[], shards: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const parts = paths.map((path) => {
    const part = shards.get(path);
    if (part === undefined) throw invalidCheckpoint(`The shard ${quote(path)} that model.json lists is missing`);
    return part;
  });
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
