// SPDX-License-Identifier: Apache-2.0
// The layers with weights that a network is made of, each with its size. Which tensors hold them is
// said by a naming scheme, where they go by weights.ts.

import { embeddingSize, type Block, type Network } from './network.js';

/** What a layer computes; `in` is 1 for a depthwise convolution, `kernel` 1 for pointwise and dense ones. */
export interface LayerSize {
  readonly kind: 'convolution' | 'pointwise' | 'depthwise' | 'dense';
  readonly out: number;
  readonly in: number;
  readonly kernel: number;
}

/** Layers of a block in the order of execution; 'conv' is the dense convolution of a fused block. */
export const blockLayerNames = ['expand', 'conv', 'depthwise', 'reduce', 'excite', 'project'] as const;
export type BlockLayer = (typeof blockLayerNames)[number];

export const headLayerNames = ['conv', 'hidden', 'classifier'] as const;
export type HeadLayer = (typeof headLayerNames)[number];

export function stemLayer({ stem }: Network): LayerSize {
  return convolution(stem.out, stem.in, stem.kernel);
}

/** The layers that the block has. */
export function blockLayers(block: Block): Readonly<Partial<Record<BlockLayer, LayerSize>>> {
  const { expanded, out, kernel } = block;
  if (block.kind === 'fused') {
    return {
      conv: convolution(expanded, block.in, kernel),
      ...(block.hasProject ? { project: pointwise(out, expanded) } : {}),
    };
  }
  const { squeeze } = block;
  return {
    ...(block.hasExpand ? { expand: pointwise(expanded, block.in) } : {}),
    depthwise: { kind: 'depthwise', out: expanded, in: 1, kernel },
    ...(squeeze > 0 ? { reduce: pointwise(squeeze, expanded), excite: pointwise(expanded, squeeze) } : {}),
    project: pointwise(out, expanded),
  };
}

export function headLayers({ head }: Network): Readonly<Partial<Record<HeadLayer, LayerSize>>> {
  return {
    conv: pointwise(head.features, head.in),
    ...(head.hidden > 0 ? { hidden: dense(head.hidden, head.features) } : {}),
    ...(head.classes > 0 ? { classifier: dense(head.classes, embeddingSize(head)) } : {}),
  };
}

function convolution(out: number, from: number, kernel: number): LayerSize {
  return { kind: 'convolution', out, in: from, kernel };
}

function pointwise(out: number, from: number): LayerSize {
  return { kind: 'pointwise', out, in: from, kernel: 1 };
}

function dense(out: number, from: number): LayerSize {
  return { kind: 'dense', out, in: from, kernel: 1 };
}
