// SPDX-License-Identifier: Apache-2.0
// The networks of the family as data, to be checked against the paper's Table 1 line by line.
// No logic: network.ts turns an architecture into blocks with shapes.

import type { Architecture, BaseNetwork } from './architecture.js';
import { coefficients, type EfficientNetName } from './scaling.js';

/** EfficientNet-B0 (arXiv 1905.11946, Table 1), from which the others are scaled. */
export const efficientNet: BaseNetwork = {
  stem: 32,
  stages: [
    { kernel: 3, stride: 1, expand: 1, out: 16, repeats: 1 },
    { kernel: 3, stride: 2, expand: 6, out: 24, repeats: 2 },
    { kernel: 5, stride: 2, expand: 6, out: 40, repeats: 2 },
    { kernel: 3, stride: 2, expand: 6, out: 80, repeats: 3 },
    { kernel: 5, stride: 1, expand: 6, out: 112, repeats: 3 },
    { kernel: 5, stride: 2, expand: 6, out: 192, repeats: 4 },
    { kernel: 3, stride: 1, expand: 6, out: 320, repeats: 1 },
  ],
  head: 1280,
  squeezeRatio: 0.25,
};

export const architectures: Readonly<Record<EfficientNetName, Architecture>> = {
  b0: { name: 'b0', base: efficientNet, ...coefficients.b0 },
  b1: { name: 'b1', base: efficientNet, ...coefficients.b1 },
  b2: { name: 'b2', base: efficientNet, ...coefficients.b2 },
  b3: { name: 'b3', base: efficientNet, ...coefficients.b3 },
  b4: { name: 'b4', base: efficientNet, ...coefficients.b4 },
  b5: { name: 'b5', base: efficientNet, ...coefficients.b5 },
  b6: { name: 'b6', base: efficientNet, ...coefficients.b6 },
  b7: { name: 'b7', base: efficientNet, ...coefficients.b7 },
  b8: { name: 'b8', base: efficientNet, ...coefficients.b8 },
  l2: { name: 'l2', base: efficientNet, ...coefficients.l2 },
};
