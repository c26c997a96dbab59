// SPDX-License-Identifier: Apache-2.0
// ONNX files of networks of the family, as PyTorch, timm and this package export them: from bytes to a
// checkpoint. Not a runtime: what is no network of the family is refused, naming the node.

import type { Checkpoint } from './tensor.js';
import { graphCheckpoint } from './graph-network.js';
import { onnxGraph } from './onnx-graph.js';
import { readOnnxFile, type ExternalData } from './onnx-model.js';

export { onnxExternalFiles, type ExternalData } from './onnx-model.js';

/**
 * True where the bytes begin as an ONNX model does: a small IR version, then another field of the
 * model. Says nothing about what is in it.
 */
export function looksLikeOnnx(bytes: Uint8Array): boolean {
  const [tag, version = 0, next = 0] = bytes;
  return tag === 0x08 && version >= 1 && version <= 64 && [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42].includes(next);
}

/**
 * Reads an ONNX model. Tensors are `stem.weight`, `blocks.0.depthwise.bias` and so on, in the engine's
 * layout and as views on the file where they lie so there.
 * @param external files with tensors that lie outside the model, by the name that it gives them
 */
export function readOnnx(bytes: Uint8Array, external?: ExternalData): Checkpoint {
  const file = readOnnxFile(bytes, external);
  return graphCheckpoint('onnx', onnxGraph(file), file.metadata);
}
