// SPDX-License-Identifier: Apache-2.0
// Lines and points over two axes as an SVG picture, for a page of page.ts: its style sheet gives the
// colours. terminal-chart.ts draws the same charts as text.

import { fitAxis, formatSi, isShown, type Axis, type FittedAxis } from './axis.js';
import { overlaps, placeLabels, textWidth, type Box, type PlacedLabel, type Segment } from './labels.js';
import { html, join, type Markup } from './markup.js';
import { FONT_SIZE, legend, symbol, type LegendEntry } from './legend.js';

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Written beside the point, if there is room without covering anything. */
  readonly label?: string;
  /** Shown when the pointer rests on the point; the series and both values unless given. */
  readonly title?: string;
  /** Ends of an error bar. */
  readonly low?: number;
  readonly high?: number;
}

export interface Series {
  /** Empty for one that belongs to another and has no place of its own in the key. */
  readonly name: string;
  /** A value that is not finite, or not above zero on a logarithmic axis, is left out. */
  readonly points: readonly Point[];
  /** The line through the points in their order; 'none' unless given. */
  readonly line?: 'none' | 'solid' | 'dashed' | 'dotted';
  /** Whether the points get marks; true unless given. */
  readonly marks?: boolean;
  /** Marks as outlines: for figures of somebody else beside one's own. */
  readonly hollow?: boolean;
  /** Colour and shape, 0 to 7, so that series that belong together look alike; the place in the list unless given. */
  readonly colour?: number;
  /** In grey, behind the others. */
  readonly muted?: boolean;
}

/** A line across the chart at one value, with its meaning: give one of x and y. */
export interface Rule {
  readonly x?: number;
  readonly y?: number;
  readonly label: string;
}

export interface XyChart {
  /** What the picture shows, for readers who do not see it. */
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  readonly rules?: readonly Rule[];
}

export interface ChartSize {
  readonly width: number;
  readonly height: number;
}

/** The settled geometry of one picture. */
interface Frame {
  readonly x: FittedAxis;
  readonly y: FittedAxis;
  readonly plot: Box;
  readonly toX: (value: number) => number;
  readonly toY: (value: number) => number;
}

/** Half of what a mark covers, its outline included. */
const MARK = 5;
const GAP = 8;

/** The chart as an SVG element of this size in pixels; text keeps its size, so draw narrow ones anew. */
export function xyChart(chart: XyChart, size: ChartSize): Markup {
  const entries = chart.series
    .map((series, i): LegendEntry => ({
      name: series.name,
      style: styleOf(series, i),
      line: series.line ?? 'none',
      marks: series.marks ?? true,
      hollow: series.hollow ?? false,
      shape: series.colour ?? i,
    }))
    .filter(({ name }) => name !== '');
  const key = entries.length > 1 ? legend(entries, size.width) : { height: 0, drawn: undefined };
  const frame = layout(chart, size, key.height);
  const points = chart.series.flatMap((series) => shownPoints(chart, series).map((point) => ({ series, point })));
  if (points.length === 0) return emptyChart(chart, size);
  const rules = placeRules(chart.rules ?? [], frame);
  // Grey series first: the others lie over them.
  const order = chart.series
    .map((series, i) => ({ series, i }))
    .sort((a, b) => Number(b.series.muted ?? false) - Number(a.series.muted ?? false));
  const { width, height } = size;
  return html`<svg class="chart" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img"
 aria-label="${chart.title}">
${key.drawn}${axes(chart, frame, key.height, size)}
${rules.map((rule) => drawRule(rule, frame))}
${join(order.map(({ series, i }) => drawSeries(chart, series, styleOf(series, i), series.colour ?? i, frame)))}
${drawLabels(chart, frame, rules)}
</svg>`;
}

function styleOf(series: Series, index: number): string {
  return series.muted === true ? 'muted' : `s${(series.colour ?? index) % 8}`;
}

function shownPoints(chart: XyChart, series: Series): readonly Point[] {
  return series.points.filter(({ x, y }) => isShown(chart.x, x) && isShown(chart.y, y));
}

