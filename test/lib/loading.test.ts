// SPDX-License-Identifier: Apache-2.0
// What loading costs a process: memory at its highest, and how long the event loop waits; and that the
// addon folds batch norm to the same bits as fold.ts, for every naming and element type.
// Runs alone: it measures memory and processor time of other processes.

import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { addon, type NativeSession, type NativeWeights } from '../../lib/binding.js';
import { convert, load } from '../../lib/index.js';
import { canonicalSource } from '../../lib/naming/folded.js';
import { kerasSource } from '../../lib/naming/keras.js';
import { lukemelasSource } from '../../lib/naming/lukemelas.js';
import type { NamingSource } from '../../lib/naming/scheme.js';
import { tensorflowSource } from '../../lib/naming/tensorflow.js';
import { timmSource } from '../../lib/naming/timm.js';
import { torchvisionSources } from '../../lib/naming/torchvision.js';
import { transformersSource } from '../../lib/naming/transformers.js';
import { buildNetwork, type Network } from '../../lib/network.js';
import { takeWeights } from '../../lib/taken-weights.js';
import { collectWeights, foldAll } from '../../lib/weights.js';
import { madeCheckpoint, madeTorchFile, schemeOf, writeMadeSafetensors } from './helpers/made-checkpoint.js';
import { noise, smallNetwork } from './helpers/synthetic.js';

const [torchvision = assert.fail()] = torchvisionSources.slice(-1);
const families = new Map(torchvisionSources.map((source, i) => [source, ['mobilenetv2-100', 'mobilenetv3-small', 'mnasnet-b1', undefined][i]]));

