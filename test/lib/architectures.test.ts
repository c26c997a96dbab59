// SPDX-License-Identifier: Apache-2.0
// The family as published: rounding rules, and per network its channels and repeats, parameters and
// MACs, written out here a second time. B0 to L2: the paper's Tables 1 and 2 and torchvision's counts,
// with the size after each stage; the others: their authors' code, counted by PyTorch on timm's and
// torchvision's networks.

import { strict as assert } from 'node:assert';
import { architectures } from '../../lib/architectures.js';
import { describe as describeNetwork } from '../../lib/describe.js';
import { buildNetwork, type Network } from '../../lib/network.js';
import { roundChannels, roundRepeats } from '../../lib/scaling.js';

interface Published {
  readonly name: string;
  readonly stem: number;
  /** Channels x blocks of each stage. */
  readonly stages: string;
  readonly head: number;
  readonly parameters: number;
  readonly megamacs: number;
  readonly resolution: number;
  readonly blocks?: number;
  readonly sizes?: string;
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
  { name: 'l2-475', stem: 136, stages: '72x6 104x11 176x11 344x16 480x16 824x22 1376x6', head: 5504, blocks: 88, parameters: 480309308, megamacs: 170893, resolution: 475, sizes: '238 119 60 30 30 15 15' },
  { name: 'lite0', stem: 32, stages: '16x1 24x2 40x2 80x3 112x3 192x4 320x1', head: 1280, parameters: 4652008, megamacs: 385, resolution: 224 },
  { name: 'lite1', stem: 32, stages: '16x1 24x3 40x3 80x4 112x4 192x5 320x1', head: 1280, parameters: 5416680, megamacs: 600, resolution: 240 },
  { name: 'lite2', stem: 32, stages: '16x1 24x3 48x3 88x4 120x4 208x5 352x1', head: 1280, parameters: 6092072, megamacs: 860, resolution: 260 },
  { name: 'lite3', stem: 32, stages: '24x1 32x3 48x3 96x5 136x5 232x6 384x1', head: 1280, parameters: 8197096, megamacs: 1383, resolution: 280 },
  { name: 'lite4', stem: 32, stages: '24x1 32x4 56x4 112x6 160x6 272x8 448x1', head: 1280, parameters: 13006568, megamacs: 2553, resolution: 300 },
  { name: 'edgetpu-s', stem: 32, stages: '24x1 32x2 48x4 96x5 144x4 192x2', head: 1280, parameters: 5438392, megamacs: 1789, resolution: 224 },
  { name: 'edgetpu-m', stem: 32, stages: '24x2 32x3 48x5 96x6 144x5 192x3', head: 1280, parameters: 6899496, megamacs: 3013, resolution: 240 },
  { name: 'edgetpu-l', stem: 40, stages: '32x2 40x3 56x6 112x7 176x6 232x3', head: 1536, parameters: 10589712, megamacs: 7936, resolution: 300 },
  { name: 'v2-b0', stem: 32, stages: '16x1 32x2 48x2 96x3 112x5 192x8', head: 1280, parameters: 7139704, megamacs: 718, resolution: 224 },
  { name: 'v2-b1', stem: 32, stages: '16x2 32x3 48x3 96x4 112x6 192x9', head: 1280, parameters: 8141052, megamacs: 1197, resolution: 240 },
  { name: 'v2-b2', stem: 32, stages: '16x2 32x3 56x3 104x4 120x6 208x10', head: 1408, parameters: 10096086, megamacs: 1698, resolution: 260 },
  { name: 'v2-b3', stem: 40, stages: '16x2 40x3 56x3 112x5 136x7 232x12', head: 1536, parameters: 14358406, megamacs: 3012, resolution: 300 },
  { name: 'v2-s', stem: 24, stages: '24x2 48x4 64x4 128x6 160x9 256x15', head: 1280, parameters: 21458488, megamacs: 8366, resolution: 384 },
  { name: 'v2-m', stem: 24, stages: '24x3 48x5 80x5 160x7 176x14 304x18 512x5', head: 1280, parameters: 54139356, megamacs: 24583, resolution: 480 },
  { name: 'v2-l', stem: 32, stages: '32x4 64x7 96x7 192x10 224x19 384x25 640x7', head: 1280, parameters: 118515272, megamacs: 56080, resolution: 480 },
  { name: 'v2-xl', stem: 32, stages: '32x4 64x8 96x8 192x16 256x24 512x32 640x8', head: 1280, parameters: 208119808, megamacs: 93354, resolution: 512 },
  { name: 'v2-rw-t', stem: 24, stages: '24x2 40x4 48x4 104x6 128x9 208x14', head: 1024, parameters: 13649388, megamacs: 3160, resolution: 288 },
  { name: 'v2-rw-s', stem: 24, stages: '24x2 48x4 64x4 128x6 160x9 272x15', head: 1792, parameters: 23941296, megamacs: 8640, resolution: 384 },
  { name: 'v2-rw-m', stem: 32, stages: '32x3 56x5 80x5 152x8 192x15 328x24', head: 2152, parameters: 53236442, megamacs: 21332, resolution: 416 },
  { name: 'tinynet-a', stem: 32, stages: '16x1 24x2 40x2 80x4 112x4 192x5 320x1', head: 1280, parameters: 6187972, megamacs: 337, resolution: 192 },
  { name: 'tinynet-b', stem: 32, stages: '16x1 24x2 32x2 64x3 88x3 144x4 240x1', head: 1280, parameters: 3730562, megamacs: 201, resolution: 188 },
  { name: 'tinynet-c', stem: 32, stages: '8x1 16x2 24x2 40x3 64x3 104x3 176x1', head: 1280, parameters: 2457234, megamacs: 99.5, resolution: 184 },
  { name: 'tinynet-d', stem: 32, stages: '8x1 16x1 24x1 40x2 64x2 104x3 176x1', head: 1280, parameters: 2338446, megamacs: 51.6, resolution: 152 },
  { name: 'tinynet-e', stem: 32, stages: '8x1 16x1 24x1 40x2 56x2 96x2 160x1', head: 1280, parameters: 2042972, megamacs: 24.4, resolution: 106 },
  { name: 'mobilenetv2-035', stem: 16, stages: '8x1 8x2 16x3 24x4 32x3 56x3 112x1', head: 1280, parameters: 1677128, megamacs: 59.3, resolution: 224 },
  { name: 'mobilenetv2-050', stem: 16, stages: '8x1 16x2 16x3 32x4 48x3 80x3 160x1', head: 1280, parameters: 1968680, megamacs: 97.1, resolution: 224 },
  { name: 'mobilenetv2-075', stem: 24, stages: '16x1 24x2 24x3 48x4 72x3 120x3 240x1', head: 1280, parameters: 2636424, megamacs: 209, resolution: 224 },
  { name: 'mobilenetv2-100', stem: 32, stages: '16x1 24x2 32x3 64x4 96x3 160x3 320x1', head: 1280, parameters: 3504872, megamacs: 301, resolution: 224 },
  { name: 'mobilenetv2-110d', stem: 32, stages: '16x1 24x3 32x4 72x5 104x4 176x4 352x1', head: 1280, parameters: 4516520, megamacs: 431, resolution: 224 },
  { name: 'mobilenetv2-120d', stem: 32, stages: '24x1 32x3 40x5 80x6 112x5 192x5 384x1', head: 1280, parameters: 5831144, megamacs: 669, resolution: 224 },
  { name: 'mobilenetv2-140', stem: 48, stages: '24x1 32x2 48x3 88x4 136x3 224x3 448x1', head: 1792, parameters: 6108776, megamacs: 582, resolution: 224 },
  { name: 'mnasnet-b1-050', stem: 16, stages: '8x1 16x3 24x3 40x3 48x2 96x4 160x1', head: 1280, parameters: 2218512, megamacs: 104, resolution: 224 },
  { name: 'mnasnet-b1-075', stem: 24, stages: '16x1 24x3 32x3 64x3 72x2 144x4 240x1', head: 1280, parameters: 3170208, megamacs: 215, resolution: 224 },
  { name: 'mnasnet-b1', stem: 32, stages: '16x1 24x3 40x3 80x3 96x2 192x4 320x1', head: 1280, parameters: 4383312, megamacs: 314, resolution: 224 },
  { name: 'mnasnet-b1-130', stem: 40, stages: '24x1 32x3 56x3 104x3 128x2 248x4 416x1', head: 1280, parameters: 6282256, megamacs: 526, resolution: 224 },
  { name: 'mnasnet-b1-140', stem: 48, stages: '24x1 32x3 56x3 112x3 136x2 272x4 448x1', head: 1280, parameters: 7115728, megamacs: 589, resolution: 224 },
  { name: 'mnasnet-a1-050', stem: 16, stages: '8x1 16x2 24x3 40x4 56x2 80x3 160x1', head: 1280, parameters: 2082006, megamacs: 103, resolution: 224 },
  { name: 'mnasnet-a1-075', stem: 24, stages: '16x1 24x2 32x3 64x4 88x2 120x3 240x1', head: 1280, parameters: 2912278, megamacs: 223, resolution: 224 },
  { name: 'mnasnet-a1', stem: 32, stages: '16x1 24x2 40x3 80x4 112x2 160x3 320x1', head: 1280, parameters: 3887038, megamacs: 312, resolution: 224 },
  { name: 'mnasnet-a1-140', stem: 48, stages: '24x1 32x2 56x3 112x4 160x2 224x3 448x1', head: 1280, parameters: 6105992, megamacs: 586, resolution: 224 },
  { name: 'mnasnet-small', stem: 8, stages: '8x1 16x1 16x2 32x4 32x3 88x3 144x1', head: 1280, parameters: 2030264, megamacs: 68.3, resolution: 224 },
  { name: 'fbnet-c', stem: 16, stages: '16x1 24x3 32x4 64x4 112x4 184x4 352x1', head: 1984, parameters: 5572200, megamacs: 385, resolution: 224 },
  { name: 'spnasnet', stem: 32, stages: '16x1 24x3 40x4 80x4 96x4 192x4 320x1', head: 1280, parameters: 4421616, megamacs: 333, resolution: 224 },
  { name: 'mobilenetv3-large-075', stem: 16, stages: '16x1 24x2 32x3 64x4 88x2 120x3', head: 720, parameters: 3993528, megamacs: 155, resolution: 224 },
  { name: 'mobilenetv3-large', stem: 16, stages: '16x1 24x2 40x3 80x4 112x2 160x3', head: 960, parameters: 5483032, megamacs: 217, resolution: 224 },
  { name: 'mobilenetv3-large-150d', stem: 24, stages: '24x2 40x3 64x4 120x5 168x3 240x4 1440x1', head: 1440, parameters: 14622320, megamacs: 1010, resolution: 256 },
  { name: 'mobilenetv3-rw', stem: 16, stages: '16x1 24x2 40x3 80x4 112x2 160x3', head: 960, parameters: 5479918, megamacs: 216.6, resolution: 224 },
  { name: 'mobilenetv3-large-minimal', stem: 16, stages: '16x1 24x2 40x3 80x4 112x2 160x3', head: 960, parameters: 3924288, megamacs: 209, resolution: 224 },
  { name: 'mobilenetv3-small-050', stem: 16, stages: '8x1 16x2 24x3 24x2 48x3', head: 288, parameters: 1593224, megamacs: 24.2, resolution: 224 },
  { name: 'mobilenetv3-small-075', stem: 16, stages: '16x1 24x2 32x3 40x2 72x3', head: 432, parameters: 2041872, megamacs: 43.4, resolution: 224 },
  { name: 'mobilenetv3-small', stem: 16, stages: '16x1 24x2 40x3 48x2 96x3', head: 576, parameters: 2542856, megamacs: 56.5, resolution: 224 },
  { name: 'mobilenetv3-small-minimal', stem: 16, stages: '16x1 24x2 40x3 48x2 96x3', head: 576, parameters: 2044736, megamacs: 52.3, resolution: 224 },
  { name: 'test-efficientnet', stem: 24, stages: '16x1 24x1 32x1 48x1 64x1', head: 256, parameters: 356196, megamacs: 57.3, resolution: 160 },
];

