// SPDX-License-Identifier: Apache-2.0
// The fuzzer's entry for TensorFlow.js: a changed model.json over sound shards.

import { assembleTfjs, parseTfjsModel } from '../../../lib/formats/tfjs.js';
import { writeGraph } from '../../lib/graph-writer.js';
import { checkCheckpoint, type FuzzReader } from '../reader.js';

const graph = writeGraph([{ out: 4, stride: 1, expand: true, add: true }]);
const shards = new Map([['a.bin', Buffer.concat(graph.data)]]);

export const tfjsReaders: readonly FuzzReader[] = [
  {
    name: 'tfjs',
    seeds: () => [Buffer.from(JSON.stringify(graph.model([...shards.keys()])))],
    tokens: [
      '{', '}', '[', ']', '"', ':', ',', '\\', '0', '-1', '1e99', 'null', 'true', '"Const"', '"Identity"', '"Mul"', '"Sigmoid"', '"node_1"',
      '"Func/input/_0"', '"float32"', '"int32"', '"shape":[]', '"quantization":{"dtype":"uint8","scale":1,"min":0}', 'a.bin', '../', '__proto__',
    ],
    // The copies: a constant may be transposed, and shared by every name that a changed graph gives it.
    read: (bytes) => checkCheckpoint(assembleTfjs(parseTfjsModel(bytes), shards), 4),
  },
];
