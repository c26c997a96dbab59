// SPDX-License-Identifier: Apache-2.0
// A neutral form of the graphs that TensorFlow.js, ONNX and TensorFlow Lite hold: named values, each
// made by one operation or constant. Only the operations that networks of this family are exported
// with have a kind of their own. Readers translate into it; graph-match.ts finds the network in it.

import { EfficientNetError } from '../errors.js';
import { quote } from './bytes.js';
import { integersOf, numbersOf, type Numbers } from './numbers.js';
import type { ElementType } from './tensor.js';

export interface GraphConstant {
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** Little-endian, row-major, exactly product(shape) elements. */
  readonly bytes: Uint8Array;
}

/** A constant's numbers, whatever its type. */
export function constantNumbers({ type, bytes }: GraphConstant): Numbers {
  return integersOf({ type, bytes }) ?? numbersOf({ name: 'of a graph', type, bytes });
}

/** TensorFlow's SAME, computed from the real size, or fixed numbers of pixels. */
export type Pads = 'same' | FixedPads;
export type FixedPads = readonly [top: number, left: number, bottom: number, right: number];

export interface PadSample {
  readonly height: number;
  readonly width: number;
  readonly pads: FixedPads;
}

/** Pixels that TensorFlow's SAME adds before and after `size` of them. */
export function samePads(size: number, kernel: number, stride: number): readonly [before: number, after: number] {
  const total = Math.max((Math.ceil(size / stride) - 1) * stride + kernel - size, 0);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

/**
 * How a weight lies: `oihw` as PyTorch; `hwio` as TensorFlow; `ohwi` as TensorFlow Lite; the last two
 * are a depthwise convolution's [k, k, channels, 1] and [1, k, k, channels]; for a dense layer `oi` or `io`.
 */
export type WeightOrder = 'oihw' | 'hwio' | 'ohwi' | 'hwc1' | '1hwc' | 'oi' | 'io';

export type Operation =
  /** The image; a size that the file leaves open is undefined. */
  | { readonly kind: 'input'; readonly shape: readonly (number | undefined)[] }
  | {
      readonly kind: 'convolution';
      readonly input: string;
      readonly weight: string;
      readonly bias: string | undefined;
      readonly order: WeightOrder;
      readonly groups: number;
      readonly strides: readonly [number, number];
      readonly pads: Pads;
    }
  | { readonly kind: 'dense'; readonly input: string; readonly weight: string; readonly bias: string | undefined; readonly order: WeightOrder }
  /** Batch normalisation: (x - mean) / sqrt(variance + epsilon) * scale + shift, constants by name. */
  | {
      readonly kind: 'norm';
      readonly input: string;
      readonly scale: string;
      readonly shift: string;
      readonly mean: string;
      readonly variance: string;
      readonly epsilon: number;
    }
  | { readonly kind: 'sigmoid' | 'swish' | 'hard-swish'; readonly input: string }
  /** min(max(scale * x + shift, low), high): the rectifiers and the hard sigmoid. */
  | { readonly kind: 'clamp'; readonly input: string; readonly scale: number; readonly shift: number; readonly low: number; readonly high: number }
  | { readonly kind: 'add' | 'subtract' | 'multiply' | 'divide'; readonly left: string; readonly right: string }
  /** Over the given axes of [0, 3], counted as the file counts; `window` where it is a pooling of that size. */
  | { readonly kind: 'mean'; readonly input: string; readonly axes: readonly number[] }
  | { readonly kind: 'pool'; readonly input: string; readonly window: readonly [number, number] }
  /** Changes nothing at inference. */
  | { readonly kind: 'identity'; readonly input: string }
  /** Other dimensions, the same numbers in the same order. */
  | { readonly kind: 'reshape'; readonly input: string }
  | { readonly kind: 'transpose'; readonly input: string; readonly order: readonly number[] }
  | { readonly kind: 'pad'; readonly input: string; readonly pads: FixedPads }
  /** Padding that is computed while the network runs, at some sizes of its input. */
  | { readonly kind: 'computed-pad'; readonly input: string; readonly samples: readonly PadSample[] }
  | { readonly kind: 'softmax'; readonly input: string }
  /** Anything else: an error where the network would need it. `why` says what is wrong with a known one. */
  | { readonly kind: 'other'; readonly inputs: readonly string[]; readonly why?: string };

export interface GraphNode {
  readonly name: string;
  /** The operation's own name in the file, for messages. */
  readonly op: string;
  readonly operation: Operation;
}

/** Where the channels of a four-dimensional value are. */
export type ChannelOrder = 'nchw' | 'nhwc';

export class Graph {
  /** How people call what the graph was read from, for messages. */
  readonly title: string;
  readonly channels: ChannelOrder;
  readonly outputs: readonly string[];
  readonly #nodes: ReadonlyMap<string, GraphNode>;
  readonly #constants: ReadonlyMap<string, GraphConstant>;
  readonly #origins = new Map<string, string>();

  constructor(parts: {
    readonly title: string;
    readonly channels: ChannelOrder;
    readonly nodes: ReadonlyMap<string, GraphNode>;
    readonly constants: ReadonlyMap<string, GraphConstant>;
    readonly outputs: readonly string[];
  }) {
    this.title = parts.title;
    this.channels = parts.channels;
    this.outputs = parts.outputs;
    this.#nodes = parts.nodes;
    this.#constants = parts.constants;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** The value's origin, past operations that change nothing: two names of one value give one name. */
  origin(name: string): string {
    const known = this.#origins.get(name);
    if (known !== undefined) return known;
    // Each name once, or the graph is a cycle, which then has no origin to find.
    const passed = new Set<string>();
    let cursor = name;
    for (let next = this.#identity(cursor); next !== undefined && !passed.has(cursor); next = this.#identity(cursor)) {
      passed.add(cursor);
      cursor = this.#origins.get(next) ?? next;
    }
    // Many values may share one long way, so it is gone once.
    for (const one of passed) this.#origins.set(one, cursor);
    return cursor;
  }

  #identity(name: string): string | undefined {
    const operation = this.#nodes.get(name)?.operation;
    return operation?.kind === 'identity' ? operation.input : undefined;
  }

  /** The operation that makes a value, past those that change nothing; undefined for constants and for nothing at all. */
  operation(name: string): Operation | undefined {
    return this.#nodes.get(this.origin(name))?.operation;
  }

  constant(name: string): GraphConstant | undefined {
    return this.#constants.get(this.origin(name));
  }

  /** Throws ERR_UNSUPPORTED naming the node. */
  fail(name: string, expected: string): never {
    const origin = this.origin(name);
    const node = this.#nodes.get(origin);
    const why = node?.operation.kind === 'other' && node.operation.why !== undefined ? ` (${node.operation.why})` : '';
    const found = node !== undefined ? `of the op ${quote(node.op)}${why}` : this.#constants.has(origin) ? 'a constant' : 'missing';
    throw new EfficientNetError(
      'ERR_UNSUPPORTED',
      `The graph is not an EfficientNet as ${this.title} hold it: expected ${expected} at the node ${quote(origin)}, which is ${found}`,
    );
  }
}
