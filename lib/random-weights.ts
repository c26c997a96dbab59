// SPDX-License-Identifier: Apache-2.0
// Made-up weights for any network, for measuring its speed where no checkpoint is at hand: the time
// of a run does not depend on the weights as long as no number overflows or becomes subnormal. They
// are the same on every machine, and of no other use.

import { checkInteger } from './check.js';
import type { FoldedLayer } from './fold.js';
import type { LayerSize } from './layers.js';
import { namedLayers } from './naming.js';
import { canonicalScheme } from './naming/folded.js';
import type { Activation, Network } from './network.js';
import { assembleWeights, kNoLayer, type FoldedWeights } from './weights.js';

/** Numbers made up before they repeat; prime, so that no row of a matrix is a copy of another. */
const PERIOD = 65_521;

/**
 * Weights of every layer of the network, uniform around zero, with variances from the expected mean
 * square of what enters each layer (`scalesOf`): what an activation receives is of order 1 in every
 * layer of every network, however deep. Rounding is therefore not amplified either: instruction sets and
 * other runtimes agree on the logits to 1e-4 of the largest, as they do with trained weights.
 *
 * Throws ERR_INVALID_ARGUMENT for a seed that is not an integer from 0 to 2^32 - 1.
 *
 * @example randomWeights(buildNetwork('b7')).head.classifierWeights.length // 2560000
 */
export function randomWeights(network: Network, seed = 1): FoldedWeights {
  return assembleWeights(network, layerMaker(network, checkInteger('seed', seed, 0, 2 ** 32 - 1)));
}

/** The same weights with a turn of the event loop between layers where one is due; what `breathe` throws ends it. */
export async function randomWeightsInTurns(network: Network, breathe: () => Promise<void>): Promise<FoldedWeights> {
  const make = layerMaker(network, 1);
  const layers = new Map<string, FoldedLayer>();
  for (const { path, size } of namedLayers(network, canonicalScheme)) {
    layers.set(path, make(path, size));
    await breathe();
  }
  return assembleWeights(network, (path) => layers.get(path) ?? kNoLayer);
}

function layerMaker(network: Network, seed: number): (path: string, size: LayerSize) => FoldedLayer {
  const tensor = tensorMaker(seed);
  const scales = scalesOf(network);
  return (path, size) => {
    const inputs = size.in * size.kernel * size.kernel;
    const { entering, wanted, bias } = scales.get(path) ?? LINEAR;
    return { weights: tensor(size.out * inputs, (wanted - bias) / entering / inputs), bias: tensor(size.out, bias) };
  };
}

/** Of one layer: mean squares of what enters it and of what it gives, before an activation, and the share of its biases. */
interface Scale {
  readonly entering: number;
  readonly wanted: number;
  readonly bias: number;
}

/**
 * Share of the biases in what an activation receives. Without them a number a little larger than expected
 * grows in every layer, since swish and gates pass a larger share of larger numbers: B0 at 224 then ends
 * with logits around 30, V2-XL at 96 with 140 and a difference of 6e-4 between AVX2 and AVX-512. With a
 * tenth of biases these are 6 and 6, with a quarter or more 1.
 */
const BIAS = 0.25;
/** Of the classifier, but for what enters it. */
const LINEAR: Scale = { entering: 1, wanted: 1, bias: 0.01 };
/**
 * Mean square of what a residual branch adds to an input of mean square 1. Added to one another, the
 * branches of a stage of 20 blocks make it 3; scaled by what they are given, as He et al. (arXiv
 * 1502.01852) would have it, they would multiply it in each block: 10^7 at the end of V2-XL.
 */
const BRANCH = 0.1;
/** Of the gates' arguments: they stay between 0.2 and 0.8. */
const GATE_ARGUMENT = 0.25;

/** Mean, and mean square, of an activation of a standard normal number. */
const moments: Readonly<Record<Activation, readonly [mean: number, square: number]>> = {
  none: [0, 1],
  swish: [0.207, 0.356],
  relu: [0.399, 0.5],
  relu6: [0.399, 0.5],
  sigmoid: [0.5, 0.293],
  'hard-swish': [0.165, 0.336],
  'hard-sigmoid': [0.5, 0.277],
};

/** Mean square after an activation whose argument has a mean square of 1. */
function squareOf(activation: Activation): number {
  return moments[activation][1];
}

/** Of the mean over a map: the square of the mean if all numbers are independent, their own if all are equal; neither is so. */
function pooledSquare(activation: Activation): number {
  const [mean, square] = moments[activation];
  return (mean ** 2 + square) / 2;
}

/** For each layer by its path. */
function scalesOf({ stem, blocks, head }: Network): ReadonlyMap<string, Scale> {
  const activated = (entering: number): Scale => ({ entering, wanted: 1, bias: BIAS });
  const found = new Map([['stem', activated(1)]]);
  // Mean square of what goes from block to block.
  let stream = squareOf(stem.activation);
  for (const [i, block] of blocks.entries()) {
    const set = (layer: string, scale: Scale): unknown => found.set(`blocks.${i}.${layer}`, scale);
    let inner = squareOf(block.activation);
    let gate = 1;
    if (block.kind === 'fused') {
      set('conv', activated(stream));
    } else {
      if (block.hasExpand) set('expand', activated(stream));
      set('depthwise', activated(block.hasExpand ? inner : stream));
      if (block.squeeze > 0) {
        set('reduce', activated(pooledSquare(block.activation)));
        set('excite', { entering: squareOf(block.squeezeActivation), wanted: GATE_ARGUMENT, bias: BIAS * GATE_ARGUMENT });
        gate = GATE;
      }
    }
    if (block.kind !== 'fused' || block.hasProject) {
      const wanted = block.residual ? BRANCH : 1;
      set('project', { entering: inner * gate, wanted, bias: 0.01 * wanted });
      inner = wanted;
    }
    stream = inner + (block.residual ? stream : 0);
  }
  const pooled = pooledSquare(head.activation);
  found.set('head.conv', activated(stream)).set('head.hidden', activated(pooled));
  return found.set('head.classifier', { ...LINEAR, entering: head.hidden > 0 ? squareOf(head.hiddenActivation) : pooled });
}

/** Mean square of a gate around a half. */
const GATE = 0.27;

type TensorMaker = (size: number, variance: number) => Float32Array;

/** Uniform numbers of mean 0; each tensor begins at another place of one sequence. */
function tensorMaker(seed: number): TensorMaker {
  const noise = new Float32Array(PERIOD);
  let state = seed >>> 0;
  for (let i = 0; i < PERIOD; i++) {
    // A linear congruence (Numerical Recipes); its high bits are what a float keeps.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    noise[i] = state / 2 ** 31 - 1;
  }
  let next = 0;
  return (size, variance) => {
    const values = new Float32Array(size);
    const bound = Math.sqrt(3 * variance); // of uniform numbers whose variance is a third of its square
    for (let i = 0; i < size; i++) {
      values[i] = (noise[next] ?? 0) * bound;
      next = next + 1 === PERIOD ? 0 : next + 1;
    }
    return values;
  };
}
