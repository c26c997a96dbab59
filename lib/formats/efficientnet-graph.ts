// SPDX-License-Identifier: Apache-2.0
// Finds an EfficientNet in a TensorFlow graph by following inputs from the classifier back to the
// image, checking every operation on the way, and says which constant is which layer's. Names in the
// graph are not relied on, because the converter shares and renames constants.

import { EfficientNetError } from '../errors.js';
import { formatShape, quote } from './bytes.js';
import type { JsonObject } from './json-value.js';

export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly attributes: JsonObject;
}

export interface GraphConstant {
  readonly type: 'f32' | 'i32';
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface MatchedGraph {
  /** `stem.weight`, `blocks.0.depthwise.bias`, ... */
  readonly layers: ReadonlyMap<string, GraphConstant>;
  /** Of the stem and of every block. */
  readonly strides: readonly number[];
  /** Arithmetic between the image and the stem, in order of execution: "Mul 255, Sub 123.675 116.28 103.53". */
  readonly preprocessing: string;
}

interface Convolution {
  readonly input: string;
  readonly weight: string;
  readonly bias: string;
  readonly stride: number;
  /** 1 for a pointwise convolution. */
  readonly kernel: number;
}

interface Block {
  readonly input: string;
  readonly layers: readonly (readonly [name: string, convolution: Convolution])[];
  readonly stride: number;
}

/**
 * Throws ERR_UNSUPPORTED, naming the node, where the graph does anything else than an EfficientNet
 * of MBConv blocks with squeeze and excite, swish, SAME padding and fused biases.
 */
export function matchEfficientNet(
  nodes: ReadonlyMap<string, GraphNode>,
  constants: ReadonlyMap<string, GraphConstant>,
): MatchedGraph {
  return new Matcher(nodes, constants).match();
}

class Matcher {
  readonly #nodes: ReadonlyMap<string, GraphNode>;
  readonly #constants: ReadonlyMap<string, GraphConstant>;
  readonly #used = new Set<string>();
  readonly #layers = new Map<string, GraphConstant>();

  constructor(nodes: ReadonlyMap<string, GraphNode>, constants: ReadonlyMap<string, GraphConstant>) {
    this.#nodes = nodes;
    this.#constants = constants;
  }

  match(): MatchedGraph {
    const classifier = this.#classifier();
    const headConv = this.#pointwise(this.#swishInput(this.#meanInput(classifier.input)));
    const reversed: Block[] = [];
    let cursor = headConv.input;
    let stem = this.#stem(cursor);
    while (stem === undefined) {
      const block = this.#block(cursor);
      // A graph can be a cycle: a block met twice would take its constants twice.
      for (const [, { weight, bias }] of block.layers) this.#claim(weight, bias);
      reversed.push(block);
      cursor = block.input;
      stem = this.#stem(cursor);
    }
    for (const { weight, bias } of [stem, headConv, classifier]) this.#claim(weight, bias);

    this.#emit('stem', stem);
    const blocks = reversed.reverse();
    blocks.forEach((block, i) => {
      for (const [name, convolution] of block.layers) this.#emit(`blocks.${i}.${name}`, convolution);
    });
    this.#emit('head.conv', headConv);
    this.#emit('head.classifier', classifier);
    const preprocessing = this.#preprocessing(stem.input);
    this.#checkAllUsed();
    return { layers: this.#layers, strides: [stem.stride, ...blocks.map(({ stride }) => stride)], preprocessing };
  }

  #fail(node: string, expected: string): never {
    const found = this.#nodes.get(node);
    throw new EfficientNetError(
      'ERR_UNSUPPORTED',
      `The graph is not an EfficientNet as TensorFlow.js converts it: expected ${expected} at the node ${quote(node)}, ` +
        `which is ${found === undefined ? 'missing' : `of the op ${quote(found.op)}`}`,
    );
  }

  #node(name: string, op: string, inputs: number): GraphNode {
    const node = this.#nodes.get(name);
    return node?.op === op && node.inputs.length === inputs ? node : this.#fail(name, `${op} with ${inputs} inputs`);
  }

