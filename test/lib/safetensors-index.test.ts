// SPDX-License-Identifier: Apache-2.0
// Safetensors in several files: what an index and its files must agree on, and where the files may lie.

import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { EfficientNetError } from '../../lib/errors.js';
import { readCheckpoint } from '../../lib/formats/index.js';
import { assembleSafetensors, looksLikeSafetensorsIndex, readSafetensorsIndex } from '../../lib/formats/safetensors-index.js';
import { readSafetensors, writeSafetensors } from '../../lib/formats/safetensors.js';
import { load } from '../../lib/index.js';
import { loads } from './helpers/damage.js';
import { float32, syntheticB0 } from './synthetic.js';

const text = (value: unknown): Buffer => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const a = writeSafetensors([float32('a', [2, 3], (i) => i), float32('b', [4], (i) => -i)], { format: 'pt' });
const c = writeSafetensors([float32('c', [1], () => 7)], { format: 'pt' });
const map = { a: '1.safetensors', b: '1.safetensors', c: '2.safetensors' };
const shards = new Map([['1.safetensors', a], ['2.safetensors', c]]);
const refused = (action: () => unknown, pattern: RegExp): void =>
  assert.throws(action, (error: unknown) => error instanceof EfficientNetError && error.code === 'ERR_INVALID_CHECKPOINT' && pattern.test(error.message));
const rejects = (promise: Promise<unknown>, code: string, pattern: RegExp): Promise<void> =>
  assert.rejects(promise, (error: unknown) => error instanceof EfficientNetError && error.code === code && pattern.test(error.message));

