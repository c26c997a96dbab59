// SPDX-License-Identifier: Apache-2.0
// The public model on a network with made-up weights: that images, tensors, labels and options go
// where they should. That the real network gives the published numbers is in accuracy.test.ts.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { addon } from '../../lib/binding.js';
import { decodeImage } from '../../lib/image.js';
import { EfficientNet, load, type LoadOptions, type Model, type Prediction } from '../../lib/index.js';
import { writeSafetensors } from '../../lib/formats/safetensors.js';
import { imagenetLabels } from '../../lib/labels.js';
import { bestOf } from '../../lib/scores.js';
import { noise, syntheticCheckpoint } from './helpers/synthetic.js';
import { syntheticB0 } from './synthetic.js';

const chelsea = join(__dirname, '../../../test/images/chelsea.png');
const coffee = join(__dirname, '../../../test/images/coffee.png');
const numbers = 224 * 224 * 3;
const checkpoint = syntheticCheckpoint();

function softmax(logits: Float32Array): number[] {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

describe('a model', () => {
  let model: Model;
  before(async () => {
    model = await load({ weights: checkpoint, threads: 1 });
  });
  after(() => model.close());

  it('says what it is', () => {
    const { architecture, classes, features, resolution, padding, batchNormEpsilon, source, threads, recipe, kernels, isa } = model.info;
    assert.deepEqual(
      { architecture, classes, features, resolution, padding, batchNormEpsilon, source, threads },
      { architecture: 'b0', classes: 10, features: 1280, resolution: 224, padding: 'same', batchNormEpsilon: 1e-3, source: 'canonical', threads: 1 },
    );
    assert.equal(recipe.height, 224);
    assert.ok(kernels.every((kernel) => kernel.endsWith(isa)));
    // Without the 1,000 classes B0 has 4,007,548 parameters; the classifier here has 10 times 1,281.
    assert.equal(model.info.parameters, 4_007_548 + 12_810);
    assert.ok(model.info.weightBytes >= 4 * 4_000_000 && model.info.weightBytes < 20e6);
    assert.ok(model instanceof EfficientNet);
  });

  it('classifies a path, a URL, bytes and raw pixels alike', async () => {
    const expected = await model.classify(chelsea);
    assert.equal(expected.length, 5);
    assert.deepEqual(await model.classify(pathToFileURL(chelsea)), expected);
    assert.deepEqual(await model.classify(readFileSync(chelsea)), expected);
    const { data, width, height, channels, stride } = await decodeImage(chelsea);
    assert.deepEqual(await model.classify({ data, width, height, channels, stride }), expected);
    assert.deepEqual(model.classifySync({ data, width, height, channels }), expected);
  });

  it('scores by the softmax of what run gives for the prepared image', async () => {
    const { data, ...image } = await decodeImage(chelsea);
    const tensor = addon().prepareImage(data, image, model.info.recipe);
    const scores = softmax(model.runSync(tensor));
    const all = await model.classify(chelsea, { top: 10 });
    assert.equal(all.length, 10);
    assert.ok(Math.abs(all.reduce((sum, { score }) => sum + score, 0) - 1) < 1e-12);
    all.forEach(({ index, score, label }, i) => {
      assert.equal(label, `class ${index}`);
      assert.ok(Math.abs(score - (scores[index] ?? NaN)) < 1e-12);
      assert.ok(score <= (all[i - 1]?.score ?? 1));
    });
    assert.deepEqual(await model.classify(chelsea, { top: 1 }), all.slice(0, 1));
    assert.deepEqual(await model.embed(chelsea), await model.embed(tensor));
    assert.deepEqual(model.embedSync({ data, ...image }), model.embedSync(tensor));
    assert.equal(model.embedSync(tensor).length, 1280);
  });

  it('classifies several images in their order', async () => {
    const one = await model.classify(chelsea);
    const two = await model.classify(coffee);
    assert.notDeepEqual(one, two);
    const images = [chelsea, coffee, coffee, chelsea, coffee, chelsea, chelsea];
    const results: Prediction[][] = await model.classify(images);
    assert.deepEqual(results, images.map((image) => (image === chelsea ? one : two)));
    assert.deepEqual(await model.classify([]), []);
    await assert.rejects(model.classify([chelsea, coffee, 'missing.png', chelsea]), { code: 'ERR_FILE', message: /^images\[2\]: .*missing\.png/ });
  });

  it('tells how long each part took when asked', async () => {
    const { predictions, milliseconds } = await model.classify(chelsea, { timings: true });
    assert.deepEqual(predictions, await model.classify(chelsea));
    for (const time of [milliseconds.decode, milliseconds.prepare, milliseconds.infer]) assert.ok(time > 0);
    const several = await model.classify([chelsea, coffee], { timings: true, top: 2 });
    assert.deepEqual(several.map((one) => one.predictions.length), [2, 2]);
    const raw = model.classifySync({ data: new Uint8Array(12), width: 2, height: 2, channels: 'rgb' }, { timings: true });
    assert.equal(raw.milliseconds.decode, 0);
  });

  it('runs batches, both layouts, other sizes, into a given output', async () => {
    const { height, width } = { height: 65, width: 97 };
    const one = height * width * 3;
    const batch = noise(3 * one, 8);
    const logits = await model.run(batch, { height, width });
    assert.equal(logits.length, 30);
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(model.runSync(batch.slice(i * one, (i + 1) * one), { height, width }), logits.slice(10 * i, 10 * i + 10));
    }
    const planar = new Float32Array(3 * one);
    for (let i = 0; i < 3; i++) {
      for (let p = 0; p < height * width; p++) {
        for (let c = 0; c < 3; c++) planar[i * one + c * height * width + p] = batch[i * one + 3 * p + c] ?? NaN;
      }
    }
    const output = new Float32Array(30);
    assert.equal(await model.run(planar, { height, width, layout: 'nchw', output }), output);
    assert.deepEqual(output, logits);
    assert.equal(model.runSync(batch, { height, width, output: output.fill(0) }), output);
    assert.deepEqual(output, logits);
    assert.ok(model.info.activationBytes > 0);
  });

  it('has the recipe and labels that load was given', async () => {
    const labels = Array.from({ length: 10 }, (_, i) => `thing ${i}`);
    await using other = await load({ weights: checkpoint, labels, recipe: { crop: 'squash', height: 96, width: 128 }, isa: 'scalar' });
    labels[0] = 'changed afterwards';
    const { crop, height, width, filter } = other.info.recipe;
    assert.deepEqual({ crop, height, width, filter }, { crop: 'squash', height: 96, width: 128, filter: 'bicubic' });
    const all = await other.classify(chelsea, { top: 10 });
    for (const { label, index } of all) assert.equal(label, `thing ${index}`);
    const { data, ...image } = await decodeImage(chelsea);
    const scores = softmax(other.runSync(addon().prepareImage(data, image, other.info.recipe), { height: 96, width: 128 }));
    assert.ok(Math.abs((all[0]?.score ?? 0) - Math.max(...scores)) < 1e-12);
    assert.equal(other.info.isa, 'scalar');
  });

  it('takes padding and epsilon from the options before the checkpoint', async () => {
    const input = noise(numbers, 2);
    await using other = await load({ architecture: 'efficientnet_b0', weights: checkpoint, padding: 'symmetric', batchNormEpsilon: 0.5 });
    assert.equal(other.info.padding, 'symmetric');
    assert.equal(other.info.batchNormEpsilon, 0.5);
    assert.notDeepEqual(other.runSync(input), model.runSync(input));
  });

  it('warns where it can only guess the padding, and only there', async () => {
    const bytes = writeSafetensors(syntheticB0('timm', 10).values());
    const warned: (string | undefined)[] = [];
    const listen = (warning: Error & { code?: string }): number => warned.push(warning.code);
    process.on('warning', listen);
    const padding = async (options: LoadOptions): Promise<string> => {
      await using other = await load({ weights: bytes, ...options });
      await new Promise((resolve) => setImmediate(resolve));
      return other.info.padding;
    };
    assert.equal(await padding({ architecture: 'tf_efficientnet_b0' }), 'same');
    assert.equal(await padding({ architecture: 'efficientnet_b0' }), 'symmetric');
    assert.equal(await padding({ architecture: 'b0', padding: 'same', batchNormEpsilon: 1e-3 }), 'same');
    assert.deepEqual(warned, []);
    assert.equal(await padding({ architecture: 'b0' }), 'symmetric');
    process.off('warning', listen);
    assert.deepEqual(warned, ['EFFICIENTNET_SIMD_GUESS']);
  });

  it('names ImageNet\'s classes where there are 1,000', async () => {
    assert.equal(imagenetLabels.length, 1000);
    assert.equal(imagenetLabels[285], 'Egyptian cat');
    await using other = await load({ weights: syntheticCheckpoint('b0', 1000) });
    const [best] = await other.classify(chelsea);
    assert.equal(best?.label, imagenetLabels[best?.index ?? -1]);
  });
});

