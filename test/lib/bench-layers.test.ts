// SPDX-License-Identifier: Apache-2.0
// Costs of steps and the report made of them, from times made up here. Nothing is timed.

import { strict as assert } from 'node:assert';

import { layerTimes, stepCost } from '../../lib/bench/layers.js';
import type { ModelBench } from '../../lib/bench/model-bench.js';
import { modelReport } from '../../lib/bench/report.js';
import { madeUp, Subject } from '../../lib/bench/subject.js';
import { describe as describeNetwork } from '../../lib/describe.js';
import { buildNetwork } from '../../lib/network.js';

const b0 = describeNetwork(buildNetwork('b0'));
const macsOf = (name: string): number => b0.layers.find((layer) => layer.name === name)?.macs ?? NaN;

describe('costs of steps', () => {
  it('are those of the layer', () => {
    assert.deepEqual(stepCost('blocks.1.expand', b0), {
      kind: 'pointwise',
      macs: 112 * 112 * 16 * 96,
      // Input, output, weights, and the two numbers of each batch norm that describe counts.
      bytes: 4 * (16 * 112 * 112 + 96 * 112 * 112 + 16 * 96 + 2 * 96),
      input: [16, 112, 112],
      output: [96, 112, 112],
    });
    assert.equal(stepCost('stem', b0)?.kind, 'stem');
    assert.equal(stepCost('blocks.1.depthwise', b0)?.kind, 'depthwise');
    assert.equal(stepCost('head.classifier', b0)?.kind, 'head');
  });

  it('add up where layers run as one', () => {
    const fused = stepCost('blocks.1.expand+depthwise', b0);
    assert.equal(fused?.kind, 'fused');
    assert.equal(fused.macs, macsOf('blocks.1.expand') + macsOf('blocks.1.depthwise'));
    assert.deepEqual([fused.input, fused.output], [[16, 112, 112], [96, 56, 56]]);
    const excite = stepCost('blocks.1.excite', b0);
    assert.equal(excite?.macs, macsOf('blocks.1.reduce') + macsOf('blocks.1.excite'));
    assert.equal(excite?.kind, 'excite');
  });

  it('are undefined for what is no layer', () => {
    for (const name of ['', 'blocks.99.expand', 'nonsense', 'blocks.1.']) assert.equal(stepCost(name, b0), undefined, name);
  });

  for (const name of ['b0', 'v2-b0', 'edgetpu-s', 'mobilenetv3-small', 'tinynet-e']) {
    it(`of the steps that ${name} really takes are those of the network`, async () => {
      const subject = await Subject.open(madeUp(buildNetwork(name)), { threads: 1, isa: '', height: 64, width: 64 });
      const sum = subject.profile().reduce((total, step) => total + (stepCost(step.name, subject.description)?.macs ?? NaN), 0);
      await subject.close();
      assert.equal(sum, subject.description.macs);
    });
  }
});

const steps = ['stem', 'blocks.1.expand', 'blocks.1.excite', 'unheard-of'];
const runs = [1, 2, 3].map((run) => steps.map((name, i) => ({ name, milliseconds: run * (i + 1) })));

describe('times of layers', () => {
  it('are medians, shares of their sum and speeds', () => {
    const layers = layerTimes(runs, b0, 100);
    assert.deepEqual(layers.map(({ name }) => name), steps);
    assert.deepEqual(layers.map(({ milliseconds }) => milliseconds.median), [2, 4, 6, 8]);
    assert.deepEqual(layers.map(({ milliseconds }) => milliseconds.min), [1, 2, 3, 4]);
    assert.deepEqual(layers.map(({ share }) => share), [0.1, 0.2, 0.3, 0.4]);
    assert.equal(layers[1]?.gflops, (2 * macsOf('blocks.1.expand')) / 4 / 1e6);
    assert.equal(layers[1]?.peakFraction, (layers[1]?.gflops ?? NaN) / 100);
    assert.equal(layers[3]?.gflops, 0);
  });

  it('of no run are none', () => {
    assert.deepEqual(layerTimes([], b0, 100), []);
  });
});

describe('report of a network', () => {
  const result: ModelBench = {
    model: 'b0', height: 224, width: 224, isa: 'avx2', threads: 1, weights: { kind: 'file', path: '/some/where/<weights>.pth' },
    parameters: b0.parameters, macs: b0.macs, latency: { min: 9, median: 10.123, p95: 11, p99: 12 }, runs: 50, gflops: 77.1,
    peak: { gflops: 118, threads: 1, kernel: 'probe_fma_f32_avx2' }, peakFraction: 0.65,
    peakShare: { median: 0.65, low: 0.64, high: 0.66, interval: [0.645, 0.655], trustworthy: true, reasons: [] }, spread: 0.01,
    usage: { cpuShare: 1, switchesPerSecond: 0 }, trustworthy: true, reasons: [], memory: { weightBytes: 1, activationBytes: 2 },
    machine: { cpu: 'Test & Co', cores: 2, platform: 'linux-x64', node: '20' },
    layers: layerTimes(runs, b0, 118), bandwidth: [{ level: 'memory', bytes: 1 << 26, gigabytesPerSecond: 30 }],
  };

  it('is one file that fetches nothing and escapes what it shows', () => {
    const text = modelReport(result, 'efficientnet-simd bench --model b0');
    assert.ok(text.startsWith('<!DOCTYPE html>'));
    assert.doesNotMatch(text, /<script|src=|href="http|url\(/i);
    assert.ok(text.includes('&lt;weights&gt;.pth') && text.includes('Test &amp; Co') && !text.includes('/some/where'));
    assert.ok(text.includes('10.12 ms') && text.includes('77.1 of the 118.0 GFLOP/s'));
    assert.ok(text.includes('memory 30 GB/s') && text.includes('peak 118 GFLOP/s'));
    for (const name of steps) assert.ok(text.includes(name), name);
    assert.ok(!text.includes('NaN') && !text.includes('undefined'));
    assert.ok(!text.includes('Not to be trusted'));
  });

  it('says first that it is not to be trusted, and rounds its figures', () => {
    const text = modelReport({ ...result, trustworthy: false, reasons: ['a neighbour was noisy'] }, 'efficientnet-simd bench');
    assert.ok(text.indexOf('Not to be trusted') < text.indexOf('Roofline'));
    assert.ok(text.includes('a neighbour was noisy'));
    assert.ok(text.includes('~10 ms') && !text.includes('10.12'));
  });
});
