// SPDX-License-Identifier: Apache-2.0
// Groups of horizontal bars as an SVG picture, each bar with its value at its end; the axis begins at
// zero, since a bar is read by its length.

import { fitAxis, formatSi, type Axis, type FittedAxis } from './axis.js';
import { textWidth } from './labels.js';
import { FONT_SIZE, legend, type LegendEntry } from './legend.js';
import { html, join, type Markup } from './markup.js';
import { px } from './xy-chart.js';

export interface BarSeries {
  readonly name: string;
  /** One for each category; undefined or not finite where there is none: the place stays empty and says so. */
  readonly values: readonly (number | undefined)[];
  /** Shown when the pointer rests on the bar; series, category and value unless given. */
  readonly titles?: readonly (string | undefined)[];
  /** Only outlined: for figures of somebody else beside one's own. */
  readonly hollow?: boolean;
  /** 0 to 7; the place in the list unless given. */
  readonly colour?: number;
}

export interface BarChart {
  /** What the picture shows, for readers who do not see it. */
  readonly title: string;
  readonly categories: readonly string[];
  readonly series: readonly BarSeries[];
  /** Linear, with the unit in its title; `min` is ignored. */
  readonly axis: Axis;
}

const BAR = 16;
const GROUP_GAP = 14;
const MISSING = 'not measured';

/** The settled geometry of one picture. */
interface Layout {
  readonly axis: FittedAxis;
  /** Whether the names stand above their groups. */
  readonly stacked: boolean;
  readonly left: number;
  readonly top: number;
  readonly bottom: number;
  readonly plotWidth: number;
  readonly groupHeight: number;
  readonly toX: (value: number) => number;
}

/** The chart as an SVG element of this width in pixels; its height follows from the number of bars. */
export function barChart(chart: BarChart, width: number): Markup {
  const key = keyOf(chart, width);
  const layout = settle(chart, width, key.height);
  const { axis, left, top, bottom, plotWidth, toX } = layout;
  const height = heightOf(layout);
  const ticks = axis.ticks.map((tick, i) => {
    const anchor = i === 0 && left === 0 ? 'start' : 'middle';
    return html`<text x="${px(toX(tick))}" y="${px(bottom + FONT_SIZE + 2)}" text-anchor="${anchor}">${axis.format(tick)}</text>`;
  });
  const title = html`<text x="${px(left + plotWidth)}" y="${px(bottom + 2 * FONT_SIZE + 10)}" text-anchor="end">${chart.axis.title}</text>`;
  return html`<svg class="chart" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img"
 aria-label="${chart.title}">
${key.drawn}<g class="grid">${axis.ticks.map((tick) => html`<path d="M${px(toX(tick))} ${px(top)}V${px(bottom)}"/>`)}</g>
<g class="tick">${ticks}</g>
<g class="title">${title}</g>
${join(chart.categories.map((category, c) => drawGroup(chart, layout, category, c)))}
</svg>`;
}

/** The height that it will have. */
export function barChartHeight(chart: BarChart, width: number): number {
  return heightOf(settle(chart, width, keyOf(chart, width).height));
}

function heightOf({ bottom }: Layout): number {
  return Math.ceil(bottom + 2 * FONT_SIZE + 16);
}

function keyOf({ series }: BarChart, width: number): ReturnType<typeof legend> | { readonly height: 0; readonly drawn: undefined } {
  return series.length > 1 ? legend(legendEntries(series), width) : { height: 0, drawn: undefined };
}

function legendEntries(series: readonly BarSeries[]): readonly LegendEntry[] {
  return series.map((each, i) => ({
    name: each.name,
    style: styleOf(each, i),
    line: 'none',
    marks: true,
    hollow: each.hollow ?? false,
    shape: 1,
  }));
}

function settle({ categories, series, axis }: BarChart, width: number, keyHeight: number): Layout {
  const format = axis.format ?? formatSi;
  const values = series.flatMap((each) =>
    each.values.filter((value): value is number => value !== undefined && Number.isFinite(value)),
  );
  const widest = Math.max(0, ...categories.map((name) => textWidth(name, FONT_SIZE)));
  // Long names would leave no room for the bars.
  const stacked = widest > width / 3;
  const left = stacked ? 0 : widest + 10;
  const missing = values.length < series.length * categories.length ? textWidth(MISSING, FONT_SIZE) : 0;
  const plotWidth = width - left - Math.max(missing, ...values.map((value) => textWidth(format(value), FONT_SIZE))) - 8;
  const fitted = fitAxis({ ...axis, scale: 'linear', min: 0 }, [0, ...values], (ticks, { position }) => {
    const apart = (position(ticks[1] ?? 0) - position(ticks[0] ?? 0)) * plotWidth;
    return ticks.length < 2 || apart >= Math.max(...ticks.map((tick) => textWidth(format(tick), FONT_SIZE))) + 14;
  });
  const groupHeight = series.length * BAR + (stacked ? FONT_SIZE + 6 : 0) + GROUP_GAP;
  const top = keyHeight + 6;
  const toX = (value: number): number => left + Math.min(1, fitted.position(value)) * plotWidth;
  return { axis: fitted, stacked, left, top, bottom: top + categories.length * groupHeight, plotWidth, groupHeight, toX };
}

function drawGroup({ series }: BarChart, layout: Layout, category: string, index: number): Markup {
  const { stacked, left, top, groupHeight } = layout;
  const y = top + index * groupHeight + GROUP_GAP / 2;
  const first = stacked ? y + FONT_SIZE + 6 : y;
  const middle = px(y + (series.length * BAR) / 2 + FONT_SIZE * 0.35);
  const name = stacked
    ? html`<text x="0" y="${px(y + FONT_SIZE)}">${category}</text>`
    : html`<text x="${px(left - 10)}" y="${middle}" text-anchor="end">${category}</text>`;
  const bars = series.map(
    (each, s) => html`<g class="${styleOf(each, s)}">${drawBar(each, layout, category, index, first + s * BAR)}</g>`,
  );
  return html`<g class="category">${name}</g>${bars}`;
}

function drawBar(
  { name, values, titles, hollow }: BarSeries,
  { axis, left, toX }: Layout,
  category: string,
  index: number,
  y: number,
): Markup {
  const value = values[index];
  const missing = value === undefined || !Number.isFinite(value);
  const end = missing ? left : toX(Math.max(0, value));
  const text = missing ? MISSING : axis.format(value);
  const bar = html`<rect class="${hollow === true ? 'bar hollow' : 'bar'}" x="${px(left)}" y="${px(y + 1.5)}"
 width="${px(Math.max(1, end - left))}" height="${BAR - 3}" rx="1.5"/>`;
  const [baseline, kind] = [y + BAR / 2 + FONT_SIZE * 0.35, missing ? 'value missing' : 'value'];
  return html`<title>${titles?.[index] ?? `${name}, ${category}: ${text}`}</title>${!missing && bar}
<text class="${kind}" x="${px(end + 5)}" y="${px(baseline)}">${text}</text>`;
}

function styleOf(series: BarSeries, index: number): string {
  return `s${(series.colour ?? index) % 8}`;
}
