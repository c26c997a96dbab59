// SPDX-License-Identifier: Apache-2.0
// One bounded download into memory: redirects, retries, stalls and cancelling. It knows HTTP and the
// registry's settings, and nothing of packages, caches or what the bytes mean.

import { request as requestHttp, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';

import { systemCode } from '../cache.js';
import { EfficientNetError } from '../errors.js';
import type { Registry } from './registry.js';

const MAXIMUM_REDIRECTS = 5;
const ATTEMPTS = 3;
/** A window in which less than this arrives is a stall; 550 bytes a second would take ten hours. */
const STALL_BYTES = 16 * 1024;
/** A server that asks for a longer pause than this is believed, and not waited for. */
const LONGEST_PAUSE_MILLISECONDS = 30_000;

const UNREACHABLE = new Set([
  'ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL', 'EHOSTDOWN',
]);
const TRANSIENT = new Set([
  ...UNREACHABLE, 'ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'ECONNABORTED', 'ERR_SOCKET_CONNECTION_TIMEOUT',
]);

const ADVICE: ReadonlyMap<number, string> = new Map([
  [401, '; check the credentials in your .npmrc'],
  [403, '; check the credentials in your .npmrc'],
  [407, '; check the proxy setting in your .npmrc or environment'],
]);

export interface Timing {
  /** Milliseconds before the second attempt; each further pause is twice as long. */
  readonly pause: number;
  /** Milliseconds in which something must arrive. */
  readonly stall: number;
}

const TIMING: Timing = { pause: 1000, stall: 30_000 };

export interface Download {
  readonly url: URL;
  readonly registry: Registry;
  readonly accept: string;
  /** The most bytes that are read; a longer answer is refused. */
  readonly limit: number;
  /** The exact length, where it is known. */
  readonly length?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((receivedBytes: number) => void) | undefined;
  readonly timing?: Timing | undefined;
}

/** A failed attempt: what to tell, whether another may help, and how long to wait before it. */
class Failure extends Error {
  readonly retry: boolean;
  readonly unreachable: boolean;
  readonly status: number | undefined;
  readonly pause: number | undefined;

  constructor(
    message: string,
    details: { retry: boolean; unreachable?: boolean; status?: number; pause?: number | undefined; cause?: unknown },
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.retry = details.retry;
    this.unreachable = details.unreachable ?? false;
    this.status = details.status;
    this.pause = details.pause;
  }
}

/**
 * Downloads a URL, or returns undefined where the server says that there is nothing (404, 410).
 * Transient failures are tried three times in all.
 * @throws EfficientNetError ERR_OFFLINE if no connection could be made, ERR_FETCH for all else; the
 *   signal's reason once it is aborted
 */
export async function download(what: Download): Promise<Buffer | undefined> {
  const timing = what.timing ?? TIMING;
  for (let attempt = 1; ; attempt++) {
    what.signal?.throwIfAborted();
    try {
      return await follow(what, timing);
    } catch (error) {
      what.signal?.throwIfAborted();
      if (!(error instanceof Failure)) throw error;
      if (error.status === 404 || error.status === 410) return undefined;
      const pause = error.pause ?? timing.pause * 2 ** (attempt - 1);
      if (!error.retry || attempt === ATTEMPTS || pause > LONGEST_PAUSE_MILLISECONDS) {
        throw finalError(error, what, attempt);
      }
      await delay(pause, undefined, what.signal ? { signal: what.signal } : {}).catch(() => undefined);
    }
  }
}

function finalError(failure: Failure, what: Download, attempts: number): EfficientNetError {
  const tries = attempts === 1 ? '' : ` (${attempts} attempts)`;
  const notes = what.registry.notes.map((note) => `; ${note}`).join('');
  return new EfficientNetError(
    failure.unreachable ? 'ERR_OFFLINE' : 'ERR_FETCH',
    `Downloading ${shown(what.url)} failed${tries}: ${failure.message}${notes}`,
    { cause: failure.cause },
  );
}

async function follow(what: Download, timing: Timing): Promise<Buffer> {
  let url = what.url;
  for (let redirects = 0; redirects <= MAXIMUM_REDIRECTS; redirects++) {
    const answer = await requestOnce(url, what, timing);
    if (Buffer.isBuffer(answer)) return answer;
    url = answer;
  }
  throw new Failure(`more than ${MAXIMUM_REDIRECTS} redirects`, { retry: false });
}

/** One request: the body, or the address that it redirects to. */
async function requestOnce(url: URL, what: Download, timing: Timing): Promise<Buffer | URL> {
  const agent = await what.registry.agent(url);
  const route = agent ? `${url.host} through the proxy` : url.host;
  const options: RequestOptions = {
    headers: {
      ...what.registry.headers(url),
      accept: what.accept,
      'accept-encoding': 'identity',
      'user-agent': 'efficientnet-simd',
    },
    ...what.registry.tls(url),
    // A connection of its own: a kept one would hold the process open after the download.
    agent: agent ?? false,
  };
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, options);
    let seen = 0;
    let seenAtTick = 0;
    const settle = (act: () => void): void => {
      clearInterval(watch);
      what.signal?.removeEventListener('abort', onAbort);
      act();
      request.destroy();
    };
    const fail = (error: unknown): void => settle(() => reject(asFailure(error, route)));
    const onAbort = (): void => fail(new Failure('aborted', { retry: false }));
    const watch = setInterval(() => {
      if (seen - seenAtTick < STALL_BYTES) {
        fail(new Failure(`${shown(url)} sent nothing, or next to nothing, for ${timing.stall} ms`, { retry: true }));
      }
      seenAtTick = seen;
    }, timing.stall);
    what.signal?.addEventListener('abort', onAbort, { once: true });
    request.on('error', fail);
    request.on('response', (response) => {
      const next = redirectTarget(response, url);
      if (next !== undefined) return next instanceof Failure ? fail(next) : settle(() => resolve(next));
      const refusal = refuse(response, what);
      if (refusal) return fail(refusal);
      readBody(response, what, (total) => { seen = total; }, fail, (body) => settle(() => resolve(body)));
    });
    request.end();
  });
}

