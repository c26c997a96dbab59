// SPDX-License-Identifier: Apache-2.0
// Names of the original TensorFlow code (tensorflow/tpu for V1, Lite and EdgeTPU, google/automl for V2):
// layers are numbered by kind within a block, and every name begins with the model's (`efficientnet-b0/`).
// Where a checkpoint has the moving averages of its weights, those are the published ones.

import type { Block } from '../network.js';
import { prefixed, prefixOf, renamed, type LayerNames, type NamingScheme, type NamingSource, type NormNames } from './scheme.js';

function numbered(name: string, index: number): string {
  return index === 0 ? name : `${name}_${index}`;
}

function norm(prefix: string, index: number): NormNames {
  const layer = `${prefix}${numbered('tpu_batch_normalization', index)}`;
  return { scale: `${layer}/gamma`, shift: `${layer}/beta`, mean: `${layer}/moving_mean`, variance: `${layer}/moving_variance` };
}

function biased(layer: string): LayerNames {
  return { weight: `${layer}/kernel`, bias: `${layer}/bias` };
}

/** Convolutions of a block in order, each with the batch norm of the same index. */
function kindsOf(block: Block): readonly ('expand' | 'conv' | 'depthwise' | 'project')[] {
  if (block.kind === 'fused') return block.hasProject ? ['conv', 'project'] : ['conv'];
  return block.hasExpand ? ['expand', 'depthwise', 'project'] : ['depthwise', 'project'];
}

const scheme: NamingScheme = {
  naming: 'tensorflow',
  title: "TensorFlow's original code",
  layout: 'tensorflow',
  stem: { weight: 'stem/conv2d/kernel', norm: norm('stem/', 0) },
  block(block, position) {
    const prefix = `blocks_${position}/`;
    let dense = 0;
    const convolutions = kindsOf(block).map((layer, i): readonly [string, LayerNames] => {
      const weight = layer === 'depthwise' ? 'depthwise_conv2d/depthwise_kernel' : `${numbered('conv2d', dense++)}/kernel`;
      return [layer, { weight: prefix + weight, norm: norm(prefix, i) }];
    });
    return { ...Object.fromEntries(convolutions), reduce: biased(`${prefix}se/conv2d`), excite: biased(`${prefix}se/conv2d_1`) };
  },
  head: () => ({ conv: { weight: 'head/conv2d/kernel', norm: norm('head/', 0) } }),
  classifier: biased('head/dense'),
};

const average = '/ExponentialMovingAverage';
/** Of optimisers and of the training loop. */
const training = /(\/(RMSProp|Momentum|Adam)(_\d+)?|(^|\/)global_step|_CHECKPOINTABLE_OBJECT_GRAPH)$/;

export const tensorflowSource: NamingSource = {
  title: scheme.title,
  open(checkpoint) {
    const prefix = prefixOf(checkpoint, scheme.stem.weight) ?? prefixOf(checkpoint, scheme.stem.weight + average);
    if (prefix === undefined) return undefined;
    const averaged = checkpoint.tensors.has(prefix + scheme.stem.weight + average);
    const named = averaged ? renamed(prefixed(scheme, prefix), (name) => name + average) : prefixed(scheme, prefix);
    return {
      ...named,
      ignores: (name) => training.test(name) || (averaged && !name.endsWith(average) && checkpoint.tensors.has(name + average)),
    };
  },
};
