// SPDX-License-Identifier: Apache-2.0
// Whole networks that Keras itself wrote (test/golden/make_keras.py), in every container, against the
// logits that Keras computes. Needs a Python with keras, h5py, tensorflow and tf_keras: that which
// EFFNET_KERAS_PYTHON names, or python3; skipped aloud without one, unless EFFNET_REQUIRE_KERAS=1.

import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load, type LoadOptions, type Model } from '../../lib/index.js';

const script = join(__dirname, '..', '..', '..', 'test', 'golden', 'make_keras.py');

interface Made {
  readonly file: string;
  readonly architecture: string;
  readonly input: string;
  readonly logits: string;
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly classes: number;
  /** Of bare weights: how they are to be read. */
  readonly reading?: 'fixed' | 'legacy';
}

/** What the generator writes, by name; a reading where the file leaves it open. */
const files = [
  'keras2-b0-weights.h5 legacy', 'keras2-b0.h5', 'keras2-b0.keras', 'keras3-b0.h5', 'keras3-b0.keras', 'keras3-b0.weights.h5 fixed',
  'keras2-b0-published.h5 fixed', 'keras2-b0-published.weights.h5 fixed', 'keras3-b0-float16.weights.h5 fixed', 'keras3-b0-float16.h5',
  'keras3-b0-bfloat16.weights.h5 fixed', 'keras3-b0-bfloat16.h5', 'keras2-b3-weights.h5 legacy', 'keras2-b3.h5', 'keras3-b3.keras',
  'keras3-b3.weights.h5 fixed', 'keras2-b3-published.h5 fixed', 'keras2-b3-published.weights.h5 fixed', 'keras3-v2-s.keras',
  'keras3-v2-s.weights.h5', 'keras2-v2-s-weights.h5', 'keras2-v2-s.weights.h5', 'keras3-nested.h5', 'keras3-nested.keras',
  'keras2-nested.h5', 'keras2-nested.keras',
];

describe('networks that Keras wrote', function () {
  this.timeout(900_000);
  let folder = '';
  let made: readonly Made[] = [];

  before(function () {
    const candidates = [process.env['EFFNET_KERAS_PYTHON'], 'python3'].filter((name) => name !== undefined);
    const python = candidates.find((name) => spawnSync(name, ['-c', 'import keras, h5py, tensorflow, tf_keras'], { stdio: 'ignore' }).status === 0);
    if (python === undefined) {
      assert.ok(process.env['EFFNET_REQUIRE_KERAS'] !== '1', `EFFNET_REQUIRE_KERAS=1, but none of ${candidates.join(', ')} imports keras, h5py, tensorflow and tf_keras`);
      this.skip();
    }
    folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-keras-'));
    const result = spawnSync(python, [script, '--out', folder, '--models', 'b0', 'b3', 'v2-s'], { encoding: 'utf8' });
    assert.equal(result.status, 0, result.stderr);
    made = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as readonly Made[];
  });
  after(() => {
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
  });

  const floats = (file: string): Float32Array => {
    const bytes = readFileSync(join(folder, file));
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  };
  const find = (name: string): Made => made.find(({ file, reading }) => [file, ...(reading === undefined ? [] : [reading])].join(' ') === name) ?? assert.fail(name);

  /** The largest difference from Keras' logits, as a share of the largest logit. */
  async function error({ file, input, logits, height, width }: Made, options: LoadOptions): Promise<number> {
    await using model: Model = await load({ weights: join(folder, file), ...options });
    const { mean, std } = model.info.recipe;
    const prepared = floats(input).map((pixel, i) => (pixel / 255 - (mean[i % 3] ?? NaN)) / (std[i % 3] ?? NaN));
    const [found, expected] = [await model.run(prepared, { height, width }), floats(logits)];
    assert.equal(found.length, expected.length);
    const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    return found.reduce((max, value, i) => Math.max(max, Math.abs(value - (expected[i] ?? NaN))), 0) / largest;
  }

  for (const name of files) {
    it(`${name}: logits within 1e-4 of the largest`, async () => {
      const one = find(name);
      const found = await error(one, one.reading === undefined ? {} : { keras: one.reading });
      assert.ok(found < 1e-4, String(found));
      await using model: Model = await load({ weights: join(folder, one.file), keras: 'fixed' });
      const { architecture, source, padding, batchNormEpsilon, classes } = model.info;
      assert.deepEqual({ architecture, source, padding, batchNormEpsilon, classes }, { architecture: one.architecture, source: 'keras', padding: 'same', batchNormEpsilon: 1e-3, classes: one.classes });
    });
  }

  it('has seen every file', () => assert.equal(made.length, files.length));

  it('says what bare weights leave open, and which option decides', async () => {
    const warnings: string[] = [];
    const listen = ({ message, code }: Error & { readonly code?: string }): void => void (code === 'EFFICIENTNET_SIMD_GUESS' && warnings.push(message));
    process.on('warning', listen);
    try {
      const { file } = find('keras2-b0-published.h5 fixed');
      for (const options of [{}, { keras: 'legacy' }, { keras: 'fixed' }, { recipe: { mean: [0, 0, 0], std: [1, 1, 1] } }] as const) {
        await (await load({ weights: join(folder, file), ...options })).close();
      }
      await (await load({ weights: join(folder, find('keras3-b0.keras').file) })).close();
      await new Promise(setImmediate);
    } finally {
      process.off('warning', listen);
    }
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.match(warnings[0] ?? '', /'fixed'\) or as before \('legacy'\): taking 'fixed'; the option keras decides/);
  });

  it('the two readings differ by far more than the tolerance', async () => {
    assert.ok((await error(find('keras2-b0-published.h5 fixed'), { keras: 'legacy' })) > 0.05);
    assert.ok((await error(find('keras2-b0-weights.h5 legacy'), { keras: 'fixed' })) > 0.05);
  });
});
