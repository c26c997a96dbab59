// SPDX-License-Identifier: Apache-2.0
// The whole way of a photo to the network's input, through the addon: decoded, resized, cropped and
// normalised, against Pillow's bytes (test/golden/image-photos.json, see make_image_golden.py).

import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { addon } from '../../lib/binding.js';
import { decodeImage } from '../../lib/image.js';
import { checkRecipe, standardRecipe, type RecipeOptions } from '../../lib/recipe.js';

const root = join(__dirname, '..', '..', '..');

interface GoldenPhoto {
  readonly image: string;
  readonly mode: 'center-crop' | 'squash';
  readonly cropFraction: number;
  readonly interpolation: 'bicubic' | 'bilinear';
  readonly size: number;
  readonly sha256: string;
  readonly everyRow: number;
  readonly rows: string;
}
const golden = JSON.parse(readFileSync(join(root, 'test', 'golden', 'image-photos.json'), 'utf8')) as readonly GoldenPhoto[];

async function prepared(file: string, options: RecipeOptions): Promise<Float32Array> {
  const image = await decodeImage(join(root, 'test', 'images', file));
  return addon().prepareImage(image.data, image, checkRecipe(options, standardRecipe(224)));
}

describe('photos become the input that Pillow makes', () => {
  for (const photo of golden) {
    it(`${photo.image}, ${photo.mode}, ${photo.interpolation}`, async () => {
      const { size, cropFraction, interpolation: filter } = photo;
      const crop = photo.mode === 'squash' ? 'squash' : 'center';
      const input = await prepared(photo.image, { size, cropFraction, filter, crop, mean: [0, 0, 0], std: [1, 1, 1] });
      assert.equal(input.length, size * size * 3);
      const bytes = Uint8Array.from(input, (value) => Math.round(value * 255));
      const expected = Buffer.from(photo.rows, 'base64');
      const row = size * 3;
      assert.equal(expected.length % row, 0);
      let worst = 0;
      for (let i = 0; i < expected.length; i++) {
        const at = Math.floor(i / row) * photo.everyRow * row + (i % row);
        worst = Math.max(worst, Math.abs((expected[i] ?? 0) - (input[at] ?? NaN) * 255));
      }
      assert.ok(worst < 1e-4, `rows differ by ${worst}/255`);
      assert.equal(createHash('sha256').update(bytes).digest('hex'), photo.sha256);
    });
  }

  it("normalised by ImageNet's mean and std", async () => {
    const plain = await prepared('chelsea.png', { mean: [0, 0, 0], std: [1, 1, 1] });
    const normalised = await prepared('chelsea.png', {});
    const { mean, std } = standardRecipe(224);
    const worst = normalised.reduce((most, found, i) => {
      const expected = ((plain[i] ?? NaN) - (mean[i % 3] ?? NaN)) / (std[i % 3] ?? NaN);
      return Math.max(most, Math.abs(found - expected));
    }, 0);
    assert.ok(worst < 1e-6, `differs by ${worst}`);
  });
});
