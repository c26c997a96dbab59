// SPDX-License-Identifier: Apache-2.0
// What one call of the command `scale` found, for the terminal, as JSON and for the report.

import type { FittedNetwork } from '../compound/fit-budget.js';
import type { Meter } from '../compound/meter.js';
import type { Formula, ScaledNetwork } from '../compound/scale.js';
import type { DimensionRow, FamilyRow, MemberRow, PhiRow } from '../compound/study.js';
import { formatCount } from './terminal.js';

/** What one call of the command found; undefined is what it was not asked for. */
export interface ScaleFindings {
  readonly formula: Formula;
  /** Undefined where nothing was measured. */
  readonly meter: Meter | undefined;
  readonly fitted: FittedNetwork | undefined;
  readonly phis: readonly PhiRow[] | undefined;
  readonly dimensions: readonly DimensionRow[] | undefined;
  readonly family: readonly FamilyRow[] | undefined;
  /** Networks by name, with what they cost. */
  readonly members: readonly MemberRow[] | undefined;
  /** The command that would find the same. */
  readonly command: string;
  /** The options of the formula, for another command. */
  readonly formulaArguments: string;
}

/** `1 thread, avx512`. */
export function conditions({ threads, isa }: Pick<Meter, 'threads' | 'isa'>): string {
  return `${threads === 1 ? '1 thread' : `${threads} threads`}, ${isa}`;
}

/** The cells of a table that say what phi gives: phi, width, depth, resolution, blocks, parameters, MACs. */
export function scaledCells({ phi, width, depth, resolution, blocks, parameters, macs }: ScaledNetwork): readonly string[] {
  const counts = [parameters, macs].map(formatCount);
  return [String(phi), width.toFixed(3), depth.toFixed(3), String(resolution), String(blocks), ...counts];
}
