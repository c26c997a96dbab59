// SPDX-License-Identifier: Apache-2.0
// A chart as an SVG file of its own, for a document: with its colours, light and dark, and nothing
// that it would fetch.

import { html } from './markup.js';
import { pictureStyle } from './style.js';
import { xyChart, type ChartSize, type XyChart } from './xy-chart.js';

const MARGIN = 16;

/** The whole file as text; the size is that of the chart, without a margin around it. */
export function picture(chart: XyChart, size: ChartSize): string {
  const [width, height] = [size.width + 2 * MARGIN, size.height + 2 * MARGIN];
  return String(html`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<style>${pictureStyle}</style>
<rect class="page" width="${width}" height="${height}" rx="6"/>
<g transform="translate(${MARGIN} ${MARGIN})">${xyChart(chart, size)}</g>
</svg>
`);
}
