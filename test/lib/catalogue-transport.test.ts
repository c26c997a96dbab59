// SPDX-License-Identifier: Apache-2.0
// TLS, proxies in front of it, and the tarball reader: the parts of a fetch that the plain registry
// of catalogue.test.ts does not reach.

import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { resolveRecord } from '../../lib/catalogue.js';
import { EfficientNetError } from '../../lib/errors.js';
import { isExcepted } from '../../lib/fetch/network.js';
import { readTarball } from '../../lib/fetch/tar.js';
import { resolveUrl } from '../../lib/fetch/url.js';
import { makeTar, record, startRegistry, type FakeRegistry } from './fake-registry.js';

function isFetchError(...parts: readonly string[]): (error: unknown) => boolean {
  return (error) =>
    error instanceof EfficientNetError && error.code === 'ERR_FETCH' && parts.every((part) => error.message.includes(part));
}

describe('catalogue over TLS', () => {
  let home: string;
  let registry: FakeRegistry | undefined;
  const environment = { ...process.env };

  before(async function () {
    home = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    const made = spawnSync('openssl', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=test',
      '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', join(home, 'key.pem'), '-out', join(home, 'cert.pem'),
    ]);
    if (made.status !== 0) {
      console.log('      SKIPPED: openssl is not here to make a certificate');
      this.skip();
    }
    const server = createHttpsServer({ key: readFileSync(join(home, 'key.pem')), cert: readFileSync(join(home, 'cert.pem')) });
    registry = await startRegistry(server, 'https');
  });

  beforeEach(() => {
    for (const key of Object.keys(process.env)) {
      if (/^(npm_config_.*|.*_proxy|efficientnet_simd_.*)$/i.test(key)) delete process.env[key];
    }
    process.env['npm_config_registry'] = registry?.url;
    process.env['npm_config_userconfig'] = join(home, 'npmrc');
    process.env['npm_config_globalconfig'] = join(home, 'none');
    writeFileSync(join(home, 'npmrc'), '');
    rmSync(join(home, 'cache'), { recursive: true, force: true });
  });

  afterEach(() => {
    for (const key of Object.keys(process.env)) if (!(key in environment)) delete process.env[key];
    Object.assign(process.env, environment);
  });

  after(async () => {
    await registry?.close();
    rmSync(home, { recursive: true, force: true });
  });

  const fetch = (): Promise<string> => resolveRecord(record, join(home, 'cache'), { timing: { pause: 5, stall: 5000 } });

  it('refuses a certificate that nobody vouches for, without a second attempt', async () => {
    await assert.rejects(fetch(), isFetchError('certificate', 'cafile', '127.0.0.1'));
    assert.equal(registry?.requests.length, 0);
  });

  it('accepts the authorities of cafile', async () => {
    writeFileSync(join(home, 'npmrc'), `cafile=${join(home, 'cert.pem')}\n`);
    assert.equal(readFileSync(await fetch()).length, record.bytes);
  });

  it('accepts anything with strict-ssl=false', async () => {
    writeFileSync(join(home, 'npmrc'), 'strict-ssl=false\n');
    assert.equal(readFileSync(await fetch()).length, record.bytes);
  });

  it('never goes from https back to http, neither to the registry nor to an address, whatever it carries', async () => {
    writeFileSync(join(home, 'npmrc'), `cafile=${join(home, 'cert.pem')}\n`);
    assert.ok(registry !== undefined);
    const asked: string[] = [];
    const plain = createHttpServer((request, response) => {
      asked.push(request.headers.authorization ?? 'none');
      response.end('x');
    });
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const { answer } = registry;
    const before = registry.requests.length;
    try {
      registry.answer = (_request, response) => {
        response.writeHead(302, { location: `http://127.0.0.1:${(plain.address() as AddressInfo).port}/b0.safetensors` }).end();
      };
      await assert.rejects(fetch(), isFetchError('redirects from https to http'));
      const address = new URL('b0.safetensors', registry.url);
      [address.username, address.password] = ['user', 'secret'];
      process.env['EFFICIENTNET_SIMD_CACHE'] = join(home, 'cache');
      await assert.rejects(resolveUrl(address, { timing: { pause: 5, stall: 5000 } }), isFetchError('redirects from https to http'));
      assert.deepEqual(asked, []);
      // Once each: another attempt would be answered alike.
      assert.equal(registry.requests.length, before + 2);
    } finally {
      registry.answer = answer;
      await new Promise((resolve) => plain.close(resolve));
    }
  });

  it('tunnels through an https-proxy with its credentials, and reports one that refuses', async () => {
    const tunnelled: string[] = [];
    const proxy = createHttpServer((_request, response) => response.end());
    proxy.on('connect', (request, socket, head) => {
      tunnelled.push(`${request.url} ${request.headers['proxy-authorization']} ${request.headers.authorization}`);
      if (request.headers['proxy-authorization'] === undefined) {
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
        return;
      }
      const target = connect(registry?.port ?? 0, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        target.write(head);
        target.pipe(socket).pipe(target);
      });
      target.on('error', () => socket.destroy());
      socket.on('error', () => target.destroy());
    });
    await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening));
    const { port } = proxy.address() as AddressInfo;
    try {
      const npmrc = `cafile=${join(home, 'cert.pem')}\n//127.0.0.1:${registry?.port}/:_authToken=npm_secret\n`;
      writeFileSync(join(home, 'npmrc'), `${npmrc}https-proxy=http://me:word@127.0.0.1:${port}\n`);
      assert.equal(readFileSync(await fetch()).length, record.bytes);
      const basic = Buffer.from('me:word').toString('base64');
      assert.deepEqual(tunnelled, [`127.0.0.1:${registry?.port} Basic ${basic} undefined`]);
      assert.equal(registry?.requests.at(-1)?.headers.authorization, 'Bearer npm_secret');
      rmSync(join(home, 'cache'), { recursive: true });
      writeFileSync(join(home, 'npmrc'), `${npmrc}https-proxy=127.0.0.1:${port}\n`);
      await assert.rejects(fetch(), isFetchError('407', 'proxy'));
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });
});

