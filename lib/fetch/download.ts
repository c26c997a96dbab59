// SPDX-License-Identifier: Apache-2.0
// One bounded download, into memory or into a file that it can go on with: attempts, pauses and what
// lengths an answer may have. It knows nothing of packages, caches or what the bytes mean.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { FileHandle } from 'node:fs/promises';

import { cannotWrite } from '../cache.js';
import { EfficientNetError } from '../errors.js';
import { bodyOf, exchange, Failure, requireStatus, shown, type Exchange, type Timing } from './http.js';

const ATTEMPTS = 3;
/** A server that asks for a longer pause than this is believed, and not waited for. */
const LONGEST_PAUSE_MILLISECONDS = 30_000;
/** An attempt that brought this much was worth it: the next one counts as the first. */
const WORTHWHILE_BYTES = 1 << 20;

const TIMING: Timing = { pause: 1000, stall: 30_000 };

export interface Download extends Omit<Exchange, 'timing' | 'method' | 'final'> {
  /** The most bytes that are read; a longer answer is refused. */
  readonly limit: number;
  /** The exact length, where it is known. */
  readonly length?: number | undefined;
  readonly onProgress?: ((receivedBytes: number) => void) | undefined;
  readonly timing?: Timing | undefined;
}

/**
 * Downloads a URL, or returns undefined where the server says that there is nothing (404, 410).
 * Transient failures are tried three times in all.
 * @throws EfficientNetError ERR_OFFLINE if no connection could be made, ERR_FETCH for all else; the
 *   signal's reason once it is aborted
 */
export async function download(what: Download): Promise<Buffer | undefined> {
  return retried(what, (timing) =>
    exchange({ ...what, timing }, async (response, url, arrived) => {
      requireStatus(response, url, what.access, [200]);
      checkAnnounced(response, 0, what);
      const chunks: Buffer[] = [];
      let total = 0;
      for await (const chunk of bodyOf(response, what.length)) {
        total = checkTotal(total + chunk.length, what);
        chunks.push(chunk);
        arrived(chunk.length);
        what.onProgress?.(total);
      }
      return Buffer.concat(chunks, total);
    }),
  );
}

/** The headers of an answer to HEAD, or undefined where the server says that there is nothing. */
export async function askHead(what: Omit<Download, 'limit' | 'length' | 'onProgress'> & Pick<Exchange, 'final'>): Promise<IncomingHttpHeaders | undefined> {
  return retried(what, (timing) =>
    exchange({ ...what, timing, method: 'HEAD' }, (response, url) => {
      if (what.final?.(response) !== true) requireStatus(response, url, what.access, [200]);
      return Promise.resolve(response.headers);
    }),
  );
}

/** A file that grows by what arrives. */
export interface Growing {
  readonly handle: FileHandle;
  path: string;
  /** Bytes that it holds and that are believed; kept up to date. */
  bytes: number;
  /** Strong ETag of what it holds a part of; without one the length and a later hash must do. */
  etag?: string | undefined;
  /** The whole length, as soon as it is known. */
  total?: number | undefined;
  /** Called when the content begins anew, with `etag` already that of the new content. */
  begun?(): Promise<void>;
}

/** 'unchanged': the server answered 304 to the caller's If-None-Match. */
export type FileAnswer = 'unchanged' | IncomingHttpHeaders;

/**
 * Downloads a URL into a file, going on where the file ends if the server lets it, also after a
 * connection has broken; a server that ignores ranges starts again. Returns the answer's headers, or
 * undefined where there is nothing (404, 410). Three attempts, not counting those that brought a megabyte.
 * @throws EfficientNetError ERR_OFFLINE, ERR_FETCH, ERR_FILE if the file cannot be written; the signal's reason
 */
export async function downloadFile(what: Download, file: Growing): Promise<FileAnswer | undefined> {
  const progress = (): boolean => file.bytes - started >= WORTHWHILE_BYTES;
  let started = file.bytes;
  return retried(
    what,
    (timing) => {
      started = file.bytes;
      return attemptFile(what, file, timing);
    },
    progress,
  );
}

