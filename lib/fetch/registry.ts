// SPDX-License-Identifier: Apache-2.0
// What the user's npm configuration says about its registry: address, credentials and certificates, the
// credentials by registry-auth-token. No request is made here, and no credential ever enters a message.

import { readFileSync } from 'node:fs';
import type { SecureContextOptions } from 'node:tls';

import { EfficientNetError } from '../errors.js';
import type { Access } from './http.js';
import { identity, parseUrl, proxyAgent, readNpmSettings, stringOf, tlsSettings, type Setting } from './network.js';

export interface Registry extends Access {
  /** Ends in a slash and holds no credentials. */
  readonly url: URL;
  /** Of npm's default registry, which mirrors repeat in what they serve. */
  readonly publicHost: string;
}

const ADVICE: ReadonlyMap<number, string> = new Map([
  [401, '; check the credentials in your .npmrc'],
  [403, '; check the credentials in your .npmrc'],
  [407, '; check the proxy setting in your .npmrc or environment'],
]);

/**
 * Reads the npm configuration as npm does: environment, project, user, global and builtin, with the
 * project's found from the working directory.
 * @throws EfficientNetError ERR_FETCH if it cannot be read or names no usable registry
 */
export async function readRegistry(env: NodeJS.ProcessEnv = process.env): Promise<Registry> {
  const { get, notes, publicRegistry } = await readNpmSettings();
  const text = stringOf(get('registry')) ?? publicRegistry;
  const url = parseUrl(text, 'the npm setting registry');
  const embedded = url.username === '' ? undefined : basic(url);
  url.username = '';
  url.password = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  const authorization = embedded ?? (await credentials(url, get));
  return {
    url,
    publicHost: new URL(publicRegistry).hostname,
    notes,
    advice: (status) => ADVICE.get(status) ?? '',
    headers: (target) =>
      authorization !== undefined && target.origin === url.origin ? { authorization } : {},
    agent: (target) => proxyAgent(target, get, env, tlsSettings(get)),
    tls: (target) => ({
      ...tlsSettings(get),
      ...identity(target),
      ...(target.origin === url.origin ? clientCertificate(url, get) : {}),
    }),
  };
}

async function credentials(url: URL, get: Setting): Promise<string | undefined> {
  const { default: registryAuthToken } = await import('registry-auth-token');
  // A view, so that the library asks for exactly the keys it needs of the configuration just read.
  const npmrc = new Proxy<Record<string, string>>({}, { get: (_, key) => stringOf(get(String(key))) });
  const found = registryAuthToken(url.href, { recursive: true, npmrc });
  return found && `${found.type} ${found.token}`;
}

/** A registry's own `//host/path/:certfile` and `:keyfile`. */
function clientCertificate(url: URL, get: Setting): SecureContextOptions {
  const prefix = `//${url.host}${url.pathname}`;
  const certfile = stringOf(get(`${prefix}:certfile`));
  const keyfile = stringOf(get(`${prefix}:keyfile`));
  if (certfile === undefined || keyfile === undefined) return {};
  try {
    return { cert: readFileSync(certfile), key: readFileSync(keyfile) };
  } catch (cause) {
    throw new EfficientNetError('ERR_FILE', `Cannot read ${certfile} or ${keyfile}, which the npm configuration names`, { cause });
  }
}

function basic(url: URL): string {
  const decoded = (part: string): string => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };
  const text = `${decoded(url.username)}:${decoded(url.password)}`;
  return `Basic ${Buffer.from(text).toString('base64')}`;
}
