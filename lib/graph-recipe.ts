// SPDX-License-Identifier: Apache-2.0
// What a graph says of its images: their size, and the normalisation that it does itself, which here
// becomes part of the recipe. Nothing of resizing and cropping is in a graph.

import { EfficientNetError } from './errors.js';
import type { CheckpointNetwork } from './formats/tensor.js';
import type { Recipe, Rgb } from './recipe.js';

const kMaxSide = 4096;

/**
 * `base` with what the graph knows in its place. A graph that normalises nothing leaves mean and
 * deviation to `base`. Throws ERR_UNSUPPORTED for arithmetic that is no normalisation.
 */
export function recipeOfGraph(graph: CheckpointNetwork | undefined, base: Recipe): Recipe {
  if (graph === undefined) return base;
  const { height, width } = graph;
  const size = height !== undefined && width !== undefined && height <= kMaxSide && width <= kMaxSide ? { height, width } : {};
  return { ...base, ...size, ...normalisation(graph) };
}

/** The graph computes scale * x + shift; a recipe says (x / 255 - mean) / std. */
function normalisation({ inputScale, inputShift }: CheckpointNetwork): Partial<Pick<Recipe, 'mean' | 'std'>> {
  if (inputScale.every((scale) => scale === 1) && inputShift.every((shift) => shift === 0)) return {};
  // Deviations are 0.2 to 1 of white: that tells whether the graph takes white as 255 or as 1.
  const white = Math.max(...inputScale.map(Math.abs)) < 0.1 ? 255 : 1;
  const std = rgb((i) => 1 / (white * inputScale[i]));
  const mean = rgb((i) => (-inputShift[i] / (white * inputScale[i])));
  if (![...std, ...mean].every(Number.isFinite)) {
    throw new EfficientNetError('ERR_UNSUPPORTED', `The graph multiplies its image by ${inputScale.join(' ')}, which is no normalisation`);
  }
  return { mean, std };
}

/** Float32 numbers as their authors wrote them: 0.485 and not 0.48500001. */
function rgb(value: (channel: 0 | 1 | 2) => number): Rgb {
  const rounded = (number: number): number => Number(number.toPrecision(7));
  return [rounded(value(0)), rounded(value(1)), rounded(value(2))];
}
