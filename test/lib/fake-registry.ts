// SPDX-License-Identifier: Apache-2.0
// For the catalogue's tests: a small published "model", and an npm registry on the loopback address
// whose answers each test decides. Contains no test.

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

import type { ModelRecord } from '../../lib/catalogue.js';

export interface TarEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** The tar type flag; '0' is a plain file. */
  readonly type?: string;
}

/** An uncompressed ustar archive. */
export function makeTar(entries: readonly TarEntry[]): Buffer {
  const blocks: Buffer[] = [];
  for (const { name, bytes, type = '0' } of entries) {
    const header = Buffer.alloc(512);
    header.write(name, 0, 100, 'latin1');
    header.write('0000644\0', 100);
    header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('        ', 148);
    header.write(type, 156);
    header.write('ustar\0' + '00', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    blocks.push(header, Buffer.from(bytes), Buffer.alloc((512 - (bytes.length % 512)) % 512));
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Bytes that do not compress, the same in every process. */
function noise(length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 32 < length; i++) blocks.push(createHash('sha256').update(`noise ${i}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

const shard = noise(300_000);
const description = Buffer.from('{"model":true}');

export const tarball = gzipSync(
  makeTar([
    { name: 'package/package.json', bytes: Buffer.from('{}') },
    { name: 'package/model/model.json', bytes: description },
    { name: 'package/model/deeper/ignored', bytes: Buffer.from('x') },
    { name: '../../escape', bytes: Buffer.from('x') },
    { name: 'package/model/link', bytes: Buffer.alloc(0), type: '2' },
    { name: 'package/model/shard', bytes: shard },
  ]),
);

function convert(files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  if ([...files.keys()].join() !== 'model.json,shard') throw new Error(`unexpected files ${[...files.keys()].join()}`);
  return Buffer.concat([...files.values()]);
}

const converted = Buffer.concat([description, shard]);

export const record: ModelRecord = {
  name: 'fake',
  description: 'bytes without meaning',
  architecture: 'b0',
  licence: 'none',
  package: { name: 'fake-model', version: '1.2.3', bytes: tarball.length, sha256: sha256(tarball) },
  folder: 'package/model/',
  unpackedLimit: 1 << 20,
  convert,
  bytes: converted.length,
  sha256: sha256(converted),
};

export const tarballPath = '/fake-model/-/fake-model-1.2.3.tgz';

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface FakeRegistry {
  readonly url: string;
  readonly port: number;
  /** Of every request so far, in order. */
  readonly requests: IncomingMessage[];
  answer: Answer;
  close(): Promise<void>;
}

export const sendTarball: Answer = (_request, response) => {
  response.writeHead(200, { 'content-length': tarball.length }).end(tarball);
};

/** Starts a registry on a free port; until told otherwise it answers with the tarball. */
export async function startRegistry(server: Server = createServer(), scheme = 'http'): Promise<FakeRegistry> {
  const requests: IncomingMessage[] = [];
  const registry: FakeRegistry = { url: '', port: 0, requests, answer: sendTarball, close };
  server.on('request', (request, response) => {
    requests.push(request);
    registry.answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  function close(): Promise<void> {
    return new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }
  return Object.assign(registry, { url: `${scheme}://127.0.0.1:${port}/`, port });
}
