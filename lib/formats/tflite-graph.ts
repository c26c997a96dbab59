// SPDX-License-Identifier: Apache-2.0
// The meaning of TensorFlow Lite's operators in the neutral form of graph.ts. What no network of the
// family needs becomes 'other', an error only where it matters.

import { EfficientNetError } from '../errors.js';
import { invalidCheckpoint, quote } from './bytes.js';
import { constantNumbers, Graph, type GraphConstant, type GraphNode, type Operation, type Pads } from './graph.js';
import { isFloat } from './numbers.js';
import type { TfliteFile, TfliteOperator, TfliteTensor } from './tflite-model.js';
import { activation, arithmeticField, convolutionField, denseField, depthwiseField, padding, poolField } from './tflite-schema.js';

/** Throws ERR_UNSUPPORTED for quantised networks, ERR_INVALID_CHECKPOINT for tensors that two operators make. */
export function tfliteGraph(file: TfliteFile): Graph {
  const nodes = new Map<string, GraphNode>();
  const constants = new Map<string, GraphConstant>();
  const take = (tensor: TfliteTensor | undefined): void => {
    if (tensor?.constant !== undefined) constants.set(tensor.name, tensor.constant);
  };
  for (const { name, shape } of file.inputs) {
    nodes.set(name, { name, op: 'input', operation: { kind: 'input', shape: shape.map((size) => (size > 0 ? size : undefined)) } });
  }
  for (const operator of file.operators) {
    operator.inputs.forEach(take);
    checkFloating(operator);
    const [output, ...others] = operator.outputs;
    if (output === undefined) continue;
    const add = (name: string, operation: Operation): void => {
      if (nodes.has(name) || constants.has(name)) throw invalidCheckpoint(`Two operators make the tensor ${quote(name)}`, operator.offset);
      nodes.set(name, { name, op: operator.op, operation });
    };
    const { operation, fused } = translate(operator);
    const limits = fusedLimits(fused);
    if (limits === undefined) {
      add(output.name, unknown(operator, `fused with the activation number ${fused}`));
    } else if (limits === 'none') {
      add(output.name, operation);
    } else {
      add(`${output.name}#`, operation);
      add(output.name, clamp(`${output.name}#`, ...limits));
    }
    for (const other of others) add(other.name, unknown(operator));
  }
  return new Graph({ title: 'TensorFlow Lite files', channels: 'nhwc', nodes, constants, outputs: file.outputs.map(({ name }) => name) });
}

const layers: ReadonlySet<string> = new Set(['CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED']);

function checkFloating({ op, inputs: [input, weight] }: TfliteOperator): void {
  const type = (layers.has(op) ? weight : op === 'DEQUANTIZE' ? input : undefined)?.constant?.type;
  if ((type !== undefined && !isFloat(type)) || op === 'QUANTIZE') {
    throw new EfficientNetError(
      'ERR_UNSUPPORTED',
      `The TensorFlow Lite file is quantised: ${op === 'QUANTIZE' ? 'it quantises its activations' : `the weights ${quote(weight?.name ?? input?.name ?? '')} are ${type}`}. ` +
        'Convert the network without quantisation, or with float16 weights',
    );
  }
}

interface Translated {
  readonly operation: Operation;
  /** The number of an activation that the operator has taken into itself. */
  readonly fused: number;
}

function translate(operator: TfliteOperator): Translated {
  const { op, options } = operator;
  const fused = (field: number): number => options?.i8(field) ?? activation.none;
  switch (op) {
    case 'CONV_2D':
      return { operation: convolution(operator), fused: fused(convolutionField.activation) };
    case 'DEPTHWISE_CONV_2D':
      return { operation: depthwise(operator), fused: fused(depthwiseField.activation) };
    case 'FULLY_CONNECTED':
      return { operation: dense(operator), fused: fused(denseField.activation) };
    case 'AVERAGE_POOL_2D':
      return { operation: pool(operator), fused: fused(poolField.activation) };
    case 'ADD':
    case 'SUB':
    case 'MUL':
    case 'DIV':
      return { operation: arithmetic(operator), fused: fused(arithmeticField.activation) };
    default:
      return { operation: plain(operator), fused: activation.none };
  }
}

function fusedLimits(fused: number): 'none' | readonly [number, number] | undefined {
  if (fused === activation.none) return 'none';
  if (fused === activation.relu) return [0, Infinity];
  return fused === activation.relu6 ? [0, 6] : undefined;
}

function unknown({ inputs }: TfliteOperator, why?: string): Operation {
  return { kind: 'other', inputs: inputs.flatMap((input) => (input === undefined ? [] : [input.name])), ...(why !== undefined && { why }) };
}

function clamp(input: string, low: number, high: number): Operation {
  return { kind: 'clamp', input, scale: 1, shift: 0, low, high };
}

