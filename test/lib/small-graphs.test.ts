// SPDX-License-Identifier: Apache-2.0
// Small networks with blocks of every kind, as PyTorch and TensorFlow wrote them (test/golden/
// make_small_graphs.py): what is found in them, and whether the logits are those recorded there.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EfficientNetError } from '../../lib/errors.js';
import { parseCheckpoint } from '../../lib/formats/index.js';
import { mapWeights } from '../../lib/weights.js';
import { apart, root, using } from './helpers/oracle.js';

const folder = join(root, 'test', 'golden');
const recorded = JSON.parse(readFileSync(join(folder, 'small-graphs.json'), 'utf8')) as Readonly<Record<string, readonly number[]>>;
const image = Float32Array.from({ length: 32 * 32 * 3 }, (_, i) => Math.sin(0.37 * i));

interface Expected {
  readonly padding: 'same' | 'symmetric';
  readonly activation: string;
  /** Of the squeeze and the gate. */
  readonly excite: readonly [string, string];
  readonly hidden: readonly [number, string];
}

const swish: Omit<Expected, 'padding'> = { activation: 'swish', excite: ['swish', 'sigmoid'], hidden: [0, 'swish'] };
const files: Readonly<Record<string, Expected>> = {
  'small.onnx': { padding: 'symmetric', ...swish },
  'small-unfolded.onnx': { padding: 'symmetric', ...swish },
  'small-hard.onnx': { padding: 'symmetric', activation: 'hard-swish', excite: ['relu', 'hard-sigmoid'], hidden: [7, 'hard-swish'] },
  'small-hard-ops.onnx': { padding: 'symmetric', activation: 'hard-swish', excite: ['relu6', 'hard-sigmoid'], hidden: [7, 'relu6'] },
  'small.tflite': { padding: 'same', ...swish },
  'small-f16.tflite': { padding: 'same', ...swish },
  'small-normalised.tflite': { padding: 'same', activation: 'relu6', excite: ['relu6', 'sigmoid'], hidden: [0, 'relu6'] },
  'small-hard.tflite': { padding: 'same', activation: 'hard-swish', excite: ['hard-swish', 'hard-sigmoid'], hidden: [7, 'hard-swish'] },
};

describe('small networks as PyTorch and TensorFlow write them', () => {
  for (const [name, { padding, activation, excite, hidden }] of Object.entries(files)) {
    const bytes = (): Uint8Array => readFileSync(join(folder, name));

    it(`${name}: the network`, () => {
      const { network } = mapWeights(parseCheckpoint(bytes()));
      assert.equal(network.padding, padding);
      assert.deepEqual([network.stem.kernel, network.stem.stride, network.stem.out, network.stem.activation], [3, 2, 6, activation]);
      assert.deepEqual(
        network.blocks.map(({ kind, stage, index, in: from, expanded, out, kernel, stride, residual }) =>
          [kind, stage, index, from, expanded, out, kernel, stride, residual].join(' ')),
        [
          'mbconv 0 0 6 6 6 3 1 true', 'fused 0 1 6 6 6 3 1 true', 'fused 1 0 6 12 8 3 2 false', 'fused 1 1 8 16 8 3 1 true',
          'mbconv 2 0 8 16 10 5 2 false', 'mbconv 2 1 10 20 10 3 1 true', 'mbconv 2 2 10 20 10 3 1 true',
        ],
      );
      const squeezes = network.blocks.map((block) => (block.kind === 'mbconv' ? block.squeeze : -1));
      assert.deepEqual(squeezes, [2, -1, -1, -1, 3, 3, 0]);
      for (const block of network.blocks) {
        assert.equal(block.activation, activation);
        if (block.kind === 'mbconv' && block.squeeze > 0) assert.deepEqual([block.squeezeActivation, block.gateActivation], excite);
        if (block.kind === 'fused') assert.equal(block.hasProject, block.expanded !== block.out);
      }
      const { head } = network;
      assert.deepEqual([head.in, head.features, head.classes, head.hidden], [10, 12, 5, hidden[0]]);
      if (head.hidden > 0) assert.equal(head.hiddenActivation, hidden[1]);
    });

    it(`${name}: the recorded logits`, async () => {
      await using({ weights: bytes() }, async (model) => {
        const layout = name.endsWith('onnx') ? 'nchw' : 'nhwc';
        const error = apart(await model.run(image, { layout, height: 32, width: 32 }), recorded[name] ?? assert.fail());
        // Recorded with seven digits; TensorFlow Lite's own arithmetic is single precision.
        assert.ok(error < 1e-5, `${error}`);
        assert.equal(model.info.resolution, 32);
        if (name === 'small-normalised.tflite') {
          assert.ok(apart(model.info.recipe.mean, [0.485, 0.456, 0.406]) < 1e-6, model.info.recipe.mean.join());
          assert.ok(apart(model.info.recipe.std, [0.229, 0.224, 0.225]) < 1e-6, model.info.recipe.std.join());
        }
      });
    });
  }

  it('small-int8.tflite is refused with what to do', () => {
    assert.throws(() => parseCheckpoint(readFileSync(join(folder, 'small-int8.tflite'))), (error: unknown) => {
      assert.ok(error instanceof EfficientNetError, String(error));
      assert.equal(error.code, 'ERR_UNSUPPORTED');
      assert.match(error.message, /is quantised: .*Convert the network without quantisation, or with float16 weights/);
      return true;
    });
  });
});
