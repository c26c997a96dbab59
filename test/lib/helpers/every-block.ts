// SPDX-License-Identifier: Apache-2.0
// A network with blocks of every kind and few channels, so that a test of formats covers them all in
// a few kilobytes. No architecture of the family has its shapes.

import type { Activation, Block, Network, Padding } from '../../../lib/network.js';

export interface EveryBlock {
  readonly activation?: Activation;
  readonly squeezeActivation?: Activation;
  readonly gateActivation?: Activation;
  readonly padding?: Padding;
  readonly hidden?: number;
  /** Multiplies the channels. */
  readonly width?: number;
}

/** Expansion and none, squeeze and none, fused with a projection and without, sums and none, kernels 3 to 7. */
export function everyBlock(options: EveryBlock = {}): Network {
  const { activation = 'swish', squeezeActivation = activation, gateActivation = 'sigmoid', padding = 'same', hidden = 0, width = 2 } = options;
  const [a, b, c] = [width, width + 1, 2 * width];
  const mbconv = { kind: 'mbconv', activation, squeezeActivation, gateActivation } as const;
  const fused = { kind: 'fused', activation } as const;
  const blocks: Block[] = [
    { ...mbconv, stage: 0, index: 0, in: a, expanded: a, out: a, kernel: 3, stride: 1, squeeze: 1, hasExpand: false, residual: true },
    { ...fused, stage: 0, index: 1, in: a, expanded: a, out: a, kernel: 3, stride: 1, hasProject: false, residual: true },
    { ...fused, stage: 1, index: 0, in: a, expanded: 2 * a, out: b, kernel: 5, stride: 2, hasProject: true, residual: false },
    { ...fused, stage: 1, index: 1, in: b, expanded: 2 * b, out: b, kernel: 3, stride: 1, hasProject: true, residual: true },
    // What a block without squeeze would squeeze with is not to be seen in a graph: the usual.
    { ...mbconv, squeezeActivation: activation, gateActivation: 'sigmoid', stage: 2, index: 0, in: b, expanded: 2 * b, out: c, kernel: 5, stride: 2, squeeze: 0, hasExpand: true, residual: false },
    { ...mbconv, stage: 2, index: 1, in: c, expanded: 2 * c, out: c, kernel: 7, stride: 1, squeeze: 2, hasExpand: true, residual: true },
    { ...fused, stage: 3, index: 0, in: c, expanded: b, out: b, kernel: 3, stride: 2, hasProject: false, residual: false },
  ];
  return {
    name: 'custom', resolution: 40, width: 1, depth: 1, padding, batchNormEpsilon: 1e-3,
    stem: { kind: 'stem', in: 3, out: a, kernel: 3, stride: 2, activation },
    blocks,
    head: { kind: 'head', in: b, features: 2 * c, hidden, classes: 5, activation, hiddenActivation: activation },
  };
}