describe('bestOf', () => {
  it('sorts, breaks ties by index, and survives logits of any size', () => {
    const indices = (logits: readonly number[], top: number): number[] => bestOf(Float32Array.from(logits), top, undefined).map(({ index }) => index);
    assert.deepEqual(indices([1, 3, 2, 3, 3], 4), [1, 3, 4, 2]);
    assert.deepEqual(indices([5], 1), [0]);
    assert.deepEqual(indices([-3e38, 3e38, -3e38], 3), [1, 0, 2]);
    const random = noise(1000, 6);
    const sorted = Array.from(random.keys()).sort((a, b) => (random[b] ?? 0) - (random[a] ?? 0) || a - b);
    for (const top of [1, 2, 5, 999, 1000]) assert.deepEqual(bestOf(random, top, undefined).map(({ index }) => index), sorted.slice(0, top));
    assert.deepEqual(bestOf(Float32Array.of(1000, 1000), 2, ['a', 'b']), [
      { label: 'a', index: 0, score: 0.5 },
      { label: 'b', index: 1, score: 0.5 },
    ]);
  });

  it('refuses logits that are not finite', () => {
    for (const value of [NaN, Infinity, -Infinity]) {
      assert.throws(() => bestOf(Float32Array.of(0, value), 1, undefined), { code: 'ERR_INVALID_CHECKPOINT', message: /class 1 got/ });
    }
  });
});
