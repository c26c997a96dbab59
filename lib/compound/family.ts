// SPDX-License-Identifier: Apache-2.0
// The published B0 to B8 and L2 beside the formula: at which phi the formula costs as much, and how
// far its depth, width and resolution are from the table's there.

import { architectures } from '../architectures.js';
import { describe } from '../describe.js';
import { buildNetwork } from '../network.js';
import { coefficients, type EfficientNetName } from '../scaling.js';
import { phiRange, scaleBy, type ScaledNetwork, type Scaling } from './scale.js';

export interface FamilyMember {
  readonly name: EfficientNetName;
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
export function familyBesideFormula(scaling: Scaling, names: readonly EfficientNetName[] = Object.keys(coefficients) as EfficientNetName[]): readonly FamilyMember[] {
  const range = phiRange(scaling);
  return names.map((name) => {
    const { width, depth, resolution } = architectures[name];
    const { parameters, macs } = describe(buildNetwork(name));
    return { name, width, depth, resolution, parameters, macs, formula: nearestByMacs(macs, scaling, range) };
  });
}

/** The formula's network whose MACs are nearest by ratio: costs jump, so there is rarely one of exactly as many. */
function nearestByMacs(macs: number, scaling: Scaling, range: { readonly min: number; readonly max: number }): ScaledNetwork {
  const below = scaleBy(phiOfMacs(macs, scaling, range), scaling);
  const above = scaleBy(Math.min(range.max, Number((below.phi + 0.001).toFixed(3))), scaling);
  const chosen = Math.abs(Math.log(above.macs / macs)) < Math.abs(Math.log(below.macs / macs)) ? above : below;
  return simplest(chosen, scaling);
}

/** The same network under the phi of the fewest decimals: a phi is something to type again. */
export function simplest(scaled: ScaledNetwork, scaling: Scaling): ScaledNetwork {
  for (const decimals of [0, 1, 2]) {
    for (const round of [Math.floor, Math.ceil]) {
      const phi = round(scaled.phi * 10 ** decimals) / 10 ** decimals;
      if (Math.abs(phi - scaled.phi) > 0.2) continue;
      const other = scaleBy(phi, scaling);
      if (sameShapes(other, scaled)) return other;
    }
  }
  return scaled;
}

function sameShapes(a: ScaledNetwork, b: ScaledNetwork): boolean {
  return a.resolution === b.resolution && a.blocks === b.blocks && a.parameters === b.parameters && a.macs === b.macs;
}

/** The largest phi, to three decimals, whose network needs at most so many MACs; the nearest end of the range beyond it. */
export function phiOfMacs(macs: number, scaling: Scaling, range = phiRange(scaling)): number {
  return largestPhi((scaled) => scaled.macs <= macs, scaling, range) ?? range.min;
}

/** The largest phi, to three decimals, that is accepted, where a smaller network is accepted too; undefined if none is. */
export function largestPhi(accepts: (scaled: ScaledNetwork) => boolean, scaling: Scaling, range = phiRange(scaling)): number | undefined {
  let [low, high] = [Math.round(range.min * 1000), Math.round(range.max * 1000)];
  const accepted = (thousandths: number): boolean => accepts(scaleBy(thousandths / 1000, scaling));
  if (!accepted(low)) return undefined;
  if (accepted(high)) return high / 1000;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (accepted(middle)) low = middle;
    else high = middle;
  }
  return low / 1000;
}
