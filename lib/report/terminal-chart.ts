// SPDX-License-Identifier: Apache-2.0
// The charts of xy-chart.ts as text: a plot of characters with axes, and one glyph for each series.
// Knows no colours and no terminal; the caller writes the lines.

import { fitAxis, isShown, type FittedAxis } from './axis.js';
import type { Rule, Series, XyChart } from './xy-chart.js';

export interface TextSize {
  /** Characters from the first column of the axis to the right end. */
  readonly columns: number;
  /** Lines of the plot, without title, axis and key. */
  readonly rows: number;
}

const GLYPHS = ['●', '■', '▲', '◆', '▼', '✚', '★', '◉'];
const HOLLOW = ['○', '□', '△', '◇', '▽', '✛', '☆', '◎'];
const DOT = '·';

/** The chart as lines of text: title of y, plot, ticks, title of x, key. */
export function terminalChart(chart: XyChart, { columns, rows }: TextSize): readonly string[] {
  const points = chart.series.flatMap((series) => shown(chart, series));
  if (points.length === 0) return [chart.title, '(no data)'];
  const rules = chart.rules ?? [];
  const y = fitAxis(
    chart.y,
    [...points.map((point) => point.y), ...rules.flatMap((rule) => rule.y ?? [])],
    (ticks, { position }) =>
      apart(
        ticks.map((tick) => position(tick) * (rows - 1)),
        2,
      ),
  );
  const left = Math.max(...y.ticks.map((tick) => y.format(tick).length)) + 1;
  const width = Math.max(20, columns - left - 1);
  const x = fitAxis(
    chart.x,
    [...points.map((point) => point.x), ...rules.flatMap((rule) => rule.x ?? [])],
    (ticks, { position, format }) =>
      apart(
        ticks.map((tick) => position(tick) * (width - 1)),
        Math.max(...ticks.map((tick) => format(tick).length)) + 2,
      ),
  );
  const cells = draw(chart, x, y, width, rows);
  const names = new Map(y.ticks.map((tick) => [rowOf(y, tick, rows), y.format(tick)]));
  return [
    chart.y.title,
    ...cells.map((row, i) => `${(names.get(i) ?? '').padStart(left - 1)}${names.has(i) ? ' ┤' : ' │'}${row.join('')}`.trimEnd()),
    `${' '.repeat(left)}└${axisLine(x, width)}`,
    `${' '.repeat(left + 1)}${tickLine(x, width)}`.trimEnd(),
    `${chart.x.title.padStart(left + 1 + width)}`,
    ...key(chart.series, rules, columns),
  ];
}

function shown(chart: XyChart, series: Series): readonly Series['points'][number][] {
  return series.points.filter((point) => isShown(chart.x, point.x) && isShown(chart.y, point.y));
}

function apart(places: readonly number[], least: number): boolean {
  return places.every((place, i) => i === 0 || place - (places[i - 1] ?? place) >= least);
}

function rowOf(y: FittedAxis, value: number, rows: number): number {
  return Math.round((1 - y.position(value)) * (rows - 1));
}

/** Rules below lines below marks below labels. */
function draw(chart: XyChart, x: FittedAxis, y: FittedAxis, width: number, rows: number): readonly (readonly string[])[] {
  const cells = Array.from({ length: rows }, () => Array<string>(width).fill(' '));
  const column = (value: number): number => Math.round(x.position(value) * (width - 1));
  const set = (r: number, c: number, text: string): void => {
    if (cells[r]?.[c] !== undefined) cells[r][c] = text;
  };
  for (const rule of chart.rules ?? []) {
    if (rule.y !== undefined) for (let c = 0; c < width; c++) set(rowOf(y, rule.y, rows), c, '╌');
    if (rule.x !== undefined) for (let r = 0; r < rows; r++) set(r, column(rule.x), '╎');
  }
  for (const series of chart.series) {
    if ((series.line ?? 'none') === 'none') continue;
    const points = shown(chart, series);
    points.slice(1).forEach((to, i) => {
      const from = points[i] ?? to;
      const [c1, c2] = [x.position(from.x) * (width - 1), x.position(to.x) * (width - 1)];
      const [r1, r2] = [(1 - y.position(from.y)) * (rows - 1), (1 - y.position(to.y)) * (rows - 1)];
      const steps = Math.ceil(Math.max(Math.abs(c2 - c1), 2 * Math.abs(r2 - r1), 1));
      for (let s = 0; s <= steps; s++)
        set(Math.round(r1 + ((r2 - r1) * s) / steps), Math.round(c1 + ((c2 - c1) * s) / steps), DOT);
    });
  }
  const marked = chart.series
    .map((series, i) => ({ series, glyph: glyphOf(series, i), points: (series.marks ?? true) ? shown(chart, series) : [] }))
    .sort((a, b) => Number(b.series.muted ?? false) - Number(a.series.muted ?? false));
  for (const { glyph, points } of marked) for (const point of points) set(rowOf(y, point.y, rows), column(point.x), glyph);
  for (const { points } of marked) {
    for (const { x: px, y: py, label } of points) if (label !== undefined) write(cells, rowOf(y, py, rows), column(px), label);
  }
  return cells;
}

/** A label to the right of its mark, or to the left, if only blanks and dots are there. */
function write(cells: string[][], row: number, column: number, label: string): void {
  const line = cells[row];
  if (line === undefined) return;
  for (const [start, text] of [
    [column + 1, ` ${label}`],
    [column - 1 - label.length, `${label} `],
  ] as const) {
    const end = start + text.length;
    const free = line.slice(Math.max(0, start), end).every((cell) => cell === ' ' || cell === DOT);
    const beside = `${line[start - 1] ?? ''}${line[end] ?? ''}`;
    if (start < 0 || end > line.length || !free || /[\p{L}\p{N}]/u.test(beside)) continue;
    [...text].forEach((character, i) => (line[start + i] = character));
    return;
  }
}

function glyphOf(series: Series, index: number): string {
  return (series.hollow === true ? HOLLOW : GLYPHS)[(series.colour ?? index) % GLYPHS.length] ?? '*';
}

function axisLine(x: FittedAxis, width: number): string {
  const places = new Set(x.ticks.map((tick) => Math.round(x.position(tick) * (width - 1))));
  return Array.from({ length: width }, (_, c) => (places.has(c) ? '┴' : '─')).join('');
}

function tickLine(x: FittedAxis, width: number): string {
  let line = '';
  for (const tick of x.ticks) {
    const text = x.format(tick);
    const start = Math.min(width - text.length, Math.max(0, Math.round(x.position(tick) * (width - 1) - text.length / 2)));
    line = line.padEnd(start) + text;
  }
  return line;
}

/** As many entries in a line as fit; none for a single series. */
function key(all: readonly Series[], rules: readonly Rule[], columns: number): readonly string[] {
  const entries =
    all.length < 2
      ? []
      : all.flatMap((series, i) => {
          if (series.name === '') return [];
          const drawn = (series.line ?? 'none') === 'none' ? '' : DOT.repeat(2);
          return `${(series.marks ?? true) ? `${drawn}${glyphOf(series, i)}${drawn}` : DOT.repeat(4)} ${series.name}`;
        });
  const lines: string[] = [];
  for (const entry of [...entries, ...rules.map(({ x, label }) => `${x === undefined ? '╌╌' : '╎'} ${label}`)]) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 3 + entry.length <= columns) lines[lines.length - 1] = `${last}   ${entry}`;
    else lines.push(entry);
  }
  return lines;
}
