// SPDX-License-Identifier: Apache-2.0
// What an evaluation of a search gives, and what it is worth.

import { checkFinite, checkOptions, invalidArgument } from '../check.js';
import { EfficientNetError } from '../errors.js';
import type { Goal } from './pareto.js';
import type { ScaledNetwork } from './scale.js';

/** What an evaluation gives: one number, or several by name, `{ accuracy: 77.1, milliseconds: 4.2 }`. */
export type Evaluation = number | Readonly<Record<string, number>>;

/**
 * The goal of the paper's search for B0 (arXiv 1905.11946, section 4): accuracy * (work / target)^w, where `work` is the MACs (the
 * paper writes FLOPS) of one image, the target is 400 million and w is -0.07: a network of twice the work may cost
 * 5 % of the accuracy. Accuracy in any unit, which the result keeps; work and target in the same one,
 * above 0.
 *
 * @example searchObjective(77.1, 390e6) // 77.24
 */
export function searchObjective(
  accuracy: number,
  work: number,
  options?: { readonly w?: number | undefined; readonly target?: number | undefined },
): number {
  const { w = -0.07, target = 400e6 } = checkOptions<{ w: number; target: number }>('the objective options', options, [
    'w',
    'target',
  ]);
  checkFinite('accuracy', accuracy);
  checkFinite('w', w);
  if (!(checkFinite('work', work) > 0)) throw invalidArgument('work', 'a number above 0', work);
  if (!(checkFinite('target', target) > 0)) throw invalidArgument('target', 'a number above 0', target);
  return accuracy * (work / target) ** w;
}

/** Finite numbers by name, or an error that says what was found instead. */
export function readEvaluation(evaluation: Evaluation): Readonly<Record<string, number>> {
  const values = typeof evaluation === 'object' && evaluation !== null ? { ...evaluation } : { score: evaluation };
  if (Object.keys(values).length === 0)
    throw invalidArgument('the result of evaluate', 'a number, or numbers by name', evaluation);
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw invalidArgument(`the result of evaluate${name === 'score' ? '' : `, ${name}`}`, 'a finite number', value);
  }
  return values;
}

/** The number by which the points are ranked where the caller gives no function for it. */
export function defaultScore(
  values: Readonly<Record<string, number>>,
  { macs }: ScaledNetwork,
  goalOf: (name: string) => Goal,
): number {
  const { score, accuracy } = values;
  const [only, ...more] = Object.entries(values);
  if (score !== undefined) return goalOf('score') === 'maximize' ? score : -score;
  if (accuracy !== undefined) return searchObjective(accuracy, macs);
  if (only !== undefined && more.length === 0) return goalOf(only[0]) === 'maximize' ? only[1] : -only[1];
  throw new EfficientNetError(
    'ERR_INVALID_ARGUMENT',
    `Expected evaluate to give "accuracy" or "score", or the option "score" to rank ${Object.keys(values).join(', ')}`,
  );
}