function layout(chart: XyChart, size: ChartSize, keyHeight: number): Frame {
  const points = chart.series.flatMap((series) => shownPoints(chart, series));
  const rules = chart.rules ?? [];
  const ys = [
    ...points.flatMap(({ y, low, high }) => [y, low ?? y, high ?? y]),
    ...rules.flatMap(({ y }) => (y === undefined ? [] : [y])),
  ];
  const xs = [...points.map(({ x }) => x), ...rules.flatMap(({ x }) => (x === undefined ? [] : [x]))];
  const top = keyHeight + FONT_SIZE + 14;
  const height = size.height - top - 2 * FONT_SIZE - 18;
  const y = fitAxis(chart.y, ys, (ticks) => ticks.length * 34 <= height + 34 && spaced(ticks, chart.y, ys, height, 18));
  const left = Math.max(...y.ticks.map((tick) => textWidth(y.format(tick), FONT_SIZE)), 12) + GAP + 2;
  const right = 14;
  const width = size.width - left - right;
  const x = fitAxis(chart.x, xs, (ticks, fitted) => {
    const boxes = ticks.map((tick) => [fitted.position(tick) * width, textWidth(fitted.format(tick), FONT_SIZE) / 2] as const);
    return boxes.every(([centre, half], i) => {
      const before = boxes[i - 1];
      return before === undefined || centre - half - (before[0] + before[1]) >= 12;
    });
  });
  const plot = { x: left, y: top, width, height };
  // Labels of vertical rules stand at the top, above the data.
  const head = rules.some((rule) => rule.x !== undefined) ? FONT_SIZE * 1.6 : 0;
  return {
    x,
    y,
    plot,
    toX: (value) => left + x.position(value) * width,
    toY: (value) => top + head + (1 - y.position(value)) * (height - head),
  };
}

/** Logarithmic ticks are not evenly apart: the nearest two decide. */
function spaced(ticks: readonly number[], axis: Axis, values: readonly number[], length: number, least: number): boolean {
  const { position } = fitAxis(axis, values, () => true);
  return ticks.every((tick, i) => i === 0 || Math.abs(position(tick) - position(ticks[i - 1] ?? tick)) * length >= least);
}

function axes(chart: XyChart, { x, y, plot, toX, toY }: Frame, keyHeight: number, size: ChartSize): Markup {
  const bottom = plot.y + plot.height;
  const across = y.ticks.map((tick) => line(plot.x, toY(tick), plot.x + plot.width, toY(tick)));
  const up = x.ticks.map((tick) => line(toX(tick), plot.y, toX(tick), bottom));
  const values = y.ticks.map((tick) => {
    const baseline = px(toY(tick) + FONT_SIZE * 0.35);
    return html`<text x="${px(plot.x - GAP)}" y="${baseline}" text-anchor="end">${y.format(tick)}</text>`;
  });
  return html`<g class="grid">${across}${up}</g>
<g class="axis">${line(plot.x, bottom, plot.x + plot.width, bottom)}</g>
<g class="tick">${values}
${x.ticks.map((tick) => {
  // The outermost may not stick out of the picture.
  const half = textWidth(x.format(tick), FONT_SIZE) / 2;
  const centre = Math.min(size.width - half, Math.max(half, toX(tick)));
  return html`<text x="${px(centre)}" y="${px(bottom + FONT_SIZE + 6)}" text-anchor="middle">${x.format(tick)}</text>`;
})}</g>
<g class="title"><text x="0" y="${px(keyHeight + FONT_SIZE)}">${chart.y.title}</text>
<text x="${px(plot.x + plot.width)}" y="${px(bottom + 2 * FONT_SIZE + 14)}" text-anchor="end">${chart.x.title}</text></g>`;
}

/** A rule with the place of its label: at the right end, or at the top, below the labels of rules that are too near. */
interface PlacedRule {
  readonly rule: Rule;
  readonly box: Box;
}

function placeRules(rules: readonly Rule[], { plot, toX, toY }: Frame): readonly PlacedRule[] {
  const height = FONT_SIZE * 1.3;
  const placed: PlacedRule[] = [];
  for (const rule of rules) {
    const width = textWidth(rule.label, FONT_SIZE);
    const at = rule.x === undefined ? 0 : toX(rule.x);
    const left =
      rule.x === undefined ? plot.x + plot.width - width : at + 5 + width > plot.x + plot.width ? at - 5 - width : at + 5;
    let box: Box = { x: left, y: rule.x === undefined ? toY(rule.y ?? 0) - 5 - FONT_SIZE : plot.y, width, height };
    while (rule.x !== undefined && placed.some((other) => overlaps(other.box, box)) && box.y < plot.y + plot.height / 2)
      box = { ...box, y: box.y + height };
    placed.push({ rule, box });
  }
  return placed;
}

function drawRule({ rule: { x, y, label }, box }: PlacedRule, { plot, toX, toY }: Frame): Markup {
  const at = x === undefined ? toY(y ?? 0) : toX(x);
  const path = x === undefined ? line(plot.x, at, plot.x + plot.width, at) : line(at, plot.y, at, plot.y + plot.height);
  const end = x === undefined || box.x < at;
  const [side, anchor] = end ? [box.x + box.width, 'end'] : [box.x, 'start'];
  return html`<g class="rule">${path}<text x="${px(side)}" y="${px(box.y + FONT_SIZE)}" text-anchor="${anchor}">${label}</text></g>`;
}

