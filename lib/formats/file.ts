// SPDX-License-Identifier: Apache-2.0
// A regular file into memory, once: its beginning first, the rest in parts while the beginning is looked
// at. What the bytes mean is not known here.

import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { describeValue, invalidArgument } from '../check.js';
import { EfficientNetError } from '../errors.js';
import { invalidCheckpoint } from './bytes.js';

/** Enough for every format to be told, and for the header of most safetensors files. */
const kStartBytes = 2 ** 17;
/**
 * Several parts at a time: most of the time goes into fresh memory, page by page, which two cores do in
 * half of it (21 MB from the system's cache: 28 ms in one part, 11 in several). As many wait at once that
 * the system has something to do while JavaScript is busy.
 */
const kPart = 4 * 2 ** 20;
const kAtOnce = 8;

export function toPath(source: unknown): string {
  if (typeof source === 'string' && source.length > 0) return source;
  if (source instanceof URL && source.protocol === 'file:') return filePath(source);
  throw invalidArgument('the checkpoint', 'a path, a file URL or a Uint8Array', source);
}

/** Throws ERR_FILE for a URL of another host, or with an escaped slash. */
export function filePath(url: URL): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new EfficientNetError('ERR_FILE', `The file URL ${describeValue(url.href)} names no file here`, { cause });
  }
}

/** Reads a regular file of at most `limit` bytes. */
export async function wholeFile(path: string, limit: number): Promise<Uint8Array> {
  const file = await openFile(path, limit, () => undefined);
  await file.complete();
  return file.bytes;
}

/** Opens it and reads its beginning; `inspect` sees that before memory is taken for the rest. */
export async function openFile(path: string, limit: number, inspect: (start: Uint8Array) => unknown): Promise<OpenedFile> {
  let handle: FileHandle | undefined;
  try {
    // Without O_NONBLOCK, opening a pipe would wait for a writer for ever.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stats = await handle.stat();
    if (stats.isDirectory()) throw new EfficientNetError('ERR_FILE', 'Expected a file but this is a directory; name a file in it, such as model.json');
    if (!stats.isFile()) throw new EfficientNetError('ERR_FILE', 'Expected a regular file but this is a pipe or a device; save it to a file first');
    if (stats.size > limit) throw invalidCheckpoint(`Expected at most ${limit} bytes but the file has ${stats.size}`);
    const start = new Uint8Array(Math.min(stats.size, kStartBytes));
    await readRange(handle, start, 0, start.length);
    inspect(start);
    const bytes = allocate(stats.size);
    bytes.set(start);
    return new OpenedFile(handle, bytes, start.length);
  } catch (cause) {
    await handle?.close();
    throw fileError(cause);
  }
}

/** Ends with complete or abandon, which close it. */
export class OpenedFile {
  /** Of the file's size; what is not read yet is zero. */
  readonly bytes: Uint8Array;
  readonly #handle: FileHandle;
  #next: number;
  #rest: Promise<unknown> | undefined;
  #closed = false;

  constructor(handle: FileHandle, bytes: Uint8Array, read: number) {
    this.#handle = handle;
    this.bytes = bytes;
    this.#next = read;
  }

  /** Resolves when the bytes before `end` are there. */
  async upTo(end: number): Promise<void> {
    if (end <= this.#next) return;
    try {
      await readRange(this.#handle, this.bytes, this.#next, end);
    } catch (cause) {
      throw fileError(cause);
    }
    this.#next = end;
  }

  /** Begins to read the rest. */
  readOn(): void {
    this.#rest ??= Promise.all(Array.from({ length: kAtOnce }, () => this.#readParts()));
    this.#rest.catch(() => undefined); // complete tells
  }

  async complete(): Promise<void> {
    this.readOn();
    try {
      await this.#rest;
    } catch (cause) {
      throw fileError(cause);
    } finally {
      await this.#close();
    }
  }

  async abandon(): Promise<void> {
    this.#next = this.bytes.length;
    await this.#rest?.catch(() => undefined);
    await this.#close();
  }

  async #readParts(): Promise<void> {
    while (this.#next < this.bytes.length) {
      const at = this.#next;
      this.#next = Math.min(at + kPart, this.bytes.length);
      await readRange(this.#handle, this.bytes, at, this.#next);
    }
  }

  async #close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#handle.close();
  }
}

async function readRange(handle: FileHandle, bytes: Uint8Array, begin: number, end: number): Promise<void> {
  for (let at = begin; at < end; ) {
    const { bytesRead } = await handle.read(bytes, at, end - at, at);
    if (bytesRead === 0) throw new EfficientNetError('ERR_FILE', 'The file became shorter while it was read');
    at += bytesRead;
  }
}

function fileError(cause: unknown): EfficientNetError {
  if (cause instanceof EfficientNetError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new EfficientNetError('ERR_FILE', `The file cannot be read: ${reason}`, { cause });
}

function allocate(size: number): Uint8Array {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    throw new EfficientNetError('ERR_OUT_OF_MEMORY', `The file of ${size} bytes does not fit in memory`, { cause });
  }
}
