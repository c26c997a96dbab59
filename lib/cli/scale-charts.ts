// SPDX-License-Identifier: Apache-2.0
// The charts of the scaling report, from its findings; those of published accuracies are in
// accuracy-charts.ts. Data only: lib/report draws them.

import { constraintProduct } from '../compound/constraint.js';
import type { FittedNetwork } from '../compound/fit-budget.js';
import { publishedB0 } from '../compound/published.js';
import { scaleBy, type ScaledNetwork } from '../compound/scale.js';
import { describe } from '../describe.js';
import type { DimensionRow, FamilyRow, MemberRow } from '../compound/study.js';
import type { Network } from '../network.js';
import { formatPlain, formatSi, type Axis, type BarChart, type Point, type Series, type XyChart } from '../report/index.js';
import type { ScaleFindings } from './scale-findings.js';

const phiAxis: Axis = { title: 'φ', format: formatPlain };
/** Lines of the formula are drawn through this many points, so that the steps of rounding show. */
const SAMPLES = 240;

/** Range of phi of what is counted: all of B0 to B7, whatever was measured. */
function span({ phis = [] }: ScaleFindings): readonly [number, number] {
  const all = phis.map(({ scaled }) => scaled.phi);
  return [Math.min(0, ...all), Math.max(7, ...all)];
}

function samples(findings: ScaleFindings): readonly ScaledNetwork[] {
  const [low, high] = span(findings);
  return Array.from({ length: SAMPLES + 1 }, (_, i) => scaleBy(low + ((high - low) * i) / SAMPLES, findings.formula));
}

/** Published networks that lie within the shown range of phi. */
function shownFamily(findings: ScaleFindings): readonly FamilyRow[] {
  const [low, high] = span(findings);
  return (findings.family ?? []).filter(({ formula }) => formula.phi >= low && formula.phi <= high + 0.2);
}

export function multiplierChart(findings: ScaleFindings): XyChart {
  const { formula } = findings;
  const { width, depth, resolution } = formula.base;
  const [low, high] = span(findings);
  const lines = [
    { name: 'depth', base: formula.alpha, of: (row: FamilyRow) => row.depth / depth },
    { name: 'width', base: formula.beta, of: (row: FamilyRow) => row.width / width },
    { name: 'resolution', base: formula.gamma, of: (row: FamilyRow) => row.resolution / resolution },
  ];
  const ends = [low, high];
  return {
    title: 'Depth, width and resolution against φ, and the published networks',
    x: phiAxis,
    y: { title: 'times the base', scale: 'log', format: formatPlain },
    series: [
      ...lines.map(({ name, base }, i): Series => ({
        name: `${name}: ${base}^φ`,
        line: 'solid',
        marks: false,
        colour: i,
        points: ends.map((phi) => ({ x: phi, y: base ** phi })),
      })),
      ...lines.map(({ name, of }, i): Series => ({
        name: `${name}, published`,
        hollow: true,
        colour: i,
        points: shownFamily(findings).map((row) => ({
          x: row.formula.phi,
          y: of(row),
          ...(i === 0 ? { label: row.name.toUpperCase() } : {}),
          title: `${row.name.toUpperCase()}: ${name} ${formatPlain(of(row))}`,
        })),
      })),
    ],
  };
}

const familyPoints = (rows: readonly FamilyRow[], y: (row: FamilyRow) => number): readonly Point[] =>
  rows.map((row) => ({ x: row.formula.phi, y: y(row), label: row.name.toUpperCase() }));

export function workChart(findings: ScaleFindings): XyChart {
  const all = samples(findings);
  const base = scaleBy(0, findings.formula).macs;
  return {
    title: 'Work against φ',
    x: phiAxis,
    y: { title: 'MACs of one image', scale: 'log' },
    series: [
      {
        name: 'the formula, rounded',
        line: 'solid',
        marks: false,
        colour: 0,
        points: all.map(({ phi, macs }) => ({ x: phi, y: macs })),
      },
      {
        name: 'without rounding',
        line: 'dotted',
        marks: false,
        muted: true,
        points: span(findings).map((phi) => ({ x: phi, y: base * constraintProduct(findings.formula) ** phi })),
      },
      { name: 'published networks', colour: 1, hollow: true, points: familyPoints(shownFamily(findings), ({ macs }) => macs) },
    ],
  };
}

