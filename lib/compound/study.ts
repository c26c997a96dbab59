// SPDX-License-Identifier: Apache-2.0
// What the command `scale` shows: networks with what they cost here, the published ones beside them.
// Measures through a meter and keeps what succeeded; prints nothing.

import { describe } from '../describe.js';
import { EfficientNetError } from '../errors.js';
import { buildNetwork, type Network } from '../network.js';
import { dimensionNetworks, type DimensionNetwork } from './dimensions.js';
import { familyBesideFormula, type FamilyMember } from './family.js';
import type { Measured, Meter } from './meter.js';
import type { Dimension } from './published.js';
import { scaleBy, type Formula, type ScaledNetwork } from './scale.js';

/** A network and its cost: undefined where nothing was to be measured, or with the reason why it could not be. */
export interface Costed {
  readonly measured: Measured | undefined;
  readonly error: string | undefined;
}

export type PhiRow = Costed & { readonly scaled: ScaledNetwork };
export type FamilyRow = Costed & FamilyMember;
export type DimensionRow = Costed & DimensionNetwork;

/** A network by its name. */
export interface MemberRow extends Costed {
  readonly name: string;
  readonly network: Network;
  readonly parameters: number;
  readonly macs: number;
}

/** Told which network is being measured, and how many of how many are done. */
export type StudyProgress = (name: string, done: number, total: number) => void;

export class Study {
  readonly formula: Formula;
  /** Undefined where only counts are wanted. */
  readonly meter: Meter | undefined;
  readonly #progress: StudyProgress;

  constructor(formula: Formula, meter: Meter | undefined, progress: StudyProgress = () => undefined) {
    this.formula = formula;
    this.meter = meter;
    this.#progress = progress;
  }

  phis(phis: readonly number[]): Promise<readonly PhiRow[]> {
    // All are built before the first is measured: a phi that leads too far should not cost the time of the others.
    return this.#costs(
      phis.map((phi) => ({ scaled: scaleBy(phi, this.formula) })),
      ({ scaled }) => scaled.network,
    );
  }

  dimensions(which: readonly Dimension[], macs: number): Promise<readonly DimensionRow[]> {
    return this.#costs(dimensionNetworks(this.formula, which, macs), ({ scaled }) => scaled.network);
  }

  /** Members of more MACs than `most` are counted but not measured. */
  family(most: number): Promise<readonly FamilyRow[]> {
    return this.#costs(familyBesideFormula(this.formula), ({ network, macs }) => (macs <= most ? network : undefined));
  }

  /** Networks by name, at their own resolutions; those of more MACs than `most` are left out. */
  members(names: readonly string[], most: number): Promise<readonly MemberRow[]> {
    const rows = names.map((name) => {
      const network = buildNetwork(name);
      const { parameters, macs } = describe(network);
      return { name, network, parameters, macs };
    });
    return this.#costs(
      rows.filter(({ macs }) => macs <= most).sort((a, b) => a.macs - b.macs),
      ({ network }) => network,
    );
  }

  async #costs<Row extends object>(
    rows: readonly Row[],
    networkOf: (row: Row) => Network | undefined,
  ): Promise<readonly (Row & Costed)[]> {
    const results: (Row & Costed)[] = [];
    const total = rows.filter((row) => networkOf(row) !== undefined).length;
    for (const row of rows) {
      const network = networkOf(row);
      if (network !== undefined && this.meter !== undefined)
        this.#progress(network.name, Math.min(results.length, total - 1), total);
      results.push({
        ...row,
        ...(network === undefined ? { measured: undefined, error: undefined } : await this.#cost(network)),
      });
    }
    return results;
  }

  async #cost(network: Network): Promise<Costed> {
    try {
      return { measured: await this.meter?.measure(network, 'short'), error: undefined };
    } catch (error) {
      if (error instanceof EfficientNetError && error.code === 'ERR_OUT_OF_MEMORY')
        return { measured: undefined, error: error.message };
      throw error;
    }
  }
}