async function attemptFile(what: Download, file: Growing, timing: Timing): Promise<FileAnswer> {
  // All there already, and only the last rename was missed.
  if (what.length !== undefined && what.length > 0 && file.bytes === what.length) return {};
  const from = file.bytes;
  const range: Record<string, string> = from === 0 ? {} : { range: `bytes=${from}-` };
  if (from > 0 && file.etag !== undefined) range['if-range'] = file.etag;
  return exchange({ ...what, headers: { ...what.headers, ...range }, timing }, async (response, url, arrived) => {
    if (from > 0 && response.statusCode === 416) {
      await restart(file);
      throw new Failure(`the server has no byte ${from} of it`, { retry: true });
    }
    if (response.statusCode === 304 && what.headers?.['if-none-match'] !== undefined) return 'unchanged';
    requireStatus(response, url, what.access, from > 0 ? [200, 206] : [200]);
    if (response.statusCode === 200) {
      await restart(file);
      file.etag = strongEtag(response.headers);
      await file.begun?.();
    } else {
      await checkContentRange(response, file, what);
    }
    checkAnnounced(response, file.bytes, what);
    const announced = response.headers['content-length'];
    file.total = what.length ?? (announced === undefined ? undefined : file.bytes + Number(announced));
    for await (const chunk of bodyOf(response, what.length, file.bytes)) {
      checkTotal(file.bytes + chunk.length, what);
      await write(file, chunk);
      arrived(chunk.length);
      what.onProgress?.(file.bytes);
    }
    return response.headers;
  });
}

async function restart(file: Growing): Promise<void> {
  if (file.bytes === 0) return;
  file.bytes = 0;
  await file.handle.truncate(0).catch((cause: unknown) => {
    throw cannotWrite(file.path, cause);
  });
}

async function write(file: Growing, chunk: Buffer): Promise<void> {
  try {
    for (let at = 0; at < chunk.length; ) {
      const { bytesWritten } = await file.handle.write(chunk, at, chunk.length - at, file.bytes);
      at += bytesWritten;
      file.bytes += bytesWritten;
    }
  } catch (cause) {
    throw cannotWrite(file.path, cause, file.bytes + chunk.length);
  }
}

/** An ETag that stands for exactly these bytes. */
export function strongEtag(headers: IncomingHttpHeaders): string | undefined {
  const { etag } = headers;
  return etag !== undefined && /^"[\x21\x23-\x7e]{1,96}"$/.test(etag) ? etag : undefined;
}

async function retried<T>(
  what: Pick<Download, 'url' | 'access' | 'signal' | 'timing'>,
  once: (timing: Timing) => Promise<T>,
  worthwhile: () => boolean = () => false,
): Promise<T | undefined> {
  const timing = what.timing ?? TIMING;
  for (let attempt = 1, tries = 1; ; attempt++, tries++) {
    what.signal?.throwIfAborted();
    try {
      return await once(timing);
    } catch (error) {
      what.signal?.throwIfAborted();
      if (!(error instanceof Failure)) throw error;
      if (error.status === 404 || error.status === 410) return undefined;
      if (worthwhile()) attempt = 1;
      const pause = error.pause ?? timing.pause * 2 ** (attempt - 1);
      if (!error.retry || attempt === ATTEMPTS || pause > LONGEST_PAUSE_MILLISECONDS) throw finalError(error, what, tries);
      await delay(pause, undefined, what.signal ? { signal: what.signal } : {}).catch(() => undefined);
    }
  }
}

function finalError(failure: Failure, { url, access }: Pick<Download, 'url' | 'access'>, attempts: number): EfficientNetError {
  const tries = attempts === 1 ? '' : ` (${attempts} attempts)`;
  const notes = access.notes.map((note) => `; ${note}`).join('');
  return new EfficientNetError(
    failure.unreachable ? 'ERR_OFFLINE' : 'ERR_FETCH',
    `Downloading ${shown(url)} failed${tries}: ${failure.message}${notes}`,
    { cause: failure.cause },
  );
}

/** Refuses an answer whose own words exclude that it is the right one. `have` bytes came before it. */
function checkAnnounced(response: IncomingMessage, have: number, what: Pick<Download, 'limit' | 'length'>): void {
  const encoding = response.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') {
    throw new Failure(`the server sends it ${encoding}-encoded, which was not asked for`, { retry: false });
  }
  const announced = response.headers['content-length'];
  if (announced === undefined) return;
  const length = have + Number(announced);
  const wrong = what.length === undefined ? length > what.limit : length !== what.length;
  const expected = what.length === undefined ? `at most ${what.limit}` : String(what.length);
  if (wrong) throw new Failure(`the server announces ${length} bytes where ${expected} are expected`, { retry: false });
}

/** A range that was not asked for: what is there is not to be trusted either, so the next attempt starts anew. */
async function checkContentRange(response: IncomingMessage, file: Growing, { length }: Pick<Download, 'length'>): Promise<void> {
  const header = response.headers['content-range'] ?? '';
  const [, first, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(header) ?? [];
  if (Number(first) === file.bytes && (length === undefined || total === '*' || Number(total) === length)) return;
  const asked = file.bytes;
  await restart(file);
  throw new Failure(`asked for the bytes from ${asked}, the server sent the range ${JSON.stringify(header.slice(0, 60))}`, { retry: true });
}

function checkTotal(total: number, { limit, length }: Pick<Download, 'limit' | 'length'>): number {
  if (total <= (length ?? limit)) return total;
  throw new Failure(`expected at most ${length ?? limit} bytes and more arrived`, { retry: false });
}
