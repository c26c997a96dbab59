// SPDX-License-Identifier: Apache-2.0
// What a hub has of a repository, and one file of it into the cache: its hash and size by HEAD, then its
// content, going on where an earlier download ended, and checked before it gets its name.

import { promises as fs } from 'node:fs';
import { join } from 'node:path';

import { checkFile, nameOf, systemCode, type Digest } from '../cache.js';
import { EfficientNetError } from '../errors.js';
import { askHead, download, downloadFile } from '../fetch/download.js';
import { shown, type Access, type Timing } from '../fetch/http.js';
import { leftovers, openPartial, removeLeftovers, waitForOthers, type Leftover } from '../fetch/partial.js';
import { digestOf, isPlainPath, type RepositoryCache } from './cache.js';
import type { Hub } from './endpoint.js';
import { isCommit, type RepositoryName } from './name.js';

const LISTING_LIMIT = 32 << 20;
/** Twice the largest network of the family in float64. */
const FILE_LIMIT = 8 * 2 ** 30;

export interface HubSource {
  readonly hub: Hub;
  readonly name: RepositoryName;
  readonly cache: RepositoryCache;
  readonly access: Access;
  readonly signal: AbortSignal;
  readonly timing?: Timing | undefined;
}

export interface Listing {
  readonly commit: string;
  readonly files: readonly string[];
}

/** A file as the hub describes it. */
export interface RemoteFile {
  readonly name: string;
  readonly url: URL;
  readonly etag: string;
  readonly digest: Digest;
  /** Where the hub tells it. */
  readonly bytes: number | undefined;
}

function address(hub: Hub, path: string): URL {
  return new URL(hub.endpoint.href.replace(/\/$/, '') + path);
}

/** The commit that the revision is, and the names of its files. @throws EfficientNetError ERR_FETCH, ERR_OFFLINE */
export async function listRepository({ hub, name, access, signal, timing }: HubSource): Promise<Listing> {
  const url = address(hub, `/api/models/${name.id}/revision/${encodeURIComponent(name.revision)}`);
  const body = await download({ url, access, headers: { accept: 'application/json' }, limit: LISTING_LIMIT, signal, timing });
  if (body === undefined) throw notThere(`${shown(url)} is not there: is HF_ENDPOINT the address of a model hub?`);
  const { sha, siblings } = parseObject(body, url);
  const files = Array.isArray(siblings) ? siblings.map(fileName).filter((file) => file !== undefined) : undefined;
  if (typeof sha !== 'string' || !isCommit(sha) || files === undefined) {
    throw notThere(`${shown(url)} does not answer as a model hub does (sha, siblings)`);
  }
  if (isCommit(name.revision) && sha !== name.revision) throw notThere(`Asked for the commit ${name.revision}, the hub answered with ${sha}`);
  return { commit: sha, files };
}

function parseObject(body: Buffer, url: URL): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    if (typeof value === 'object' && value !== null) return { ...value };
  } catch (cause) {
    throw new EfficientNetError('ERR_FETCH', `${shown(url)} answered with something that is not JSON`, { cause });
  }
  throw notThere(`${shown(url)} answered with something that is not a JSON object`);
}

/** A listed name that could leave the folder is none that could be chosen. */
function fileName(sibling: unknown): string | undefined {
  if (typeof sibling !== 'object' || sibling === null || !('rfilename' in sibling)) return undefined;
  const name = sibling.rfilename;
  return typeof name === 'string' && isPlainPath(name) ? name : undefined;
}

