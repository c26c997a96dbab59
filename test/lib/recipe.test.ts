// SPDX-License-Identifier: Apache-2.0
// Recipes by source against the published sizes, and the check of what a user overrides.

import { strict as assert } from 'node:assert';

import { EfficientNetError } from '../../lib/errors.js';
import type { Naming } from '../../lib/naming.js';
import { buildNetwork, type Padding } from '../../lib/network.js';
import { checkRecipe, recipeFor, standardRecipe, type Recipe } from '../../lib/recipe.js';

/** The short side before the crop, as native/image computes it. */
const resized = ({ height, cropFraction }: Recipe): number => Math.floor(height / cropFraction);

const names = ['b0', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7'];
const imageNetMean = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** The recipe of a checkpoint whose network is not named by the user. */
function of(naming: Naming, name: string, padding: Padding = 'same'): Recipe {
  return recipeFor(buildNetwork(name), { naming, padding });
}

describe('recipes', () => {
  it("crop and resize to torchvision's sizes exactly", () => {
    const found = names.map((name) => of('torchvision', name, 'symmetric')).map((one) => [resized(one), one.height, one.width]);
    const sizes = [[256, 224], [256, 240], [288, 288], [320, 300], [384, 380], [456, 456], [528, 528], [600, 600]];
    assert.deepEqual(found, sizes.map(([short = 0, crop = 0]) => [short, crop, crop]));
    const v2 = of('torchvision', 'v2-s', 'symmetric');
    assert.deepEqual([resized(v2), v2.height, v2.filter], [384, 384, 'bilinear']);
  });

  it("take timm's published fractions literally", () => {
    const found = names.map((name) => of('timm', name)).map((one) => [one.height, one.cropFraction, resized(one)]);
    assert.deepEqual(found, [
      [224, 0.875, 256], [240, 0.882, 272], [260, 0.89, 292], [300, 0.904, 331],
      [380, 0.922, 412], [456, 0.934, 488], [528, 0.942, 560], [600, 0.949, 632],
    ]);
    const own = names.slice(0, 5).map((name) => of('timm', name, 'symmetric').height);
    assert.deepEqual(own, [224, 240, 256, 288, 320]);
    assert.equal(of('timm', 'l2').height, 800);
    assert.equal(of('timm', 'l2-475').height, 475);
  });

  it('of a name are those of the weights that its tag asks for', () => {
    const named = (name: string, naming: Naming = 'timm'): Recipe => recipeFor(buildNetwork(name), { naming, padding: 'same' }, name);
    const tagged = [
      ['tf_efficientnet_b0', 224, 0.875, 0.485], ['tf_efficientnet_b0.ap_in1k', 224, 0.875, 0.5], ['tf_efficientnet_b0_ap', 224, 0.875, 0.5],
      ['tf_efficientnetv2_s.in21k', 300, 1, 0.5], ['efficientnet_b1.ft_in1k', 224, 0.875, 0.485], ['tf_efficientnet_l2_ns_475', 475, 0.936, 0.485],
      ['efficientnet_b2_pruned', 260, 0.89, 0.5], ['tinynet_e', 106, 0.875, 0.485],
    ] as const;
    for (const [name, size, fraction, mean] of tagged) {
      const recipe = named(name);
      assert.deepEqual([recipe.height, recipe.cropFraction, recipe.mean[0]], [size, fraction, mean], name);
    }
    assert.equal(named('tf_efficientnetv2_l').crop, 'squash');
    assert.deepEqual(named('mobilenetv3_large_100.miil_in21k').std, [1, 1, 1]);
    assert.equal(resized(named('efficientnet_b1.imagenet1k_v2', 'torchvision')), 255);
    assert.deepEqual(named('efficientnet_b1.ft_in1k', 'torchvision'), of('torchvision', 'b1'), "another source's name decides nothing");
  });

  it('of most checkpoints are the standard one', () => {
    for (const naming of ['lukemelas', 'tfjs', 'canonical', 'keras', 'tensorflow'] as const) {
      for (const name of names) assert.deepEqual(of(naming, name), standardRecipe(buildNetwork(name).resolution), `${naming} ${name}`);
    }
    const { crop, filter, mean, std } = standardRecipe(224);
    assert.deepEqual({ crop, filter, mean, std }, { crop: 'center', filter: 'bicubic', ...imageNetMean });
    const { crop: squash, cropFraction, filter: nearest } = of('transformers', 'b0');
    assert.deepEqual([squash, cropFraction, nearest], ['squash', 1, 'nearest']);
  });

  it("of TensorFlow's other networks are as their code prepares images", () => {
    assert.deepEqual(of('lukemelas', 'lite0'), of('tensorflow', 'lite0'));
    const lite = of('tensorflow', 'lite0');
    assert.ok(Math.abs((1 - (lite.mean[0] ?? 0)) / (lite.std[0] ?? 0) - 1) < 1e-12, 'white is (255 - 127) / 128');
    const [b0, s] = [of('keras', 'v2-b0'), of('keras', 'v2-s')];
    assert.deepEqual([b0.crop, b0.filter, b0.mean[0], resized(b0)], ['center', 'bilinear', 0.485, 256]);
    assert.deepEqual([s.crop, s.filter, s.height, ((1 - (s.mean[0] ?? 0)) / (s.std[0] ?? 1)).toFixed(6)], ['squash', 'bilinear', 384, (127 / 128).toFixed(6)]);
  });

  it('of any size keep exactly 32 pixels for the crop', () => {
    for (let size = 1; size <= 4096; size++) assert.equal(resized(standardRecipe(size)), size + 32);
  });

  it('of no size are errors', () => {
    assert.throws(() => standardRecipe(0), { code: 'ERR_INVALID_ARGUMENT' });
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
    [{ filter: 'cubic' }, /'bicubic', 'bilinear', 'bilinear-plain', 'nearest', 'lanczos', 'box', 'hamming' for recipe\.filter/],
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
