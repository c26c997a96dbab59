// SPDX-License-Identifier: Apache-2.0
// The fuzzer's entries for TensorFlow.js: a changed model.json over sound shards, of a graph model and of
// layers models, quantised too, and its parts alone: JSON, topology, manifest.

import { parseJsonTree } from '../../../lib/formats/json-tree.js';
import { asObject } from '../../../lib/formats/json-value.js';
import { assembleTfjs, parseTfjsModel } from '../../../lib/formats/tfjs.js';
import { parseNodes } from '../../../lib/formats/tfjs-graph.js';
import { parseLayers } from '../../../lib/formats/tfjs-layers.js';
import { parseManifest, readWeights } from '../../../lib/formats/tfjs-weights.js';
import { layersModel, layersShard } from '../../lib/helpers/layers-model.js';
import { writeGraph } from '../../lib/graph-writer.js';
import { checkCheckpoint, type FuzzReader } from '../reader.js';

const graph = writeGraph([{ out: 4, stride: 1, expand: true, add: true }]);
const graphModel = graph.model(['g.bin']);
const plain = layersModel();
const quantised = structuredClone(plain);
for (const group of quantised.weightsManifest) {
  group.paths = ['q.bin'];
  group.weights.forEach((weight, i) => (weight.quantization = i === 2 ? { dtype: 'float16' } : { dtype: i === 0 ? 'uint8' : 'uint16', scale: 0.1, min: -3 }));
}
const shards = new Map<string, Uint8Array>([['g.bin', Buffer.concat(graph.data)], ['a.bin', layersShard], ['q.bin', new Uint8Array(2 + 6 + 4)]]);
const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

const tokens = [
  '{', '}', '[', ']', '"', ':', ',', '\\', '0', '-1', '1e99', '1e999', 'null', 'true', '"Const"', '"Identity"', '"Mul"', '"Sigmoid"', '"node_1"',
  '"Func/input/_0"', '"float32"', '"int32"', '"shape":[]', '"quantization":{"dtype":"uint8","scale":1,"min":0}', 'a.bin', 'g.bin', '../', '__proto__',
  '"format":"layers-model"', '"model_config":{', '"class_name":"Lambda"', '"config":{', 'stem_bn/gamma', '"Rescaling"',
];

export const tfjsReaders: readonly FuzzReader[] = [
  {
    name: 'tfjs',
    seeds: () => [json(graphModel), json(plain), json(quantised)],
    tokens,
    // The copies: a constant may be transposed, and shared by every name that a changed graph gives it.
    read: (bytes) => checkCheckpoint(assembleTfjs(parseTfjsModel(bytes), shards), 4),
  },
  { name: 'json-tree', seeds: () => [json(plain), Buffer.from(' {"a": [1, -2.5e3, "\\u00e9\\n", {}, [], true, null]}\n')], tokens, read: (bytes) => parseJsonTree(bytes) },
  {
    name: 'tfjs-topology',
    seeds: () => [json(graphModel.modelTopology), json(plain.modelTopology)],
    tokens,
    read: (bytes) => {
      const topology = asObject(parseJsonTree(bytes), 'the topology');
      return 'node' in topology ? parseNodes(topology) : parseLayers(topology);
    },
  },
  {
    name: 'tfjs-weights',
    seeds: () => [json(graphModel.weightsManifest), json(plain.weightsManifest), json(quantised.weightsManifest)],
    tokens,
    read: (bytes) => readWeights(parseManifest(parseJsonTree(bytes)), shards),
  },
];
