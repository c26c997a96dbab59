// SPDX-License-Identifier: Apache-2.0
// The condition that the paper puts on the three coefficients (arXiv 1905.11946, equation 3):
// alpha * beta^2 * gamma^2 about 2, each at least 1, so that one step of phi doubles the work.

import { checkFinite } from '../check.js';
import { EfficientNetError } from '../errors.js';

export interface CompoundCoefficients {
  /** Depth grows as alpha^phi. */
  readonly alpha: number;
  /** Width grows as beta^phi. */
  readonly beta: number;
  /** Resolution grows as gamma^phi. */
  readonly gamma: number;
}

/** What the paper's grid search found on B0. */
export const paperCoefficients: CompoundCoefficients = { alpha: 1.2, beta: 1.1, gamma: 1.15 };

export interface Constraint {
  /** What alpha * beta^2 * gamma^2 should be; 2 unless given. */
  readonly target?: number | undefined;
  /** How far from it still counts; 0.1 unless given, so that the paper's own 1.920 passes. */
  readonly tolerance?: number | undefined;
}

export const defaultConstraint = { target: 2, tolerance: 0.1 } as const;

/** alpha * beta^2 * gamma^2: by how much one step of phi multiplies the work, before rounding. */
export function constraintProduct({ alpha, beta, gamma }: CompoundCoefficients): number {
  return alpha * beta ** 2 * gamma ** 2;
}

/** Coefficients between 0.1 and 10; throws ERR_INVALID_ARGUMENT that names the one. */
export function checkCoefficients({ alpha, beta, gamma }: CompoundCoefficients): CompoundCoefficients {
  return {
    alpha: checkFinite('alpha', alpha, 0.1, 10),
    beta: checkFinite('beta', beta, 0.1, 10),
    gamma: checkFinite('gamma', gamma, 0.1, 10),
  };
}

/** What is wrong with the coefficients, with their product; empty if the condition holds. */
export function constraintWarnings(coefficients: CompoundCoefficients, constraint: Constraint = {}): readonly string[] {
  const { target = defaultConstraint.target, tolerance = defaultConstraint.tolerance } = constraint;
  const warnings: string[] = [];
  const small = (['alpha', 'beta', 'gamma'] as const).filter((name) => coefficients[name] < 1);
  if (small.length > 0) {
    const named = small.map((name) => `${name} is ${coefficients[name]}`).join(', ');
    warnings.push(`Expected each coefficient to be at least 1, but ${named}: that dimension shrinks while phi grows`);
  }
  const product = constraintProduct(coefficients);
  // The comparison forgives the last digits: 1.1 is not exactly 1 + 0.1.
  if (Math.abs(product - target) > tolerance * (1 + 1e-9)) {
    warnings.push(
      `Expected alpha * beta^2 * gamma^2 to be ${target} within ${tolerance}, but it is ${product.toFixed(3)}: ` +
        `one step of phi multiplies the work by that, not by ${target}`,
    );
  }
  return warnings;
}

/** The warnings, or, where the caller is strict, ERR_INVALID_ARGUMENT with the first of them. */
export function checkConstraint(coefficients: CompoundCoefficients, constraint: Constraint, strict: boolean): readonly string[] {
  const warnings = constraintWarnings(coefficients, constraint);
  if (strict && warnings[0] !== undefined) throw new EfficientNetError('ERR_INVALID_ARGUMENT', warnings[0]);
  return warnings;
}