  #classifier(): Pick<Convolution, 'input' | 'weight' | 'bias'> {
    const found = [...this.#nodes.values()].filter(({ op }) => op === '_FusedMatMul' || op === 'MatMul');
    const [only] = found;
    if (only === undefined || found.length > 1) {
      throw new EfficientNetError('ERR_UNSUPPORTED', `Expected a graph with one classifier (_FusedMatMul) but found ${found.length}`);
    }
    const { name, inputs: [input = '', weight = '', bias = ''], attributes } = this.#node(only.name, '_FusedMatMul', 3);
    const transposed = boolean(attributes, 'transpose_a') || boolean(attributes, 'transpose_b');
    if (!hasFusedBias(attributes) || transposed) this.#fail(name, 'a classifier with a fused bias and nothing transposed');
    return { input, weight, bias };
  }

  /** The input of a mean over height and width. */
  #meanInput(name: string): string {
    const { inputs: [input = '', axes = ''] } = this.#node(name, 'Mean', 2);
    const constant = this.#constants.get(axes);
    const view = constant === undefined ? undefined : new DataView(constant.bytes.buffer, constant.bytes.byteOffset, constant.bytes.byteLength);
    if (view?.byteLength !== 8 || constant?.type !== 'i32' || view.getInt32(0, true) !== 1 || view.getInt32(4, true) !== 2) {
      this.#fail(name, 'a mean over the axes 1 and 2');
    }
    return input;
  }

  /** x where the node is x * sigmoid(x). */
  #swishInput(name: string): string {
    return this.#swishInputOrNot(name) ?? this.#fail(name, 'swish (Mul of x and Sigmoid of x)');
  }

  #swishInputOrNot(name: string): string | undefined {
    const node = this.#nodes.get(name);
    if (node?.op !== 'Mul' || node.inputs.length !== 2) return undefined;
    const [a = '', b = ''] = node.inputs;
    if (this.#sigmoidInput(a) === b) return b;
    return this.#sigmoidInput(b) === a ? a : undefined;
  }

  #sigmoidInput(name: string): string | undefined {
    const node = this.#nodes.get(name);
    return node?.op === 'Sigmoid' && node.inputs.length === 1 ? node.inputs[0] : undefined;
  }

  #pointwise(name: string): Convolution {
    const convolution = this.#convolution(name, '_FusedConv2D');
    return convolution.kernel === 1 && convolution.stride === 1 ? convolution : this.#fail(name, 'a 1x1 convolution of stride 1');
  }

  #convolution(name: string, op: '_FusedConv2D' | 'FusedDepthwiseConv2dNative'): Convolution {
    const { inputs: [input = '', weight = '', bias = ''], attributes } = this.#node(name, op, 3);
    const strides = integers(attributes, 'strides');
    const [, stride] = strides;
    const shape = this.#constants.get(weight)?.shape;
    const kernel = shape?.[0];
    const plain =
      hasFusedBias(attributes) &&
      text(attributes, 'padding') === 'SAME' &&
      text(attributes, 'data_format') === 'NHWC' &&
      integers(attributes, 'dilations').every((dilation) => dilation === 1) &&
      strides.length === 4 && strides[0] === 1 && strides[2] === stride && strides[3] === 1;
    if (!plain || stride === undefined || shape?.length !== 4 || kernel === undefined || kernel !== shape[1]) {
      this.#fail(name, 'a square SAME convolution with constant weights and a fused bias');
    }
    return { input, weight, bias, stride, kernel };
  }

  /** The stem's convolution if `name` is its activation. */
  #stem(name: string): Convolution | undefined {
    const inner = this.#swishInputOrNot(name);
    if (inner === undefined || this.#nodes.get(inner)?.op !== '_FusedConv2D') return undefined;
    const convolution = this.#convolution(inner, '_FusedConv2D');
    return convolution.kernel > 1 ? convolution : undefined;
  }

  /** The block whose output is `name`: a projection, or the sum of one and the block's input. */
  #block(name: string): Block {
    const node = this.#nodes.get(name);
    if (node?.op !== 'AddV2' && node?.op !== 'Add') return this.#blockOfProjection(name);
    const [a = '', b = ''] = node.inputs;
    // The block's input can be a projection too, so try both: only one leads to the other.
    for (const [projection, input] of [[a, b], [b, a]] as const) {
      if (this.#nodes.get(projection)?.op !== '_FusedConv2D') continue;
      const block = this.#blockOfProjection(projection);
      if (block.input === input) return block;
    }
    return this.#fail(name, "the sum of a block's projection and its input");
  }

  #blockOfProjection(name: string): Block {
    const project = this.#pointwise(name);
    const { inputs: [left = '', right = ''] } = this.#node(project.input, 'Mul', 2);
    const [activated, gate] = this.#nodes.get(right)?.op === 'Sigmoid' ? [left, right] : [right, left];
    const excite = this.#pointwise(this.#sigmoidInput(gate) ?? this.#fail(gate, 'the sigmoid of the excite'));
    const reduce = this.#pointwise(this.#swishInput(excite.input));
    if (this.#squeezeInput(reduce.input) !== activated) this.#fail(reduce.input, 'the mean of what the gate multiplies');
    const depthwise = this.#convolution(this.#swishInput(activated), 'FusedDepthwiseConv2dNative');
    const expand = this.#expansion(depthwise.input);
    const layers: [string, Convolution][] = expand === undefined ? [] : [['expand', expand]];
    layers.push(['depthwise', depthwise], ['reduce', reduce], ['excite', excite], ['project', project]);
    return { input: expand === undefined ? depthwise.input : expand.input, layers, stride: depthwise.stride };
  }

  #squeezeInput(name: string): string {
    const node = this.#nodes.get(name);
    return this.#meanInput(node?.op === 'Reshape' ? (node.inputs[0] ?? '') : name);
  }

  #expansion(name: string): Convolution | undefined {
    const inner = this.#swishInputOrNot(name);
    if (inner === undefined || this.#stem(name) !== undefined) return undefined;
    return this.#pointwise(inner);
  }

  #claim(...names: readonly string[]): void {
    for (const name of names) {
      if (this.#used.has(name)) this.#fail(name, 'a constant of one layer only');
      this.#used.add(name);
    }
  }

  #emit(layer: string, { weight, bias }: Pick<Convolution, 'weight' | 'bias'>): void {
    for (const [suffix, name] of [['weight', weight], ['bias', bias]] as const) {
      const constant = this.#constants.get(name) ?? this.#fail(name, 'a constant');
      if (constant.type !== 'f32') this.#fail(name, 'a float32 constant');
      this.#layers.set(`${layer}.${suffix}`, constant);
    }
  }

  /** Follows the image's path, which is a chain; constants on it are reported and count as used. */
  #preprocessing(name: string): string {
    const steps: string[] = [];
    let cursor = name;
    for (let steady = 0; steady < 64; steady++) {
      const node = this.#nodes.get(cursor);
      if (node?.op === 'Placeholder') return steps.reverse().join(', ');
      if (node === undefined || !['Mul', 'Sub', 'RealDiv', 'AddV2', 'Identity', 'Cast'].includes(node.op)) break;
      const constant = node.inputs.map((input) => this.#broadcastConstant(input)).find((value) => value !== undefined);
      if (constant !== undefined) steps.push(`${node.op} ${constant.text}`);
      cursor = node.inputs.find((input) => input !== constant?.input) ?? '';
    }
    return this.#fail(cursor, 'plain arithmetic between the image and the stem');
  }

  #broadcastConstant(input: string): { input: string; text: string } | undefined {
    const node = this.#nodes.get(input);
    const name = node?.op === 'BroadcastTo' ? (node.inputs[0] ?? '') : input;
    const constant = this.#constants.get(name);
    if (constant === undefined || constant.type !== 'f32') return undefined;
    if (constant.bytes.length > 64) this.#fail(name, 'one value or one for each channel');
    this.#used.add(name);
    const values = new Float32Array(new Uint8Array(constant.bytes).buffer);
    return { input, text: [...values].map((value) => Number(value.toPrecision(7))).join(' ') };
  }

  #checkAllUsed(): void {
    for (const [name, { type, shape }] of this.#constants) {
      if (type !== 'f32' || this.#used.has(name)) continue;
      throw new EfficientNetError('ERR_UNSUPPORTED', `The graph has a weight ${quote(name)} of shape ${formatShape(shape)} that no EfficientNet has`);
    }
  }
}

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
  return Array.isArray(values) ? values.map(Number) : [];
}

function hasFusedBias(attributes: JsonObject): boolean {
  const values = field(attributes, 'fused_ops', 'list', 's');
  return Array.isArray(values) && values.length === 1 && Buffer.from(String(values[0]), 'base64').toString('latin1') === 'BiasAdd';
}
