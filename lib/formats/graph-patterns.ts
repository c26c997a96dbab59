// SPDX-License-Identifier: Apache-2.0
// What one layer looks like in a graph: a convolution or dense layer with the arithmetic per channel
// that follows it, and activations, whole or in parts. How layers make up blocks is in graph-match.ts.

import { elementCount } from './bytes.js';
import { weightSize, type ChannelStep, type GraphActivation, type GraphLayer } from './graph-layer.js';
import { constantNumbers, samePads, type Graph, type GraphConstant, type Operation, type PadSample, type Pads } from './graph.js';

export interface Gate {
  readonly kind: 'sigmoid' | 'hard-sigmoid';
  readonly input: string;
  readonly offset: number;
}

/** Longest chain of arithmetic that is followed; exports have at most four in a row. */
const kMaxSteps = 32;

export class Patterns {
  readonly #graph: Graph;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** The layer whose result, before any activation, is `name`. */
  layer(name: string): GraphLayer | undefined {
    const steps: ChannelStep[] = [];
    let cursor = name;
    for (let count = 0; count < kMaxSteps; count++) {
      const operation = this.#graph.operation(cursor);
      if (operation?.kind === 'convolution' || operation?.kind === 'dense') return this.#finish(cursor, operation, steps.reverse());
      const step = operation === undefined ? undefined : this.#step(cursor, operation);
      if (step === undefined) return undefined;
      steps.push(step.step);
      cursor = step.input;
    }
    return undefined;
  }

  /** Whether a layer mixes channels only: dense, or a 1x1 convolution of stride 1 without padding. */
  isPointwise({ size, stride, pads }: GraphLayer): boolean {
    return !size.depthwise && size.kernel === 1 && stride === 1 && (pads === 'same' || pads.every((side) => side === 0));
  }

  /** What arithmetic per channel is done on; undefined for anything else. */
  stepInput(name: string): string | undefined {
    const operation = this.#graph.operation(name);
    return operation === undefined ? undefined : this.#step(name, operation)?.input;
  }

  /** The activation that makes `name`, and what it is applied to. */
  activation(name: string): { readonly kind: Exclude<GraphActivation, 'none'>; readonly input: string } | undefined {
    const operation = this.#graph.operation(name);
    if (operation?.kind === 'swish' || operation?.kind === 'sigmoid' || operation?.kind === 'hard-swish') return { kind: operation.kind, input: operation.input };
    const { scale, factors } = this.#product(name);
    const [first = '', second] = factors;
    if (second === undefined) {
      const found = this.#clamped(first, scale);
      return found?.offset === 0 ? { kind: found.kind, input: found.input } : undefined;
    }
    for (const [x, gate] of [[first, second], [second, first]] as const) {
      const kind = this.gate(gate, scale);
      if (kind === undefined || kind.offset !== 0 || !this.#same(kind.input, x)) continue;
      return { kind: kind.kind === 'sigmoid' ? 'swish' : 'hard-swish', input: this.#graph.origin(x) };
    }
    return undefined;
  }

  /**
   * The sigmoid or hard sigmoid, times `scale`, that makes `name`; it is of `input` plus `offset`, since
   * TensorFlow's converter adds the 3 of a hard sigmoid to the bias before it.
   */
  gate(name: string, scale = 1): Gate | undefined {
    const operation = this.#graph.operation(name);
    if (operation?.kind === 'sigmoid') return scale === 1 ? { kind: 'sigmoid', input: operation.input, offset: 0 } : undefined;
    const found = this.#clamped(name, scale);
    return found?.kind === 'hard-sigmoid' ? { kind: found.kind, input: found.input, offset: found.offset } : undefined;
  }

  /** The two values whose product is `name`, and a number that it is multiplied with. */
  gated(name: string): { readonly scale: number; readonly left: string; readonly right: string } | undefined {
    const { scale, factors } = this.#product(name);
    const [left = '', right] = factors;
    return right === undefined ? undefined : { scale, left, right };
  }

  /** The value that `name` is the mean of, over height and width; a `window` must be as large as that value. */
  mean(name: string): { readonly input: string; readonly window?: readonly [number, number] } | undefined {
    let cursor = name;
    for (let count = 0; count < kMaxSteps; count++) {
      const operation = this.#graph.operation(cursor);
      if (operation?.kind === 'pool') return { input: operation.input, window: operation.window };
      if (operation?.kind === 'mean') return this.#isSpatial(operation.axes) ? { input: operation.input } : undefined;
      // One number for each channel: however its dimensions are arranged, the order stays.
      if (operation?.kind !== 'reshape' && operation?.kind !== 'transpose') return undefined;
      cursor = operation.input;
    }
    return undefined;
  }

  /** The only number of a constant. */
  scalar(name: string): number | undefined {
    const constant = this.#graph.constant(name);
    if (constant === undefined || elementCount(constant.shape) !== 1) return undefined;
    return constantNumbers(constant)[0];
  }

  #isSpatial(axes: readonly number[]): boolean {
    const wanted = this.#graph.channels === 'nchw' ? [2, 3] : [1, 2];
    const found = axes.map((axis) => (axis < 0 ? axis + 4 : axis)).sort((a, b) => a - b);
    return found.length === 2 && found.every((axis, i) => axis === wanted[i]);
  }

  #same(a: string, b: string): boolean {
    return this.#graph.origin(a) === this.#graph.origin(b);
  }

