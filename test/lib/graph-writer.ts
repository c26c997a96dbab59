// SPDX-License-Identifier: Apache-2.0
// Builds the TensorFlow.js graph model of a small EfficientNet for tests, in the shape that the real
// converter gives B0: fused convolutions, swish as Mul and Sigmoid, constants without telling names.
// Tests change the model before it is written.

export interface Node {
  readonly name: string;
  op: string;
  input: string[];
  readonly attr: Record<string, unknown>;
}

export interface Weight {
  readonly name: string;
  shape: number[];
  dtype: string;
  quantization?: unknown;
}

export interface Model {
  format: string;
  modelTopology: { node: Node[] };
  weightsManifest: { paths: string[]; weights: Weight[] }[];
}

/** A block of the graph; kernels are 3, expansion 2, squeeze 1 channel. */
export interface GraphBlock {
  readonly out: number;
  readonly stride: number;
  readonly expand: boolean;
  readonly add: boolean;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

export class GraphWriter {
  readonly nodes: Node[] = [];
  readonly weights: Weight[] = [];
  readonly data: Buffer[] = [];
  #count = 0;

  /** A constant under a meaningless name; its values are its running number and the element's. */
  constant(shape: number[], values?: readonly number[]): string {
    const name = `Func/input/_${this.weights.length}`;
    const length = shape.reduce((a, b) => a * b, 1);
    const numbers = values ?? Array.from({ length }, (_, i) => this.weights.length + i / 1024);
    this.weights.push({ name, shape, dtype: 'float32' });
    this.data.push(Buffer.from(Float32Array.from(numbers).buffer));
    this.nodes.push({ name, op: 'Const', input: [], attr: {} });
    return name;
  }

  integers(values: readonly number[]): string {
    const name = `shared/axes_${this.weights.length}`;
    this.weights.push({ name, shape: [values.length], dtype: 'int32' });
    this.data.push(Buffer.from(Int32Array.from(values).buffer));
    this.nodes.push({ name, op: 'Const', input: [], attr: {} });
    return name;
  }

  node(op: string, input: string[], attr: Record<string, unknown> = {}): string {
    const name = `node_${this.#count++}`;
    this.nodes.push({ name, op, input, attr });
    return name;
  }

  convolution(input: string, shape: number[], stride: number): string {
    const depthwise = shape[3] === 1 && (shape[0] ?? 1) > 1;
    const bias = this.constant([depthwise ? (shape[2] ?? 0) : (shape[3] ?? 0)]);
    return this.node(depthwise ? 'FusedDepthwiseConv2dNative' : '_FusedConv2D', [input, this.constant(shape), bias], {
      strides: { list: { i: ['1', String(stride), String(stride), '1'] } },
      dilations: { list: { i: ['1', '1', '1', '1'] } },
      padding: { s: base64('SAME') },
      data_format: { s: base64('NHWC') },
      fused_ops: { list: { s: [base64('BiasAdd')] } },
    });
  }

  /** The converter writes the two inputs in either order. */
  swish(input: string): string {
    const inputs = [this.node('Sigmoid', [input]), input];
    return this.node('Mul', this.#count % 4 < 2 ? inputs : inputs.reverse());
  }

  block(input: string, channels: number, { out, stride, expand, add }: GraphBlock, axes: string): string {
    const expanded = expand ? channels * 2 : channels;
    const widened = expand ? this.swish(this.convolution(input, [1, 1, channels, expanded], 1)) : input;
    const activated = this.swish(this.convolution(widened, [3, 3, expanded, 1], stride));
    const mean = this.node('Reshape', [this.node('Mean', [activated, axes]), this.node('Pack', [])]);
    const reduced = this.swish(this.convolution(mean, [1, 1, expanded, 1], 1));
    const gate = this.node('Sigmoid', [this.convolution(reduced, [1, 1, 1, expanded], 1)]);
    const projected = this.convolution(this.node('Mul', [activated, gate]), [1, 1, expanded, out], 1);
    return add ? this.node('AddV2', [input, projected]) : projected;
  }

  /** Nothing of the model is shared with the writer, so that a test can change it. */
  model(paths: readonly string[]): Model {
    return structuredClone({
      format: 'graph-model',
      modelTopology: { node: this.nodes },
      weightsManifest: [{ paths: [...paths], weights: this.weights }],
    });
  }
}

/** image -> x 255 - mean / deviation -> stem of 4 -> blocks -> head of 6 -> 5 classes -> softmax */
export function writeGraph(blocks: readonly GraphBlock[]): GraphWriter {
  const graph = new GraphWriter();
  const axes = graph.integers([1, 2]);
  const image = graph.node('Placeholder', []);
  const scaled = graph.node('Mul', [graph.constant([], [255]), image]);
  const mean = graph.node('BroadcastTo', [graph.constant([1, 1, 3], [1.5, 2, 3]), graph.node('Shape', [scaled])]);
  const centred = graph.node('Sub', [scaled, mean]);
  const normal = graph.node('RealDiv', [centred, graph.constant([1, 1, 3], [4, 5, 6])]);
  let cursor = graph.swish(graph.convolution(normal, [3, 3, 3, 4], 2));
  let channels = 4;
  for (const block of blocks) {
    cursor = graph.block(cursor, channels, block, axes);
    channels = block.out;
  }
  const head = graph.swish(graph.convolution(cursor, [1, 1, channels, 6], 1));
  const pooled = graph.node('Mean', [head, axes]);
  const logits = graph.node('_FusedMatMul', [pooled, graph.constant([6, 5]), graph.constant([5])], {
    transpose_a: { b: false },
    transpose_b: { b: false },
    fused_ops: { list: { s: [base64('BiasAdd')] } },
  });
  graph.node('Identity', [graph.node('Softmax', [logits])]);
  return graph;
}

/** The data cut into shards of the given sizes and a last one with the rest. */
export function cut(data: Buffer, ...sizes: readonly number[]): Map<string, Uint8Array> {
  const shards = new Map<string, Uint8Array>();
  let at = 0;
  for (const size of [...sizes, Infinity]) {
    shards.set(`shard${shards.size + 1}.bin`, data.subarray(at, at + size));
    at += size;
  }
  return shards;
}
