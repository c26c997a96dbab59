// SPDX-License-Identifier: Apache-2.0
// A matched layer's constants as weight and bias in the engine's order, with the arithmetic per
// channel that follows the layer folded in. Constants that are so already stay views on the file.

import { EfficientNetError } from '../errors.js';
import { elementBytes, elementCount, formatShape, quote } from './bytes.js';
import { constantNumbers, type GraphConstant } from './graph.js';
import type { ChannelStep, GraphLayer, WeightSize } from './graph-layer.js';
import { isFloat, type Numbers } from './numbers.js';
import type { Tensor } from './tensor.js';

/**
 * The layer's tensors: `prefix.weight` as [out][in][kernel][kernel], without what is 1 in the
 * engine's layout, and `prefix.bias`. Folding is done in double precision and rounded to float32 once.
 * Throws ERR_UNSUPPORTED for element types that are no floating-point numbers, ERR_WEIGHTS_MISMATCH
 * for counts that do not fit and for variances that are none.
 */
export function layerTensors(prefix: string, shape: readonly number[], layer: GraphLayer): readonly Tensor[] {
  const { out } = layer.size;
  const weight = engineOrder(layer);
  const [first, ...more] = layer.steps;
  const name = `${prefix}.weight`;
  if (first === undefined) return [{ name, type: weight.type, shape, bytes: weight.bytes }, biasTensor(prefix, new Float64Array(out))];
  if (more.length === 0 && first.kind === 'add' && elementCount(first.values.shape) === out) {
    const { type, bytes } = checkFloats(first.name, first.values);
    return [{ name, type: weight.type, shape, bytes: weight.bytes }, { name: `${prefix}.bias`, type, shape: [out], bytes }];
  }
  const { factors, offsets } = foldSteps(layer.steps, out);
  const source = constantNumbers(weight);
  const folded = new Float32Array(source.length);
  const perOutput = folded.length / out;
  for (let o = 0; o < out; o++) {
    const factor = factors[o] ?? NaN;
    for (let i = o * perOutput; i < (o + 1) * perOutput; i++) folded[i] = (source[i] ?? NaN) * factor;
  }
  return [{ name, type: 'f32', shape, bytes: bytesOf(folded) }, biasTensor(prefix, offsets)];
}

function biasTensor(prefix: string, values: Float64Array): Tensor {
  return { name: `${prefix}.bias`, type: 'f32', shape: [values.length], bytes: bytesOf(Float32Array.from(values)) };
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** The steps as factor * x + offset for each channel. */
function foldSteps(steps: readonly ChannelStep[], channels: number): { readonly factors: Float64Array; readonly offsets: Float64Array } {
  const factors = new Float64Array(channels).fill(1);
  const offsets = new Float64Array(channels);
  const apply = (factor: (channel: number) => number, offset: (channel: number) => number): void => {
    for (let i = 0; i < channels; i++) {
      factors[i] = (factors[i] ?? NaN) * factor(i);
      offsets[i] = (offsets[i] ?? NaN) * factor(i) + offset(i);
    }
  };
  for (const step of steps) {
    if (step.kind === 'norm') {
      const [scale, shift, mean] = [step.scale, step.shift, step.mean].map((values) => perChannel(step.name, values, channels));
      const deviation = deviations(step.name, perChannel(step.name, step.variance, channels), step.epsilon);
      const factor = (i: number): number => (scale?.[i] ?? NaN) / (deviation[i] ?? NaN);
      apply(factor, (i) => (shift?.[i] ?? NaN) - (mean?.[i] ?? NaN) * factor(i));
      continue;
    }
    const values = perChannel(step.name, step.values, channels);
    const at = (i: number): number => values[i] ?? NaN;
    if (step.kind === 'add') apply(() => 1, at);
    else if (step.kind === 'subtract') apply(() => 1, (i) => -at(i));
    else if (step.kind === 'multiply') apply(at, () => 0);
    else apply((i) => 1 / at(i), () => 0);
  }
  return { factors, offsets };
}

function perChannel(name: string, constant: GraphConstant, channels: number): Numbers {
  const numbers = constantNumbers(checkFloats(name, constant));
  if (numbers.length === channels) return numbers;
  if (numbers.length === 1) return new Float64Array(channels).fill(numbers[0] ?? NaN);
  throw new EfficientNetError('ERR_WEIGHTS_MISMATCH', `Expected 1 or ${channels} numbers for the node ${quote(name)} but its constant has the shape ${formatShape(constant.shape)}`);
}

function deviations(name: string, variances: Numbers, epsilon: number): Float64Array {
  const bad = variances.findIndex((variance) => !(variance >= 0 && variance + epsilon > 0));
  if (bad !== -1) {
    throw new EfficientNetError(
      'ERR_WEIGHTS_MISMATCH',
      `The batch normalisation ${quote(name)} holds the variance ${String(variances[bad])} at element ${bad}; expected a variance that is positive with its epsilon of ${epsilon}`,
    );
  }
  if (variances.every((variance) => variance === 0)) {
    throw new EfficientNetError('ERR_WEIGHTS_MISMATCH', `The batch normalisation ${quote(name)} holds only zeros; expected the variances of a trained network`);
  }
  return Float64Array.from(variances, (variance) => Math.sqrt(variance + epsilon));
}

function checkFloats(name: string, constant: GraphConstant): GraphConstant {
  if (isFloat(constant.type)) return constant;
  throw new EfficientNetError(
    'ERR_UNSUPPORTED',
    `The constant of the node ${quote(name)} has the element type ${constant.type}: quantised weights are not supported; export the network in float32 or float16`,
  );
}

/** Strides of the weight's axes out, in and spatial in the file, for a copy in that order. */
function fileStrides({ order, out, in: from, kernel }: WeightSize): readonly [number, number, number] {
  const spatial = kernel * kernel;
  switch (order) {
    case 'oihw':
    case 'oi':
      return [from * spatial, spatial, 1];
    case 'hwio':
    case 'io':
      return [1, out, from * out];
    case 'ohwi':
      return [from * spatial, 1, from];
    case 'hwc1':
    case '1hwc':
      return [1, 1, out];
  }
}

/** The weight as [out][in][spatial]: the file's own bytes where it lies so. */
function engineOrder({ name, weight, size }: GraphLayer): GraphConstant {
  checkFloats(name, weight);
  const { out, in: from } = size;
  const spatial = size.kernel * size.kernel;
  const [perOut, perIn, perSpatial] = fileStrides(size);
  const inOrder = (spatial === 1 || perSpatial === 1) && (from === 1 || perIn === spatial) && (out === 1 || perOut === from * spatial);
  if (inOrder) return weight;
  const source = unitsOf(weight);
  const target = source.slice();
  let to = 0;
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < from; i++) {
      for (let s = 0; s < spatial; s++) target[to++] = source[o * perOut + i * perIn + s * perSpatial] ?? 0;
    }
  }
  return { ...weight, bytes: new Uint8Array(target.buffer, target.byteOffset, target.byteLength) };
}

/** The elements as words of their size, to be moved without being read as numbers. */
function unitsOf({ type, bytes }: GraphConstant): Uint16Array | Uint32Array | Float64Array {
  const size = elementBytes[type];
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes); // A Buffer's slice would be a view.
  const [buffer, offset, length] = [aligned.buffer, aligned.byteOffset, aligned.byteLength / size];
  if (size === 2) return new Uint16Array(buffer, offset, length);
  return size === 4 ? new Uint32Array(buffer, offset, length) : new Float64Array(buffer, offset, length);
}
