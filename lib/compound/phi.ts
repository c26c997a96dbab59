// SPDX-License-Identifier: Apache-2.0
// Finding a phi: the largest that meets a condition, and the shortest to type for a network.

import { phiRange, scaleBy, type Formula, type ScaledNetwork } from './scale.js';

/** The largest phi, to three decimals, that is accepted, where a smaller network is accepted too; undefined if none is. */
export function largestPhi(
  accepts: (scaled: ScaledNetwork) => boolean,
  formula: Formula,
  range = phiRange(formula),
): number | undefined {
  let [low, high] = [Math.round(range.min * 1000), Math.round(range.max * 1000)];
  const accepted = (thousandths: number): boolean => accepts(scaleBy(thousandths / 1000, formula));
  if (!accepted(low)) return undefined;
  if (accepted(high)) return high / 1000;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (accepted(middle)) low = middle;
    else high = middle;
  }
  return low / 1000;
}

/** The same network under the phi of the fewest decimals: a phi is something to type again. */
export function simplest(scaled: ScaledNetwork, formula: Formula): ScaledNetwork {
  for (const decimals of [0, 1, 2]) {
    // Towards zero, where the limits are not.
    const phi = Math.trunc(scaled.phi * 10 ** decimals) / 10 ** decimals;
    const other = scaleBy(phi, formula);
    if (sameShapes(other, scaled)) return other;
  }
  return scaled;
}

/** Whether two phi lead to one network: channels and layers are whole numbers. */
export function sameShapes(a: ScaledNetwork, b: ScaledNetwork): boolean {
  return a.resolution === b.resolution && a.blocks === b.blocks && a.parameters === b.parameters && a.macs === b.macs;
}