describe('safetensors in several files', () => {
  let home: string;

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
  });

  afterEach(() => rmSync(home, { recursive: true, force: true }));

  it('reads an index as its writers leave it', () => {
    const index = text({ metadata: { total_size: 44.5e0, nested: [1, { x: [null, true, 'y'] }] }, weight_map: map });
    assert.ok(looksLikeSafetensorsIndex(index));
    assert.deepEqual(readSafetensorsIndex(Buffer.concat([index, Buffer.from('\n')])).names, ['1.safetensors', '2.safetensors']);
    assert.ok(!looksLikeSafetensorsIndex(text({ modelTopology: {}, weightsManifest: [] })));
    assert.ok(!looksLikeSafetensorsIndex(text('{"weight_map')));
  });

  it('joins the files as views, each tensor once', () => {
    const found = assembleSafetensors(readSafetensorsIndex(text({ weight_map: map })), shards);
    assert.deepEqual([...found.tensors.keys()], ['a', 'b', 'c']);
    assert.equal(found.tensors.get('c')?.bytes.buffer, c.buffer);
    assert.equal(found.metadata.get('format'), 'pt');
  });

  it('one part alone is told to be one, and its index gives the whole', async () => {
    const all = [...syntheticB0('timm').values()];
    const parts = [all.slice(0, 100), all.slice(100)].map((tensors, i) => ({ name: `model-0000${i + 1}-of-00002.safetensors`, tensors }));
    for (const { name, tensors } of parts) writeFileSync(join(home, name), writeSafetensors(tensors));
    const weightMap = Object.fromEntries(parts.flatMap(({ name, tensors }) => tensors.map((tensor) => [tensor.name, name])));
    writeFileSync(join(home, 'model.safetensors.index.json'), text({ weight_map: weightMap }));
    const options = { architecture: 'efficientnet_b0', threads: 1 };
    for (const { name } of parts) {
      await rejects(load({ ...options, weights: join(home, name) }), 'ERR_WEIGHTS_MISMATCH', /\. The file is one part of several: give the index beside it/);
    }
    await (await load({ ...options, weights: join(home, 'model.safetensors.index.json') })).close();
    await (await load({ ...options, weights: home })).close();
  }).timeout(30_000);

  it('refuses what index and files disagree on', () => {
    const assemble = (weightMap: unknown, files = shards): unknown => assembleSafetensors(readSafetensorsIndex(text({ weight_map: weightMap })), files);
    refused(() => assemble({ ...map, d: '2.safetensors' }), /"d" is not in "2\.safetensors"/);
    refused(() => assemble({ a: '1.safetensors', c: '2.safetensors' }), /"b" is in "1\.safetensors", and the index does not name it/);
    refused(() => assemble({ ...map, b: '2.safetensors' }), /"b" is in "1\.safetensors", but the index has it in "2\.safetensors"/);
    refused(() => assemble({ a: '1.safetensors', b: '1.safetensors', c: '3.safetensors' }), /"3\.safetensors".*not there/);
    // The same tensor in both files: one of them is not where the index has it.
    refused(() => assemble(map, new Map([['1.safetensors', a], ['2.safetensors', a]])), /"a" is in "2\.safetensors"/);
    refused(() => assemble(map, new Map([['1.safetensors', a.subarray(0, 50)], ['2.safetensors', c]])), /shard 1\.safetensors: .*truncated/);
  });

  it('refuses names that are not plain ones, and anything malformed', () => {
    const wrong = ['../x.safetensors', '/etc/x.safetensors', 'a/b.safetensors', 'a\\b.safetensors', 'C:x.safetensors', '..', '.x.safetensors', 'x.bin', '', 'x\u0000.safetensors', 'x'.repeat(300)];
    for (const name of wrong) refused(() => readSafetensorsIndex(text({ weight_map: { a: name } })), /plain name/);
    refused(() => readSafetensorsIndex(text('{"weight_map":{"a":"1.safetensors","a":"2.safetensors"}}')), /Duplicate key "a"/);
    refused(() => readSafetensorsIndex(text('{"weight_map":{},"weight_map":{}}')), /Duplicate key/);
    refused(() => readSafetensorsIndex(text({ weight_map: {} })), /weight_map/);
    refused(() => readSafetensorsIndex(text({ metadata: {} })), /weight_map/);
    refused(() => readSafetensorsIndex(text('{"metadata":' + '['.repeat(100) + ']'.repeat(100) + ',"weight_map":{}}')), /nested too deeply/);
    refused(() => readSafetensorsIndex(text('{"metadata":01,"weight_map":{}}')), /Malformed JSON/);
    const many = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`t${i}`, `${i}.safetensors`]));
    refused(() => readSafetensorsIndex(text({ weight_map: many })), /at most 1000 files/);
  });

  it('survives every mutation of one byte and every truncation', () => {
    const index = text({ metadata: { total_size: 44 }, weight_map: map });
    let [cases, loaded] = [0, 0];
    const attempt = (bytes: Uint8Array): void => {
      cases++;
      if (loads(() => assembleSafetensors(readSafetensorsIndex(bytes), shards))) loaded++;
    };
    for (let at = 0; at < index.length; at++) {
      attempt(index.subarray(0, at));
      for (const byte of [0, 0x22, 0x2c, 0x31, 0x5c, 0x7b, 0x7d, 0xff, (index[at] ?? 0) ^ 1]) {
        if (byte === index[at]) continue;
        const bytes = Buffer.from(index);
        bytes[at] = byte;
        attempt(bytes);
      }
    }
    assert.ok(cases > index.length * 9, String(cases));
    // Two names of the metadata, 18 letters that 5 of the 9 bytes can replace, and a number.
    assert.ok(loaded >= 90 && loaded < 105, String(loaded));
  });

  it('reads a whole checkpoint from its folder', async () => {
    const tensors = [...syntheticB0('timm').values()];
    const half = Math.floor(tensors.length / 2);
    const parts = [tensors.slice(0, half), tensors.slice(half)];
    const names = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
    parts.forEach((part, i) => writeFileSync(join(home, names[i] ?? ''), writeSafetensors(part)));
    const weightMap = Object.fromEntries(parts.flatMap((part, i) => part.map(({ name }) => [name, names[i]])));
    writeFileSync(join(home, 'model.safetensors.index.json'), text({ weight_map: weightMap }));
    const found = await readCheckpoint(join(home, 'model.safetensors.index.json'));
    assert.deepEqual([...found.tensors.keys()], tensors.map(({ name }) => name));
    assert.deepEqual(found.tensors.get('classifier.weight')?.bytes, tensors.at(-2)?.bytes);
  });

  it('follows no link out of the folder, except into the blobs of a hub cache', async () => {
    const outside = join(home, 'outside');
    const folder = join(home, 'model');
    for (const one of [outside, folder]) mkdirSync(one);
    writeFileSync(join(outside, 'c'), c);
    writeFileSync(join(folder, '1.safetensors'), a);
    writeFileSync(join(folder, 'index.json'), text({ weight_map: map }));
    symlinkSync('../outside/c', join(folder, '2.safetensors'));
    await rejects(readCheckpoint(join(folder, 'index.json')), 'ERR_FILE', /2\.safetensors: .*link to another place/);
    rmSync(join(folder, '2.safetensors'));
    writeFileSync(join(folder, 'inside'), c);
    symlinkSync('inside', join(folder, '2.safetensors'));
    assert.equal((await readCheckpoint(join(folder, 'index.json'))).tensors.size, 3);
    const snapshot = join(home, 'repository', 'snapshots', 'commit');
    const blobs = join(home, 'repository', 'blobs');
    mkdirSync(snapshot, { recursive: true });
    mkdirSync(blobs);
    writeFileSync(join(blobs, 'hash-of-a'), a);
    writeFileSync(join(blobs, 'hash-of-c'), c);
    symlinkSync('../../blobs/hash-of-a', join(snapshot, '1.safetensors'));
    symlinkSync('../../blobs/hash-of-c', join(snapshot, '2.safetensors'));
    writeFileSync(join(snapshot, 'index.json'), readFileSync(join(folder, 'index.json')));
    assert.equal((await readCheckpoint(join(snapshot, 'index.json'))).tensors.size, 3);
    await rejects(readCheckpoint(join(home, 'none', 'index.json')), 'ERR_FILE', /cannot be read/);
    rmSync(join(snapshot, '2.safetensors'));
    await rejects(readCheckpoint(join(snapshot, 'index.json')), 'ERR_FILE', /shard 2\.safetensors/);
  });

  it('leaves single files as they were', () => {
    assert.deepEqual([...readSafetensors(a).tensors.keys()], ['a', 'b']);
  });
});
