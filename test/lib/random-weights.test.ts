// SPDX-License-Identifier: Apache-2.0
// Made-up weights: every tensor there with its size, the same numbers each time, and logits in the
// range that the comment promises, for the smallest and a deep network.

import { strict as assert } from 'node:assert';

import { addon } from '../../lib/binding.js';
import type { Tensor } from '../../lib/formats/tensor.js';
import { buildNetwork } from '../../lib/network.js';
import { randomWeights } from '../../lib/random-weights.js';
import { canonicalMetadata, canonicalTensors, mapWeights } from '../../lib/weights.js';

/** Root of the mean square of the logits of one made-up image of the given side. */
async function logitScale(name: string, side: number): Promise<number> {
  const weights = randomWeights(buildNetwork(name));
  const options = { threads: 1, isa: '', height: side, width: side };
  const session = await addon().createSession(weights.network, weights, options);
  const input = Float32Array.from({ length: side * side * 3 }, (_, i) => 2 * Math.sin(i * 0.37));
  const logits = new Float32Array(weights.network.head.classes);
  session.runSync(input, logits, { height: side, width: side, layout: 'nhwc', output: 'logits' });
  await session.close();
  return Math.sqrt(logits.reduce((sum, value) => sum + value * value, 0) / logits.length);
}

describe('random weights', () => {
  for (const name of ['b0', 'tf_efficientnet_b4']) {
    it(`are a whole checkpoint of ${name}`, () => {
      const network = buildNetwork(name, { classes: 7 });
      const weights = randomWeights(network);
      const tensors = new Map<string, Tensor>(canonicalTensors(weights).map((tensor) => [tensor.name, tensor]));
      const metadata = new Map(Object.entries(canonicalMetadata(network)));
      // Checks the presence and the shape of every tensor, and that all numbers are finite.
      const back = mapWeights({ format: 'safetensors', tensors, metadata }, network);
      assert.deepEqual(back.network, network);
      assert.deepEqual(back.blocks[3], weights.blocks[3]);
    });
  }

  it('repeat with the seed and change with it', () => {
    const network = buildNetwork('b0');
    const values = (seed?: number): Float32Array => randomWeights(network, seed).stem.weights;
    assert.deepEqual(values(), values(1));
    assert.notDeepEqual(values(2), values(1));
  });

  it('refuse a seed that is none', () => {
    for (const seed of [-1, 1.5, NaN, 2 ** 32]) {
      assert.throws(() => randomWeights(buildNetwork('b0'), seed), { code: 'ERR_INVALID_ARGUMENT', message: /seed/ });
    }
  });

  for (const [name, side] of [['b0', 224], ['b0', 32], ['b7', 96], ['b8', 64]] as const) {
    it(`keep the logits of ${name} at ${side} between 1e-3 and 1e3`, async () => {
      const scale = await logitScale(name, side);
      assert.ok(scale > 1e-3 && scale < 1e3, `the logits are ${scale}`);
    });
  }
});
