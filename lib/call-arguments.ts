// SPDX-License-Identifier: Apache-2.0
// The options of a model's calls and what they return, and the checks that several of them share: tensors
// and their shapes, outputs, signals, images of synchronous calls.

import { types } from 'node:util';

import type { NativeMap } from './binding.js';
import { checkInteger, checkOneOf, invalidArgument } from './check.js';
import { EfficientNetError } from './errors.js';
import { rawPixels, type DecodedImage } from './image.js';
import type { Prediction } from './scores.js';

/** How the numbers of a tensor lie. */
export interface TensorOptions {
  /** Order of the input's numbers: 'nhwc' (the default) or 'nchw'. */
  readonly layout?: 'nhwc' | 'nchw' | undefined;
  /** Of every image in pixels, 1 to 4096; the model's resolution unless given. */
  readonly height?: number | undefined;
  readonly width?: number | undefined;
}

export interface ClassifyOptions {
  /** How many classes to return, best first: 1 to the number of classes; 5 unless given. */
  readonly top?: number | undefined;
  /** Stops the call within one block of the network. */
  readonly signal?: AbortSignal | undefined;
  /** Return a Classification, which says how long each part took. */
  readonly timings?: boolean | undefined;
}

export interface Classification {
  readonly predictions: Prediction[];
  readonly milliseconds: { readonly decode: number; readonly prepare: number; readonly infer: number };
}

export interface RunOptions extends TensorOptions {
  /** Receives the result when the call has succeeded; exactly images x classes numbers. */
  readonly output?: Float32Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface EmbedOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Layout, height and width are those of a tensor; an image is prepared as for classify(). */
export interface FeaturesOptions extends TensorOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What the network's last layer of one stride puts out. */
export interface FeatureMap {
  /** Pixels of the input to one of the map, in each direction: 2, 4, 8, 16 or 32. */
  readonly stride: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** height x width x channels numbers, the channels of a pixel beside each other. */
  readonly data: Float32Array;
}

export interface TensorShape {
  readonly layout: 'nhwc' | 'nchw';
  readonly height: number;
  readonly width: number;
}

const kMaxSide = 4096;

export function checkTensorShape(given: TensorOptions, resolution: number): TensorShape {
  return {
    height: given.height === undefined ? resolution : checkInteger('height', given.height, 1, kMaxSide),
    width: given.width === undefined ? resolution : checkInteger('width', given.width, 1, kMaxSide),
    layout: given.layout === undefined ? 'nhwc' : checkOneOf('layout', given.layout, ['nhwc', 'nchw']),
  };
}

export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal;
  throw invalidArgument('signal', 'an AbortSignal', signal);
}

export function checkSyncImage(image: unknown): DecodedImage {
  const pixels = rawPixels(image);
  if (pixels !== undefined) return pixels;
  throw invalidArgument('image', 'raw pixels { data, width, height, channels } (only classify, embed and features decode files, none of their Sync forms)', image);
}

/** The number of images in a tensor. */
export function checkTensor(input: unknown, { height, width }: TensorShape): number {
  // By internal slots: what merely inherits from Float32Array holds no numbers, and arrays of other realms do.
  if (!types.isFloat32Array(input)) throw invalidArgument('input', 'a Float32Array', input);
  const one = height * width * 3;
  const images = input.length / one;
  if (images >= 1 && Number.isInteger(images)) return images;
  throw new EfficientNetError(
    'ERR_INVALID_ARGUMENT',
    `Expected ${one} numbers for input (${height} x ${width} x 3), or a multiple of it for several images, ` +
      `but received ${input.length}: give height and width if they are not the model's`,
  );
}

/** That a tensor is one image; `why` says what the call does with it. */
export function checkOneTensor(input: Float32Array, { height, width }: TensorShape, why: string): void {
  const one = height * width * 3;
  if (input.length === one) return;
  throw new EfficientNetError(
    'ERR_INVALID_ARGUMENT',
    `Expected ${one} numbers in the tensor to ${why} (one image of ${height} x ${width} x 3) but received ${input.length}`,
  );
}

export function checkOutput(output: unknown, images: number, classes: number): Float32Array {
  const length = images * classes;
  if (output === undefined) return new Float32Array(length);
  const expected = `a Float32Array of ${length} numbers (${images} x ${classes})`;
  if (!types.isFloat32Array(output)) throw invalidArgument('output', expected, output);
  if (output.length === length) return output;
  throw new EfficientNetError('ERR_INVALID_ARGUMENT', `Expected ${expected} for output but received one of ${output.length} numbers`);
}

/** Numbers of all maps together. */
export function sizeOf(maps: readonly NativeMap[]): number {
  return maps.reduce((sum, { channels, height, width }) => sum + channels * height * width, 0);
}

/** The maps with their numbers, which follow each other in `numbers`. */
export function mapsOf(maps: readonly NativeMap[], numbers: Float32Array): FeatureMap[] {
  let at = 0;
  return maps.map((map) => ({ ...map, data: numbers.slice(at, (at += sizeOf([map]))) }));
}
