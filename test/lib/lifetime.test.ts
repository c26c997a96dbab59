// SPDX-License-Identifier: Apache-2.0
// Who may end when: inputs and outputs taken away during a run, calls aborted, models closed, workers
// terminated and processes exiting in the middle of an inference. Nothing crashes, hangs or is lost.
// Speed is not tested; where "at once" matters, the work interrupted takes seconds.
// Runs alone: it measures how soon workers end.

import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';

import { load, type Model } from '../../lib/index.js';
import { noise, resizable, syntheticCheckpoint, takeAway } from './helpers/synthetic.js';

const numbers = 224 * 224 * 3;
const checkpoint = syntheticCheckpoint();
const input = noise(numbers, 11);

/** `count` copies of the input. */
function batchOf(count: number): Float32Array {
  const batch = new Float32Array(count * numbers);
  for (let i = 0; i < count; i++) batch.set(input, i * numbers);
  return batch;
}

describe('during a run', () => {
  let model: Model;
  let expected: Float32Array;
  before(async () => {
    model = await load({ weights: checkpoint, threads: 2 });
    expected = model.runSync(input);
  });
  after(() => model.close());
  afterEach(() => assert.deepEqual(model.runSync(input), expected));

  it('the input may be overwritten, transferred or shrunk', async () => {
    const overwritten = input.slice();
    const transferred = input.slice();
    const shrinking = resizable(input);
    const pending = [model.run(overwritten), model.run(transferred), model.run(shrinking.array), model.embed(shrinking.array)];
    const embedding = model.embedSync(input);
    overwritten.fill(NaN);
    takeAway(transferred);
    shrinking.shrink();
    const [first, second, third, fourth] = await Promise.all(pending);
    for (const logits of [first, second, third]) assert.deepEqual(logits, expected);
    assert.deepEqual(fourth, embedding);
    await assert.rejects(model.run(transferred), { code: 'ERR_INVALID_ARGUMENT', message: /received 0/ });
  });

  it('raw pixels may be transferred', async () => {
    const data = Uint8Array.from(noise(100 * 80 * 3, 4), (value) => 128 + 127 * value);
    const image = { data, width: 100, height: 80, channels: 'rgb' } as const;
    const wanted = model.classifySync(image, { top: 10 });
    const pending = model.classify(image, { top: 10 });
    takeAway(data);
    assert.deepEqual(await pending, wanted);
    await assert.rejects(model.classify(image), { code: 'ERR_INVALID_ARGUMENT' });
    assert.throws(() => model.classifySync(image), { code: 'ERR_INVALID_ARGUMENT' });
  });

  it('the bytes of a checkpoint may be transferred as soon as load returns', async () => {
    const bytes = checkpoint.slice();
    const pending = load({ weights: bytes, threads: 1 });
    takeAway(bytes);
    await using other = await pending;
    assert.deepEqual(other.runSync(input), expected);
  });

  it('an output that is transferred or shrunk is an error, and is not written', async () => {
    const transferred = new Float32Array(10);
    const shrinking = resizable(new Float32Array(10));
    const pending = [model.run(input, { output: transferred }), model.run(input, { output: shrinking.array })];
    takeAway(transferred);
    shrinking.shrink();
    for (const result of await Promise.allSettled(pending)) {
      assert.equal(result.status, 'rejected');
      assert.equal(result.reason.code, 'ERR_INVALID_ARGUMENT');
      assert.match(result.reason.message, /transferred or resized/);
    }
  });

  it('the event loop turns', async () => {
    let turns = 0;
    let running = true;
    const pending = model.run(batchOf(8)).finally(() => (running = false));
    while (running) {
      await turn();
      turns++;
    }
    await pending;
    assert.ok(turns > 100, `${turns} turns`);
  });

  it('another model runs too', async () => {
    await using other = await load({ weights: syntheticCheckpoint('b0', 10, 77), threads: 2 });
    const others = other.runSync(input);
    const results = await Promise.all(Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? model : other).run(input)));
    results.forEach((logits, i) => assert.deepEqual(logits, i % 2 === 0 ? expected : others));
    assert.notDeepEqual(others, expected);
  });

  it('calls settle in their order, and a synchronous one goes before those that wait', async () => {
    const order: number[] = [];
    const batch = batchOf(4);
    const pending = Array.from({ length: 6 }, (_, i) => model.run(batch).then(() => order.push(i)));
    assert.deepEqual(model.runSync(input), expected);
    await turn();
    assert.ok(order.length <= 2, `${order.length} had settled`);
    await Promise.all(pending);
    assert.deepEqual(order, [0, 1, 2, 3, 4, 5]);
  });
});

