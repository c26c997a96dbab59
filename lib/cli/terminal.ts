// SPDX-License-Identifier: Apache-2.0
// What the commands write with: two streams, whether a person is looking at them, tables and bars.
// Knows no command and no model.

import type { Writable } from 'node:stream';

/** A stream that may be a terminal, as process.stdout and process.stderr are. */
export type Stream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** Left out where a terminal is too narrow for all, the highest first and equal ones together; never unless given. */
  readonly drop?: number;
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

export class Terminal {
  readonly #stdout: Stream;
  readonly #stderr: Stream;
  readonly #colour: boolean;

  constructor(stdout: Stream, stderr: Stream, env: NodeJS.ProcessEnv) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.#colour = stdout.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  }

  /** The standard error stream if a person sees it live, so that a progress bar makes sense. */
  get live(): Stream | undefined {
    return this.#stderr.isTTY === true ? this.#stderr : undefined;
  }

  out(text: string): void {
    this.#stdout.write(`${text}\n`);
  }

  json(value: unknown): void {
    this.out(JSON.stringify(value, undefined, 2));
  }

  error(message: string): void {
    this.#stderr.write(`efficientnet-simd: ${printable(message)}\n`);
  }

  bold(text: string): string {
    return this.#colour ? `\u001b[1m${text}\u001b[22m` : text;
  }

  dim(text: string): string {
    return this.#colour ? `\u001b[2m${text}\u001b[22m` : text;
  }

  /** Characters in a line of standard output where it is a terminal that tells; 10 at least. */
  get columns(): number | undefined {
    return this.#stdout.isTTY === true && this.#stdout.columns ? Math.max(10, this.#stdout.columns) : undefined;
  }

  /** Rows under titles, columns two spaces apart, without trailing spaces. */
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void {
    const widths = columns.map(({ title }, c) => Math.max(title.length, ...rows.map((row) => (row[c] ?? '').length)));
    const kept = new Set(keptColumns(columns, widths, this.columns ?? Infinity));
    const line = (cells: readonly string[]): string =>
      columns
        .flatMap(({ align }, c) => {
          if (!kept.has(c)) return [];
          const cell = cells[c] ?? '';
          return [align === 'right' ? cell.padStart(widths[c] ?? 0) : cell.padEnd(widths[c] ?? 0)];
        })
        .join('  ')
        .trimEnd();
    this.out(this.bold(line(columns.map(({ title }) => title))));
    for (const row of rows) this.out(line(row));
  }
}

/** Places of the columns that fit, without those to be left out first. */
function keptColumns(columns: readonly Column[], widths: readonly number[], room: number): readonly number[] {
  const orders = [...new Set(columns.flatMap(({ drop }) => drop ?? []))].sort((a, b) => a - b);
  let kept = columns.map((_, c) => c);
  while (kept.reduce((sum, c) => sum + (widths[c] ?? 0) + 2, -2) > room) {
    const highest = orders.pop();
    if (highest === undefined) break;
    kept = kept.filter((c) => columns[c]?.drop !== highest);
  }
  return kept;
}

/** A bar of at most `width` characters for a share of 0 to 1, in steps of an eighth of a character. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '');
}

/** Text from outside, without the control characters that could move the cursor or set a title. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (character) =>
    `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

/** 20710401 as `20.7 MB`; decimal units, as downloads are counted. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB'];
  let value = bytes / 1000;
  let unit = 0;
  for (; value >= 999.95 && unit < units.length - 1; unit++) value /= 1000;
  return `${value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** 5288548 as `5,288,548`, whatever the locale. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

export function formatMilliseconds(milliseconds: number): string {
  return milliseconds >= 1000 ? `${(milliseconds / 1000).toFixed(2)} s` : `${milliseconds.toFixed(milliseconds < 10 ? 2 : 1)} ms`;
}
