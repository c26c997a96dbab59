// SPDX-License-Identifier: Apache-2.0
// The command scale, and --phi of info and bench: usage, tables, JSON, reports; measured where that
// takes a second, counted elsewhere.

import { strict as assert } from 'node:assert';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';

import { runCommandLine } from '../../lib/cli/main.js';
import { Terminal, type Stream } from '../../lib/cli/terminal.js';
import { architectures, scale } from '../../lib/index.js';

/** On a terminal of so many columns, or into a pipe. */
async function call(args: string, columns?: number): Promise<{ readonly status: number; readonly out: string; readonly err: string }> {
  const text = { out: '', err: '' };
  const stream = (name: 'out' | 'err'): Stream => {
    const writable = new Writable({
      write(chunk: Buffer, _encoding, done) {
        text[name] += chunk.toString();
        done();
      },
    });
    return columns === undefined ? writable : Object.assign(writable, { isTTY: name === 'out', columns });
  };
  const status = await runCommandLine(args.split(' ').filter(Boolean), new Terminal(stream('out'), stream('err'), { NO_COLOR: '1' }));
  return { status, ...text };
}

async function json(args: string): Promise<Record<string, unknown>> {
  const { status, out, err } = await call(`${args} --json`);
  assert.equal(status, 0, err);
  return JSON.parse(out) as Record<string, unknown>;
}

const folder = mkdtempSync(join(tmpdir(), 'effnet-scale-'));
after(() => rmSync(folder, { recursive: true, force: true }));

describe('cli scale, usage', () => {
  const wrong: readonly (readonly [args: string, ...message: string[]])[] = [
    ['scale --phi x', '--phi expects numbers', '"x"'],
    ['scale --phi NaN', '--phi expects numbers', '"NaN"'],
    ['scale --phi 1,,2', '--phi expects numbers', '""'],
    ['scale --dimension dept', 'did you mean depth?'],
    ['scale --budget-ms 0', '--budget-ms expects a number above 0'],
    ['scale --budget-ms -5', '"-5"'],
    ['scale --budget-macs 5X', '"5X"'],
    ['scale --budget-ms 5 --budget-macs 1G', '--budget-ms and --budget-macs'],
    ['scale --budget-ms 5 --phi 1', 'one of --budget-ms and --phi'],
    ['scale --table --dimension all', 'one of --dimension and --table'],
    ['scale --macs 1G', '--macs needs --dimension'],
    ['scale --family --table', 'one of --table and --family'],
    ['scale --budget-ms 5 --no-measure', 'leave out --no-measure'],
    ['scale --budge-ms 5', 'did you mean --budget-ms?'],
    ['scale --alpha 1,2', '--alpha expects one number'],
    ['scale --base b9', "Did you mean 'b0'?"],
    ['scale b0', 'scale takes no arguments but options'],
    ['info --alpha 2', '--alpha needs --phi'],
    ['info --cpu --phi 1', 'one of --phi and --cpu'],
    ['bench --strict', '--strict needs --phi'],
    ['bench --phi 1 --weights x.pth', 'one of --phi and --weights'],
    ['bench --kernels --phi 1', '--phi means nothing beside --kernels'],
  ];
  for (const [args, ...parts] of wrong) {
    it(`exits 2 for "${args}"`, async () => {
      const { status, out, err } = await call(args);
      assert.equal(status, 2, err);
      assert.equal(out, '');
      for (const part of parts) assert.ok(err.includes(part), err);
    });
  }

  const failing: readonly (readonly [args: string, ...message: string[]])[] = [
    ['scale --phi 40', 'limit of 4,096', 'from -14.03 to 16.24'],
    ['scale --phi 0,-20', 'below the 32 pixels'],
    ['scale --alpha 2 --strict', '3.200'],
    ['scale --alpha -1', 'alpha', '-1'],
    ['scale --dimension depth --macs 1M --no-measure', '385,814,752'],
    ['scale --budget-macs 5', 'at least', 'what the smallest network costs', '5 MACs'],
    ['scale --budget-parameters 1M --family', 'b0'],
    ['info --phi 40', 'limit of 4,096'],
    ['bench --phi -20', 'below the 32 pixels'],
    [`scale --html ${join(folder, 'no', 'such.html')}`, 'its folder does not exist'],
  ];
  for (const [args, ...parts] of failing) {
    it(`exits 1 for "${args.replace(folder, '...')}"`, async () => {
      const { status, out, err } = await call(args);
      assert.equal(status, 1, err);
      assert.equal(out, '');
      for (const part of parts) assert.ok(err.includes(part), err);
    });
  }

  it('warns with the product where it is not strict', async () => {
    const { status, out, err } = await call('scale --alpha 2 --phi 1 --no-measure');
    assert.equal(status, 0);
    assert.match(err, /warning: .*3\.200/);
    assert.match(out, / 1 +1\.100 +2\.000 +258 /);
  });
});

