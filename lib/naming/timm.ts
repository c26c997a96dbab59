// SPDX-License-Identifier: Apache-2.0
// Names of timm: one scheme for all its families, in which the names of layers follow the kind of block.

import type { Block } from '../network.js';
import { biased, normed, sourceByTensor, type LayerNames, type NamingScheme } from './scheme.js';

/** Convolutions of a block in order; their norms are bn1, bn2, bn3. */
function convolutionsOf(block: Block): readonly (readonly ['expand' | 'conv' | 'depthwise' | 'project', string])[] {
  if (block.kind === 'fused') {
    return block.hasProject ? [['conv', 'conv_exp'], ['project', 'conv_pwl']] : [['conv', 'conv']];
  }
  // Without an expansion the block is another class, and `conv_pw` is its projection.
  if (!block.hasExpand) return [['depthwise', 'conv_dw'], ['project', 'conv_pw']];
  return [['expand', 'conv_pw'], ['depthwise', 'conv_dw'], ['project', 'conv_pwl']];
}

const scheme: NamingScheme = {
  naming: 'timm',
  title: 'timm',
  layout: 'torch',
  stem: normed('conv_stem', 'bn1'),
  block(block) {
    const prefix = `blocks.${block.stage}.${block.index}`;
    const convolutions = convolutionsOf(block).map(
      ([layer, name], i): readonly [string, LayerNames] => [layer, normed(`${prefix}.${name}`, `${prefix}.bn${i + 1}`)],
    );
    return { ...Object.fromEntries(convolutions), reduce: biased(`${prefix}.se.conv_reduce`), excite: biased(`${prefix}.se.conv_expand`) };
  },
  head({ blocks, head }) {
    if (head.hidden === 0) return { conv: normed('conv_head', 'bn2') };
    // MobileNetV3: the last convolution is a stage of its own, `conv_head` the dense layer after the pooling.
    // Where depth repeats it, those before it are blocks of that stage.
    const last = blocks.at(-1);
    const isRepeat = last?.kind === 'fused' && last.kernel === 1 && !last.hasProject && last.out === head.features;
    const prefix = isRepeat ? `blocks.${last.stage}.${last.index + 1}` : `blocks.${(last?.stage ?? -1) + 1}.0`;
    return { conv: normed(`${prefix}.conv`, `${prefix}.bn1`), hidden: { ...(head.hiddenBias === false ? { weight: 'conv_head.weight' } : biased('conv_head')), stored: 'pointwise' } };
  },
  classifier: biased('classifier'),
};

export const timmSource = sourceByTensor(scheme);
