// SPDX-License-Identifier: Apache-2.0
// What loading leaves in memory: one packed copy of the weights and nothing of the checkpoint, without
// waiting for the garbage collector; and that a user's own bytes are never touched.

import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { addon } from '../../lib/binding.js';
import { writeSafetensors } from '../../lib/formats/safetensors.js';
import type { Tensor } from '../../lib/formats/tensor.js';
import { load } from '../../lib/index.js';
import { buildNetwork } from '../../lib/network.js';
import { mapWeights } from '../../lib/weights.js';
import { altered, checkpoint, float32, syntheticB0 } from './synthetic.js';

const kMegabyte = 2 ** 20;

/** The same tensors in half precision, zeros: fold.ts makes arrays of its own for them. */
function halves(tensors: ReadonlyMap<string, Tensor>): Tensor[] {
  return [...tensors.values()].map((tensor) =>
    tensor.type !== 'f32' || tensor.name.endsWith('running_var')
      ? tensor
      : { ...tensor, type: 'f16', bytes: new Uint8Array(tensor.bytes.length / 2) },
  );
}

describe('memory of loading', () => {
  const folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-memory-'));
  const tensors = syntheticB0('timm');
  const options = { architecture: 'efficientnet_b0', threads: 1 } as const;
  after(() => rmSync(folder, { recursive: true }));

  for (const [type, list] of [['float32', [...tensors.values()]], ['half precision', halves(tensors)]] as const) {
    it(`a file's bytes are gone when load returns (${type})`, async () => {
      const path = join(folder, 'b0.safetensors');
      writeFileSync(path, writeSafetensors(list));
      const before = process.memoryUsage().arrayBuffers;
      await using model = await load({ ...options, weights: path });
      const grown = process.memoryUsage().arrayBuffers - before;
      // Biases and other small arrays stay until they are collected.
      assert.ok(grown < 2 * kMegabyte, `${(grown / kMegabyte).toFixed(1)} MB of buffers remain`);
      assert.ok(model.info.weightBytes > 20 * kMegabyte);
    });
  }

  it("a user's bytes stay as they are, and give what the file gives", async () => {
    const bytes = writeSafetensors(tensors.values());
    const copy = bytes.slice();
    const path = join(folder, 'same.safetensors');
    writeFileSync(path, bytes);
    await using model = await load({ ...options, weights: bytes });
    await using fromFile = await load({ ...options, weights: path });
    assert.deepEqual(bytes, copy);
    const input = new Float32Array(3 * 32 * 32).fill(0.5);
    assert.deepEqual(model.runSync(input, { height: 32, width: 32 }), fromFile.runSync(input, { height: 32, width: 32 }));
  });
});

describe('folding in place', () => {
  const network = buildNetwork('b0');

  it('gives the same weights, in the memory of the checkpoint', () => {
    const expected = mapWeights(checkpoint(syntheticB0('timm')), network);
    const spent = checkpoint(syntheticB0('timm'));
    const found = mapWeights(spent, network, { consume: true });
    assert.deepEqual(found, expected);
    assert.equal(found.head.convWeights.buffer, spent.tensors.get('conv_head.weight')?.bytes.buffer);
  });

  const one = syntheticB0('timm').get('conv_stem.weight') ?? assert.fail();
  // A second tensor on the same bytes, as PyTorch saves views of one storage.
  const second = { 'conv_stem.weight': one, 'bn1.weight': view(one, 'bn1.weight', 32, 128) };
  const ways: Readonly<Record<string, Record<string, Tensor>>> = {
    'share memory': second,
    'share memory, an empty one amidst': { ...second, 'bn1.num_batches_tracked': view(one, 'bn1.num_batches_tracked', 0, 64) },
  };
  for (const [name, tensors] of Object.entries(ways)) {
    it(`is not done where tensors ${name}`, () => {
      const shared = () => altered(syntheticB0('timm'), tensors);
      const expected = mapWeights(shared(), network);
      assert.deepEqual(mapWeights(shared(), network, { consume: true }), expected);
      assert.deepEqual(mapWeights(shared(), network), expected, 'the shared bytes are as they were');
    });
  }

  function view({ bytes }: Tensor, name: string, count: number, start: number): Tensor {
    return { ...float32(name, [count], () => 0), bytes: bytes.subarray(start, start + 4 * count) };
  }
});

describe('discard', () => {
  it('empties a buffer', () => {
    const buffer = new ArrayBuffer(kMegabyte);
    const view = new Uint8Array(buffer);
    const before = process.memoryUsage().arrayBuffers;
    addon().discard(buffer);
    assert.equal(buffer.byteLength, 0);
    assert.equal(view.length, 0);
    assert.ok(before - process.memoryUsage().arrayBuffers >= kMegabyte / 2, 'the memory is free at once');
    addon().discard(buffer);
  });

  it('refuses what is no ArrayBuffer', () => {
    const calls = addon().discard as (value: unknown) => void;
    for (const value of [undefined, null, 1, 'x', {}, new Uint8Array(8), new SharedArrayBuffer(8), new DataView(new ArrayBuffer(8))]) {
      assert.throws(() => calls(value), { code: 'ERR_INVALID_ARGUMENT' });
    }
  });
});