describe('cli scale, counted', () => {
  it('shows networks by phi, as a table, a chart and JSON', async () => {
    const { out } = await call('scale --phi -1,0,1.5 --no-measure');
    assert.match(out, /^b0 scaled by phi/);
    assert.match(out, /\n {2}0 +1\.000 +1\.000 +224 +16 +5,288,548 +385,814,752\n/);
    assert.ok(out.includes('●') && out.includes('MACs'), out);
    assert.ok(!/ \n/.test(out), 'trailing spaces');
    const value = await json('scale --phi -1,0,1.5 --no-measure');
    const { networks } = value as { networks: { phi: number; network: object; macs: number; parameters: number }[] };
    assert.deepEqual(
      networks.map(({ phi }) => phi),
      [-1, 0, 1.5],
    );
    const { width, depth, resolution, macs, parameters } = scale(1.5);
    const last = networks[2];
    assert.deepEqual([last?.network, last?.macs, last?.parameters], [{ width, depth, resolution }, macs, parameters]);
    assert.deepEqual([value['alpha'], value['product']], [1.2, 1.2 * 1.1 ** 2 * 1.15 ** 2]);
  });

  it('fits its tables and charts into the terminal', async () => {
    for (const args of ['scale --phi 0,1,2,3 --no-measure', 'scale --table', 'scale --dimension all --no-measure', 'scale --family --no-measure']) {
      for (const columns of [60, 200]) {
        const { out } = await call(args, columns);
        assert.ok(!out.includes('\u001b'), out);
        const rows = out.split('\n').filter((line) => / {2}|[│└┴]/.test(line) && !line.includes('scaled by phi'));
        assert.ok(rows.length >= 6 && rows.every((line) => line.length <= columns), out);
        // Dimensions are shown together or not at all.
        assert.equal(/\bwidth\b {2,}/.test(out), /\bdepth\b {2,}/.test(out), out);
      }
    }
    const widest = (text: string): number => Math.max(...text.split('\n').filter((line) => line.includes('─')).map((line) => line.length));
    const chart = 'scale --phi 0,1,2,3 --no-measure';
    assert.deepEqual([widest((await call(chart, 60)).out), widest((await call(chart, 200)).out), widest((await call(chart)).out)], [60, 100, 76]);
  });

  it('shows the published table beside the formula', async () => {
    const { out } = await call('scale --table');
    assert.match(out, /\nb0 +1 +1 +224 +5,288,548 +385,814,752 +77\.1 +\| +0 +1 +1 +224 +5,288,548 /);
    assert.match(out, /\nl2 +4\.3 +5\.3 +800 +480,309,308 /);
    assert.match(out, /arXiv 1905\.11946v5, Table 2/);
    const { family } = (await json('scale --table')) as {
      family: { name: string; published?: { top1: number; source: string } }[];
    };
    assert.equal(family.length, 10);
    assert.deepEqual(family.find(({ name }) => name === 'b7')?.published?.top1, 84.3);
  });

  it('shows each dimension at equal MACs beside what the paper published', async () => {
    const { out } = await call('scale --dimension all --no-measure');
    for (const line of [
      /\ndepth .*\| +d 4 +1\.8 G +79\.0/,
      /\nwidth .*\| +w 2 /,
      /\nresolution +1\.00 +1\.00 +\d+ /,
      /\ncompound .* 81\.1/,
      /MACs \(published\)/,
    ])
      assert.match(out, line);
    const { dimensions } = (await json('scale --dimension width,compound --macs 1G --no-measure')) as {
      dimensions: { dimension: string | null; macs: number; published: { source: string } | null }[];
    };
    assert.deepEqual(
      dimensions.map(({ dimension }) => dimension),
      [null, 'width', 'compound'],
    );
    for (const { macs } of dimensions.slice(1)) assert.ok(Math.abs(macs / 1e9 - 1) < 0.12, String(macs));
    assert.match(dimensions[1]?.published?.source ?? '', /Table 7/);
    const other = (await json('scale --base mobilenetv2-100 --dimension width --no-measure')) as {
      dimensions: { published: object | null }[];
    };
    assert.ok(other.dimensions.every(({ published }) => published === null));
  });

  it('shows every network known by name', async () => {
    const { members } = (await json('scale --family --no-measure')) as { members: { name: string; macs: number }[] };
    assert.deepEqual(members.map(({ name }) => name).sort(), Object.keys(architectures).sort());
    assert.match((await call('scale --family --no-measure')).out, /\nb0 +224 +5,288,548 +385,814,752\n/);
  });

  it('shows one network by phi', async () => {
    const value = await json('info --phi 1');
    const { macs, parameters, resolution } = scale(1);
    assert.deepEqual(
      [value['macs'], value['parameters'], value['resolution'], value['name']],
      [macs, parameters, resolution, 'b0, phi 1'],
    );
    const up = await json('info --phi 1 --model b1 --depth-rounding up');
    assert.equal(up['macs'], scale(1, { base: 'b1', depthRounding: 'up' }).macs);
  });
});

