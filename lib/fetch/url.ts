// SPDX-License-Identifier: Apache-2.0
// A checkpoint at a plain address as a file on this machine, in the cache folder:
//
//   urls/KEY/source.json            what was fetched: file, hash, ETag; written last
//   urls/KEY/HASH/model.safetensors the file, and those that it names
//
// KEY is a hash of the address. What a checkpoint is, is told by its first bytes only.

import { createHash } from 'node:crypto';
import { promises as fs } from 'node:fs';
import { join } from 'node:path';

import { cacheFolder, cannotRead, checkFile, prepareFolder, writeAtomic, type Digest } from '../cache.js';
import { EfficientNetError } from '../errors.js';
import { detectFormat } from '../formats/index.js';
import { companionsOf, mayHaveCompanions } from '../formats/companions.js';
import { downloadFile, type Download } from './download.js';
import { shown, type Access } from './http.js';
import { formatIntegrity } from './integrity.js';
import { openNetwork } from './network.js';
import { isOffline, type FetchOptions, type FetchProgress } from './options.js';
import { leftovers, openPartial, removeLeftovers, waitForOthers, type Partial } from './partial.js';
import { Shared } from './share.js';

const FILE_LIMIT = 8 * 2 ** 30;
const SOURCE = 'source.json';

export interface UrlOptions extends FetchOptions {
  readonly integrity?: Digest | undefined;
}

interface StoredFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** What source.json says. */
interface Source {
  readonly folder: string;
  readonly etag: string;
  /** The one asked for, then those that it names. */
  readonly files: readonly StoredFile[];
}

const fetches = new Shared<string, FetchProgress>();

/**
 * The path of the file at an http or https address, fetched unless it is cached; with `update`, or an
 * `integrity` that the cached file does not have, the server is asked again.
 * @throws EfficientNetError ERR_OFFLINE, ERR_FETCH, ERR_FILE; the signal's reason
 */
export async function resolveUrl(url: URL, options: UrlOptions = {}): Promise<string> {
  const { integrity, timing } = options;
  options.signal?.throwIfAborted();
  const root = join(cacheFolder(), 'urls', keyOf(url));
  const cached = await readCached(root, integrity);
  const path = pathOf(root, cached);
  const offline = isOffline(options);
  if (path !== undefined && (offline || options.update !== true)) return path;
  if (offline) {
    throw new EfficientNetError('ERR_OFFLINE', `${shown(url)} is not cached and the network is not to be used; give a file of your own as weights`);
  }
  return fetches.join(JSON.stringify([root, integrity, options.update]), options, async (signal, onProgress) => {
    // What another process has put there meanwhile.
    const theirs = async (): Promise<string | undefined> => (options.update === true ? undefined : pathOf(root, await readCached(root, integrity)));
    try {
      await prepareFolder(root);
      await waitForOthers(root, partName(url), { signal, onBytes: () => undefined, done: async () => (await theirs()) !== undefined });
      const access = await urlAccess();
      return (await theirs()) ?? (await fetchUrl({ url, root, access, signal, onProgress, timing, integrity, cached }));
    } catch (error) {
      if (path !== undefined && error instanceof EfficientNetError && error.code === 'ERR_OFFLINE') return path;
      const other = await theirs();
      if (other !== undefined) return other;
      throw error;
    }
  });
}

function pathOf(root: string, source: Source | undefined): string | undefined {
  const [first] = source?.files ?? [];
  return source && first && join(root, source.folder, first.name);
}

function keyOf(url: URL): string {
  const address = new URL(url);
  address.username = '';
  address.password = '';
  address.hash = '';
  return createHash('sha256').update(address.href).digest('hex').slice(0, 32);
}

async function urlAccess(): Promise<Access> {
  return {
    ...(await openNetwork()),
    headers: () => ({}),
    advice: (status) => (status === 401 || status === 403 ? '; the address may need a signed query or has expired' : ''),
  };
}

// ---- cached -------------------------------------------------------------------------------------------

