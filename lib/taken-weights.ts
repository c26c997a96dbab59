// SPDX-License-Identifier: Apache-2.0
// A checkpoint's weights on their way to the addon, which folds and packs them on another thread: their
// memory is moved out of everybody's reach first. What is wrong with a layer is said by fold.ts.

import { foldWeights, storeLayer, type FoldedLayer, type StoredWeights } from './fold.js';
import { pacer } from './turn.js';
import { assembleWeights, kNoLayer, type CollectedWeights, type NetworkWeights } from './weights.js';

/** Smaller ones are copied: they may be parts of a pool that Node shares. */
const kSmallBuffer = Math.max(2 ** 16, Buffer.poolSize);

export interface TakenWeights {
  readonly weights: NetworkWeights<StoredWeights | Float32Array>;
  /** What holds most of them, to be discarded when they are packed. */
  readonly buffers: readonly ArrayBuffer[];
  /** Throws ERR_WEIGHTS_MISMATCH, naming tensor and element, if a weight is the reason why packing failed. */
  explain(): Promise<void>;
}

/**
 * Takes the bytes away from the checkpoint. Throws as mapWeights does, but for the values of the weights
 * themselves, which the addon looks at.
 */
export async function takeWeights({ network, layers, areApart }: CollectedWeights): Promise<TakenWeights> {
  const breathe = pacer();
  const stored = new Map<string, FoldedLayer<StoredWeights>>();
  for (const [path, layer] of layers) {
    stored.set(path, storeLayer(layer, network.batchNormEpsilon));
    await breathe();
  }
  const mover = new Mover(areApart);
  // Where all lie is read before the first is moved: views on what is gone are empty.
  const places = [...stored].map(([path, layer]) => ({ path, layer, place: placeOf(layer.weights.bytes) }));
  for (const { path, layer, place } of places) stored.set(path, { ...layer, weights: { ...layer.weights, bytes: mover.move(place) } });
  return {
    weights: assembleWeights<StoredWeights | Float32Array>(network, (path) => stored.get(path) ?? kNoLayer),
    buffers: mover.buffers,
    async explain() {
      for (const [path, layer] of layers) {
        const { bytes, factors } = stored.get(path)?.weights ?? {};
        // What is packed already reads as zeros, in which nothing is wrong.
        if (bytes !== undefined) foldWeights({ ...layer, weight: { ...layer.weight, bytes } }, factors, false);
        await breathe();
      }
    },
  };
}

interface Place {
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly length: number;
}

function placeOf({ buffer, byteOffset, length }: Uint8Array): Place {
  return { buffer, byteOffset, length };
}

/** Gives the same bytes in a buffer that only the caller knows: their own, transferred, or a copy. */
class Mover {
  readonly #mayTransfer: boolean;
  readonly #transferred = new Map<ArrayBufferLike, ArrayBuffer>();

  constructor(mayTransfer: boolean) {
    this.#mayTransfer = mayTransfer;
  }

  get buffers(): readonly ArrayBuffer[] {
    return [...this.#transferred.values()];
  }

  move({ buffer, byteOffset, length }: Place): Uint8Array {
    const ours = this.#transferred.get(buffer) ?? this.#transfer(buffer);
    return ours === undefined ? new Uint8Array(buffer, byteOffset, length).slice() : new Uint8Array(ours, byteOffset, length);
  }

  #transfer(buffer: ArrayBufferLike): ArrayBuffer | undefined {
    if (!this.#mayTransfer || !(buffer instanceof ArrayBuffer) || buffer.byteLength <= kSmallBuffer) return undefined;
    const ours = structuredClone(buffer, { transfer: [buffer] });
    this.#transferred.set(buffer, ours);
    return ours;
  }
}
