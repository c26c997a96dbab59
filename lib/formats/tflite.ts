// SPDX-License-Identifier: Apache-2.0
// TensorFlow Lite files in float32 or float16: from bytes to a checkpoint. Not a runtime: quantised
// networks and what is no network of the family are refused, naming the tensor or the node.

import { graphCheckpoint } from './graph-network.js';
import type { Checkpoint } from './tensor.js';
import { tfliteGraph } from './tflite-graph.js';
import { readTfliteFile } from './tflite-model.js';

export { looksLikeTflite } from './tflite-model.js';

/** Reads a TensorFlow Lite file. Tensors are `stem.weight`, `blocks.0.depthwise.bias` and so on, in the engine's layout. */
export function readTflite(bytes: Uint8Array): Checkpoint {
  const file = readTfliteFile(bytes);
  const about = new Map(file.description === '' ? [] : [['description', file.description]]);
  return graphCheckpoint('tflite', tfliteGraph(file), about);
}
