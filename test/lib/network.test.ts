// SPDX-License-Identifier: Apache-2.0
// Building a network: names and aliases, the details of single blocks, options, and what is said
// about names and options that do not exist. Whole-family figures are in architectures.test.ts.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Architecture } from '../../lib/architecture.js';
import { architectures } from '../../lib/architectures.js';
import { checkOneOf, describeValue, editDistance, nearest } from '../../lib/check.js';
import { describe as describeNetwork } from '../../lib/describe.js';
import { EfficientNetError, type ErrorCode } from '../../lib/errors.js';
import { resolveName } from '../../lib/names.js';
import { buildNetwork, type NetworkOptions } from '../../lib/network.js';
import type { PublishedModel } from '../../lib/published/model.js';
import { timmModels } from '../../lib/published/timm.js';
import { torchvisionModels } from '../../lib/published/torchvision.js';

function assertFails(action: () => unknown, code: ErrorCode, message: RegExp): void {
  assert.throws(action, (error: unknown) => {
    assert.ok(error instanceof EfficientNetError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });
}

describe('buildNetwork', () => {
  it('resolves the blocks of b0', () => {
    const { stem, blocks, head } = buildNetwork('b0');
    assert.deepEqual(stem, { kind: 'stem', in: 3, out: 32, kernel: 3, stride: 2, activation: 'swish' });
    assert.deepEqual(blocks[0], {
      kind: 'mbconv', stage: 0, index: 0, in: 32, expanded: 32, out: 16, kernel: 3, stride: 1,
      squeeze: 8, hasExpand: false, residual: false, activation: 'swish', squeezeActivation: 'swish', gateActivation: 'sigmoid',
    });
    assert.deepEqual(blocks[4], {
      kind: 'mbconv', stage: 2, index: 1, in: 40, expanded: 240, out: 40, kernel: 5, stride: 1,
      squeeze: 10, hasExpand: true, residual: true, activation: 'swish', squeezeActivation: 'swish', gateActivation: 'sigmoid',
    });
    assert.deepEqual(blocks.map((block) => (block.kind === 'mbconv' ? block.squeeze : 0)), [8, 4, 6, 6, 10, 10, 20, 20, 20, 28, 28, 28, 48, 48, 48, 48]);
    assert.deepEqual(head, { kind: 'head', in: 320, features: 1280, hidden: 0, classes: 1000, activation: 'swish', hiddenActivation: 'swish' });
  });

  it('knows the usual spellings of EfficientNet, and that tf_ means TensorFlow', () => {
    const names = Object.keys(architectures).filter((name) => /^(b\d|l2$|lite|v2-[bsmlx])/.test(name));
    assert.equal(names.length, 23);
    for (const name of names) {
      for (const alias of [name, `efficientnet-${name}`, `EfficientNet-${name.toUpperCase()}`, `EfficientNet${name.replaceAll('-', '')}`, `google/efficientnet-${name}`]) {
        const network = buildNetwork(alias);
        assert.deepEqual([network.name, network.padding, network.batchNormEpsilon], [name, 'symmetric', 1e-5], alias);
      }
      const timm = name.startsWith('v2') ? `efficientnetv2_${name.slice(3)}` : `efficientnet_${name}`;
      for (const alias of [`tf_${timm}`, `tf_${timm}.unknown_tag`, `timm/tf_${timm}`, `tf_${name}`]) {
        const network = buildNetwork(alias);
        assert.deepEqual([network.name, network.padding, network.batchNormEpsilon], [name, 'same', 1e-3], alias);
      }
    }
  });

  it('carries what a published name says', () => {
    const said = (name: string): readonly unknown[] => {
      const { name: found, padding, batchNormEpsilon, head, pruned } = buildNetwork(name);
      return [found, padding, batchNormEpsilon, head.classes, pruned === true];
    };
    assert.deepEqual(said('efficientnet_v2_s'), ['v2-s', 'symmetric', 1e-3, 1000, false], 'torchvision');
    assert.deepEqual(said('mobilenet_v3_large'), ['mobilenetv3-large', 'symmetric', 1e-3, 1000, false]);
    assert.deepEqual(said('mnasnet1_3'), ['mnasnet-b1-130', 'symmetric', 1e-5, 1000, false]);
    assert.deepEqual(said('efficientnet_b5'), ['b5', 'symmetric', 1e-5, 1000, false], "timm's unless the tag is torchvision's");
    assert.deepEqual(said('efficientnet_b5.imagenet1k_v1'), ['b5', 'symmetric', 1e-3, 1000, false]);
    assert.deepEqual(said('tf_efficientnetv2_m.in21k'), ['v2-m', 'same', 1e-3, 21843, false]);
    assert.deepEqual(said('tf_efficientnetv2_m_in21k'), ['v2-m', 'same', 1e-3, 21843, false]);
    assert.deepEqual(said('efficientnet_b5.sw_in12k'), ['b5', 'symmetric', 1e-5, 11821, false]);
    assert.deepEqual(said('tf_efficientnet_l2.ns_jft_in1k_475'), ['l2-475', 'same', 1e-3, 1000, false]);
    assert.deepEqual(said('tf_efficientnet_es'), ['edgetpu-s', 'same', 1e-3, 1000, false]);
    assert.deepEqual(said('semnasnet_075'), ['mnasnet-a1-075', 'symmetric', 1e-5, 1000, false]);
    assert.deepEqual(said('efficientnet_b1_pruned'), ['b1-pruned', 'same', 1e-3, 1000, true], 'of TensorFlow without saying so');
    assert.deepEqual(said('b1-pruned'), ['b1-pruned', 'symmetric', 1e-5, 1000, true]);
  });

  it('takes every name of the tables', () => {
    let tried = 0;
    for (const [source, models] of [['timm', timmModels], ['torchvision', torchvisionModels]] as const) {
      for (const [name, model] of Object.entries<PublishedModel>(models)) {
        for (const tag of Object.keys(model.weights)) {
          const found = resolveName(`${name}.${tag}`);
          assert.deepEqual([found.published?.source, found.published?.model, found.published?.weights], [source, name, tag]);
          assert.equal(found.pruned, model.pruned === true);
          assert.ok(buildNetwork(`${name}.${tag}`).blocks.length > 0);
          tried++;
        }
      }
    }
    assert.ok(tried > 130, `${tried}`);
  });

  it('gives every block its kind', () => {
    const { stem, blocks } = buildNetwork('tf_efficientnetv2_b0');
    assert.equal(stem.out, 32);
    assert.deepEqual(blocks[0], {
      kind: 'fused', stage: 0, index: 0, in: 32, expanded: 16, out: 16, kernel: 3, stride: 1, hasProject: false, residual: false, activation: 'swish',
    });
    assert.deepEqual(blocks[2], {
      kind: 'fused', stage: 1, index: 1, in: 32, expanded: 128, out: 32, kernel: 3, stride: 1, hasProject: true, residual: true, activation: 'swish',
    });
    const edge = buildNetwork('edgetpu-m').blocks;
    assert.deepEqual([edge[0]?.expanded, edge[1]?.in, edge[1]?.out, edge[1]?.residual], [96, 24, 24, false], 'the first stage expands 24 channels and adds nothing');
    const fbnet = buildNetwork('fbnet-c').blocks;
    assert.deepEqual(fbnet.slice(0, 4).map((block) => [block.stage, block.index, block.kind === 'mbconv' && block.hasExpand, block.expanded]), [
      [0, 0, true, 16], [1, 0, true, 96], [1, 1, true, 24], [1, 2, true, 24],
    ]);
  });

  it('gives MobileNetV3 its activations, squeezes and hidden layer', () => {
    const { stem, blocks, head } = buildNetwork('mobilenetv3-large');
    assert.equal(stem.activation, 'hard-swish');
    assert.deepEqual(blocks.map((block) => (block.kind === 'mbconv' ? block.squeeze : -1)), [0, 0, 0, 24, 32, 32, 0, 0, 0, 0, 120, 168, 168, 240, 240]);
    assert.deepEqual(blocks.map(({ expanded }) => expanded), [16, 64, 72, 72, 120, 120, 240, 200, 184, 184, 480, 672, 672, 960, 960]);
    assert.deepEqual(blocks[3], {
      kind: 'mbconv', stage: 2, index: 0, in: 24, expanded: 72, out: 40, kernel: 5, stride: 2, squeeze: 24, hasExpand: true, residual: false,
      activation: 'relu', squeezeActivation: 'relu', gateActivation: 'hard-sigmoid',
    });
    assert.equal(blocks[6]?.activation, 'hard-swish');
    assert.deepEqual(head, {
      kind: 'head', in: 160, features: 960, hidden: 1280, classes: 1000, activation: 'hard-swish', hiddenActivation: 'hard-swish',
    });
    assert.deepEqual(buildNetwork('mobilenetv3-small').blocks.map(({ expanded }) => expanded), [16, 72, 88, 96, 240, 240, 120, 144, 288, 576, 576]);
  });

  it('gives timm\'s first MobileNetV3 its own squeezes and a hidden layer without bias', () => {
    const { blocks, head, batchNormEpsilon, padding } = buildNetwork('mobilenetv3_rw');
    assert.deepEqual(blocks.map((block) => (block.kind === 'mbconv' ? block.squeeze : -1)), [0, 0, 0, 18, 30, 30, 0, 0, 0, 0, 120, 168, 168, 240, 240]);
    assert.deepEqual([blocks[0]?.residual, head.hidden, head.hiddenBias, batchNormEpsilon, padding], [false, 1280, false, 1e-3, 'symmetric']);
    assert.deepEqual(blocks.map((block) => block.kind === 'mbconv' && block.squeezeActivation).slice(3, 11), ['relu', 'relu', 'relu', ...Array<string>(5).fill('hard-swish')]);
  });

  it('deepens stages of several kinds of blocks as timm does, and its MobileNetV3\'s last convolution', () => {
    const { blocks, head } = buildNetwork('mobilenetv3_large_150d');
    const stages = Array.from({ length: 7 }, (_, stage) => blocks.filter((block) => block.stage === stage));
    assert.deepEqual(stages.map((stage) => stage.length), [2, 3, 4, 5, 3, 4, 1]);
    assert.deepEqual(stages[3]?.map(({ in: from, expanded }) => [from, expanded]), [[64, 384], [120, 304], [120, 304], [120, 280], [120, 280]]);
    const last = blocks.at(-1);
    assert.ok(last?.kind === 'fused');
    assert.deepEqual([last.kernel, last.in, last.out, last.hasProject, last.residual, head.in, head.features], [1, 240, 1440, false, false, 1440, 1440]);
  });

  it('says what the relatives in timm need that is missing here', () => {
    for (const [name, needs] of [
      ['mixnet_s', /kernels of several sizes/], ['tf_mixnet_l.in1k', /MixNet/], ['timm/tf_efficientnet_cc_b0_4e.in1k', /CondConv/],
      ['efficientnet_b0_gn', /group normalisation/], ['efficientnet_b3_g8_gn', /group normalisation/], ['efficientnet_b0_g16_evos', /EvoNorm/],
      ['gc_efficientnetv2_rw_t', /GlobalContext/], ['efficientnet_blur_b0', /blurred/], ['efficientnet_x_b3', /pixels into channels/],
      ['mobilenetv1_100', /another family/], ['mobilenetv4_conv_small_050', /another family/], ['lcnet_050', /LCNet/], ['fbnetv3_b', /FBNetV3/],
    ] as const) {
      assertFails(() => buildNetwork(name), 'ERR_UNSUPPORTED', needs);
    }
  });

  it('lets options decide over the name', () => {
    const network = buildNetwork('tf_efficientnet_b2', { padding: 'symmetric', batchNormEpsilon: 0.5, classes: 7 });
    assert.deepEqual([network.padding, network.batchNormEpsilon, network.head.classes], ['symmetric', 0.5, 7]);
  });

  it('scales an architecture of the caller\'s own', () => {
    const own: Architecture = { ...architectures.b0, name: 'own', width: 0.5, depth: 1.0, resolution: 128 };
    const network = buildNetwork(own);
    assert.equal(network.name, 'own');
    assert.equal(network.stem.out, 16);
    assert.equal(network.head.features, 640);
  });

  it('suggests the nearest name', () => {
    assertFails(() => buildNetwork('efficientnet_b9'), 'ERR_UNKNOWN_ARCHITECTURE', /Did you mean 'efficientnet_b0'\? Known: b0 to b8, l2/);
    assertFails(() => buildNetwork('eficientnet-b3'), 'ERR_UNKNOWN_ARCHITECTURE', /Did you mean 'efficientnet-b3'/);
    assertFails(() => buildNetwork('b00'), 'ERR_UNKNOWN_ARCHITECTURE', /Did you mean 'b0'/);
    assertFails(() => buildNetwork('resnet50'), 'ERR_UNKNOWN_ARCHITECTURE', /"resnet50"\. Known: b0/);
    assertFails(() => buildNetwork(''), 'ERR_UNKNOWN_ARCHITECTURE', /Known/);
    assertFails(() => buildNetwork('b'.repeat(1e6)), 'ERR_UNKNOWN_ARCHITECTURE', /^.{0,400}$/);
    for (const name of ['__proto__', 'constructor', 'toString']) {
      assertFails(() => buildNetwork(name), 'ERR_UNKNOWN_ARCHITECTURE', /Known/);
    }
  });

  it('refuses wrong options by name', () => {
    const loose = (options: unknown): unknown => buildNetwork('b0', options as NetworkOptions);
    assertFails(() => loose({ paddings: 'same' }), 'ERR_INVALID_ARGUMENT', /Unknown option 'paddings'.*Did you mean 'padding'/);
    assertFails(() => loose({ padding: 'Same' }), 'ERR_INVALID_ARGUMENT', /one of 'same', 'symmetric' for padding.*Did you mean 'same'/);
    assertFails(() => loose({ batchNormEpsilon: NaN }), 'ERR_INVALID_ARGUMENT', /batchNormEpsilon but received NaN/);
    assertFails(() => loose({ batchNormEpsilon: -1 }), 'ERR_INVALID_ARGUMENT', /batchNormEpsilon but received -1/);
    assertFails(() => loose({ classes: -1 }), 'ERR_INVALID_ARGUMENT', /an integer from 0 to 1000000 for classes but received -1/);
    assertFails(() => loose({ classes: 1.5 }), 'ERR_INVALID_ARGUMENT', /classes but received 1.5/);
    assertFails(() => loose('same'), 'ERR_INVALID_ARGUMENT', /an object for the network options/);
    assertFails(() => buildNetwork(7 as unknown as string), 'ERR_INVALID_ARGUMENT', /a name or an architecture for architecture but received 7/);
    assertFails(() => buildNetwork({ ...architectures.b0, width: Infinity }), 'ERR_INVALID_ARGUMENT', /architecture\.width/);
    assertFails(
      () => buildNetwork({ ...architectures.b0, base: { ...architectures.b0.base, stages: [] } }),
      'ERR_INVALID_ARGUMENT',
      /1 to 64 stages/,
    );
    const { b0 } = architectures;
    const rounding = null as unknown as object;
    assertFails(() => buildNetwork({ ...b0, base: { ...b0.base, rounding } }), 'ERR_INVALID_ARGUMENT', /an object for .*rounding but received null/);
    const name = Symbol('b0') as unknown as string;
    assertFails(() => buildNetwork({ ...b0, name }), 'ERR_INVALID_ARGUMENT', /a string for architecture\.name but received a symbol/);
  });

  it('refuses a stage that is none', () => {
    const { b0 } = architectures;
    for (const stages of [[null], [undefined], [7], [...b0.base.stages.slice(0, 2), null], new Array(3)] as unknown as (typeof b0.base.stages)[])
      assertFails(() => buildNetwork({ ...b0, base: { ...b0.base, stages } }), 'ERR_INVALID_ARGUMENT', /an object for architecture\.base\.stages\[\d\]/);
  });
});

describe('describe', () => {
  it('gives shapes, parameters and MACs of single layers at any size', () => {
    const cost = describeNetwork(buildNetwork('b0'), 225, 289);
    assert.deepEqual(cost.layers[0], {
      name: 'stem', input: [3, 225, 289], output: [32, 113, 145], stride: 2, receptiveField: 3,
      parameters: 864 + 64, macs: 864 * 113 * 145, activationBytes: 4 * 32 * 113 * 145,
    });
    assert.deepEqual(cost.layers.find((layer) => layer.name === 'blocks.1.depthwise'), {
      name: 'blocks.1.depthwise', input: [96, 113, 145], output: [96, 57, 73], stride: 2, receptiveField: 11,
      parameters: 864 + 192, macs: 864 * 57 * 73, activationBytes: 4 * 96 * 57 * 73,
    });
    assert.deepEqual(cost.layers.at(-1), {
      name: 'head.classifier', input: [1280, 1, 1], output: [1000, 1, 1], stride: 1, receptiveField: null,
      parameters: 1281000, macs: 1280000, activationBytes: 4000,
    });
    assert.equal(cost.layers.length, 1 + 15 + 4 * 16 + 2);
  });

  it('adds up its layers', () => {
    const cost = describeNetwork(buildNetwork('v2-b0'), 97, 65);
    for (const what of ['parameters', 'macs', 'activationBytes'] as const)
      assert.equal(cost[what], cost.layers.reduce((sum, layer) => sum + layer[what], 0));
    assert.equal(cost.receptiveField, cost.layers.at(-2)?.receptiveField);
  });

  it('has the receptive fields of b0 as counted by hand', () => {
    // (kernel - 1) times the strides before it: stem 2, then stage by stage 2*2; 2*2 + 2*4; 4*4 + 4*8;
    // 2*8 + 2*2*16; 3*4*16; 4*16 + 3*4*32; 2*32.
    const byStage = [3, 7, 19, 67, 147, 339, 787, 851];
    const network = buildNetwork('b0');
    const { layers } = describeNetwork(network);
    const field = (name: string): number | null | undefined => layers.find((layer) => layer.name === name)?.receptiveField;
    const last = [0, 1, 2, 3, 4, 5, 6].map((stage) => network.blocks.findLastIndex((block) => block.stage === stage));
    assert.deepEqual([field('stem'), ...last.map((block) => field(`blocks.${block}.project`))], byStage);
    assert.equal(field('head.conv'), 851);
    assert.equal(field('blocks.3.excite'), null);
  });

  it('has the receptive field of MobileNetV1 as published', () => {
    // 315 in the table of Araujo, Norris and Sim (distill.pub, 2019). One kernel and stride for each of its
    // depthwise layers; what else a block of ours has is 1x1.
    const stage = (stride: 1 | 2, repeats = 1) => ({ kernel: 3, stride, expand: 1, out: 16, repeats }) as const;
    const stages = [stage(1), stage(2), stage(1), stage(2), stage(1), stage(2), stage(1, 5), stage(2), stage(1)];
    const base = { stem: 16, stages, head: 64, squeezeRatio: 0 };
    const network = buildNetwork({ name: 'mobilenet-v1', base, width: 1, depth: 1, resolution: 224 });
    assert.equal(describeNetwork(network).receptiveField, 315);
  });

  it('refuses a size that is not one', () => {
    assertFails(() => describeNetwork(buildNetwork('b0'), 0), 'ERR_INVALID_ARGUMENT', /height but received 0/);
    assertFails(() => describeNetwork(buildNetwork('b0'), 224, 2.5), 'ERR_INVALID_ARGUMENT', /width but received 2.5/);
  });

  it('refuses a network without its parts', () => {
    const network = buildNetwork('b0');
    const loose = (parts: object): unknown => describeNetwork({ ...network, ...parts });
    assertFails(() => loose({ head: null }), 'ERR_INVALID_ARGUMENT', /an object for network\.head but received null/);
    assertFails(() => loose({ stem: undefined }), 'ERR_INVALID_ARGUMENT', /an object for network\.stem but received undefined/);
    for (const blocks of [[null], new Array(1)])
      assertFails(() => loose({ blocks }), 'ERR_INVALID_ARGUMENT', /an object for network\.blocks\[0\]/);
  });
});

interface GoldenLayers {
  readonly network: string;
  readonly height: number;
  readonly width: number;
  /** Channels, height, width, stride, receptive field: null behind a mean, 0 where it was not looked at. */
  readonly layers: readonly (readonly [number, number, number, number, number | null])[];
}

describe('describe, against torchvision', () => {
  const golden = JSON.parse(readFileSync(join(__dirname, '..', '..', '..', 'test', 'golden', 'layers.json'), 'utf8')) as readonly GoldenLayers[];
  for (const { network, height, width, layers } of golden) {
    it(`${network} at ${height}x${width}: outputs, strides and receptive fields of ${layers.length} layers`, () => {
      const ours = describeNetwork(buildNetwork(network), height, width);
      assert.equal(ours.layers.length, layers.length);
      let fields = 0;
      layers.forEach(([channels, rows, columns, stride, field], i) => {
        const layer = ours.layers[i];
        const found = [layer?.output, layer?.stride, layer?.activationBytes];
        assert.deepEqual(found, [[channels, rows, columns], stride, 4 * channels * rows * columns], layer?.name);
        if (field === 0) return;
        assert.equal(layer?.receptiveField, field, layer?.name);
        if (field !== null) fields++;
      });
      assert.ok(fields > 10);
    });
  }
});

describe('check', () => {
  it('measures edit distance and finds near names only', () => {
    assert.equal(editDistance('kitten', 'sitting'), 3);
    assert.equal(editDistance('', 'abc'), 3);
    assert.equal(nearest('theads', ['threads', 'top']), 'threads');
    assert.equal(nearest('zzz', ['threads', 'top']), undefined);
    assert.equal(nearest('x'.repeat(10_000), ['threads']), undefined);
  });

  it('describes any value without running its code', () => {
    const hostile = { toString: () => assert.fail('ran'), get [Symbol.toStringTag]() { return assert.fail('ran'); } };
    assert.equal(describeValue(hostile), 'an object');
    assert.equal(describeValue(-0), '-0');
    assert.equal(describeValue(null), 'null');
    assert.equal(describeValue(new Float32Array(2)), 'a Float32Array of 8 bytes');
    assertFails(() => checkOneOf('isa', 'avx', ['avx2', 'neon']), 'ERR_INVALID_ARGUMENT', /Did you mean 'avx2'/);
  });
});
