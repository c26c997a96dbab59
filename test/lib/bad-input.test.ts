// SPDX-License-Identifier: Apache-2.0
// Input that found a gap once: values that only look like what they claim to be, lists with holes,
// files that are none. Each must be an EfficientNetError whose message names what was found, and the
// model must stay usable. The plain cases are tested with the parts that they belong to.

import { strict as assert } from 'node:assert';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, openSync, closeSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';

import { buildNetwork, convert, describe as describeNetwork, EfficientNet, EfficientNetError, fitBudget, load, scale, searchCoefficients, type LoadOptions, type Model } from '../../lib/index.js';
import { noise, syntheticCheckpoint } from './helpers/synthetic.js';

const numbers = 224 * 224 * 3;
const checkpoint = syntheticCheckpoint();
const pixel = { data: new Uint8Array(3), width: 1, height: 1, channels: 'rgb' } as const;
const isWindows = process.platform === 'win32';

/** Passes a value of any type where the compiler would refuse it. */
const wrong = (value: unknown): never => value as never;

/** That a call fails as every call must: with the class, the code and the message. */
async function fails(call: () => unknown, code: string, message: RegExp): Promise<void> {
  await assert.rejects(
    async () => call(),
    (error: unknown) => {
      assert.ok(error instanceof EfficientNetError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    },
  );
}

describe('bad input to a model', () => {
  let model: Model;
  let expected: Float32Array;
  const input = noise(numbers, 5);
  before(async () => {
    model = await load({ weights: checkpoint, threads: 2 });
    expected = model.runSync(input);
  });
  after(() => model.close());
  afterEach(() => assert.deepEqual(model.runSync(input), expected));

  it('refuses what only inherits from Float32Array', async () => {
    for (const fake of [Object.create(Float32Array.prototype), new Proxy(input, {})] as unknown[]) {
      await fails(() => model.run(wrong(fake)), 'ERR_INVALID_ARGUMENT', /Expected a Float32Array for input/);
      await fails(() => model.runSync(wrong(fake)), 'ERR_INVALID_ARGUMENT', /Expected a Float32Array for input/);
      await fails(() => model.run(input, { output: wrong(fake) }), 'ERR_INVALID_ARGUMENT', /Expected a Float32Array of 10/);
    }
  });

  it('takes arrays of another realm', async () => {
    const foreign = runInNewContext('Float32Array.from(values)', { values: input }) as Float32Array;
    assert.ok(!(foreign instanceof Float32Array));
    assert.deepEqual(await model.run(foreign), expected);
    const bytes = runInNewContext('Uint8Array.from(values)', { values: checkpoint }) as Uint8Array;
    await using other = await load({ weights: bytes, threads: 1 });
    assert.deepEqual(other.runSync(input), expected);
  });

  it('says how long a wrong output or tensor is', async () => {
    await fails(() => model.run(input, { output: new Float32Array(9) }), 'ERR_INVALID_ARGUMENT', /for output but received one of 9 numbers$/);
    await fails(() => model.embed(new Float32Array(2 * numbers)), 'ERR_INVALID_ARGUMENT', /one image of 224 x 224 x 3\) but received 301056$/);
    await fails(() => model.embedSync(new Float32Array(3)), 'ERR_INVALID_ARGUMENT', /one image of 224 x 224 x 3\) but received 3$/);
  });

  it('classifies the list as it was when the call began', async () => {
    const list = Array.from({ length: 8 }, () => pixel);
    const pending = model.classify(list, { top: 1 });
    list.length = 1;
    const results = await pending;
    assert.deepEqual(results, Array.from({ length: 8 }, () => model.classifySync(pixel, { top: 1 })));
  });

  it('refuses even an empty list once closed or aborted', async () => {
    assert.deepEqual(await model.classify([]), []);
    await assert.rejects(model.classify([], { signal: AbortSignal.abort('stop') }), (reason) => reason === 'stop');
    const closed = await load({ weights: checkpoint, threads: 1 });
    await closed.close();
    await fails(() => closed.classify([]), 'ERR_CLOSED', /load it again/);
  });

  it('takes memory that was transferred away for an empty file', async () => {
    const gone = (): ArrayBuffer => {
      const buffer = new ArrayBuffer(8);
      structuredClone(buffer, { transfer: [buffer] });
      return buffer;
    };
    const array = (): Uint8Array => {
      const view = new Uint8Array(8);
      structuredClone(view.buffer, { transfer: [view.buffer] });
      return view;
    };
    for (const image of [gone, array]) {
      await fails(() => model.classify(image()), 'ERR_INVALID_IMAGE', /./);
      await fails(() => model.classify([image()]), 'ERR_INVALID_IMAGE', /^images\[0\]/);
      await fails(() => model.embed(image()), 'ERR_INVALID_IMAGE', /./);
      await fails(() => load({ weights: image() }), 'ERR_INVALID_CHECKPOINT', /./);
    }
    const clamped = new Uint8ClampedArray(8);
    structuredClone(clamped.buffer, { transfer: [clamped.buffer] });
    for (const data of [gone(), clamped]) {
      await fails(() => model.classifySync({ data: wrong(data), width: 1, height: 1, channels: 'rgb' }), 'ERR_INVALID_ARGUMENT', /./);
    }
  });

  it('rejects an aborted list with the very reason', async () => {
    const reason = new EfficientNetError('ERR_TIMEOUT', 'too long');
    const controller = new AbortController();
    const call = model.classify([pixel, pixel, pixel], { signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(call, (error) => error === reason);
  });

  it('names a bigint without writing out millions of digits', async () => {
    await fails(() => model.classify(pixel, { top: wrong(10n ** 10_000n) }), 'ERR_INVALID_ARGUMENT', /received a bigint of more than 64 bits$/);
  });
});

describe('bad options of load', () => {
  const refused = (options: unknown, message: RegExp): Promise<void> =>
    fails(() => load({ weights: checkpoint, threads: 1, ...(options as LoadOptions) }), 'ERR_INVALID_ARGUMENT', message);

  it('lists with holes', async () => {
    await refused({ labels: new Array(10) }, /Expected a string for labels\[0\] but received undefined/);
    await refused({ labels: Array(10).fill('a').with(3, 4) }, /labels\[3\]/);
    await refused({ recipe: { mean: new Array(3) } }, /Expected a finite number for recipe\.mean\[0\]/);
    await refused({ recipe: { std: new Array(3) } }, /Expected a finite number for recipe\.std\[0\]/);
  });

  it('a recipe that makes infinities of pixels', async () => {
    await refused({ recipe: { std: [1, 1, 1e-44] } }, /finite numbers \(mean\[2\] is 0\.406\) for recipe but received 1e-44/);
    await refused({ recipe: { mean: [3e38, 0, 0], std: [1e-30, 1, 1] } }, /mean\[0\] is 3e\+38/);
  });

  it('weights by an address of another kind', async () => {
    await refused({ weights: 'data:application/octet-stream;base64,AAAA' }, /http or https address.*"data:\.\.\."/);
    await refused({ weights: new URL('ftp://user:secret@example.org/b0.pth') }, /"ftp:\.\.\."/);
    await refused({ weights: 'hf-hub:no-owner' }, /owner\/name@revision/);
  });

  it('a getter is asked once', async () => {
    let asked = 0;
    const options = { weights: checkpoint, get threads() { return ++asked; } };
    await using model = await load(options);
    assert.equal(asked, 1);
    assert.equal(model.info.threads, 1);
  });
});

describe('a revoked Proxy', () => {
  const revoked = (target: object): never => {
    const { proxy, revoke } = Proxy.revocable(target, {});
    revoke();
    return wrong(proxy);
  };
  const dead = revoked({});
  const path = join(tmpdir(), 'efficientnet-simd-never.onnx');

  it('in place of any argument or option is named as one', async () => {
    const options: readonly (keyof LoadOptions)[] = [
      'architecture', 'weights', 'file', 'integrity', 'externalData', 'recipe', 'labels', 'padding', 'batchNormEpsilon', 'keras', 'signal',
      'onProgress', 'offline', 'update', 'threads', 'isa',
    ];
    const model = await load({ weights: checkpoint, threads: 1 });
    const image = { data: new Uint8Array(3), width: 1, height: 1, channels: 'rgb' } as const;
    const calls: readonly (() => unknown)[] = [
      () => load(dead), () => load('b0', dead), () => load(revoked([])), () => load(revoked(() => undefined)),
      ...options.map((name) => () => load({ weights: checkpoint, [name]: dead })),
      ...options.map((name) => () => load({ weights: checkpoint, get [name]() { return dead; } })),
      () => load({ weights: checkpoint, externalData: { a: dead } }), () => load({ weights: checkpoint, labels: [dead] }),
      () => load({ weights: checkpoint, recipe: { mean: dead } }), () => load({ weights: checkpoint, recipe: { std: [1, dead, 1] } }),
      () => convert(dead, path), () => convert(checkpoint, dead), () => convert(checkpoint, path, dead),
      ...options.filter((name) => name !== 'weights' && name !== 'threads' && name !== 'isa').map((name) => () => convert(checkpoint, path, { [name]: dead })),
      () => convert(checkpoint, path, { format: dead }), () => convert(checkpoint, path, { height: dead }),
      () => model.classify(dead), () => model.classify([dead]), () => model.classify(revoked([])), () => model.classify(image, dead),
      () => model.classify(image, { signal: dead }), () => model.classify({ ...image, data: dead }), () => model.classifySync(dead),
      () => model.run(dead), () => model.run(input, dead), () => model.run(input, { output: dead }), () => model.runSync(dead),
      () => model.embed(dead), () => model.embedSync(dead), () => model.features(dead), () => model.featuresSync(dead),
      () => buildNetwork(dead), () => buildNetwork('b0', dead), () => describeNetwork(dead), () => describeNetwork({ ...buildNetwork('b0'), blocks: dead }),
      () => describeNetwork({ ...buildNetwork('b0'), head: dead }), () => scale(dead), () => scale(1, dead), () => scale(1, { base: dead }),
      () => fitBudget(dead), () => fitBudget({ macs: 1e9, signal: dead }), () => fitBudget({ macs: 1e9, family: dead }),
      () => searchCoefficients(dead), () => searchCoefficients({ grid: dead, evaluate: () => 1 }), () => searchCoefficients({ grid: { alpha: dead, beta: [1], gamma: [1] }, evaluate: () => 1 }),
    ];
    for (const call of calls) {
      await assert.rejects(async () => call(), (error: unknown) => {
        assert.ok(error instanceof EfficientNetError, `${String(call)}: ${String(error)}`);
        assert.equal(error.code, 'ERR_INVALID_ARGUMENT', error.message);
        assert.match(error.message, /received (a revoked Proxy|a function|an object$)/, String(call));
        return true;
      });
    }
    assert.ok(calls.length > 85, String(calls.length));
    assert.ok(!existsSync(path));
    await model.close();
  });

  const input = noise(numbers, 5);
});

describe('bad input to the rest of the surface', () => {
  it('the class cannot be made by hand, and describe wants a network', async () => {
    await fails(() => new EfficientNet(wrong(undefined)), 'ERR_INVALID_ARGUMENT', /load\(\)/);
    await fails(() => new EfficientNet(wrong({})), 'ERR_INVALID_ARGUMENT', /load\(\)/);
    for (const network of [undefined, null, 5, {}]) {
      await fails(() => describeNetwork(wrong(network)), 'ERR_INVALID_ARGUMENT', /buildNetwork/);
    }
    assert.equal(describeNetwork(buildNetwork('b0')).name, 'b0');
  });
});

describe('the command line and what is no file', () => {
  const program = join(__dirname, '..', '..', '..', 'bin', 'efficientnet-simd.js');
  const run = (args: readonly string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [program, 'run', '--json', ...args], { encoding: 'utf8', timeout: 15_000 });

  let folder: string;
  let weights: string;
  let input: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'effnet-bad-'));
    weights = join(folder, 'b0.safetensors');
    input = join(folder, 'in.f32');
    writeFileSync(weights, checkpoint);
    writeFileSync(input, new Uint8Array(4 * numbers));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const refuses = (args: readonly string[], message: RegExp): void => {
    const { status, stdout, stderr } = run(args);
    assert.deepEqual({ status, stdout }, { status: 1, stdout: '' });
    assert.match(stderr, message);
  };
  const into = (output: string): string[] => ['--weights', weights, '--input', input, '--output', output];

  it('never puts a file in the place of a pipe, a directory or a link', function () {
    if (isWindows) return this.skip();
    const pipe = join(folder, 'pipe');
    const dangling = join(folder, 'dangling');
    execFileSync('mkfifo', [pipe]);
    symlinkSync('nothing', dangling);
    refuses(into(pipe), /it is a pipe or a device; name a file/);
    refuses(into(folder), /it is a directory/);
    refuses(into(dangling), /it is a link to nothing/);
    refuses(into(join(folder, 'none', 'out.f32')), /its folder does not exist/);
    assert.ok(lstatSync(pipe).isFIFO());
    assert.ok(lstatSync(dangling).isSymbolicLink());
    refuses(['--weights', weights, '--input', pipe, '--output', join(folder, 'o')], /it is a pipe or a device/);
    refuses(['--weights', weights, '--input', folder, '--output', join(folder, 'o')], /it is a directory/);
    assert.deepEqual(readdirSync(folder).filter((name) => name.endsWith('.tmp')), []);
  }).timeout(60_000);

  it('writes through a link', function () {
    if (isWindows) return this.skip();
    const target = join(folder, 'target.f32');
    const link = join(folder, 'link.f32');
    writeFileSync(target, 'old');
    symlinkSync(target, link);
    const { status, stderr } = run(into(link));
    assert.equal(status, 0, stderr);
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.equal(readFileSync(target).length, 40);
  });

  it('says so where standard output is full', function () {
    if (!existsSync('/dev/full')) return this.skip();
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [program, 'info', '--json'], { stdio: ['ignore', full, 'pipe'], encoding: 'utf8' });
    closeSync(full);
    assert.equal(status, 1);
    assert.equal(stderr, 'efficientnet-simd: The output cannot be written (ENOSPC)\n');
  });
});
