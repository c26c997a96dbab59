// SPDX-License-Identifier: Apache-2.0
// The line that says what long work is doing: drawn where somebody watches, and nowhere else.

import { strict as assert } from 'node:assert';
import { Writable } from 'node:stream';

import { Activity, activityLine } from '../../lib/cli/activity.js';
import type { Stream } from '../../lib/cli/terminal.js';

function watched(columns: number): { readonly stream: Stream; readonly text: () => string } {
  let text = '';
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  return { stream: Object.assign(sink, { isTTY: true, columns }), text: () => text };
}

describe('activity on a terminal', () => {
  it('is a bar with its share', () => {
    assert.equal(activityLine('Running', 0.5), `Running  ▕${'█'.repeat(12)}${' '.repeat(12)}▏ 50 %`);
    assert.match(activityLine('Running', -1), / 0 %$/);
    assert.match(activityLine('Running', 7), / 100 %$/);
  });

  it('draws a new activity at once, fits the window, and clears the line at the end', () => {
    const { stream, text } = watched(20);
    const activity = new Activity(stream);
    activity.update('One', 0);
    activity.update('One', 0.1); // within a tenth of a second
    activity.update('Two, of a name that is too long', 0.2);
    activity.end();
    activity.end();
    const lines = text().split('\r\u001b[2K');
    assert.equal(lines.length, 4);
    assert.match(lines[1] ?? '', /^One/);
    assert.equal(lines[2], 'Two, of a name that');
    assert.equal(lines[3], '');
  });

  it('draws nothing where nobody watches', () => {
    const activity = new Activity(undefined);
    activity.update('One', 0);
    activity.end();
  });
});
