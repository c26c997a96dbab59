// SPDX-License-Identifier: Apache-2.0
// Files of TensorFlow's own converters: TensorFlow Lite in float32 and float16, TensorFlow.js graph models
// and layers models, quantised ones too. Which network is found, its normalisation, and whether the
// logits are TensorFlow's. Skipped by name where TensorFlow is not installed.

import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apart, floats, generate, pythonWith, using } from './helpers/oracle.js';

interface Entry {
  readonly file: string;
  readonly architecture: string;
  readonly height: number;
  readonly width: number;
  readonly classes: number;
  readonly input?: string;
  readonly logits?: string;
  /** The same model with its weights brought back to float32 by TensorFlow.js' own library. */
  readonly dequantized?: string;
}

const models = ['b0', 'b3', 'v2-s'];

describe('files of TensorFlow Lite and TensorFlow.js', function () {
  this.timeout(900_000);
  let folder = '';
  let entries: readonly Entry[] = [];
  before(function () {
    const python = pythonWith(['tensorflow', 'tf_keras'], 'EFFNET_REQUIRE_KERAS', process.env['EFFNET_KERAS_PYTHON']);
    if (python === undefined) return this.skip();
    folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-tensorflow-'));
    generate(python, 'make_tensorflow.py', ['--out', folder, '--models', ...models]);
    entries = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as readonly Entry[];
  });
  after(() => {
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
  });

  /** Pixels of 0 to 255 as the model's recipe normalises them. */
  const normalised = (pixels: Float32Array, mean: readonly number[], std: readonly number[]): Float32Array =>
    pixels.map((value, i) => (value / 255 - (mean[i % 3] ?? NaN)) / (std[i % 3] ?? NaN));

  const logitsOf = (entry: Entry, file: string, pixels: Float32Array): Promise<Float32Array> =>
    using({ weights: join(folder, file) }, (model) => {
      assert.equal(model.info.architecture, entry.architecture);
      assert.equal(model.info.padding, 'same');
      assert.equal(model.info.classes, entry.classes);
      const { recipe } = model.info;
      assert.deepEqual([recipe.height, recipe.width], [entry.height, entry.width], file);
      return model.run(normalised(pixels, recipe.mean, recipe.std), { height: entry.height, width: entry.width });
    });

  const compare = async (wanted: RegExp, count: number): Promise<void> => {
    const found = entries.filter(({ file, input }) => wanted.test(file) && input !== undefined);
    assert.equal(found.length, count);
    for (const entry of found) {
      const logits = await logitsOf(entry, entry.file, floats(join(folder, entry.input ?? '')));
      const error = apart(logits, floats(join(folder, entry.logits ?? '')));
      assert.ok(error < 1e-4, `${entry.file}: ${error}`);
    }
  };

  it('TensorFlow Lite, float32: logits within 1e-4 of the largest', () => compare(/^(b0|b3|v2-s)\.tflite$/, models.length));
  it('TensorFlow Lite, float16 weights: logits within 1e-4 of the largest', () => compare(/-f16\.tflite$/, models.length));

  describe('TensorFlow.js', () => {
    before(function () {
      if (entries.every(({ file }) => !file.includes('model.json'))) {
        console.log('      skipped: needs the Python package tensorflowjs');
        assert.ok(process.env['EFFNET_REQUIRE_KERAS'] !== '1', 'EFFNET_REQUIRE_KERAS=1, but tensorflowjs cannot be imported');
        this.skip();
      }
    });

    it('graph model: logits within 1e-4 of the largest', () => compare(/-graph\/model\.json$/, 1));
    it('layers models: logits within 1e-4 of the largest', () => compare(/-layers\/model\.json$/, models.length));
    it('layers models in uint8, uint16 and float16: logits of the weights that these stand for', () => compare(/-layers-\w+\/model\.json$/, 3 * models.length));
    it('graph model in uint8, uint16 and float16: what the library of TensorFlow.js makes of the weights', async () => {
      const quantised = entries.filter(({ dequantized }) => dequantized !== undefined);
      assert.equal(quantised.length, 3);
      for (const entry of quantised) {
        const pixels = floats(join(folder, entries[0]?.input ?? ''));
        const [found, expected] = [await logitsOf(entry, entry.file, pixels), await logitsOf(entry, entry.dequantized ?? '', pixels)];
        // Both multiply in double precision and round once: the same weights, bit for bit.
        assert.deepEqual(found, expected, entry.file);
      }
    });
  });
});
