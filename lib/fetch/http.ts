// SPDX-License-Identifier: Apache-2.0
// One HTTP exchange: redirects, stalls, cancelling and what an answer's status means. Who is asked and
// with which credentials is an Access; what becomes of the body is the receiver's; retries are in download.ts.

import { request as requestHttp, type Agent, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { ConnectionOptions } from 'node:tls';

import { systemCode } from '../cache.js';
import { EfficientNetError } from '../errors.js';

const MAXIMUM_REDIRECTS = 5;
/** A window in which less than this arrives is a stall; 550 bytes a second would take ten hours. */
const STALL_BYTES = 16 * 1024;

const UNREACHABLE = new Set([
  'ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL', 'EHOSTDOWN',
]);
const TRANSIENT = new Set([
  ...UNREACHABLE, 'ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'ECONNABORTED', 'ERR_SOCKET_CONNECTION_TIMEOUT',
]);

export type TlsSettings = Pick<ConnectionOptions, 'rejectUnauthorized' | 'checkServerIdentity' | 'ca' | 'cert' | 'key'>;

/** How addresses may be reached: the user's proxy, certificates and credentials. */
export interface Access {
  /** For the message of a download that fails. */
  readonly notes: readonly string[];
  /** Headers for a request to this address; credentials only where they belong. */
  headers(url: URL): Readonly<Record<string, string>>;
  /** The agent that goes through the user's proxy, or undefined for a direct connection. */
  agent(url: URL): Promise<Agent | undefined>;
  tls(url: URL): TlsSettings;
  /** What to do about a status, to complete a message ("; check ..."), or nothing. */
  advice(status: number): string;
  /** The error of an answer that this service explains in its own way, if it is one. */
  explain?(status: number, headers: IncomingHttpHeaders, url: URL): EfficientNetError | undefined;
}

export interface Timing {
  /** Milliseconds before the second attempt; each further pause is twice as long. */
  readonly pause: number;
  /** Milliseconds in which something must arrive. */
  readonly stall: number;
}

export interface Exchange {
  readonly url: URL;
  readonly access: Access;
  readonly method?: 'GET' | 'HEAD' | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timing: Timing;
  /** A redirect that is an answer in itself and is handed to the receiver. */
  readonly final?: ((response: IncomingMessage) => boolean) | undefined;
}

/** Takes an answer; reports the bytes that have arrived, so that a stall is seen. */
export type Receiver<T> = (response: IncomingMessage, url: URL, arrived: (bytes: number) => void) => Promise<T>;

/** A failed attempt: what to tell, whether another may help, and how long to wait before it. */
export class Failure extends Error {
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

/** Asks once, following redirects. Rejects with a Failure, or with what the receiver threw. */
export async function exchange<T>(what: Exchange, receive: Receiver<T>): Promise<T> {
  let { url } = what;
  for (let redirects = 0; redirects <= MAXIMUM_REDIRECTS; redirects++) {
    const answer = await requestOnce(url, what, receive);
    if ('value' in answer) return answer.value;
    url = answer.next;
  }
  throw new Failure(`more than ${MAXIMUM_REDIRECTS} redirects`, { retry: false });
}

/** One request: what the receiver made of it, or the address that it redirects to. */
async function requestOnce<T>(url: URL, what: Exchange, receive: Receiver<T>): Promise<{ value: T } | { next: URL }> {
  const agent = await what.access.agent(url);
  const options: RequestOptions = {
    method: what.method ?? 'GET',
    headers: {
      ...what.headers,
      ...what.access.headers(url),
      'accept-encoding': 'identity',
      'user-agent': 'efficientnet-simd',
    },
    ...what.access.tls(url),
    // A connection of its own: a kept one would hold the process open after the download.
    agent: agent ?? false,
  };
  const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, options);
  let reason: unknown;
  const halt = (error: unknown): void => {
    reason ??= error;
    request.destroy();
  };
  let seen = 0;
  let seenAtTick = 0;
  const watch = setInterval(() => {
    if (seen - seenAtTick < STALL_BYTES) {
      halt(new Failure(`${shown(url)} sent nothing, or next to nothing, for ${what.timing.stall} ms`, { retry: true }));
    }
    seenAtTick = seen;
  }, what.timing.stall);
  const onAbort = (): void => halt(new Failure('aborted', { retry: false }));
  what.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    what.signal?.throwIfAborted();
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.on('response', resolve);
      request.on('error', reject);
      request.on('close', () => reject(new Failure(`${url.host} closed the connection`, { retry: true })));
      request.end();
    });
    // The receiver sees what breaks off while it reads; without a listener the process would end.
    response.on('error', () => undefined);
    if (isRedirect(response) && what.final?.(response) !== true) return { next: redirectTarget(response, url) };
    return { value: await receive(response, url, (bytes) => { seen += bytes; }) };
  } catch (error) {
    throw reason ?? asFailure(error, agent ? `${url.host} through the proxy` : url.host);
  } finally {
    clearInterval(watch);
    what.signal?.removeEventListener('abort', onAbort);
    request.destroy();
  }
}

