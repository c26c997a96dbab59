// SPDX-License-Identifier: Apache-2.0
// What a network costs: for each layer its shapes at a given input size, its parameters and its
// multiply-accumulates. Arithmetic on the definition only; nothing is measured.

import { checkInteger, invalidArgument } from './check.js';
import { embeddingSize, type Network } from './network.js';

/** Channels, height, width. */
export type FeatureShape = readonly [channels: number, height: number, width: number];

export interface LayerDescription {
  /** As in our own checkpoints: `stem`, `blocks.3.depthwise`, `head.classifier`. */
  readonly name: string;
  readonly input: FeatureShape;
  readonly output: FeatureShape;
  /** As published counts do it: weights, biases, and scale and shift of a batch norm; no statistics. */
  readonly parameters: number;
  /** Multiply-accumulates of one image; pooling, activations and additions count nothing. */
  readonly macs: number;
}

export interface NetworkDescription {
  readonly name: string;
  readonly parameters: number;
  readonly macs: number;
  /** The input size that the shapes and MACs are for. */
  readonly height: number;
  readonly width: number;
  readonly layers: readonly LayerDescription[];
}

/**
 * Shapes, parameters and MACs per layer and in total, for one image of the given height and width
 * in pixels (the network's resolution unless given; width follows height).
 *
 * @example describe(buildNetwork('b0')).parameters // 5288548
 */
export function describe(network: Network, height?: number, width?: number): NetworkDescription {
  if (typeof network !== 'object' || network === null || !Array.isArray(network.blocks)) {
    throw invalidArgument('network', 'a network as buildNetwork makes it', network);
  }
  const rows = checkInteger('height', height ?? network.resolution, 1, 65_536);
  const columns = checkInteger('width', width ?? rows, 1, 65_536);
  const layers: LayerDescription[] = [];
  let shape: FeatureShape = [network.stem.in, rows, columns];

  // Both paddings give ceil(n / stride) for odd kernels.
  const convolution = (name: string, out: number, kernel: number, stride: number, groups: number): void => {
    const [channels, h, w] = shape;
    const output: FeatureShape = [out, Math.ceil(h / stride), Math.ceil(w / stride)];
    const weights = out * (channels / groups) * kernel * kernel;
    layers.push({ name, input: shape, output, parameters: weights + 2 * out, macs: weights * output[1] * output[2] });
    shape = output;
  };
  const dense = (name: string, from: number, to: number): void => {
    layers.push({ name, input: [from, 1, 1], output: [to, 1, 1], parameters: from * to + to, macs: from * to });
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
  if (network.head.hidden > 0) dense('head.hidden', network.head.features, network.head.hidden);
  dense('head.classifier', embeddingSize(network.head), network.head.classes);

  return {
    name: network.name,
    parameters: layers.reduce((sum, layer) => sum + layer.parameters, 0),
    macs: layers.reduce((sum, layer) => sum + layer.macs, 0),
    height: rows,
    width: columns,
    layers,
  };
}
