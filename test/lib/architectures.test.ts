// SPDX-License-Identifier: Apache-2.0
// The family as published: rounding rules, and per network its channels, repeats, parameters and
// MACs, written out here a second time from the paper's and torchvision's tables.

import { strict as assert } from 'node:assert';
import { architectures } from '../../lib/architectures.js';
import { describe as describeNetwork } from '../../lib/describe.js';
import { buildNetwork } from '../../lib/network.js';
import { roundChannels, roundRepeats } from '../../lib/scaling.js';

interface Published {
  readonly name: string;
  readonly stem: number;
  readonly stages: string;
  readonly head: number;
  readonly blocks: number;
  readonly parameters: number;
  readonly megamacs: number;
  readonly resolution: number;
  readonly sizes: string;
}

const published: readonly Published[] = [
  { name: 'b0', stem: 32, stages: '16x1 24x2 40x2 80x3 112x3 192x4 320x1', head: 1280, blocks: 16, parameters: 5288548, megamacs: 386, resolution: 224, sizes: '112 56 28 14 14 7 7' },
  { name: 'b1', stem: 32, stages: '16x2 24x3 40x3 80x4 112x4 192x5 320x2', head: 1280, blocks: 23, parameters: 7794184, megamacs: 687, resolution: 240, sizes: '120 60 30 15 15 8 8' },
  { name: 'b2', stem: 32, stages: '16x2 24x3 48x3 88x4 120x4 208x5 352x2', head: 1408, blocks: 23, parameters: 9109994, megamacs: 994, resolution: 260, sizes: '130 65 33 17 17 9 9' },
  { name: 'b3', stem: 40, stages: '24x2 32x3 48x3 96x5 136x5 232x6 384x2', head: 1536, blocks: 26, parameters: 12233232, megamacs: 1827, resolution: 300, sizes: '150 75 38 19 19 10 10' },
  { name: 'b4', stem: 48, stages: '24x2 32x4 56x4 112x6 160x6 272x8 448x2', head: 1792, blocks: 32, parameters: 19341616, megamacs: 4394, resolution: 380, sizes: '190 95 48 24 24 12 12' },
  { name: 'b5', stem: 48, stages: '24x3 40x5 64x5 128x7 176x7 304x9 512x3', head: 2048, blocks: 39, parameters: 30389784, megamacs: 10266, resolution: 456, sizes: '228 114 57 29 29 15 15' },
  { name: 'b6', stem: 56, stages: '32x3 40x6 72x6 144x8 200x8 344x11 576x3', head: 2304, blocks: 45, parameters: 43040704, megamacs: 19068, resolution: 528, sizes: '264 132 66 33 33 17 17' },
  { name: 'b7', stem: 64, stages: '32x4 48x7 80x7 160x10 224x10 384x13 640x4', head: 2560, blocks: 55, parameters: 66347960, megamacs: 37746, resolution: 600, sizes: '300 150 75 38 38 19 19' },
  { name: 'b8', stem: 72, stages: '32x4 56x8 88x8 176x11 248x11 424x15 704x4', head: 2816, blocks: 61, parameters: 87413142, megamacs: 62598, resolution: 672, sizes: '336 168 84 42 42 21 21' },
  { name: 'l2', stem: 136, stages: '72x6 104x11 176x11 344x16 480x16 824x22 1376x6', head: 5504, blocks: 88, parameters: 480309308, megamacs: 475704, resolution: 800, sizes: '400 200 100 50 50 25 25' },
];

describe('rounding', () => {
  it('rounds channels to the nearest 8, at least 8, never below nine tenths', () => {
    assert.equal(roundChannels(32, 1.0), 32);
    assert.equal(roundChannels(1280, 1.1), 1408);
    assert.equal(roundChannels(16, 1.2), 24, '16 would be below 0.9 x 19.2');
    assert.equal(roundChannels(3, 1.0), 8);
    assert.equal(roundChannels(20, 1.0), 24, 'halves go up');
    assert.equal(roundChannels(19, 1.0), 24, '16 would be below 0.9 x 19');
    assert.equal(roundChannels(17, 1.0), 16);
  });

  it('rounds repeats up, from the published decimals', () => {
    assert.deepEqual([1, 2, 3, 4].map((r) => roundRepeats(r, 1.1)), [2, 3, 4, 5]);
    assert.deepEqual([1, 2, 3, 4].map((r) => roundRepeats(r, 1.0)), [1, 2, 3, 4]);
    assert.equal(roundRepeats(4, 3.1), 13);
  });
});

describe('the family as published', () => {
  it('has exactly the networks of the table', () => {
    assert.deepEqual(Object.keys(architectures), published.map((one) => one.name));
  });

  for (const expected of published) {
    it(expected.name, () => {
      const network = buildNetwork(expected.name);
      assert.equal(network.stem.out, expected.stem);
      assert.equal(network.head.features, expected.head);
      assert.equal(network.blocks.length, expected.blocks);
      assert.equal(network.resolution, expected.resolution);
      const stages = [0, 1, 2, 3, 4, 5, 6].map((stage) => network.blocks.filter((block) => block.stage === stage));
      assert.equal(stages.map((blocks) => `${blocks[0]?.out}x${blocks.length}`).join(' '), expected.stages);

      const cost = describeNetwork(network);
      assert.equal(cost.parameters, expected.parameters);
      assert.ok(Math.abs(cost.macs / 1e6 / expected.megamacs - 1) < 0.005, `${cost.macs} MACs`);
      const lastOfStage = stages.map((blocks) => network.blocks.lastIndexOf(blocks[blocks.length - 1] ?? assert.fail()));
      const sizes = lastOfStage.map((i) => cost.layers.find((layer) => layer.name === `blocks.${i}.project`)?.output[2]);
      assert.equal(sizes.join(' '), expected.sizes);
    });
  }
});
