// SPDX-License-Identifier: Apache-2.0
// The options that describe a network by compound scaling, shared by the commands that take --phi.

import { paperCoefficients } from '../compound/constraint.js';
import { checkFormula, scaleBy, type Formula, type ScaledNetwork } from '../compound/scale.js';
import { UsageError, type Option, type Values } from './command.js';

export const formulaOptions: Readonly<Record<string, Option>> = {
  alpha: { value: 'X', help: `depth grows as alpha^phi (default ${paperCoefficients.alpha})` },
  beta: { value: 'X', help: `width grows as beta^phi (default ${paperCoefficients.beta})` },
  gamma: { value: 'X', help: `resolution grows as gamma^phi (default ${paperCoefficients.gamma})` },
  divisor: { value: 'N', help: 'channels are multiples of N (default 8)' },
  'depth-rounding': { value: 'NAME', help: 'layers to the nearest (default), or up in each stage as published' },
  'fixed-ends': { help: 'leave stem, last convolution, first and last stage as in the base, as Lite does' },
  strict: { help: 'coefficients whose alpha * beta^2 * gamma^2 is not about 2 are an error' },
};

/** The formula that the options describe, from this base. Its warnings are the caller's to show. */
export function readFormula(values: Values, base: string | undefined): Formula {
  return checkFormula({
    base,
    alpha: values.number('alpha'),
    beta: values.number('beta'),
    gamma: values.number('gamma'),
    divisor: values.count('divisor', 512),
    depthRounding: values.choice('depth-rounding', ['nearest', 'up']),
    fixedEnds: values.has('fixed-ends') ? true : undefined,
    strict: values.has('strict'),
  });
}

/** The network of --phi, if it is given; without it the other options of the formula mean nothing. */
export function readScaled(values: Values, base: string | undefined): ScaledNetwork | undefined {
  const phi = values.number('phi');
  if (phi !== undefined) return scaleBy(phi, readFormula(values, base));
  const stranger = Object.keys(formulaOptions).find((name) => values.has(name));
  if (stranger !== undefined) throw new UsageError(`--${stranger} needs --phi`);
  return undefined;
}

/** The options that say again what differs from the paper's formula. */
export function formulaArguments(values: Values): string {
  return Object.keys(formulaOptions)
    .filter((name) => values.has(name))
    .map((name) => [` --${name}`, values.text(name)].filter(Boolean).join(' '))
    .join('');
}
