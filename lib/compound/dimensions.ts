// SPDX-License-Identifier: Apache-2.0
// The paper's central comparison: the same base made larger in one dimension or in all three, each
// network of as many MACs as the others. Builds them; measuring is the caller's.

import { EfficientNetError } from '../errors.js';
import { nearestByMacs } from './family.js';
import { publishedB0, type Dimension, type PublishedScaling } from './published.js';
import { phiRange, scaleBy, type Formula, type ScaledNetwork } from './scale.js';

export interface DimensionNetwork {
  /** Undefined for the base. */
  readonly dimension: Dimension | undefined;
  readonly scaled: ScaledNetwork;
  /** What the paper found for B0 scaled so; its networks are not ours, whose MACs are equal. */
  readonly published: PublishedScaling | undefined;
}

/** The MACs at which the paper compares (Table 7). */
export const paperTarget = 1.8e9;

/**
 * The base, and for each dimension the network whose MACs are nearest to `macs`: for 'compound' by the
 * formula, for the others with the two other dimensions held. Throws ERR_INVALID_ARGUMENT if the base
 * itself needs more.
 */
export function dimensionNetworks(formula: Formula, which: readonly Dimension[], macs: number): readonly DimensionNetwork[] {
  const base = scaleBy(0, formula);
  if (!(macs > base.macs)) {
    throw new EfficientNetError(
      'ERR_INVALID_ARGUMENT',
      `Expected more MACs than the ${base.macs.toLocaleString('en-US')} of ${base.network.name}, which is to be made larger, ` +
        `but received ${Math.round(macs).toLocaleString('en-US')}`,
    );
  }
  const published = (dimension: Dimension | undefined): PublishedScaling | undefined =>
    formula.base.name === 'b0' ? publishedB0.find((one) => one.dimension === dimension) : undefined;
  return [
    { dimension: undefined, scaled: base, published: published(undefined) },
    ...which.map((dimension) => {
      const along = alone(formula, dimension);
      const scaled = nearestByMacs(macs, along, phiRange(along));
      return {
        dimension,
        scaled: { ...scaled, network: { ...scaled.network, name: `${formula.base.name}, ${dimension}` } },
        published: published(dimension),
      };
    }),
  ];
}

/** The formula with one dimension only: its coefficient 2, the others 1. */
function alone(formula: Formula, dimension: Dimension): Formula {
  if (dimension === 'compound') return formula;
  const [alpha, beta, gamma] = [dimension === 'depth' ? 2 : 1, dimension === 'width' ? 2 : 1, dimension === 'resolution' ? 2 : 1];
  return { ...formula, alpha, beta, gamma, warnings: [] };
}