export function parameterChart(findings: ScaleFindings): XyChart {
  return {
    title: 'Parameters against φ',
    x: phiAxis,
    y: { title: 'parameters', scale: 'log' },
    series: [
      {
        name: 'the formula, rounded',
        line: 'solid',
        marks: false,
        colour: 0,
        points: samples(findings).map(({ phi, parameters }) => ({ x: phi, y: parameters })),
      },
      {
        name: 'published networks, at the φ of equal work',
        colour: 1,
        hollow: true,
        points: familyPoints(shownFamily(findings), ({ parameters }) => parameters),
      },
    ],
  };
}

const timesOf = ({ phis = [] }: ScaleFindings, y: (milliseconds: number, macs: number) => number): readonly Point[] =>
  phis.flatMap(({ scaled, measured }) =>
    measured === undefined ? [] : [{ x: scaled.phi, y: y(measured.milliseconds, scaled.macs) }],
  );

const familyTimes = (findings: ScaleFindings, y: (milliseconds: number, macs: number) => number): readonly Point[] =>
  shownFamily(findings).flatMap(({ name, formula, macs, measured }) =>
    measured === undefined ? [] : [{ x: formula.phi, y: y(measured.milliseconds, macs), label: name.toUpperCase() }],
  );

export function timeChart(findings: ScaleFindings): XyChart {
  const { fitted } = findings;
  return {
    title: 'Latency against φ',
    x: phiAxis,
    y: { title: 'milliseconds for one image', scale: 'log', format: formatPlain },
    series: [
      { name: 'the formula', line: 'solid', colour: 0, points: timesOf(findings, (milliseconds) => milliseconds) },
      {
        name: 'published networks, at the φ of equal work',
        colour: 1,
        points: familyTimes(findings, (milliseconds) => milliseconds),
      },
    ],
    ...(fitted?.budget.kind === 'milliseconds'
      ? { rules: [{ y: fitted.budget.limit, label: `budget: ${fitted.budget.limit} ms` }] }
      : {}),
  };
}

export function speedChart(findings: ScaleFindings): XyChart {
  const perSecond = (milliseconds: number, macs: number): number => macs / milliseconds / 1e6;
  return {
    title: 'Work done in a second, against φ',
    x: phiAxis,
    y: { title: 'GMAC/s', format: formatPlain, min: 0 },
    series: [
      { name: 'the formula', line: 'solid', colour: 0, points: timesOf(findings, perSecond) },
      { name: 'published networks', colour: 1, points: familyTimes(findings, perSecond) },
    ],
  };
}

/** Families as the chart groups them: by the beginning of the name. */
const groups: readonly (readonly [name: string, beginning: RegExp])[] = [
  ['EfficientNet', /^(b\d|l2)/],
  ['Lite', /^lite/],
  ['EdgeTPU', /^edgetpu/],
  ['EfficientNetV2', /^v2/],
  ['TinyNet', /^tinynet/],
  ['MobileNetV2', /^mobilenetv2/],
  ['MobileNetV3', /^mobilenetv3/],
  ['MnasNet, FBNet, SPNASNet', /./],
];

export function memberChart(rows: readonly MemberRow[]): XyChart {
  const groupOf = (name: string): number => groups.findIndex(([, beginning]) => beginning.test(name));
  return {
    title: 'Latency against work, every network known by name',
    x: { title: 'MACs of one image', scale: 'log' },
    y: { title: 'milliseconds for one image', scale: 'log', format: formatPlain },
    series: groups.map(([name], i): Series => ({
      name,
      colour: i,
      points: rows.flatMap((row) =>
        groupOf(row.name) === i && row.measured !== undefined
          ? [{ x: row.macs, y: row.measured.milliseconds, label: row.name }]
          : [],
      ),
    })),
  };
}

const named = (rows: readonly DimensionRow[]): readonly string[] =>
  rows.map(({ dimension, scaled }) => dimension ?? scaled.network.name);
const threeDigits = (value: number): string => formatPlain(Number(value.toPrecision(3)));

export function dimensionTimes(rows: readonly DimensionRow[]): BarChart {
  return {
    title: 'Latency at equal work, measured here',
    categories: named(rows),
    series: [{ name: 'milliseconds', colour: 0, values: rows.map(({ measured }) => measured?.milliseconds) }],
    axis: { title: 'milliseconds for one image', format: threeDigits },
  };
}

export function dimensionMemory(rows: readonly DimensionRow[]): BarChart {
  return {
    title: 'Memory at equal work, measured here',
    categories: named(rows),
    series: [
      {
        name: 'megabytes',
        colour: 2,
        values: rows.map(({ measured }) => (measured === undefined ? undefined : measured.memory / 1e6)),
      },
    ],
    axis: { title: 'megabytes of packed weights and activations', format: threeDigits },
  };
}

