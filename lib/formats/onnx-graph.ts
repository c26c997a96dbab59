// SPDX-License-Identifier: Apache-2.0
// The meaning of ONNX's operators, from opset 7 to 24, in the neutral form of graph.ts. An operator
// or a setting that no network of the family needs becomes 'other', an error only where it matters.

import { quote } from './bytes.js';
import { EfficientNetError } from '../errors.js';
import { constantNumbers, Graph, type FixedPads, type GraphConstant, type GraphNode, type Operation, type Pads, type PadSample } from './graph.js';
import { Makers, smallNumbers } from './onnx-arithmetic.js';
import type { OnnxFile, OnnxNode } from './onnx-model.js';

/** Throws ERR_UNSUPPORTED for values that two nodes make; what the network cannot use is found by the matcher. */
export function onnxGraph(file: OnnxFile): Graph {
  const nodes = new Map<string, GraphNode>();
  const constants = new Map<string, GraphConstant>(file.initializers);
  for (const [name, shape] of file.inputs) {
    // Before IR version 4 initialisers were inputs too.
    if (!constants.has(name)) nodes.set(name, { name, op: 'input', operation: { kind: 'input', shape } });
  }
  const makers = new Map<string, OnnxNode>();
  for (const node of file.nodes) {
    for (const name of node.outputs) makers.set(name, node);
    const [name = ''] = node.outputs;
    const constant = node.op === 'Constant' && node.domain === '' ? constantOf(node) : undefined;
    if (constant === undefined) continue;
    if (constants.has(name)) throw twice(node, name);
    constants.set(name, constant);
  }
  const translator = new Translator(file.opset, constants, new Makers((name) => makers.get(name), (name) => constants.get(name)));
  for (const node of file.nodes) {
    const operation = node.domain === '' ? translator.translate(node) : unknown(node, `of the domain ${quote(node.domain)}`);
    node.outputs.forEach((name, i) => {
      if (name === '' || (node.op === 'Constant' && constants.has(name))) return;
      if (nodes.has(name) || constants.has(name)) throw twice(node, name);
      // Later outputs are masks and statistics of training.
      nodes.set(name, { name, op: node.op, operation: i === 0 ? operation : unknown(node, `its output ${i}`) });
    });
  }
  return new Graph({ title: 'ONNX files', channels: 'nchw', nodes, constants, outputs: file.outputs });
}

function twice({ offset }: OnnxNode, name: string): EfficientNetError {
  return new EfficientNetError('ERR_INVALID_CHECKPOINT', `Two nodes make the value ${quote(name)} (the second at byte ${offset} of the file)`);
}

/** A constant is a tensor or, written shorter, one number or a list of integers. */
function constantOf({ attributes }: OnnxNode): GraphConstant | undefined {
  const number = attributes.get('value_float')?.float;
  const integer = attributes.get('value_int')?.integer;
  const integers = integer === undefined ? attributes.get('value_ints')?.integers : [integer];
  if (number !== undefined) return { type: 'f32', shape: [], bytes: new Uint8Array(Float32Array.of(number).buffer) };
  if (integers === undefined) return attributes.get('value')?.tensor;
  return { type: 'i64', shape: integer === undefined ? [integers.length] : [], bytes: new Uint8Array(BigInt64Array.from(integers, BigInt).buffer) };
}

function unknown({ inputs }: OnnxNode, why?: string): Operation {
  return { kind: 'other', inputs, ...(why !== undefined && { why }) };
}

class Translator {
  readonly #opset: number;
  readonly #constants: ReadonlyMap<string, GraphConstant>;
  readonly #makers: Makers;

  constructor(opset: number, constants: ReadonlyMap<string, GraphConstant>, makers: Makers) {
    this.#opset = opset;
    this.#constants = constants;
    this.#makers = makers;
  }

