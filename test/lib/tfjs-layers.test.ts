// SPDX-License-Identifier: Apache-2.0
// TensorFlow.js layers models and quantised weights: what is read of small ones made here, manifests that
// lie, JSON that is hostile, and shards that are no files. The converter's own files are in
// tensorflow-export.test.ts, graph models in tfjs.test.ts.

import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kerasConfig } from '../../lib/config/keras.js';
import { EfficientNetError, type ErrorCode } from '../../lib/errors.js';
import { readCheckpoint } from '../../lib/formats/index.js';
import type { Checkpoint } from '../../lib/formats/tensor.js';
import { readTfjs } from '../../lib/formats/tfjs.js';
import { assertRefuses, loads, loadsQuickly } from './helpers/damage.js';
import { layersModel, layersShard, type Layer, type LayersModel, type Weight } from './helpers/layers-model.js';
import { values } from './synthetic.js';

function read(change: (model: LayersModel) => void = () => undefined, bytes: Uint8Array = layersShard): Checkpoint {
  const changed = layersModel();
  change(changed);
  return readTfjs(Buffer.from(JSON.stringify(changed)), new Map([['a.bin', bytes]]));
}

const weightsOf = (m: LayersModel): Weight[] => (m.weightsManifest[0] ?? assert.fail()).weights;
const first = (m: LayersModel): Weight => weightsOf(m)[0] ?? assert.fail();
const layersOf = (m: LayersModel): Layer[] => (m.modelTopology.model_config ?? assert.fail()).config.layers;
/** The first weight, of two numbers, in fewer bits; the others as they were. */
const quantised = (quantization: unknown, dtype = 'float32') => (m: LayersModel): void => void Object.assign(first(m), { quantization, dtype });
const behind = (bytes: Uint8Array): Uint8Array => Buffer.concat([bytes, layersShard.subarray(8)]);

describe('tfjs: layers models', () => {
  it('are read as Keras models', () => {
    const found = read();
    assert.equal(found.format, 'tfjs-layers');
    assert.deepEqual([...found.tensors.keys()], ['block1a_dwconv/kernel', 'stem_bn/gamma', 'predictions/kernel']);
    assert.deepEqual([...values(found.tensors.get('stem_bn/gamma'))], [3, 4, 5]);
    assert.equal(found.tensors.get('stem_bn/gamma')?.bytes.buffer, layersShard.buffer);
    const { recipe, batchNormEpsilon } = kerasConfig(found, undefined) ?? assert.fail();
    assert.deepEqual([recipe, batchNormEpsilon], [{ height: 32, width: 48, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }, 1e-3]);
  });

  it('also without the format, as older converters wrote them, as JavaScript saves them, and with a model inside the model', () => {
    const expected = [...read().tensors.keys()];
    assert.deepEqual([...read((m) => delete m.format).tensors.keys()], expected);
    const saved = (m: LayersModel): void => void (m.modelTopology = { ...m.modelTopology.model_config, keras_version: 'tfjs-layers 4.22.0', backend: 'tensor_flow.js' } as never);
    assert.deepEqual([...read(saved).tensors.keys()], expected);
    assert.deepEqual([...read((m) => weightsOf(m).forEach((weight) => (weight.name = `efficientnetb0/${weight.name}`))).tensors.keys()], expected);
  });

  const cases: readonly (readonly [name: string, change: (m: LayersModel) => void, code: ErrorCode, message: RegExp])[] = [
    ['no model', (m) => delete m.modelTopology.model_config, 'ERR_INVALID_CHECKPOINT', /an object for model_config|modelTopology\.node/],
    ['a model that is text', (m) => (m.modelTopology.model_config = 'x' as never), 'ERR_INVALID_CHECKPOINT', /an object for model_config/],
    ['a layer that is a number', (m) => layersOf(m).push(7 as never), 'ERR_INVALID_CHECKPOINT', /an object for a layer/],
    ['one variable of two names', (m) => weightsOf(m).push({ ...first(m), name: 'x/block1a_dwconv/kernel', shape: [0] }), 'ERR_INVALID_CHECKPOINT', /Two weights of model\.json are named "block1a_dwconv\/kernel"/],
    ['a Lambda behind the network', (m) => layersOf(m).push({ class_name: 'Lambda', config: { name: 'evil', function: 'process.exit()' } }), 'ERR_UNSUPPORTED', /the layer "evil" \("Lambda"\) behind the network/],
    ['two classifiers', (m) => weightsOf(m).push({ name: 'more/kernel', shape: [1, 0], dtype: 'float32' }), 'ERR_UNSUPPORTED', /2 dense layers \("my_head", "more"\)/],
  ];
  for (const [name, change, code, message] of cases) it(`refuses ${name}`, () => assertRefuses(() => read(change), code, message));
  it('has run every case', () => assert.equal(cases.length, 6));
});

