// SPDX-License-Identifier: Apache-2.0
// What a file says of its images by its own layers or operations, whatever its format: their size, and the
// normalisation that it does itself, which here becomes part of the recipe. Nothing of resizing and
// cropping is in a file.

import { EfficientNetError } from './errors.js';
import type { ChannelMap, CheckpointInput } from './formats/tensor.js';
import type { Recipe, Rgb } from './recipe.js';

const kMaxSide = 4096;

/**
 * The parts of a recipe that the file knows; one that normalises nothing leaves mean and deviation to its
 * source. Throws ERR_UNSUPPORTED for arithmetic that is no normalisation.
 */
export function recipeOfInput(input: CheckpointInput | undefined): Partial<Pick<Recipe, 'height' | 'width' | 'mean' | 'std'>> {
  const { height, width, map } = input ?? {};
  const size = height !== undefined && width !== undefined && height <= kMaxSide && width <= kMaxSide ? { height, width } : {};
  return { ...size, ...(map === undefined ? {} : normalisation(map)) };
}

/** scale * x + shift of a pixel x of 0 to 255 is (x / 255 - mean) / std. */
function normalisation({ scale, shift }: ChannelMap): Pick<Recipe, 'mean' | 'std'> {
  const std = rgb((i) => 1 / (255 * scale[i]));
  const mean = rgb((i) => -shift[i] / (255 * scale[i]));
  if (![...std, ...mean].every(Number.isFinite)) {
    throw new EfficientNetError('ERR_UNSUPPORTED', `The network multiplies its image by ${scale.join(' ')}, which is no normalisation`);
  }
  return { mean, std };
}

/** Float32 numbers as their authors wrote them: 0.485 and not 0.48500001. */
function rgb(value: (channel: 0 | 1 | 2) => number): Rgb {
  const rounded = (number: number): number => Number(number.toPrecision(7));
  return [rounded(value(0)), rounded(value(1)), rounded(value(2))];
}
