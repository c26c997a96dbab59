// SPDX-License-Identifier: Apache-2.0
// For the tests of fetching: a model hub on the loopback address with the paths and headers of the real
// one, large files on a second server as on its storage, and switches for everything that goes wrong.
// Contains no test.

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const commit = '0123456789abcdef0123456789abcdef01234567';

export interface HubFile {
  readonly bytes: Uint8Array;
  /** On the storage server, under its sha256; else on the hub itself, under git's hash. */
  readonly large: boolean;
}

export type Trouble = (request: IncomingMessage, response: ServerResponse, where: 'hub' | 'storage') => boolean;

export interface FakeHub {
  readonly url: string;
  readonly storageUrl: string;
  /** `METHOD path` of every request so far; on the storage with `storage` before it, and a range after it. */
  readonly log: string[];
  readonly requests: { readonly where: 'hub' | 'storage'; readonly request: IncomingMessage }[];
  /** From `owner/name` to its files. */
  readonly repositories: Map<string, Map<string, HubFile>>;
  /** Answers a request itself and returns true, or leaves it to the hub. */
  trouble: Trouble;
  /** Whether the storage heeds Range. */
  ranges: boolean;
  close(): Promise<void>;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function gitHash(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

/** Bytes that look like nothing, the same in every process. */
export function noise(length: number, seed = 0): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 32 < length; i++) blocks.push(createHash('sha256').update(`noise ${seed} ${i}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Sends a body, or the part that a Range asks for. */
export function sendRange(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array, headers: Record<string, string> = {}, heed = true): void {
  const [, from] = (heed ? /^bytes=(\d+)-$/.exec(request.headers.range ?? '') : null) ?? [];
  const start = Number(from ?? 0);
  if (from !== undefined && start >= bytes.length) {
    response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
    return;
  }
  const part = bytes.subarray(start);
  const range = from === undefined ? {} : { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
  response.writeHead(from === undefined ? 200 : 206, { 'content-length': part.length, 'accept-ranges': 'bytes', ...range, ...headers });
  if (request.method === 'HEAD') response.end();
  else response.end(part);
}

export async function startHub(): Promise<FakeHub> {
  const repositories: FakeHub['repositories'] = new Map();
  const log: string[] = [];
  const requests: FakeHub['requests'] = [];
  const blobs = (): Map<string, Uint8Array> => {
    const files = [...repositories.values()].flatMap((repository) => [...repository.values()]);
    return new Map(files.map(({ bytes }) => [sha256(bytes), bytes]));
  };
  const storage = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://storage');
    log.push(`storage ${request.method} ${url.pathname}${request.headers.range === undefined ? '' : ` ${request.headers.range}`}`);
    requests.push({ where: 'storage', request });
    if (hub.trouble(request, response, 'storage')) return;
    const bytes = blobs().get(url.pathname.slice(1));
    if (bytes === undefined || url.searchParams.get('signature') !== 'signed') response.writeHead(403).end();
    else sendRange(request, response, bytes, { etag: '"of-the-storage"' }, hub.ranges);
  });
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://hub');
    log.push(`${request.method} ${pathname}`);
    requests.push({ where: 'hub', request });
    if (hub.trouble(request, response, 'hub')) return;
    const [, id = '', rest = ''] = /^\/(?:api\/models\/)?([^/]+\/[^/]+)\/(.*)$/.exec(pathname) ?? [];
    const repository = repositories.get(id);
    if (repository === undefined) return fail(response, 401, 'RepoNotFound');
    const listed = /^revision\/(.*)$/.exec(rest)?.[1];
    if (listed !== undefined) {
      if (!['main', 'v1', 'refs/pr/1', commit].includes(decodeURIComponent(listed))) return fail(response, 404, 'RevisionNotFound');
      const siblings = [...repository.keys()].map((rfilename) => ({ rfilename }));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id, sha: commit, siblings }));
      return;
    }
    const name = decodeURIComponent(/^resolve\/[^/]+\/(.*)$/.exec(rest)?.[1] ?? '');
    const file = repository.get(name);
    if (file === undefined) return fail(response, 404, 'EntryNotFound');
    sendFile(request, response, file);
  });
  function sendFile(request: IncomingMessage, response: ServerResponse, { bytes, large }: HubFile): void {
    const headers = { 'x-repo-commit': commit };
    if (!large) return sendRange(request, response, bytes, { ...headers, etag: `"${gitHash(bytes)}"` });
    const hash = sha256(bytes);
    const linked = { 'x-linked-etag': `"${hash}"`, 'x-linked-size': String(bytes.length), location: `${storageUrl}/${hash}?signature=signed` };
    response.writeHead(302, { ...headers, ...linked, etag: '"of-the-redirect"' }).end();
  }
  const storageUrl = await listen(storage);
  const url = await listen(server);
  const hub: FakeHub = { url, storageUrl, log, requests, repositories, trouble: () => false, ranges: true, close };
  async function close(): Promise<void> {
    for (const each of [server, storage]) {
      await new Promise<void>((resolve) => {
        each.close(() => resolve());
        each.closeAllConnections();
      });
    }
  }
  return hub;
}

export function fail(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'x-error-code': code, 'content-type': 'application/json' }).end('{"error":"no"}');
}