describe('tfjs: quantised weights', () => {
  const firstOf = (change: (m: LayersModel) => void, bytes: Uint8Array): number[] => [...values(read(change, behind(bytes)).tensors.get('block1a_dwconv/kernel'))];

  it('uint8 and uint16: scale x + min in double precision, rounded once', () => {
    const [scale, min] = [0.1, -0.30000000000000004];
    assert.deepEqual(firstOf(quantised({ dtype: 'uint8', scale, min }), Uint8Array.of(3, 255)), [Math.fround(3 * scale + min), Math.fround(255 * scale + min)]);
    assert.deepEqual(firstOf(quantised({ dtype: 'uint16', scale, min }), Uint8Array.of(1, 2, 255, 255)), [Math.fround(513 * scale + min), Math.fround(65_535 * scale + min)]);
    assert.deepEqual(firstOf(quantised({ dtype: 'uint8', scale: 2 }), Uint8Array.of(0, 7)), [0, 14]);
  });

  it('at any place of a shard', () => {
    const one = (m: LayersModel): void => {
      quantised({ dtype: 'uint8', scale: 1, min: 0 })(m);
      first(m).shape = [1];
    };
    assert.deepEqual([...values(read(one, Buffer.concat([Uint8Array.of(9), layersShard.subarray(8)])).tensors.get('stem_bn/gamma'))], [3, 4, 5]);
  });

  it('float16: as it lies, without a copy', () => {
    const tensor = read(quantised({ dtype: 'float16' }), behind(Uint8Array.of(0x00, 0x3c, 0x00, 0xc0))).tensors.get('block1a_dwconv/kernel') ?? assert.fail();
    assert.deepEqual([tensor.type, tensor.shape, [...tensor.bytes]], ['f16', [2], [0x00, 0x3c, 0x00, 0xc0]]);
  });

  it('integers are rounded', () => {
    const { bytes, type } = read(quantised({ dtype: 'uint8', scale: 0.4, min: -1 }, 'int32'), behind(Uint8Array.of(0, 4))).tensors.get('block1a_dwconv/kernel') ?? assert.fail();
    assert.deepEqual([type, [...new Int32Array(new Uint8Array(bytes).buffer)]], ['i32', [-1, 1]]);
  });

  const cases: readonly (readonly [name: string, quantization: unknown, code: ErrorCode, message: RegExp, dtype?: string])[] = [
    ['that is text', 'uint8', 'ERR_INVALID_CHECKPOINT', /an object for the quantization of "block1a_dwconv\/depthwise_kernel"/],
    ['null', null, 'ERR_INVALID_CHECKPOINT', /an object for the quantization/],
    ['of four bits', { dtype: 'uint4', scale: 1, min: 0 }, 'ERR_UNSUPPORTED', /quantised in a way that is not supported; expected uint8, uint16 or float16/],
    ['without scale', { dtype: 'uint8', min: 0 }, 'ERR_INVALID_CHECKPOINT', /finite numbers as scale and min/],
    ['of a scale that is text', { dtype: 'uint8', scale: '1', min: 0 }, 'ERR_INVALID_CHECKPOINT', /finite numbers as scale and min/],
    ['of a min that is null', { dtype: 'uint8', scale: 1, min: null }, 'ERR_INVALID_CHECKPOINT', /finite numbers as scale and min/],
    ['of flags', { dtype: 'uint8', scale: 1, min: 0 }, 'ERR_UNSUPPORTED', /quantised in a way/, 'bool'],
    ['of half precision in integers', { dtype: 'float16' }, 'ERR_UNSUPPORTED', /quantised in a way/, 'int32'],
    ['whose data is missing', { dtype: 'uint8', scale: 1, min: 0 }, 'ERR_INVALID_CHECKPOINT', /Expected 22 bytes in the shards "a\.bin" but they have 28/],
  ];
  for (const [name, quantization, code, message, dtype] of cases) {
    it(`refuses a quantisation ${name}`, () => assertRefuses(() => read(quantised(quantization, dtype)), code, message));
  }
  it('refuses a scale of infinity', () => {
    const text = JSON.stringify((() => { const m = layersModel(); quantised({ dtype: 'uint8', scale: 777, min: 0 })(m); return m; })()).replace('777', '1e999');
    assertRefuses(() => readTfjs(Buffer.from(text), new Map([['a.bin', layersShard]])), 'ERR_INVALID_CHECKPOINT', /finite numbers as scale and min/);
  });
  it('has run every case', () => assert.equal(cases.length, 9));
});

