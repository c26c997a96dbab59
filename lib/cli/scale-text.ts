// SPDX-License-Identifier: Apache-2.0
// What `scale` writes on a terminal. Every figure says whether it was published or measured here.
// Measures nothing; scale-json.ts has the other form.

import { amount, type FittedNetwork } from '../compound/fit-budget.js';
import type { Meter } from '../compound/meter.js';
import { paper, publishedFamily } from '../compound/published.js';
import { constraintProduct } from '../compound/constraint.js';
import type { Costed, DimensionRow, FamilyRow, MemberRow, PhiRow } from '../compound/study.js';
import { formatPlain, terminalChart, type XyChart } from '../report/index.js';
import { conditions, scaledCells, type ScaleFindings } from './scale-findings.js';
import { formatBytes, formatCount, type Column, type Terminal } from './terminal.js';

/** `drop`: the order in which columns are left out of a narrow terminal, the highest first. */
const right = (title: string, drop?: number): Column => ({ title, align: 'right', ...(drop === undefined ? {} : { drop }) });

/** Charts are as wide as the terminal, within reason. */
const CHART = { columns: 76, most: 100, rows: 14 } as const;

export function showScale(findings: ScaleFindings, terminal: Terminal): void {
  const { fitted, phis, dimensions, family, members } = findings;
  if (fitted !== undefined) {
    showFitted(findings, fitted, terminal);
    return;
  }
  if (members !== undefined && phis === undefined) {
    if (findings.meter !== undefined) terminal.out(conditionsLine(findings.meter, terminal));
    showMembers(members, terminal);
    return;
  }
  showHeading(findings, terminal);
  const parts = [
    phis !== undefined && (() => showPhis(phis, terminal)),
    family !== undefined && (() => showFamily(family, terminal)),
    dimensions !== undefined && (() => showDimensions(dimensions, terminal)),
    members !== undefined && (() => showMembers(members, terminal)),
  ];
  for (const part of parts) {
    if (part === false) continue;
    terminal.out('');
    part();
  }
}

function showHeading({ formula, meter }: ScaleFindings, terminal: Terminal): void {
  const { alpha, beta, gamma, base } = formula;
  terminal.out(
    `${terminal.bold(`${base.name} scaled by phi`)}  depth ${alpha}^phi, width ${beta}^phi, resolution ${gamma}^phi; ` +
      `one step multiplies the work by about ${constraintProduct(formula).toFixed(3)}`,
  );
  if (meter !== undefined) terminal.out(conditionsLine(meter, terminal));
}

function conditionsLine(meter: Meter, terminal: Terminal): string {
  return terminal.dim(`measured here: ${conditions(meter)}, made-up weights, one image, median`);
}

/** Whether any row has a time, so that a column of dashes is not shown. */
function measuredColumns(rows: readonly Costed[]): {
  readonly columns: readonly Column[];
  readonly cells: (row: Costed) => readonly string[];
} {
  if (rows.every(({ measured, error }) => measured === undefined && error === undefined)) return { columns: [], cells: () => [] };
  return {
    columns: [right('ms here'), right('memory here', 1)],
    cells: ({ measured }) => [milliseconds(measured), measured === undefined ? '-' : formatBytes(measured.memory)],
  };
}

/** With a mark where the runs differed too much to be believed. */
function milliseconds(measured: Costed['measured']): string {
  if (measured === undefined) return '-';
  return `${measured.doubts.length > 0 ? '~' : ''}${measured.milliseconds.toFixed(measured.milliseconds < 100 ? 2 : 1)}`;
}

function showDoubts(rows: readonly Costed[], terminal: Terminal): void {
  const doubts = rows.flatMap(({ measured }) => measured?.doubts ?? []);
  if (doubts.length > 0) terminal.out(terminal.dim(`~ is not to be trusted: ${doubts[0] ?? ''}`));
}

function showPhis(rows: readonly PhiRow[], terminal: Terminal): void {
  const { columns: measured, cells } = measuredColumns(rows);
  terminal.table(
    [
      right('phi'),
      right('width', 3),
      right('depth', 3),
      right('resolution'),
      right('blocks', 5),
      right('parameters', 2),
      right('MACs'),
      ...measured,
    ],
    rows.map((row) => [
      ...scaledCells(row.scaled),
      ...cells(row),
    ]),
  );
  showDoubts(rows, terminal);
  const timed = rows.flatMap(({ scaled, measured: cost }) => (cost === undefined ? [] : [{ x: scaled.phi, y: cost.milliseconds }]));
  if (rows.length < 3) return;
  terminal.out('');
  const chart: XyChart =
    timed.length === rows.length
      ? {
          title: 'latency against phi',
          x: { title: 'phi', format: formatPlain },
          y: { title: 'milliseconds, measured here', scale: 'log', format: formatPlain },
          series: [{ name: 'latency', line: 'solid', points: timed }],
        }
      : {
          title: 'work against phi',
          x: { title: 'phi', format: formatPlain },
          y: { title: 'MACs', scale: 'log' },
          series: [{ name: 'MACs', line: 'solid', points: rows.map(({ scaled }) => ({ x: scaled.phi, y: scaled.macs })) }],
        };
  const columns = Math.min(terminal.columns ?? CHART.columns, CHART.most);
  for (const line of terminalChart(chart, { columns, rows: CHART.rows })) terminal.out(line);
}