function isRedirect(response: IncomingMessage): boolean {
  return [301, 302, 303, 307, 308].includes(response.statusCode ?? 0);
}

function redirectTarget(response: IncomingMessage, from: URL): URL {
  const location = response.headers.location ?? '';
  const next = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (next?.protocol !== 'http:' && next?.protocol !== 'https:') {
    throw new Failure(`${shown(from)} redirects to an address that is not http or https`, { retry: false });
  }
  if (from.protocol === 'https:' && next.protocol === 'http:') {
    throw new Failure(`${shown(from)} redirects from https to http, which anybody on the way could answer`, { retry: false });
  }
  next.username = '';
  next.password = '';
  return next;
}

/** Throws unless the status is one of those wanted. */
export function requireStatus(response: IncomingMessage, url: URL, access: Access, wanted: readonly number[]): void {
  const status = response.statusCode ?? 0;
  if (wanted.includes(status)) return;
  const explained = access.explain?.(status, response.headers, url);
  if (explained) throw explained;
  const retry = status === 408 || status === 429 || status >= 500;
  const pause = retry ? retryAfter(response.headers['retry-after']) : undefined;
  const asked = pause === undefined ? '' : `; it asks to wait ${Math.ceil(pause / 1000)} s`;
  throw new Failure(`the server answered ${status}${access.advice(status)}${asked}`, { retry, status, pause });
}

/** Milliseconds of a Retry-After header in either of its forms. */
function retryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds * 1000;
  const until = Date.parse(header) - Date.now();
  return Number.isNaN(until) ? undefined : Math.max(0, until);
}

/**
 * The body of an answer, piece by piece; a connection that ends early is a Failure. `have` bytes came
 * before it, and with it there are to be `expected`.
 */
export async function* bodyOf(response: IncomingMessage, expected: number | undefined, have: number = 0): AsyncGenerator<Buffer, void> {
  let total = have;
  const endedEarly = (cause?: unknown): Failure => {
    const announced = response.headers['content-length'];
    const whole = expected ?? (announced === undefined ? 'unknown' : have + Number(announced));
    return new Failure(`the connection ended after ${total} of ${whole} bytes`, { retry: true, cause });
  };
  const chunks = response[Symbol.asyncIterator]();
  for (;;) {
    const step = await chunks.next().catch((error: unknown) => {
      throw systemCode(error) === 'ECONNRESET' ? endedEarly(error) : error;
    });
    if (step.done === true) break;
    const chunk = step.value as Buffer;
    total += chunk.length;
    yield chunk;
  }
  if (!response.complete || total !== (expected ?? total)) throw endedEarly();
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

/** An address without anything that could be secret: no user, no query. */
export function shown(url: URL): string {
  return url.origin + url.pathname;
}
