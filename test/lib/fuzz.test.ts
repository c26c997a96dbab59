// SPDX-License-Identifier: Apache-2.0
// The fuzzer itself: that it notices each fault it looks for, that a seed gives the same run, that every
// reader is registered; and a moment of every reader. The long runs are `npm run fuzz` and the CI's.
// Runs alone: it counts executions in a moment, and what takes a second is a failure.

import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fuzz, isFailure } from '../fuzz/fuzz.js';
import { mutate, Random } from '../fuzz/mutate.js';
import { readers } from '../fuzz/readers.js';

const faulty = join(__dirname, 'helpers', 'faulty-readers.js');

describe('fuzzer', function () {
  this.timeout(60_000);

  const faults: readonly (readonly [reader: string, problem: RegExp])[] = [
    ['throws-another-error', /^threw RangeError/],
    ['throws-no-error', /^threw Error: something that is no error: text/],
    ['never-returns', /^did not return within 1500 ms/],
    ['is-slow', /^took 1\d\d\d ms for \d+ bytes/],
    ['believes-a-length', /^took \d+ bytes of memory for a file of \d+/],
    ['keeps-memory', /^memory grew by \d+ bytes/],
    ['refuses-its-seed', /^refused a seed: ERR_INVALID_CHECKPOINT/],
    ['rejects-late', /^threw RangeError: late/],
  ];
  for (const [reader, problem] of faults) {
    it(`notices a reader that ${reader.replaceAll('-', ' ')}`, async () => {
      const result = await fuzz({ reader, module: faulty, seconds: 20, seed: 1 }, 1500);
      assert.ok(isFailure(result), JSON.stringify(result));
      assert.match(result.problem, problem);
      assert.ok(result.execution > 0);
    });
  }

  it('passes a sound reader, with counts', async () => {
    const result = await fuzz({ reader: 'is-sound', module: faulty, seconds: 0.3, seed: 1 });
    assert.ok(!isFailure(result), JSON.stringify(result));
    assert.ok(result.executions > 1000 && result.loads > 100 && result.loads < result.executions, JSON.stringify(result));
    assert.equal(result.outcomes, 2);
  });

  it('gives the same changes for the same seed, and does change', () => {
    const files = [Buffer.from('{"a":123}'), new Uint8Array(100)];
    const run = (seed: number): string[] => {
      const random = new Random(seed);
      return Array.from({ length: 200 }, () => Buffer.from(mutate(random, files, [Buffer.from('x')])).toString('hex'));
    };
    assert.deepEqual(run(7), run(7));
    assert.notDeepEqual(run(7), run(8));
    assert.ok(new Set(run(7)).size > 150);
    assert.deepEqual([...(files[1] ?? [])], Array.from({ length: 100 }, () => 0), 'the seed itself was changed');
  });

  it('knows every reader of lib/formats', () => {
    const formats = join(__dirname, '..', '..', 'lib', 'formats');
    const isReader = (file: string): boolean => /^exports\.(read|parse)[A-Z]\w* = /m.test(readFileSync(join(formats, file), 'utf8'));
    // file.js reads paths; what the bytes mean it does not know.
    const found = readdirSync(formats).filter((file) => file.endsWith('.js') && file !== 'file.js' && isReader(file));
    assert.ok(found.length >= 6, found.join());
    const entries = join(__dirname, '..', 'fuzz', 'readers');
    const used = readdirSync(entries).map((file) => readFileSync(join(entries, file), 'utf8')).join();
    assert.deepEqual(found.filter((file) => !used.includes(`lib/formats/${file}`)), [], 'readers without an entry in test/fuzz/readers');
    assert.equal(new Set(readers.map(({ name }) => name)).size, readers.length);
  });

  for (const { name } of readers) {
    it(`a moment of ${name}`, async () => {
      const result = await fuzz({ reader: name, seconds: 0.5, seed: 20 });
      assert.ok(!isFailure(result), isFailure(result) ? result.problem : '');
      assert.ok(result.executions > 100, String(result.executions));
    });
  }
});