/** What is cached and sound, or undefined. */
async function readCached(root: string, integrity: Digest | undefined): Promise<Source | undefined> {
  const text = await fs.readFile(join(root, SOURCE), 'utf8').catch(() => '');
  const source = parseSource(text);
  for (const file of source?.files ?? []) {
    const path = join(root, source?.folder ?? '', file.name);
    const check = await checkFile({ path, bytes: file.bytes, digest: { algorithm: 'sha256', hex: file.sha256 } });
    if (check.state !== 'valid') return undefined;
  }
  const [first] = source?.files ?? [];
  if (!source || !first || integrity === undefined) return source;
  const path = join(root, source.folder, first.name);
  return (await checkFile({ path, digest: integrity })).state === 'valid' ? source : undefined;
}

/** The file is our own, yet anybody may have written to it: names that could leave the folder are not followed. */
function parseSource(text: string): Source | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { folder, etag, files } = { ...value } as Readonly<Record<string, unknown>>;
  if (typeof folder !== 'string' || !isPlain(folder) || typeof etag !== 'string' || !Array.isArray(files) || files.length === 0) return undefined;
  const stored: StoredFile[] = [];
  for (const file of files as readonly unknown[]) {
    const { name, bytes, sha256 } = { ...(typeof file === 'object' ? file : {}) } as Readonly<Record<string, unknown>>;
    if (typeof name !== 'string' || !isPlain(name) || typeof bytes !== 'number' || typeof sha256 !== 'string') return undefined;
    stored.push({ name, bytes, sha256 });
  }
  return { folder, etag, files: stored };
}

function isPlain(name: string): boolean {
  return /^[^\\/:\u0000-\u001f\u007f]{1,200}$/.test(name) && !name.startsWith('.');
}

// ---- fetched ------------------------------------------------------------------------------------------

interface UrlSource {
  readonly url: URL;
  readonly root: string;
  readonly access: Access;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: FetchProgress) => void;
  readonly timing: UrlOptions['timing'];
  readonly integrity: Digest | undefined;
  readonly cached: Source | undefined;
}

async function fetchUrl(source: UrlSource): Promise<string> {
  const { url, root, cached } = source;
  const name = fileNameOf(url);
  const got = await fetchOne(source, url, cached?.etag ?? '');
  if (got === 'unchanged') return pathOf(root, cached) ?? '';
  const { partial, etag } = got;
  const files: StoredFile[] = [];
  let folder = '';
  const store = async (part: Partial, as: string): Promise<void> => {
    const sha256 = await hashOf(part.path);
    folder ||= sha256.slice(0, 16);
    await prepareFolder(join(root, folder));
    const { bytes } = part;
    await part.finish(join(root, folder, as));
    files.push({ name: as, bytes, sha256 });
  };
  try {
    await checkContent(partial.path, source);
  } catch (error) {
    await partial.discard();
    throw error;
  }
  await store(partial, name);
  const main = join(root, folder, name);
  for (const companion of mayHaveCompanions(name) ? companionsOf(name, await readBack(main)) : []) {
    const other = await fetchOne(source, new URL(encodeURIComponent(companion), url), '');
    if (other !== 'unchanged') await store(other.partial, companion);
  }
  await writeAtomic(join(root, SOURCE), Buffer.from(`${JSON.stringify({ url: shown(url), folder, etag, files }, undefined, 2)}\n`));
  await removeOthers(root, folder);
  return main;
}

