// SPDX-License-Identifier: Apache-2.0
// What the user's npm configuration says about reaching a registry: its address, credentials, proxy
// and certificates. The files and variables are read by @pnpm/npm-conf and registry-auth-token; no
// request is made here, and no credential ever enters a message.

import { readFileSync } from 'node:fs';
import type { Agent } from 'node:http';
import { isIP } from 'node:net';
import { checkServerIdentity, type ConnectionOptions, type SecureContextOptions } from 'node:tls';

import { EfficientNetError } from '../errors.js';

export interface Registry {
  /** Ends in a slash and holds no credentials. */
  readonly url: URL;
  /** Of npm's default registry, which mirrors repeat in what they serve. */
  readonly publicHost: string;
  /** Why a configuration file was passed over, for the message of a download that fails. */
  readonly notes: readonly string[];
  /** Headers for a request to this address: credentials for the registry's own origin only. */
  headers(url: URL): Readonly<Record<string, string>>;
  /** The agent that goes through the user's proxy, or undefined for a direct connection. */
  agent(url: URL): Promise<Agent | undefined>;
  /** Certificates for this address; a client certificate for the registry's own origin only. */
  tls(url: URL): TlsSettings;
}

export type TlsSettings = Pick<ConnectionOptions, 'rejectUnauthorized' | 'checkServerIdentity' | 'ca' | 'cert' | 'key'>;

type Setting = (key: string) => unknown;

/**
 * Reads the npm configuration as npm does: environment, project, user, global and builtin, with the
 * project's found from the working directory.
 * @throws EfficientNetError ERR_FETCH if it cannot be read or names no usable registry
 */
export async function readRegistry(env: NodeJS.ProcessEnv = process.env): Promise<Registry> {
  const { get, notes, publicRegistry } = await readConfig();
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

async function readConfig(): Promise<{ get: Setting; notes: readonly string[]; publicRegistry: string }> {
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

async function credentials(url: URL, get: Setting): Promise<string | undefined> {
  const { default: registryAuthToken } = await import('registry-auth-token');
  // A view, so that the library asks for exactly the keys it needs of the configuration just read.
  const npmrc = new Proxy<Record<string, string>>({}, { get: (_, key) => stringOf(get(String(key))) });
  const found = registryAuthToken(url.href, { recursive: true, npmrc });
  return found && `${found.type} ${found.token}`;
}

async function proxyAgent(
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

function tlsSettings(get: Setting): TlsSettings {
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
function identity(target: URL): TlsSettings {
  const host = target.hostname.replace(/^\[|\]$/g, '');
  return isIP(host) === 0 ? {} : { checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate) };
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

/** npmrc files hold a certificate on one line, its line breaks written as backslash and n. */
function lines(certificate: string): string {
  return certificate.replaceAll('\\n', '\n');
}

function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
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

/** No cause is attached and nothing quoted: the text may hold a password. */
function parseUrl(text: string, what: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new EfficientNetError('ERR_FETCH', `Expected ${what} to be an http or https URL`);
}
