// SPDX-License-Identifier: Apache-2.0
// Several images at once, in one tensor, in a list or in calls that wait: the bits and the order of one by
// one for any number of threads, each call with its own end, and memory that the caller may have back at
// once. How fast it is, is measured in bench/.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { decodeImage } from '../../lib/image.js';
import { load, type ImageSource, type Model, type RawPixels } from '../../lib/index.js';
import { noise, syntheticCheckpoint, takeAway } from './helpers/synthetic.js';

const images = ['chelsea.png', 'coffee.png'].map((name) => join(__dirname, '../../../test/images', name));
const checkpoint = syntheticCheckpoint();
const [height, width] = [48, 65];
const one = height * width * 3;
const kMost = 9;
const batch = noise(kMost * one, 5);
const image = (i: number): Float32Array => batch.slice(i * one, (i + 1) * one);

async function each(threads: readonly number[], work: (model: Model, threads: number) => Promise<void>): Promise<void> {
  for (const count of threads) {
    await using model = await load({ weights: checkpoint, threads: count });
    await work(model, count);
  }
}

describe('a tensor of several images', () => {
  it('gives the bits of one by one, with 1 to 5 threads', async () => {
    const expected: Float32Array[] = [];
    await each([1, 2, 3, 4, 5], async (model, threads) => {
      for (let i = expected.length; i < kMost; i++) expected.push(model.runSync(image(i), { height, width }));
      for (let count = 1; count <= kMost; count++) {
        const input = batch.subarray(0, count * one);
        const wanted: Float32Array = new Float32Array(expected.slice(0, count).flatMap((logits) => [...logits]));
        assert.deepEqual(await model.run(input, { height, width }), wanted, `${count} images, ${threads} threads`);
        assert.deepEqual(model.runSync(input, { height, width }), wanted);
      }
    });
  });

  it('names the first image that holds no number, and writes nothing', async () => {
    const input = batch.slice();
    for (const bad of [3, 4, 5, 8]) input[bad * one + 7] = NaN;
    await each([1, 2, 4], async (model) => {
      const output = new Float32Array(kMost * 10).fill(7);
      for (let round = 0; round < 10; round++) {
        await assert.rejects(model.run(input, { height, width, output }), { code: 'ERR_INVALID_ARGUMENT', message: /NaN in image 3 at row 0, column 2, channel 1/ });
      }
      assert.deepEqual(output, new Float32Array(kMost * 10).fill(7));
    });
  });

  it('is run in scratch of one image for each thread', async () => {
    await using model = await load({ weights: checkpoint, threads: 3 });
    const before = model.info.activationBytes;
    await model.run(noise(6 * 224 * 224 * 3, 1));
    const after = model.info.activationBytes;
    assert.ok(after > before && after <= 3 * before, `${before} ${after}`);
    await model.run(noise(6 * 224 * 224 * 3, 1));
    assert.equal(model.info.activationBytes, after);
  });
});