/** Downloads into a partial file, going on with one that an earlier call has left of the same content. */
async function fetchOne(source: UrlSource, url: URL, known: string): Promise<{ partial: Partial; etag: string } | 'unchanged'> {
  const { root, access, signal, timing } = source;
  const base = partName(url);
  const left = (await leftovers(root, base)).find(({ name, bytes }) => bytes > 0 && etagIn(name) !== undefined);
  const partial = await openPartial(root, left === undefined ? base : `${base}.${hexOf(etagIn(left.name) ?? '')}`, left);
  partial.etag = left === undefined ? undefined : etagIn(left.name);
  // The name says what it holds a part of, for a process that comes later.
  partial.begun = async () => {
    const etag = partial.etag === undefined ? '' : `.${hexOf(partial.etag)}`;
    const path = join(root, `${base}${etag}.${partial.path.slice(-19)}`);
    await fs.rename(partial.path, path);
    partial.path = path;
  };
  const headers: Record<string, string> = { accept: '*/*' };
  if (known !== '') headers['if-none-match'] = known;
  const what: Download = {
    url, access, headers, signal, timing, limit: FILE_LIMIT,
    onProgress: (receivedBytes) => source.onProgress({ name: fileNameOf(url), receivedBytes, totalBytes: partial.total ?? 0 }),
  };
  let answer;
  try {
    answer = await downloadFile(what, partial);
  } catch (error) {
    const useless = partial.etag === undefined || (error instanceof EfficientNetError && error.code === 'ERR_FILE');
    await (useless ? partial.discard() : partial.leave());
    throw error;
  }
  await removeLeftovers(root, base, left);
  if (answer !== undefined && answer !== 'unchanged') return { partial, etag: answer.etag ?? '' };
  await partial.discard();
  if (answer === 'unchanged') return answer;
  throw new EfficientNetError('ERR_FETCH', `There is no file at ${shown(url)} (404)`);
}

function partName(url: URL): string {
  return createHash('sha256').update(url.href).digest('hex').slice(0, 16);
}

/** The ETag that a partial file's name holds: `<base>.<hex>.incomplete`, or with 8 more hex digits before the end. */
function etagIn(name: string): string | undefined {
  const [, hex] = /^[0-9a-f]{16}\.((?:[0-9a-f]{2})+)(?:\.[0-9a-f]{8})?\.incomplete$/.exec(name) ?? [];
  return hex === undefined ? undefined : Buffer.from(hex, 'hex').toString('latin1');
}

function hexOf(etag: string): string {
  return Buffer.from(etag, 'latin1').toString('hex');
}

/** A page to log in on, or another file than the one that was meant, must not stay in the cache. */
async function checkContent(path: string, { url, integrity }: UrlSource): Promise<void> {
  if (integrity !== undefined) {
    const check = await checkFile({ path, digest: integrity });
    if (check.state !== 'valid') {
      const found = check.state === 'damaged' && check.digest !== undefined ? formatIntegrity(check.digest) : 'no file';
      throw new EfficientNetError(
        'ERR_FETCH',
        `${shown(url)} is not the file that the option integrity asks for: expected ${formatIntegrity(integrity)}, found ${found}`,
      );
    }
  }
  const handle = await fs.open(path);
  try {
    const start = Buffer.alloc(512);
    const { bytesRead } = await handle.read(start, 0, start.length, 0);
    detectFormat(start.subarray(0, bytesRead));
  } catch (error) {
    if (!(error instanceof EfficientNetError)) throw cannotRead(path, error);
    throw new EfficientNetError(error.code, `${shown(url)}: ${error.message}`, { cause: error });
  } finally {
    await handle.close();
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  const handle = await fs.open(path);
  try {
    for await (const chunk of handle.createReadStream({ highWaterMark: 1 << 20, autoClose: false })) hash.update(chunk as Buffer);
  } finally {
    await handle.close();
  }
  return hash.digest('hex');
}

async function readBack(path: string): Promise<Buffer> {
  return fs.readFile(path).catch((cause: unknown) => {
    throw cannotRead(path, cause);
  });
}

/** Earlier contents of the address. */
async function removeOthers(root: string, folder: string): Promise<void> {
  for (const name of await fs.readdir(root).catch(() => [])) {
    if (name !== folder && /^[0-9a-f]{16}$/.test(name)) await fs.rm(join(root, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

/** The last part of the address, as far as it is fit for a file's name. */
function fileNameOf(url: URL): string {
  const last = url.pathname.split('/').at(-1) ?? '';
  const name = last.replace(/%[0-9A-Fa-f]{2}|[^A-Za-z0-9._-]/g, '_').replace(/^\.+/, '').slice(-100);
  return name === '' ? 'checkpoint' : name;
}
