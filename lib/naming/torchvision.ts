// SPDX-License-Identifier: Apache-2.0
// Names of torchvision, whose layers are numbered within nested sequences, in EfficientNet V1 and V2
// alike.

import type { Network } from '../network.js';
import { biased, normed, type LayerNames, type NamingScheme, type NamingSource } from './scheme.js';

/** A convolution and its batch norm as members 0 and 1. */
function pair(prefix: string): LayerNames {
  return normed(`${prefix}.0`, `${prefix}.1`);
}

function stageCount({ blocks }: Network): number {
  return (blocks.at(-1)?.stage ?? -1) + 1;
}

const efficientNet: NamingScheme = {
  naming: 'torchvision',
  title: 'torchvision',
  layout: 'torch',
  stem: pair('features.0'),
  block(block) {
    const prefix = `features.${block.stage + 1}.${block.index}.block`;
    if (block.kind === 'fused') return { conv: pair(`${prefix}.0`), project: pair(`${prefix}.1`) };
    const first = block.hasExpand ? 1 : 0;
    return {
      expand: pair(`${prefix}.0`),
      depthwise: pair(`${prefix}.${first}`),
      reduce: biased(`${prefix}.${first + 1}.fc1`),
      excite: biased(`${prefix}.${first + 1}.fc2`),
      project: pair(`${prefix}.${first + 2}`),
    };
  },
  head: (network) => ({ conv: pair(`features.${stageCount(network) + 1}`) }),
  classifier: biased('classifier.1'),
};

export const torchvisionSource: NamingSource = {
  title: 'torchvision',
  open: ({ tensors }) => (tensors.has(efficientNet.stem.weight) ? efficientNet : undefined),
};
