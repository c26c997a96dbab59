// SPDX-License-Identifier: Apache-2.0
// Which model hub is asked, with which token, and where its cache lies: the environment variables of
// the Python library huggingface_hub, read as that library reads them. Makes no request.

import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { cannotRead, systemCode } from '../cache.js';
import { EfficientNetError } from '../errors.js';

// The public hub. No library that this package could use has it in a form that could be asked, so it
// stands here, once; HF_ENDPOINT names another.
const PUBLIC_HUB = 'https://huggingface.co';

export interface Hub {
  /** Without a slash at its end, without user and query. */
  readonly endpoint: URL;
  /** Holds a folder for each repository. */
  readonly folder: string;
  readonly offline: boolean;
  /** Where a token comes from, for messages: never the token itself. */
  readonly tokenSource: string | undefined;
  token(): string | undefined;
}

/**
 * Reads HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE and their older names.
 * @throws EfficientNetError ERR_INVALID_ARGUMENT for an endpoint that is no address, ERR_FILE for a token file
 *   that cannot be read
 */
export function readHub(env: NodeJS.ProcessEnv = process.env): Hub {
  const home = expand(env['HF_HOME'], env) ?? join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'huggingface');
  const folder = expand(env['HF_HUB_CACHE'] || env['HUGGINGFACE_HUB_CACHE'], env) ?? join(home, 'hub');
  const found = readToken(home, env);
  return {
    endpoint: readEndpoint(env['HF_ENDPOINT'] || PUBLIC_HUB),
    folder,
    offline: isTrue(env['HF_HUB_OFFLINE'] || env['TRANSFORMERS_OFFLINE']),
    tokenSource: found?.source,
    // A function, so that printing the settings does not print it.
    token: () => found?.token,
  };
}

function readEndpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    // Not quoted: an address may hold a password.
    throw new EfficientNetError('ERR_INVALID_ARGUMENT', 'Expected HF_ENDPOINT to be an http or https address');
  }
  if (url.username !== '' || url.password !== '') {
    throw new EfficientNetError('ERR_INVALID_ARGUMENT', 'Expected HF_ENDPOINT without user and password; give a token in HF_TOKEN');
  }
  url.search = '';
  url.hash = '';
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}

function readToken(home: string, env: NodeJS.ProcessEnv): { token: string; source: string } | undefined {
  if (isTrue(env['HF_HUB_DISABLE_IMPLICIT_TOKEN'])) return undefined;
  for (const source of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN']) {
    const token = clean(env[source] ?? '', source);
    if (token !== undefined) return { token, source };
  }
  const path = expand(env['HF_TOKEN_PATH'], env) ?? join(home, 'token');
  try {
    const token = clean(readFileSync(path, 'utf8'), path);
    return token === undefined ? undefined : { token, source: path };
  } catch (cause) {
    if (cause instanceof EfficientNetError) throw cause;
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(cause))) return undefined;
    throw cannotRead(path, cause);
  }
}

/** Without the line breaks that files and pasting leave; what is left must be able to stand in a header. */
function clean(text: string, source: string): string | undefined {
  const token = text.replace(/[\r\n]/g, '').trim();
  if (token === '') return undefined;
  if (/^[\x21-\x7e]{1,4096}$/.test(token)) return token;
  throw new EfficientNetError('ERR_INVALID_ARGUMENT', `Expected the token of ${source} to be letters, digits and signs without spaces`);
}

/** As Python's expanduser and expandvars; undefined for nothing. */
function expand(path: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  if (path === undefined || path === '') return undefined;
  return path
    .replace(/^~(?=$|[\\/])/, homedir())
    .replace(/\$(?:(\w+)|\{(\w+)\})/g, (whole, plain: string | undefined, braced: string | undefined) => env[plain ?? braced ?? ''] ?? whole);
}

function isTrue(value: string | undefined): boolean {
  return ['1', 'ON', 'YES', 'TRUE'].includes((value ?? '').toUpperCase());
}
