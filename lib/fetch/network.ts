// SPDX-License-Identifier: Apache-2.0
// The way out: proxies and certificates that the user has configured, in the environment or for npm,
// which @pnpm/npm-conf reads. Credentials of registries are in registry.ts; no request is made here.

import type { Agent } from 'node:http';
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';

import { EfficientNetError } from '../errors.js';
import type { Access, TlsSettings } from './http.js';

export type Setting = (key: string) => unknown;

export interface NpmSettings {
  readonly get: Setting;
  /** Why a configuration file was passed over. */
  readonly notes: readonly string[];
  /** The registry of npm's own defaults. */
  readonly publicRegistry: string;
}

/**
 * Reads the npm configuration as npm does: environment, project, user, global and builtin, with the
 * project's found from the working directory.
 * @throws EfficientNetError ERR_FETCH
 */
export async function readNpmSettings(): Promise<NpmSettings> {
  const { default: npmConf } = await import('@pnpm/npm-conf');
  try {
    const { config, warnings } = npmConf();
    // Only this warning is repeated: it names a variable; others could quote a line of the file.
    const notes = warnings
      .map((warning) => /"([^"]+)"\. (Failed to replace env in config: \$\{[^}]*\})/.exec(warning))
      .filter((match) => match !== null)
      .map((match) => `${match[1]} was passed over: ${match[2]}`);
    return { get: (key) => config.get(key), notes, publicRegistry: npmConf.defaults.registry };
  } catch {
    // The library's own message may quote a setting, so neither it nor the cause is passed on.
    throw new EfficientNetError(
      'ERR_FETCH',
      'Cannot read the npm configuration; "npm config list" should say which .npmrc is malformed',
    );
  }
}

/**
 * The way to addresses that are no registry: the proxy of the environment or of npm, and npm's further
 * authorities. `strict-ssl` and client certificates are meant for registries and have no part in it.
 */
export async function openNetwork(env: NodeJS.ProcessEnv = process.env): Promise<Pick<Access, 'notes' | 'agent' | 'tls'>> {
  // A malformed .npmrc is no reason not to reach something else.
  const { get, notes } = await readNpmSettings().catch(() => ({ get: () => undefined, notes: [] }));
  const { ca } = tlsSettings(get);
  const authorities: TlsSettings = ca === undefined ? {} : { ca };
  return {
    notes,
    agent: (target) => proxyAgent(target, get, env, authorities),
    tls: (target) => ({ ...authorities, ...identity(target) }),
  };
}

export async function proxyAgent(
  target: URL,
  get: Setting,
  env: NodeJS.ProcessEnv,
  tls: TlsSettings,
): Promise<Agent | undefined> {
  const secure = target.protocol === 'https:';
  const named = (name: string): string | undefined => env[name] || env[name.toUpperCase()] || undefined;
  if (get('proxy') === false) return undefined;
  const setting = stringOf(secure ? get('https-proxy') : undefined) ?? stringOf(get('proxy'));
  const text = setting ?? named(secure ? 'https_proxy' : 'http_proxy') ?? named('all_proxy');
  const except = get('noproxy') ?? get('no-proxy') ?? named('no_proxy');
  if (text === undefined || isExcepted(target, [except].flat().map(String).join(','))) return undefined;
  const proxy = parseUrl(text.includes('://') ? text : `http://${text}`, 'the proxy setting');
  if (secure) {
    const { HttpsProxyAgent } = await import('https-proxy-agent');
    return new HttpsProxyAgent(proxy, tls);
  }
  const { HttpProxyAgent } = await import('http-proxy-agent');
  return new HttpProxyAgent(proxy, tls);
}

/** Whether a comma-separated list of host suffixes, optionally with a port, or `*`, covers a URL. */
export function isExcepted(target: URL, list: string): boolean {
  const host = target.hostname.toLowerCase();
  const port = target.port || (target.protocol === 'https:' ? '443' : '80');
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      const [, name = '', only] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
      const suffix = name.replace(/^\*?\./, '');
      if (entry === '*') return true;
      if (suffix === '' || (only !== undefined && only !== port)) return false;
      return host === suffix || host.endsWith(`.${suffix}`);
    });
}

export function tlsSettings(get: Setting): TlsSettings {
  const ca = [get('ca')].flat().filter((each) => typeof each === 'string' && each !== '');
  const cert = stringOf(get('cert'));
  const key = stringOf(get('key'));
  return {
    rejectUnauthorized: get('strict-ssl') !== false,
    ...(ca.length > 0 ? { ca: ca.map((each) => lines(String(each))) } : {}),
    ...(cert === undefined ? {} : { cert: lines(cert) }),
    ...(key === undefined ? {} : { key: lines(key) }),
  };
}

/** Behind a tunnel the name of a host that is a plain address is lost, and `localhost` would be checked. */
export function identity(target: URL): TlsSettings {
  const host = target.hostname.replace(/^\[|\]$/g, '');
  return isIP(host) === 0 ? {} : { checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate) };
}

/** npmrc files hold a certificate on one line, its line breaks written as backslash and n. */
function lines(certificate: string): string {
  return certificate.replaceAll('\\n', '\n');
}

export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** No cause is attached and nothing quoted: the text may hold a password. */
export function parseUrl(text: string, what: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new EfficientNetError('ERR_FETCH', `Expected ${what} to be an http or https URL`);
}
