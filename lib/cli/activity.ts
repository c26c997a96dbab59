// SPDX-License-Identifier: Apache-2.0
// The one line on a terminal that says what long work is doing and how far it is. Draws nothing where
// nobody watches; downloads have progress.ts.

import { bar, type Stream } from './terminal.js';

const REDRAW_MILLISECONDS = 100;
const BAR_WIDTH = 24;
const CLEAR_LINE = '\r\u001b[2K';

export class Activity {
  readonly #stream: Stream | undefined;
  #shown = '';
  #drawn = -Infinity;

  constructor(stream: Stream | undefined) {
    this.#stream = stream;
  }

  /** `share` is 0 to 1. A new activity is drawn at once, its progress ten times a second at most. */
  readonly update = (doing: string, share: number): void => {
    if (!this.#stream) return;
    const now = performance.now();
    if (doing === this.#shown && now - this.#drawn < REDRAW_MILLISECONDS) return;
    [this.#shown, this.#drawn] = [doing, now];
    // Some terminals tell a width of 0.
    this.#stream.write(CLEAR_LINE + activityLine(doing, share).slice(0, Math.max(10, (this.#stream.columns || 80) - 1)));
  };

  /** Leaves the line empty for whatever is written next. */
  end(): void {
    if (this.#shown !== '') this.#stream?.write(CLEAR_LINE);
    this.#shown = '';
  }
}

export function activityLine(doing: string, share: number): string {
  const done = Math.min(1, Math.max(0, share));
  return `${doing}  ▕${bar(done, BAR_WIDTH).padEnd(BAR_WIDTH)}▏ ${Math.floor(100 * done)} %`;
}
