// SPDX-License-Identifier: Apache-2.0
// The whole way from files to logits with published weights: B0 and V2-B0 on photographs, against recorded
// outputs of an independent PyTorch implementation and of Pillow. Needs `../shared` beside the
// repository, else it is skipped. Random weights of every network are compared in parity.test.ts.

import { strict as assert } from 'node:assert';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpu, load, type EfficientNet, type Isa, type LoadOptions } from '../../lib/index.js';

const root = join(__dirname, '..', '..', '..');
const shared = join(root, '..', 'shared');
const weights = join(shared, 'models', 'efficientnet_b0.lukemelas.safetensors');
const chelsea = join(root, 'test', 'images', 'chelsea.png');
const coffee = join(root, 'test', 'images', 'coffee.png');

/** x / 128 - 1 of an image resized by TensorFlow's plain bilinear. */
const plain = { crop: 'squash', filter: 'bilinear-plain', mean: [128 / 255, 128 / 255, 128 / 255], std: [128 / 255, 128 / 255, 128 / 255] } as const;

const isas: readonly Isa[] = cpu().isas.filter(({ present }) => present).map(({ name }) => name);

async function using<T>(options: LoadOptions, work: (model: EfficientNet) => Promise<T> | T): Promise<T> {
  const model = await load(options);
  try {
    return await work(model);
  } finally {
    await model.close();
  }
}

function largest(values: ArrayLike<number>): number {
  return Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function worst(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(found.length, expected.length);
  return largest(Array.from(found, (value, i) => value - (expected[i] ?? NaN)));
}

const bits = (values: Float32Array): Buffer => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

interface Golden {
  readonly b0: {
    readonly top5: readonly number[];
    readonly logits: readonly number[];
    readonly first8: readonly number[];
    readonly sum: number;
  };
}

describe('the published B0', function () {
  this.timeout(120_000);
  before(function () {
    if (!existsSync(weights)) this.skip();
  });

  const golden = (): Readonly<Record<string, Golden>> =>
    JSON.parse(readFileSync(join(shared, 'golden', 'reference_outputs.json'), 'utf8')) as Readonly<Record<string, Golden>>;

  // Recorded with five decimals; the bar is 1e-4 of the largest logit.
  function assertGolden(logits: Float32Array, { b0 }: Golden): void {
    const bar = 1e-4 * largest(b0.logits);
    assert.ok(worst(logits.slice(0, 8), b0.first8) < bar);
    assert.ok(worst(b0.top5.map((index) => logits[index] ?? NaN), b0.logits) < bar);
    assert.ok(Math.abs(logits.reduce((sum, value) => sum + value, 0) - b0.sum) < bar * Math.sqrt(logits.length));
    const order = Array.from(logits.keys()).sort((a, b) => (logits[b] ?? NaN) - (logits[a] ?? NaN));
    assert.deepEqual(order.slice(0, 5), b0.top5);
  }

  for (const isa of isas) {
    it(`gives the recorded logits on ${isa}, the same bits with 1, 2 and 3 threads`, async () => {
      const input = Float32Array.from({ length: 224 * 224 * 3 }, (_, i) => Math.sin(0.001 * i));
      const outputs: Float32Array[] = [];
      for (const threads of [1, 2, 3]) {
        outputs.push(
          await using({ architecture: 'b0', weights, isa, threads }, (model) => {
            assert.equal(model.info.isa, isa);
            for (const kernel of model.info.kernels) assert.ok(kernel.endsWith(`_${isa}`), kernel);
            return model.run(input);
          }),
        );
      }
      const [first] = outputs;
      assert.ok(first);
      assertGolden(first, golden()['synthetic x[h,w,c]=sin(0.001*i), i=NHWC flat index'] as Golden);
      for (const other of outputs) assert.ok(bits(first).equals(bits(other)));
    });

    it(`gives chelsea.png the published probability on ${isa}`, async () => {
      await using({ architecture: 'b0', weights, isa, recipe: plain }, async (model) => {
        const [top] = await model.classify(chelsea);
        assert.equal(top?.index, 285);
        assert.ok(Math.abs((top?.score ?? NaN) - 0.646054) < 1e-5, `${top?.score}`);
      });
    });
  }

  it('ranks chelsea.png and coffee.png as recorded under the standard recipe', async () => {
    await using({ architecture: 'b0', weights }, async (model) => {
      const [cat, cup] = await Promise.all([model.classify(chelsea, { top: 5 }), model.classify(coffee, { top: 5 })]);
      assert.deepEqual(cat.map(({ index }) => index), [285, 282, 281, 287, 284]);
      assert.deepEqual(cup.map(({ index }) => index), [967, 968, 925, 504, 960]);
      assert.ok(worst(cat.map(({ score }) => score), [0.352407, 0.303019, 0.182384, 0.021329, 0.001528]) < 1e-4);
      assert.ok(worst(cup.map(({ score }) => score), [0.906627, 0.026685, 0.013472, 0.006593, 0.006461]) < 1e-4);
    });
  });

  for (const [name, recipe] of [['standard', {}], ['squash', { crop: 'squash' }]] as const) {
    it(`agrees with the recorded class of 300 photographs, recipe ${name}, on 99 %`, async () => {
      const [header, ...rows] = readFileSync(join(shared, 'golden', 'val300_b0.csv'), 'utf8').trim().split('\n');
      const column = (header ?? '').split(',').indexOf(`${name}_argmax`);
      const photos = rows.map((row) => row.split(',')).filter(([file]) => file?.startsWith('ILSVRC'));
      assert.equal(photos.length, 300);
      const agreeing = await using({ architecture: 'b0', weights, recipe }, async (model) => {
        const results = await model.classify(photos.map(([file]) => join(shared, 'images', 'val300', file ?? '')), { top: 1 });
        return results.filter((result, i) => String(result[0]?.index) === photos[i]?.[column]).length;
      });
      assert.ok(agreeing >= 297, `${agreeing} of 300 agree`);
    });
  }
});

describe('the published V2-B0', function () {
  this.timeout(120_000);
  const v2 = join(shared, 'models', 'tf_efficientnetv2_b0.timm.safetensors');
  before(function () {
    if (!existsSync(v2)) this.skip();
  });

  for (const isa of isas) {
    it(`gives chelsea.png the probability of the independent implementation on ${isa}`, async () => {
      await using({ architecture: 'tf_efficientnetv2_b0.in1k', weights: v2, isa, recipe: { ...plain, size: 224 } }, async (model) => {
        const [top] = await model.classify(chelsea);
        assert.equal(top?.index, 285);
        assert.ok(Math.abs((top?.score ?? NaN) - 0.769723) < 1e-5, `${top?.score}`);
      });
    });
  }

  it('is known by its shapes, and then runs as timm has it', async () => {
    await using({ weights: v2 }, async ({ info }) => {
      assert.deepEqual([info.architecture, info.padding, info.batchNormEpsilon, info.source], ['v2-b0', 'same', 1e-3, 'timm']);
      assert.deepEqual([info.recipe.height, info.recipe.cropFraction], [192, 0.875]);
    });
  });
});
