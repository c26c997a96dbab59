// SPDX-License-Identifier: Apache-2.0
// Groups of horizontal bars as an SVG picture, each bar with its value at its end; the axis begins at
// zero, since a bar is read by its length.

import { fitAxis, formatSi, type Axis } from './axis.js';
import { textWidth } from './labels.js';
import { FONT_SIZE, legend } from './legend.js';
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

/** The chart as an SVG element of this width in pixels; its height follows from the number of bars. */
export function barChart(chart: BarChart, width: number): Markup {
  const { categories, series, axis } = chart;
  const format = axis.format ?? formatSi;
  const values = series.flatMap((each) => each.values.filter((value): value is number => value !== undefined && Number.isFinite(value)));
  const key = series.length > 1
    ? legend(series.map((each, i) => ({ name: each.name, style: styleOf(each, i), line: 'none', marks: true, hollow: each.hollow ?? false, shape: 1 })), width)
    : { height: 0, drawn: undefined };
  // Long names stand above their group where they would take more than a third of the width.
  const widest = Math.max(0, ...categories.map((name) => textWidth(name, FONT_SIZE)));
  const stacked = widest > width / 3;
  const left = stacked ? 0 : widest + 10;
  const room = Math.max(...values.map((value) => textWidth(format(value), FONT_SIZE)), values.length < series.length * categories.length ? textWidth(MISSING, FONT_SIZE) : 0);
  const plotWidth = width - left - room - 8;
  const fitted = fitAxis({ ...axis, scale: 'linear', min: 0 }, [0, ...values], (ticks, { position }) =>
    ticks.length < 2 || (position(ticks[1] ?? 0) - position(ticks[0] ?? 0)) * plotWidth >= Math.max(...ticks.map((tick) => textWidth(format(tick), FONT_SIZE))) + 14);
  const groupHeight = series.length * BAR + (stacked ? FONT_SIZE + 6 : 0) + GROUP_GAP;
  const top = key.height + 6;
  const bottom = top + categories.length * groupHeight;
  const toX = (value: number): number => left + Math.min(1, fitted.position(value)) * plotWidth;
  const height = bottom + 2 * FONT_SIZE + 16;
  const bars = categories.map((category, c) => {
    const y = top + c * groupHeight + GROUP_GAP / 2;
    const first = stacked ? y + FONT_SIZE + 6 : y;
    const name = stacked
      ? html`<text x="0" y="${px(y + FONT_SIZE)}">${category}</text>`
      : html`<text x="${px(left - 10)}" y="${px(y + (series.length * BAR) / 2 + FONT_SIZE * 0.35)}" text-anchor="end">${category}</text>`;
    return html`<g class="category">${name}</g>${series.map((each, s) => drawBar(each, styleOf(each, s), category, each.values[c], each.titles?.[c], first + s * BAR))}`;
  });
  function drawBar(each: BarSeries, style: string, category: string, value: number | undefined, title: string | undefined, y: number): Markup {
    const missing = value === undefined || !Number.isFinite(value);
    const end = missing ? left : toX(Math.max(0, value));
    const text = missing ? MISSING : format(value);
    return html`<g class="${style}"><title>${title ?? `${each.name}, ${category}: ${text}`}</title>${!missing && html`<rect class="${each.hollow === true ? 'bar hollow' : 'bar'}" x="${px(left)}" y="${px(y + 1.5)}" width="${px(Math.max(1, end - left))}" height="${BAR - 3}" rx="1.5"/>`}<text class="${missing ? 'value missing' : 'value'}" x="${px(end + 5)}" y="${px(y + BAR / 2 + FONT_SIZE * 0.35)}">${text}</text></g>`;
  }
  return html`<svg class="chart" viewBox="0 0 ${width} ${px(height)}" width="${width}" height="${px(height)}" role="img" aria-label="${chart.title}">
${key.drawn}<g class="grid">${fitted.ticks.map((tick) => html`<path d="M${px(toX(tick))} ${px(top)}V${px(bottom)}"/>`)}</g>
<g class="tick">${fitted.ticks.map((tick, i) => html`<text x="${px(toX(tick))}" y="${px(bottom + FONT_SIZE + 2)}" text-anchor="${i === 0 && left === 0 ? 'start' : 'middle'}">${format(tick)}</text>`)}</g>
<g class="title"><text x="${px(left + plotWidth)}" y="${px(bottom + 2 * FONT_SIZE + 10)}" text-anchor="end">${axis.title}</text></g>
${join(bars)}
</svg>`;
}

function styleOf(series: BarSeries, index: number): string {
  return `s${(series.colour ?? index) % 8}`;
}
