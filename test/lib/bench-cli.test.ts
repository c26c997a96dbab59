// SPDX-License-Identifier: Apache-2.0
// `bench` as a user runs it: options, what is refused and when, the fields of its JSON, the report
// file. Speed is not asserted, and neither is whether this machine is quiet.
// Runs alone: it takes every core, and what it times must not share one.

import { strict as assert } from 'node:assert';
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ModelBench } from '../../lib/bench/model-bench.js';
import { cpu } from '../../lib/cpu.js';

const program = join(__dirname, '../../../bin/efficientnet-simd.js');

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

function run(...args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, 'bench', ...args], { encoding: 'utf8' }, (error, out, err) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : error === null ? 0 : NaN, out, err });
    });
  });
}

describe('bench', () => {
  const folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
  after(() => rmSync(folder, { recursive: true }));

  const absent = ['neon', 'avx512', 'avx2'].find((isa) => !cpu().isas.some(({ name, present }) => name === isa && present)) ?? 'neon';
  const refused: readonly (readonly [args: string, status: number, ...message: string[]])[] = [
    ['--model efficientnet_b9', 2, "Did you mean 'efficientnet_b0'?"],
    ['--threads 0', 2, '--threads expects a whole number from 1 to 1024, found "0"'],
    ['--threads 1025', 2, '"1025"'],
    ['--isa sse2', 2, 'scalar, avx2, avx512 or neon'],
    [`--isa ${absent}`, 1, absent],
    ['--size 0', 2, '--size expects'],
    ['--size 5000', 2, '1 to 4096'],
    ['--seconds 0', 2, '--seconds expects'],
    ['--seconds 3601', 2, 'up to 3600'],
    ['--seconds 1,2', 2, 'expects one number'],
    ['--seconds -0.5', 2, 'above 0'],
    ['--seconds x', 2, '"x"'],
    ['--random --weights a.pth', 2, 'give one of --random and --weights'],
    ['--weights no-such-file.pth', 1, 'no-such-file.pth'],
    ['--layer', 2, 'did you mean --layers?'],
    ['--kernels --threads 2', 2, '--threads means nothing beside --kernels'],
    ['--kernels --layers', 2, '--layers means nothing beside --kernels'],
    ['--kernels --model b99', 2, 'b99'],
    [`--kernels --isa ${absent}`, 1, absent],
    ['b0', 2, 'bench takes no arguments but options'],
    [`--html ${join(folder, 'no', 'such', 'folder.html')}`, 1, 'its folder does not exist'],
    [`--html ${folder}`, 1, 'it is a directory'],
    ['--html /dev/null', 1, 'it is a pipe or a device'],
  ];
  for (const [args, status, ...parts] of refused) {
    it(`refuses ${args.replaceAll(folder, 'FOLDER')} with status ${status}`, async () => {
      const outcome = await run(...args.split(' '));
      assert.equal(outcome.status, status, outcome.err);
      assert.equal(outcome.out, '');
      for (const part of parts) assert.ok(outcome.err.includes(part), outcome.err);
    }).timeout(20_000);
  }

  it('prints one JSON value with every field', async () => {
    const { status, out, err } = await run('--model', 'b0', '--random', '--size', '32', '--seconds', '1', '--json');
    const result = JSON.parse(out) as ModelBench;
    assert.equal(status, result.trustworthy ? 0 : 3, err);
    assert.equal(result.trustworthy, result.reasons.length === 0);
    assert.deepEqual(
      [result.model, result.isa, result.threads, result.height, result.width, result.weights, result.layers],
      ['b0', cpu().chosen, 1, 32, 32, { kind: 'random' }, undefined],
    );
    const { min, median, p95, p99 } = result.latency;
    assert.ok(0 < min && min <= median && median <= p95 && p95 <= p99, JSON.stringify(result.latency));
    assert.ok(Math.abs(result.gflops - (2 * result.macs) / median / 1e6) < 1e-9 * result.gflops);
    const { peakShare } = result;
    assert.equal(result.peakFraction, peakShare.median);
    assert.ok(peakShare.median > 0 && peakShare.median < 1.1 && peakShare.interval[0] <= peakShare.median && peakShare.median <= peakShare.interval[1], JSON.stringify(peakShare));
    assert.equal(peakShare.trustworthy, peakShare.reasons.length === 0);
    assert.ok(result.runs >= 1 && result.spread >= 0 && result.memory.weightBytes > 2e7 && result.machine.cores >= 1);
  }).timeout(60_000);

  it('times the layers and writes the report', async () => {
    const report = join(folder, 'report.html');
    writeFileSync(report, 'old');
    const { status, out, err } = await run('--random', '--size', '32', '--seconds', '1', '--isa', 'scalar', '--html', report, '--json');
    const { layers = [], bandwidth = [], isa } = JSON.parse(out) as ModelBench;
    assert.ok(status === 0 || status === 3, err);
    assert.equal(isa, 'scalar');
    assert.equal(layers[0]?.name, 'stem');
    assert.equal(layers.at(-1)?.name, 'head.classifier');
    assert.ok(Math.abs(layers.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9);
    assert.ok(layers.every(({ macs, gflops, intensity }) => macs > 0 && gflops > 0 && intensity > 0));
    assert.ok(bandwidth.length >= 3 && bandwidth.every(({ gigabytesPerSecond }) => gigabytesPerSecond > 0));
    const text = readFileSync(report, 'utf8');
    assert.ok(text.includes('Roofline') && text.includes('--isa scalar') && text.endsWith('</html>\n'));
  }).timeout(60_000);

  it('leaves an old report alone when it fails', async () => {
    const report = join(folder, 'kept.html');
    writeFileSync(report, 'old');
    assert.equal((await run('--isa', absent, '--html', report)).status, 1);
    assert.equal(readFileSync(report, 'utf8'), 'old');
    assert.ok(!existsSync(`${report}.tmp`));
  });

  it('says that its figures are not to be trusted while others compute', async () => {
    const spin = 'for (const end = Date.now() + 20_000; Date.now() < end; );';
    const others = Array.from({ length: 2 * availableParallelism() }, () => spawn(process.execPath, ['-e', spin], { stdio: 'ignore' }));
    try {
      const { status, out } = await run('--random', '--size', '32', '--seconds', '1', '--json');
      const { trustworthy, reasons, usage } = JSON.parse(out) as ModelBench;
      assert.deepEqual([status, trustworthy], [3, false]);
      assert.ok(reasons.some((reason) => reason.includes('something else was running')), `${reasons.join('; ')}; ${JSON.stringify(usage)}`);
    } finally {
      for (const other of others) other.kill('SIGKILL');
    }
  }).timeout(60_000);

  it('prints a table that names the weights, the machine and, if so, the doubt', async () => {
    const { status, out } = await run('--random', '--size', '32', '--seconds', '1', '--threads', '2', '--layers');
    assert.match(out, /b0 {2}32x32, 2 threads, /);
    assert.match(out, /weights: made up/);
    assert.match(out, /median +p95 +p99/);
    assert.match(out, /GFLOP\/s, .* % of the multiply-add peak measured in between, at best .* on 2 threads/);
    assert.match(out, /head\.classifier/);
    assert.equal(out.startsWith('NOT TO BE TRUSTED'), status === 3);
    // Figures that are not to be trusted are rounded and say so.
    assert.equal(/one image +~/.test(out), status === 3);
  }).timeout(60_000);
});
