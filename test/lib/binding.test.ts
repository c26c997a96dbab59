// SPDX-License-Identifier: Apache-2.0
// The addon itself: what its sessions do, and that no argument whatever can crash it. Users
// meet friendlier checks in model.ts; these are the ones that keep the process alive.

import { strict as assert } from 'node:assert';

import { addon, type NativePixels, type NativeSession, type NativeShape } from '../../lib/binding.js';
import { cpu } from '../../lib/cpu.js';
import { describe as describeNetwork } from '../../lib/describe.js';
import type { Recipe } from '../../lib/recipe.js';
import { noise, resizable, smallNetwork, syntheticWeights, takeAway } from './helpers/synthetic.js';

const shape: NativeShape = { height: 32, width: 32, layout: 'nhwc', output: 'logits' };
const recipe: Recipe = {
  height: 32,
  width: 32,
  crop: 'center',
  cropFraction: 0.875,
  filter: 'bicubic',
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
};
const image: NativePixels = { width: 40, height: 50, channels: 'rgb', stride: 120 };
const numbers = 32 * 32 * 3;

function open(options: { threads?: number; isa?: string } = {}): Promise<NativeSession> {
  const network = smallNetwork();
  return addon().createSession(network, syntheticWeights(network), {
    threads: options.threads ?? 1,
    isa: options.isa ?? '',
    height: 32,
    width: 32,
  });
}

/** A typed array over memory that is gone. */
function detached(length: number): Float32Array {
  const array = new Float32Array(length);
  takeAway(array);
  return array;
}

