// SPDX-License-Identifier: Apache-2.0
// TensorFlow.js graph models: model.json and its shards. The converter leaves constants without telling
// names, so the network is found by structure (graph-match.ts) and its tensors are returned under this
// package's names. Not a runtime for graphs: what is no network of the family is refused.

import { EfficientNetError } from '../errors.js';
import { elementCount, formatShape, invalidCheckpoint, quote } from './bytes.js';
import { asArray, asObject, asString, type JsonObject } from './json-value.js';
import type { GraphConstant } from './graph.js';
import { graphCheckpoint } from './graph-network.js';
import { tensorflowGraph, type TensorflowNode } from './tensorflow-graph.js';
import type { Checkpoint } from './tensor.js';

const kMaxModelBytes = 64 * 2 ** 20;
const kMaxEntries = 100_000;
const kMaxShards = 4096;

interface WeightEntry {
  readonly name: string;
  readonly type: 'f32' | 'i32';
  readonly shape: readonly number[];
  readonly length: number;
}

/** A parsed model.json, and what must be read to go on. */
export interface TfjsModel {
  readonly nodes: ReadonlyMap<string, TensorflowNode>;
  /** Groups of weights, each lying in its own shards one after the other. */
  readonly groups: readonly { readonly paths: readonly string[]; readonly weights: readonly WeightEntry[] }[];
  /** Of all shards together. */
  readonly weightBytes: number;
  readonly metadata: ReadonlyMap<string, string>;
}

/** True where the bytes begin as a JSON object does; says nothing about what is in it. */
export function looksLikeJson(bytes: Uint8Array): boolean {
  return /^\s*\{\s*"/.test(Buffer.from(bytes.subarray(0, 64)).toString('latin1'));
}

/**
 * Reads model.json alone. Shards are plain file names: a model cannot name a file in another folder.
 * Throws ERR_INVALID_CHECKPOINT, or ERR_UNSUPPORTED for layers models and for quantised weights.
 */
export function parseTfjsModel(bytes: Uint8Array): TfjsModel {
  const model = parseJson(bytes);
  if (model['format'] === 'layers-model') {
    throw new EfficientNetError('ERR_UNSUPPORTED', 'The file is a TensorFlow.js layers model; only graph models are supported: convert with --output_format=tfjs_graph_model');
  }
  if (!('modelTopology' in model) || !('weightsManifest' in model)) {
    throw invalidCheckpoint('Expected the model.json of a TensorFlow.js graph model, with modelTopology and weightsManifest');
  }
  const groups = asArray(model['weightsManifest'], 'weightsManifest').map(parseGroup);
  const weights = groups.flatMap((group) => group.weights);
  const paths = groups.flatMap((group) => group.paths);
  if (weights.length > kMaxEntries || paths.length > kMaxShards) throw invalidCheckpoint('The model.json lists too many weights or shards');
  checkUnique(weights.map(({ name }) => name), 'weights');
  checkUnique(paths, 'shards');
  const metadata = new Map<string, string>();
  for (const key of ['generatedBy', 'convertedBy']) {
    const value = model[key];
    if (typeof value === 'string') metadata.set(key, value);
  }
  return {
    nodes: parseNodes(asObject(model['modelTopology'], 'modelTopology')),
    groups,
    weightBytes: weights.reduce((sum, weight) => sum + weight.length, 0),
    metadata,
  };
}

/**
 * Reads a graph model from its model.json and its shards by file name.
 * Tensors are `stem.weight`, `blocks.0.depthwise.bias` and so on, in the engine's layout.
 */
export function readTfjsGraph(modelJson: Uint8Array, shards: ReadonlyMap<string, Uint8Array>): Checkpoint {
  return assembleTfjsGraph(parseTfjsModel(modelJson), shards);
}

/** The second half of readTfjsGraph, for a caller that has to fetch the shards in between. */
export function assembleTfjsGraph(model: TfjsModel, shards: ReadonlyMap<string, Uint8Array>): Checkpoint {
  const constants = new Map<string, GraphConstant>();
  for (const { paths, weights } of model.groups) {
    const bytes = concatenate(paths, shards);
    const expected = weights.reduce((sum, weight) => sum + weight.length, 0);
    if (bytes.length !== expected) {
      throw invalidCheckpoint(`Expected ${expected} bytes in the shards ${paths.map(quote).join(', ')} but they have ${bytes.length}: truncated or of another model`);
    }
    let begin = 0;
    for (const { name, type, shape, length } of weights) {
      constants.set(name, { type, shape, bytes: bytes.subarray(begin, begin + length) });
      begin += length;
    }
  }
  return graphCheckpoint('tfjs-graph', tensorflowGraph(model.nodes, constants), model.metadata);
}

/** JSON.parse keeps the last of equal keys; what comes out is checked as a whole, so that is no loophole here. */
function parseJson(bytes: Uint8Array): JsonObject {
  if (bytes.length > kMaxModelBytes) throw invalidCheckpoint(`Expected a model.json of at most ${kMaxModelBytes} bytes but it has ${bytes.length}`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new EfficientNetError('ERR_INVALID_CHECKPOINT', `Malformed JSON in model.json: ${cause instanceof Error ? cause.message : 'unknown'}`, { cause });
  }
  return asObject(value, 'model.json');
}

function parseGroup(value: unknown): TfjsModel['groups'][number] {
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
  if (weight['quantization'] !== undefined) {
    throw new EfficientNetError('ERR_UNSUPPORTED', `Weight ${quote(name)} is quantised, which is not supported yet; convert the model without quantisation`);
  }
  if (dtype !== 'float32' && dtype !== 'int32') {
    throw new EfficientNetError('ERR_UNSUPPORTED', `Weight ${quote(name)} has the element type ${quote(dtype)}, which is not supported; expected float32`);
  }
  const count = elementCount(shape);
  if (count === undefined || !Number.isSafeInteger(count * 4)) throw invalidCheckpoint(`The shape ${formatShape(shape)} of ${quote(name)} is too large`);
  return { name, type: dtype === 'float32' ? 'f32' : 'i32', shape, length: count * 4 };
}

function parseNodes(topology: JsonObject): Map<string, TensorflowNode> {
  const list = asArray(topology['node'], 'modelTopology.node');
  if (list.length > kMaxEntries) throw invalidCheckpoint('The graph has too many nodes');
  const nodes = new Map<string, TensorflowNode>();
  for (const value of list) {
    const node = asObject(value, 'a node of the graph');
    const name = asString(node['name'], 'the name of a node');
    if (nodes.has(name)) throw invalidCheckpoint(`Two nodes of the graph are named ${quote(name)}`);
    const inputs = node['input'] === undefined ? [] : asArray(node['input'], `the inputs of ${quote(name)}`);
    nodes.set(name, {
      name,
      op: asString(node['op'], `the op of ${quote(name)}`),
      // "^x" orders execution only; "x:0" is x's first output, as "x" is.
      inputs: inputs.map((input) => asString(input, `an input of ${quote(name)}`).replace(/:0$/, '')).filter((input) => !input.startsWith('^')),
      attributes: node['attr'] === undefined ? {} : asObject(node['attr'], `the attributes of ${quote(name)}`),
    });
  }
  return nodes;
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