describe('calls that wait', () => {
  it('settle in their order with the bits of one by one, whatever each asks for', async () => {
    await each([1, 2, 3], async (model) => {
      const raw: RawPixels = { data: new Uint8Array(300).fill(90), width: 10, height: 10, channels: 'rgb' };
      const calls = (at: number): Promise<unknown>[] => [
        model.run(image(at), { height, width }),
        model.classify(raw),
        model.embed(raw),
        model.run(batch.subarray(0, 2 * one), { height, width }),
        model.features(image(at), { height, width }),
      ];
      const expected: unknown[] = [];
      for (let at = 0; at < kMost; at++) for (const call of calls(at)) expected.push(await call);
      // Those of a kind: what settles in one turn of the event loop is told by promises of different depth.
      const orders = new Map<number, number[]>();
      const pending = Array.from({ length: kMost }, (_, at) => calls(at)).flat();
      pending.forEach((call, i) => void call.then(() => orders.set(i % 5, [...(orders.get(i % 5) ?? []), i])));
      assert.deepEqual(await Promise.all(pending), expected);
      assert.equal(orders.size, 5);
      for (const order of orders.values()) assert.deepEqual(order, [...order].sort((a, b) => a - b));
    });
  });

  it('let a synchronous call go first', async () => {
    await using model = await load({ weights: checkpoint, threads: 2 });
    const expected = model.runSync(image(0), { height, width });
    let settled = 0;
    const pending = Array.from({ length: 60 }, () => model.run(new Float32Array(224 * 224 * 3)).then(() => settled++));
    assert.deepEqual(model.runSync(image(0), { height, width }), expected);
    await sleep(0);
    assert.ok(settled < 30, `${settled} of 60 had settled`);
    await Promise.all(pending);
  });

  it('are stopped one by one', async () => {
    await each([2, 4], async (model) => {
      const expected = model.runSync(image(0), { height, width });
      for (let round = 0; round < 5; round++) {
        const controllers = Array.from({ length: 24 }, () => new AbortController());
        const pending = Promise.allSettled(controllers.map(({ signal }) => model.run(image(0), { height, width, signal })));
        await sleep(round);
        for (let i = round % 3; i < 24; i += 3) controllers[i]?.abort(`stop ${i}`);
        (await pending).forEach((result, i) => {
          if (result.status === 'fulfilled') assert.deepEqual(result.value, expected);
          else assert.equal(result.reason, `stop ${i}`);
          assert.ok(result.status === 'fulfilled' || i % 3 === round % 3);
        });
      }
    });
  });

  it('end with the model', async () => {
    await each([2, 3], async (model) => {
      const pending = Promise.allSettled(Array.from({ length: 50 }, () => model.run(new Float32Array(224 * 224 * 3))));
      await sleep(12);
      await model.close();
      const results = await pending;
      for (const result of results) if (result.status === 'rejected') assert.equal(result.reason.code, 'ERR_CLOSED');
      assert.equal(results.at(-1)?.status, 'rejected');
    });
  });
});

describe('a list of images', () => {
  /** Files, encoded bytes and raw pixels, all made anew. */
  async function mixed(): Promise<{ readonly list: ImageSource[]; readonly memory: readonly Uint8Array[] }> {
    const list: ImageSource[] = [];
    const memory: Uint8Array[] = [];
    for (let i = 0; i < 12; i++) {
      const path = images[i % 2] ?? '';
      const own = i % 3 === 1 ? Uint8Array.from(readFileSync(path)) : i % 3 === 2 ? Uint8Array.from((await decodeImage(path)).data) : undefined;
      if (own !== undefined) memory.push(own);
      if (i % 3 === 2) {
        const { width, height, channels } = await decodeImage(path);
        list.push({ data: own ?? new Uint8Array(), width, height, channels });
      } else list.push(own ?? path);
    }
    return { list, memory };
  }

  it('gives what each gives alone, in their order', async () => {
    await each([1, 2, 4], async (model) => {
      const { list } = await mixed();
      const expected = [];
      for (const source of list) expected.push(await model.classify(source));
      assert.deepEqual(await model.classify(list), expected);
    });
  });

  for (const [what, change] of [
    ['overwritten', (bytes: Uint8Array) => bytes.fill(1)],
    ['transferred', takeAway],
  ] as const) {
    it(`may be ${what} as soon as the call returns, with all that it holds`, async () => {
      await using model = await load({ weights: checkpoint, threads: 2 });
      const { list, memory } = await mixed();
      const expected = await model.classify(list);
      assert.equal(memory.length, 8);
      const pending = model.classify(list);
      for (const bytes of memory) change(bytes);
      list.length = 0;
      assert.deepEqual(await pending, expected);
    });
  }

  it('ends at the first that fails, which it names', async () => {
    await using model = await load({ weights: checkpoint, threads: 2 });
    const short = { data: new Uint8Array(5), width: 10, height: 10, channels: 'rgb' } as const;
    for (const at of [0, 2, 7]) {
      const { list } = await mixed();
      list[at] = short;
      await assert.rejects(model.classify(list), { code: 'ERR_INVALID_ARGUMENT', message: new RegExp(`^images\\[${at}\\]: Expected 300 bytes`) });
    }
    assert.equal((await model.classify(images)).length, 2);
  });
});
