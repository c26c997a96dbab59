// SPDX-License-Identifier: Apache-2.0
// Checkpoints without a classifier, as timm writes them with num_classes=0: the embedding is what the
// library gives, logits are refused, and the file can be converted, to ONNX and back too.

import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { convert } from '../../lib/index.js';
import { apart, floats, using } from './helpers/oracle.js';
import { pythonFor, ReferenceNetworks } from './helpers/reference-networks.js';

describe('checkpoints without a classifier', function () {
  this.timeout(120_000);
  let folder = '';

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-bare-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('of timm give its features, and no logits', async function () {
    const python = pythonFor('timm');
    if (python === undefined) return this.skip();
    const reference = new ReferenceNetworks(python);
    try {
      await reference.start();
      for (const [model, size] of [['tinynet_e', 106], ['mobilenetv3_small_050', 224], ['tf_efficientnet_b0', 224]] as const) {
        const out = join(folder, model);
        const parameters = await reference.make({ library: 'timm', model, seed: 4, classes: 0, batch: 1, sizes: [[size, size]], out });
        const input = nhwc(floats(join(out, `${size}x${size}.input.f32`)), size * size);
        const expected = floats(join(out, `${size}x${size}.logits.f32`));
        const weights = join(out, 'weights.pth');
        const converted = join(out, 'bare.safetensors');
        const made = await convert(weights, converted, { architecture: model, recipe: { size } });
        assert.equal(made.classes, 0);
        const graph = join(out, 'bare.onnx');
        await convert(converted, graph);
        for (const options of [{ architecture: model, weights }, { weights: converted }, { weights: graph }]) {
          await using(options, async (loaded) => {
            assert.deepEqual([loaded.info.classes, loaded.info.features, loaded.info.parameters], [0, expected.length, parameters]);
            assert.ok(apart(await loaded.embed(input), expected) < 1e-4, model);
            const refused = { code: 'ERR_UNSUPPORTED', message: /no classifier.*embed\(\)/ };
            await assert.rejects(loaded.run(input), refused);
            await assert.rejects(loaded.classify({ data: new Uint8Array(3), width: 1, height: 1, channels: 'rgb' }), refused);
            assert.throws(() => loaded.runSync(input), refused);
          });
        }
      }
    } finally {
      await reference.close();
    }
  });
});

function nhwc(planes: Float32Array, pixels: number): Float32Array {
  return Float32Array.from(planes, (_, i) => planes[(i % 3) * pixels + Math.floor(i / 3)] ?? NaN);
}
