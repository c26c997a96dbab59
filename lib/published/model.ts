// SPDX-License-Identifier: Apache-2.0
// What a library publishes under a model's name: the architecture, how it must run, and for each set of
// weights how images are prepared. Types only; the tables are beside this file.

import type { ArchitectureName } from '../architectures.js';

/**
 * Mean and deviation: ImageNet's; 0.5 and 0.5; 0 and 1 ('unit'); or, of TensorFlow's networks,
 * (byte - 128) / 128 and (byte - 127) / 128.
 */
export type Normalisation = 'imagenet' | 'half' | 'unit' | 'bytes-128' | 'bytes-127';

export interface PublishedRecipe {
  /** Height and width of the input in pixels. */
  readonly size: number;
  /** Share of the resized image that the centre crop keeps. */
  readonly cropFraction: number;
  /** Both sides are resized to the input's, the aspect lost. */
  readonly squash?: true;
  /** Pillow's bicubic unless given. */
  readonly filter?: 'bilinear';
  readonly normalisation: Normalisation;
  /** 1000 unless given. */
  readonly classes?: number;
  /** Its size is another architecture's. */
  readonly architecture?: ArchitectureName;
}

export interface PublishedModel {
  readonly architecture: ArchitectureName;
  /** TensorFlow's padding and an epsilon of 1e-3 in place of PyTorch's. */
  readonly tensorflow?: true;
  /** Where it is neither 1e-5 nor TensorFlow's. */
  readonly batchNormEpsilon?: number;
  /** Channels were removed after training: the checkpoint's shapes count. */
  readonly pruned?: true;
  /** A definition without published weights. */
  readonly untrained?: true;
  /** By the name of the weights (timm's tag); the first is the default. */
  readonly weights: Readonly<Record<string, PublishedRecipe>>;
}

export type PublishedModels = Readonly<Record<string, PublishedModel>>;

/** The crop fraction that makes floor(size / fraction) exactly `resized`. */
export function fractionOf(size: number, resized: number): number {
  const fraction = size / resized;
  // The division may have been rounded up, and the floor would then lose a pixel; one step down of a
  // number below 1 is enough.
  return Math.floor(size / fraction) === resized ? fraction : fraction - 2 ** -53;
}

export function imageNet(size: number, cropFraction: number, more: Partial<PublishedRecipe> = {}): PublishedRecipe {
  return { size, cropFraction, normalisation: 'imagenet', ...more };
}

export function half(size: number, cropFraction: number, more: Partial<PublishedRecipe> = {}): PublishedRecipe {
  return { size, cropFraction, normalisation: 'half', ...more };
}

export function unit(size: number, cropFraction: number, more: Partial<PublishedRecipe> = {}): PublishedRecipe {
  return { size, cropFraction, normalisation: 'unit', ...more };
}