/** What the same work buys: a difference, so that a bar from zero is honest. */
export function dimensionGain(rows: readonly DimensionRow[]): BarChart {
  const base = publishedB0.find(({ dimension }) => dimension === undefined)?.top1 ?? NaN;
  const scaled = rows.filter(({ dimension }) => dimension !== undefined);
  return {
    title: 'Accuracy gained over B0, published',
    categories: scaled.map(({ dimension, published }) => `${dimension ?? ''} (${published?.setting ?? ''})`),
    series: [
      {
        name: 'points of top-1',
        colour: 1,
        hollow: true,
        values: scaled.map(({ published }) => (published === undefined ? undefined : Number((published.top1 - base).toFixed(1)))),
      },
    ],
    axis: { title: `points of ImageNet top-1 over the ${base} % of B0`, format: formatPlain },
  };
}

export function receptiveFieldChart(findings: ScaleFindings): XyChart {
  const { formula, family = [], dimensions = [] } = findings;
  const at = (resolution: number, network: Network, label: string): Point => ({
    x: resolution,
    y: describe(network).receptiveField,
    label,
  });
  const [low, high] = span(findings).map(Math.trunc);
  const steps = Array.from({ length: (high ?? 7) - (low ?? 0) + 1 }, (_, i) => scaleBy((low ?? 0) + i, formula));
  const members = family
    .filter(({ formula: { phi } }) => phi <= (high ?? 7) + 0.2)
    .map((row) => at(row.resolution, row.network, row.name.toUpperCase()));
  const alone = dimensions
    .filter(({ dimension }) => dimension !== undefined && dimension !== 'compound')
    .map(({ dimension, scaled }) => at(scaled.resolution, scaled.network, `${dimension ?? ''} only`));
  const byFormula = steps.map((scaled) => at(scaled.resolution, scaled.network, `φ ${scaled.phi}`));
  const sides = [...byFormula, ...members, ...alone].map(({ x }) => x);
  const [smallest, largest] = [Math.min(...sides), Math.max(...sides)];
  return {
    title: 'Receptive field of the last map against the size of the input',
    x: { title: 'input size (pixels)', format: formatPlain },
    y: { title: 'receptive field (pixels)', scale: 'log', format: formatPlain },
    series: [
      {
        name: 'as large as the picture',
        line: 'dotted',
        marks: false,
        muted: true,
        points: Array.from({ length: 41 }, (_, i) => smallest + ((largest - smallest) * i) / 40).map((side) => ({
          x: side,
          y: side,
        })),
      },
      { name: 'the formula', line: 'solid', colour: 0, points: byFormula },
      { name: 'published networks', line: 'dashed', hollow: true, colour: 1, points: members },
      { name: 'one dimension, at equal work', colour: 2, points: alone },
    ],
  };
}

export function budgetChart({ budget, trials, phi, name }: FittedNetwork): XyChart {
  const value = (trial: FittedNetwork['trials'][number]): number => trial.share * budget.limit;
  const byPhi = phi !== undefined;
  const nameOf = (trial: FittedNetwork['trials'][number]): string => (byPhi ? `φ ${trial.phi ?? ''}` : trial.name);
  const won = trials.filter((trial) => (byPhi ? trial.phi === phi : trial.name === name)).slice(-1);
  // Of a network that was measured several times, the last bears the name.
  const point = (trial: FittedNetwork['trials'][number]): Point => ({
    x: trial.phi ?? trial.macs,
    y: value(trial),
    title: `${nameOf(trial)}: ${(100 * trial.share).toFixed(1)} % of the budget`,
    ...(trials.findLast((other) => nameOf(other) === nameOf(trial)) === trial ? { label: nameOf(trial) } : {}),
  });
  return {
    title: 'Networks tried for the budget',
    x: byPhi ? phiAxis : { title: 'MACs of one image', scale: 'log' },
    y: {
      title:
        budget.kind === 'milliseconds'
          ? 'milliseconds for one image'
          : budget.kind === 'memory'
            ? 'bytes of memory'
            : budget.kind,
      format: budget.kind === 'milliseconds' ? formatPlain : formatSi,
      min: 0,
    },
    series: [
      { name: 'tried', colour: 0, hollow: true, points: trials.filter((trial) => !won.includes(trial)).map(point) },
      { name: 'chosen', colour: 2, points: won.map(point) },
    ],
    rules: [{ y: budget.limit, label: 'the budget' }],
  };
}
