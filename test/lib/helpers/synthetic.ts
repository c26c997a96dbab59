// SPDX-License-Identifier: Apache-2.0
// Networks with weights made up here, so that the tests of lifetimes and arguments need no download:
// the same numbers on every machine, scaled so that activations neither vanish nor overflow.

import type { Architecture } from '../../../lib/architecture.js';
import { writeSafetensors } from '../../../lib/formats/safetensors.js';
import { buildNetwork, type Network } from '../../../lib/network.js';
import { assembleWeights, canonicalMetadata, canonicalTensors, type FoldedWeights } from '../../../lib/weights.js';

/** Uniform numbers in [-1, 1) from a 32-bit linear congruence. */
export function noise(length: number, seed: number): Float32Array {
  const values = new Float32Array(length);
  let state = seed >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = state / 2 ** 31 - 1;
  }
  return values;
}

/** Transfers the memory of an array elsewhere, as posting it to a worker does. */
export function takeAway(array: Float32Array | Uint8Array): void {
  const { buffer } = array;
  if (buffer instanceof ArrayBuffer) structuredClone(buffer, { transfer: [buffer] });
}

/** Numbers in memory that can shrink, and the function that shrinks it to nothing. */
export function resizable(values: Float32Array): { readonly array: Float32Array; readonly shrink: () => void } {
  // The option and the method came with ES2024, which Node has and the compiler's library does not.
  const buffer = Reflect.construct(ArrayBuffer, [values.byteLength, { maxByteLength: values.byteLength }]) as ArrayBuffer & {
    resize(length: number): void;
  };
  const array = new Float32Array(buffer);
  array.set(values);
  return { array, shrink: () => buffer.resize(0) };
}

/** A network of four blocks with every kind of layer: 3x3 and 5x5, both strides, with and without expansion. */
const small: Architecture = {
  name: 'b0',
  base: {
    stem: 16,
    stages: [
      { kernel: 3, stride: 1, expand: 1, out: 8, repeats: 1 },
      { kernel: 5, stride: 2, expand: 4, out: 24, repeats: 2 },
      { kernel: 3, stride: 2, expand: 6, out: 40, repeats: 1 },
    ],
    head: 64,
    squeezeRatio: 0.25,
  },
  width: 1,
  depth: 1,
  resolution: 32,
};

export function smallNetwork(classes = 10): Network {
  return buildNetwork(small, { classes, padding: 'same', batchNormEpsilon: 1e-3 });
}

export function syntheticWeights(network: Network, seed = 1): FoldedWeights {
  let next = seed;
  // Uniform numbers have a third of their bound's square as variance: this keeps a layer's as it was.
  const tensor = (size: number, fanIn: number): Float32Array => {
    const bound = Math.sqrt(3 / fanIn);
    const values = noise(size, next++);
    for (let i = 0; i < size; i++) values[i] = (values[i] ?? 0) * bound;
    return values;
  };
  return assembleWeights(network, (_path, { out, in: from, kernel }) => {
    const inputs = from * kernel * kernel;
    return { weights: tensor(out * inputs, inputs), bias: tensor(out, 300) };
  });
}

/** A checkpoint of a named architecture in this package's own naming, as a safetensors file's bytes. */
export function syntheticCheckpoint(name = 'b0', classes = 10, seed = 1): Uint8Array {
  const network = buildNetwork(name, { classes, padding: 'same', batchNormEpsilon: 1e-3 });
  const weights = syntheticWeights(network, seed);
  return writeSafetensors(canonicalTensors(weights), canonicalMetadata(network));
}
