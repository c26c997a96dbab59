// SPDX-License-Identifier: Apache-2.0
// A network with its folded weights as an ONNX model: opset 17, NCHW, any batch. Padding is exact for
// every image size: a stride of 1 pads kernel / 2 on each side under both conventions, and where they
// differ TensorFlow's is auto_pad SAME_UPPER. Bytes are written by formats/onnx-writer.ts.

import type { OnnxAttribute, OnnxInitializer, OnnxModel, OnnxNode } from './formats/onnx-writer.js';
import { embeddingSize, type Activation, type Block, type FusedBlock, type MBConvBlock, type Network } from './network.js';
import type { BlockWeights, FoldedWeights, FusedWeights, MBConvWeights } from './weights.js';

export interface OnnxOptions {
  /** Height and width of the input in pixels; left open unless given. */
  readonly height?: number | undefined;
  readonly width?: number | undefined;
  /** What the file says about itself. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/**
 * The model: `input`, float32 [batch, 3, height, width], already normalised, to `logits`, float32
 * [batch, classes]. Initialisers are views on the folded weights, under this package's names.
 */
export function onnxModel(folded: FoldedWeights, options: OnnxOptions = {}): OnnxModel {
  const { network } = folded;
  const writer = new GraphWriter(network);
  const { stem, head } = network;
  let x = writer.convolution('stem', 'input', [stem.out, stem.in, stem.kernel, stem.kernel], folded.stem.weights, folded.stem.bias, stem.stride);
  x = writer.activation('stem', x, stem.activation);
  network.blocks.forEach((block, i) => {
    const weights = folded.blocks[i];
    if (weights !== undefined) x = writer.block(`blocks.${i}`, x, block, weights);
  });
  x = writer.convolution('head.conv', x, [head.features, head.in, 1, 1], folded.head.convWeights, folded.head.convBias);
  x = writer.mean('head', writer.activation('head.conv', x, head.activation));
  x = writer.node('Flatten', 'head.flatten', [x], { axis: 1 });
  if (head.hidden > 0) {
    x = writer.dense('head.hidden', x, [head.hidden, head.features], folded.head.hiddenWeights, folded.head.hiddenBias);
    x = writer.activation('head.hidden', x, head.hiddenActivation);
  }
  if (head.classes > 0) writer.dense('head.classifier', x, [head.classes, embeddingSize(head)], folded.head.classifierWeights, folded.head.classifierBias, 'logits');
  return {
    name: network.name,
    opset: 17,
    producer: 'efficientnet-simd',
    nodes: writer.nodes,
    initializers: writer.initializers,
    inputs: [{ name: 'input', shape: ['batch', stem.in, options.height ?? 'height', options.width ?? 'width'] }],
    // Without a classifier the embedding.
    outputs: [head.classes > 0 ? { name: 'logits', shape: ['batch', head.classes] } : { name: x, shape: ['batch', embeddingSize(head)] }],
    metadata: options.metadata ?? {},
  };
}

/** Collects nodes and initialisers; every method returns the name of its result. */
class GraphWriter {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  readonly #network: Network;

  constructor(network: Network) {
    this.#network = network;
  }

  node(op: string, name: string, inputs: readonly string[], attributes: Readonly<Record<string, OnnxAttribute>> = {}, output = name): string {
    this.nodes.push({ op, name, inputs, output, attributes });
    return output;
  }

