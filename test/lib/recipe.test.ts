// SPDX-License-Identifier: Apache-2.0
// Recipes by source against the published sizes, and the check of what a user overrides.

import { strict as assert } from 'node:assert';

import { EfficientNetError } from '../../lib/errors.js';
import { checkRecipe, namedRecipe, recipeFor, standardRecipe, type Recipe, type RecipeSource } from '../../lib/recipe.js';

/** The short side before the crop, as native/image computes it. */
const resized = ({ height, cropFraction }: Recipe): number => Math.floor(height / cropFraction);

const names = ['b0', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7'];

describe('recipes', () => {
  it("crop and resize to torchvision's sizes exactly", () => {
    const found = names.map((name) => namedRecipe('torchvision', name)).map((one) => [resized(one), one.height, one.width]);
    const sizes = [[256, 224], [256, 240], [288, 288], [320, 300], [384, 380], [456, 456], [528, 528], [600, 600]];
    assert.deepEqual(found, sizes.map(([short = 0, crop = 0]) => [short, crop, crop]));
  });

  it("resize to lukemelas's size plus 32 exactly", () => {
    for (const name of names) {
      const recipe = namedRecipe('lukemelas', name);
      assert.equal(resized(recipe), recipe.height + 32, name);
    }
  });

  it("take timm's published fractions literally", () => {
    const found = names.map((name) => namedRecipe('timm-tf', name)).map((one) => [one.height, one.cropFraction, resized(one)]);
    assert.deepEqual(found, [
      [224, 0.875, 256], [240, 0.882, 272], [260, 0.89, 292], [300, 0.904, 331],
      [380, 0.922, 412], [456, 0.934, 488], [528, 0.942, 560], [600, 0.949, 632],
    ]);
    const own = names.slice(0, 5).map((name) => namedRecipe('timm', name).height);
    assert.deepEqual(own, [224, 224, 256, 288, 320]);
  });

  it("share ImageNet's normalisation, bicubic and the centre crop", () => {
    for (const source of ['timm', 'timm-tf', 'lukemelas', 'torchvision', 'tfjs'] as const) {
      const { crop, filter, mean, std } = namedRecipe(source, 'b0');
      assert.deepEqual({ crop, filter, mean, std }, {
        crop: 'center', filter: 'bicubic', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225],
      });
    }
    assert.deepEqual(namedRecipe('tfjs', 'b0'), standardRecipe(224));
  });

  it('of any size keep exactly 32 pixels for the crop', () => {
    for (let size = 1; size <= 4096; size++) assert.equal(resized(standardRecipe(size)), size + 32);
  });

  it('belong to the checkpoint', () => {
    const b3 = { name: 'b3', resolution: 300 };
    assert.deepEqual(recipeFor(b3, { naming: 'timm', padding: 'same' }), namedRecipe('timm-tf', 'b3'));
    assert.deepEqual(recipeFor(b3, { naming: 'timm', padding: 'symmetric' }), namedRecipe('timm', 'b3'));
    assert.deepEqual(recipeFor(b3, { naming: 'torchvision', padding: 'symmetric' }), namedRecipe('torchvision', 'b3'));
    assert.deepEqual(recipeFor(b3, { naming: 'tfjs', padding: 'same' }), standardRecipe(300));
    assert.deepEqual(recipeFor(b3, { naming: 'canonical', padding: 'same' }), standardRecipe(300));
    assert.deepEqual(recipeFor({ name: 'l2', resolution: 800 }, { naming: 'timm', padding: 'same' }), standardRecipe(800));
  });

  it('of unknown sources and networks are errors', () => {
    const code = (expected: string) => (error: unknown) => error instanceof EfficientNetError && error.code === expected;
    assert.throws(() => namedRecipe('keras' as RecipeSource, 'b0'), code('ERR_INVALID_ARGUMENT'));
    assert.throws(() => namedRecipe('tfjs', 'b1'), code('ERR_UNSUPPORTED'));
    assert.throws(() => namedRecipe('timm', 'toString'), code('ERR_UNSUPPORTED'));
    assert.throws(() => standardRecipe(0), code('ERR_INVALID_ARGUMENT'));
  });
});

describe('overriding a recipe', () => {
  const base = standardRecipe(224);

  it('changes what is given and nothing else', () => {
    assert.deepEqual(checkRecipe(undefined, base), base);
    assert.deepEqual(checkRecipe({}, base), base);
    assert.deepEqual(checkRecipe({ size: 256, mean: undefined }, base), { ...base, height: 256, width: 256 });
    assert.deepEqual(checkRecipe({ width: 320 }, base), { ...base, width: 320 });
    const all: Recipe = {
      height: 1, width: 4096, crop: 'squash', cropFraction: 1, filter: 'bilinear-plain', mean: [0, 0.5, 1], std: [1, 2, -1],
    };
    assert.deepEqual(checkRecipe(all, base), all);
  });

  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [5, /an object for recipe but received 5/],
    [{ sise: 5 }, /Unknown option 'sise' in recipe\. Did you mean 'size'/],
    [{ size: 0 }, /recipe\.size but received 0/],
    [{ size: 4097 }, /from 1 to 4096 for recipe\.size/],
    [{ size: 224.5 }, /recipe\.size/],
    [{ size: 224, width: 224 }, /either size or height and width/],
    [{ height: '224' }, /recipe\.height but received the string "224"/],
    [{ crop: 'centre' }, /recipe\.crop.*Did you mean 'center'/],
    [{ cropFraction: 0 }, /recipe\.cropFraction but received 0/],
    [{ cropFraction: 1.01 }, /at most 1 for recipe\.cropFraction/],
    [{ cropFraction: NaN }, /recipe\.cropFraction/],
    [{ filter: 'lanczos' }, /'bicubic', 'bilinear', 'bilinear-plain' for recipe\.filter/],
    [{ mean: 0.5 }, /three numbers \(red, green, blue\) for recipe\.mean/],
    [{ mean: [0, 0] }, /recipe\.mean but received an array of length 2/],
    [{ mean: [0, NaN, 0] }, /recipe\.mean\[1\] but received NaN/],
    [{ mean: [0, 0, 1e300] }, /recipe\.mean\[2\]/],
    [{ std: [1, 0, 1] }, /other than 0 for recipe\.std\[1\]/],
    [{ std: [1, 1, 1e-60] }, /recipe\.std\[2\]/],
    [{ std: [1, 1, Infinity] }, /recipe\.std\[2\]/],
  ];
  for (const [value, message] of wrong) {
    it(`refuses ${JSON.stringify(value)}`, () => {
      assert.throws(() => checkRecipe(value, base), (error: unknown) => {
        assert.ok(error instanceof EfficientNetError);
        assert.equal(error.code, 'ERR_INVALID_ARGUMENT');
        assert.match(error.message, message);
        return true;
      });
    });
  }
});
