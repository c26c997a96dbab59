// SPDX-License-Identifier: Apache-2.0
// One layer at a time: takes its tensors out of a checkpoint, checking names and shapes, and turns
// them into float32 weights in the engine's order with batch norm folded in; or hands them on as they are, for
// the addon to do the same while it packs. Which layers a network has, and what they are called, is not known here.

import { EfficientNetError } from './errors.js';
import { formatShape, quote } from './formats/bytes.js';
import { isFloat, numbersOf, type Numbers } from './formats/numbers.js';
import type { Checkpoint, Tensor } from './formats/tensor.js';
import type { LayerSize } from './layers.js';
import type { LayerNames, NormNames, WeightLayout } from './naming/scheme.js';

export interface CollectedLayer {
  readonly size: LayerSize;
  readonly layout: WeightLayout;
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  readonly norm: CollectedNorm | undefined;
}

interface CollectedNorm {
  readonly scale: Tensor;
  readonly shift: Tensor;
  readonly mean: Tensor;
  readonly variance: Tensor;
}

export interface FoldedLayer<W = Float32Array> {
  readonly weights: W;
  readonly bias: Float32Array;
}

/** Weights as they lie in a file, for the addon to fold; native/engine/stored_weights.h. */
export interface StoredWeights {
  readonly bytes: Uint8Array;
  readonly type: 'f32' | 'f16' | 'bf16' | 'f64';
  /** [spatial][in][out] in place of the engine's [out][in][spatial]. */
  readonly outputsLast: boolean;
  /** The batch norm after the layer, whose bias is then empty. */
  readonly norm?: StoredNorm;
}

/** Numbers of a file, one for each output. */
export type StoredVector = Pick<StoredWeights, 'bytes' | 'type'>;

export interface StoredNorm {
  readonly scale: StoredVector;
  readonly shift: StoredVector;
  readonly mean: StoredVector;
  readonly variance: StoredVector;
  readonly epsilon: number;
}

export function weightsMismatch(what: string): EfficientNetError {
  return new EfficientNetError('ERR_WEIGHTS_MISMATCH', what);
}

/** Of the layer's weight in a file; `stored` where it lies there as another kind of layer. */
export function weightShape(size: LayerSize, layout: WeightLayout, stored?: LayerNames['stored']): readonly number[] {
  const { out, kernel } = size;
  switch (stored ?? size.kind) {
    case 'convolution':
      return layout === 'tensorflow' ? [kernel, kernel, size.in, out] : [out, size.in, kernel, kernel];
    case 'pointwise':
      if (layout === 'engine') return [out, size.in];
      return layout === 'tensorflow' ? [1, 1, size.in, out] : [out, size.in, 1, 1];
    case 'depthwise':
      if (layout === 'engine') return [out, kernel, kernel];
      return layout === 'tensorflow' ? [kernel, kernel, out, 1] : [out, 1, kernel, kernel];
    case 'dense':
      return layout === 'tensorflow' ? [size.in, out] : [out, size.in];
  }
}

/** Takes tensors by name and remembers which were taken and what was wrong, to report it all at once. */
export class Collector {
  readonly #checkpoint: Checkpoint;
  readonly #layout: WeightLayout;
  readonly #used = new Set<string>();
  readonly #problems: string[] = [];

  constructor(checkpoint: Checkpoint, layout: WeightLayout) {
    this.#checkpoint = checkpoint;
    this.#layout = layout;
  }

