// SPDX-License-Identifier: Apache-2.0
// How a source names the tensors of a network, as a type: for every layer the names of its weight, its
// bias and its batch norm. A new source is one file beside this one and a line in naming.ts.

import type { Checkpoint } from '../formats/tensor.js';
import type { BlockLayer, HeadLayer } from '../layers.js';
import type { Block, Network } from '../network.js';

/** 'transformers' is Hugging Face's, 'keras' that of Keras applications, 'tensorflow' of the original code. */
export type Naming = 'lukemelas' | 'timm' | 'torchvision' | 'transformers' | 'keras' | 'tensorflow' | 'tfjs' | 'onnx' | 'tflite' | 'canonical';

/**
 * How weights lie in the file. `torch`: [out, in, k, k], a dense layer of the excite as a 1x1
 * convolution, the classifier [out, in]. `tensorflow`: [k, k, in, out], depthwise [k, k, channels, 1],
 * classifier [in, out]. `engine`: as FoldedWeights.
 */
export type WeightLayout = 'torch' | 'tensorflow' | 'engine';

/** Names of a batch norm's tensors. */
export interface NormNames {
  readonly scale: string;
  readonly shift: string;
  readonly mean: string;
  readonly variance: string;
  /** Has no part in inference and may be absent: the counter of training steps. */
  readonly counter?: string;
}

/** Names of one layer's tensors: `bias` of its own, or its batch `norm`. */
export interface LayerNames {
  readonly weight: string;
  readonly bias?: string;
  readonly norm?: NormNames;
  /** A pointwise layer stored as a matrix ('dense'), or a dense one as a 1x1 convolution ('pointwise'). */
  readonly stored?: 'dense' | 'pointwise';
}

export interface NamingScheme {
  readonly naming: Naming;
  /** How people call the source, for messages. */
  readonly title: string;
  readonly layout: WeightLayout;
  readonly stem: LayerNames;
  /** `position` counts all blocks from 0. A layer that the source does not have is absent. */
  block(block: Block, position: number): Readonly<Partial<Record<BlockLayer, LayerNames>>>;
  head(network: Network): Readonly<Partial<Record<Exclude<HeadLayer, 'classifier'>, LayerNames>>>;
  readonly classifier: LayerNames;
  /** Tensors that have no part in inference and are left unused: optimiser state, averages. */
  ignores?(name: string): boolean;
}

export interface NamingSource {
  readonly title: string;
  /** The scheme of a checkpoint that is named so, or undefined. */
  open(checkpoint: Checkpoint): NamingScheme | undefined;
}

/** PyTorch's batch norm under a prefix. */
export function torchNorm(prefix: string): NormNames {
  return {
    scale: `${prefix}.weight`,
    shift: `${prefix}.bias`,
    mean: `${prefix}.running_mean`,
    variance: `${prefix}.running_var`,
    counter: `${prefix}.num_batches_tracked`,
  };
}

/** A convolution without bias and the batch norm after it, as PyTorch names them. */
export function normed(convolution: string, norm: string): LayerNames {
  return { weight: `${convolution}.weight`, norm: torchNorm(norm) };
}

/** A layer with a bias, as PyTorch names it. */
export function biased(layer: string): LayerNames {
  return { weight: `${layer}.weight`, bias: `${layer}.bias` };
}

/**
 * What stands before every name: the prefix under which the checkpoint has the tensor, empty or ending
 * in a dot or a slash (`module.` of data-parallel training, `model.` of trainers); undefined if it has
 * no such tensor.
 */
export function prefixOf({ tensors }: Checkpoint, name: string): string | undefined {
  if (tensors.has(name)) return '';
  for (const key of tensors.keys()) {
    if (!key.endsWith(name)) continue;
    const prefix = key.slice(0, -name.length);
    if (/[./]$/.test(prefix)) return prefix;
  }
  return undefined;
}

/** The scheme with a prefix before every name. */
export function prefixed(scheme: NamingScheme, prefix: string): NamingScheme {
  if (prefix === '') return scheme;
  return renamed(scheme, (name) => prefix + name);
}

/** The scheme with every name changed. */
export function renamed(scheme: NamingScheme, change: (name: string) => string): NamingScheme {
  const layer = ({ weight, bias, norm, stored }: LayerNames): LayerNames => ({
    weight: change(weight),
    ...(bias === undefined ? {} : { bias: change(bias) }),
    ...(norm === undefined ? {} : { norm: renameNorm(norm, change) }),
    ...(stored === undefined ? {} : { stored }),
  });
  const layers = <K extends string>(names: Readonly<Partial<Record<K, LayerNames>>>): Partial<Record<K, LayerNames>> =>
    Object.fromEntries(Object.entries<LayerNames | undefined>(names).flatMap(([key, names]) => (names === undefined ? [] : [[key, layer(names)]]))) as Partial<Record<K, LayerNames>>;
  return {
    ...scheme,
    stem: layer(scheme.stem),
    block: (block, position) => layers(scheme.block(block, position)),
    head: (network) => layers(scheme.head(network)),
    classifier: layer(scheme.classifier),
  };
}

function renameNorm({ scale, shift, mean, variance, counter }: NormNames, change: (name: string) => string): NormNames {
  return {
    scale: change(scale),
    shift: change(shift),
    mean: change(mean),
    variance: change(variance),
    ...(counter === undefined ? {} : { counter: change(counter) }),
  };
}

/** A source whose checkpoints are told by one tensor, under any prefix. */
export function sourceByTensor(scheme: NamingScheme, tensor: string = scheme.stem.weight): NamingSource {
  return {
    title: scheme.title,
    open(checkpoint) {
      const prefix = prefixOf(checkpoint, tensor);
      return prefix === undefined ? undefined : prefixed(scheme, prefix);
    },
  };
}
