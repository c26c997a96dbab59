// SPDX-License-Identifier: Apache-2.0
// Repositories of a model hub: what is fetched and where it lies, the cache of the Python library, tokens,
// and every way in which a download can fail. Names, settings and choices are in hub-names.test.ts.

import { strict as assert } from 'node:assert';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, truncateSync, unlinkSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { EfficientNetError } from '../../lib/errors.js';
import type { FetchProgress } from '../../lib/fetch/options.js';
import { resolveRepository, type CheckpointFolder, type RepositoryOptions } from '../../lib/hub/repository.js';
import { commit, fail, gitHash, noise, sha256, startHub, type FakeHub, type HubFile } from './fake-hub.js';

const weights = noise(3_000_000);
const config = Buffer.from('{"architecture":"efficientnet_b0","pretrained_cfg":{}}');
const model: ReadonlyMap<string, HubFile> = new Map([
  ['config.json', { bytes: config, large: false }],
  ['README.md', { bytes: Buffer.from('# model'), large: false }],
  ['model.safetensors', { bytes: weights, large: true }],
  ['pytorch_model.bin', { bytes: noise(10, 1), large: true }],
]);
const name = 'timm/efficientnet_b0.ra_in1k';
const folder = 'models--timm--efficientnet_b0.ra_in1k';
const child = join(__dirname, 'hub-child.js');

