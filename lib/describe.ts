// SPDX-License-Identifier: Apache-2.0
// What a network costs and what its layers see: for each layer its shapes at a given input size, its
// stride and receptive field, its parameters, multiply-accumulates and the bytes of its output.
// Arithmetic on the definition only; nothing is measured.

import { checkInteger, invalidArgument, isRevoked } from './check.js';
import { embeddingSize, type Network } from './network.js';

/** Channels, height, width. */
export type FeatureShape = readonly [channels: number, height: number, width: number];

export interface LayerDescription {
  /** As in our own checkpoints: `stem`, `blocks.3.depthwise`, `head.classifier`. */
  readonly name: string;
  readonly input: FeatureShape;
  readonly output: FeatureShape;
  /** Rows and columns of the input from one output to the next; 1 for dense layers. */
  readonly stride: number;
  /**
   * Height and width, in pixels of the image, of what one output depends on through the convolutions;
   * null for the layers behind a mean, which see the whole image. Borders do not make it smaller, and
   * the gates of the excite layers do not make it larger. By the recurrence of Araujo, Norris and Sim
   * (distill.pub, 2019, doi 10.23915/distill.00021): a kernel adds (kernel - 1) times all strides before it.
   */
  readonly receptiveField: number | null;
  /** As published counts do it: weights, biases, and scale and shift of a batch norm; no statistics. */
  readonly parameters: number;
  /** Multiply-accumulates of one image; pooling, activations and additions count nothing. */
  readonly macs: number;
  /** Of the output of one image, as float32. */
  readonly activationBytes: number;
}

export interface NetworkDescription {
  readonly name: string;
  readonly parameters: number;
  readonly macs: number;
  /** Of all outputs together: what a pass writes where no layer is fused with the next. Here most are. */
  readonly activationBytes: number;
  /** Of the last map, in pixels of the image; it may be larger than the image. */
  readonly receptiveField: number;
  /** The input size that the shapes and MACs are for. */
  readonly height: number;
  readonly width: number;
  readonly layers: readonly LayerDescription[];
}

const FLOAT_BYTES = 4;

/**
 * Shapes, strides, receptive fields, parameters, MACs and bytes of the activations per layer and in
 * total, for one image of the given height and width in pixels, 1 to 65,536 (the network's resolution
 * unless given; width follows height). Throws ERR_INVALID_ARGUMENT.
 *
 * @example describe(buildNetwork('b0')).parameters // 5288548
 */
export function describe(network: Network, height?: number, width?: number): NetworkDescription {
  checkParts(network);
  const rows = checkInteger('height', height ?? network.resolution, 1, 65_536);
  const columns = checkInteger('width', width ?? rows, 1, 65_536);
  const layers: LayerDescription[] = [];
  let shape: FeatureShape = [network.stem.in, rows, columns];
  /** Of one value of the current map, and the pixels of the image from it to the next. */
  let [field, step] = [1, 1];

  // Both paddings give ceil(n / stride) for odd kernels.
  const convolution = (name: string, out: number, kernel: number, stride: number, groups: number): void => {
    const [channels, h, w] = shape;
    const output: FeatureShape = [out, Math.ceil(h / stride), Math.ceil(w / stride)];
    const weights = out * (channels / groups) * kernel * kernel;
    field += (kernel - 1) * step;
    step *= stride;
    const places = output[1] * output[2];
    const [parameters, macs] = [weights + 2 * out, weights * places];
    // Not spread from parts: a budget's search describes networks of thousands of layers, and that took most of its time.
    layers.push({ name, input: shape, output, stride, receptiveField: field, parameters, macs, activationBytes: FLOAT_BYTES * out * places });
    shape = output;
  };
  const dense = (name: string, from: number, to: number, biases = to): void => {
    const parameters = from * to + biases;
    layers.push({ name, input: [from, 1, 1], output: [to, 1, 1], stride: 1, receptiveField: null, parameters, macs: from * to, activationBytes: FLOAT_BYTES * to });
  };

  convolution('stem', network.stem.out, network.stem.kernel, network.stem.stride, 1);
  network.blocks.forEach((block, position) => {
    const prefix = `blocks.${position}`;
    if (block.kind === 'fused') {
      convolution(`${prefix}.conv`, block.expanded, block.kernel, block.stride, 1);
      if (block.hasProject) convolution(`${prefix}.project`, block.out, 1, 1, 1);
      return;
    }
    if (block.hasExpand) convolution(`${prefix}.expand`, block.expanded, 1, 1, 1);
    convolution(`${prefix}.depthwise`, block.expanded, block.kernel, block.stride, block.expanded);
    if (block.squeeze > 0) {
      dense(`${prefix}.reduce`, block.expanded, block.squeeze);
      dense(`${prefix}.excite`, block.squeeze, block.expanded);
    }
    convolution(`${prefix}.project`, block.out, 1, 1, 1);
  });
  convolution('head.conv', network.head.features, 1, 1, 1);
  const { features, hidden, hiddenBias } = network.head;
  if (hidden > 0) dense('head.hidden', features, hidden, hiddenBias === false ? 0 : hidden);
  if (network.head.classes > 0) dense('head.classifier', embeddingSize(network.head), network.head.classes);

  const total = (what: 'parameters' | 'macs' | 'activationBytes'): number => layers.reduce((sum, layer) => sum + layer[what], 0);
  return {
    name: network.name,
    parameters: total('parameters'),
    macs: total('macs'),
    activationBytes: total('activationBytes'),
    receptiveField: field,
    height: rows,
    width: columns,
    layers,
  };
}

/** What is there to be read; the numbers in it are the caller's. */
function checkParts(network: Network): void {
  const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !isRevoked(value);
  if (!isObject(network) || isRevoked(network.blocks) || !Array.isArray(network.blocks)) throw invalidArgument('network', 'a network as buildNetwork makes it', network);
  if (!isObject(network.stem)) throw invalidArgument('network.stem', 'an object', network.stem);
  // Not forEach, which passes over holes.
  for (const [position, block] of network.blocks.entries())
    if (!isObject(block)) throw invalidArgument(`network.blocks[${position}]`, 'an object', block);
  if (!isObject(network.head)) throw invalidArgument('network.head', 'an object', network.head);
}
