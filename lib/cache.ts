// SPDX-License-Identifier: Apache-2.0
// The cache folder: where it is, how a file gets into it whole or not at all, and how a file in it
// is checked. Knows nothing of models or networks; the catalogue decides what is kept here.

import { constants, promises as fs } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

import { EfficientNetError } from './errors.js';
import { temporaryPath } from './leftovers.js';

/** Loaded when something is hashed or written: it is the slowest of Node's own modules to load. */
const crypto = (): typeof import('node:crypto') => require('node:crypto') as typeof import('node:crypto');

const CHUNK = 1 << 20;

/**
 * The folder that keeps fetched models: EFFICIENTNET_SIMD_CACHE, else the platform's own place for
 * caches. It need not exist yet.
 */
export function cacheFolder(
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  const own = env['EFFICIENTNET_SIMD_CACHE'];
  if (own) return resolve(own);
  const name = 'efficientnet-simd';
  if (platform === 'win32') {
    return join(env['LOCALAPPDATA'] || join(homedir(), 'AppData', 'Local'), name, 'Cache');
  }
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', name);
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), name);
}

/** The system's code of a failed call (`ENOENT`), or the empty string for anything else. */
export function systemCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return '';
}

/**
 * Makes the folder and proves that a file can be written in it, so that a download is not wasted.
 * @throws EfficientNetError ERR_FILE
 */
export async function prepareFolder(folder: string): Promise<void> {
  try {
    await fs.mkdir(folder, { recursive: true });
    await fs.access(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw cannotWrite(folder, cause);
  }
}

/**
 * Puts bytes, whole or in parts, under a path as one step: written to a neighbouring temporary file, synchronised, then
 * renamed. At every moment the path holds the old content or the new, never a part. A `signal` stops it
 * between chunks of 1 MB, up to the renaming.
 * @throws EfficientNetError ERR_FILE; the signal's reason; the temporary file is removed
 */
export async function writeAtomic(path: string, content: Uint8Array | readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
  const parts = content instanceof Uint8Array ? [content] : content;
  const temporary = temporaryPath(path);
  try {
    const handle = await fs.open(temporary, 'wx', 0o644);
    try {
      for (const part of parts) await writeWhole(handle, part, signal);
      signal?.throwIfAborted();
      await handle.sync();
    } finally {
      await handle.close();
    }
    signal?.throwIfAborted();
    await fs.rename(temporary, path);
  } catch (cause) {
    await fs.rm(temporary, { force: true }).catch(() => undefined);
    if (signal?.aborted === true && cause === signal.reason) throw cause;
    throw cannotWrite(path, cause, parts.reduce((sum, part) => sum + part.length, 0));
  }
}

async function writeWhole(handle: fs.FileHandle, part: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  for (let at = 0; at < part.length; ) {
    signal?.throwIfAborted();
    at += (await handle.write(part, at, Math.min(CHUNK, part.length - at))).bytesWritten;
  }
}

/** How a file's content is proven: a plain hash, or git's, which hashes a line with the length first. */
export interface Digest {
  readonly algorithm: 'sha256' | 'sha384' | 'sha512' | 'git';
  /** Lower-case hexadecimal. */
  readonly hex: string;
}

export interface FileCheck {
  readonly path: string;
  /** Where it is known. */
  readonly bytes?: number | undefined;
  readonly digest: Digest;
}

export type FileState =
  | { readonly state: 'valid' | 'missing' }
  /** `digest`: of the whole content, where its length was right. */
  | { readonly state: 'damaged'; readonly found: string; readonly digest?: Digest };

/** Files proven in this process, by path; the value changes whenever the file does. */
const proven = new Map<string, string>();

/**
 * Whether a file holds what it should. The whole file is hashed once per process and file (12 ms for
 * 21 MB with SHA extensions, about 50 ms without, in pieces that leave the event loop free); after
 * that its inode, size and times stand for it. A size alone would miss the damage that a disk does.
 * @throws EfficientNetError ERR_FILE if the file is there and cannot be read
 */
export async function checkFile(expected: FileCheck): Promise<FileState> {
  const { path, bytes, digest } = expected;
  let handle;
  try {
    handle = await fs.open(path, 'r');
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return { state: 'missing' };
    throw cannotRead(path, cause);
  }
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw new EfficientNetError('ERR_FILE', `Expected a file at ${path}, found something else`);
    if (bytes !== undefined && info.size !== bytes) {
      return { state: 'damaged', found: `${info.size} bytes instead of ${bytes}` };
    }
    const stamp = [digest.hex, info.ino, info.size, info.mtimeMs, info.ctimeMs].join(':');
    if (proven.get(path) === stamp) return { state: 'valid' };
    const found = await hashOf(handle, info.size, digest.algorithm);
    if (found !== digest.hex) {
      return { state: 'damaged', found: `${nameOf(digest)} ${found} instead of ${digest.hex}`, digest: { algorithm: digest.algorithm, hex: found } };
    }
    proven.set(path, stamp);
    return { state: 'valid' };
  } catch (cause) {
    throw cause instanceof EfficientNetError ? cause : cannotRead(path, cause);
  } finally {
    await handle.close();
  }
}

async function hashOf(handle: fs.FileHandle, size: number, algorithm: Digest['algorithm']): Promise<string> {
  const hash = crypto().createHash(algorithm === 'git' ? 'sha1' : algorithm);
  if (algorithm === 'git') hash.update(`blob ${size}\0`);
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK, size));
  for (let at = 0; at < size; ) {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) break;
    hash.update(chunk.subarray(0, bytesRead));
    at += bytesRead;
  }
  return hash.digest('hex');
}

/** Of a digest, for messages. */
export function nameOf({ algorithm }: Digest): string {
  return algorithm === 'git' ? 'git hash' : algorithm;
}

export function sha256Of(bytes: Uint8Array): string {
  return crypto().createHash('sha256').update(bytes).digest('hex');
}

/** ERR_FILE for what could not be read. */
export function cannotRead(path: string, cause: unknown): EfficientNetError {
  return new EfficientNetError('ERR_FILE', `Cannot read ${path} (${systemCode(cause) || String(cause)})`, { cause });
}

/** ERR_FILE for what a disk would not take. */
export function cannotWrite(path: string, cause: unknown, bytes?: number): EfficientNetError {
  const code = systemCode(cause);
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  const what = full
    ? `No space left for ${path}${bytes === undefined ? '' : ` (${bytes} bytes)`}`
    : `Cannot write ${path} (${code || String(cause)})`;
  return new EfficientNetError('ERR_FILE', what, { cause });
}
