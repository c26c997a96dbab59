// SPDX-License-Identifier: Apache-2.0
// The whole way from files to logits against implementations that nobody here wrote: the published
// B0 on photographs (recorded outputs of an independent PyTorch implementation and of Pillow), and
// torchvision's B0 with random weights. Needs `../shared` beside the repository, or PyTorch; what is
// missing is skipped by name. Kernels alone are tested in test/native.

import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
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

describe("torchvision's B0 with random weights", function () {
  this.timeout(300_000);
  // Debian's interpreter has Debian's PyTorch; another python3 may come first on PATH.
  const python = ['/usr/bin/python3', 'python3'].find((name) => spawnSync(name, ['-c', 'import torch, torchvision']).status === 0);
  let folder = '';
  before(function () {
    if (python === undefined) {
      assert.ok(process.env['EFFNET_REQUIRE_TORCH'] !== '1', 'EFFNET_REQUIRE_TORCH=1, but no python3 here imports torch and torchvision');
      this.skip();
    }
    folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-torch-'));
    const script = join(root, 'test', 'golden', 'make_torchvision.py');
    const made = spawnSync(python, [script, '--out', folder, '--seeds', '1', '2', '--sizes', '224x224', '225x289'], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
  });
  after(() => {
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
  });

  const floats = (file: string): Float32Array => {
    const bytes = readFileSync(file);
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  };

  for (const seed of [1, 2]) {
    for (const [height, width] of [[224, 224], [225, 289]] as const) {
      for (const isa of isas) {
        it(`seed ${seed}, ${height}x${width}, ${isa}: logits within 1e-4 of the largest`, async () => {
          const base = join(folder, `torchvision_b0_s${seed}`);
          const input = floats(`${base}.${height}x${width}.input.f32`);
          const expected = floats(`${base}.${height}x${width}.logits.f32`);
          const found = await using({ architecture: 'b0', weights: `${base}.pth`, isa }, (model) =>
            model.run(input, { layout: 'nchw', height, width }),
          );
          const error = worst(found, expected) / largest(expected);
          assert.ok(error < 1e-4, `${error}`);
        });
      }
    }
  }
});