/** Asks for a file's hash and size. @throws EfficientNetError ERR_FETCH, ERR_OFFLINE */
export async function describeFile({ hub, name, access, signal, timing }: HubSource, commit: string, file: string): Promise<RemoteFile> {
  const url = address(hub, `/${name.id}/resolve/${commit}/${file.split('/').map(encodeURIComponent).join('/')}`);
  // Large files are redirected to storage elsewhere, and the redirect itself has the headers.
  const headers = await askHead({ url, access, signal, timing, final: ({ headers: found }) => found['x-linked-etag'] !== undefined });
  if (headers === undefined) throw notThere(`The repository ${name.id} has no file ${file} at the commit ${commit}`);
  const linked = headers['x-linked-etag'];
  const etag = String(linked ?? headers.etag ?? '').replace(/^W\//, '').replaceAll('"', '');
  const digest = digestOf(etag);
  if (digest === undefined) {
    throw notThere(`${shown(url)} comes without the hash by which it could be checked (an ETag of 40 or 64 hexadecimal digits)`);
  }
  const length = linked === undefined ? headers['content-length'] : headers['x-linked-size'];
  const bytes = length === undefined ? undefined : Number(length);
  if (bytes !== undefined && !(Number.isSafeInteger(bytes) && bytes >= 0 && bytes <= FILE_LIMIT)) {
    throw notThere(`${shown(url)} has ${String(length).slice(0, 30)} bytes, expected at most ${FILE_LIMIT}`);
  }
  return { name: file, url, etag, digest, bytes };
}

/**
 * Puts a file into a snapshot, fetching its blob if that is not there.
 * @throws EfficientNetError ERR_FETCH, ERR_OFFLINE, ERR_FILE; the signal's reason
 */
export async function fetchFile(source: HubSource, commit: string, file: RemoteFile, onBytes: (bytes: number) => void): Promise<void> {
  const { cache } = source;
  await cache.prepare(commit, file.name);
  const path = join(cache.blobs, file.etag);
  const isThere = async (): Promise<boolean> => (await checkFile({ path, bytes: file.bytes, digest: file.digest })).state === 'valid';
  if (!(await isThere())) {
    // Whatever lies under the name is damaged, and only looked at again once it is another file.
    const done = async (): Promise<boolean> => (await fs.stat(path).catch(() => undefined)) !== undefined && (await isThere());
    await waitForOthers(cache.blobs, file.etag, { signal: source.signal, onBytes, done });
    if (!(await done())) await fetchBlob(source, file, path, done, onBytes);
  }
  onBytes(file.bytes ?? 0);
  await cache.link(file.etag, commit, file.name);
}

async function fetchBlob(
  source: HubSource,
  file: RemoteFile,
  path: string,
  isThere: () => Promise<boolean>,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const { blobs } = source.cache;
  const left = (await leftovers(blobs, file.etag)).find(({ bytes }) => bytes > 0 && bytes <= (file.bytes ?? FILE_LIMIT));
  await checkSpace(blobs, (file.bytes ?? 0), path);
  try {
    const found = await attempt(source, file, path, left, onBytes);
    if (found === undefined) return;
    // What was left may have been spoilt; what was fetched in one piece is wrong for good.
    const again = left === undefined ? found : await attempt(source, file, path, undefined, onBytes);
    if (again !== undefined) {
      throw notThere(`${shown(file.url)} is not the file that the hub describes: expected ${nameOf(file.digest)} ${file.digest.hex}, ${again}`);
    }
  } catch (error) {
    // Another process may have put it there, and cleared up.
    if (await isThere()) return;
    throw error;
  } finally {
    if (await isThere()) await removeLeftovers(blobs, file.etag, left);
  }
}

/** Downloads into a partial file and gives it its name; returns what was found where the hash is another. */
async function attempt(
  { cache, access, signal, timing }: HubSource,
  file: RemoteFile,
  path: string,
  from: Leftover | undefined,
  onBytes: (bytes: number) => void,
): Promise<string | undefined> {
  const partial = await openPartial(cache.blobs, file.etag, from);
  let answer;
  try {
    onBytes(partial.bytes);
    answer = await downloadFile({ url: file.url, access, limit: FILE_LIMIT, length: file.bytes, signal, timing, onProgress: onBytes }, partial);
  } catch (error) {
    // What came so far is worth keeping, except to those whose disk is full.
    await (error instanceof EfficientNetError && error.code === 'ERR_FILE' ? partial.discard() : partial.leave());
    throw error;
  }
  const check = answer === undefined ? undefined : await checkFile({ path: partial.path, bytes: file.bytes, digest: file.digest });
  if (check?.state === 'valid') return partial.finish(path).then(() => undefined);
  await partial.discard();
  if (answer === undefined) throw notThere(`${shown(file.url)} is described by the hub and not there`);
  return check?.state === 'damaged' ? `found ${check.found}` : 'found nothing';
}

/** Not begun rather than broken off: a download of minutes that cannot fit. */
async function checkSpace(folder: string, bytes: number, path: string): Promise<void> {
  const info = await fs.statfs(folder).catch((error: unknown) => {
    if (systemCode(error) === '') throw error;
    return undefined;
  });
  const free = info === undefined ? Infinity : info.bavail * info.bsize;
  if (bytes > free) throw new EfficientNetError('ERR_FILE', `No space left for ${path}: it has ${bytes} bytes and ${free} are free`);
}

function notThere(what: string): EfficientNetError {
  return new EfficientNetError('ERR_FETCH', what);
}
