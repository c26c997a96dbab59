// SPDX-License-Identifier: Apache-2.0
// The meaning of TensorFlow's operations, as a graph model's JSON writes them, in the neutral form of
// graph.ts. What no network of the family needs becomes 'other', an error only where it matters.

import { EfficientNetError } from '../errors.js';
import { quote } from './bytes.js';
import { constantNumbers, Graph, type GraphConstant, type GraphNode, type Operation, type Pads, type WeightOrder } from './graph.js';
import type { JsonObject } from './json-value.js';

export interface TensorflowNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly attributes: JsonObject;
}

/** `constants` are the values of the Const nodes, by name. */
export function tensorflowGraph(source: ReadonlyMap<string, TensorflowNode>, constants: ReadonlyMap<string, GraphConstant>): Graph {
  const nodes = new Map<string, GraphNode>();
  const add = (name: string, op: string, operation: Operation): string => {
    if (nodes.has(name)) throw new EfficientNetError('ERR_INVALID_CHECKPOINT', `Two nodes of the graph are named ${quote(name)}`);
    nodes.set(name, { name, op, operation });
    return name;
  };
  const used = new Set<string>();
  for (const node of source.values()) {
    for (const input of node.inputs) used.add(input);
    if (!constants.has(node.name)) new NodeTranslator(node, constants, add).translate();
  }
  const outputs = [...source.values()].filter(({ name }) => !used.has(name) && !constants.has(name)).map(({ name }) => name);
  return new Graph({ title: 'TensorFlow.js graph models', channels: 'nhwc', nodes, constants, outputs });
}

const binary: ReadonlyMap<string, 'add' | 'subtract' | 'multiply' | 'divide'> = new Map([
  ['Add', 'add'], ['AddV2', 'add'], ['BiasAdd', 'add'], ['Sub', 'subtract'], ['Mul', 'multiply'], ['RealDiv', 'divide'], ['Div', 'divide'],
]);
const same: ReadonlySet<string> = new Set(['Identity', 'ReadVariableOp', 'StopGradient', 'Cast', 'PreventGradient', 'Dropout']);
const reshapes: ReadonlySet<string> = new Set(['Reshape', 'Squeeze', 'ExpandDims']);

type Add = (name: string, op: string, operation: Operation) => string;

class NodeTranslator {
  readonly #node: TensorflowNode;
  readonly #constants: ReadonlyMap<string, GraphConstant>;
  readonly #add: Add;

  constructor(node: TensorflowNode, constants: ReadonlyMap<string, GraphConstant>, add: Add) {
    this.#node = node;
    this.#constants = constants;
    this.#add = add;
  }

  translate(): void {
    const { name, op } = this.#node;
    if (op === '_FusedConv2D' || op === 'FusedDepthwiseConv2dNative' || op === '_FusedMatMul') this.#fused();
    else this.#add(name, op, this.#plain());
  }

  #plain(): Operation {
    const { op, inputs, attributes } = this.#node;
    const [input = '', second = ''] = inputs;
    if (same.has(op)) return { kind: 'identity', input };
    if (reshapes.has(op)) return { kind: 'reshape', input };
    const arithmetic = binary.get(op);
    if (arithmetic !== undefined && inputs.length === 2) return { kind: arithmetic, left: input, right: second };
    switch (op) {
      case 'Placeholder':
        return { kind: 'input', shape: placeholderShape(attributes) };
      case 'BroadcastTo':
        return this.#constants.has(input) ? { kind: 'identity', input } : this.#unknown();
      case 'Conv2D':
      case 'DepthwiseConv2dNative':
        return this.#convolution(op === 'DepthwiseConv2dNative' ? 'hwc1' : 'hwio', undefined);
      case 'MatMul':
        return this.#dense(undefined);
      case 'Mean':
        return { kind: 'mean', input, axes: this.#integersOf(second) };
      case 'Softmax':
        return { kind: 'softmax', input };
      case 'Sigmoid':
        return { kind: 'sigmoid', input };
      case 'Relu':
        return clamp(input, 0, Infinity);
      case 'Relu6':
        return clamp(input, 0, 6);
      case 'Maximum':
      case 'Minimum':
        return this.#limit(input, second);
      case 'FusedBatchNorm':
      case 'FusedBatchNormV2':
      case 'FusedBatchNormV3':
        return this.#norm(input);
      case 'Transpose':
        return { kind: 'transpose', input, order: this.#integersOf(second) };
      case 'Pad':
      case 'PadV2':
        return this.#pad(input, second);
      default:
        return this.#unknown();
    }
  }

  #unknown(why?: string): Operation {
    return { kind: 'other', inputs: this.#node.inputs, ...(why !== undefined && { why }) };
  }

  /** A layer that has taken its bias, and at most one activation, into itself. */
  #fused(): void {
    const { name, op, inputs, attributes } = this.#node;
    const [bias, activation] = fusedOperations(attributes);
    const isKnown = bias === 'BiasAdd' && inputs.length === 3 && (activation === undefined || activation === 'Relu' || activation === 'Relu6');
    if (!isKnown) {
      this.#add(name, op, this.#unknown('fused with something else than a bias and a rectifier'));
      return;
    }
    const order = op === '_FusedConv2D' ? 'hwio' : 'hwc1';
    const layer = op === '_FusedMatMul' ? this.#dense(inputs[2]) : this.#convolution(order, inputs[2]);
    if (activation === undefined) this.#add(name, op, layer);
    else this.#add(name, op, clamp(this.#add(`${name}#${activation}`, op, layer), 0, activation === 'Relu' ? Infinity : 6));
  }