  translate(node: OnnxNode): Operation {
    const [input = '', second = ''] = node.inputs;
    switch (node.op) {
      case 'Identity':
      case 'Dropout':
      case 'Cast':
        return { kind: 'identity', input };
      case 'Flatten':
      case 'Reshape':
      case 'Squeeze':
      case 'Unsqueeze':
        return { kind: 'reshape', input };
      case 'Softmax':
      case 'LogSoftmax':
        return { kind: 'softmax', input };
      case 'Transpose':
        return { kind: 'transpose', input, order: node.attributes.get('perm')?.integers ?? [] };
      case 'Sigmoid':
        return { kind: 'sigmoid', input };
      case 'HardSwish':
        return { kind: 'hard-swish', input };
      case 'Swish':
        return this.#float(node, 'alpha', 1) === 1 ? { kind: 'swish', input } : unknown(node, 'with an alpha');
      case 'Add':
        return { kind: 'add', left: input, right: second };
      case 'Sub':
        return { kind: 'subtract', left: input, right: second };
      case 'Mul':
        return { kind: 'multiply', left: input, right: second };
      case 'Div':
        return { kind: 'divide', left: input, right: second };
      case 'Relu':
      case 'Clip':
      case 'Max':
      case 'Min':
      case 'HardSigmoid':
        return this.#clamp(node, input);
      case 'Conv':
        return this.#convolution(node, input, second);
      case 'Gemm':
      case 'MatMul':
        return this.#dense(node, input, second);
      case 'BatchNormalization':
        return this.#norm(node, input);
      case 'GlobalAveragePool':
        return { kind: 'mean', input, axes: [2, 3] };
      case 'ReduceMean':
        return this.#mean(node, input, second);
      case 'AveragePool':
        return this.#pool(node, input);
      case 'Pad':
        return this.#pad(node, input);
      default:
        return unknown(node);
    }
  }

  #clamp(node: OnnxNode, input: string): Operation {
    const clamp = (low: number, high: number, of = input, scale = 1, shift = 0): Operation => ({ kind: 'clamp', input: of, scale, shift, low, high });
    switch (node.op) {
      case 'Relu':
        return clamp(0, Infinity);
      case 'HardSigmoid':
        return clamp(0, 1, input, this.#float(node, 'alpha', 0.2), this.#float(node, 'beta', 0.5));
      case 'Clip': {
        // Until opset 10 the limits are attributes, then inputs.
        const [low, high] = this.#opset > 0 && this.#opset < 11 ? [undefined, undefined] : [node.inputs[1], node.inputs[2]];
        const limit = (name: string | undefined, attribute: string, otherwise: number): number | undefined =>
          name === undefined || name === '' ? this.#float(node, attribute, otherwise) : this.#scalar(name);
        const [from, to] = [limit(low, 'min', -Infinity), limit(high, 'max', Infinity)];
        // Exporters write the largest float32 for no limit.
        return from === undefined || to === undefined ? unknown(node, 'with limits that are computed') : clamp(from < -3e38 ? -Infinity : from, to > 3e38 ? Infinity : to);
      }
      default: {
        const [a = '', b = ''] = node.inputs;
        const [left, right] = [this.#scalar(a), this.#scalar(b)];
        const value = right ?? left;
        if (value === undefined || node.inputs.length !== 2) return unknown(node, 'of two computed values');
        const of = right === undefined ? b : a;
        return node.op === 'Max' ? clamp(value, Infinity, of) : clamp(-Infinity, value, of);
      }
    }
  }

  #convolution(node: OnnxNode, input: string, weight: string): Operation {
    const bias = node.inputs[2] === '' ? undefined : node.inputs[2];
    const [strideHeight = 1, strideWidth = 1] = this.#integers(node, 'strides');
    if (!this.#integers(node, 'dilations').every((dilation) => dilation === 1)) return unknown(node, 'dilated');
    const pads = this.#convolutionPads(node);
    if (pads === undefined) return unknown(node, `with auto_pad ${node.attributes.get('auto_pad')?.text ?? ''}`);
    const groups = node.attributes.get('group')?.integer ?? 1;
    return { kind: 'convolution', input, weight, bias, order: 'oihw', groups, strides: [strideHeight, strideWidth], pads };
  }

  #convolutionPads(node: OnnxNode): Pads | undefined {
    const [top = 0, left = 0, bottom = 0, right = 0] = this.#integers(node, 'pads');
    switch (node.attributes.get('auto_pad')?.text ?? 'NOTSET') {
      case 'NOTSET':
        return [top, left, bottom, right];
      case 'VALID':
        return [0, 0, 0, 0];
      case 'SAME_UPPER':
        return 'same';
      default:
        return undefined;
    }
  }

