// SPDX-License-Identifier: Apache-2.0
// Keras files: one tiny network as Keras 2 and 3 save it (test/golden/make_small_keras.py), the trees
// and names of every version, the preprocessing that a model says of itself, and damage. Logits of whole
// networks are compared in keras-models.test.ts.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EfficientNetError, type ErrorCode } from '../../lib/errors.js';
import { detectFormat, parseCheckpoint } from '../../lib/formats/index.js';
import { readKerasArchive, readKerasHdf5 } from '../../lib/formats/keras.js';
import { kerasInput } from '../../lib/formats/keras-input.js';
import { parseKerasConfig } from '../../lib/formats/keras-config.js';
import type { KerasLayer } from '../../lib/formats/keras-layers.js';
import type { CheckpointInput, Tensor } from '../../lib/formats/tensor.js';
import { readZip } from '../../lib/formats/zip.js';
import { loads, milliseconds } from './helpers/damage.js';
import { attribute, Hdf5Writer, types, type Entry } from './helpers/hdf5-writer.js';
import { legacyFile, storedFile } from './helpers/small-keras.js';
import { writeZip } from './zip-writer.js';

const golden = (name: string): Buffer => readFileSync(join(__dirname, '..', '..', '..', 'test', 'golden', name));
const two = golden('small-keras2.h5');
const archive = golden('small-keras3.keras');
const weights = Buffer.from(readZip(archive).get('model.weights.h5') ?? []);
const config = Buffer.from(readZip(archive).get('config.json') ?? []).toString();

const floats = (tensor: Tensor | undefined): number[] => [...new Float32Array(new Uint8Array(tensor?.bytes ?? []).buffer)];

