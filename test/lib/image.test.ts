// SPDX-License-Identifier: Apache-2.0
// Decoding against Pillow (test/golden/image-files.json, see make_image_files.py), raw pixels, and
// every kind of input that is no image.

import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { EfficientNetError, type ErrorCode } from '../../lib/errors.js';
import { decodeImage, maxImageSide, rawPixels, type DecodedImage, type ImageSource } from '../../lib/image.js';

const root = join(__dirname, '..', '..', '..');
const chelsea = join(root, 'test', 'images', 'chelsea.png');

interface GoldenFile {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly tolerance: number;
  readonly file: string;
  readonly rgb: string;
}
const golden = JSON.parse(readFileSync(join(root, 'test', 'golden', 'image-files.json'), 'utf8')) as readonly GoldenFile[];

function fileOf(name: string): Buffer {
  const found = golden.find((one) => one.name === name);
  assert.ok(found, name);
  return Buffer.from(found.file, 'base64');
}

function rgbOf(image: DecodedImage): Uint8Array {
  assert.equal(image.stride, image.width * (image.channels === 'gray' ? 1 : 3));
  if (image.channels === 'rgb') return image.data;
  assert.equal(image.channels, 'gray');
  return Uint8Array.from({ length: 3 * image.data.length }, (_, i) => image.data[Math.floor(i / 3)] ?? 0);
}

/** Anything at all as an image, as JavaScript callers can pass it. */
const anything = (value: unknown): ImageSource => value as ImageSource;