  /** `name` as a number times one or two values; products with a number are followed, no others. */
  #product(name: string): { readonly scale: number; readonly factors: readonly string[] } {
    const whole = this.#scaled(name);
    const operation = this.#graph.operation(whole.input);
    if (operation?.kind !== 'multiply') return { scale: whole.scale, factors: [whole.input] };
    const [left, right] = [this.#scaled(operation.left), this.#scaled(operation.right)];
    return { scale: whole.scale * left.scale * right.scale, factors: [left.input, right.input] };
  }

  #scaled(name: string): { readonly scale: number; readonly input: string } {
    let [scale, cursor] = [1, name];
    for (let count = 0; count < kMaxSteps; count++) {
      const operation = this.#graph.operation(cursor);
      if (operation?.kind !== 'multiply' && operation?.kind !== 'divide') break;
      const right = this.scalar(operation.right);
      const left = operation.kind === 'multiply' ? this.scalar(operation.left) : undefined;
      if (right !== undefined) [scale, cursor] = [operation.kind === 'multiply' ? scale * right : scale / right, operation.left];
      else if (left !== undefined) [scale, cursor] = [scale * left, operation.right];
      else break;
    }
    return { scale, input: cursor };
  }

  /** `scale` times a clamp: a rectifier of its input, or the hard sigmoid of what its input is made of. */
  #clamped(name: string, scale: number): { readonly kind: 'relu' | 'relu6' | 'hard-sigmoid'; readonly input: string; readonly offset: number } | undefined {
    let operation = this.#graph.operation(name);
    if (operation?.kind !== 'clamp') return undefined;
    let { low, high } = operation;
    // max(x, 0) and then min(., 6), or the other way round, each an operation of its own.
    const inner = this.#graph.operation(operation.input);
    if (operation.scale === 1 && operation.shift === 0 && inner?.kind === 'clamp') {
      [low, high] = [Math.max(low, inner.low), Math.min(high, inner.high)];
      operation = inner;
    }
    if (scale === 1 && operation.scale === 1 && operation.shift === 0 && low === 0) {
      if (high === 6) return { kind: 'relu6', input: operation.input, offset: 0 };
      if (high === Infinity) return { kind: 'relu', input: operation.input, offset: 0 };
    }
    const affine = this.#affine(operation.input);
    const slope = scale * operation.scale * affine.scale;
    const shift = scale * (operation.scale * affine.shift + operation.shift);
    const near = (found: number, expected: number): boolean => Math.abs(found - expected) < 1e-6;
    if (!near(slope, 1 / 6) || !near(scale * low, 0) || !near(scale * high, 1)) return undefined;
    return { kind: 'hard-sigmoid', input: affine.input, offset: near(shift, 0.5) ? 0 : 6 * shift - 3 };
  }

  /** `name` as scale * input + shift, numbers only. */
  #affine(name: string): { readonly scale: number; readonly shift: number; readonly input: string } {
    let [scale, shift, cursor] = [1, 0, name];
    for (let count = 0; count < kMaxSteps; count++) {
      const scaled = this.#scaled(cursor);
      [scale, cursor] = [scale * scaled.scale, scaled.input];
      const operation = this.#graph.operation(cursor);
      if (operation?.kind !== 'add' && operation?.kind !== 'subtract') break;
      const right = this.scalar(operation.right);
      const left = operation.kind === 'add' ? this.scalar(operation.left) : undefined;
      if (right !== undefined) [shift, cursor] = [shift + scale * (operation.kind === 'add' ? right : -right), operation.left];
      else if (left !== undefined) [shift, cursor] = [shift + scale * left, operation.right];
      else break;
    }
    return { scale, shift, input: this.#graph.origin(cursor) };
  }

  #step(name: string, operation: Operation): { readonly step: ChannelStep; readonly input: string } | undefined {
    if (operation.kind === 'norm') {
      const [scale, shift, mean, variance] = [operation.scale, operation.shift, operation.mean, operation.variance].map((one) => this.#graph.constant(one));
      if (!scale || !shift || !mean || !variance) return undefined;
      return { step: { kind: 'norm', name, epsilon: operation.epsilon, scale, shift, mean, variance }, input: operation.input };
    }
    if (operation.kind !== 'add' && operation.kind !== 'multiply' && operation.kind !== 'subtract' && operation.kind !== 'divide') return undefined;
    const right = this.#graph.constant(operation.right);
    if (right !== undefined) return { step: { kind: operation.kind, name, values: right }, input: operation.left };
    const left = this.#graph.constant(operation.left);
    if (left === undefined || operation.kind === 'subtract' || operation.kind === 'divide') return undefined;
    return { step: { kind: operation.kind, name, values: left }, input: operation.right };
  }

  #finish(name: string, operation: Extract<Operation, { kind: 'convolution' | 'dense' }>, steps: readonly ChannelStep[]): GraphLayer {
    const graph = this.#graph;
    const weight = graph.constant(operation.weight) ?? graph.fail(operation.weight, 'the constant weights of a layer');
    const groups = operation.kind === 'convolution' ? operation.groups : 1;
    const size = weightSize(operation.order, weight.shape, groups) ?? graph.fail(name, 'a square convolution of odd size, in one group or depthwise,');
    const bias = operation.bias === undefined ? undefined : (graph.constant(operation.bias) ?? graph.fail(operation.bias, 'the constant bias of a layer'));
    const all: ChannelStep[] = bias === undefined ? [...steps] : [{ kind: 'add', name, values: bias }, ...steps];
    // A dense layer has neither height nor width: its one axis is the channels.
    const axis = operation.kind === 'convolution' && graph.channels === 'nchw' ? 2 : 0;
    for (const step of all) if (step.kind !== 'norm' && step.values !== bias) this.#checkPerChannel(step.name, step.values, axis);
    const stride = operation.kind === 'convolution' ? operation.strides[0] : 1;
    if (operation.kind === 'convolution' && operation.strides[1] !== stride) graph.fail(name, 'a convolution with equal strides');
    const { input, pads } = this.#padded(operation.input, operation.kind === 'convolution' ? operation.pads : [0, 0, 0, 0], size.kernel, stride);
    return { name, input, weight, size, steps: all, stride, pads };
  }

  /** Numbers for each channel, or one for all: nothing that differs along another axis. */
  #checkPerChannel(name: string, { shape }: GraphConstant, axisFromEnd: number): void {
    const many = shape.flatMap((size, i) => (size === 1 ? [] : [shape.length - 1 - i]));
    if (many.length > 1 || (many.length === 1 && many[0] !== axisFromEnd)) this.#graph.fail(name, 'one number for each channel');
  }

  /** Joins a Pad operation to the padding of the convolution after it. */
  #padded(input: string, pads: Pads, kernel: number, stride: number): { readonly input: string; readonly pads: Pads } {
    const operation = this.#graph.operation(input);
    if (operation?.kind !== 'pad' && operation?.kind !== 'computed-pad') return { input, pads };
    if (pads === 'same') return this.#graph.fail(input, 'no second padding before a convolution with SAME padding');
    if (operation.kind === 'computed-pad') {
      const isSame = pads.every((side) => side === 0) && operation.samples.every((sample) => isSamePad(sample, kernel, stride));
      return isSame ? { input: operation.input, pads: 'same' } : this.#graph.fail(input, 'a computed padding that is SAME for every size of image');
    }
    const [top, left, bottom, right] = operation.pads;
    return { input: operation.input, pads: [pads[0] + top, pads[1] + left, pads[2] + bottom, pads[3] + right] };
  }
}

function isSamePad({ height, width, pads }: PadSample, kernel: number, stride: number): boolean {
  const [[top, bottom], [left, right]] = [samePads(height, kernel, stride), samePads(width, kernel, stride)];
  return pads[0] === top && pads[1] === left && pads[2] === bottom && pads[3] === right;
}
