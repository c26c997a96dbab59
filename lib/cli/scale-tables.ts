// SPDX-License-Identifier: Apache-2.0
// The tables of the scaling report: the numbers behind its pictures, and the published ones with
// their sources.

import type { FittedNetwork } from '../compound/fit-budget.js';
import { paper, publishedB0, publishedFamily, publishedMobileNets, publishedOthers, timmResults } from '../compound/published.js';
import type { Costed, MemberRow } from '../compound/study.js';
import { badge, formatSi, html, table, type Content, type Markup, type TableColumn } from '../report/index.js';
import { scaledCells, type ScaleFindings } from './scale-findings.js';
import { formatBytes, formatCount } from './terminal.js';

export const published: Markup = badge('published');
export const here: Markup = badge('measured here');

/** A name to the left, numbers to the right. */
const aligned = (title: string, column: number): TableColumn => ({ title, align: column === 0 ? 'left' : 'right' });
const time = ({ measured, error }: Costed): Content =>
  measured === undefined ? (error ?? '–') : measured.milliseconds.toFixed(2);
const memory = ({ measured }: Costed): string => (measured === undefined ? '–' : formatBytes(measured.memory));

export function trialTable({ trials }: FittedNetwork): Content {
  return table({
    columns: ['tried', 'pixels', 'parameters', 'MACs', 'ms here', 'memory here', 'of the budget'].map(aligned),
    rows: trials.map((trial) => [
      trial.phi === undefined ? trial.name : `φ ${trial.phi}`,
      String(trial.resolution),
      formatCount(trial.parameters),
      formatCount(trial.macs),
      Number.isNaN(trial.milliseconds) ? '–' : trial.milliseconds.toFixed(2),
      formatBytes(trial.memory),
      `${(100 * trial.share).toFixed(1)} %`,
    ]),
  });
}

export function phiTable({ phis = [] }: ScaleFindings): Content {
  return table({
    columns: ['φ', 'width', 'depth', 'pixels', 'blocks', 'parameters', 'MACs', 'ms here', 'memory here'].map((title) => ({
      title,
      align: 'right' as const,
    })),
    rows: phis.map((row) => [
      ...scaledCells(row.scaled),
      time(row),
      memory(row),
    ]),
  });
}

export function familyTable({ family = [] }: ScaleFindings): Content {
  const columns = [
    'name',
    'width',
    'depth',
    'pixels',
    'parameters',
    'MACs',
    'ms here',
    'φ of equal work',
    'its width',
    'its depth',
    'its pixels',
    'its parameters',
  ];
  return table({
    columns: columns.map(aligned),
    rows: family.map((row) => [
      row.name.toUpperCase(),
      String(row.width),
      String(row.depth),
      String(row.resolution),
      formatCount(row.parameters),
      formatCount(row.macs),
      time(row),
      String(row.formula.phi),
      row.formula.width.toFixed(2),
      row.formula.depth.toFixed(2),
      String(row.formula.resolution),
      formatCount(row.formula.parameters),
    ]),
  });
}

export function memberTable(members: readonly MemberRow[]): Content {
  return table({
    columns: ['name', 'pixels', 'parameters', 'MACs', 'ms here', 'memory here'].map(aligned),
    rows: members.map((row) => [
      row.name,
      String(row.network.resolution),
      formatCount(row.parameters),
      formatCount(row.macs),
      time(row),
      memory(row),
    ]),
  });
}

export function dimensionTable({ dimensions = [] }: ScaleFindings): Content {
  const right = (title: Content): TableColumn => ({ title, align: 'right' });
  return table({
    columns: [
      { title: 'scaled in' },
      right('depth'),
      right('width'),
      right('pixels'),
      right('MACs'),
      right(html`ms ${here}`),
      right(html`memory ${here}`),
      { title: html`the paper's network ${published}` },
      right(html`MACs ${published}`),
      right(html`top-1 ${published}`),
    ],
    rows: dimensions.map((row): Content[] => [
      row.dimension ?? 'nothing',
      row.scaled.depth.toFixed(2),
      row.scaled.width.toFixed(2),
      String(row.scaled.resolution),
      formatSi(row.scaled.macs),
      time(row),
      memory(row),
      row.published?.setting ?? '–',
      row.published === undefined ? '–' : formatSi(row.published.macs),
      row.published?.top1.toFixed(1) ?? '–',
    ]),
  });
}

export function sourceTable(): Content {
  const scaled = (rows: typeof publishedB0, source: string): Content[][] =>
    rows.map(({ name, setting, macs, top1 }) => [name, setting, '–', `${macs / 1e9} G`, top1.toFixed(1), source]);
  return table({
    columns: [
      { title: 'network' },
      { title: 'scaled' },
      { title: 'parameters', align: 'right' },
      { title: 'MACs', align: 'right' },
      { title: 'top-1', align: 'right' },
      { title: 'source' },
    ],
    rows: [
      ...publishedFamily.map(({ name, parameters, macs, top1 }) => [
        name.toUpperCase(),
        '',
        `${parameters / 1e6} M`,
        `${macs / 1e9} G`,
        top1.toFixed(1),
        `${paper}, Table 2`,
      ]),
      ...scaled(publishedB0, `${paper}, Table 7`),
      ...scaled(publishedOthers, `${paper}, Table 3`),
      ...publishedMobileNets.map(({ name, setting, parameters, top1 }) => [
        name,
        setting,
        `${parameters / 1e6} M`,
        '–',
        top1.toFixed(1),
        timmResults,
      ]),
    ],
  });
}
