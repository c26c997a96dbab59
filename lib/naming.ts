// SPDX-License-Identifier: Apache-2.0
// How each source names the tensors of a network, as data: for every layer the names of its weight,
// its bias and its batch norm. Reads no tensor; weights.ts does, with these names.

import { architectures } from './architectures.js';
import type { Checkpoint } from './formats/tensor.js';
import { buildNetwork, type MBConvBlock, type Network } from './network.js';

export type Naming = 'lukemelas' | 'timm' | 'torchvision' | 'tfjs' | 'canonical';

/**
 * How weights lie in the file. `torch`: [out, in, k, k], a dense layer of the excite as a 1x1
 * convolution, the classifier [out, in]. `tensorflow`: [k, k, in, out], depthwise [k, k, channels, 1],
 * classifier [in, out]. `engine`: as FoldedWeights.
 */
export type WeightLayout = 'torch' | 'tensorflow' | 'engine';

/** Names of one layer's tensors: `bias` of its own, or the prefix of a batch `norm`. */
export interface LayerNames {
  readonly weight: string;
  readonly bias?: string;
  readonly norm?: string;
}

export type BlockLayer = 'expand' | 'depthwise' | 'reduce' | 'excite' | 'project';

export interface NamingScheme {
  readonly naming: Naming;
  /** How people call the source, for messages. */
  readonly title: string;
  readonly layout: WeightLayout;
  readonly stem: LayerNames;
  /** `position` counts all blocks from 0. */
  block(block: MBConvBlock, position: number): Readonly<Record<BlockLayer, LayerNames>>;
  readonly headConv: LayerNames;
  readonly classifier: LayerNames;
}

/** A convolution without bias and the batch norm after it. */
function normed(convolution: string, norm: string): LayerNames {
  return { weight: `${convolution}.weight`, norm };
}

function biased(layer: string): LayerNames {
  return { weight: `${layer}.weight`, bias: `${layer}.bias` };
}

const lukemelas: NamingScheme = {
  naming: 'lukemelas',
  title: 'lukemelas/EfficientNet-PyTorch',
  layout: 'torch',
  stem: normed('_conv_stem', '_bn0'),
  block(_block, position) {
    const prefix = `_blocks.${position}`;
    return {
      expand: normed(`${prefix}._expand_conv`, `${prefix}._bn0`),
      depthwise: normed(`${prefix}._depthwise_conv`, `${prefix}._bn1`),
      reduce: biased(`${prefix}._se_reduce`),
      excite: biased(`${prefix}._se_expand`),
      project: normed(`${prefix}._project_conv`, `${prefix}._bn2`),
    };
  },
  headConv: normed('_conv_head', '_bn1'),
  classifier: biased('_fc'),
};

const timm: NamingScheme = {
  naming: 'timm',
  title: 'timm',
  layout: 'torch',
  stem: normed('conv_stem', 'bn1'),
  block(block, _position) {
    const prefix = `blocks.${block.stage}.${block.index}`;
    // Without an expansion the block is another class: `conv_pw` is its projection, and norms count from there.
    const projection = block.hasExpand ? 'conv_pwl' : 'conv_pw';
    const first = block.hasExpand ? 1 : 0;
    return {
      expand: normed(`${prefix}.conv_pw`, `${prefix}.bn1`),
      depthwise: normed(`${prefix}.conv_dw`, `${prefix}.bn${first + 1}`),
      reduce: biased(`${prefix}.se.conv_reduce`),
      excite: biased(`${prefix}.se.conv_expand`),
      project: normed(`${prefix}.${projection}`, `${prefix}.bn${first + 2}`),
    };
  },
  headConv: normed('conv_head', 'bn2'),
  classifier: biased('classifier'),
};

const torchvision: NamingScheme = {
  naming: 'torchvision',
  title: 'torchvision',
  layout: 'torch',
  stem: normed('features.0.0', 'features.0.1'),
  block(block, _position) {
    const prefix = `features.${block.stage + 1}.${block.index}.block`;
    const first = block.hasExpand ? 1 : 0;
    const normedAt = (i: number): LayerNames => normed(`${prefix}.${i}.0`, `${prefix}.${i}.1`);
    return {
      expand: normedAt(0),
      depthwise: normedAt(first),
      reduce: biased(`${prefix}.${first + 1}.fc1`),
      excite: biased(`${prefix}.${first + 1}.fc2`),
      project: normedAt(first + 2),
    };
  },
  headConv: normed('features.8.0', 'features.8.1'),
  classifier: biased('classifier.1'),
};

/** Folded: every layer has a bias and none a norm. */
function foldedScheme(naming: Naming, title: string, layout: WeightLayout): NamingScheme {
  return {
    naming,
    title,
    layout,
    stem: biased('stem'),
    block: (_block, position) => ({
      expand: biased(`blocks.${position}.expand`),
      depthwise: biased(`blocks.${position}.depthwise`),
      reduce: biased(`blocks.${position}.reduce`),
      excite: biased(`blocks.${position}.excite`),
      project: biased(`blocks.${position}.project`),
    }),
    headConv: biased('head.conv'),
    classifier: biased('head.classifier'),
  };
}

export const canonicalScheme = foldedScheme('canonical', 'efficientnet-simd', 'engine');
/** The reader of graph models gives our names, in TensorFlow's layout. */
const tfjsScheme = foldedScheme('tfjs', 'a TensorFlow.js graph model', 'tensorflow');

/** The scheme whose stem the checkpoint has, or undefined. */
export function detectNaming(checkpoint: Checkpoint): NamingScheme | undefined {
  if (checkpoint.format === 'tfjs-graph') return tfjsScheme;
  return [lukemelas, timm, torchvision, canonicalScheme].find((scheme) => checkpoint.tensors.has(scheme.stem.weight));
}

/**
 * The network of the family that a checkpoint's tensors make, by the channels of its stem and head
 * and the number of its blocks; undefined if none fits. Padding and epsilon are not to be seen there.
 */
export function inferArchitecture(checkpoint: Checkpoint, scheme: NamingScheme): string | undefined {
  const outputs = (name: string): number | undefined => {
    const shape = checkpoint.tensors.get(name)?.shape;
    return scheme.layout === 'tensorflow' ? shape?.[shape.length - 1] : shape?.[0];
  };
  const fits = (network: Network): boolean => {
    const { blocks, stem, head } = network;
    return (
      outputs(scheme.stem.weight) === stem.out &&
      outputs(scheme.headConv.weight) === head.features &&
      blocks.every((block, i) => outputs(scheme.block(block, i).project.weight) === block.out)
    );
  };
  // The blocks of a smaller network can all be there in a larger one: the larger must win.
  return Object.keys(architectures)
    .map((name) => buildNetwork(name))
    .filter(fits)
    .sort((a, b) => b.blocks.length - a.blocks.length)[0]?.name;
}