describe('catalogue, hosts without a proxy', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['https://a.example.org/', 'example.org', true],
    ['https://a.example.org/', '.example.org', true],
    ['https://a.example.org/', '*.example.org', true],
    ['https://EXAMPLE.org/', 'other, Example.ORG', true],
    ['https://badexample.org/', 'example.org', false],
    ['https://example.org/', 'example.org:443', true],
    ['https://example.org/', 'example.org:8080', false],
    ['https://example.org/', '*', true],
    ['https://example.org/', '', false],
  ];
  for (const [url, list, expected] of cases) {
    it(`${url} is ${expected ? '' : 'not '}covered by ${JSON.stringify(list)}`, () => {
      assert.equal(isExcepted(new URL(url), list), expected);
    });
  }
});

describe('catalogue, tarballs', () => {
  const entry = { name: 'package/model/a', bytes: Buffer.from('content') };
  const read = (archive: Uint8Array, limit = 1 << 20): Promise<ReadonlyMap<string, Uint8Array>> =>
    readTarball(gzipSync(archive), 'package/model/', limit);

  it('returns the plain files of one folder', async () => {
    const others = [
      { name: 'package/model/', bytes: Buffer.alloc(0), type: '5' },
      { name: '/package/model/b', bytes: Buffer.from('b') },
      { name: 'package/model/../c', bytes: Buffer.from('c') },
      { name: 'package/model/link', bytes: Buffer.alloc(0), type: '1' },
    ];
    const files = await read(makeTar([...others, entry]));
    assert.deepEqual([...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString()]), [['a', 'content']]);
  });

  it('refuses what is not gzip, what unpacks to too much and what is malformed', async () => {
    await assert.rejects(readTarball(Buffer.from('plain'), 'package/', 1000), isFetchError('gzip'));
    await assert.rejects(read(makeTar([{ name: 'bomb', bytes: Buffer.alloc(1 << 21) }])), isFetchError('at most 1048576 bytes'));
    const archive = makeTar([entry]);
    await assert.rejects(read(archive.subarray(0, 1024)), isFetchError('byte 1024', 'closing block'));
    await assert.rejects(read(archive.subarray(0, 515)), isFetchError('passes the end'));
    await assert.rejects(read(makeTar([entry, entry])), isFetchError('second entry'));
    const wrong = Buffer.from(archive);
    wrong.write('z', 0);
    await assert.rejects(read(wrong), isFetchError('byte 0', 'checksum'));
  });

  it('refuses sizes that are negative, binary or larger than the archive', async () => {
    for (const size of ['-0000000001\0', '77777777777\0', '\x80\0\0\0\0\0\0\0\0\0\x01\0', '           \0', '00000000008\0']) {
      const archive = makeTar([entry]);
      archive.write(size, 124, 'latin1');
      archive.write('        ', 148);
      const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0);
      archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
      await assert.rejects(read(archive), isFetchError('byte 0'));
    }
  });
});