function plain(operator: TfliteOperator): Operation {
  const [first, second, third] = operator.inputs;
  const input = first?.name ?? '';
  switch (operator.op) {
    case 'DEQUANTIZE':
    case 'CAST':
      return { kind: 'identity', input };
    case 'RESHAPE':
    case 'SQUEEZE':
    case 'EXPAND_DIMS':
      return { kind: 'reshape', input };
    case 'TRANSPOSE':
      return { kind: 'transpose', input, order: smallNumbers(second) };
    case 'SOFTMAX':
    case 'LOG_SOFTMAX':
      return { kind: 'softmax', input };
    case 'LOGISTIC':
      return { kind: 'sigmoid', input };
    case 'HARD_SWISH':
      return { kind: 'hard-swish', input };
    case 'RELU':
      return clamp(input, 0, Infinity);
    case 'RELU6':
      return clamp(input, 0, 6);
    case 'RELU_0_TO_1':
      return clamp(input, 0, 1);
    case 'MAXIMUM':
    case 'MINIMUM':
      return limit(operator);
    case 'MEAN':
      return { kind: 'mean', input, axes: smallNumbers(second) };
    case 'PAD':
      return pad(operator, 0);
    case 'PADV2':
      return pad(operator, smallNumbers(third)[0] ?? NaN);
    default:
      return unknown(operator);
  }
}

function arithmetic({ op, inputs: [left, right] }: TfliteOperator): Operation {
  const kind = op === 'ADD' ? 'add' : op === 'SUB' ? 'subtract' : op === 'MUL' ? 'multiply' : 'divide';
  return { kind, left: left?.name ?? '', right: right?.name ?? '' };
}

function convolutionPads(code: number): Pads | undefined {
  if (code === padding.same) return 'same';
  return code === padding.valid ? [0, 0, 0, 0] : undefined;
}

function convolution(operator: TfliteOperator): Operation {
  const { inputs: [input, weight, bias], options } = operator;
  const pads = convolutionPads(options?.i8(convolutionField.padding) ?? padding.same);
  const dilated = options?.i32(convolutionField.dilationWidth, 1) !== 1 || options.i32(convolutionField.dilationHeight, 1) !== 1;
  if (options === undefined || pads === undefined || dilated) return unknown(operator, 'dilated, or without its options');
  const strides = [options.i32(convolutionField.strideHeight), options.i32(convolutionField.strideWidth)] as const;
  return { kind: 'convolution', input: input?.name ?? '', weight: weight?.name ?? '', bias: bias?.name, order: 'ohwi', groups: 1, strides, pads };
}

function depthwise(operator: TfliteOperator): Operation {
  const { inputs: [input, weight, bias], options } = operator;
  const pads = convolutionPads(options?.i8(depthwiseField.padding) ?? padding.same);
  const dilated = options?.i32(depthwiseField.dilationWidth, 1) !== 1 || options.i32(depthwiseField.dilationHeight, 1) !== 1;
  if (options === undefined || pads === undefined || dilated || options.i32(depthwiseField.multiplier) !== 1) {
    return unknown(operator, 'dilated, with a multiplier, or without its options');
  }
  const strides = [options.i32(depthwiseField.strideHeight), options.i32(depthwiseField.strideWidth)] as const;
  const groups = weight?.shape[3] ?? 0;
  return { kind: 'convolution', input: input?.name ?? '', weight: weight?.name ?? '', bias: bias?.name, order: '1hwc', groups, strides, pads };
}

function dense(operator: TfliteOperator): Operation {
  const { inputs: [input, weight, bias], options } = operator;
  if ((options?.i8(denseField.weightsFormat) ?? 0) !== 0) return unknown(operator, 'with shuffled weights');
  return { kind: 'dense', input: input?.name ?? '', weight: weight?.name ?? '', bias: bias?.name, order: 'oi' };
}

/** Whether the window covers the whole image is judged where the image's size is known. */
function pool(operator: TfliteOperator): Operation {
  const { inputs: [input], options } = operator;
  if (options === undefined) return unknown(operator);
  const window = [options.i32(poolField.height), options.i32(poolField.width)] as const;
  // SAME pads nothing where a stride is the whole window.
  const single = options.i32(poolField.strideHeight) >= window[0] && options.i32(poolField.strideWidth) >= window[1];
  const isPlain = options.i8(poolField.padding) === padding.valid || single;
  return isPlain ? { kind: 'pool', input: input?.name ?? '', window } : unknown(operator, 'with padding');
}

function limit(operator: TfliteOperator): Operation {
  const [left, right] = operator.inputs;
  const [a, b] = [smallNumbers(left), smallNumbers(right)];
  const value = b.length === 1 ? b[0] : a.length === 1 ? a[0] : undefined;
  if (value === undefined) return unknown(operator, 'of two computed values');
  const input = (b.length === 1 ? left : right)?.name ?? '';
  return operator.op === 'MAXIMUM' ? clamp(input, value, Infinity) : clamp(input, -Infinity, value);
}

/** Two numbers for each of batch, height, width and channels. */
function pad(operator: TfliteOperator, value: number): Operation {
  const [input, sides] = operator.inputs;
  const [n0, n1, top = NaN, bottom = NaN, left = NaN, right = NaN, c0, c1] = smallNumbers(sides);
  const isPlain = [n0, n1, c0, c1].every((side) => side === 0) && value === 0;
  return isPlain ? { kind: 'pad', input: input?.name ?? '', pads: [top, left, bottom, right] } : unknown(operator, 'not zeros around an image');
}

/** The numbers of a short constant; none for anything else. */
function smallNumbers(tensor: TfliteTensor | undefined): readonly number[] {
  const constant = tensor?.constant;
  return constant !== undefined && constant.bytes.length <= 128 ? [...constantNumbers(constant)] : [];
}