describe('a session', () => {
  let session: NativeSession;
  const input = noise(numbers, 5);
  before(async () => {
    session = await open();
  });
  after(() => session.close());

  const runSync = (on: NativeSession, data: Float32Array, how = shape, images = 1): Float32Array => {
    const out = new Float32Array(10 * images);
    on.runSync(data, out, how);
    return out;
  };

  it('gives the same bits synchronously, asynchronously, in a batch and with the other layout', async () => {
    const expected = runSync(session, input);
    assert.ok(expected.every(Number.isFinite) && new Set(expected).size === 10);
    const later = new Float32Array(10);
    await session.run(input, later, shape, 1);
    assert.deepEqual(later, expected);

    const batch = new Float32Array(2 * numbers);
    batch.set(noise(numbers, 9));
    batch.set(input, numbers);
    assert.deepEqual(runSync(session, batch, shape, 2).subarray(10), expected);

    const planar = new Float32Array(numbers);
    input.forEach((value, i) => (planar[(i % 3) * 1024 + Math.floor(i / 3)] = value));
    assert.deepEqual(runSync(session, planar, { ...shape, layout: 'nchw' }), expected);
  });

  it('gives the same bits for any number of threads', async () => {
    const expected = runSync(session, input);
    for (const threads of [2, 3, 5]) {
      const other = await open({ threads });
      assert.equal(other.info().threads, threads);
      assert.deepEqual(runSync(other, input), expected);
      await other.close();
    }
  });

  it('runs the kernels of the instruction set that was asked for', async () => {
    const expected = runSync(session, input);
    let ran = 0;
    for (const { name, present } of cpu().isas) {
      if (!present) continue;
      const other = await open({ isa: name });
      const { isa, kernels } = other.info();
      assert.equal(isa, name);
      assert.ok(kernels.length >= 6 && kernels.every((kernel) => kernel.endsWith(`_${name}`)), kernels.join());
      runSync(other, input).forEach((value, i) => assert.ok(Math.abs(value - (expected[i] ?? NaN)) < 1e-4));
      await other.close();
      ran++;
    }
    assert.ok(ran >= 1);
  });

  it('refuses instruction sets that it does not know or this CPU lacks', async () => {
    await assert.rejects(async () => open({ isa: 'mmx' }), { code: 'ERR_INVALID_ARGUMENT', message: /mmx/ });
    const foreign = process.arch === 'arm64' ? 'avx2' : 'neon';
    await assert.rejects(async () => open({ isa: foreign }), /avx2|neon/);
  });

  it('tells how long each step took, with the same result', () => {
    const expected = runSync(session, input);
    const out = new Float32Array(10);
    const steps = session.profile(input, out, shape);
    assert.deepEqual(out, expected);
    const names = steps.map(({ name }) => name);
    assert.deepEqual(names.slice(0, 3), ['stem', 'blocks.0.depthwise', 'blocks.0.excite']);
    assert.deepEqual(names.slice(-2), ['head.conv', 'head.classifier']);
    // Each is a layer, or layers of one block that take turns; the excite stands for reduce and excite.
    const layers = new Set(describeNetwork(smallNetwork()).layers.map(({ name }) => name));
    const parts = names.flatMap((name) => name.split('+').map((part, i) => (i === 0 ? part : name.replace(/[^.]*$/, part))));
    assert.deepEqual(parts.filter((name) => !layers.has(name)), []);
    assert.ok(steps.every(({ milliseconds }) => milliseconds >= 0 && milliseconds < 1e4));
    assert.throws(() => session.profile(input.subarray(1), out, shape), { code: 'ERR_INVALID_ARGUMENT' });
    assert.throws(() => session.profile(detached(numbers), out, shape), { code: 'ERR_INVALID_ARGUMENT' });
  });

  it('prepares and runs pixels as prepareImage and run do', () => {
    const data = new Uint8Array(50 * 120).map((_, i) => (i * 7919) & 255);
    const tensor = addon().prepareImage(data, image, recipe);
    assert.equal(tensor.length, numbers);
    const out = new Float32Array(10);
    const times = session.runPixelsSync(data, out, image, recipe, 'logits');
    assert.deepEqual(out, runSync(session, tensor));
    assert.ok(times.prepare >= 0 && times.infer > 0);
  });

  it('gives the embedding that the classifier sees', () => {
    const out = new Float32Array(64);
    session.runSync(input, out, { ...shape, output: 'embedding' });
    const { head } = syntheticWeights(smallNetwork());
    const logits = Float32Array.from({ length: 10 }, (_, n) =>
      out.reduce((sum, value, k) => sum + value * (head.classifierWeights[n * 64 + k] ?? 0), head.classifierBias[n] ?? 0));
    runSync(session, input).forEach((value, i) => assert.ok(Math.abs(value - (logits[i] ?? NaN)) < 1e-4));
  });

  it('does not wait long for an image that was announced and never comes', async () => {
    const two = await open({ threads: 2 });
    const data = new Uint8Array(50 * 120).fill(100);
    const [expected, out, other] = [new Float32Array(10), new Float32Array(10), new Float32Array(10)];
    session.runPixelsSync(data, expected, image, recipe, 'logits');
    await two.runPixels(data, out, image, recipe, 'logits', 1, true);
    two.runPixelsSync(data, other, image, recipe, 'logits');
    assert.deepEqual([out, other], [expected, expected]);
    const pending = Promise.all([2, 3, 4].map((id) => two.runPixels(data, out, image, recipe, 'logits', id, true)));
    await pending;
    assert.deepEqual(out, expected);
    const left = Promise.allSettled([two.runPixels(data, out, image, recipe, 'logits', 5, true)]);
    await two.close();
    const [result] = await left;
    assert.ok(result?.status === 'fulfilled' || result?.reason.code === 'ERR_CLOSED');
  });

  it('names the place of a NaN or an infinity, in either layout, and stays usable', async () => {
    const expected = runSync(session, input);
    const bad = new Float32Array(2 * numbers);
    bad[numbers + (3 * 32 + 4) * 3 + 2] = Infinity;
    assert.throws(() => runSync(session, bad, shape, 2), { code: 'ERR_INVALID_ARGUMENT', message: /infinity in image 1 at row 3, column 4, channel 2/ });
    const planar = new Float32Array(numbers);
    planar[1024 + 33] = NaN;
    const out = new Float32Array(10).fill(7);
    await assert.rejects(session.run(planar, out, { ...shape, layout: 'nchw' }, 2), { message: /NaN in image 0 at row 1, column 1, channel 1/ });
    assert.deepEqual(out, new Float32Array(10).fill(7), 'output is left alone by a call that fails');
    assert.deepEqual(runSync(session, input), expected);
  });

  it('reads and writes shared and resizable memory', async () => {
    const expected = runSync(session, input);
    const shared = new Float32Array(new SharedArrayBuffer(numbers * 4));
    shared.set(input);
    const out = new Float32Array(new SharedArrayBuffer(40));
    await session.run(shared, out, shape, 3);
    assert.deepEqual(Float32Array.from(out), expected);
    const { array, shrink } = resizable(input);
    assert.deepEqual(runSync(session, array), expected);
    shrink();
    assert.throws(() => runSync(session, array), { code: 'ERR_INVALID_ARGUMENT' });
  });
});