function drawSeries(chart: XyChart, series: Series, style: string, shape: number, frame: Frame): Markup {
  const points = shownPoints(chart, series);
  const path = points.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${px(frame.toX(x))} ${px(frame.toY(y))}`).join('');
  const drawn =
    (series.line ?? 'none') !== 'none' && points.length > 1 && html`<path class="line ${series.line ?? ''}" d="${path}"/>`;
  const bars = points
    .filter(({ low, high }) => low !== undefined && high !== undefined)
    .map(
      ({ x, low = 0, high = 0 }) =>
        html`<path class="error" d="M${px(frame.toX(x))} ${px(frame.toY(low))}V${px(frame.toY(high))}"/>`,
    );
  const marks =
    (series.marks ?? true) &&
    points.map((point) => {
      const [cx, cy] = [frame.toX(point.x), frame.toY(point.y)];
      const title = html`<title>${point.title ?? tooltip(chart, series, point)}</title>`;
      const hit = html`<circle class="hit" cx="${px(cx)}" cy="${px(cy)}" r="9"/>`;
      return html`<g class="${series.hollow === true ? 'mark hollow' : 'mark'}">${title}${hit}${symbol(shape, cx, cy)}</g>`;
    });
  return html`<g class="${style}">${drawn}${bars}${marks}</g>\n`;
}

function tooltip(chart: XyChart, series: Series, { x, y, label }: Point): string {
  const name = label === undefined || label === series.name ? series.name : `${series.name}, ${label}`;
  return `${name}\n${chart.x.title}: ${(chart.x.format ?? formatSi)(x)}\n${chart.y.title}: ${(chart.y.format ?? formatSi)(y)}`;
}

function drawLabels(chart: XyChart, frame: Frame, rules: readonly PlacedRule[]): Markup {
  const all = chart.series.flatMap((series, i) =>
    shownPoints(chart, series).map((point) => ({
      point,
      series,
      style: styleOf(series, i),
      x: frame.toX(point.x),
      y: frame.toY(point.y),
    })),
  );
  const lines = chart.series.flatMap((series): Segment[] => {
    if ((series.line ?? 'none') === 'none') return [];
    const points = shownPoints(chart, series);
    return points.slice(1).map((point, i) => {
      const from = points[i] ?? point;
      return { x1: frame.toX(from.x), y1: frame.toY(from.y), x2: frame.toX(point.x), y2: frame.toY(point.y) };
    });
  });
  const obstacles = [
    ...all
      .filter(({ series }) => series.marks ?? true)
      .map(({ x, y }) => ({ x: x - MARK, y: y - MARK, width: 2 * MARK, height: 2 * MARK })),
    ...rules.map(({ box }) => box),
  ];
  const wanted = all.filter(({ point }) => point.label !== undefined);
  const placed = placeLabels(
    wanted.map(({ x, y, point }) => ({ x, y, text: point.label ?? '' })),
    FONT_SIZE,
    { ...frame.plot, width: frame.plot.width + 12 },
    obstacles,
    lines,
  );
  return join(placed.map((label, i) => label !== undefined && drawLabel(label, wanted[i]?.style ?? '')));
}

function drawLabel({ x, y, height, text, width, leader }: PlacedLabel, style: string): Markup {
  // Centred in the estimated box, whatever the font makes of it.
  const line =
    leader !== undefined &&
    html`<path class="leader" d="M${px(leader.x1)} ${px(leader.y1)}L${px(leader.x2)} ${px(leader.y2)}"/>`;
  const [centre, baseline] = [px(x + width / 2), px(y + height * 0.8)];
  return html`<g class="label ${style}">${line}<text x="${centre}" y="${baseline}" text-anchor="middle">${text}</text></g>`;
}

function emptyChart({ title }: XyChart, { width }: ChartSize): Markup {
  const text = html`<g class="tick"><text x="0" y="34">no data</text></g>`;
  return html`<svg class="chart" viewBox="0 0 ${width} 60" width="${width}" height="60" role="img" aria-label="${title}">${text}</svg>`;
}

function line(x1: number, y1: number, x2: number, y2: number): Markup {
  return html`<path d="M${px(x1)} ${px(y1)}L${px(x2)} ${px(y2)}"/>`;
}

/** Tenths of a pixel are enough and keep the file small. */
export function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}
