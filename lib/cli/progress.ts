// SPDX-License-Identifier: Apache-2.0
// The one line that a download draws on a terminal: bar, bytes, rate and time left. Draws nothing
// where nobody watches.

import { bar, formatBytes, type Stream } from './terminal.js';

const REDRAW_MILLISECONDS = 100;
const BAR_WIDTH = 16;
const CLEAR_LINE = '\r\u001b[2K';

export interface DownloadState {
  readonly name: string;
  readonly receivedBytes: number;
  readonly totalBytes: number;
}

export class ProgressBar {
  readonly #stream: Stream | undefined;
  readonly #now: () => number;
  #started: number | undefined;
  #drawn = -Infinity;

  constructor(stream: Stream | undefined, now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#now = now;
  }

  update(state: DownloadState): void {
    if (!this.#stream) return;
    const now = this.#now();
    this.#started ??= now;
    const last = state.totalBytes > 0 && state.receivedBytes >= state.totalBytes;
    if (!last && now - this.#drawn < REDRAW_MILLISECONDS) return;
    this.#drawn = now;
    const line = progressLine(state, now - this.#started);
    // Some terminals tell a width of 0.
    this.#stream.write(CLEAR_LINE + line.slice(0, Math.max(10, (this.#stream.columns || 80) - 1)));
  }

  /** Leaves the line empty for whatever is written next. */
  end(): void {
    if (this.#started !== undefined) this.#stream?.write(CLEAR_LINE);
    this.#started = undefined;
  }
}

export function progressLine({ name, receivedBytes, totalBytes }: DownloadState, milliseconds: number): string {
  const known = totalBytes > 0;
  const share = known ? receivedBytes / totalBytes : 0;
  const rate = milliseconds > 0 ? (receivedBytes / milliseconds) * 1000 : 0;
  const seconds = rate > 0 && known ? Math.ceil((totalBytes - receivedBytes) / rate) : undefined;
  const left = seconds === undefined ? '' : `  ${formatSeconds(seconds)} left`;
  const speed = rate > 0 ? `  ${formatBytes(Math.round(rate))}/s` : '';
  const done = known ? `${formatBytes(receivedBytes)} of ${formatBytes(totalBytes)}` : formatBytes(receivedBytes);
  return `Fetching ${name}  ▕${bar(share, BAR_WIDTH).padEnd(BAR_WIDTH)}▏  ${done}${speed}${left}`;
}

function formatSeconds(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds} s` : `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`;
}
