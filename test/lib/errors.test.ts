// SPDX-License-Identifier: Apache-2.0
// Every kind of bad input to the public model: each is an EfficientNetError with a code and a message
// that says what was expected and found, and the model goes on working as before.

import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { cpu, EfficientNetError, load, type ErrorCode, type Model } from '../../lib/index.js';
import { readSafetensors, writeSafetensors } from '../../lib/formats/safetensors.js';
import type { Tensor } from '../../lib/formats/tensor.js';
import { noise, syntheticCheckpoint } from './helpers/synthetic.js';

const chelsea = join(__dirname, '../../../test/images/chelsea.png');
const numbers = 224 * 224 * 3;
const checkpoint = syntheticCheckpoint();
const folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-errors-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Calls with an argument whose type the compiler would refuse. */
type Loose = (...args: readonly unknown[]) => unknown;
const loose = (target: object, name: string): Loose => {
  const method: unknown = Reflect.get(target, name);
  assert.ok(typeof method === 'function');
  return (...args) => Reflect.apply(method, target, args);
};

async function fails(call: () => unknown, code: ErrorCode | readonly ErrorCode[], message: RegExp, what = ''): Promise<void> {
  const error: unknown = await Promise.resolve().then(call).then(() => undefined, (reason: unknown) => reason);
  assert.ok(error instanceof EfficientNetError, `${what} gave ${String(error)}`);
  assert.ok([code].flat().includes(error.code), `${what}: ${error.code} ${error.message}`);
  assert.match(error.message, message, what);
}

