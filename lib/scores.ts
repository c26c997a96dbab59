// SPDX-License-Identifier: Apache-2.0
// From logits to labelled scores: softmax over all classes in double precision, and the best few.

import { EfficientNetError } from './errors.js';

export interface Prediction {
  /** The class's name; `class N` where a network's classes have no names. */
  readonly label: string;
  /** The class, from 0. */
  readonly index: number;
  /** Softmax over all classes, 0 to 1. */
  readonly score: number;
}

/**
 * The `top` best classes, best first; among equals the lower index comes first. Throws
 * ERR_INVALID_CHECKPOINT for logits that are not finite: pixels are, so the weights are to blame.
 */
export function bestOf(logits: Float32Array, top: number, labels: readonly string[] | undefined): Prediction[] {
  let largest = -Infinity;
  logits.forEach((logit, index) => {
    if (!Number.isFinite(logit)) {
      throw new EfficientNetError(
        'ERR_INVALID_CHECKPOINT',
        `Expected finite scores but class ${index} got ${logit}: the weights hold values too large for ` +
          'float32 arithmetic, or they were folded with a wrong batch-norm epsilon. Check where the file comes from',
      );
    }
    largest = Math.max(largest, logit);
  });
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  return bestIndices(logits, top).map((index) => ({
    label: labels?.[index] ?? `class ${index}`,
    index,
    score: Math.exp((logits[index] ?? -Infinity) - largest) / sum,
  }));
}

// One pass with a short sorted list: `top` is small against the number of classes.
function bestIndices(logits: Float32Array, top: number): number[] {
  const best: number[] = [];
  const value = (index: number): number => logits[index] ?? -Infinity;
  for (let index = 0; index < logits.length; index++) {
    const last = best[best.length - 1];
    if (best.length === top && last !== undefined && value(index) <= value(last)) continue;
    if (best.length === top) best.pop();
    let at = best.length;
    while (at > 0 && value(best[at - 1] ?? 0) < value(index)) at--;
    best.splice(at, 0, index);
  }
  return best;
}
