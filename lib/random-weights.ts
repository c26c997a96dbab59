// SPDX-License-Identifier: Apache-2.0
// Made-up weights for any network, for measuring its speed where no checkpoint is at hand: the time
// of a run does not depend on the weights as long as no number overflows or becomes subnormal. They
// are the same on every machine, and of no other use.

import { checkInteger } from './check.js';
import type { Network } from './network.js';
import { assembleWeights, type FoldedWeights } from './weights.js';

/** Numbers made up before they repeat; prime, so that no row of a matrix is a copy of another. */
const PERIOD = 65_521;

/**
 * Weights of every layer of the network, uniform around zero. A layer that an activation follows is
 * scaled to keep the mean square of what enters it (He et al., arXiv 1502.01852: variance 2 / inputs),
 * a residual branch to a quarter of it, so that the deepest network of the family stays between
 * 1e-3 and 1e3.
 *
 * Throws ERR_INVALID_ARGUMENT for a seed that is not an integer from 0 to 2^32 - 1.
 *
 * @example randomWeights(buildNetwork('b7')).head.classifierWeights.length // 2560000
 */
export function randomWeights(network: Network, seed = 1): FoldedWeights {
  const tensor = tensorMaker(checkInteger('seed', seed, 0, 2 ** 32 - 1));
  return assembleWeights(network, (path, size) => {
    const inputs = size.in * size.kernel * size.kernel;
    return { weights: tensor(size.out * inputs, gainOf(network, path) / inputs), bias: tensor(size.out, BIAS) };
  });
}

/** Variance of the biases: small against the activations, but not zero. */
const BIAS = 0.01;

/** Variance of a layer's weights times its inputs. */
function gainOf({ blocks }: Network, path: string): number {
  const [, index, layer] = path.split('.');
  if (layer === 'excite' || path === 'head.classifier') return 1;
  if (layer !== 'project') return 2;
  const block = blocks[Number(index)];
  // 4 undoes the mean square of a gate of a half.
  const gate = block?.kind === 'mbconv' && block.squeeze > 0 ? 4 : 1;
  return block?.residual === true ? gate / 4 : gate;
}

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
