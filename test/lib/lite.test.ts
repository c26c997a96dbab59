// SPDX-License-Identifier: Apache-2.0
// The published EfficientNet-Lite0 to Lite2, in PyTorch's format from before 1.6: labels of photographs, and
// logits against the code that they were published with (test/golden/make_lite.py). Needs that code and the
// networks in the folder that EFFNET_LITE_PACKAGES names, and a Python with torch; else skipped aloud,
// unless EFFNET_REQUIRE_LITE=1.

import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load, type Model } from '../../lib/index.js';

const root = join(__dirname, '..', '..', '..');

interface Made {
  readonly name: string;
  readonly size: number;
  readonly weights: string;
}

describe('the published Lite networks', function () {
  this.timeout(300_000);
  let folder = '';
  let made: readonly Made[] = [];

  before(function () {
    const env = { ...process.env, PYTHONPATH: process.env['EFFNET_LITE_PACKAGES'] ?? '' };
    const python = ['/usr/bin/python3', 'python3'].find((name) => spawnSync(name, ['-c', 'import torch, efficientnet_lite_pytorch'], { env, stdio: 'ignore' }).status === 0);
    if (python === undefined) {
      assert.ok(process.env['EFFNET_REQUIRE_LITE'] !== '1', 'EFFNET_REQUIRE_LITE=1, but no python3 here imports torch and, from EFFNET_LITE_PACKAGES, efficientnet_lite_pytorch');
      this.skip();
    }
    folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-lite-'));
    const result = spawnSync(python, [join(root, 'test', 'golden', 'make_lite.py'), '--out', folder], { env, encoding: 'utf8' });
    assert.equal(result.status, 0, result.stderr);
    made = JSON.parse(result.stdout.trim().split('\n').at(-1) ?? '') as readonly Made[];
  });
  after(() => {
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
  });

  const floats = (file: string): Float32Array => {
    const bytes = readFileSync(join(folder, file));
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  };

  for (const [i, name] of ['lite0', 'lite1', 'lite2'].entries()) {
    it(`${name}: labels of the sample photographs, logits within 1e-4 of the largest`, async () => {
      const { weights, size, name: found } = made[i] ?? assert.fail();
      assert.equal(found, name);
      await using model: Model = await load({ weights });
      const { architecture, source, padding, batchNormEpsilon } = model.info;
      assert.deepEqual([architecture, source, padding, batchNormEpsilon], [name, 'lukemelas', 'same', 1e-3]);
      const photos = ['chelsea.png', 'coffee.png'].map((file) => join(root, 'test', 'images', file));
      const [cat, cup] = (await model.classify(photos, { top: 1 })).map(([first]) => first?.label ?? '');
      // Chelsea is a tabby with the ears of the others: ImageNet has three labels for her.
      assert.ok(['tabby, tabby cat', 'tiger cat', 'Egyptian cat'].includes(cat ?? ''), cat);
      assert.equal(cup, 'espresso');
      const logits = await model.run(floats(`${name}.input.f32`), { layout: 'nchw', height: size, width: size });
      const expected = floats(`${name}.logits.f32`);
      const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
      const error = logits.reduce((max, value, at) => Math.max(max, Math.abs(value - (expected[at] ?? NaN))), 0);
      assert.ok(logits.length === 2000 && error / largest < 1e-4, String(error / largest));
    });
  }
});
