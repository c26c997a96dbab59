// SPDX-License-Identifier: Apache-2.0
// Names of Keras applications and of qubvel/efficientnet, which copies them: EfficientNet V1 and V2. A
// reader of Keras files gives LAYER/VARIABLE (`block1a_bn/gamma`), without `:0` and repeated folders.

import type { LayerNames, NamingScheme, NamingSource, NormNames } from './scheme.js';
import { prefixed, prefixOf } from './scheme.js';

function norm(layer: string): NormNames {
  return { scale: `${layer}/gamma`, shift: `${layer}/beta`, mean: `${layer}/moving_mean`, variance: `${layer}/moving_variance` };
}

function normed(convolution: string, normLayer: string, variable = 'kernel'): LayerNames {
  return { weight: `${convolution}/${variable}`, norm: norm(normLayer) };
}

function biased(layer: string): LayerNames {
  return { weight: `${layer}/kernel`, bias: `${layer}/bias` };
}

interface Dialect {
  /** 'depthwise_kernel', or 'kernel' since Keras 3. */
  readonly depthwise: string;
  /** 'predictions', or 'probs' of qubvel's and old ones. */
  readonly classifier: string;
  /** The depthwise layer of a block: 'dwconv', or 'dwconv2' in V2. */
  readonly layer: string;
}

function schemeOf({ depthwise, classifier, layer }: Dialect): NamingScheme {
  return {
    naming: 'keras',
    title: 'Keras applications',
    layout: 'tensorflow',
    stem: normed('stem_conv', 'stem_bn'),
    block(block) {
      const prefix = `block${block.stage + 1}${String.fromCharCode(97 + block.index)}_`;
      const expand = normed(`${prefix}expand_conv`, `${prefix}expand_bn`);
      const project = normed(`${prefix}project_conv`, `${prefix}project_bn`);
      // A single convolution goes under the projection's name.
      if (block.kind === 'fused') return block.hasProject ? { conv: expand, project } : { conv: project };
      return {
        expand,
        depthwise: normed(`${prefix}${layer}`, `${prefix}bn`, depthwise),
        reduce: biased(`${prefix}se_reduce`),
        excite: biased(`${prefix}se_expand`),
        project,
      };
    },
    head: () => ({ conv: normed('top_conv', 'top_bn') }),
    classifier: biased(classifier),
    // What is in the graph to prepare images: the recipe takes its place.
    ignores: (name) => /(^|\/)(normalization|rescaling)(_\d+)?\//.test(name),
  };
}

export const kerasSource: NamingSource = {
  title: 'Keras applications',
  open(checkpoint) {
    const prefix = prefixOf(checkpoint, 'stem_conv/kernel');
    if (prefix === undefined) return undefined;
    const has = (name: string): boolean => checkpoint.tensors.has(prefix + name);
    const layers = ['block1a_dwconv', 'block4a_dwconv2', 'block4a_dwconv'];
    const layer = layers.find((one) => has(`${one}/depthwise_kernel`) || has(`${one}/kernel`)) ?? 'block1a_dwconv';
    const scheme = schemeOf({
      layer: layer.slice(layer.indexOf('_') + 1),
      depthwise: has(`${layer}/kernel`) ? 'kernel' : 'depthwise_kernel',
      classifier: has('probs/kernel') ? 'probs' : 'predictions',
    });
    return prefixed(scheme, prefix);
  },
};
