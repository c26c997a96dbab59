// SPDX-License-Identifier: Apache-2.0
// ONNX files as PyTorch writes them, from torchvision and timm: which network is found in them, and
// whether its logits are PyTorch's. Skipped by name where these are not installed.

import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apart, floats, generate, pythonWith, using } from './helpers/oracle.js';

interface Case {
  readonly name: string;
  readonly architecture: string;
  readonly padding: 'same' | 'symmetric';
}

const cases: readonly Case[] = [
  { name: 'torchvision:efficientnet_b0:64x64:folded', architecture: 'b0', padding: 'symmetric' },
  { name: 'torchvision:efficientnet_b0:97x64:unfolded', architecture: 'b0', padding: 'symmetric' },
  { name: 'torchvision:efficientnet_b3:64x64:dynamic', architecture: 'b3', padding: 'symmetric' },
  { name: 'torchvision:efficientnet_v2_s:64x96:folded', architecture: 'v2-s', padding: 'symmetric' },
  { name: 'torchvision:mobilenet_v3_large:64x64:folded', architecture: 'mobilenetv3-large', padding: 'symmetric' },
  { name: 'timm:tf_efficientnet_b0:224x224:folded', architecture: 'b0', padding: 'same' },
  { name: 'timm:tf_efficientnet_b0:64x64:dynamic', architecture: 'b0', padding: 'same' },
  { name: 'timm:tf_efficientnet_b3:75x90:unfolded', architecture: 'b3', padding: 'same' },
  { name: 'timm:tf_efficientnetv2_s:64x64:folded', architecture: 'v2-s', padding: 'same' },
  { name: 'timm:efficientnet_lite0:64x64:unfolded', architecture: 'lite0', padding: 'symmetric' },
  { name: 'timm:mobilenetv3_large_100:64x64:dynamic', architecture: 'mobilenetv3-large', padding: 'symmetric' },
  { name: 'timm:efficientnet_es:64x64:folded', architecture: 'edgetpu-s', padding: 'symmetric' },
];

for (const source of ['torchvision', 'timm']) {
  describe(`ONNX exports of ${source}`, function () {
    this.timeout(300_000);
    const own = cases.filter(({ name }) => name.startsWith(source));
    let folder = '';
    before(function () {
      const python = pythonWith(['torch', source], source === 'torchvision' ? 'EFFNET_REQUIRE_TORCH' : 'EFFNET_REQUIRE_TIMM');
      if (python === undefined) return this.skip();
      folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-onnx-'));
      generate(python, 'make_onnx.py', ['--out', folder, ...own.map(({ name }) => name)]);
    });
    after(() => {
      if (folder !== '') rmSync(folder, { recursive: true, force: true });
    });

    for (const { name, architecture, padding } of own) {
      it(`${name}: the network, and logits within 1e-4 of the largest`, async () => {
        const base = join(folder, name.replaceAll(':', '_'));
        const { height, width } = JSON.parse(readFileSync(`${base}.json`, 'utf8')) as { readonly height: number; readonly width: number };
        await using({ weights: `${base}.onnx` }, async (model) => {
          assert.equal(model.info.source, 'onnx');
          assert.equal(model.info.architecture, architecture);
          assert.equal(model.info.padding, padding);
          const found = await model.run(floats(`${base}.input.f32`), { layout: 'nchw', height, width });
          const error = apart(found, floats(`${base}.logits.f32`));
          assert.ok(error < 1e-4, `${error}`);
        });
      });
    }
  });
}
