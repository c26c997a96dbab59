// SPDX-License-Identifier: Apache-2.0
// What the commands take from this folder: exports only.

export { formatPlain, formatSi, type Axis } from './axis.js';
export type { BarChart, BarSeries } from './bar-chart.js';
export { html, join, type Content, type Markup } from './markup.js';
export {
  badge,
  details,
  figure,
  page,
  paragraphs,
  shareBar,
  table,
  titledFigure,
  type Page,
  type Section,
  type Table,
  type TableColumn,
} from './page.js';
export { picture } from './picture.js';
export { terminalChart, type TextSize } from './terminal-chart.js';
export type { Point, Rule, Series, XyChart } from './xy-chart.js';