function isError(code: ErrorCode, message: RegExp) {
  return (error: unknown): true => {
    assert.ok(error instanceof EfficientNetError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

describe('decoding', () => {
  for (const { name, width, height, tolerance, file, rgb } of golden) {
    it(`${name} gives ${tolerance === 0 ? 'the bytes of Pillow' : `Pillow's bytes within ${tolerance}`}`, async () => {
      const image = await decodeImage(Buffer.from(file, 'base64'));
      assert.deepEqual([image.width, image.height], [width, height]);
      const found = rgbOf(image);
      const expected = Buffer.from(rgb, 'base64');
      assert.equal(found.length, expected.length);
      const worst = expected.reduce((most, byte, i) => Math.max(most, Math.abs(byte - (found[i] ?? 999))), 0);
      assert.ok(worst <= tolerance, `differs by ${worst}`);
    });
  }

  it('takes paths, file URLs and every kind of bytes', async () => {
    const bytes = readFileSync(chelsea);
    const expected = await decodeImage(chelsea);
    assert.deepEqual([expected.width, expected.height, expected.channels], [451, 300, 'rgb']);
    const inside = new Uint8Array(bytes.length + 20);
    inside.set(bytes, 7);
    const alone = Uint8Array.from(bytes).buffer;
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    const sources = [pathToFileURL(chelsea), pathToFileURL(chelsea).href, bytes, inside.subarray(7, 7 + bytes.length), alone, shared];
    for (const source of sources) assert.deepEqual(await decodeImage(source), expected);
  });

  it('copies encoded bytes before it returns', async () => {
    const bytes = Uint8Array.from(fileOf('rgb.png'));
    const pending = decodeImage(bytes);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    assert.equal(bytes.length, 0);
    assert.deepEqual(await pending, await decodeImage(fileOf('rgb.png')));
  });

  it('stops for a signal', async () => {
    const gone = AbortSignal.abort(new Error('not wanted'));
    await assert.rejects(decodeImage(chelsea, { signal: gone }), /not wanted/);
    await assert.rejects(decodeImage({ data: new Uint8Array(3), width: 1, height: 1, channels: 'rgb' }, { signal: gone }), /not wanted/);
    const controller = new AbortController();
    const pending = decodeImage(chelsea, { signal: controller.signal });
    setImmediate(() => controller.abort());
    await assert.rejects(pending, { name: 'AbortError' });
    const unused = new AbortController();
    assert.equal((await decodeImage(chelsea, { signal: unused.signal })).width, 451);
    unused.abort();
  });
});

describe('what is no image', () => {
  let folder = '';
  before(() => (folder = mkdtempSync(join(tmpdir(), 'efficientnet-image-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  const rejects = (source: unknown, code: ErrorCode, message: RegExp, options?: { limitPixels?: number }): Promise<void> =>
    assert.rejects(decodeImage(anything(source), options), isError(code, message));

  it('is an error where there is no such file', async () => {
    const empty = join(folder, 'empty.png');
    writeFileSync(empty, '');
    await rejects(join(folder, 'none.png'), 'ERR_FILE', /none\.png but there is none/);
    await rejects(join(chelsea, 'none.png'), 'ERR_FILE', /there is none/);
    await rejects(pathToFileURL(join(folder, 'none.png')), 'ERR_FILE', /there is none/);
    await rejects(folder, 'ERR_FILE', /it is a directory/);
    if (process.platform !== 'win32') {
      const pipe = join(folder, 'pipe');
      execFileSync('mkfifo', [pipe]);
      await rejects(pipe, 'ERR_FILE', /not a regular file/);
    }
    await rejects('a\0b', 'ERR_FILE', /could not be read/);
    await rejects(empty, 'ERR_INVALID_IMAGE', /empty\.png but received 0 bytes/);
  });

  it('is an error for other types and URLs', async () => {
    for (const value of [undefined, null, 5, true, '', [], {}, () => 0, new Float32Array(12), new Date()]) {
      await rejects(value, 'ERR_INVALID_ARGUMENT', /^Expected a path, a file: URL, .* for image but received/);
    }
    for (const url of ['https://example.org/a.png', new URL('http://example.org/a.png'), 'data:image/png;base64,AAAA']) {
      await rejects(url, 'ERR_INVALID_ARGUMENT', /fetch it first and pass its bytes/);
    }
    await rejects('file://elsewhere/a%2fb.png', 'ERR_INVALID_ARGUMENT', /file: URL of a local file/);
  });

  it('is an error for bytes that are none, and for cut and broken files', async () => {
    await rejects(new Uint8Array(0), 'ERR_INVALID_IMAGE', /the given bytes but received 0 bytes/);
    await rejects(Buffer.from('just a text, and no image'), 'ERR_INVALID_IMAGE', /cannot be decoded: .*unsupported image format/);
    await rejects(new Uint8Array(100_000), 'ERR_INVALID_IMAGE', /cannot be decoded/);
    for (const name of ['rgb.png', 'rgb.jpg', 'progressive.jpg', 'lossy.webp', 'plain.gif', 'rgb.tif', 'colour.avif']) {
      const whole = fileOf(name);
      for (const share of [0.3, 0.6, 0.9]) {
        const cut = whole.subarray(0, Math.floor(whole.length * share));
        await rejects(cut, 'ERR_INVALID_IMAGE', /Expected a whole image file in the given bytes/);
      }
    }
    const file = join(folder, 'cut.png');
    copyFileSync(chelsea, file);
    truncateSync(file, 100_000);
    await rejects(file, 'ERR_INVALID_IMAGE', /cut\.png but it cannot be decoded/);
  });

  it('reads on after warnings, as Pillow does', async () => {
    const whole = fileOf('rgb.jpg');
    const image = await decodeImage(Buffer.concat([whole, Buffer.alloc(100, 7)]));
    assert.deepEqual(image, await decodeImage(whole));
  });

  it('is an error for images over the limits', async () => {
    const withSize = (width: number, height: number): Buffer => {
      const file = fileOf('rgb.png');
      file.writeUInt32BE(width, 16);
      file.writeUInt32BE(height, 20);
      return file;
    };
    const bomb = /at most 268402689 pixels, .* but its header says 20000 x 20000/;
    await rejects(withSize(20_000, 20_000), 'ERR_INVALID_IMAGE', bomb);
    await rejects(withSize(2 ** 31 - 1, 2 ** 31 - 1), 'ERR_INVALID_IMAGE', /./);
    await rejects(withSize(2 * maxImageSide, 1), 'ERR_INVALID_IMAGE', /1048576 on a side/);
    await rejects(chelsea, 'ERR_INVALID_IMAGE', /at most 135299 pixels.*451 x 300/, { limitPixels: 451 * 300 - 1 });
    assert.equal((await decodeImage(chelsea, { limitPixels: 451 * 300 })).height, 300);
  });

  it('is an error for vector formats and unknown options', async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="5" height="5"/></svg>';
    await rejects(Buffer.from(svg), 'ERR_UNSUPPORTED', /received svg; render it to PNG/);
    for (const limitPixels of [0, -1, 1.5, NaN]) await rejects(chelsea, 'ERR_INVALID_ARGUMENT', /limitPixels/, { limitPixels });
    await assert.rejects(decodeImage(chelsea, anything({ limit: 5 }) as object), isError('ERR_INVALID_ARGUMENT', /Unknown option 'limit'/));
    await assert.rejects(decodeImage(chelsea, anything({ signal: {} }) as object), isError('ERR_INVALID_ARGUMENT', /AbortSignal/));
  });

  it('names sharp where it is not installed, and takes raw pixels without it', () => {
    // A copy of the compiled module where no sharp can be found.
    const copy = join(folder, 'without-sharp');
    mkdirSync(copy);
    for (const name of ['image.js', 'check.js', 'errors.js']) copyFileSync(join(root, 'dist', 'lib', name), join(copy, name));
    const script = `
      const { decodeImage, rawPixels } = require('./image.js');
      const raw = { data: new Uint8Array(4), width: 1, height: 1, channels: 'bgra' };
      (async () => {
        const width = (await decodeImage(raw)).width + rawPixels(raw).width;
        const error = await decodeImage(process.argv[1]).catch((error) => error);
        console.log(JSON.stringify({ width, code: error.code, message: error.message }));
      })();`;
    const env = { ...process.env, NODE_PATH: '' };
    const output = execFileSync(process.execPath, ['-e', script, chelsea], { cwd: copy, env, encoding: 'utf8' });
    const { width, code, message } = JSON.parse(output) as { width: number; code: string; message: string };
    assert.deepEqual({ width, code }, { width: 2, code: 'ERR_MISSING_DEPENDENCY' });
    assert.match(message, /npm install sharp.*raw pixels/);
  });
});

describe('raw pixels', () => {
  const good = { data: new Uint8Array(24), width: 4, height: 2, channels: 'rgb' } as const;

  it('are passed on without a copy', async () => {
    assert.deepEqual(rawPixels(good), { ...good, stride: 12 });
    assert.equal(rawPixels(good)?.data.buffer, good.data.buffer);
    assert.equal((await decodeImage(good)).data.buffer, good.data.buffer);
    const clamped = new Uint8ClampedArray(40).subarray(3, 3 + 32);
    const view = rawPixels({ data: clamped, width: 4, height: 2, channels: 'rgba' });
    assert.deepEqual([view?.data.byteOffset, view?.data.length, view?.data.buffer === clamped.buffer], [3, 32, true]);
    assert.equal(rawPixels({ data: new ArrayBuffer(8), width: 4, height: 2, channels: 'gray' })?.stride, 4);
    for (const length of [29, 34]) {
      const padded = rawPixels({ data: new Uint8Array(length), width: 4, height: 2, channels: 'rgb', stride: 17 });
      assert.equal(padded?.stride, 17);
    }
  });

  it('are not what files and bytes are', () => {
    for (const value of [chelsea, new Uint8Array(5), new ArrayBuffer(5), new URL('file:///a'), null, undefined, 7, {}]) {
      assert.equal(rawPixels(value), undefined);
    }
  });

  const wrong: readonly (readonly [string, object, RegExp])[] = [
    ['width 0', { width: 0 }, /from 1 to 1048576 for image\.width but received 0/],
    ['a fractional height', { height: 1.5 }, /image\.height but received 1\.5/],
    ['a negative height', { height: -2 }, /image\.height/],
    ['a width over the limit', { width: maxImageSide + 1 }, /image\.width/],
    ['NaN', { width: NaN }, /image\.width but received NaN/],
    ['a string', { height: '2' }, /image\.height but received the string/],
    ['no channels', { channels: undefined }, /'rgb', 'rgba', 'bgra', 'gray' for image\.channels/],
    ['a number of channels', { channels: 3 }, /image\.channels but received 3/],
    ['a slip', { channels: 'grey' }, /Did you mean 'gray'/],
    ['a short stride', { stride: 11 }, /at least 12|from 12 to/],
    ['a long stride', { stride: 2 ** 31 }, /image\.stride/],
    ['an unknown key', { strides: 12 }, /Unknown option 'strides' in image\. Did you mean 'stride'/],
    ['no data', { data: undefined }, /Uint8Array.* for image\.data but received undefined/],
    ['floats', { data: new Float32Array(24) }, /8-bit pixels for image\.data but received a Float32Array of 96 bytes/],
    ['an array', { data: [1, 2, 3] }, /image\.data but received an array of length 3/],
    ['one byte too few', { data: new Uint8Array(23) }, /Expected 24 bytes in image\.data for 4 x 2 pixels of rgb .* received 23/],
    ['one byte too many', { data: new Uint8Array(25) }, /received 25/],
    ['rgb called rgba', { channels: 'rgba' }, /Expected 32 bytes/],
    ['too few for the stride', { stride: 13 }, /Expected 25 to 26 bytes/],
    ['no bytes', { data: new Uint8Array(0) }, /received 0 \(empty, or its memory was transferred elsewhere\)/],
  ];
  for (const [what, change, message] of wrong) {
    it(`with ${what} are an error`, async () => {
      const image = anything({ ...good, ...change });
      assert.throws(() => rawPixels(image), isError('ERR_INVALID_ARGUMENT', message));
      await assert.rejects(decodeImage(image), isError('ERR_INVALID_ARGUMENT', message));
    });
  }

  it('whose memory was transferred are an error', () => {
    const data = new Uint8Array(24);
    structuredClone(data.buffer, { transfer: [data.buffer] });
    assert.throws(() => rawPixels({ ...good, data }), isError('ERR_INVALID_ARGUMENT', /transferred elsewhere/));
  });
});