function stagesOf({ blocks }: Network): Network['blocks'][] {
  return Array.from({ length: (blocks.at(-1)?.stage ?? -1) + 1 }, (_, stage) => blocks.filter((block) => block.stage === stage));
}

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

  it('rounds without the limit in EfficientNetV2, and to other divisors', () => {
    assert.equal(roundChannels(16, 1.2, { limit: 0 }), 16);
    assert.equal(roundChannels(20, 1.0, { divisor: 16 }), 32, '16 would be below 0.9 x 20');
    assert.equal(roundChannels(1, 1.0, { divisor: 16 }), 16);
  });

  it('rounds repeats up, from the published decimals', () => {
    assert.deepEqual([1, 2, 3, 4].map((r) => roundRepeats(r, 1.1)), [2, 3, 4, 5]);
    assert.deepEqual([1, 2, 3, 4].map((r) => roundRepeats(r, 1.0)), [1, 2, 3, 4]);
    assert.equal(roundRepeats(4, 3.1), 13);
  });

  it('rounds repeats to the nearest, halves to even, at least one', () => {
    assert.deepEqual([1, 2, 3, 4].map((r) => roundRepeats(r, 0.6, 'nearest')), [1, 1, 2, 2]);
    assert.deepEqual([1, 3, 5, 7].map((r) => roundRepeats(r, 0.5, 'nearest')), [1, 2, 2, 4], 'as Python rounds');
  });
});

