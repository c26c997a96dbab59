// SPDX-License-Identifier: Apache-2.0
// What `scale --json` prints: one value of plain data. A key whose value is undefined is left out by
// JSON itself.

import { constraintProduct } from '../compound/constraint.js';
import type { FittedNetwork } from '../compound/fit-budget.js';
import { paper, publishedFamily } from '../compound/published.js';
import type { Costed, DimensionRow, FamilyRow, MemberRow, PhiRow } from '../compound/study.js';
import type { ScaleFindings } from './scale-findings.js';

/** The one value that --json prints. */
export function scaleJson({ formula, meter, fitted, phis, dimensions, family, members }: ScaleFindings): object {
  const { alpha, beta, gamma, base, warnings } = formula;
  const basis = { base: base.name, alpha, beta, gamma, product: constraintProduct(formula) };
  const conditions = { isa: meter?.isa, threads: meter?.threads };
  if (fitted !== undefined) return { ...fittedJson(fitted), ...conditions, ...basis };
  return {
    ...basis,
    warnings,
    ...conditions,
    networks: phis?.map((row) => ({ phi: row.scaled.phi, ...scaledJson(row) })),
    dimensions: dimensions?.map(dimensionJson),
    members: members?.map(memberJson),
    family: family?.map(familyJson),
  };
}

function fittedJson({ phi, name, parameters, macs, milliseconds, memory, ...fitted }: FittedNetwork): object {
  const { spread, share, tuned, budget, trials, warnings } = fitted;
  return {
    phi,
    name: phi === undefined ? name : undefined,
    network: shapeJson(fitted),
    macs,
    parameters,
    milliseconds,
    memory,
    spread,
    share,
    tuned,
    budget,
    warnings,
    trials: trials.map((trial) => ({
      phi: trial.phi,
      name: trial.phi === undefined ? trial.name : undefined,
      network: shapeJson(trial),
      macs: trial.macs,
      milliseconds: trial.milliseconds,
      memory: trial.memory,
      share: trial.share,
    })),
  };
}

interface Shape {
  readonly width: number;
  readonly depth: number;
  readonly resolution: number;
}

function shapeJson({ width, depth, resolution }: Shape): object {
  return { width, depth, resolution };
}

function costJson({ measured, error }: Costed): object {
  const { milliseconds, memory, spread, doubts } = measured ?? {};
  return { milliseconds, memory, spread, doubts, error };
}

function scaledJson({ scaled, ...row }: PhiRow | DimensionRow): object {
  const { blocks, macs, parameters } = scaled;
  return { network: shapeJson(scaled), blocks, macs, parameters, ...costJson(row) };
}

function dimensionJson(row: DimensionRow): object {
  const { dimension = null, published } = row;
  const theirs = published && {
    setting: published.setting,
    macs: published.macs,
    top1: published.top1,
    source: `${paper}, Table 7`,
  };
  return { dimension, ...scaledJson(row), published: theirs ?? null };
}

function memberJson({ name, network, macs, parameters, ...row }: MemberRow): object {
  return { name, network: shapeJson(network), macs, parameters, ...costJson(row) };
}

function familyJson({ name, macs, parameters, formula, ...row }: FamilyRow): object {
  const top1 = publishedFamily.find((one) => one.name === name)?.top1;
  return {
    name,
    network: shapeJson(row),
    macs,
    parameters,
    ...costJson(row),
    published: top1 === undefined ? undefined : { top1, source: `${paper}, Table 2` },
    formula: { phi: formula.phi, network: shapeJson(formula), macs: formula.macs, parameters: formula.parameters },
  };
}
