// SPDX-License-Identifier: Apache-2.0
// Names of Hugging Face transformers' EfficientNet, which has B0 to B7. Its model without classifier
// names everything without the leading `efficientnet.`.

import { biased, normed, prefixed, prefixOf, type NamingScheme, type NamingSource } from './scheme.js';

const scheme: NamingScheme = {
  naming: 'transformers',
  title: 'Hugging Face transformers',
  layout: 'torch',
  stem: normed('embeddings.convolution', 'embeddings.batchnorm'),
  block(block, position) {
    if (block.kind !== 'mbconv') return {};
    const prefix = `encoder.blocks.${position}`;
    return {
      expand: normed(`${prefix}.expansion.expand_conv`, `${prefix}.expansion.expand_bn`),
      depthwise: normed(`${prefix}.depthwise_conv.depthwise_conv`, `${prefix}.depthwise_conv.depthwise_norm`),
      reduce: biased(`${prefix}.squeeze_excite.reduce`),
      excite: biased(`${prefix}.squeeze_excite.expand`),
      project: normed(`${prefix}.projection.project_conv`, `${prefix}.projection.project_bn`),
    };
  },
  head: () => ({ conv: normed('encoder.top_conv', 'encoder.top_bn') }),
  classifier: biased('classifier'),
};

export const transformersSource: NamingSource = {
  title: scheme.title,
  open(checkpoint) {
    const prefix = prefixOf(checkpoint, 'embeddings.convolution.weight');
    if (prefix === undefined) return undefined;
    // The classifier is beside the network, not in it.
    const outer = prefix.replace(/efficientnet\.$/, '');
    return { ...prefixed(scheme, prefix), classifier: biased(`${outer}classifier`) };
  },
};
