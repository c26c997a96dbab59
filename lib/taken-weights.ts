// SPDX-License-Identifier: Apache-2.0
// A checkpoint's weights on their way to the addon, which folds and packs them on another thread. Only
// buffers that load itself has made get there; what is wrong with a layer is said by fold.ts.

import { foldLayer, storeLayer, type FoldedLayer, type StoredWeights } from './fold.js';
import { pacer } from './turn.js';
import { assembleWeights, kNoLayer, type CollectedWeights, type NetworkWeights } from './weights.js';

/** What lies in smaller ones is copied: they may be parts of a pool that Node shares. */
const kSmallBuffer = Math.max(2 ** 16, Buffer.poolSize);

export interface TakenWeights {
  readonly weights: NetworkWeights<StoredWeights | Float32Array>;
  /** What holds most of them, to be discarded when they are packed. */
  readonly buffers: readonly ArrayBuffer[];
  /** Throws ERR_WEIGHTS_MISMATCH, naming tensor and element, if a weight is the reason why packing failed. */
  explain(): Promise<void>;
}

/**
 * For layers whose bytes nobody else holds: they are spent. Throws as mapWeights does, but for the values
 * of weights and batch norms, which the addon looks at.
 */
export async function takeWeights({ network, layers, areApart }: CollectedWeights): Promise<TakenWeights> {
  const breathe = pacer();
  const stored = new Map<string, FoldedLayer<StoredWeights>>();
  const buffers = new Set<ArrayBuffer>();
  const held = (bytes: Uint8Array): Uint8Array => {
    const { buffer } = bytes;
    const isOurs = areApart && buffer instanceof ArrayBuffer && buffer.byteLength > kSmallBuffer;
    if (!isOurs) return new Uint8Array(bytes);
    // Not transferred to a new buffer: V8 counts both until it collects garbage, which it then does at once.
    buffers.add(buffer);
    return bytes;
  };
  for (const [path, layer] of layers) {
    stored.set(path, storeLayer(layer, network.batchNormEpsilon, held));
    await breathe();
  }
  return {
    weights: assembleWeights<StoredWeights | Float32Array>(network, (path) => stored.get(path) ?? kNoLayer),
    buffers: [...buffers],
    async explain() {
      for (const layer of layers.values()) {
        // Weights that are packed already read as zeros, in which nothing is wrong.
        foldLayer(layer, network.batchNormEpsilon, false);
        await breathe();
      }
    },
  };
}
