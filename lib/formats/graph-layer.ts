// SPDX-License-Identifier: Apache-2.0
// A layer found in a graph, as data: its constants, what the weight's shape means, and the arithmetic
// per channel after it. Found by graph-patterns.ts, turned into tensors by graph-weights.ts.

import { elementCount } from './bytes.js';
import type { GraphConstant, Pads, WeightOrder } from './graph.js';

export type GraphActivation = 'none' | 'relu' | 'relu6' | 'swish' | 'sigmoid' | 'hard-swish' | 'hard-sigmoid';

/** Arithmetic per channel after a convolution, in order of execution. */
export type ChannelStep =
  | { readonly kind: 'add' | 'subtract' | 'multiply' | 'divide'; readonly values: GraphConstant; readonly name: string }
  | { readonly kind: 'norm'; readonly name: string; readonly epsilon: number; readonly scale: GraphConstant; readonly shift: GraphConstant; readonly mean: GraphConstant; readonly variance: GraphConstant };

export interface GraphLayer {
  /** The value that the convolution makes, for messages. */
  readonly name: string;
  readonly input: string;
  readonly weight: GraphConstant;
  readonly size: WeightSize;
  readonly steps: readonly ChannelStep[];
  readonly stride: number;
  readonly pads: Pads;
}

/** `in` is 1 for a depthwise convolution. */
export interface WeightSize {
  readonly out: number;
  readonly in: number;
  readonly kernel: number;
  readonly depthwise: boolean;
  readonly order: WeightOrder;
}

/** What a weight's shape means; undefined where it is no layer of the family. */
export function weightSize(order: WeightOrder, shape: readonly number[], groups: number): WeightSize | undefined {
  const [a = 0, b = 0, c = 0, d = 0] = shape;
  const dense = order === 'oi' || order === 'io';
  if (shape.length !== (dense ? 2 : 4) || elementCount(shape) === 0) return undefined;
  const square = (out: number, from: number, height: number, width: number, depthwise: boolean): WeightSize | undefined =>
    height === width && height % 2 === 1 ? { out, in: from, kernel: height, depthwise, order } : undefined;
  switch (order) {
    case 'oi':
      return { out: a, in: b, kernel: 1, depthwise: false, order };
    case 'io':
      return { out: b, in: a, kernel: 1, depthwise: false, order };
    case 'hwc1':
      return d === 1 ? square(c, 1, a, b, true) : undefined;
    case '1hwc':
      return a === 1 && groups === d ? square(d, 1, b, c, true) : undefined;
    case 'hwio':
      return groups === 1 ? square(d, c, a, b, false) : undefined;
    case 'ohwi':
      return groups === 1 ? square(a, d, b, c, false) : undefined;
    case 'oihw':
      if (groups === 1) return square(a, b, c, d, false);
      return groups === a && b === 1 ? square(a, 1, c, d, true) : undefined;
  }
}