  convolution(
    name: string,
    input: string,
    shape: readonly [out: number, perGroup: number, height: number, width: number],
    weights: Float32Array,
    bias: Float32Array,
    stride = 1,
    groups = 1,
  ): string {
    const kernel = shape[2];
    const side = Math.floor(kernel / 2);
    const padding: Readonly<Record<string, OnnxAttribute>> =
      stride > 1 && kernel > 1 && this.#network.padding === 'same' ? { auto_pad: 'SAME_UPPER' } : { pads: [side, side, side, side] };
    const inputs = [input, this.#initializer(`${name}.weight`, shape, weights), this.#initializer(`${name}.bias`, [shape[0]], bias)];
    return this.node('Conv', name, inputs, {
      dilations: [1, 1], group: groups, kernel_shape: [kernel, kernel], strides: [stride, stride], ...padding,
    });
  }

  dense(name: string, input: string, shape: readonly [out: number, from: number], weights: Float32Array, bias: Float32Array, output = name): string {
    const inputs = [input, this.#initializer(`${name}.weight`, shape, weights), this.#initializer(`${name}.bias`, [shape[0]], bias)];
    return this.node('Gemm', name, inputs, { transB: 1 }, output);
  }

  mean(name: string, input: string): string {
    return this.node('GlobalAveragePool', `${name}.mean`, [input]);
  }

  activation(name: string, input: string, kind: Activation): string {
    const result = `${name}.${kind}`;
    switch (kind) {
      case 'none':
        return input;
      case 'swish':
        return this.node('Mul', result, [input, this.node('Sigmoid', `${name}.sigmoid`, [input])]);
      case 'sigmoid':
        return this.node('Sigmoid', result, [input]);
      case 'relu':
        return this.node('Relu', result, [input]);
      case 'relu6':
        return this.node('Clip', result, [input, this.#shared('zero', 0), this.#shared('six', 6)]);
      case 'hard-sigmoid':
        return this.node('HardSigmoid', result, [input], { alpha: { float: 1 / 6 }, beta: { float: 0.5 } });
      case 'hard-swish':
        return this.node('HardSwish', result, [input]);
    }
  }

  block(name: string, input: string, block: Block, weights: BlockWeights): string {
    if (block.kind === 'fused') return 'convWeights' in weights ? this.#fused(name, input, block, weights) : input;
    return 'convWeights' in weights ? input : this.#mbconv(name, input, block, weights);
  }

  #fused(name: string, input: string, block: FusedBlock, weights: FusedWeights): string {
    const { expanded, kernel, stride, activation } = block;
    let x = this.convolution(`${name}.conv`, input, [expanded, block.in, kernel, kernel], weights.convWeights, weights.convBias, stride);
    x = this.activation(`${name}.conv`, x, activation);
    if (block.hasProject) x = this.convolution(`${name}.project`, x, [block.out, expanded, 1, 1], weights.projectWeights, weights.projectBias);
    return block.residual ? this.node('Add', `${name}.sum`, [x, input]) : x;
  }

  #mbconv(name: string, input: string, block: MBConvBlock, weights: MBConvWeights): string {
    const { expanded, kernel, stride, squeeze, activation, squeezeActivation, gateActivation } = block;
    let x = input;
    if (block.hasExpand) {
      x = this.convolution(`${name}.expand`, x, [expanded, block.in, 1, 1], weights.expandWeights, weights.expandBias);
      x = this.activation(`${name}.expand`, x, activation);
    }
    x = this.convolution(`${name}.depthwise`, x, [expanded, 1, kernel, kernel], weights.depthwiseWeights, weights.depthwiseBias, stride, expanded);
    x = this.activation(`${name}.depthwise`, x, activation);
    if (squeeze > 0) {
      let gate = this.mean(name, x);
      gate = this.convolution(`${name}.reduce`, gate, [squeeze, expanded, 1, 1], weights.reduceWeights, weights.reduceBias);
      gate = this.activation(`${name}.reduce`, gate, squeezeActivation);
      gate = this.convolution(`${name}.excite`, gate, [expanded, squeeze, 1, 1], weights.exciteWeights, weights.exciteBias);
      x = this.node('Mul', `${name}.gated`, [x, this.activation(`${name}.excite`, gate, gateActivation)]);
    }
    x = this.convolution(`${name}.project`, x, [block.out, expanded, 1, 1], weights.projectWeights, weights.projectBias);
    return block.residual ? this.node('Add', `${name}.sum`, [x, input]) : x;
  }

  #initializer(name: string, shape: readonly number[], values: Float32Array): string {
    this.initializers.push({ name, shape, values });
    return name;
  }

  /** A scalar that several nodes use. */
  #shared(name: string, value: number): string {
    if (!this.initializers.some((one) => one.name === name)) this.#initializer(name, [], Float32Array.of(value));
    return name;
  }
}