function readBody(
  response: IncomingMessage,
  what: Download,
  onBytes: (total: number) => void,
  fail: (error: unknown) => void,
  done: (body: Buffer) => void,
): void {
  const chunks: Buffer[] = [];
  let total = 0;
  response.on('data', (chunk: Buffer) => {
    total += chunk.length;
    if (total > what.limit) {
      response.destroy();
      return fail(new Failure(`expected at most ${what.limit} bytes and more arrived`, { retry: false }));
    }
    chunks.push(chunk);
    onBytes(total);
    try {
      what.onProgress?.(total);
    } catch (error) {
      fail(error);
    }
  });
  const endedEarly = (): Failure => {
    const expected = what.length ?? response.headers['content-length'] ?? 'unknown';
    return new Failure(`the connection ended after ${total} of ${expected} bytes`, { retry: true });
  };
  response.on('error', (error) => fail(systemCode(error) === 'ECONNRESET' ? endedEarly() : error));
  response.on('end', () => {
    if (!response.complete || total !== (what.length ?? total)) return fail(endedEarly());
    done(Buffer.concat(chunks, total));
  });
}

function redirectTarget(response: IncomingMessage, from: URL): URL | Failure | undefined {
  if (![301, 302, 303, 307, 308].includes(response.statusCode ?? 0)) return undefined;
  const location = response.headers.location ?? '';
  const next = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (next?.protocol === 'http:' || next?.protocol === 'https:') {
    next.username = '';
    next.password = '';
    return next;
  }
  return new Failure(`${shown(from)} redirects to an address that is not http or https`, { retry: false });
}

/** Why an answer is not read at all, or undefined if it is. */
function refuse(response: IncomingMessage, what: Download): Failure | undefined {
  const status = response.statusCode ?? 0;
  if (status !== 200) {
    const retry = status === 408 || status === 429 || status >= 500;
    const advice = ADVICE.get(status) ?? '';
    const pause = retry ? retryAfter(response.headers['retry-after']) : undefined;
    const asked = pause === undefined ? '' : `; it asks to wait ${Math.ceil(pause / 1000)} s`;
    return new Failure(`the server answered ${status}${advice}${asked}`, { retry, status, pause });
  }
  const announced = response.headers['content-length'];
  const length = announced === undefined ? undefined : Number(announced);
  if (length === undefined) return undefined;
  const wrong = what.length === undefined ? length > what.limit : length !== what.length;
  const expected = what.length === undefined ? `at most ${what.limit}` : String(what.length);
  if (wrong) return new Failure(`the server announces ${length} bytes where ${expected} are expected`, { retry: false });
  return undefined;
}

/** Milliseconds of a Retry-After header in either of its forms. */
function retryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds * 1000;
  const until = Date.parse(header) - Date.now();
  return Number.isNaN(until) ? undefined : Math.max(0, until);
}

function asFailure(error: unknown, route: string): unknown {
  if (error instanceof Failure || error instanceof EfficientNetError) return error;
  const code = systemCode(error);
  // Not an error of the network: what the caller's own onProgress threw passes through unchanged.
  if (code === '') return error;
  if (/CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|ERR_SSL|ERR_TLS/.test(code)) {
    return new Failure(
      `the certificate of ${route} was not accepted (${code}); "cafile" in your .npmrc names further authorities`,
      { retry: false, cause: error },
    );
  }
  return new Failure(`${route}: ${code}`, {
    retry: TRANSIENT.has(code) && code !== 'ENOTFOUND',
    unreachable: UNREACHABLE.has(code),
    cause: error,
  });
}

/** An address without anything that could be secret. */
export function shown(url: URL): string {
  return url.origin + url.pathname;
}