describe('bad input to a model', () => {
  let model: Model;
  let expected: Float32Array;
  const input = noise(numbers, 12);
  before(async () => {
    model = await load({ weights: checkpoint, threads: 1 });
    expected = model.runSync(input);
  });
  after(() => model.close());
  afterEach(() => assert.deepEqual(model.runSync(input), expected));

  const file = (name: string, bytes: Uint8Array | string): string => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return path;
  };

  it('images that are none', async () => {
    const whole = readFileSync(chelsea);
    await fails(() => model.classify(file('text.png', 'no image')), 'ERR_INVALID_IMAGE', /text\.png/);
    await fails(() => model.classify(file('empty.png', '')), 'ERR_INVALID_IMAGE', /0 bytes/);
    await fails(() => model.classify(file('cut.png', whole.subarray(0, whole.length / 2))), 'ERR_INVALID_IMAGE', /cut\.png/);
    await fails(() => model.classify(whole.subarray(0, 1000)), 'ERR_INVALID_IMAGE', /given bytes/);
    await fails(() => model.classify(new Uint8Array(0)), 'ERR_INVALID_IMAGE', /0 bytes/);
    await fails(() => model.classify(join(folder, 'missing.png')), 'ERR_FILE', /missing\.png/);
    await fails(() => model.classify(folder), 'ERR_FILE', /directory/);
    await fails(() => model.embed(folder), 'ERR_FILE', /directory/);
    for (const value of [undefined, null, 5, true, {}, () => 1, '']) {
      await fails(() => loose(model, 'classify')(value), 'ERR_INVALID_ARGUMENT', /image/, typeof value);
      await fails(() => loose(model, 'embed')(value), 'ERR_INVALID_ARGUMENT', /image/, typeof value);
      await fails(() => loose(model, 'classifySync')(value), 'ERR_INVALID_ARGUMENT', /raw pixels/, typeof value);
      await fails(() => loose(model, 'classify')([value]), 'ERR_INVALID_ARGUMENT', /images\[0\].*image/, typeof value);
    }
    await fails(() => loose(model, 'classifySync')(chelsea), 'ERR_INVALID_ARGUMENT', /classify, embed and features decode files/);
  });

  it('raw pixels of a wrong size, order or type', async () => {
    const good = { data: new Uint8Array(300), width: 10, height: 10, channels: 'rgb' };
    const bad: readonly (readonly [change: object, message: RegExp])[] = [
      [{ data: new Uint8Array(299) }, /300 bytes.*299/],
      [{ data: new Uint8Array(301) }, /301/],
      [{ data: new Uint8Array(0) }, /0/],
      [{ data: new Float32Array(300) }, /Uint8Array/],
      [{ data: [1, 2, 3] }, /Uint8Array/],
      [{ width: 0 }, /width/],
      [{ width: 1.5 }, /width/],
      [{ height: -1 }, /height/],
      [{ height: NaN }, /height/],
      [{ width: 20_000, height: 20_000 }, /bytes/],
      [{ width: 2 ** 31 }, /width/],
      [{ channels: 'rgbx' }, /rgb/],
      [{ channels: 'rgba' }, /400 bytes/],
      [{ stride: 29 }, /stride/],
      [{ stride: Infinity }, /stride/],
      [{ colour: 'rgb' }, /colour/],
    ];
    for (const [change, message] of bad) {
      const image = { ...good, ...change };
      await fails(() => loose(model, 'classify')(image), 'ERR_INVALID_ARGUMENT', message, JSON.stringify(change));
      await fails(() => loose(model, 'classifySync')(image), 'ERR_INVALID_ARGUMENT', message);
      await fails(() => loose(model, 'embedSync')(image), 'ERR_INVALID_ARGUMENT', message);
    }
  });

  it('are not images of one pixel, or of very many', async () => {
    assert.equal((await model.classify({ data: new Uint8Array(3), width: 1, height: 1, channels: 'rgb' })).length, 5);
    assert.equal((await model.classify({ data: new Uint8Array(1), width: 1, height: 1, channels: 'gray' })).length, 5);
    const data = new Uint8Array(20_000 * 20_000);
    assert.equal((await model.classify({ data, width: 20_000, height: 20_000, channels: 'gray' })).length, 5);
    assert.equal(model.classifySync({ data: data.subarray(0, 20_000), width: 20_000, height: 1, channels: 'gray' }).length, 5);
  }).timeout(60_000);

  it('tensors of a wrong length or type, or with numbers that are none', async () => {
    for (const length of [0, 1, numbers - 1, numbers + 1, 1.5 * numbers]) {
      await fails(() => model.run(new Float32Array(length)), 'ERR_INVALID_ARGUMENT', new RegExp(`150528.*received ${length}`));
      await fails(() => model.embed(new Float32Array(length)), 'ERR_INVALID_ARGUMENT', /150528/);
    }
    await fails(() => model.embed(new Float32Array(2 * numbers)), 'ERR_INVALID_ARGUMENT', /one image/);
    for (const value of [undefined, null, [], new Float64Array(numbers), new Uint8Array(numbers), new ArrayBuffer(4 * numbers), 'x']) {
      await fails(() => loose(model, 'run')(value), 'ERR_INVALID_ARGUMENT', /Float32Array/);
      await fails(() => loose(model, 'runSync')(value), 'ERR_INVALID_ARGUMENT', /Float32Array/);
    }
    for (const value of [NaN, Infinity, -Infinity]) {
      const bad = input.slice();
      bad[numbers - 1] = value;
      await fails(() => model.run(bad), 'ERR_INVALID_ARGUMENT', /row 223, column 223, channel 2/);
      await fails(() => model.runSync(bad), 'ERR_INVALID_ARGUMENT', /image 0/);
      await fails(() => model.embed(bad), 'ERR_INVALID_ARGUMENT', /finite/);
    }
    // Denormal and huge numbers are numbers.
    for (const value of [1e-45, -0, 1e30, -1e30]) assert.equal((await model.run(input.map(() => value))).length, 10);
  });

  it('options that are unknown or out of range', async () => {
    const image = { data: new Uint8Array(3), width: 1, height: 1, channels: 'rgb' };
    for (const top of [0, -1, 11, 1.5, NaN, '5', null]) {
      await fails(() => loose(model, 'classify')(image, { top }), 'ERR_INVALID_ARGUMENT', /from 1 to 10 for top/);
      await fails(() => loose(model, 'classifySync')(image, { top }), 'ERR_INVALID_ARGUMENT', /from 1 to 10 for top/);
    }
    await fails(() => loose(model, 'classify')(image, { topp: 1 }), 'ERR_INVALID_ARGUMENT', /Did you mean 'top'/);
    await fails(() => loose(model, 'classify')(image, 5), 'ERR_INVALID_ARGUMENT', /options/);
    await fails(() => loose(model, 'classify')(image, { signal: {} }), 'ERR_INVALID_ARGUMENT', /AbortSignal/);
    await fails(() => loose(model, 'classify')(image, { timings: 1 }), 'ERR_INVALID_ARGUMENT', /timings/);
    for (const side of [0, -5, 4097, 1.5, NaN, '224']) {
      await fails(() => loose(model, 'run')(input, { height: side }), 'ERR_INVALID_ARGUMENT', /from 1 to 4096 for height/);
      await fails(() => loose(model, 'runSync')(input, { width: side }), 'ERR_INVALID_ARGUMENT', /from 1 to 4096 for width/);
    }
    await fails(() => loose(model, 'run')(input, { layout: 'nhcw' }), 'ERR_INVALID_ARGUMENT', /'nhwc', 'nchw' for layout/);
    await fails(() => loose(model, 'run')(input, { heigth: 5 }), 'ERR_INVALID_ARGUMENT', /Did you mean 'height'/);
    for (const output of [new Float32Array(9), new Float32Array(11), new Float64Array(10), [], null]) {
      await fails(() => loose(model, 'run')(input, { output }), 'ERR_INVALID_ARGUMENT', /output/);
    }
  });
});

