// SPDX-License-Identifier: Apache-2.0
// The cache folder under stress: processes that race, die or find no room, folders that cannot be
// written, and where the folder lies on each platform.

import { strict as assert } from 'node:assert';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { cacheFolder, checkFile, writeAtomic } from '../../lib/cache.js';
import { EfficientNetError } from '../../lib/errors.js';
import { record, sendTarball, sha256, startRegistry, tarball, type FakeRegistry } from './fake-registry.js';

const childScript = join(__dirname, 'catalogue-child.js');
const file = `fake-${record.sha256.slice(0, 12)}.safetensors`;

interface Outcome {
  readonly path?: string;
  readonly code?: string;
  readonly message?: string;
}

describe('cache', () => {
  let registry: FakeRegistry;
  let home: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    registry = await startRegistry();
    home = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    chmodSync(home, 0o755);
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await registry.close();
    rmSync(home, { recursive: true, force: true });
  });

  function start(folder: string, identity: { uid?: number; gid?: number } = {}): ChildProcess {
    const env = { PATH: process.env['PATH'], HOME: home, npm_config_registry: registry.url, npm_config_userconfig: join(home, 'none') };
    const child = spawn(process.execPath, [childScript, folder], { env, cwd: home, ...identity });
    children.push(child);
    return child;
  }

  function outcome(child: ChildProcess): Promise<Outcome> {
    return new Promise((done, fail) => {
      let text = '';
      child.stdout?.on('data', (chunk: Buffer) => { text += chunk.toString(); });
      child.stderr?.resume();
      child.on('error', fail);
      child.on('close', (code) => {
        try {
          done(JSON.parse(text) as Outcome);
        } catch {
          fail(new Error(`the child exited ${String(code)} with ${JSON.stringify(text)}`));
        }
      });
    });
  }

  function assertWhole(folder: string): void {
    assert.deepEqual(readdirSync(folder), [file]);
    assert.equal(sha256(readFileSync(join(folder, file))), record.sha256);
  }

  it('lies where each platform keeps caches, and EFFICIENTNET_SIMD_CACHE wins', () => {
    assert.equal(cacheFolder({ EFFICIENTNET_SIMD_CACHE: 'own' }, 'linux'), resolve('own'));
    assert.equal(cacheFolder({ XDG_CACHE_HOME: '/x' }, 'linux'), join('/x', 'efficientnet-simd'));
    assert.equal(cacheFolder({}, 'linux'), join(homedir(), '.cache', 'efficientnet-simd'));
    assert.equal(cacheFolder({}, 'darwin'), join(homedir(), 'Library', 'Caches', 'efficientnet-simd'));
    assert.equal(cacheFolder({ LOCALAPPDATA: '/l' }, 'win32'), join('/l', 'efficientnet-simd', 'Cache'));
  });

  it('ends whole when several processes fetch at once', async () => {
    const folder = join(home, 'cache');
    const outcomes = await Promise.all([1, 2, 3].map(() => outcome(start(folder))));
    for (const { path, message } of outcomes) assert.equal(path, join(folder, file), message);
    assertWhole(folder);
  }).timeout(60_000);

  it('has nothing broken in it after kill -9 in the middle of a download', async () => {
    const folder = join(home, 'cache');
    registry.answer = (_request, response) => {
      response.writeHead(200, { 'content-length': tarball.length }).write(tarball.subarray(0, 100_000));
    };
    const child = start(folder);
    await new Promise((received) => child.stderr?.once('data', received));
    child.kill('SIGKILL');
    await new Promise((closed) => child.once('close', closed));
    assert.deepEqual(readdirSync(folder), []);
    registry.answer = sendTarball;
    assert.equal((await outcome(start(folder))).path, join(folder, file));
    assertWhole(folder);
  }).timeout(60_000);

  it('reports a folder that cannot be written before it downloads anything', async function () {
    const folder = join(home, 'readonly');
    mkdirSync(folder, { mode: 0o555 });
    // Root may write everywhere: the child gives that up.
    const identity = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
    const { code, message } = await outcome(start(folder, identity));
    assert.equal(code, 'ERR_FILE', message);
    assert.match(message ?? '', /readonly \((EACCES|EROFS)\)/);
    assert.equal(registry.requests.length, 0);
  }).timeout(60_000);

  it('reports a folder whose name is a file', async () => {
    const folder = join(home, 'taken');
    writeFileSync(folder, '');
    const { code, message } = await outcome(start(join(folder, 'cache')));
    assert.equal(code, 'ERR_FILE', message);
    assert.match(message ?? '', /taken/);
  }).timeout(60_000);

  it('reports a full disk and leaves nothing behind', async function () {
    const folder = join(home, 'small');
    mkdirSync(folder);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', folder]).status === 0;
    if (!mounted) {
      console.log('      SKIPPED: mounting a small file system is not allowed here');
      this.skip();
    }
    try {
      const { code, message } = await outcome(start(folder));
      assert.equal(code, 'ERR_FILE', message);
      assert.match(message ?? '', new RegExp(`No space left for .*${record.bytes} bytes`));
      assert.deepEqual(readdirSync(folder), []);
    } finally {
      spawnSync('umount', [folder]);
    }
  }).timeout(60_000);

  it('keeps the old content of a path when the new one cannot be put there', async () => {
    const target = join(home, 'target');
    mkdirSync(join(target, 'inside'), { recursive: true });
    await assert.rejects(writeAtomic(target, Buffer.from('x')), (error: unknown) =>
      error instanceof EfficientNetError && error.code === 'ERR_FILE' && error.message.includes(target));
    assert.deepEqual(readdirSync(home), ['target']);
    const plain = join(home, 'plain');
    await writeAtomic(plain, Buffer.from('one'));
    await writeAtomic(plain, Buffer.from('two'));
    assert.equal(readFileSync(plain, 'utf8'), 'two');
    assert.equal(statSync(plain).mode & 0o777, 0o644 & ~process.umask());
  });

  it('notices a change after a file was once found whole', async () => {
    const path = join(home, 'whole');
    const bytes = Buffer.from('whole content');
    const expected = { path, bytes: bytes.length, digest: { algorithm: 'sha256', hex: sha256(bytes) } } as const;
    assert.deepEqual(await checkFile(expected), { state: 'missing' });
    writeFileSync(path, bytes);
    assert.deepEqual(await checkFile(expected), { state: 'valid' });
    assert.deepEqual(await checkFile(expected), { state: 'valid' });
    writeFileSync(path, 'Whole content');
    const changed = await checkFile(expected);
    assert.ok(changed.state === 'damaged' && changed.found.includes(expected.digest.hex));
    truncateSync(path, 3);
    const shorter = await checkFile(expected);
    assert.ok(shorter.state === 'damaged' && shorter.found.includes('3 bytes'));
    await assert.rejects(checkFile({ ...expected, path: home }), (error: unknown) =>
      error instanceof EfficientNetError && error.code === 'ERR_FILE');
  });
});
