// SPDX-License-Identifier: Apache-2.0
// The way into all formats: told by content whatever the name, read once, and a typed error for
// everything that is no checkpoint or cannot be read. The formats have tests of their own.

import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { EfficientNetError, type ErrorCode } from '../../lib/errors.js';
import { detectFormat, parseCheckpoint, readCheckpoint } from '../../lib/formats/index.js';
import { writeSafetensors } from '../../lib/formats/safetensors.js';
import { cut, writeGraph } from './graph-writer.js';

const golden = join(__dirname, '..', '..', '..', 'test', 'golden');
const safetensors = writeSafetensors([{ name: 'a', type: 'f32', shape: [2], bytes: new Uint8Array(8) }]);
const torch = readFileSync(join(golden, 'small.pth'));

describe('readCheckpoint', () => {
  let folder = '';
  before(() => (folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  function write(name: string, bytes: Uint8Array | string): string {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return path;
  }

  async function assertFails(source: unknown, code: ErrorCode, message: RegExp): Promise<void> {
    await assert.rejects(readCheckpoint(source as string), (error: unknown) => {
      assert.ok(error instanceof EfficientNetError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      return true;
    });
  }

  it('goes by content, not by name', async () => {
    assert.equal((await readCheckpoint(write('a.pth', safetensors))).format, 'safetensors');
    assert.equal((await readCheckpoint(write('b.safetensors', torch))).format, 'torch');
    assert.equal((await readCheckpoint(pathToFileURL(write('c d', torch)))).format, 'torch');
    assert.equal((await readCheckpoint(torch)).format, 'torch');
  });

  it('reads a graph model with the shards beside it', async () => {
    const graph = writeGraph([{ out: 4, stride: 1, expand: true, add: true }]);
    const shards = cut(Buffer.concat(graph.data), 50);
    for (const [name, bytes] of shards) write(name, bytes);
    const path = write('model.json', JSON.stringify(graph.model([...shards.keys()])));
    const checkpoint = await readCheckpoint(path);
    assert.equal(checkpoint.format, 'tfjs-graph');
    assert.equal(checkpoint.tensors.size, 2 * (1 + 5 + 2));

    await assertFails(readFileSync(path), 'ERR_UNSUPPORTED', /weights are in other files; give the model\.json's path/);
    write('shard2.bin', Buffer.concat([shards.get('shard2.bin') ?? assert.fail(), Buffer.of(0)]));
    await assertFails(path, 'ERR_INVALID_CHECKPOINT', /shard shard2\.bin: Expected at most \d+ bytes but the file has \d+/);
    rmSync(join(folder, 'shard2.bin'));
    await assertFails(path, 'ERR_FILE', /model\.json: shard shard2\.bin: .*ENOENT/);
    mkdirSync(join(folder, 'shard2.bin'));
    await assertFails(path, 'ERR_FILE', /shard shard2\.bin: .*directory/);
  });

  it('says what cannot be read', async () => {
    await assertFails(join(folder, 'none'), 'ERR_FILE', /none: The file cannot be read: ENOENT/);
    await assertFails(folder, 'ERR_FILE', /this is a directory; name a file in it, such as model\.json/);
    await assertFails(join(write('file', 'x'), 'below'), 'ERR_FILE', /ENOTDIR/);
    await assertFails(join(folder, 'a\0b'), 'ERR_FILE', /null bytes/);
    await assertFails(new URL('file://elsewhere/x'), 'ERR_FILE', /names no file here/);
    for (const source of ['', 7, null, undefined, {}, new URL('https://localhost/x'), new ArrayBuffer(8)]) {
      await assertFails(source, 'ERR_INVALID_ARGUMENT', /Expected a path, a file URL or a Uint8Array/);
    }
  });

  it('neither waits for a pipe nor follows a link to itself', async function () {
    if (process.platform === 'win32') return this.skip();
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await assertFails(pipe, 'ERR_FILE', /Expected a regular file/);
    await assertFails('/dev/zero', 'ERR_FILE', /Expected a regular file/);
    symlinkSync(join(folder, 'loop'), join(folder, 'loop'));
    await assertFails(join(folder, 'loop'), 'ERR_FILE', /ELOOP/);
  });

  it('says what a file is that is no checkpoint', async () => {
    const cases: readonly (readonly [bytes: string, code: ErrorCode, message: RegExp])[] = [
      ['', 'ERR_INVALID_CHECKPOINT', /The file is empty/],
      ['x', 'ERR_INVALID_CHECKPOINT', /of no known format: expected safetensors/],
      ['PK', 'ERR_INVALID_CHECKPOINT', /of no known format/],
      ['PK\x03\x04', 'ERR_INVALID_CHECKPOINT', /truncated/],
      ['\x89HDF\r\n\x1a\n', 'ERR_INVALID_CHECKPOINT', /truncated or damaged/],
      ['\x1f\x8b\x08', 'ERR_UNSUPPORTED', /gzip/],
      ['7z\xbc\xaf\x27\x1c', 'ERR_UNSUPPORTED', /7z/],
      ['\x80\x04N.', 'ERR_UNSUPPORTED', /bare pickle/],
      ['\x1c\0\0\0TFL3', 'ERR_INVALID_CHECKPOINT', /truncated: expected 4 more bytes/],
      ['version https://git-lfs.github.com/spec/v1\n', 'ERR_INVALID_CHECKPOINT', /git lfs pull/],
      ['\n<!DOCTYPE html>', 'ERR_INVALID_CHECKPOINT', /web page/],
      ['{"a":1}', 'ERR_INVALID_CHECKPOINT', /model\.json of a TensorFlow\.js model/],
      ['\0'.repeat(600), 'ERR_INVALID_CHECKPOINT', /of no known format/],
    ];
    for (const [text, code, message] of cases) {
      await assertFails(write('case', Buffer.from(text, 'latin1')), code, message);
    }
    assert.equal(cases.length, 13);
  });

  it('does not read a large file to find that it is none', async function () {
    const path = write('sparse', 'x');
    try {
      execFileSync('truncate', ['--size=1T', path]);
    } catch {
      console.log('      skipped: this file system has no sparse files of 1 TB');
      return this.skip();
    }
    await assertFails(path, 'ERR_INVALID_CHECKPOINT', /of no known format/);
  });
});

describe('parseCheckpoint', () => {
  it('copies memory that can change under it, and no other', () => {
    const bytesIn = (buffer: ArrayBufferLike): Uint8Array => {
      const bytes = new Uint8Array(buffer);
      bytes.set(safetensors);
      return bytes;
    };
    const size = safetensors.length;
    const plain = bytesIn(new ArrayBuffer(size));
    assert.equal(parseCheckpoint(plain).tensors.get('a')?.bytes.buffer, plain.buffer);
    const shared = bytesIn(new SharedArrayBuffer(size));
    assert.ok(parseCheckpoint(shared).tensors.get('a')?.bytes.buffer instanceof ArrayBuffer);
    // Not in the types of the language level that this is compiled for.
    const Resizable = ArrayBuffer as unknown as new (length: number, options: { maxByteLength: number }) => ArrayBuffer;
    const resizable = bytesIn(new Resizable(size, { maxByteLength: size * 2 }));
    assert.notEqual(parseCheckpoint(resizable).tensors.get('a')?.bytes.buffer, resizable.buffer);
  });

  it('treats transferred bytes as an empty file', () => {
    const bytes = safetensors.slice();
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    assert.throws(() => parseCheckpoint(bytes), (error: unknown) => error instanceof EfficientNetError && error.code === 'ERR_INVALID_CHECKPOINT');
    assert.throws(() => detectFormat(bytes), /The file is empty/);
  });
});