  #dense(node: OnnxNode, input: string, weight: string): Operation {
    if (node.op === 'MatMul') return { kind: 'dense', input, weight, bias: undefined, order: 'io' };
    const flag = (name: string): boolean => (node.attributes.get(name)?.integer ?? 0) !== 0;
    if (flag('transA') || this.#float(node, 'alpha', 1) !== 1 || this.#float(node, 'beta', 1) !== 1) return unknown(node, 'with transA, alpha or beta');
    const bias = node.inputs[2] === '' ? undefined : node.inputs[2];
    return { kind: 'dense', input, weight, bias, order: flag('transB') ? 'oi' : 'io' };
  }

  #norm(node: OnnxNode, input: string): Operation {
    const [, scale = '', shift = '', mean = '', variance = ''] = node.inputs;
    if ((node.attributes.get('training_mode')?.integer ?? 0) !== 0) return unknown(node, 'in training mode');
    return { kind: 'norm', input, scale, shift, mean, variance, epsilon: this.#float(node, 'epsilon', 1e-5) };
  }

  /** Axes are an attribute until opset 17 and an input since; none means all. */
  #mean(node: OnnxNode, input: string, second: string): Operation {
    const constant = this.#constants.get(second);
    const axes = second === '' ? this.#integers(node, 'axes') : constant === undefined || constant.bytes.length > 128 ? [] : [...constantNumbers(constant)];
    return { kind: 'mean', input, axes };
  }

  #pool(node: OnnxNode, input: string): Operation {
    const [height = 0, width = 0] = this.#integers(node, 'kernel_shape');
    const isPadded = this.#integers(node, 'pads').some((side) => side !== 0);
    return isPadded ? unknown(node, 'with padding') : { kind: 'pool', input, window: [height, width] };
  }

  #pad(node: OnnxNode, input: string): Operation {
    const [, padsName = '', valueName = ''] = node.inputs;
    const value = valueName === '' ? this.#float(node, 'value', 0) : this.#scalar(valueName);
    if (value !== 0 || (node.attributes.get('mode')?.text ?? 'constant') !== 'constant') return unknown(node, 'with another padding than zeros');
    const sides = padsName === '' ? this.#integers(node, 'pads') : smallNumbers(this.#makers, padsName, () => undefined);
    const pads = sides && imagePads(sides);
    if (pads !== undefined) return { kind: 'pad', input, pads };
    if (sides !== undefined) return unknown(node, 'with a padding of other axes than height and width');
    const samples = kSampleSizes.map(([height, width]): PadSample | undefined => {
      const found = smallNumbers(this.#makers, padsName, (name) => (name === input ? [1, 1, height, width] : undefined));
      const computed = found && imagePads(found);
      return computed && { height, width, pads: computed };
    });
    const known = samples.filter((sample) => sample !== undefined);
    return known.length === samples.length ? { kind: 'computed-pad', input, samples: known } : unknown(node, 'with a padding that depends on more than the shape of its input');
  }

  #float(node: OnnxNode, name: string, otherwise: number): number {
    return node.attributes.get(name)?.float ?? otherwise;
  }

  #integers(node: OnnxNode, name: string): readonly number[] {
    return node.attributes.get(name)?.integers ?? [];
  }

  /** The number of a constant that holds one; constants of nodes come before the nodes that use them. */
  #scalar(name: string): number | undefined {
    const constant = this.#constants.get(name);
    const numbers = constant === undefined || constant.bytes.length > 8 ? undefined : constantNumbers(constant);
    return numbers?.length === 1 ? numbers[0] : undefined;
  }
}

/** Both parities of either side, so that SAME at stride 2 is told from everything simpler. */
const kSampleSizes = [[64, 64], [65, 65], [64, 65], [67, 66]] as const;

/** The begins of the axes batch, channels, height and width, then their ends. */
function imagePads(sides: readonly number[]): FixedPads | undefined {
  const [n0, c0, top = NaN, left = NaN, n1, c1, bottom = NaN, right = NaN] = sides;
  return sides.length === 8 && [n0, c0, n1, c1].every((side) => side === 0) ? [top, left, bottom, right] : undefined;
}