  #convolution(order: WeightOrder, bias: string | undefined): Operation {
    const { inputs: [input = '', weight = ''], attributes } = this.#node;
    const [s0, height = 0, width = 0, s3] = integers(attributes, 'strides');
    const plain =
      text(attributes, 'data_format') === 'NHWC' && s0 === 1 && s3 === 1 && integers(attributes, 'dilations').every((dilation) => dilation === 1);
    const pads = convolutionPads(attributes);
    if (!plain || pads === undefined) return this.#unknown('not a plain NHWC convolution');
    return { kind: 'convolution', input, weight, bias, order, groups: 1, strides: [height, width], pads };
  }

  #dense(bias: string | undefined): Operation {
    const { inputs: [input = '', weight = ''], attributes } = this.#node;
    if (boolean(attributes, 'transpose_a')) return this.#unknown('with its input transposed');
    return { kind: 'dense', input, weight, bias, order: boolean(attributes, 'transpose_b') ? 'oi' : 'io' };
  }

  #limit(left: string, right: string): Operation {
    const value = this.#scalarOf(right) ?? this.#scalarOf(left);
    if (value === undefined) return this.#unknown('of two computed values');
    const input = this.#scalarOf(right) === undefined ? right : left;
    return this.#node.op === 'Maximum' ? clamp(input, value, Infinity) : clamp(input, -Infinity, value);
  }

  #norm(input: string): Operation {
    const { inputs: [, scale = '', shift = '', mean = '', variance = ''], attributes } = this.#node;
    const epsilon = field(attributes, 'epsilon', 'f');
    if (typeof epsilon !== 'number' || field(attributes, 'is_training', 'b') === true) return this.#unknown('in training mode, or without an epsilon');
    return { kind: 'norm', input, scale, shift, mean, variance, epsilon };
  }

  /** Two numbers for each of the four dimensions. */
  #pad(input: string, sides: string): Operation {
    const [n0, n1, top = NaN, bottom = NaN, left = NaN, right = NaN, c0, c1] = this.#integersOf(sides);
    const value = this.#node.op === 'PadV2' ? this.#scalarOf(this.#node.inputs[2] ?? '') : 0;
    const isPlain = [n0, n1, c0, c1].every((side) => side === 0) && value === 0;
    return isPlain ? { kind: 'pad', input, pads: [top, left, bottom, right] } : this.#unknown('not zeros around an image');
  }

  #integersOf(name: string): readonly number[] {
    const constant = this.#constants.get(name);
    const small = constant !== undefined && constant.bytes.length <= 128 ? constantNumbers(constant) : undefined;
    return small === undefined ? [] : [...small];
  }

  #scalarOf(name: string): number | undefined {
    const numbers = this.#integersOf(name);
    return numbers.length === 1 ? numbers[0] : undefined;
  }
}

function clamp(input: string, low: number, high: number): Operation {
  return { kind: 'clamp', input, scale: 1, shift: 0, low, high };
}

function convolutionPads(attributes: JsonObject): Pads | undefined {
  switch (text(attributes, 'padding')) {
    case 'SAME':
      return 'same';
    case 'VALID':
      return [0, 0, 0, 0];
    case 'EXPLICIT': {
      const [n0, n1, top = NaN, bottom = NaN, left = NaN, right = NaN, c0, c1] = integers(attributes, 'explicit_paddings');
      return [n0, n1, c0, c1].every((side) => side === 0) ? [top, left, bottom, right] : undefined;
    }
    default:
      return undefined;
  }
}

// ---- attributes -----------------------------------------------------------------------------------------

/** One field of a TensorFlow attribute, such as attr.strides.list.i. */
function field(attributes: JsonObject, ...path: readonly string[]): unknown {
  let value: unknown = attributes;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as JsonObject)[key];
  }
  return value;
}

function boolean(attributes: JsonObject, name: string): boolean {
  return field(attributes, name, 'b') === true;
}

/** Strings are base64 in the JSON form of a graph. */
function text(attributes: JsonObject, name: string): string | undefined {
  const value = field(attributes, name, 's');
  return typeof value === 'string' ? Buffer.from(value, 'base64').toString('latin1') : undefined;
}

/** 64-bit integers are strings in the JSON form of a graph. */
function integers(attributes: JsonObject, name: string): number[] {
  const values = field(attributes, name, 'list', 'i');
  return Array.isArray(values) ? values.slice(0, 64).map(Number) : [];
}

function fusedOperations(attributes: JsonObject): readonly string[] {
  const values = field(attributes, 'fused_ops', 'list', 's');
  return Array.isArray(values) ? values.slice(0, 8).map((value) => Buffer.from(String(value), 'base64').toString('latin1')) : [];
}

/** Sizes that the graph leaves open are negative. */
function placeholderShape(attributes: JsonObject): (number | undefined)[] {
  const dimensions = field(attributes, 'shape', 'shape', 'dim');
  if (!Array.isArray(dimensions)) return [];
  return dimensions.slice(0, 8).map((dimension: unknown) => {
    const size = typeof dimension === 'object' && dimension !== null && 'size' in dimension ? Number(dimension.size) : -1;
    return Number.isSafeInteger(size) && size > 0 ? size : undefined;
  });
}
