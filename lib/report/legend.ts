// SPDX-License-Identifier: Apache-2.0
// The key of a chart and the shapes of its marks. Shapes differ as well as colours, so that a print
// in grey and readers who see few colours lose nothing.

import { textWidth } from './labels.js';
import { html, join, type Markup } from './markup.js';

export const FONT_SIZE = 12;
const ROW = 20;
const SAMPLE = 26;

export interface LegendEntry {
  readonly name: string;
  /** Class of the style sheet: `s0` to `s7`, or `muted`. */
  readonly style: string;
  readonly line: 'none' | 'solid' | 'dashed' | 'dotted';
  readonly marks: boolean;
  readonly hollow: boolean;
  readonly shape: number;
}

/** Entries in rows of the given width, and the height that they take. */
export function legend(entries: readonly LegendEntry[], width: number): { readonly height: number; readonly drawn: Markup } {
  let [x, row] = [0, 0];
  const drawn = entries.map((entry) => {
    const room = SAMPLE + 6 + textWidth(entry.name, FONT_SIZE) + 18;
    if (x > 0 && x + room - 18 > width) [x, row] = [0, row + 1];
    const piece = drawEntry(entry, x, row * ROW + ROW / 2);
    x += room;
    return piece;
  });
  return { height: (row + 1) * ROW + 4, drawn: html`<g class="key">${join(drawn)}</g>` };
}

function drawEntry({ name, style, line, marks, hollow, shape }: LegendEntry, x: number, y: number): Markup {
  const drawn = line !== 'none' && html`<path class="line ${line}" d="M${x} ${y}h${SAMPLE}"/>`;
  const mark = marks && html`<g class="${hollow ? 'mark hollow' : 'mark'}">${symbol(shape, x + SAMPLE / 2, y)}</g>`;
  return html`<g class="${style}">${drawn}${mark}<text x="${x + SAMPLE + 6}" y="${y + FONT_SIZE * 0.35}">${name}</text></g>`;
}

/** One of six shapes of about the same area, 8 pixels wide, around a point. */
export function symbol(shape: number, x: number, y: number): Markup {
  const paths = [
    'M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z',
    'M-3.6 -3.6h7.2v7.2h-7.2z',
    'M0 -4.7L4.6 3.4H-4.6z',
    'M0 -5L5 0L0 5L-5 0z',
    'M0 4.7L4.6 -3.4H-4.6z',
    'M-1.5 -4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z',
  ];
  const at = (value: number): number => Math.round(value * 10) / 10;
  return html`<path class="shape" transform="translate(${at(x)} ${at(y)})" d="${paths[shape % paths.length] ?? ''}"/>`;
}
