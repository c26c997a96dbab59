// SPDX-License-Identifier: Apache-2.0
// The points of a search: every combination of the values for alpha, beta and gamma.

import { checkFinite, checkOptions, invalidArgument } from '../check.js';
import { EfficientNetError } from '../errors.js';
import { checkCoefficients, type CompoundCoefficients } from './constraint.js';

/** Values of one coefficient: a list, or a range from `min` to `max` in steps. */
export type GridAxis =
  | readonly number[]
  | { readonly min?: number | undefined; readonly max?: number | undefined; readonly step?: number | undefined };

export interface Grid {
  readonly alpha?: GridAxis | undefined;
  readonly beta?: GridAxis | undefined;
  readonly gamma?: GridAxis | undefined;
  /** Of every axis that gives none; 0.05 unless given. The paper does not say what it used. */
  readonly step?: number | undefined;
}

/** More than anybody evaluates; a step that is too small by mistake should not fill the memory. */
const MOST_POINTS = 1_000_000;

/** All combinations, alpha slowest; throws ERR_INVALID_ARGUMENT for an empty or too large grid. */
export function gridPoints(grid: Grid | undefined): readonly CompoundCoefficients[] {
  const given = checkOptions<Grid>('the grid', grid, ['alpha', 'beta', 'gamma', 'step']);
  const step = checkFinite('grid.step', given.step ?? 0.05, 1e-6, 10);
  const [alphas, betas, gammas] = (['alpha', 'beta', 'gamma'] as const).map((name) =>
    axisValues(`grid.${name}`, given[name], step),
  );
  if (alphas === undefined || betas === undefined || gammas === undefined) return [];
  const count = alphas.length * betas.length * gammas.length;
  if (count > MOST_POINTS) {
    throw new EfficientNetError(
      'ERR_INVALID_ARGUMENT',
      `Expected a grid of at most ${MOST_POINTS} points but received ${count}: use larger steps or shorter ranges`,
    );
  }
  return alphas.flatMap((alpha) => betas.flatMap((beta) => gammas.map((gamma) => checkCoefficients({ alpha, beta, gamma }))));
}

function axisValues(name: string, axis: GridAxis | undefined, step: number): readonly number[] {
  if (Array.isArray(axis)) {
    if (axis.length === 0) throw invalidArgument(name, 'at least one value', axis);
    return [...new Set(Array.from(axis as readonly unknown[], (value, i) => checkFinite(`${name}[${i}]`, value, 0.1, 10)))];
  }
  const range = checkOptions<{ min: number; max: number; step: number }>(name, axis as object | undefined, [
    'min',
    'max',
    'step',
  ]);
  const min = checkFinite(`${name}.min`, range.min ?? 1, 0.1, 10);
  const max = checkFinite(`${name}.max`, range.max ?? 2, min, 10);
  const by = checkFinite(`${name}.step`, range.step ?? step, 1e-6, 10);
  const count = Math.floor((max - min) / by + 1e-9) + 1;
  if (count > MOST_POINTS) throw invalidArgument(name, `at most ${MOST_POINTS} values`, count);
  // Twelve digits: 1 + 3 * 0.05 is to be 1.15.
  return Array.from({ length: count }, (_, i) => Number((min + i * by).toPrecision(12)));
}