describe('model hub', () => {
  let hub: FakeHub;
  let home: string;
  const environment = { ...process.env };
  const path = (...parts: readonly string[]): string => join(home, 'hub', folder, ...parts);
  const fetch = (options: RepositoryOptions = {}, which = name): Promise<CheckpointFolder> =>
    resolveRepository(which, { timing: { pause: 5, stall: 5000 }, ...options });
  const fails = (promise: Promise<unknown>, code: string, ...parts: readonly (string | RegExp)[]): Promise<void> =>
    assert.rejects(promise, (error: unknown) => {
      assert.ok(error instanceof EfficientNetError, String(error));
      assert.equal(error.code, code, error.message);
      for (const part of parts) assert.match(error.message, typeof part === 'string' ? new RegExp(part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) : part);
      return true;
    });

  before(async () => {
    hub = await startHub();
  });

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    for (const key of Object.keys(process.env)) {
      if (/^(hf_.*|hugging.*|npm_config_.*|.*_proxy|efficientnet_simd_.*|transformers_offline)$/i.test(key)) delete process.env[key];
    }
    Object.assign(process.env, { HF_HOME: home, HF_ENDPOINT: hub.url, npm_config_userconfig: join(home, 'none'), npm_config_globalconfig: join(home, 'none') });
    hub.repositories.clear();
    hub.repositories.set(name, new Map(model));
    hub.trouble = () => false;
    hub.ranges = true;
    hub.log.length = 0;
    hub.requests.length = 0;
  });

  afterEach(() => {
    rmSync(home, { recursive: true, force: true });
    for (const key of Object.keys(process.env)) if (!(key in environment)) delete process.env[key];
    Object.assign(process.env, environment);
  });

  after(() => hub.close());

  it('fetches the configuration and the weights, and nothing else, into the layout of the Python library', async () => {
    const progress: FetchProgress[] = [];
    const found = await fetch({ onProgress: (state) => progress.push(state) });
    assert.deepEqual(found, { name, path: path('snapshots', commit), file: 'model.safetensors', configs: ['config.json'] });
    assert.deepEqual(readFileSync(join(found.path, found.file)), weights);
    assert.equal(readlinkSync(path('snapshots', commit, 'model.safetensors')), `../../blobs/${sha256(weights)}`);
    assert.equal(readlinkSync(path('snapshots', commit, 'config.json')), `../../blobs/${gitHash(config)}`);
    assert.deepEqual(readdirSync(path('blobs')).sort(), [sha256(weights), gitHash(config)].sort());
    assert.equal(readFileSync(path('refs', 'main'), 'utf8'), commit);
    assert.ok(existsSync(path('.no_exist', commit, 'preprocessor_config.json')));
    assert.deepEqual(hub.log.filter((line) => /^(GET|storage)/.test(line)), [
      `GET /api/models/${name}/revision/main`, `GET /${name}/resolve/${commit}/config.json`,
      `GET /${name}/resolve/${commit}/model.safetensors`, `storage GET /${sha256(weights)}`,
    ]);
    const last = progress.at(-1);
    assert.deepEqual(last, { name, receivedBytes: config.length + weights.length, totalBytes: config.length + weights.length });
    progress.reduce((before, { receivedBytes }) => (assert.ok(receivedBytes >= before), receivedBytes), 0);
  });

  it('asks nobody for what is cached, unless told to', async () => {
    await fetch();
    hub.log.length = 0;
    await fetch();
    await fetch({}, `${name}@main`);
    await fetch({}, `hf-hub:${name}@${commit}`);
    assert.deepEqual(hub.log, []);
    await fetch({ update: true });
    assert.deepEqual(hub.log, [`GET /api/models/${name}/revision/main`]);
  });

  it('finds what the Python library has cached, without a network', async () => {
    // As huggingface_hub and timm leave it: configuration and weights, no note of what does not exist.
    for (const [file, hash] of [['config.json', gitHash(config)], ['pytorch_model.bin', sha256(weights)]] as const) {
      mkdirSync(path('blobs'), { recursive: true });
      mkdirSync(path('snapshots', commit), { recursive: true });
      writeFileSync(path('blobs', hash), file === 'config.json' ? config : weights);
      symlinkSync(`../../blobs/${hash}`, path('snapshots', commit, file));
    }
    mkdirSync(path('refs', 'refs', 'pr'), { recursive: true });
    writeFileSync(path('refs', 'main'), commit);
    writeFileSync(path('refs', 'refs', 'pr', '1'), commit);
    assert.equal((await fetch()).file, 'pytorch_model.bin');
    assert.equal((await fetch({}, `${name}@refs/pr/1`)).file, 'pytorch_model.bin');
    assert.equal((await fetch({ offline: true }, `${name}@${commit}`)).file, 'pytorch_model.bin');
    assert.deepEqual(hub.log, []);
    // Asked for by name, it is looked for.
    assert.equal((await fetch({ file: 'model.safetensors' })).file, 'model.safetensors');
    assert.ok(hub.log.length > 0);
  });

  it('keeps to HF_HUB_CACHE, XDG_CACHE_HOME and the home folder in their order', async () => {
    delete process.env['HF_HOME'];
    process.env['XDG_CACHE_HOME'] = join(home, 'xdg');
    assert.ok((await fetch()).path.startsWith(join(home, 'xdg', 'huggingface', 'hub', folder)));
    process.env['HF_HUB_CACHE'] = '$XDG_CACHE_HOME/elsewhere';
    assert.ok((await fetch()).path.startsWith(join(home, 'xdg', 'elsewhere', folder)));
  });

  it('uses no network when told so, by option or by either variable', async () => {
    await fails(fetch({ offline: true }), 'ERR_OFFLINE', 'not cached', 'hf download', join(home, 'hub'));
    process.env['HF_HUB_OFFLINE'] = '1';
    await fails(fetch(), 'ERR_OFFLINE', name);
    delete process.env['HF_HUB_OFFLINE'];
    process.env['EFFICIENTNET_SIMD_OFFLINE'] = '1';
    await fails(fetch(), 'ERR_OFFLINE', name);
    assert.deepEqual(hub.log, []);
  });

  it('takes what is cached of a moved branch when nothing can be reached', async () => {
    await fetch();
    process.env['HF_ENDPOINT'] = 'http://127.0.0.1:9';
    assert.equal((await fetch({ update: true })).file, 'model.safetensors');
    await fails(fetch({}, 'timm/other'), 'ERR_OFFLINE', '127.0.0.1:9', 'hf download timm/other');
  });

  it('sends the token to the hub and to nobody else, and never shows it', async () => {
    const secret = 'hf_verysecrettoken';
    process.env['HF_TOKEN'] = `${secret}\n`;
    const said: string[] = [];
    const { write } = process.stderr;
    process.stderr.write = ((text: string) => said.push(text) > 0) as typeof write;
    try {
      await fetch();
      hub.trouble = (_request, response) => (fail(response, 403, 'GatedRepo'), true);
      await assert.rejects(fetch({}, `${name}@v1`), (error: unknown) => {
        assert.ok(error instanceof EfficientNetError && error.message.includes('gated') && error.message.includes('HF_TOKEN'));
        assert.ok(!`${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`.includes(secret));
        return true;
      });
    } finally {
      process.stderr.write = write;
    }
    assert.ok(!said.join('').includes(secret));
    assert.deepEqual(new Set(hub.requests.map(({ where, request }) => `${where} ${request.headers.authorization ?? 'none'}`)),
      new Set([`hub Bearer ${secret}`, 'storage none']));
    assert.ok(readdirSync(home, { recursive: true, encoding: 'utf8' }).every((file) => {
      const full = join(home, file);
      return !lstatSync(full).isFile() || !readFileSync(full).includes(secret);
    }));
  });

  it('reads the token from its file, and obeys who wants none sent', async () => {
    writeFileSync(join(home, 'token'), 'hf_from_file\n');
    await fetch();
    assert.equal(hub.requests[0]?.request.headers.authorization, 'Bearer hf_from_file');
    process.env['HF_HUB_DISABLE_IMPLICIT_TOKEN'] = '1';
    await fetch({ update: true });
    assert.equal(hub.requests.at(-1)?.request.headers.authorization, undefined);
    delete process.env['HF_HUB_DISABLE_IMPLICIT_TOKEN'];
    process.env['HF_TOKEN'] = 'two words';
    await assert.rejects(fetch({ update: true }), (error: unknown) =>
      error instanceof EfficientNetError && error.message.includes('HF_TOKEN') && !error.message.includes('two words'));
  });

  it('says what is wrong with the repository, the revision, the access and the address', async () => {
    await fails(fetch({}, 'timm/none'), 'ERR_FETCH', 'no repository timm/none', 'HF_TOKEN');
    await fails(fetch({}, `${name}@v9`), 'ERR_FETCH', 'no revision "v9"');
    hub.repositories.set('other/format', new Map([['weights.msgpack', { bytes: noise(5), large: false }]]));
    await fails(fetch({}, 'other/format'), 'ERR_FILE', 'no checkpoint of a known format', '"weights.msgpack"');
    await fails(fetch({ file: 'b.pth' }), 'ERR_FILE', 'no file "b.pth"', '"model.safetensors"');
    hub.trouble = (_request, response) => (response.writeHead(404).end(), true);
    await fails(fetch({}, `${name}@v1`), 'ERR_FETCH', 'HF_ENDPOINT');
    hub.trouble = (_request, response) => (response.writeHead(200).end('<html>'), true);
    await fails(fetch({}, `${name}@v1`), 'ERR_FETCH', 'not JSON');
    hub.trouble = (_request, response) => (response.writeHead(200).end('{"sha":"../../x","siblings":[]}'), true);
    await fails(fetch({}, `${name}@v1`), 'ERR_FETCH', 'does not answer as a model hub');
    hub.trouble = (_request, response) => (response.writeHead(401).end(), true);
    await fails(fetch({}, `${name}@v1`), 'ERR_FETCH', 'private');
    process.env['HF_ENDPOINT'] = 'https://user:secret@hub.example';
    await assert.rejects(fetch({ update: true }), (error: unknown) => error instanceof EfficientNetError && !error.message.includes('secret'));
    assert.ok(!existsSync(path('snapshots')));
  });

  it('waits as long as a rate limit asks, if that is not long', async () => {
    let refused = 0;
    hub.trouble = (_request, response) => refused++ < 2 && (response.writeHead(429, { 'retry-after': '0' }).end(), true);
    await fetch();
    assert.equal(refused > 2, true);
    hub.trouble = (_request, response) => (response.writeHead(429, { 'retry-after': '3600' }).end(), true);
    await fails(fetch({ update: true }, `${name}@v1`), 'ERR_FETCH', '429', '3600 s', 'HF_TOKEN');
    let asked = 0;
    hub.trouble = (_request, response) => (asked++, response.writeHead(503).end(), true);
    await fails(fetch({}, `${name}@v1`), 'ERR_FETCH', '503', '3 attempts');
    assert.equal(asked, 3);
  });

  /** The storage breaks every answer off after so many bytes. */
  const breakAfter = (bytes: number, times = Infinity): void => {
    let broken = 0;
    hub.trouble = (request, response, where) => {
      if (where !== 'storage' || broken++ >= times) return false;
      const from = hub.ranges ? Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0) : 0;
      const range = from > 0 ? { 'content-range': `bytes ${from}-${weights.length - 1}/${weights.length}` } : {};
      response.writeHead(from > 0 ? 206 : 200, { 'content-length': weights.length - from, ...range });
      response.write(weights.subarray(from, from + bytes), () => setTimeout(() => response.destroy(), 20));
      return true;
    };
  };

  it('goes on where a connection broke, as often as it brings something', async () => {
    breakAfter(1_100_000, 2);
    const found = await fetch();
    assert.equal(sha256(readFileSync(join(found.path, found.file))), sha256(weights));
    assert.match(hub.log.filter((line) => line.startsWith('storage')).map((line) => line.split(' ')[3]).join(), /^,bytes=1\d{6}-,bytes=2\d{6}-$/);
  });

  it('begins again with a server that ignores ranges', async () => {
    hub.ranges = false;
    breakAfter(500_000, 1);
    const found = await fetch();
    assert.deepEqual(readFileSync(join(found.path, found.file)), weights);
  });

  it('leaves what came for the next call, also after an abort', async () => {
    breakAfter(400_000);
    await fails(fetch(), 'ERR_FETCH', /ended after (8|9|1\d)\d{5} of 3000000/, '3 attempts');
    const left = readdirSync(path('blobs')).filter((file) => file.endsWith('.incomplete'));
    assert.equal(left.length, 1);
    assert.equal(left[0], `${sha256(weights)}.incomplete`);
    assert.ok(!existsSync(path('refs', 'main')));
    hub.trouble = () => false;
    const abort = new AbortController();
    await assert.rejects(fetch({ signal: abort.signal, onProgress: () => abort.abort(new Error('enough')) }), /enough/);
    hub.log.length = 0;
    await fetch();
    assert.ok(hub.log.some((line) => /^storage.* bytes=(8|9|1\d)\d{5}-$/.test(line)), hub.log.join());
    assert.deepEqual(readdirSync(path('blobs')).filter((file) => file.endsWith('.incomplete')), []);
  });

  it('notices spoilt leftovers, and fetches the whole again', async () => {
    mkdirSync(path('blobs'), { recursive: true });
    writeFileSync(path('blobs', `${sha256(weights)}.incomplete`), noise(1000, 7));
    const found = await fetch();
    assert.deepEqual(readFileSync(join(found.path, found.file)), weights);
    assert.deepEqual(hub.log.filter((line) => line.startsWith('storage')).length, 2);
    assert.deepEqual(readdirSync(path('blobs')).length, 2);
  });

  it('refuses content with another hash, and lengths that are lies', async () => {
    hub.trouble = (_request, response, where) => where === 'storage' && (response.writeHead(200, { 'content-length': weights.length }).end(noise(weights.length, 3)), true);
    await fails(fetch(), 'ERR_FETCH', sha256(weights), sha256(noise(weights.length, 3)));
    hub.trouble = (_request, response, where) => where === 'storage' && (response.writeHead(200, { 'content-length': 10 }).end(noise(10)), true);
    await fails(fetch(), 'ERR_FETCH', 'announces 10 bytes', String(weights.length));
    hub.trouble = (_request, response, where) => where === 'storage' && (response.writeHead(200).end(Buffer.concat([weights, weights])), true);
    await fails(fetch(), 'ERR_FETCH', 'more arrived');
    hub.trouble = (_request, response, where) => where === 'storage' && (response.writeHead(200, { 'content-encoding': 'gzip' }).end(weights), true);
    await fails(fetch(), 'ERR_FETCH', 'gzip-encoded');
    hub.trouble = (request, response, where) => where === 'hub' && request.method === 'HEAD' && (response.writeHead(200, { etag: 'W/"../../../evil"' }).end(), true);
    await fails(fetch(), 'ERR_FETCH', 'without the hash');
    hub.trouble = (request, response, where) => where === 'hub' && request.method === 'HEAD' && (response.writeHead(200, { etag: sha256(weights), 'content-length': 2 ** 50 }).end(), true);
    await fails(fetch(), 'ERR_FETCH', 'expected at most');
    assert.ok(!existsSync(path('snapshots', commit, 'model.safetensors')));
  });

  it('survives a range that was not asked for', async () => {
    mkdirSync(path('blobs'), { recursive: true });
    writeFileSync(path('blobs', `${sha256(weights)}.incomplete`), weights.subarray(0, 1000));
    let wrong = 0;
    hub.trouble = (request, response, where) => {
      if (where !== 'storage' || request.headers.range === undefined) return false;
      wrong++;
      response.writeHead(206, { 'content-range': `bytes 0-9/${weights.length}` }).end(weights.subarray(0, 10));
      return true;
    };
    const found = await fetch();
    assert.equal(wrong, 1);
    assert.deepEqual(readFileSync(join(found.path, found.file)), weights);
  });

  it('never follows names out of the folder', async () => {
    hub.repositories.set('evil/names', new Map([
      ['../../../../escape.safetensors', { bytes: noise(5), large: false }], ['/etc/model.safetensors', { bytes: noise(5), large: false }],
      ['a/../../model.safetensors', { bytes: noise(5), large: false }], ['..\\model.safetensors', { bytes: noise(5), large: false }],
    ]));
    await fails(fetch({}, 'evil/names'), 'ERR_FILE', 'no file at all');
    for (const wrong of ['../x', 'a/b/c', 'a/b@../c', 'a/..', 'a/b@', 'a/b@-x', '~/x']) await fails(fetch({}, wrong), 'ERR_INVALID_ARGUMENT', 'owner/name');
  });

  it('fetches a damaged file again; offline it names it', async () => {
    await fetch();
    truncateSync(path('blobs', sha256(weights)), 1000);
    await fails(fetch({ offline: true }), 'ERR_FILE', 'damaged', 'model.safetensors', sha256(weights));
    assert.deepEqual(readFileSync(join((await fetch()).path, 'model.safetensors')), weights);
    unlinkSync(path('blobs', gitHash(config)));
    await fetch();
    assert.deepEqual(readFileSync(path('snapshots', commit, 'config.json')), config);
  });

  it('downloads once for all who ask at the same time', async () => {
    await Promise.all([fetch(), fetch(), fetch()]);
    assert.equal(hub.log.filter((line) => line.startsWith('storage')).length, 1);
  });

  it('does not begin what the disk cannot hold, and keeps nothing of what it turns out not to', async function () {
    const small = join(home, 'small');
    mkdirSync(small);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small]).status === 0;
    if (!mounted) {
      console.log('      SKIPPED: mounting a small file system is not allowed here');
      this.skip();
    }
    try {
      process.env['HF_HUB_CACHE'] = small;
      await fails(fetch(), 'ERR_FILE', `No space left for`, '3000000 bytes');
      assert.ok(hub.log.every((line) => !line.startsWith('storage')), hub.log.join());
      // A hub that does not tell the size.
      hub.trouble = (request, response, where) => where === 'hub' && request.method === 'HEAD' && request.url?.endsWith('safetensors') === true &&
        (response.writeHead(302, { 'x-linked-etag': sha256(weights), location: `${hub.storageUrl}/x` }).end(), true);
      await fails(fetch(), 'ERR_FILE', 'No space left for', sha256(weights));
      assert.deepEqual(readdirSync(join(small, folder, 'blobs')), [gitHash(config)]);
    } finally {
      spawnSync('umount', [small]);
    }
  });

  function start(): { readonly process: ChildProcess; readonly result: Promise<{ path?: string; code?: string; message?: string }> } {
    const started = spawn(process.execPath, [child, name], { env: process.env, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    started.stdout.on('data', (text: Buffer) => (out += text.toString()));
    const result = new Promise<{ path?: string }>((resolve) => started.on('close', () => resolve(out === '' ? {} : (JSON.parse(out) as { path?: string }))));
    return { process: started, result };
  }

  /** The storage sends slowly. */
  const slowly = (): void => {
    hub.trouble = (request, response, where) => {
      if (where !== 'storage') return false;
      let at = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0);
      const range = at > 0 ? { 'content-range': `bytes ${at}-${weights.length - 1}/${weights.length}` } : {};
      response.writeHead(at > 0 ? 206 : 200, { 'content-length': weights.length - at, ...range });
      const timer = setInterval(() => {
        response.write(weights.subarray(at, (at += 300_000)));
        if (at >= weights.length) (clearInterval(timer), response.end());
      }, 60);
      response.on('close', () => clearInterval(timer));
      return true;
    };
  };

  it('leaves other processes to wait for the one that downloads', async () => {
    slowly();
    const results = await Promise.all([start(), start(), start()].map(({ result }) => result));
    for (const { path: found, message } of results) assert.deepEqual(readFileSync(found ?? message ?? ''), weights);
    assert.deepEqual(readdirSync(path('blobs')).length, 2);
    // Two may begin in the same moment.
    assert.ok(hub.log.filter((line) => line.startsWith('storage')).length <= 2, hub.log.join());
  }).timeout(30_000);

  it('goes on after kill -9 in the middle', async () => {
    slowly();
    const killed = start();
    await new Promise<void>((resolve) => killed.process.stderr?.on('data', (text: Buffer) => {
      if (text.toString().split('\n').some((line) => Number(line) > 900_000)) resolve();
    }));
    killed.process.kill('SIGKILL');
    await killed.result;
    assert.ok(!existsSync(path('refs', 'main')) && !existsSync(path('snapshots', commit, 'model.safetensors')));
    hub.log.length = 0;
    hub.trouble = () => false;
    const found = await fetch();
    assert.deepEqual(readFileSync(join(found.path, found.file)), weights);
    const [request = ''] = hub.log.filter((line) => line.startsWith('storage'));
    assert.ok(Number(/bytes=(\d+)-/.exec(request)?.[1]) >= 900_000, request);
    assert.deepEqual(readdirSync(path('blobs')).filter((file) => file.endsWith('.incomplete')), []);
  }).timeout(30_000);
});