  /** Undefined where anything is wrong with the layer; finish then throws. */
  layer(names: LayerNames, size: LayerSize): CollectedLayer | undefined {
    const weight = this.#take(names.weight, weightShape(size, this.#layout, names.stored));
    const bias = names.bias === undefined ? undefined : this.#take(names.bias, [size.out]);
    const norm = names.norm === undefined ? undefined : this.#norm(names.norm, size.out);
    const complete = weight !== undefined && (names.bias === undefined) === (bias === undefined) && (names.norm === undefined) === (norm === undefined);
    return complete ? { size, layout: this.#layout, weight, bias, norm } : undefined;
  }

  /** Remembers a layer that the checkpoint's naming has no names for. */
  unnamed(layer: string, title: string): undefined {
    this.#problems.push(`the layer ${layer} has no counterpart among the tensor names of ${title}`);
  }

  /** Throws unless every tensor of the checkpoint was taken or is ignored, and none was missing or misshapen. */
  finish(network: string, hint: () => string, ignores: (name: string) => boolean = () => false): void {
    const surplus = [...this.#checkpoint.tensors].filter(([key]) => !this.#used.has(key) && !ignores(key)).map(([, tensor]) => tensor);
    const problems = [
      ...this.#problems,
      ...surplus.map(({ name, shape }) => `surplus tensor ${quote(name)} of shape ${formatShape(shape)}, which the network does not have`),
    ];
    if (problems.length === 0) return;
    const more = problems.length > 5 ? `; and ${problems.length - 5} more` : '';
    throw weightsMismatch(`The checkpoint does not fit ${network}: ${problems.slice(0, 5).join('; ')}${more}.${hint()}`);
  }

  #norm(names: NormNames, channels: number): CollectedNorm | undefined {
    const scale = this.#take(names.scale, [channels]);
    const shift = this.#take(names.shift, [channels]);
    const mean = this.#take(names.mean, [channels]);
    const variance = this.#take(names.variance, [channels]);
    if (names.counter !== undefined) this.#used.add(names.counter);
    return scale && shift && mean && variance ? { scale, shift, mean, variance } : undefined;
  }

  #take(name: string, shape: readonly number[]): Tensor | undefined {
    const tensor = this.#checkpoint.tensors.get(name);
    if (tensor === undefined) {
      this.#problems.push(`missing tensor ${quote(name)}, expected with shape ${formatShape(shape)}`);
      return undefined;
    }
    this.#used.add(name);
    if (tensor.shape.length === shape.length && tensor.shape.every((size, i) => size === shape[i])) return tensor;
    this.#problems.push(`tensor ${quote(name)} has shape ${formatShape(tensor.shape)}, expected ${formatShape(shape)}`);
    return undefined;
  }
}

/**
 * The layer's weights in the engine's order and its bias, both float32. With a batch norm:
 * weight * scale / sqrt(variance + epsilon) and shift - mean * scale / sqrt(variance + epsilon),
 * computed in double precision and rounded once. Without one, a float32 tensor that is already in
 * order is returned as a view on the file. With `consume` the result may take the place of the tensor's
 * own values: half the memory, and no time for fresh pages.
 */
export function foldLayer(layer: CollectedLayer, epsilon: number, consume: boolean): FoldedLayer {
  const { factors, bias } = foldNorm(layer, epsilon);
  return { weights: foldWeights(layer, factors, consume), bias };
}

/**
 * The same for the addon, which looks at the values by itself: `held` makes of a tensor's bytes what it
 * may keep, and a bias without a batch norm is copied.
 */
export function storeLayer(layer: CollectedLayer, epsilon: number, held: (bytes: Uint8Array) => Uint8Array): FoldedLayer<StoredWeights> {
  const stored = (tensor: Tensor): StoredVector => {
    if (!isFloat(tensor.type)) throw notFloat(tensor);
    return { bytes: held(tensor.bytes), type: tensor.type };
  };
  const weights = { ...stored(layer.weight), outputsLast: layer.layout === 'tensorflow' };
  if (layer.norm === undefined) return { weights, bias: foldNorm(layer, epsilon).bias.slice() };
  const { scale, shift, mean, variance } = layer.norm;
  const norm = { scale: stored(scale), shift: stored(shift), mean: stored(mean), variance: stored(variance), epsilon };
  return { weights: { ...weights, norm }, bias: kNoBias };
}

const kNoBias = new Float32Array(0);

/** The bias, and of a layer with a batch norm each output's factor. */
function foldNorm({ size: { out }, bias, norm }: CollectedLayer, epsilon: number): { factors: Float64Array | undefined; bias: Float32Array } {
  if (norm === undefined) {
    return { factors: undefined, bias: bias === undefined ? new Float32Array(out) : toFloat32(readNumbers(bias), bias.name) };
  }
  const { scale, shift, mean, variance } = norm;
  const [scales, shifts, means, variances] = [scale, shift, mean, variance].map(floatsOf) as [Numbers, Numbers, Numbers, Numbers];
  const factors = new Float64Array(out);
  const folded = new Float32Array(out);
  // One pass tells whether anything is wrong.
  let sum = 0; // see firstNonFinite
  let isSound = true;
  let isZero = true;
  for (let o = 0; o < out; o++) {
    const spread = variances[o] ?? NaN;
    const factor = (scales[o] ?? NaN) / Math.sqrt(spread + epsilon);
    const rounded = Math.fround((shifts[o] ?? NaN) - (means[o] ?? NaN) * factor);
    factors[o] = factor;
    folded[o] = rounded;
    sum += 0 * (scales[o] ?? NaN) + 0 * rounded;
    isSound &&= spread >= 0 && spread + epsilon > 0 && spread < Infinity;
    isZero &&= spread === 0;
  }
  if (sum !== 0 || !isSound || isZero) {
    for (const tensor of [scale, shift, mean]) readNumbers(tensor);
    checkVariances(variance, epsilon);
    checkRounded(folded, shift.name);
  }
  return { factors, bias: folded };
}

