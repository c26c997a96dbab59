// SPDX-License-Identifier: Apache-2.0
// Whole networks that torch itself saved (test/golden/make_networks.py): in its container of today and that
// of before 1.6, of every element type, plain and wrapped as training scripts do, against torch's logits.
// Needs a Python with torch and the library; skipped aloud without, unless EFFNET_REQUIRE_TORCH=1 and
// EFFNET_REQUIRE_TIMM=1. Which networks there are is parity.test.ts's.

import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { apart, floats, using } from './helpers/oracle.js';
import { pythonFor, ReferenceNetworks, type Library, type Size } from './helpers/reference-networks.js';

const allTypes = ['float32', 'float16', 'bfloat16', 'float64'];
const size: Size = [64, 96];

/** `found` is what load makes of the file alone. */
const cases: readonly { readonly library: Library; readonly model: string; readonly found: string; readonly types: readonly string[] }[] = [
  { library: 'torchvision', model: 'efficientnet_b0', found: 'b0', types: [...allTypes, 'float32-tied', 'float64-tied'] },
  { library: 'torchvision', model: 'efficientnet_b3', found: 'b3', types: allTypes },
  { library: 'torchvision', model: 'efficientnet_v2_s', found: 'v2-s', types: allTypes },
  { library: 'timm', model: 'efficientnet_b0', found: 'b0', types: allTypes },
  { library: 'timm', model: 'tf_efficientnet_b3', found: 'b3', types: ['bfloat16', 'float64'] },
  { library: 'timm', model: 'tf_efficientnetv2_s', found: 'v2-s', types: ['float32', 'float16'] },
];

for (const library of ['torchvision', 'timm'] as const) {
  describe(`networks of ${library} that torch saved`, function () {
    this.timeout(300_000);
    let reference: ReferenceNetworks | undefined;

    before(async function () {
      const python = pythonFor(library);
      if (python === undefined) return this.skip();
      reference = new ReferenceNetworks(python);
      await reference.start();
    });
    after(() => reference?.close());

    for (const { model, found, types } of cases.filter((one) => one.library === library)) {
      it(`${model}: ${types.join(', ')} in both containers`, async () => {
        assert.ok(reference !== undefined);
        const out = mkdtempSync(join(tmpdir(), 'efficientnet-simd-torch-'));
        try {
          const parameters = await reference.make({ library, model, seed: 3, classes: 37, batch: 1, sizes: [size], out, types });
          for (const type of types) {
            for (const container of ['zip', 'stream']) await compare({ library, model, found, parameters, out, type, container });
          }
        } finally {
          rmSync(out, { recursive: true, force: true });
        }
      });
    }
  });
}

interface Saved {
  readonly library: Library;
  readonly model: string;
  readonly found: string;
  readonly parameters: number;
  readonly out: string;
  readonly type: string;
  readonly container: string;
}

async function compare({ library, model, found, parameters, out, type, container }: Saved): Promise<void> {
  const weights = join(out, `${type}-${container}.pth`);
  assert.equal(readFileSync(weights).subarray(0, 2).toString('latin1') === 'PK', container === 'zip', weights);
  // timm's tensor names leave the padding open.
  const options = library === 'timm' ? { weights, architecture: model } : { weights };
  await using(options, async (network) => {
    const { source, architecture, classes, parameters: counted } = network.info;
    assert.deepEqual({ source, architecture, classes, counted }, { source: library, architecture: found, classes: 37, counted: parameters });
    const [height, width] = size;
    const logits = await network.run(floats(join(out, `${height}x${width}.input.f32`)), { layout: 'nchw', height, width });
    const error = apart(logits, floats(join(out, `${type}.${height}x${width}.logits.f32`)));
    assert.ok(error < 1e-4, `${weights}: ${error}`);
  });
}
