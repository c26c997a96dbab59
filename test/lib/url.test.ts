// SPDX-License-Identifier: Apache-2.0
// Checkpoints at plain addresses: cache, ETags, integrity, going on where a download broke off, files in
// several parts, and servers that lie. Hubs are in hub.test.ts.

import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { EfficientNetError } from '../../lib/errors.js';
import { formatIntegrity, parseIntegrity } from '../../lib/fetch/integrity.js';
import { resolveUrl, type UrlOptions } from '../../lib/fetch/url.js';
import { writeSafetensors } from '../../lib/formats/safetensors.js';
import { noise, sendRange, sha256 } from './fake-hub.js';
import { float32 } from './synthetic.js';

const one = writeSafetensors([float32('one', [200_000], (i) => i)]);
const two = writeSafetensors([float32('two', [100], (i) => i)]);
const secret = 'signature-nobody-may-see';

interface Served {
  readonly bytes: Uint8Array;
  readonly etag?: string;
}

describe('checkpoints by address', () => {
  let home: string;
  let base: string;
  let log: string[];
  let files: Map<string, Served>;
  let trouble: (request: IncomingMessage, response: ServerResponse) => boolean;
  const environment = { ...process.env };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://x');
    log.push([request.method, pathname, request.headers.range, request.headers['if-none-match'], request.headers.authorization].filter(Boolean).join(' '));
    if (trouble(request, response)) return;
    const file = files.get(pathname);
    if (file === undefined) return void response.writeHead(404).end();
    if (file.etag !== undefined && request.headers['if-none-match'] === file.etag) return void response.writeHead(304).end();
    const fresh = request.headers['if-range'] === undefined || request.headers['if-range'] === file.etag;
    sendRange(request, response, file.bytes, file.etag === undefined ? {} : { etag: file.etag }, fresh);
  });
  const fetch = (path: string, options: UrlOptions = {}): Promise<string> =>
    resolveUrl(new URL(path, base), { timing: { pause: 5, stall: 5000 }, ...options });
  const fails = (promise: Promise<unknown>, code: string, pattern: RegExp): Promise<void> =>
    assert.rejects(promise, (error: unknown) => {
      assert.ok(error instanceof EfficientNetError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, pattern);
      assert.ok(!error.message.includes(secret), error.message);
      return true;
    });

  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    for (const key of Object.keys(process.env)) if (/^(npm_config_.*|.*_proxy|efficientnet_simd_.*)$/i.test(key)) delete process.env[key];
    Object.assign(process.env, { EFFICIENTNET_SIMD_CACHE: home, npm_config_userconfig: join(home, 'none'), npm_config_globalconfig: join(home, 'none') });
    log = [];
    files = new Map<string, Served>([
      ['/b0.safetensors', { bytes: one, etag: '"first"' }], ['/plain', { bytes: two }], ['/page', { bytes: Buffer.from('<!doctype html><p>Log in') }],
    ]);
    trouble = () => false;
  });

  afterEach(() => {
    rmSync(home, { recursive: true, force: true });
    for (const key of Object.keys(process.env)) if (!(key in environment)) delete process.env[key];
    Object.assign(process.env, environment);
  });

  after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('fetches once, and keeps the name', async () => {
    const totals = new Set<number>();
    const path = await fetch('b0.safetensors', { onProgress: ({ totalBytes }) => totals.add(totalBytes) });
    assert.deepEqual(readFileSync(path), Buffer.from(one));
    assert.ok(path.startsWith(home) && path.endsWith('b0.safetensors'));
    assert.deepEqual([...totals], [one.length]);
    assert.equal(await fetch('b0.safetensors'), path);
    assert.equal(await fetch('b0.safetensors', { offline: true }), path);
    assert.deepEqual(log, ['GET /b0.safetensors']);
    assert.notEqual(await fetch('b0.safetensors?v=2'), path);
  });

  it('asks for something newer only when told to, with the ETag', async () => {
    const path = await fetch('b0.safetensors');
    assert.equal(await fetch('b0.safetensors', { update: true }), path);
    assert.equal(log.at(-1), 'GET /b0.safetensors "first"');
    files.set('/b0.safetensors', { bytes: two, etag: '"second"' });
    assert.deepEqual(readFileSync(await fetch('b0.safetensors', { update: true })), Buffer.from(two));
    assert.ok(!existsSync(path));
    trouble = (request) => (request.socket.destroy(), true);
    await fails(fetch('b0.safetensors', { update: true }), 'ERR_FETCH', /ended|closed|ECONNRESET/);
    assert.deepEqual(readFileSync(await fetch('b0.safetensors')), Buffer.from(two));
  });

  it('checks the integrity, and does not keep what fails it', async () => {
    const integrity = parseIntegrity(`sha512-${createHash('sha512').update(one).digest('base64')}`);
    const wrong = parseIntegrity(formatIntegrity({ algorithm: 'sha256', hex: sha256(two) }));
    await fails(fetch('b0.safetensors', { integrity: wrong }), 'ERR_FETCH', /not the file that the option integrity asks for: expected sha256-.*found sha256-/);
    assert.deepEqual(readFileSync(await fetch('b0.safetensors', { integrity })), Buffer.from(one));
    const asked = log.length;
    await fetch('b0.safetensors', { integrity });
    assert.equal(log.length, asked);
    await fails(fetch('b0.safetensors', { integrity: wrong }), 'ERR_FETCH', /not the file that the option integrity asks for/);
    for (const bad of ['md5-AAAA', 'sha256-AAAA', 'sha256:abc', 5]) assert.throws(() => parseIntegrity(bad), /integrity/);
  });

  it('does not keep pages and missing files', async () => {
    await fails(fetch('page'), 'ERR_INVALID_CHECKPOINT', /\/page: The file is a web page/);
    await fails(fetch('none.pth'), 'ERR_FETCH', /There is no file at .*\/none\.pth/);
    await fails(fetch('page', { offline: true }), 'ERR_OFFLINE', /not cached/);
    assert.deepEqual(readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((name) => /page|none/.test(name)), []);
  });

  it('fetches a damaged file again', async () => {
    truncateSync(await fetch('b0.safetensors'), 10);
    assert.deepEqual(readFileSync(await fetch('b0.safetensors')), Buffer.from(one));
  });

  const broken = (times: number): void => {
    let count = 0;
    trouble = (request, response) => {
      if (count++ >= times) return false;
      const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0);
      const etag = files.get('/b0.safetensors')?.etag;
      response.writeHead(from > 0 ? 206 : 200, {
        'content-length': one.length - from, ...(etag === undefined ? {} : { etag }),
        ...(from > 0 ? { 'content-range': `bytes ${from}-${one.length - 1}/${one.length}` } : {}),
      });
      response.write(one.subarray(from, from + 100_000), () => setTimeout(() => response.destroy(), 20));
      return true;
    };
  };

  it('goes on where it broke, in this call and in the next', async () => {
    broken(1);
    assert.deepEqual(readFileSync(await fetch('b0.safetensors')), Buffer.from(one));
    assert.match(log.join(), /^GET \/b0\.safetensors,GET \/b0\.safetensors bytes=[1-9]\d*-$/);
    rmSync(join(home, 'urls'), { recursive: true });
    broken(3);
    await fails(fetch('b0.safetensors'), 'ERR_FETCH', /ended after [23]\d{5} of 800\d{3} bytes/);
    log.length = 0;
    assert.deepEqual(readFileSync(await fetch('b0.safetensors')), Buffer.from(one));
    assert.match(log.join(), /^GET \/b0\.safetensors bytes=[23]\d{5}-$/);
    assert.ok(!readdirSync(home, { recursive: true, encoding: 'utf8' }).some((name) => name.endsWith('.incomplete')));
  });

  it('begins again where the content has changed meanwhile, or has no ETag', async () => {
    broken(3);
    await fails(fetch('b0.safetensors'), 'ERR_FETCH', /ended/);
    files.set('/b0.safetensors', { bytes: two, etag: '"other"' });
    assert.deepEqual(readFileSync(await fetch('b0.safetensors')), Buffer.from(two));
    files.set('/b0.safetensors', { bytes: one });
    rmSync(join(home, 'urls'), { recursive: true });
    broken(3);
    await fails(fetch('b0.safetensors'), 'ERR_FETCH', /ended/);
    log.length = 0;
    assert.deepEqual(readFileSync(await fetch('b0.safetensors')), Buffer.from(one));
    assert.deepEqual(log, ['GET /b0.safetensors']);
  });

  it('fetches what an index names, from beside it and nowhere else', async () => {
    const index = (map: Readonly<Record<string, string>>): Uint8Array => Buffer.from(JSON.stringify({ metadata: { total_size: 1 }, weight_map: map }));
    files.set('/m/model.safetensors.index.json', { bytes: index({ one: 'a.safetensors', two: 'b.safetensors' }) });
    files.set('/m/a.safetensors', { bytes: one });
    files.set('/m/b.safetensors', { bytes: two });
    const path = await fetch('m/model.safetensors.index.json');
    assert.deepEqual(readdirSync(dirname(path)).sort(), ['a.safetensors', 'b.safetensors', 'model.safetensors.index.json']);
    rmSync(join(dirname(path), 'b.safetensors'));
    await fetch('m/model.safetensors.index.json');
    assert.ok(existsSync(join(dirname(path), 'b.safetensors')));
    files.set('/e/model.safetensors.index.json', { bytes: index({ one: '../b0.safetensors' }) });
    await fails(fetch('e/model.safetensors.index.json'), 'ERR_INVALID_CHECKPOINT', /plain name/);
    files.set('/f/model.safetensors.index.json', { bytes: index({ one: 'gone.safetensors' }) });
    await fails(fetch('f/model.safetensors.index.json'), 'ERR_FETCH', /gone\.safetensors/);
  });

  it('shows no query and no password, and sends the password to its own host only', async () => {
    const other = createServer((request, response) => {
      log.push(`other ${request.headers.authorization ?? 'none'}`);
      response.writeHead(200).end(two);
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = other.address() as AddressInfo;
      trouble = (_request, response) => (response.writeHead(302, { location: `http://me:${secret}@127.0.0.1:${port}/x?k=${secret}` }).end(), true);
      const withPassword = new URL(`plain?key=${secret}`, base);
      withPassword.username = 'user';
      withPassword.password = secret;
      assert.deepEqual(readFileSync(await resolveUrl(withPassword)), Buffer.from(two));
      assert.deepEqual(log, [`GET /plain Basic ${Buffer.from(`user:${secret}`).toString('base64')}`, 'other none']);
      assert.ok(readdirSync(home, { recursive: true, encoding: 'utf8' }).every((name) => !name.endsWith('.json') || !readFileSync(join(home, name), 'utf8').includes(secret)));
      trouble = (_request, response) => (response.writeHead(403).end(), true);
      await fails(fetch(`other?key=${secret}`), 'ERR_FETCH', /403; the address may need a signed query/);
    } finally {
      other.closeAllConnections();
      await new Promise((resolve) => other.close(resolve));
    }
  });

  it('refuses lengths that are lies, and more than there may be', async () => {
    trouble = (_request, response) => (response.writeHead(200, { 'content-length': 2 ** 40 }).flushHeaders(), true);
    await fails(fetch('plain'), 'ERR_FETCH', /announces 1099511627776 bytes where at most/);
    trouble = (_request, response) => (response.writeHead(200, { 'content-length': 1000 }).write('x', () => response.destroy()), true);
    await fails(fetch('plain'), 'ERR_FETCH', /ended after \d of 1000/);
  });

  it('leaves other processes to wait, and goes on after kill -9', async () => {
    const slow = (request: IncomingMessage, response: ServerResponse): boolean => {
      let at = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0);
      const range = at > 0 ? { 'content-range': `bytes ${at}-${one.length - 1}/${one.length}` } : {};
      response.writeHead(at > 0 ? 206 : 200, { 'content-length': one.length - at, etag: '"first"', ...range });
      const timer = setInterval(() => {
        response.write(one.subarray(at, (at += 80_000)));
        if (at >= one.length) (clearInterval(timer), response.end());
      }, 60);
      response.on('close', () => clearInterval(timer));
      return true;
    };
    trouble = slow;
    const run = (): ReturnType<typeof spawn> => spawn(process.execPath, [join(__dirname, 'hub-child.js'), `${base}b0.safetensors`], { env: process.env, stdio: ['ignore', 'ignore', 'pipe'] });
    const closed = (child: ReturnType<typeof spawn>): Promise<void> => new Promise((resolve) => child.on('close', () => resolve()));
    const victim = run();
    await new Promise<void>((resolve) => victim.stderr?.on('data', (text: Buffer) => {
      if (text.toString().split('\n').some((line) => Number(line) >= 240_000)) resolve();
    }));
    victim.kill('SIGKILL');
    await closed(victim);
    log.length = 0;
    await Promise.all([run(), run()].map(closed));
    assert.deepEqual(readFileSync(await fetch('b0.safetensors', { offline: true })), Buffer.from(one));
    assert.ok(log.length <= 2 && Number(/bytes=(\d+)-/.exec(log[0] ?? '')?.[1]) >= 240_000, log.join());
  }).timeout(30_000);

  it('tells integrity from noise', () => {
    const digest = { algorithm: 'sha384', hex: createHash('sha384').update(noise(3)).digest('hex') } as const;
    assert.deepEqual(parseIntegrity(formatIntegrity(digest)), digest);
    assert.deepEqual(parseIntegrity(formatIntegrity(digest).replace(/=+$/, '')), digest);
  });

  it('says which form of integrity is expected, and what was found', () => {
    const hex = createHash('sha256').update('x').digest('hex');
    const base64 = Buffer.from(hex, 'hex').toString('base64');
    const cases: readonly (readonly [value: unknown, message: RegExp])[] = [
      [hex, new RegExp(`received a hash in hexadecimal; in base64 it is 'sha256-${base64.replaceAll('+', '\\+')}'$`)],
      [`sha256-${hex}`, /in base64 it is 'sha256-/], [`sha256:${hex.toUpperCase()}`, /in base64 it is 'sha256-/],
      ['md5-AAAA', /received the string "md5-AAAA", which does not begin with one of these$/],
      [base64, /which does not begin with one of these$/], ['SHA256-AAAA', /does not begin with one of these$/],
      ['sha256-AAAA', /whose hash is 3 bytes long, not the 32 of sha256$/], [`sha512-${base64}`, /32 bytes long, not the 64 of sha512$/],
      ['sha256-', /0 bytes long/], [`sha256-${base64}=`, /received the string/], [`sha256-${base64} sha256-${base64}`, /several hashes/],
      [`sha256-${'_'.repeat(43)}=`, /in which "_" is no character of base64$/], [5, /received 5$/], [null, /received null$/], [{}, /received an object$/],
    ];
    for (const [value, message] of cases) {
      assert.throws(() => parseIntegrity(value), (error: unknown) => {
        assert.ok(error instanceof EfficientNetError && error.code === 'ERR_INVALID_ARGUMENT', String(error));
        assert.match(error.message, /^Expected for integrity 'sha256-' and the 44 characters of the SHA-256 of the file in base64/);
        assert.match(error.message, message);
        return true;
      });
    }
    assert.equal(cases.length, 15);
  });
});
