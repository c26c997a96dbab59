// SPDX-License-Identifier: Apache-2.0
// The published B0 to B8 and L2 beside the formula: at which phi the formula costs as much, and how
// far its depth, width and resolution are from the table's there.

import { architectures } from '../architectures.js';
import { describe } from '../describe.js';
import { buildNetwork, type Network } from '../network.js';
import { coefficients, type EfficientNetName } from '../scaling.js';
import { largestPhi, simplest } from './phi.js';
import { phiRange, scaleBy, type Formula, type ScaledNetwork } from './scale.js';

export interface FamilyMember {
  readonly name: EfficientNetName;
  readonly network: Network;
  /** The table's multipliers. */
  readonly width: number;
  readonly depth: number;
  readonly resolution: number;
  readonly parameters: number;
  readonly macs: number;
  /** The formula's network of about the same MACs. */
  readonly formula: ScaledNetwork;
}

/** Every published member with the formula's network that costs about the same. */
export function familyBesideFormula(
  formula: Formula,
  names: readonly EfficientNetName[] = Object.keys(coefficients) as EfficientNetName[],
): readonly FamilyMember[] {
  const range = phiRange(formula);
  return names.map((name) => {
    const { width, depth, resolution } = architectures[name];
    const network = buildNetwork(name);
    const { parameters, macs } = describe(network);
    return { name, network, width, depth, resolution, parameters, macs, formula: nearestByMacs(macs, formula, range) };
  });
}

/** The formula's network whose MACs are nearest by ratio: costs jump, so there is rarely one of exactly as many. */
export function nearestByMacs(
  macs: number,
  formula: Formula,
  range: { readonly min: number; readonly max: number },
): ScaledNetwork {
  const below = scaleBy(phiOfMacs(macs, formula, range), formula);
  const above = scaleBy(Math.min(range.max, Number((below.phi + 0.001).toFixed(3))), formula);
  const chosen = Math.abs(Math.log(above.macs / macs)) < Math.abs(Math.log(below.macs / macs)) ? above : below;
  return simplest(chosen, formula);
}

/** The largest phi, to three decimals, whose network needs at most so many MACs; the nearest end of the range beyond it. */
export function phiOfMacs(macs: number, formula: Formula, range = phiRange(formula)): number {
  return largestPhi((scaled) => scaled.macs <= macs, formula, range) ?? range.min;
}