describe('the family as published', () => {
  it('has exactly the networks of the table', () => {
    assert.deepEqual(Object.keys(architectures), published.map((one) => one.name));
  });

  for (const expected of published) {
    it(`${expected.name}: ${expected.parameters} parameters, ${expected.megamacs} M MACs`, () => {
      const network = buildNetwork(expected.name);
      assert.equal(network.name, expected.name);
      assert.equal(network.stem.out, expected.stem);
      assert.equal(network.head.features, expected.head);
      if (expected.blocks !== undefined) assert.equal(network.blocks.length, expected.blocks);
      assert.equal(network.resolution, expected.resolution);
      const stages = stagesOf(network);
      assert.equal(stages.map((blocks) => `${blocks[0]?.out}x${blocks.length}`).join(' '), expected.stages);

      const cost = describeNetwork(network);
      assert.equal(cost.parameters, expected.parameters);
      assert.ok(Math.abs(cost.macs / 1e6 / expected.megamacs - 1) < 0.005, `${cost.macs} MACs`);
      if (expected.sizes === undefined) return;
      const lastOfStage = stages.map((blocks) => network.blocks.lastIndexOf(blocks[blocks.length - 1] ?? assert.fail()));
      const sizes = lastOfStage.map((i) => cost.layers.find((layer) => layer.name === `blocks.${i}.project`)?.output[2]);
      assert.equal(sizes.join(' '), expected.sizes);
    });
  }
});
