// SPDX-License-Identifier: Apache-2.0
// The maps inside the network: against torchvision's own intermediate outputs on random weights, and that
// images, tensors, sizes and errors go as for the other calls. The engine's are compared with its double
// reference in test/native/engine_test.cc.

import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { addon } from '../../lib/binding.js';
import { decodeImage } from '../../lib/image.js';
import { cpu, describe as describeNetwork, buildNetwork, load, type FeatureMap, type Model } from '../../lib/index.js';
import { apart, floats, using } from './helpers/oracle.js';
import { pythonFor, ReferenceNetworks, type Size } from './helpers/reference-networks.js';
import { noise, syntheticCheckpoint } from './helpers/synthetic.js';

const chelsea = join(__dirname, '../../../test/images/chelsea.png');
const numbers = 224 * 224 * 3;
const shapes = (maps: readonly FeatureMap[]): number[][] => maps.map(({ stride, channels, height, width }) => [stride, channels, height, width]);

describe('features', () => {
  let model: Model;
  before(async () => {
    model = await load({ weights: syntheticCheckpoint(), threads: 2 });
  });
  after(() => model.close());

  it('of B0 are the maps of strides 2 to 32', async () => {
    const maps = await model.features(noise(numbers, 1));
    assert.deepEqual(shapes(maps), [[2, 16, 112, 112], [4, 24, 56, 56], [8, 40, 28, 28], [16, 112, 14, 14], [32, 320, 7, 7]]);
    for (const { data, channels, height, width } of maps) {
      assert.equal(data.length, channels * height * width);
      assert.ok(data.every(Number.isFinite) && data.some((value) => value !== data[0]));
    }
    const buffers = new Set(maps.map(({ data }) => data.buffer));
    assert.equal(buffers.size, maps.length, 'each map can be transferred alone');
  });

  it('are the same of a file, of its pixels and of the tensor made of it, at once or not', async () => {
    const expected = await model.features(chelsea);
    const { data, ...image } = await decodeImage(chelsea);
    const tensor = addon().prepareImage(data, image, model.info.recipe);
    assert.deepEqual(await model.features(tensor), expected);
    assert.deepEqual(model.featuresSync(tensor), expected);
    assert.deepEqual(model.featuresSync({ data, ...image }), expected);
    assert.deepEqual(await Promise.all([1, 2, 3, 4].map(() => model.features({ data, ...image }))), Array(4).fill(expected));
  });

  it('take tensors of any size and layout', async () => {
    const [height, width] = [65, 97];
    const input = noise(height * width * 3, 2);
    const maps = await model.features(input, { height, width });
    assert.deepEqual(shapes(maps), [[2, 16, 33, 49], [4, 24, 17, 25], [8, 40, 9, 13], [16, 112, 5, 7], [32, 320, 3, 4]]);
    const planar = new Float32Array(input.length);
    for (let p = 0; p < height * width; p++) for (let c = 0; c < 3; c++) planar[c * height * width + p] = input[3 * p + c] ?? NaN;
    assert.deepEqual(model.featuresSync(planar, { height, width, layout: 'nchw' }), maps);
  });

  it('refuse what does not fit', async () => {
    const refused = { code: 'ERR_INVALID_ARGUMENT' };
    await assert.rejects(model.features(new Float32Array(2 * numbers)), { ...refused, message: /one image of 224 x 224 x 3/ });
    await assert.rejects(model.features(chelsea, { height: 64 }), { ...refused, message: /only a tensor has/ });
    await assert.rejects(model.features(noise(numbers, 1).fill(NaN)), { ...refused, message: /finite/ });
    await assert.rejects(model.features(noise(numbers, 1), { height: 0 }), refused);
    assert.throws(() => model.featuresSync(new Float32Array(3)), refused);
    await assert.rejects(model.features(chelsea, { signal: AbortSignal.abort('no') }), (error) => error === 'no');
    const closed = await load({ weights: syntheticCheckpoint(), threads: 1 });
    await closed.close();
    await assert.rejects(closed.features(noise(numbers, 1)), { code: 'ERR_CLOSED' });
  });
});

describe('features against torchvision', function () {
  this.timeout(120_000);
  let reference: ReferenceNetworks | undefined;
  let folder = '';

  before(async function () {
    const python = pythonFor('torchvision');
    if (python === undefined) return this.skip();
    folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-features-'));
    reference = new ReferenceNetworks(python);
    await reference.start();
  });
  after(async () => {
    await reference?.close();
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
  });

  const cases: readonly (readonly [model: string, ...sizes: Size[]])[] = [
    ['efficientnet_b0', [224, 224], [97, 65]],
    ['efficientnet_b2', [96, 128]],
    ['efficientnet_v2_s', [96, 96]],
    ['mobilenet_v2', [160, 160]],
    ['mobilenet_v3_large', [128, 97]],
  ];
  for (const [name, ...sizes] of cases) {
    it(`${name} at ${sizes.map((size) => size.join('x')).join(' and ')}`, async () => {
      assert.ok(reference !== undefined);
      const out = join(folder, name);
      await reference.make({ library: 'torchvision', model: name, seed: 3, classes: 10, batch: 1, sizes, features: true, out });
      const { layers } = describeNetwork(buildNetwork(name));
      for (const { present, name: isa } of cpu().isas) {
        if (!present) continue;
        await using({ architecture: name, weights: join(out, 'weights.pth'), isa, threads: 2 }, async (model) => {
          for (const [height, width] of sizes) {
            const expected = floats(join(out, `${height}x${width}.features.f32`));
            const maps = await model.features(floats(join(out, `${height}x${width}.input.f32`)), { layout: 'nchw', height, width });
            assert.deepEqual(maps.map(({ stride }) => stride), [2, 4, 8, 16, 32]);
            assert.equal(maps.at(-1)?.channels, layers.findLast(({ name: layer }) => layer.startsWith('blocks.'))?.output[0]);
            let at = 0;
            for (const { stride, data } of maps) {
              const error = apart(data, expected.subarray(at, (at += data.length)));
              assert.ok(error < 1e-4, `${isa} ${height}x${width} stride ${stride}: ${error}`);
            }
            assert.equal(at, expected.length);
          }
        });
      }
    });
  }
});
