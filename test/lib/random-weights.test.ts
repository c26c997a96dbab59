// SPDX-License-Identifier: Apache-2.0
// Made-up weights: every tensor there with its size, the same numbers each time, and logits of order 1
// on which instruction sets agree, for every family and the deepest networks.

import { strict as assert } from 'node:assert';

import { exampleInput } from '../../lib/bench/subject.js';
import { addon, type Isa } from '../../lib/binding.js';
import { cpu } from '../../lib/cpu.js';
import type { Tensor } from '../../lib/formats/tensor.js';
import { buildNetwork } from '../../lib/network.js';
import { randomWeights, randomWeightsInTurns } from '../../lib/random-weights.js';
import { canonicalMetadata, canonicalTensors, mapWeights, type FoldedWeights } from '../../lib/weights.js';
import { apart, largest } from './helpers/oracle.js';

/** The best two; plain C++ is too slow for all of them. */
const isas: readonly Isa[] = cpu().isas.filter(({ present }) => present).map(({ name }) => name).slice(0, 2);

/** Logits of one made-up image of the given side. */
async function logitsOf(weights: FoldedWeights, side: number, isa: Isa): Promise<Float32Array> {
  const session = await addon().createSession(weights.network, weights, { threads: 1, isa, height: side, width: side });
  const logits = new Float32Array(weights.network.head.classes);
  session.runSync(exampleInput(side * side * 3), logits, { height: side, width: side, layout: 'nhwc', output: 'logits' });
  await session.close();
  return logits;
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

  it('are the same when made in turns', async () => {
    const network = buildNetwork('b0');
    let turns = 0;
    const weights = await randomWeightsInTurns(network, () => Promise.resolve(void turns++));
    assert.deepEqual(weights, randomWeights(network));
    assert.ok(turns > network.blocks.length, `${turns} turns`);
  });

  it('refuse a seed that is none', () => {
    for (const seed of [-1, 1.5, NaN, 2 ** 32]) {
      assert.throws(() => randomWeights(buildNetwork('b0'), seed), { code: 'ERR_INVALID_ARGUMENT', message: /seed/ });
    }
  });

  // Every family, the deepest of each. L2 is left out, which takes 4 GB: by hand its largest logit is of order 1 too.
  const networks = [
    ['b0', 224], ['b0', 32], ['b7', 96], ['b8', 64], ['v2-b3', 96], ['v2-s', 96], ['v2-l', 64], ['v2-xl', 64], ['v2-rw-m', 64], ['lite4', 96],
    ['edgetpu-l', 64], ['tinynet-a', 192], ['tinynet-e', 106], ['mobilenetv2-140', 96], ['mobilenetv3-large', 96], ['mobilenetv3-small', 96],
    ['mnasnet-a1', 96], ['fbnet-c', 96], ['spnasnet', 96],
  ] as const;
  for (const [name, side] of networks) {
    it(`of ${name} at ${side} give logits of order 1, on which ${isas.join(' and ')} agree`, async () => {
      const weights = randomWeights(buildNetwork(name));
      const [expected, ...others] = await Promise.all(isas.map((isa) => logitsOf(weights, side, isa)));
      const scale = largest(expected ?? []);
      assert.ok(scale > 1 && scale < 10, `the largest logit is ${scale}`);
      // A race admits a contestant within 1e-4; there are ten times as much between this and that.
      for (const logits of others) assert.ok(apart(logits, expected ?? []) < 1e-5, `they differ by ${apart(logits, expected ?? [])}`);
    }).timeout(60_000);
  }

  it('let every layer be seen: a stem or a block one percent off, changes logits by more than a race admits', async () => {
    const weights = randomWeights(buildNetwork('b7'));
    const [isa = 'scalar'] = isas;
    const expected = await logitsOf(weights, 96, isa);
    const { stem, blocks } = weights;
    const louder = <Part extends object>(part: Part, name: keyof Part, values: Float32Array): Part => ({ ...part, [name]: values.map((value) => 1.01 * value) });
    const changed: readonly FoldedWeights[] = [
      { ...weights, stem: louder(stem, 'weights', stem.weights) },
      { ...weights, blocks: blocks.map((block, i) => (i === 27 ? louder(block, 'projectWeights', block.projectWeights) : block)) },
    ];
    for (const each of changed) assert.ok(apart(await logitsOf(each, 96, isa), expected) > 1e-4);
  }).timeout(60_000);
});
