// SPDX-License-Identifier: Apache-2.0
// Names of torchvision, whose layers are numbered within nested sequences: one scheme for EfficientNet
// V1 and V2, and one each for MobileNetV2, MobileNetV3 and MnasNet.

import type { Network } from '../network.js';
import { biased, normed, sourceByTensor, type LayerNames, type NamingScheme, type NamingSource } from './scheme.js';

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

/** `features` and `conv` are nested otherwise than in EfficientNet, and there is no excite. */
const mobileNetV2: NamingScheme = {
  naming: 'torchvision',
  title: 'torchvision',
  layout: 'torch',
  stem: pair('features.0'),
  block(block, position) {
    const prefix = `features.${position + 1}.conv`;
    const last = block.kind === 'mbconv' && block.hasExpand ? 2 : 1;
    const project = normed(`${prefix}.${last}`, `${prefix}.${last + 1}`);
    return { expand: pair(`${prefix}.0`), depthwise: pair(`${prefix}.${last - 1}`), project };
  },
  head: ({ blocks }) => ({ conv: pair(`features.${blocks.length + 1}`) }),
  classifier: biased('classifier.1'),
};

const mobileNetV3: NamingScheme = {
  naming: 'torchvision',
  title: 'torchvision',
  layout: 'torch',
  stem: pair('features.0'),
  block(block, position) {
    if (block.kind !== 'mbconv') return {};
    const prefix = `features.${position + 1}.block`;
    const first = block.hasExpand ? 1 : 0;
    const excite = block.squeeze > 0 ? 1 : 0;
    return {
      expand: pair(`${prefix}.0`),
      depthwise: pair(`${prefix}.${first}`),
      reduce: biased(`${prefix}.${first + 1}.fc1`),
      excite: biased(`${prefix}.${first + 1}.fc2`),
      project: pair(`${prefix}.${first + 1 + excite}`),
    };
  },
  head: ({ blocks }) => ({ conv: pair(`features.${blocks.length + 1}`), hidden: biased('classifier.0') }),
  classifier: biased('classifier.3'),
};

/** Stem, first block and head are members 0, 3, 6 and 14 of one sequence, the stages 8 to 13. */
const mnasNet: NamingScheme = {
  naming: 'torchvision',
  title: 'torchvision',
  layout: 'torch',
  stem: normed('layers.0', 'layers.1'),
  block(block) {
    if (block.stage === 0) return { depthwise: normed('layers.3', 'layers.4'), project: normed('layers.6', 'layers.7') };
    const prefix = `layers.${block.stage + 7}.${block.index}.layers`;
    return {
      expand: normed(`${prefix}.0`, `${prefix}.1`),
      depthwise: normed(`${prefix}.3`, `${prefix}.4`),
      project: normed(`${prefix}.6`, `${prefix}.7`),
    };
  },
  head: (network) => ({ conv: normed(`layers.${stageCount(network) + 7}`, `layers.${stageCount(network) + 8}`) }),
  classifier: biased('classifier.1'),
};

/** Each family is told by a tensor of its first block; the stem is named alike in three of them. */
export const torchvisionSources: readonly NamingSource[] = [
  sourceByTensor(mobileNetV2, 'features.1.conv.0.0.weight'),
  sourceByTensor(mobileNetV3, 'features.1.block.0.0.weight'),
  sourceByTensor(mnasNet, 'layers.8.0.layers.0.weight'),
  sourceByTensor(efficientNet),
];