function showFamily(rows: readonly FamilyRow[], terminal: Terminal): void {
  const shape = ({
    width,
    depth,
    resolution,
  }: {
    readonly width: number;
    readonly depth: number;
    readonly resolution: number;
  }): readonly string[] => [formatPlain(Number(width.toFixed(2))), formatPlain(Number(depth.toFixed(2))), String(resolution)];
  terminal.out('The published table, and the formula at the phi that costs as much: they are not the same networks');
  terminal.table(
    [
      { title: 'name' },
      right('width'),
      right('depth'),
      right('pixels'),
      right('parameters', 2),
      right('MACs', 3),
      right('top-1 (published)', 1),
      { title: '|' },
      right('phi'),
      right('width'),
      right('depth'),
      right('pixels'),
      right('parameters', 5),
      right('MACs', 4),
    ],
    rows.map(({ name, formula, parameters, macs, ...table }) => [
      name,
      ...shape(table),
      formatCount(parameters),
      formatCount(macs),
      publishedFamily.find((one) => one.name === name)?.top1.toFixed(1) ?? '-',
      '|',
      String(formula.phi),
      ...shape(formula),
      formatCount(formula.parameters),
      formatCount(formula.macs),
    ]),
  );
  terminal.out(terminal.dim(`top-1 on ImageNet in per cent: ${paper}, Table 2`));
}

/** Fastest first. */
function showMembers(rows: readonly MemberRow[], terminal: Terminal): void {
  const { columns, cells } = measuredColumns(rows);
  const time = ({ measured, macs }: MemberRow): number => measured?.milliseconds ?? macs;
  terminal.table(
    [
      { title: 'name' },
      right('pixels', 3),
      right('parameters', 2),
      right('MACs'),
      ...columns,
      ...(columns.length > 0 ? [right('GMAC/s', 4)] : []),
    ],
    [...rows]
      .sort((a, b) => time(a) - time(b))
      .map((row) => [
        row.name,
        String(row.network.resolution),
        formatCount(row.parameters),
        formatCount(row.macs),
        ...cells(row),
        ...(columns.length > 0
          ? [row.measured === undefined ? '-' : (row.macs / row.measured.milliseconds / 1e6).toFixed(1)]
          : []),
      ]),
  );
  showDoubts(rows, terminal);
}

function showDimensions(rows: readonly DimensionRow[], terminal: Terminal): void {
  const { columns, cells } = measuredColumns(rows);
  terminal.out('Larger in one dimension, or in all three, at equal MACs');
  terminal.table(
    [
      { title: 'scaled in' },
      right('width', 3),
      right('depth', 3),
      right('pixels', 3),
      right('parameters', 5),
      right('MACs'),
      ...columns,
      { title: '|' },
      { title: "the paper's network", drop: 6 },
      right('MACs (published)', 7),
      right('top-1 (published)'),
    ],
    rows.map((row) => [
      row.dimension ?? 'nothing',
      row.scaled.width.toFixed(2),
      row.scaled.depth.toFixed(2),
      String(row.scaled.resolution),
      formatCount(row.scaled.parameters),
      formatCount(row.scaled.macs),
      ...cells(row),
      '|',
      row.published?.setting ?? '-',
      row.published === undefined ? '-' : `${row.published.macs / 1e9} G`,
      row.published?.top1.toFixed(1) ?? '-',
    ]),
  );
  showDoubts(rows, terminal);
  terminal.out(terminal.dim(`published: ${paper}, Table 7; its networks differ from these, whose MACs are equal`));
}

function showFitted(findings: ScaleFindings, fitted: FittedNetwork, terminal: Terminal): void {
  const { budget, phi, name, width, depth, resolution, parameters, macs, memory, share, tuned, trials } = fitted;
  terminal.out(
    `${terminal.bold(phi === undefined ? name : `phi ${phi}`)}  width ${width.toFixed(3)}, depth ${depth.toFixed(3)}, ${resolution}x${resolution}` +
      (tuned ? " (the formula's next resolution costs too much)" : ''),
  );
  terminal.out(
    `${formatCount(parameters)} parameters, ${formatCount(macs)} MACs, ${formatBytes(memory)} of weights and activations`,
  );
  terminal.out(
    `${fitted.milliseconds.toFixed(2)} ms measured here (${conditions(fitted)}); takes ${(100 * share).toFixed(0)} % of ${amount(budget.kind, budget.limit)}`,
  );
  for (const doubt of fitted.doubts) terminal.out(`not to be trusted: ${doubt}`);
  if (trials.length > 1) {
    terminal.out('');
    terminal.table(
      [{ title: 'tried' }, right('pixels', 2), right('MACs', 3), right('ms here'), right('memory here', 1), right('of the budget')],
      trials.map((trial) => [
        trial.phi === undefined ? trial.name : `phi ${trial.phi}`,
        String(trial.resolution),
        formatCount(trial.macs),
        Number.isNaN(trial.milliseconds) ? '-' : milliseconds(trial),
        formatBytes(trial.memory),
        `${(100 * trial.share).toFixed(0)} %`,
      ]),
    );
  }
  terminal.out('');
  terminal.out(`To measure it again: efficientnet-simd ${benchCommand(findings, fitted)}`);
}

function benchCommand(
  { formula: { base }, formulaArguments }: ScaleFindings,
  { phi, name, tuned, resolution, threads, isa }: FittedNetwork,
): string {
  const model = phi === undefined ? ` --model ${name}` : base.name === 'b0' ? '' : ` --model ${base.name}`;
  const scaled = phi === undefined ? '' : ` --phi ${phi}${formulaArguments}`;
  return `bench${model}${scaled}${tuned ? ` --size ${resolution}` : ''} --threads ${threads} --isa ${isa}`;
}