describe('bad input to load', () => {
  it('names and options', async () => {
    const bad: readonly (readonly [args: readonly unknown[], code: ErrorCode, message: RegExp])[] = [
      [['b9'], 'ERR_UNKNOWN_ARCHITECTURE', /Did you mean 'b\d'/],
      [['efficientnet_b00'], 'ERR_UNKNOWN_ARCHITECTURE', /efficientnet_b0/],
      [[''], 'ERR_INVALID_ARGUMENT', /architecture/],
      [[undefined], 'ERR_INVALID_ARGUMENT', /name or an options object/],
      [[null], 'ERR_INVALID_ARGUMENT', /object/],
      [[5], 'ERR_INVALID_ARGUMENT', /object/],
      [[{}], 'ERR_INVALID_ARGUMENT', /architecture or weights/],
      [['b0', { architecture: 'b1' }], 'ERR_INVALID_ARGUMENT', /second name/],
      [[{ weights: checkpoint }, {}], 'ERR_INVALID_ARGUMENT', /second argument/],
      [[{ weights: 5 }], 'ERR_INVALID_ARGUMENT', /weights/],
      [[{ weights: '' }], 'ERR_INVALID_ARGUMENT', /weights/],
      [[{ weights: checkpoint, thread: 1 }], 'ERR_INVALID_ARGUMENT', /Did you mean 'threads'/],
      [[{ weights: checkpoint, isa: 'avx' }], 'ERR_INVALID_ARGUMENT', /isa.*avx2/s],
      [[{ weights: checkpoint, padding: 'valid' }], 'ERR_INVALID_ARGUMENT', /padding/],
      [[{ weights: checkpoint, batchNormEpsilon: -1 }], 'ERR_INVALID_ARGUMENT', /batchNormEpsilon/],
      [[{ weights: checkpoint, signal: 'now' }], 'ERR_INVALID_ARGUMENT', /AbortSignal/],
      [[{ weights: checkpoint, onProgress: 5 }], 'ERR_INVALID_ARGUMENT', /onProgress/],
      [[{ weights: checkpoint, offline: 'yes' }], 'ERR_INVALID_ARGUMENT', /offline/],
      [[{ weights: checkpoint, labels: ['one'] }], 'ERR_INVALID_ARGUMENT', /10 names/],
      [[{ weights: checkpoint, labels: 'cats' }], 'ERR_INVALID_ARGUMENT', /labels/],
      [[{ weights: checkpoint, recipe: { crop: 'centre' } }], 'ERR_INVALID_ARGUMENT', /crop/],
      [[{ weights: checkpoint, recipe: { size: 0 } }], 'ERR_INVALID_ARGUMENT', /size/],
      [[{ weights: checkpoint, recipe: { std: [1, 0, 1] } }], 'ERR_INVALID_ARGUMENT', /std/],
    ];
    for (const [args, code, message] of bad) await fails(() => Reflect.apply(load, undefined, args), code, message, String(message));
    for (const threads of [0, -1, 1.5, NaN, Infinity, 1025, '2', null]) {
      await fails(() => Reflect.apply(load, undefined, [{ weights: checkpoint, threads }]), 'ERR_INVALID_ARGUMENT', /from 1 to 1024 for threads/);
    }
  });

  it('checkpoints that are missing, no files, or none', async () => {
    const file = (name: string, bytes: Uint8Array | string): string => {
      const path = join(folder, name);
      writeFileSync(path, bytes);
      return path;
    };
    await fails(() => load({ weights: join(folder, 'missing.safetensors') }), 'ERR_FILE', /missing\.safetensors/);
    await fails(() => load({ weights: folder }), 'ERR_FILE', /no checkpoint of a known format.*it has "/);
    await fails(() => load({ weights: new URL('ftp://example.com/b0.safetensors') }), 'ERR_INVALID_ARGUMENT', /http or https/);
    await fails(() => load({ weights: file('empty', '') }), 'ERR_INVALID_CHECKPOINT', /empty/);
    await fails(() => load({ weights: file('text', 'these are no weights') }), 'ERR_INVALID_CHECKPOINT', /format/);
    for (const length of [1, 7, 8, 9, 1000, checkpoint.length >> 1, checkpoint.length - 1]) {
      await fails(() => load({ weights: checkpoint.slice(0, length) }), 'ERR_INVALID_CHECKPOINT', /./, `${length} bytes`);
    }
    const huge = checkpoint.slice(0, 64);
    huge.fill(0xff, 0, 8);
    await fails(() => load({ weights: huge }), 'ERR_INVALID_CHECKPOINT', /./);
  });

  it('checkpoints whose tensors do not fit', async () => {
    const { tensors, metadata } = readSafetensors(checkpoint);
    const changed = (change: (all: Map<string, Tensor>) => void): Uint8Array => {
      const all = new Map(tensors);
      change(all);
      return writeSafetensors(all.values(), Object.fromEntries(metadata));
    };
    const name = 'blocks.3.depthwise.weight';
    const tensor = tensors.get(name);
    assert.ok(tensor !== undefined);
    await fails(() => load({ weights: changed((all) => all.delete(name)) }), 'ERR_WEIGHTS_MISMATCH', /blocks\.3\.depthwise/);
    await fails(() => load({ weights: changed((all) => all.set('surplus', { ...tensor, name: 'surplus' })) }), 'ERR_WEIGHTS_MISMATCH', /surplus/);
    const whole: Tensor = { ...tensor, type: 'i32' };
    await fails(() => load({ weights: changed((all) => all.set(name, whole)) }), 'ERR_UNSUPPORTED', /element type i32/);
    const nan = tensor.bytes.slice();
    nan.set([0, 0, 0xc0, 0x7f]);
    await fails(() => load({ weights: changed((all) => all.set(name, { ...tensor, bytes: nan })) }), 'ERR_WEIGHTS_MISMATCH', /finite|NaN/);
    await fails(() => load({ architecture: 'b1', weights: checkpoint }), 'ERR_WEIGHTS_MISMATCH', /./);
  });

  it('weights that overflow give errors, not labels', async () => {
    const { tensors, metadata } = readSafetensors(checkpoint);
    const name = 'head.conv.weight';
    const tensor = tensors.get(name);
    assert.ok(tensor !== undefined);
    const bytes = new Uint8Array(Float32Array.from({ length: tensor.bytes.length / 4 }, () => 3e38).buffer);
    const all = new Map(tensors).set(name, { ...tensor, bytes });
    await using model = await load({ weights: writeSafetensors(all.values(), Object.fromEntries(metadata)) });
    const image = { data: new Uint8Array(300).fill(200), width: 10, height: 10, channels: 'rgb' } as const;
    await fails(() => model.classify(image), 'ERR_INVALID_CHECKPOINT', /finite scores/);
    await fails(() => model.classifySync(image), 'ERR_INVALID_CHECKPOINT', /finite scores/);
    assert.ok(model.runSync(noise(numbers, 1)).some((value) => !Number.isFinite(value)));
  });

  it('instruction sets that this CPU lacks, by option and by environment', async () => {
    const lacking = (['avx2', 'avx512', 'neon'] as const).find((isa) => !cpu().isas.some(({ name, present }) => name === isa && present));
    assert.ok(lacking !== undefined, 'no CPU has them all');
    await fails(() => load({ weights: checkpoint, isa: lacking }), 'ERR_UNSUPPORTED', new RegExp(lacking));
    const script = `
      const { load, cpu } = require(${JSON.stringify(join(__dirname, '../../lib/index.js'))});
      const { syntheticCheckpoint } = require(${JSON.stringify(join(__dirname, 'helpers/synthetic.js'))});
      load({ weights: syntheticCheckpoint() }).then((m) => { console.log(cpu().chosen, m.info.isa); return m.close(); },
        (e) => console.log(cpu().chosen, e.code, e.message));`;
    const ask = (isa: string): string =>
      execFileSync(process.execPath, ['-e', script], { encoding: 'utf8', env: { ...process.env, EFFICIENTNET_SIMD_ISA: isa } });
    assert.match(ask(lacking), new RegExp(`^null ERR_UNSUPPORTED .*${lacking}`));
    assert.match(ask('mmx'), /^null ERR_INVALID_ARGUMENT .*mmx/);
    assert.match(ask('scalar'), /^scalar scalar/);
  });
});
