// SPDX-License-Identifier: Apache-2.0
// A report: one HTML file that needs nothing else, legible in light and dark, on a phone and on
// paper. Knows no networks; commands fill it.

import { barChart, type BarChart } from './bar-chart.js';
import { html, join, type Content, type Markup } from './markup.js';
import { style } from './style.js';
import { xyChart, type XyChart } from './xy-chart.js';

/** Widths in pixels of the drawings of each chart, and their shape; the reader's window chooses. */
const drawings = [
  { name: 'wide', width: 880, squareness: 0 },
  { name: 'medium', width: 560, squareness: 0.6 },
  { name: 'narrow', width: 360, squareness: 0.9 },
] as const;

export interface Page {
  readonly title: string;
  /** One or two sentences under the title. */
  readonly lead: Content;
  /** Name and value, shown as tiles: the few figures that matter most. */
  readonly facts?: readonly (readonly [name: string, value: string])[];
  readonly sections: readonly Section[];
  /** How the figures came about: program, machine, date, command. */
  readonly footer: Content;
}

export interface Section {
  readonly title: string;
  readonly content: Content;
}

export interface TableColumn {
  readonly title: Content;
  readonly align?: 'left' | 'right';
  /** Long text may break into lines. */
  readonly wrap?: boolean;
}

export interface Table {
  readonly columns: readonly TableColumn[];
  readonly rows: readonly (readonly Content[])[];
  /** Index of the row to stress. */
  readonly best?: number;
}

/** The whole file as text. */
export function page({ title, lead, facts = [], sections, footer }: Page): string {
  return String(html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<main>
<header>
<h1>${title}</h1>
<p class="lead">${lead}</p>
${facts.length > 0 && html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`}
</header>
${sections.map(
  (section) => html`<section>
<h2>${section.title}</h2>
${section.content}
</section>
`,
)}<footer>${footer}</footer>
</main>
</body>
</html>
`);
}

/** A chart under its own title, where a section has several. */
export function titledFigure(chart: XyChart | BarChart, caption: Content, squareness?: number): Markup {
  return html`<h3>${chart.title}</h3>${figure(chart, caption, squareness)}`;
}

/**
 * A chart with its caption, drawn once for each width of window, since scaling would make its text
 * too small or too large. `squareness` is height by width.
 */
export function figure(chart: XyChart | BarChart, caption: Content, squareness = 0.5): Markup {
  const draw = (width: number, least: number): Markup =>
    'categories' in chart
      ? barChart(chart, width)
      : xyChart(chart, { width, height: Math.round(width * Math.max(least, squareness)) });
  return html`<figure>${drawings.map((one) => html`<div class="${one.name}">${draw(one.width, one.squareness)}</div>`)}<figcaption>${caption}</figcaption></figure>`;
}

export function table({ columns, rows, best }: Table): Markup {
  const cell = (column: TableColumn): string =>
    [column.align === 'right' ? 'right' : '', column.wrap === true ? 'wrap' : ''].filter(Boolean).join(' ');
  return html`<div class="scroll"><table>
<thead><tr>${columns.map((column) => html`<th class="${cell(column)}" scope="col">${column.title}</th>`)}</tr></thead>
<tbody>${rows.map(
    (
      row,
      i,
    ) => html`<tr class="${i === best ? 'best' : ''}">${columns.map((column, c) => html`<td class="${cell(column)}">${row[c]}</td>`)}</tr>
`,
  )}</tbody></table></div>`;
}

/** Text that opens on a click: the numbers behind a picture. */
export function details(summary: string, content: Content): Markup {
  return html`<details><summary>${summary}</summary>${content}</details>`;
}

/** A bar for a cell of a table, of a share of 0 to 1 of the longest. */
export function shareBar(share: number): Markup {
  const width = Math.round(48 * Math.min(1, Math.max(0, share)));
  return html`<svg class="share" width="48" height="10" role="presentation"><rect class="bar" y="1" width="${width}" height="8" rx="1"/></svg>`;
}

/** Whose figure it is. */
export function badge(kind: 'published' | 'measured here'): Markup {
  return html`<span class="badge ${kind === 'published' ? 'published' : 'measured'}">${kind}</span>`;
}

export function paragraphs(...texts: readonly Content[]): Markup {
  return join(texts.map((text) => html`<p>${text}</p>\n`));
}
