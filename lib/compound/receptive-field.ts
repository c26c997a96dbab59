// SPDX-License-Identifier: Apache-2.0
// How much of the picture one value of the last map can see through the convolutions.

import type { Network } from '../network.js';

/**
 * Height and width in pixels of the part of the input that one value before the pooling depends on,
 * borders not counted. The means of the excite layers, which see the whole picture, are left out.
 */
export function receptiveField({ stem, blocks }: Pick<Network, 'stem' | 'blocks'>): number {
  let [field, step] = [1, 1];
  for (const { kernel, stride } of [stem, ...blocks]) {
    field += (kernel - 1) * step;
    step *= stride;
  }
  return field;
}
