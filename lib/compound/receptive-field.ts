// SPDX-License-Identifier: Apache-2.0
// How much of the picture one value of the last map can see through the convolutions.

import type { Network } from '../network.js';

export interface ReceptiveField {
  /** `stem`, `blocks.3`: the layers that end there. */
  readonly name: string;
  /** Height and width in pixels. */
  readonly field: number;
}

/**
 * After the stem and after each block, the part of the input that one value depends on, borders not
 * counted. The means of the excite layers, which see the whole picture, are left out.
 */
export function receptiveFields({ stem, blocks }: Pick<Network, 'stem' | 'blocks'>): readonly ReceptiveField[] {
  let [field, step] = [1, 1];
  return [stem, ...blocks].map(({ kernel, stride }, i) => {
    field += (kernel - 1) * step;
    step *= stride;
    return { name: i === 0 ? 'stem' : `blocks.${i - 1}`, field };
  });
}

/** That of the last map, which is pooled. */
export function receptiveField(network: Pick<Network, 'stem' | 'blocks'>): number {
  return receptiveFields(network).at(-1)?.field ?? 1;
}
