// SPDX-License-Identifier: Apache-2.0
// A chart as an SVG file of its own, for a document: with its colours, light and dark, and nothing
// that it would fetch.

import { barChart, barChartHeight, type BarChart } from './bar-chart.js';
import { html } from './markup.js';
import { pictureStyle } from './style.js';
import { xyChart, type ChartSize, type XyChart } from './xy-chart.js';

const MARGIN = 16;

/** The whole file as text; the size is that of the chart, without a margin around it. The height of bars follows from their number. */
export function picture(chart: XyChart, size: ChartSize): string;
export function picture(chart: BarChart, size: Pick<ChartSize, 'width'>): string;
export function picture(chart: XyChart | BarChart, given: Pick<ChartSize, 'width'> & Partial<ChartSize>): string {
  const bars = 'categories' in chart;
  const size = { width: given.width, height: bars ? barChartHeight(chart, given.width) : (given.height ?? given.width / 2) };
  const [width, height] = [size.width + 2 * MARGIN, size.height + 2 * MARGIN];
  return String(html`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<style>${pictureStyle}</style>
<rect class="page" width="${width}" height="${height}" rx="6"/>
<g transform="translate(${MARGIN} ${MARGIN})">${bars ? barChart(chart, size.width) : xyChart(chart, size)}</g>
</svg>
`);
}
