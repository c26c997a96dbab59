// SPDX-License-Identifier: Apache-2.0
// Names of lukemelas/EfficientNet-PyTorch, which has B0 to B8 and L2: MBConv blocks only.

import { biased, normed, sourceByTensor, type NamingScheme } from './scheme.js';

const scheme: NamingScheme = {
  naming: 'lukemelas',
  title: 'lukemelas/EfficientNet-PyTorch',
  layout: 'torch',
  stem: normed('_conv_stem', '_bn0'),
  block(block, position) {
    if (block.kind !== 'mbconv') return {};
    const prefix = `_blocks.${position}`;
    return {
      expand: normed(`${prefix}._expand_conv`, `${prefix}._bn0`),
      depthwise: normed(`${prefix}._depthwise_conv`, `${prefix}._bn1`),
      reduce: biased(`${prefix}._se_reduce`),
      excite: biased(`${prefix}._se_expand`),
      project: normed(`${prefix}._project_conv`, `${prefix}._bn2`),
    };
  },
  head: () => ({ conv: normed('_conv_head', '_bn1') }),
  classifier: biased('_fc'),
};

export const lukemelasSource = sourceByTensor(scheme);
