// SPDX-License-Identifier: Apache-2.0
// TensorFlow.js models, graph models and layers models: model.json and its shards. Says which shards
// are to be read between the two steps; what the models hold is in tfjs-graph.ts and tfjs-layers.ts.

import { invalidCheckpoint } from './bytes.js';
import { parseJsonTree } from './json-tree.js';
import { asObject, type JsonObject } from './json-value.js';
import type { KerasConfig } from './keras-config.js';
import type { Checkpoint } from './tensor.js';
import type { TensorflowNode } from './tensorflow-graph.js';
import { graphModel, parseNodes } from './tfjs-graph.js';
import { isLayers, layersModel, parseLayers } from './tfjs-layers.js';
import { manifestBytes, parseManifest, readWeights, type WeightGroup } from './tfjs-weights.js';

/** B7's has under 1 MB. */
const kMaxModelBytes = 16 * 2 ** 20;

/** A parsed model.json, and what must be read to go on. */
export interface TfjsModel {
  readonly topology: { readonly kind: 'graph'; readonly nodes: ReadonlyMap<string, TensorflowNode> } | { readonly kind: 'layers'; readonly config: KerasConfig };
  readonly groups: readonly WeightGroup[];
  /** Of all shards together. */
  readonly weightBytes: number;
  readonly metadata: ReadonlyMap<string, string>;
}

/** True where the bytes begin as a JSON object does; says nothing about what is in it. */
export function looksLikeJson(bytes: Uint8Array): boolean {
  return /^\s*\{\s*"/.test(Buffer.from(bytes.subarray(0, 64)).toString('latin1'));
}

/** Reads model.json alone. Throws ERR_INVALID_CHECKPOINT, or ERR_UNSUPPORTED for element types. */
export function parseTfjsModel(bytes: Uint8Array): TfjsModel {
  const model = parseJson(bytes);
  if (!('modelTopology' in model) || !('weightsManifest' in model)) {
    throw invalidCheckpoint('Expected the model.json of a TensorFlow.js model, with modelTopology and weightsManifest');
  }
  const groups = parseManifest(model['weightsManifest']);
  const metadata = new Map<string, string>();
  for (const key of ['generatedBy', 'convertedBy']) {
    const value = model[key];
    if (typeof value === 'string') metadata.set(key, value);
  }
  const topology = asObject(model['modelTopology'], 'modelTopology');
  const ofLayers = model['format'] === 'layers-model' || isLayers(topology);
  return {
    topology: ofLayers ? { kind: 'layers', config: parseLayers(topology) } : { kind: 'graph', nodes: parseNodes(topology) },
    groups,
    weightBytes: manifestBytes(groups),
    metadata,
  };
}

/** Reads a model from its model.json and its shards by file name. */
export function readTfjs(modelJson: Uint8Array, shards: ReadonlyMap<string, Uint8Array>): Checkpoint {
  return assembleTfjs(parseTfjsModel(modelJson), shards);
}

/** The second half of readTfjs, for a caller that has to fetch the shards in between. */
export function assembleTfjs({ topology, groups, metadata }: TfjsModel, shards: ReadonlyMap<string, Uint8Array>): Checkpoint {
  const constants = readWeights(groups, shards);
  return topology.kind === 'graph' ? graphModel(topology.nodes, constants, metadata) : layersModel(topology.config, constants, metadata);
}

function parseJson(bytes: Uint8Array): JsonObject {
  if (bytes.length > kMaxModelBytes) throw invalidCheckpoint(`Expected a model.json of at most ${kMaxModelBytes} bytes but it has ${bytes.length}`);
  return asObject(parseJsonTree(bytes), 'model.json');
}
