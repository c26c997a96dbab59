// SPDX-License-Identifier: Apache-2.0
// Kernels on the shapes of networks: that every multiply-add of a network is among them, and the
// fields of what `benchmark` measures. No speed is asserted.
// Runs alone: what it times must not share a core.

import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { kernelUses } from '../../lib/bench/kernel-shapes.js';
import { benchKernels } from '../../lib/bench/kernels.js';
import { kernelsReport } from '../../lib/bench/report.js';
import { madeUp, Subject } from '../../lib/bench/subject.js';
import { addon } from '../../lib/binding.js';
import { describe as describeNetwork } from '../../lib/describe.js';
import { buildNetwork } from '../../lib/network.js';

describe('kernels of networks', () => {
  for (const name of ['b0', 'b4', 'v2-b0', 'edgetpu-s', 'mobilenetv3-small']) {
    it(`make up ${name}: every multiply-add, in layers`, () => {
      const network = buildNetwork(name);
      // Not multiply-adds of the definition: the mean and the gate.
      const counted = kernelUses([network]).filter(({ shape }) => !['mean', 'gate_map', 'gate_weights', 'resample'].includes(shape.kernel));
      const macs = counted.reduce((sum, { shape, layers }) => sum + (addon().kernelBench({ ...shape, isa: 'scalar' }).flops / 2) * (layers[name] ?? 0), 0);
      assert.equal(macs, describeNetwork(network).macs);
    }).timeout(20_000);
  }

  for (const name of ['b0', 'b4', 'v2-s', 'mobilenetv3-small', 'edgetpu-s']) {
    it(`are all those that ${name} says it runs`, async () => {
      const network = buildNetwork(name);
      const subject = await Subject.open(madeUp(network), { threads: 1, isa: '', height: 32, width: 32 });
      const { kernels } = subject.info;
      await subject.close();
      const measured = new Set(kernelUses([network]).map(({ shape }) => addon().kernelBench({ ...shape, isa: '' }).name));
      assert.deepEqual(kernels.filter((kernel) => !measured.has(kernel)), []);
    }).timeout(20_000);
  }

  it('are distinct, and shared shapes count for both', () => {
    const uses = kernelUses([buildNetwork('b0'), buildNetwork('b4')]);
    assert.equal(new Set(uses.map(({ shape }) => JSON.stringify(shape))).size, uses.length);
    assert.ok(uses.some(({ layers }) => layers['b0'] !== undefined && layers['b4'] !== undefined));
    const count = (name: string): number => uses.reduce((sum, { layers }) => sum + (layers[name] ?? 0), 0);
    // Two passes of a resize, stem, head and its mean, classifier; 7 for each of B0's 16 blocks, of which
    // the first does not expand.
    assert.equal(count('b0'), 6 + 16 * 7 - 1);
    assert.equal(count('b4'), 6 + 32 * 7 - 2);
  });
});

describe('bench of kernels', () => {
  const uses = kernelUses([buildNetwork('b0')]);
  const few = [uses[2], uses[4], uses.at(-1)].filter((use) => use !== undefined);

  it('measures each with the package benchmark', async () => {
    const seen: string[] = [];
    const result = await benchKernels(few, { isa: '', seconds: 0.05 }, (doing) => seen.push(doing));
    assert.equal(result.kernels.length, 3);
    for (const [i, kernel] of result.kernels.entries()) {
      assert.equal(kernel.label, few[i]?.label);
      assert.ok(kernel.kernel.endsWith(result.isa));
      assert.ok(0 < kernel.microseconds.min && kernel.microseconds.min <= kernel.microseconds.median);
      assert.ok(kernel.samples >= 10 && kernel.gflops > 0 && kernel.gigabytesPerSecond > 0 && kernel.spread >= 0);
      assert.ok(Math.abs(kernel.peakFraction - kernel.gflops / result.peak.gflops) < 1e-9);
    }
    assert.deepEqual(seen, ['Measuring the peak', ...few.map(({ label }) => label)]);
    const report = kernelsReport(result, 'efficientnet-simd bench --kernels');
    for (const { label } of few) assert.ok(report.includes(label.replace('<', '&lt;')), label);
  }).timeout(20_000);

  it('refuses an instruction set that is not here', async () => {
    const isa = process.arch === 'x64' ? 'neon' : 'avx2';
    await assert.rejects(benchKernels(few, { isa, seconds: 0.05 }, () => undefined), { code: 'ERR_UNSUPPORTED' });
  });

  it('says how to install what is missing', () => {
    // A copy of the compiled library where no packages can be found.
    const copy = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    try {
      cpSync(join(__dirname, '../../lib'), copy, { recursive: true });
      const script = `
        require('./bench/kernels.js').benchKernels([], { isa: '', seconds: 1 }, () => undefined)
          .catch((error) => console.log(JSON.stringify({ code: error.code, message: error.message })));`;
      const output = execFileSync(process.execPath, ['-e', script], { cwd: copy, env: { ...process.env, NODE_PATH: '' }, encoding: 'utf8' });
      const { code, message } = JSON.parse(output) as { code: string; message: string };
      assert.equal(code, 'ERR_MISSING_DEPENDENCY');
      assert.match(message, /npm install --no-save benchmark/);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
});