/** Throws ERR_WEIGHTS_MISMATCH naming the first element that is not finite, in the file or when folded. */
function foldWeights({ weight, size, layout }: CollectedLayer, factors: Float64Array | undefined, consume: boolean): Float32Array {
  const ordered = engineOrder(readNumbers(weight), size, layout);
  if (factors === undefined) return toFloat32(ordered, weight.name);
  const mayReplace = ordered instanceof Float32Array && (consume || ordered.buffer !== weight.bytes.buffer);
  const weights = mayReplace ? ordered : new Float32Array(ordered.length);
  if (!scaleRows(ordered, factors, weights)) checkRounded(weights, weight.name);
  return weights;
}

/** to[o][i] = source[o][i] * factors[o], rounded to float32; false where a value is not finite then. */
function scaleRows(source: Numbers, factors: Float64Array, to: Float32Array): boolean {
  const length = source.length / factors.length;
  let sum = 0; // see firstNonFinite
  let at = 0;
  for (let o = 0; o < factors.length; o++) {
    const factor = factors[o] ?? NaN;
    for (const end = at + length; at < end; at++) {
      const rounded = Math.fround((source[at] ?? NaN) * factor);
      to[at] = rounded;
      sum += 0 * rounded;
    }
  }
  return sum === 0;
}

/** [spatial][in][out] to [out][in][spatial]; a depthwise kernel has one input per output. */
function engineOrder(source: Numbers, size: LayerSize, layout: WeightLayout): Numbers {
  if (layout !== 'tensorflow') return source;
  const spatial = size.kernel * size.kernel;
  const result = source instanceof Float32Array ? new Float32Array(source.length) : new Float64Array(source.length);
  let from = 0;
  for (let s = 0; s < spatial; s++) {
    for (let i = 0; i < size.in; i++) {
      for (let o = 0; o < size.out; o++) result[(o * size.in + i) * spatial + s] = source[from++] ?? NaN;
    }
  }
  return result;
}

function floatsOf(tensor: Tensor): Numbers {
  if (!isFloat(tensor.type)) throw notFloat(tensor);
  return numbersOf(tensor);
}

/** The tensor's finite values, widened exactly; a view where the file's bytes allow it. */
function readNumbers(tensor: Tensor): Numbers {
  const numbers = floatsOf(tensor);
  const bad = firstNonFinite(numbers);
  if (bad === -1) return numbers;
  throw weightsMismatch(
    `Tensor ${quote(tensor.name)} holds ${String(numbers[bad])} at element ${bad} of shape ${formatShape(tensor.shape)}; ` +
      'expected finite numbers. The checkpoint is damaged or its training diverged',
  );
}

function notFloat({ name, type }: Tensor): EfficientNetError {
  return new EfficientNetError(
    'ERR_UNSUPPORTED',
    `Tensor ${quote(name)} has the element type ${type}; expected floating-point weights (f32, f16, bf16 or f64)`,
  );
}

/** Variances may be zero where a channel is constant (PyTorch accepts it), but not negative, nor all zero. */
function checkVariances(tensor: Tensor, epsilon: number): void {
  const variances = readNumbers(tensor);
  const bad = variances.findIndex((variance) => variance < 0 || variance + epsilon <= 0);
  if (bad !== -1) {
    throw weightsMismatch(
      `Tensor ${quote(tensor.name)} holds the variance ${String(variances[bad])} at element ${bad}; ` +
        `expected a variance that is positive with an epsilon of ${epsilon}`,
    );
  }
  if (variances.every((variance) => variance === 0)) {
    throw weightsMismatch(`Tensor ${quote(tensor.name)} holds only zeros; expected the variances of a trained network`);
  }
}

function firstNonFinite(numbers: Numbers): number {
  // 0 * x is 0 for every finite x and NaN else: one sum without a branch tells.
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += 0 * (numbers[i] ?? NaN);
  return sum === 0 ? -1 : numbers.findIndex((value) => !Number.isFinite(value));
}

function toFloat32(numbers: Numbers, name: string): Float32Array {
  if (numbers instanceof Float32Array) return numbers;
  const rounded = Float32Array.from(numbers);
  checkRounded(rounded, name);
  return rounded;
}

function checkRounded(numbers: Float32Array, name: string): void {
  const bad = firstNonFinite(numbers);
  if (bad !== -1) throw weightsMismatch(`Tensor ${quote(name)} gives a value that does not fit float32 at element ${bad}`);
}