describe('an abort signal', () => {
  let model: Model;
  before(async () => {
    model = await load({ weights: checkpoint, threads: 1 });
  });
  after(() => model.close());

  const image = { data: new Uint8Array(300), width: 10, height: 10, channels: 'rgb' } as const;

  it('that is aborted already rejects with its reason', async () => {
    const reason = new Error('mine');
    const signal = AbortSignal.abort(reason);
    const is = (error: unknown): boolean => error === reason;
    await assert.rejects(model.run(input, { signal }), is);
    await assert.rejects(model.classify(image, { signal }), is);
    await assert.rejects(model.classify([image], { signal }), is);
    await assert.rejects(model.embed(image, { signal }), is);
    await assert.rejects(load({ weights: checkpoint, signal }), is);
    assert.throws(() => model.runSync(input, { signal }), is);
    assert.throws(() => model.classifySync(image, { signal }), is);
    await assert.rejects(model.run(input, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  });

  it('stops the running call and those that wait, and nothing else', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const output = new Float32Array(640).fill(7);
    const running = model.run(batchOf(64), { signal, output });
    const waiting = model.run(input, { signal });
    const other = model.run(input);
    const settled = Promise.allSettled([running, waiting]);
    setTimeout(() => controller.abort('stop'), 15);
    for (const result of await settled) assert.deepEqual(result, { status: 'rejected', reason: 'stop' });
    assert.deepEqual(await other, model.runSync(input));
    assert.deepEqual(output, new Float32Array(640).fill(7));
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  it('that comes too late changes nothing', async () => {
    const controller = new AbortController();
    const logits = await model.run(input, { signal: controller.signal });
    controller.abort();
    assert.deepEqual(logits, model.runSync(input));
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
  });

  it('ends a load', async () => {
    const controller = new AbortController();
    const pending = load({ weights: checkpoint, signal: controller.signal });
    controller.abort('enough');
    await assert.rejects(pending, (error) => error === 'enough');
  });
});

describe('close()', () => {
  it('rejects what is pending at once, then every call, and may be repeated', async () => {
    const model = await load({ weights: checkpoint, threads: 1 });
    const info = model.info;
    const pending = [model.run(batchOf(64)), model.run(input), model.classify({ data: new Uint8Array(3), width: 1, height: 1, channels: 'rgb' })];
    const settled = Promise.allSettled(pending);
    const closing = model.close();
    for (const result of await settled) {
      assert.equal(result.status, 'rejected');
      assert.equal(result.reason.code, 'ERR_CLOSED');
    }
    await closing;
    await model.close();
    model[Symbol.dispose]();
    await model[Symbol.asyncDispose]();
    await assert.rejects(model.run(input), { code: 'ERR_CLOSED', message: /load it again/ });
    await assert.rejects(model.embed(input), { code: 'ERR_CLOSED' });
    await assert.rejects(model.classify('cat.jpg'), { code: 'ERR_CLOSED' });
    assert.throws(() => model.runSync(input), { code: 'ERR_CLOSED' });
    assert.throws(() => model.embedSync(input), { code: 'ERR_CLOSED' });
    assert.deepEqual({ ...model.info, activationBytes: 0 }, { ...info, activationBytes: 0 });
  });

  it('in the middle of a run stops it within a block', async () => {
    const model = await load({ weights: checkpoint, threads: 1, isa: 'scalar' });
    let closed = false;
    const run = model.run(batchOf(64)).catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 20));
    // Settles once the thread has ended; the whole batch would take seconds.
    await Promise.race([model.close().then(() => (closed = true)), new Promise((resolve) => setTimeout(resolve, 1500))]);
    assert.ok(closed);
    assert.equal((await run as { code?: string }).code, 'ERR_CLOSED');
  });

  it('happens at the end of a using block', async () => {
    let kept: Model;
    {
      using model = await load({ weights: checkpoint });
      kept = model;
      model.runSync(input);
    }
    assert.throws(() => kept.runSync(input), { code: 'ERR_CLOSED' });
  });
});

describe('a process', function () {
  this.timeout(120_000);

  interface Ending {
    readonly code: number | null;
    readonly signal: string | null;
    readonly output: readonly unknown[];
    readonly errors: string;
    /** Since its first line of output, or its start. */
    readonly milliseconds: number;
  }

  function runChild(scenario: string, flags: readonly string[] = []): Promise<Ending> {
    const child = spawn(process.execPath, [...flags, join(__dirname, 'helpers', 'lifetime-child.js'), scenario], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const started = performance.now();
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        const lines = output.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as unknown);
        resolve({ code, signal, output: lines, errors, milliseconds: performance.now() - started });
      });
    });
  }

  it('exits in the middle of a run with its own code', async () => {
    for (let i = 0; i < 4; i++) {
      const { code, signal, output, errors } = await runChild('exit');
      assert.deepEqual({ code, signal, output, errors }, { code: 7, signal: null, output: [], errors: '' });
    }
  });

  it('dies of an uncaught error in the middle of a run as any process does', async () => {
    const { code, signal, output, errors } = await runChild('throw');
    assert.deepEqual({ code, signal, output }, { code: 1, signal: null, output: [] });
    assert.match(errors, /thrown on purpose/);
  });

  it('waits for what is pending, and not for an idle model', async () => {
    const { code, output } = await runChild('wait');
    assert.deepEqual({ code, output }, { code: 0, output: [10] });
  });

  it('ends after a close that nobody waits for', async () => {
    const { code, output, errors } = await runChild('close');
    assert.equal(code, 0, errors);
    assert.deepEqual(output, ['failed EfficientNetError: The model was closed before this call finished']);
  });

  it('terminates workers in the middle of their runs', async () => {
    const { code, signal, output, errors } = await runChild('workers');
    assert.deepEqual({ code, signal, errors }, { code: 0, signal: null, errors: '' });
    const [seen] = output as readonly { readonly terminated: number; readonly slowest: number }[];
    assert.equal(seen?.terminated, 18);
    // Each had seconds of work queued.
    assert.ok(seen.slowest < 1500, `the slowest took ${seen.slowest} ms`);
  });

  it('has workers that exit in the middle of a run', async () => {
    const { code, output, errors } = await runChild('worker-exit');
    assert.deepEqual({ code, output, errors }, { code: 0, output: ['exited'], errors: '' });
  });

  it('loads the addon in one worker after the other', async () => {
    const { code, output, errors } = await runChild('worker-reload');
    assert.deepEqual({ code, output, errors }, { code: 0, output: [{ runs: 8, different: 1 }], errors: '' });
  });

  it('loses no thread to models that are dropped without close', async function () {
    if (process.platform !== 'linux') {
      process.stdout.write('      skipped: counting threads needs /proc\n');
      this.skip();
    }
    const { code, output, errors } = await runChild('collect', ['--expose-gc']);
    assert.equal(code, 0, errors);
    const [seen] = output as readonly { readonly before: number; readonly most: number; readonly after: number }[];
    assert.ok(seen !== undefined && seen.after <= seen.before, JSON.stringify(seen));
  });
});