describe('hostile arguments', () => {
  const floats = noise(numbers, 3);
  const bytes = new Uint8Array(50 * 120).fill(100);
  const out = new Float32Array(64);
  const options = { threads: 1, isa: '', height: 32, width: 32 };
  const network = smallNetwork();
  const weights = syntheticWeights(network);
  const throwing = new Proxy({}, { get() { throw new Error('getter'); } });
  const strange: readonly unknown[] = [
    undefined, null, true, -1, 0, 0.5, NaN, Infinity, 2 ** 40, 10n, '', 'nhwc', Symbol('s'), {}, [], () => 1,
    new Uint8Array(3), new Float64Array(9), new DataView(new ArrayBuffer(8)), new Float32Array(1), detached(numbers), throwing,
  ];
  let session: NativeSession;
  let expected: Float32Array;

  before(async () => {
    session = await open();
    expected = logits();
  });
  after(() => session.close());
  // The session works, and gives what it gave, whatever went before.
  afterEach(() => assert.deepEqual(logits(), expected));

  function logits(): Float32Array {
    const result = new Float32Array(10);
    session.runSync(floats, result, shape);
    return result;
  }

  type Call = readonly [name: string, target: object, good: readonly unknown[]];
  const calls = (): Call[] => [
    ['run', session, [floats, out, shape, 1]],
    ['runSync', session, [floats, out, shape]],
    ['runPixels', session, [bytes, out, image, recipe, 'logits', 1]],
    ['runPixelsSync', session, [bytes, out, image, recipe, 'logits']],
    ['featureMaps', session, [32, 33]],
    ['createSession', addon(), [network, weights, options]],
    ['prepareImage', addon(), [bytes, image, recipe]],
  ];

  /** Calls it; 'ok', or the message of the Error that it threw or rejected with. */
  async function outcome([name, target]: readonly [string, object, ...unknown[]], args: readonly unknown[]): Promise<string> {
    try {
      const method: unknown = Reflect.get(target, name);
      assert.ok(typeof method === 'function');
      const value: unknown = await Reflect.apply(method, target, args);
      if (name === 'createSession') await (value as NativeSession).close();
      return 'ok';
    } catch (error) {
      assert.ok(error instanceof Error && error.message !== '', `${name} gave no Error`);
      return error.message;
    }
  }

  it('accept their good values', async () => {
    for (const call of calls()) assert.equal(await outcome(call, call[2]), 'ok', call[0]);
  });

  it('in every position are errors', async () => {
    let tried = 0;
    for (const call of calls()) {
      for (let position = 0; position < call[2].length; position++) {
        for (const value of strange) {
          const what = `${call[0]} argument ${position} ${typeof value} ${typeof value === 'number' ? value : ''}`;
          // Id 0 is allowed: it cannot be cancelled.
          const allowed = value === 0 && call[0].startsWith('run') && call[2][position] === 1;
          assert.equal((await outcome(call, call[2].with(position, value))) === 'ok', allowed, what);
          tried++;
        }
      }
      await outcome(call, []);
    }
    assert.equal(tried, 26 * strange.length);
  });

  it('in every field of shapes, images, recipes and options are errors', async () => {
    let tried = 0;
    for (const call of calls()) {
      for (const [position, good] of call[2].entries()) {
        if (good !== shape && good !== image && good !== recipe && good !== options) continue;
        for (const key of Object.keys(good)) {
          for (const value of strange) {
            const what = `${call[0]} ${key} ${typeof value} ${typeof value === 'number' ? value : ''}`;
            const allowed =
              (key === 'layout' && value === 'nhwc') ||
              (key === 'isa' && value === '') ||
              (key === 'cropFraction' && value === 0.5) ||
              (key === 'mean' && value instanceof Uint8Array);
            assert.equal((await outcome(call, call[2].with(position, { ...good, [key]: value }))) === 'ok', allowed, what);
            tried++;
          }
        }
      }
    }
    assert.equal(tried, (2 * 4 + 3 * (4 + 7) + 4) * strange.length);
  });

  it('in every field of a network and its weights are errors, or a network that loads', async () => {
    const create: Call = ['createSession', addon(), []];
    let refused = 0;
    let tried = 0;
    for (const source of [network, weights]) {
      for (const part of ['stem', 'blocks', 'head'] as const) {
        const good: object = part === 'blocks' ? source.blocks[1] ?? {} : source[part];
        for (const key of Object.keys(good)) {
          for (const value of [...strange, 1, 7, 65_536, new Float32Array(5)]) {
            const changed = { ...good, [key]: value };
            const whole = { ...source, [part]: part === 'blocks' ? source.blocks.with(1, changed as never) : changed };
            const args = source === network ? [whole, weights, options] : [network, whole, options];
            if ((await outcome(create, args)) !== 'ok') refused++;
            tried++;
          }
        }
      }
    }
    assert.ok(tried > 900 && refused > 0.75 * tried, `${refused} of ${tried} refused`);
  });

  it('whose getters close the session or take the memory away are errors', async () => {
    const other = await open();
    const taken = noise(numbers, 3);
    const trap = {
      ...shape,
      get height() {
        takeAway(taken);
        return 32;
      },
    };
    assert.throws(() => other.runSync(taken, out, trap), { code: 'ERR_INVALID_ARGUMENT' });
    const closing = {
      ...shape,
      get width() {
        void other.close();
        return 32;
      },
    };
    assert.throws(() => other.runSync(floats, out, closing), { code: 'ERR_CLOSED' });
    assert.throws(() => other.info(), { code: 'ERR_CLOSED' });
    assert.throws(() => other.close(), { code: 'ERR_CLOSED' });
    other.cancel(1);
  });

  it('include a session made without createSession, and a foreign this', async () => {
    const { constructor } = session as unknown as { constructor: new () => NativeSession };
    const empty = new constructor();
    assert.throws(() => empty.runSync(floats, out, shape), { code: 'ERR_INVALID_ARGUMENT' });
    assert.equal(empty.info().classes, 0);
    await empty.close();
    for (const foreign of [{}, Object.create(session) as object, undefined]) {
      assert.throws(() => Reflect.apply(session.info, foreign, []), Error);
    }
  });

  it('do not cover networks whose weights overflow: those give what the arithmetic gives', async () => {
    const large = { ...weights, head: { ...weights.head, convWeights: weights.head.convWeights.map(() => 3e38) } };
    const other = await addon().createSession(network, large, options);
    const result = new Float32Array(10);
    other.runSync(floats, result, shape);
    assert.ok(result.some((value) => !Number.isFinite(value)));
    await other.close();
  });
});