describe('folding in the addon', () => {
  const input = noise(64 * 64 * 3, 5);
  const sources: readonly NamingSource[] = [
    lukemelasSource, timmSource, ...torchvisionSources, transformersSource, kerasSource, tensorflowSource, canonicalSource,
  ];

  async function logitsOf(network: Network, weights: NativeWeights, owned: boolean): Promise<Float32Array> {
    const session: NativeSession = await addon().createSession(network, weights, { threads: 1, isa: '', height: 64, width: 64, owned });
    const logits = new Float32Array(network.head.classes);
    session.runSync(input, logits, { height: 64, width: 64, layout: 'nhwc', output: 'logits' });
    await session.close();
    return logits;
  }

  for (const source of sources) {
    // Whole networks of the other families take seconds.
    for (const type of families.get(source) === undefined ? (['f32', 'f16', 'bf16', 'f64'] as const) : (['f32'] as const)) {
      it(`${source.title}${families.get(source) === undefined ? '' : `, ${families.get(source)}`}, ${type}: the same bits`, async () => {
        const name = families.get(source);
        const network = name === undefined ? smallNetwork() : buildNetwork(name, { classes: 10 });
        const scheme = schemeOf(source);
        const folded = foldAll(collectWeights(madeCheckpoint(network, scheme, type), network));
        const { weights } = await takeWeights(collectWeights(madeCheckpoint(network, scheme, type), network));
        const expected = await logitsOf(network, folded, false);
        assert.ok(expected.every(Number.isFinite) && new Set(expected).size > 5);
        assert.deepEqual(await logitsOf(network, weights, true), expected, 'packed by the session');
      });
    }
  }

  it('names the tensor and element that is not finite, in every layer', async () => {
    const network = smallNetwork();
    const scheme = schemeOf(torchvision);
    const names = [...madeCheckpoint(network, scheme).tensors.values()].filter(({ shape }) => shape.length > 1).map(({ name }) => name);
    assert.ok(names.length > 15);
    for (const name of names) {
      const { weights, explain } = await takeWeights(collectWeights(broken(network, name, NaN), network));
      await assert.rejects(logitsOf(network, weights, true), { code: 'ERR_INVALID_ARGUMENT', message: /finite weights in layer \d+/ });
      await assert.rejects(explain(), { code: 'ERR_WEIGHTS_MISMATCH', message: new RegExp(`"${name}" holds NaN at element 2 of shape`) });
    }
  });

  it('names the tensor of a batch norm that is not sound, in every layer', async () => {
    const network = smallNetwork();
    const names = [...madeCheckpoint(network, schemeOf(torchvision)).tensors.keys()];
    const variances = names.filter((name) => name.endsWith('running_var'));
    assert.ok(variances.length > 10);
    for (const variance of variances) {
      const norm = variance.slice(0, -'running_var'.length);
      for (const [part, value, says] of [['weight', NaN, 'NaN'], ['bias', Infinity, 'Infinity'], ['running_mean', NaN, 'NaN'], ['running_var', -1, 'the variance -1']] as const) {
        const { weights, explain } = await takeWeights(collectWeights(broken(network, norm + part, value), network));
        await assert.rejects(logitsOf(network, weights, true), { code: 'ERR_INVALID_ARGUMENT', message: /variances that are positive in layer \d+/ });
        await assert.rejects(explain(), { code: 'ERR_WEIGHTS_MISMATCH', message: new RegExp(`"${norm}${part}" holds ${says} at element 2`) });
      }
    }
  });

  it('takes nothing for a batch norm that is none', async () => {
    const network = smallNetwork();
    const { weights } = await takeWeights(collectWeights(madeCheckpoint(network, schemeOf(torchvision)), network));
    const stem = weights.stem.weights;
    assert.ok(!(stem instanceof Float32Array) && stem.norm !== undefined);
    const { scale } = stem.norm;
    for (const [norm, message] of [
      [{ ...stem.norm, scale: { ...scale, bytes: scale.bytes.subarray(1) } }, /Expected \d+ numbers for a batch norm's scale/],
      [{ ...stem.norm, mean: { ...scale, type: 'i8' } }, /Expected f32, f16, bf16 or f64/],
      [{ ...stem.norm, shift: null }, /Expected an object for shift/],
      [{ ...stem.norm, variance: { type: 'f32', bytes: [1] } }, /Expected a Uint8Array/],
      [{ ...stem.norm, epsilon: '1' }, /Expected a number for epsilon/],
      [7, /Expected an object for norm/],
    ] as const) {
      const wrong = { ...weights, stem: { weights: { ...stem, norm }, bias: weights.stem.bias } } as unknown as NativeWeights;
      await assert.rejects(logitsOf(network, wrong, true), { code: 'ERR_INVALID_ARGUMENT', message });
    }
    // A bias beside a batch norm would be one too many, and none without it one too few.
    await assert.rejects(logitsOf(network, { ...weights, stem: { ...weights.stem, bias: new Float32Array(8) } }, true), { code: 'ERR_INVALID_ARGUMENT', message: /Expected 0 values for stem.bias/ });
    await assert.rejects(logitsOf(network, { ...weights, head: { ...weights.head, classifierBias: new Float32Array(0) } }, true), { code: 'ERR_INVALID_ARGUMENT', message: /values for head.classifier.bias/ });
  });

  function broken(network: Network, name: string, value: number) {
    const checkpoint = madeCheckpoint(network, schemeOf(torchvision));
    const { bytes } = checkpoint.tensors.get(name) ?? assert.fail();
    new DataView(bytes.buffer).setFloat32(8, value, true);
    return checkpoint;
  }
});

describe('loading a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-loading-'));
  const at = (name: string): string => join(folder, name);
  after(() => rmSync(folder, { recursive: true }));

  before(function () {
    if (process.platform === 'linux') return;
    console.log('      skipped: memory and processor time of a process are read from /proc, which only Linux has');
    this.skip();
  });

  interface Cost {
    /** Bytes over those of the process before. */
    readonly loaded: number;
    readonly run: number;
    readonly left: number;
    /** `blocked`: processor time of the longest turn of the event loop. */
    readonly milliseconds: { readonly load: number; readonly firstLogits: number; readonly blocked: number };
    readonly finite: boolean;
  }
  function costOf(path: string, architecture = ''): Cost & { readonly ratio: number } {
    const child = join(__dirname, 'helpers', 'loading-child.js');
    const cost = JSON.parse(execFileSync(process.execPath, [child, path, architecture], { encoding: 'utf8' })) as Cost;
    assert.ok(cost.finite);
    return { ...cost, ratio: cost.loaded / statSync(path).size };
  }

  for (const [name, write] of [
    ['b0.safetensors', (path: string) => writeMadeSafetensors(path, buildNetwork('b0'), schemeOf(torchvision))],
    ['b0.pth', (path: string) => writeFileSync(path, madeTorchFile(buildNetwork('b0'), schemeOf(torchvision)))],
    ['b0.onnx', (path: string) => convert(at('b0.safetensors'), path)],
  ] as const) {
    it(`${name}: less than 2.2 times the file in memory at any time`, async () => {
      await write(at(name));
      const { ratio, run } = costOf(at(name));
      assert.ok(ratio > 1 && ratio < 2.2, `${ratio.toFixed(2)} times the file`);
      assert.ok(run < 2.5 * statSync(at(name)).size);
    });
  }

  it('B7: never two copies of its 265 MB', async function () {
    this.timeout(120_000);
    const size = writeMadeSafetensors(at('b7.safetensors'), buildNetwork('b7'), schemeOf(torchvision));
    assert.ok(size > 260e6, String(size));
    const { ratio, milliseconds } = costOf(at('b7.safetensors'));
    assert.ok(ratio > 1 && ratio < 1.5, `${ratio.toFixed(2)} times the file`);
    assert.ok(milliseconds.blocked < 60, `the event loop waited ${milliseconds.blocked.toFixed(1)} ms`);
  });

  it('leaves the event loop its turns', () => {
    // A fresh process each time, in which all code runs for the first time: 11 to 15 ms on a quiet Zen 4, and up
    // to 25 where other processes want its caches. Folding in JavaScript took 40 on the quiet one.
    const blocked = Array.from({ length: 5 }, () => costOf(at('b0.safetensors')).milliseconds.blocked).sort((a, b) => a - b);
    assert.ok((blocked[0] ?? Infinity) < 20, `the event loop waited ${blocked.map((one) => one.toFixed(1)).join(', ')} ms`);
  });

  it('stops at once when it is aborted, wherever it is', async () => {
    const path = at('b0.safetensors');
    for (let wait = 0; wait < 40; wait += 2) {
      const controller = new AbortController();
      const pending = load({ weights: path, threads: 1, signal: controller.signal });
      const timer = setTimeout(() => controller.abort(new Error('enough')), wait);
      await pending.then(
        (model) => model.close(),
        (error: unknown) => assert.match(String(error), /enough/),
      );
      clearTimeout(timer);
    }
  });
});
