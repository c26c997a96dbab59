// SPDX-License-Identifier: Apache-2.0
// The options of load on the command line: whatever a message of load tells a user to give, every command
// that loads a checkpoint takes under the same name, and hands on.

import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { classify } from '../../lib/cli/classify.js';
import { convert } from '../../lib/cli/convert.js';
import { info } from '../../lib/cli/info.js';
import { run } from '../../lib/cli/run.js';
import { weightsOptions } from '../../lib/open-weights.js';
import { root } from './helpers/oracle.js';
import { storedFile } from './helpers/small-keras.js';

const commands = [classify, run, convert, info];
/** For programs alone, or named otherwise: convert's input is its first argument. */
const elsewhere: Readonly<Record<string, string>> = { architecture: 'model', signal: '', onProgress: '', labels: '' };
const dashed = (name: string): string => elsewhere[name] ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const execute = promisify(execFile);
const program = join(root, 'bin', 'efficientnet-simd.js');

async function call(...args: readonly string[]): Promise<{ readonly code: number; readonly stderr: string; readonly stdout: string }> {
  try {
    return { code: 0, ...(await execute(process.execPath, [program, ...args])) };
  } catch (error) {
    const { code, stderr, stdout } = error as { code: number; stderr: string; stdout: string };
    return { code, stderr, stdout };
  }
}

describe('options of load on the command line', function () {
  this.timeout(60_000);

  it('every command that loads a checkpoint has every one of them', () => {
    let checked = 0;
    for (const option of weightsOptions) {
      const name = dashed(option);
      for (const command of commands) {
        if (name === '' || (command === convert && name === 'weights')) continue;
        assert.ok(Object.hasOwn(command.options, name), `${command.name} has no --${name}`);
        checked++;
      }
    }
    assert.equal(checked, (weightsOptions.length - 3) * commands.length - 1);
  });

  it('the messages of load name no others', () => {
    const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts') && !/^(cli|bench|compound|report)\b/.test(name));
    const named = new Set<string>();
    for (const file of sources) {
      const text = readFileSync(join(root, 'lib', file), 'utf8');
      for (const [, option] of text.matchAll(/\bthe option (\w+)/g)) named.add(option ?? '');
      for (const [, option] of text.matchAll(/\boption: '(\w+)'/g)) named.add(option ?? '');
    }
    // Parts of the recipe are given with it.
    const parts = ['size', 'crop', 'filter'];
    const known: readonly string[] = [...weightsOptions, ...parts];
    assert.ok(named.size >= 5, [...named].join());
    // `format` and "the option decides" in comments are convert's own, and prose.
    assert.deepEqual([...named].filter((name) => !known.includes(name) && !['format', 'of'].includes(name)), []);
  });

  it('hands them on, and says what is wrong with them', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    try {
      const [weights, out] = [join(folder, 'a.h5'), join(folder, 'a.onnx')];
      writeFileSync(weights, storedFile());
      const cases: readonly (readonly [args: readonly string[], code: number, message: RegExp])[] = [
        [['--keras', 'old'], 2, /--keras expects fixed or legacy, found "old"/],
        [['--padding', 'both'], 2, /--padding expects same or symmetric/],
        [['--recipe', '5'], 2, /--recipe expects a JSON object, .* found "5"/],
        [['--recipe', '{'], 2, /--recipe expects a JSON object/],
        [['--recipe', '{"crop":"middle"}'], 2, /one of 'center', 'squash' for recipe\.crop but received the string "middle"/],
        [['--recipe', '{"sise":64}'], 2, /Unknown option 'sise' in recipe\. Did you mean 'size'/],
        [['--recipe', '{"std":[1,0,1]}'], 2, /other than 0 for recipe\.std\[1\]/],
        [['--batch-norm-epsilon', '7'], 2, /for --batch-norm-epsilon but received 7/],
        [['--integrity', 'sha256-AAAA'], 2, /integrity 'sha256-' and the 44 characters .* whose hash is 3 bytes long, not the 32 of sha256/],
        [['--file', 'b.h5'], 2, /file/],
        [['--external-data', 'data.bin'], 2, /Expected no --external-data: .* the checkpoint is of Keras\. Leave "data\.bin" out/],
        [['--keras', 'legacy', '--padding', 'same', '--recipe', '{"size":64}'], 1, /./],
      ];
      for (const [args, code, message] of cases) {
        const found = await call('convert', weights, out, ...args);
        assert.equal(found.code, code, `${args.join(' ')}: ${found.stderr}`);
        assert.match(found.stderr, message, args.join(' '));
      }
      // Before the checkpoint is looked for.
      for (const command of [['convert', 'none.h5', out], ['classify', '--weights', 'none.h5', 'none.png']]) {
        const found = await call(...command, '--recipe', '{"crop":"middle"}');
        assert.equal(found.code, 2, found.stderr);
        assert.match(found.stderr, /recipe\.crop.*\nTry: efficientnet-simd \w+ --help/s);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