function assertFails(read: () => unknown, message: RegExp, code: ErrorCode = 'ERR_INVALID_CHECKPOINT'): void {
  assert.throws(read, (error: unknown) => {
    assert.ok(error instanceof EfficientNetError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

describe('keras: one network in every container', () => {
  /** Shapes by name, each with the number in the list of variables from which its values count up. */
  const expected = [
    ['stem_conv/kernel', [3, 3, 3, 2], 0], ['stem_bn/gamma', [2], 1], ['stem_bn/beta', [2], 2], ['stem_bn/moving_mean', [2], 3],
    ['stem_bn/moving_variance', [2], 4], ['block1a_dwconv/kernel', [3, 3, 2, 1], 5], ['block1a_bn/gamma', [2], 6], ['block1a_bn/beta', [2], 7],
    ['block1a_bn/moving_mean', [2], 8], ['block1a_bn/moving_variance', [2], 9], ['block1a_se_reduce/kernel', [1, 1, 2, 1], 10],
    ['block1a_se_reduce/bias', [1], 11], ['block1a_se_expand/kernel', [1, 1, 1, 2], 12], ['block1a_se_expand/bias', [2], 13],
    ['block1a_project_conv/kernel', [1, 1, 2, 2], 14], ['block1a_project_bn/gamma', [2], 15], ['block1a_project_bn/beta', [2], 16],
    ['block1a_project_bn/moving_mean', [2], 17], ['block1a_project_bn/moving_variance', [2], 18], ['top_conv/kernel', [1, 1, 2, 3], 19],
    ['top_bn/gamma', [3], 20], ['top_bn/beta', [3], 21], ['top_bn/moving_mean', [3], 22], ['top_bn/moving_variance', [3], 23],
    ['predictions/kernel', [3, 2], 24], ['predictions/bias', [2], 25],
  ] as const;

  for (const [name, file, hasConfig] of [['Keras 2, .h5', two, true], ['.keras', archive, true], ['.weights.h5', weights, false]] as const) {
    it(name, () => {
      assert.equal(detectFormat(file.subarray(0, 512)), 'keras');
      const { format, tensors, input, metadata } = parseCheckpoint(file);
      assert.equal(format, 'keras');
      assert.equal(tensors.size, expected.length);
      for (const [tensor, shape, first] of expected) {
        const found = tensors.get(tensor) ?? assert.fail(tensor);
        assert.deepEqual([found.name, found.type, found.shape], [tensor, 'f32', shape]);
        const length = (shape as readonly number[]).reduce((a, b) => a * b, 1);
        assert.deepEqual(floats(found), Array.from({ length }, (_, i) => first + i), tensor);
        assert.equal(found.bytes.buffer, file.buffer, 'a view');
      }
      if (!hasConfig) return assert.equal(input, undefined);
      assert.equal(metadata.get('classifier.activation'), 'softmax');
      assert.equal(metadata.get('batchNormEpsilon'), '0.001');
      assert.deepEqual([input?.height, input?.width], [8, 8]);
      // x / 255, less the mean, over the root of the variance: 2, 1 and 0.5.
      assertNear(input?.map?.scale, [1 / 510, 1 / 255, 2 / 255]);
      assertNear(input?.map?.shift, [-0.125, -0.5, -1.5]);
    });
  }

  function assertNear(found: readonly number[] | undefined, wanted: readonly number[]): void {
    assert.equal(found?.length, wanted.length);
    wanted.forEach((value, i) => assert.ok(Math.abs((found?.[i] ?? NaN) - value) < 1e-12, `${String(found)} instead of ${wanted.join()}`));
  }
});

describe('keras: trees and names', () => {
  const kernel = [1, 2, 3, 4, 5, 6];

  it('reads layer_names and weight_names, at the root and under model_weights', () => {
    for (const file of [legacyFile(), legacyFile(JSON.stringify({ class_name: 'Model', config: { layers: [] } }))]) {
      const { tensors, metadata } = readKerasHdf5(file);
      assert.deepEqual([...tensors.keys()], ['block1a_dwconv/kernel', 'predictions/kernel', 'predictions/bias']);
      assert.deepEqual(floats(tensors.get('predictions/kernel')), kernel);
      assert.equal(metadata.get('keras_version'), '2.9.0');
    }
  });

  it('reads layers/CLASS/vars, named and unnamed', () => {
    const { tensors } = readKerasHdf5(storedFile());
    assert.deepEqual([...tensors.keys()], ['predictions/kernel', 'predictions/bias', 'depthwise_conv2d/kernel']);
  });

  /** Groups and datasets for paths of names. */
  const children = (file: Hdf5Writer, paths: readonly (readonly string[])[], shape: readonly number[]): Entry[] =>
    [...new Set(paths.map(([first = '']) => first))].map((name) => {
      const rest = paths.filter(([first]) => first === name).map((path) => path.slice(1));
      const data = Buffer.alloc(4 * shape.reduce((a, b) => a * b, 1));
      return { name, at: rest.every(({ length }) => length === 0) ? file.dataset(shape, data) : file.group(children(file, rest, shape)) };
    });
  const layer = (file: Hdf5Writer, variables: readonly string[], shape: readonly number[] = [2]): number =>
    file.group(children(file, variables.map((path) => path.split('/')), shape), [attribute('weight_names', variables)]);
  const legacy = (layers: Readonly<Record<string, readonly string[]>>, names: readonly string[] = Object.keys(layers), shape?: readonly number[]): Buffer => {
    const file = new Hdf5Writer();
    const entries = Object.entries(layers).map(([name, variables]) => ({ name, at: layer(file, variables, shape) }));
    return file.finish(file.group(entries, [attribute('layer_names', names)]));
  };

  it('takes the layers out of a model inside the model', () => {
    const file = legacy({ efficientnetb0: ['outer/stem_bn/gamma:0', 'outer/top_bn/gamma:0'] });
    assert.deepEqual([...readKerasHdf5(file).tensors.keys()], ['stem_bn/gamma', 'top_bn/gamma']);
    // One layer alone goes by the name of its group, whatever its variables were called when it was made.
    assert.deepEqual([...readKerasHdf5(legacy({ stem_bn: ['stem_bn_1/gamma:0', 'stem_bn_1/beta:0'] })).tensors.keys()], ['stem_bn/gamma', 'stem_bn/beta']);
  });

  it('joins attributes that were too long for one', () => {
    const file = new Hdf5Writer();
    const entries = ['a', 'b', 'c'].map((name) => ({ name, at: layer(file, [`${name}/gamma`]) }));
    const root = file.group(entries, [attribute('layer_names0', ['a', 'b']), attribute('layer_names1', ['c']), attribute('layer_names3', ['x'])]);
    assert.deepEqual([...readKerasHdf5(file.finish(root)).tensors.keys()], ['a/gamma', 'b/gamma', 'c/gamma']);
  });

  it('calls the one dense layer predictions, and refuses two', () => {
    assert.deepEqual([...readKerasHdf5(legacy({ probs: ['probs/kernel:0'] }, ['probs'], [2, 3])).tensors.keys()], ['predictions/kernel']);
    assertFails(
      () => readKerasHdf5(legacy({ a: ['a/kernel'], b: ['b/kernel'] }, ['a', 'b'], [2, 3])),
      /has 2 dense layers \("a", "b"\); only a classifier directly after the pooling/,
      'ERR_UNSUPPORTED',
    );
  });

  it('reads bfloat16, which HDF5 does not know, and half precision', () => {
    const file = new Hdf5Writer();
    const opaque = Buffer.concat([Buffer.of(0x15, 0, 0, 0, 2, 0, 0, 0)]);
    const vars = file.group([
      { name: '0', at: file.dataset([2], Buffer.from(Uint16Array.of(0x3f80, 0xc000).buffer), [attribute('dtype', ['bfloat16'])], opaque) },
      { name: '1', at: file.dataset([2], Buffer.from(Uint16Array.of(0x3c00, 0xc000).buffer), [], types.f16) },
    ], [attribute('name', ['stem_bn'])]);
    const norm = file.group([{ name: 'vars', at: vars }]);
    const { tensors } = readKerasHdf5(file.finish(file.group([{ name: 'layers', at: file.group([{ name: 'batch_normalization', at: norm }]) }])));
    assert.deepEqual([...tensors.values()].map(({ name, type }) => [name, type]), [['stem_bn/gamma', 'bf16'], ['stem_bn/beta', 'f16']]);
  });

  const withType = (type: Buffer): Buffer => {
    const file = new Hdf5Writer();
    const at = file.dataset([1], Buffer.alloc(type.readUInt32LE(4)), [], type);
    return file.finish(file.group([{ name: 'layers', at: file.group([{ name: 'dense', at: file.group([{ name: 'vars', at: file.group([{ name: '0', at }]) }]) }]) }]));
  };
  const empty = new Hdf5Writer();
  const cases: readonly (readonly [name: string, read: () => unknown, message: RegExp, code?: ErrorCode])[] = [
    ['no Keras file', () => readKerasHdf5(empty.finish(empty.group([]))), /neither layer_names nor layers/],
    ['a layer that is absent', () => readKerasHdf5(legacy({ a: ['a/gamma'] }, ['a', 'b'])), /has no "b", which it speaks of/],
    ['a layer that is a dataset', () => { const f = new Hdf5Writer(); return readKerasHdf5(f.finish(f.group([{ name: 'a', at: f.dataset([1], Buffer.alloc(4)) }], [attribute('layer_names', ['a'])]))); }, /"a" of the Keras file to be a group/],
    ['a layer twice', () => readKerasHdf5(legacy({ a: ['a/gamma'] }, ['a', 'a'])), /two variables "a\/gamma"/],
    ['two layers of one name', () => readKerasHdf5(legacy({ m: ['m/x/gamma', 'm/y/gamma'], x: ['x/gamma'] })), /two variables "x\/gamma"/],
    ['big-endian numbers', () => readKerasHdf5(withType(types.bigEndian)), /holds floating-point numbers of no common type/, 'ERR_UNSUPPORTED'],
    ['texts for weights', () => readKerasHdf5(withType(types.text(4))), /holds text, which are no weights/, 'ERR_UNSUPPORTED'],
    ['compounds for weights', () => readKerasHdf5(withType(types.compound)), /elements of class 6/, 'ERR_UNSUPPORTED'],
    ['a model that is no JSON', () => readKerasHdf5(legacyFile('{')), /by what is not JSON/],
    ['a model that is no object', () => readKerasHdf5(legacyFile('[]')), /Expected an object for the model/],
    ['an archive without weights', () => readKerasArchive(writeZip([{ name: 'config.json', data: Buffer.from('{}') }])), /Expected model\.weights\.h5/],
    ['an archive without config', () => readKerasArchive(writeZip([{ name: 'model.weights.h5', data: weights }])), /Expected config\.json/],
    ['an archive of something else', () => readKerasArchive(writeZip([{ name: 'config.json', data: Buffer.from('{}') }, { name: 'model.weights.h5', data: Buffer.from('x') }])), /signature of an HDF5 file \(at byte \d\d+ of/],
    ['a compressed archive', () => parseCheckpoint(writeZip([{ name: 'metadata.json', data: Buffer.from('{}') }], { method: 8 })), /compressed; expected stored entries/],
  ];
  for (const [name, read, message, code] of cases) it(`refuses ${name}`, () => assertFails(read, message, code));
  it('has run every case', () => assert.equal(cases.length, 14));
});

describe('keras: what a model says of its images', () => {
  const input = (layers: readonly unknown[], variables: readonly KerasLayer[] = []): CheckpointInput | undefined =>
    kerasInput(parseKerasConfig(JSON.stringify({ class_name: 'Functional', config: { name: 'm', layers } })), variables);
  const stem = { class_name: 'Conv2D', config: { name: 'stem_conv' } };
  const of = (class_name: string, config: object): unknown => ({ class_name, config: { name: class_name.toLowerCase(), ...config } });
  const tensor = (name: string, ...values: readonly number[]): Tensor => ({ name, type: 'f32', shape: [3], bytes: new Uint8Array(Float32Array.from(values).buffer) });
  const statistics = (mean: readonly number[], variance: readonly number[]): KerasLayer => ({
    name: 'normalization', key: 'normalization', variables: new Map([['mean', tensor('mean', ...mean)], ['variance', tensor('variance', ...variance)]]),
  });
  const imageNet = statistics([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
  const pixels = (map: CheckpointInput['map'], x: number): number[] => [0, 1, 2].map((i) => (map?.scale[i] ?? NaN) * x + (map?.shift[i] ?? NaN));

  it('takes Rescaling and Normalization together, in a model inside too', () => {
    const layers = [of('InputLayer', { batch_shape: [null, 200, 100, 3] }), of('RandomFlip', {}), of('Rescaling', { scale: 1 / 127.5, offset: -1 }), { class_name: 'Functional', config: { name: 'inner', layers: [of('Normalization', { mean: [1, 2, 3], variance: { class_name: '__numpy__', config: { value: [[[[4, 1, 0.25]]]] } } }), stem] } }];
    const found = input(layers);
    assert.deepEqual([found?.height, found?.width], [200, 100]);
    for (const x of [0, 100, 255]) {
      const y = x / 127.5 - 1;
      pixels(found?.map, x).forEach((value, i) => assert.ok(Math.abs(value - [(y - 1) / 2, y - 2, (y - 3) * 2][i]!) < 1e-12));
    }
  });

  it('counts the Rescaling layers of V1', () => {
    const before = [of('Rescaling', { scale: 1 / 255, offset: 0 }), of('Normalization', { mean: null, variance: null })];
    const after = of('Rescaling', { scale: [0.229, 0.224, 0.225].map((std) => 1 / Math.sqrt(std)) });
    const [legacy, fixed] = [input([...before, stem], [imageNet]), input([...before, after, stem], [imageNet])];
    const white = [0.485, 0.456, 0.406].map((mean) => 1 - mean);
    pixels(legacy?.map, 255).forEach((value, i) => assert.ok(Math.abs(value - white[i]! / Math.sqrt([0.229, 0.224, 0.225][i]!)) < 1e-6));
    pixels(fixed?.map, 255).forEach((value, i) => assert.ok(Math.abs(value - white[i]! / [0.229, 0.224, 0.225][i]!) < 1e-6));
    assert.equal(legacy?.legacyMap ?? fixed?.legacyMap, undefined, 'nothing is left open');

    const bare = kerasInput(undefined, [imageNet]);
    assert.deepEqual([bare?.map, bare?.legacyMap].map((map) => pixels(map, 255).map((value) => value.toFixed(6))), [fixed, legacy].map((one) => pixels(one?.map, 255).map((value) => value.toFixed(6))));
  });

  it('bare weights that were normalised otherwise leave nothing open', () => {
    const plain = kerasInput(undefined, [statistics([0, 0, 0], [1, 1, 1])]);
    assert.deepEqual([pixels(plain?.map, 255), plain?.legacyMap], [[1, 1, 1], undefined]);
    assert.equal(kerasInput(undefined, []), undefined);
  });

  it('names a layer that it does not know', () => {
    for (const layer of [of('Lambda', { function: 'x' }), of('TFOpLambda', {}), of('Rescaling', { scale: 'x' }), of('Normalization', {}), of('Normalization', { invert: true, mean: 1, variance: 1 }), of('Activation', { activation: 'relu' }), of('Resizing', {})]) {
      assert.equal(typeof input([layer, stem])?.unknown, 'string', JSON.stringify(layer));
    }
    assert.equal(input([of('Lambda', {}), stem])?.unknown, 'lambda');
    assert.deepEqual(input([of('InputLayer', {})]), {}, 'no stem');
    assert.deepEqual(input([of('InputLayer', { batch_input_shape: [null, null, null, 3] }), stem]), { unknown: '' }, 'nothing prepares the image');
  });

  it('notices padding that was fixed for images of any size', () => {
    const pads = (...sides: readonly (readonly [number, number])[]): unknown[] =>
      sides.map((side, i) => of('ZeroPadding2D', { name: `block${i}_pad`, padding: [side, side] }));
    const with_ = (shape: readonly (number | null)[], ...sides: readonly (readonly [number, number])[]): boolean | undefined =>
      input([of('InputLayer', { batch_shape: [null, ...shape, 3] }), ...pads(...sides), stem])?.padsAsEven;
    assert.equal(with_([224, 224], [0, 1], [0, 1], [1, 2]), undefined);
    assert.equal(with_([180, 180], [0, 1], [0, 1], [2, 2]), undefined, '180, 90, 45: fixed for it');
    assert.equal(with_([180, 180], [0, 1], [0, 1], [1, 2]), true, '45 is odd');
    assert.equal(with_([null, null], [0, 1]), true);
    assert.equal(with_([75, 75], [1, 1], [0, 1]), undefined);
    assert.equal(with_([96, 75], [0, 1]), true);
    const others = of('ZeroPadding2D', { name: 'zero_padding2d', padding: [[3, 3], [3, 3]] });
    assert.equal(input([of('InputLayer', { batch_shape: [null, 96, 96, 3] }), others, stem])?.padsAsEven, undefined);
  });

  const model = (...layers: readonly unknown[]): Buffer => legacyFile(JSON.stringify({ class_name: 'Functional', config: { layers } }));

  it('refuses what is behind the network and would be passed over in silence', () => {
    const behind = [of('Activation', {}), of('GlobalAveragePooling2D', {}), of('Dropout', {}), of('Dense', { name: 'predictions', activation: 'sigmoid' })];
    const { metadata } = readKerasHdf5(model(stem, ...behind));
    assert.equal(metadata.get('classifier.activation'), 'sigmoid');
    for (const layer of ['GlobalMaxPooling2D', 'Lambda', 'UnitNormalization', 'Conv1D', 'Multiply']) {
      assertFails(() => readKerasHdf5(model(stem, of(layer, {}), ...behind)), new RegExp(`the layer "${layer.toLowerCase()}" \\("${layer}"\\) behind the network`), 'ERR_UNSUPPORTED');
    }
  });

  it('says the activation of the stem', () => {
    const said = (...layers: readonly unknown[]): string | undefined => readKerasHdf5(model(...layers)).metadata.get('activation');
    assert.equal(said(stem, of('Activation', { activation: 'silu' })), 'swish');
    assert.equal(said(stem, of('BatchNormalization', {}), of('Activation', { activation: 'swish' })), 'swish');
    assert.equal(said(stem, of('ReLU', { max_value: 6 })), 'relu6');
    assert.equal(said(stem, of('ReLU', { max_value: null })), 'relu');
    assert.equal(said(stem, of('DepthwiseConv2D', {}), of('Activation', { activation: 'relu' }), stem), undefined);
  });

  it('folds a norm before the classifier', () => {
    const file = new Hdf5Writer();
    const floats32 = (...values: readonly number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);
    const layerOf = (name: string, variables: Readonly<Record<string, readonly [shape: readonly number[], data: Buffer]>>): Entry => ({
      name,
      at: file.group(
        [{ name, at: file.group(Object.entries(variables).map(([variable, [shape, data]]) => ({ name: variable, at: file.dataset(shape, data) }))) }],
        [attribute('weight_names', Object.keys(variables).map((variable) => `${name}/${variable}`))],
      ),
    });
    const entries = [
      layerOf('batch_normalization', { gamma: [[2], floats32(2, 3)], beta: [[2], floats32(1, -1)], moving_mean: [[2], floats32(4, 5)], moving_variance: [[2], floats32(3, 0)] }),
      layerOf('pred', { kernel: [[2, 1], floats32(10, 100)], bias: [[1], floats32(7)] }),
      layerOf('top_bn', { gamma: [[2], floats32(1, 1)], moving_mean: [[2], floats32(0, 0)], moving_variance: [[2], floats32(1, 1)] }),
    ];
    const said = { class_name: 'Model', config: { layers: [{ class_name: 'BatchNormalization', config: { name: 'batch_normalization', epsilon: 1 } }] } };
    const root = file.group([{ name: 'model_weights', at: file.group(entries, [attribute('layer_names', ['top_bn', 'batch_normalization', 'pred'])]) }], [attribute('model_config', [JSON.stringify(said)])]);
    const { tensors } = readKerasHdf5(file.finish(root));
    assert.deepEqual([...tensors.keys()], ['top_bn/gamma', 'top_bn/moving_mean', 'top_bn/moving_variance', 'predictions/kernel', 'predictions/bias']);
    const doubles = (name: string): number[] => [...new Float64Array(new Uint8Array(tensors.get(name)?.bytes ?? []).buffer)];
    // 2 (x - 4) / sqrt(3 + 1) + 1 and 3 (x - 5) / sqrt(0 + 1) - 1.
    assert.deepEqual(doubles('predictions/kernel'), [10, 300]);
    assert.deepEqual(doubles('predictions/bias'), [7 + 10 * (1 - 4) + 100 * (-1 - 15)]);
  });

  it('is bounded in depth and length', () => {
    let deep: unknown = stem;
    for (let i = 0; i < 20; i++) deep = { class_name: 'Functional', config: { layers: [deep] } };
    assertFails(() => input([deep]), /too many layers/);
    assertFails(() => input(Array.from({ length: 100_002 }, () => stem)), /too many layers/);
  });
});

describe('keras: damaged files', () => {
  for (const [name, file] of [['.h5', legacyFile(config)], ['.weights.h5', storedFile()], ['.keras', writeZip([{ name: 'config.json', data: Buffer.from('{"config":{"layers":[]}}') }, { name: 'model.weights.h5', data: storedFile() }])]] as const) {
    it(`${name}: refuses every truncation, refuses or loads every byte changed`, () => {
      const read = (bytes: Uint8Array): boolean => loads(() => parseCheckpoint(bytes));
      assert.ok(read(file));
      for (let length = 0; length < file.length; length++) assert.ok(!read(file.subarray(0, length)), `${length} bytes`);
      const changed = Buffer.from(file);
      for (let at = 0; at < file.length; at++) {
        for (const change of [0x01, 0x80, 0xff]) {
          changed[at] = (file[at] ?? 0) ^ change;
          read(changed);
        }
        changed[at] = file[at] ?? 0;
      }
      assert.ok(milliseconds(() => read(file)) < 50);
    }).timeout(60_000);
  }

  it('the files that Keras wrote: truncations and changes, sampled', () => {
    let refused = 0;
    for (const file of [two, weights, archive]) {
      for (let length = 0; length < file.length; length += 37) if (!loads(() => parseCheckpoint(file.subarray(0, length)))) refused++;
      const changed = Buffer.from(file);
      for (let at = 0; at < file.length; at += 11) {
        changed[at] = (file[at] ?? 0) ^ 0xff;
        if (!loads(() => parseCheckpoint(changed))) refused++;
        changed[at] = file[at] ?? 0;
      }
    }
    assert.ok(refused > 5000, String(refused));
  }).timeout(60_000);
});