describe('cli scale, reports', () => {
  const report = async (args: string): Promise<string> => {
    const file = join(folder, 'report.html');
    const { status, out, err } = await call(`${args} --html ${file}`);
    assert.equal(status, 0, err);
    assert.ok(out.endsWith(`report: ${file}\n`), out);
    const text = readFileSync(file, 'utf8');
    assert.ok(
      !/<script|<link|<img|\bsrc=|\bhref=|https?:|NaN|undefined/.test(text),
      text.match(/.{40}(?:NaN|undefined|src=|https?:).{20}/)?.[0],
    );
    return text;
  };

  it('have every published figure with its source, and mark what was measured', async () => {
    const text = await report('scale --no-measure --phi 0,1');
    for (const part of [
      'Compound scaling of b0',
      'Table 2',
      'Table 3',
      'Table 7',
      'results-imagenet.csv',
      'class="badge published"',
      'Receptive field',
      'B7: depth 3.1',
      'MobileNetV1, w 2: 74.2 % at 2.2 G MACs',
      'efficientnet-simd scale --phi 0,1 --no-measure',
    ]) {
      assert.ok(text.includes(part), part);
    }
    assert.ok(!text.includes('What it costs here'), 'nothing was measured');
  });

  it('show one network', async () => {
    const text = await report('info --model v2-b0');
    for (const part of ['v2-b0 at 224x224', 'Where the work and the parameters are', 'blocks.0.conv', 'the whole picture'])
      assert.ok(text.includes(part), part);
    assert.ok((await report('info --phi 0.5')).includes('b0, phi 0.5 at 240x240'));
  });

  it('with --json print nothing else, and leave no half a file', async () => {
    const file = join(folder, 'json.html');
    await json(`scale --phi 0 --no-measure --html ${file}`);
    assert.ok(existsSync(file));
  });
});

describe('cli scale, measured here', () => {
  it('finds the largest network for a budget, which bench measures again', async () => {
    const fitted = (await json('scale --budget-macs 30M')) as {
      phi: number;
      network: { resolution: number };
      macs: number;
      parameters: number;
      milliseconds: number;
      trials: object[];
    };
    assert.deepEqual(Object.keys(fitted).slice(0, 5), ['phi', 'network', 'macs', 'parameters', 'milliseconds']);
    assert.ok(fitted.macs <= 30e6 && fitted.macs > 25e6 && fitted.milliseconds > 0);
    const { out, status } = await call(`bench --phi ${fitted.phi} --seconds 1 --json`);
    // 3 where the machine was not quiet: the network is the same all the same.
    assert.ok(status === 0 || status === 3);
    const again = JSON.parse(out) as {
      phi: number;
      network: object;
      macs: number;
      parameters: number;
      latency: { median: number };
    };
    assert.deepEqual(
      [again.phi, again.network, again.macs, again.parameters],
      [fitted.phi, fitted.network, fitted.macs, fitted.parameters],
    );
    assert.ok(again.latency.median > 0);
  }).timeout(180_000);

  it('shows a budget as text with the command that measures it again', async () => {
    const { out, status, err } = await call('scale --budget-parameters 6M --family');
    assert.equal(status, 0, err);
    assert.match(out, /^b0 {2}width 1\.000, depth 1\.000, 224x224\n/);
    assert.match(out, /ms measured here \(1 thread, \w+\); takes 88 % of 6,000,000 parameters/);
    assert.match(out, /efficientnet-simd bench --model b0 --threads 1 --isa \w+\n$/);
  }).timeout(180_000);

  it('gives times and memory of each phi', async () => {
    const { networks, threads } = (await json('scale --phi -6,-5 --threads 1')) as {
      networks: { milliseconds: number; memory: number }[];
      threads: number;
    };
    assert.equal(threads, 1);
    for (const { milliseconds, memory } of networks) assert.ok(milliseconds > 0 && memory > 1e6);
  }).timeout(180_000);
});