describe('tfjs: hostile JSON', () => {
  const cases: readonly (readonly [name: string, text: string, message: RegExp])[] = [
    ['the same key twice', '{"modelTopology":{},"format":"graph-model","format":"layers-model"}', /Duplicate key "format" \(at byte 43 of the file\)/],
    ['the same key twice, once escaped', '{"modelTopology":{},"form\\u0061t":1,"format":2}', /Duplicate key "format" \(at byte 36/],
    ['the same key twice, deep inside', '{"modelTopology":{"node":[{"name":"a","name":"b"}]}}', /Duplicate key "name" \(at byte 38/],
    ['arrays in arrays', `{"modelTopology":${'['.repeat(1e5)}`, /nests at most 64 deep \(at byte 81 of/],
    ['objects in objects', '{"a":'.repeat(1e5), /nests at most 64 deep \(at byte 325 of/],
    ['many values', `{"modelTopology":[${'0,'.repeat(500_000)}0]}`, /at most 400000 values and keys \(at byte \d+ of/],
    ['many objects', `{"modelTopology":[${'{},'.repeat(500_000)}{}]}`, /at most 400000 values and keys \(at byte \d+ of/],
    ['many objects of one member', `{"modelTopology":[${'{"a":{"b":0}},'.repeat(200_000)}0]}`, /at most 400000 values and keys \(at byte \d+ of/],
    ['a number of another language', '{"modelTopology":0x10}', /Malformed JSON: .* \(at byte 17/],
    ['no number', '{"modelTopology":NaN}', /Malformed JSON: .* \(at byte 17/],
    ['a leading zero', '{"modelTopology":01}', /Malformed JSON: .* \(at byte 17/],
    ['a comma too many', '{"modelTopology":[1,]}', /Malformed JSON: expected '"' but found '\]' \(at byte 20/],
    ['half a surrogate pair', '{"\\ud800":1}', /surrogate pair/],
    ['a second value', '{"modelTopology":{}}{}', /something follows the value \(at byte 20/],
    ['an end in a string', '{"modelTopology":"', /a string without end \(at byte 17/],
  ];
  for (const [name, text, message] of cases) it(name, () => assertRefuses(() => readTfjs(Buffer.from(text), new Map()), 'ERR_INVALID_CHECKPOINT', message));
  it('has run every case', () => assert.equal(cases.length, 15));

  it('names that objects have anyway are names like others', () => {
    const found = read((m) => (first(m).name = '__proto__/toString'));
    assert.equal(found.tensors.get('__proto__/toString')?.shape.length, 1);
    assertRefuses(() => readTfjs(Buffer.from('{"__proto__":{"modelTopology":{},"weightsManifest":[]},"a":1}'), new Map()), 'ERR_INVALID_CHECKPOINT', /with modelTopology and weightsManifest/);
  });

  it('every byte changed, and every truncation', () => {
    const text = Buffer.from(JSON.stringify(layersModel()));
    const shards = new Map([['a.bin', layersShard]]);
    let [executed, accepted, refused] = [0, 0, 0];
    for (let at = 0; at < text.length; at++) {
      for (const flip of [0x01, 0x04, 0x20]) {
        const changed = Buffer.from(text);
        changed[at] = (changed[at] ?? 0) ^ flip;
        if (loadsQuickly(() => readTfjs(changed, shards))) accepted++;
        executed++;
      }
      if (!loads(() => readTfjs(text.subarray(0, at), shards))) refused++;
    }
    assert.equal(executed, 3 * text.length);
    assert.equal(refused, text.length);
    assert.ok(accepted > 0 && accepted < executed);
  }).timeout(60_000);
});

describe('tfjs: shards on disk', () => {
  let folder = '';
  const at = (...names: string[]): string => join(folder, ...names);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-tfjs-'));
    mkdirSync(at('model'));
    writeFileSync(at('outside.bin'), layersShard);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const load = (path = 'a.bin'): Promise<Checkpoint> => {
    const changed = layersModel();
    (changed.weightsManifest[0] ?? assert.fail()).paths = [path];
    writeFileSync(at('model', 'model.json'), JSON.stringify(changed));
    return readCheckpoint(at('model', 'model.json'));
  };
  const refused = (promise: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> =>
    assert.rejects(promise, (error: unknown) => {
      assert.ok(error instanceof EfficientNetError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      return true;
    });

  it('beside the model', async () => {
    writeFileSync(at('model', 'a.bin'), layersShard);
    assert.equal((await load()).tensors.size, 3);
  });

  it('are opened nowhere else', async () => {
    for (const path of ['../outside.bin', at('outside.bin'), 'model/../../outside.bin', `file://${at('outside.bin')}`, 'https://example.org/a.bin', 'http:a.bin', '..', 'a\\b', 'a\0b']) {
      await refused(load(path), 'ERR_INVALID_CHECKPOINT', /plain file names beside model\.json/);
    }
  });

  it('that are links to another place, folders, pipes or larger than the model says are not read', async function () {
    await refused(load(), 'ERR_FILE', /shard a\.bin: .*cannot be read/);
    mkdirSync(at('model', 'b.bin'));
    await refused(load('b.bin'), 'ERR_FILE', /shard b\.bin: /);
    writeFileSync(at('model', 'c.bin'), Buffer.alloc(29));
    await refused(load('c.bin'), 'ERR_INVALID_CHECKPOINT', /shard c\.bin: /);
    writeFileSync(at('model', 'd.bin'), Buffer.alloc(27));
    await refused(load('d.bin'), 'ERR_INVALID_CHECKPOINT', /Expected 28 bytes in the shards "d\.bin" but they have 27/);
    if (process.platform === 'win32') return this.skip();
    symlinkSync(at('outside.bin'), at('model', 'e.bin'));
    await refused(load('e.bin'), 'ERR_FILE', /shard e\.bin: .*a link to another place/);
    execFileSync('mkfifo', [at('model', 'f.bin')]);
    await refused(load('f.bin'), 'ERR_FILE', /shard f\.bin: /);
  });
});
