// SPDX-License-Identifier: Apache-2.0
// How a hub is reached: the token for its own origin and for no other, and its answers in words. Makes
// no request.

import type { IncomingHttpHeaders } from 'node:http';

import { EfficientNetError } from '../errors.js';
import { shown, type Access } from '../fetch/http.js';
import { openNetwork } from '../fetch/network.js';
import type { Hub } from './endpoint.js';
import type { RepositoryName } from './name.js';

export async function hubAccess(hub: Hub, name: RepositoryName): Promise<Access> {
  const network = await openNetwork();
  const token = hub.token();
  return {
    ...network,
    headers: (url): Readonly<Record<string, string>> =>
      token !== undefined && url.origin === hub.endpoint.origin ? { authorization: `Bearer ${token}` } : {},
    advice: (status) => {
      if (status === 407) return '; check the proxy setting in your environment or .npmrc';
      return status === 429 ? `; the hub limits requests${token === undefined ? ', less so with a token in HF_TOKEN' : ''}` : '';
    },
    explain: (status, headers, url) => (url.origin === hub.endpoint.origin ? explain(status, headers, hub, name) : undefined),
  };
}

/** The hub says in a header what a status alone does not; a 401 without it is a repository that is not to be seen. */
function explain(status: number, headers: IncomingHttpHeaders, hub: Hub, { id, revision }: RepositoryName): EfficientNetError | undefined {
  const code = String(headers['x-error-code'] ?? '');
  const where = shown(hub.endpoint).replace(/\/$/, '');
  const fail = (what: string): EfficientNetError => new EfficientNetError('ERR_FETCH', what);
  const token = hub.tokenSource === undefined ? 'no token was given; put one into HF_TOKEN' : `the token of ${hub.tokenSource} does not open it`;
  if (code === 'RevisionNotFound') return fail(`The repository ${id} at ${where} has no revision ${JSON.stringify(revision)}`);
  if (code === 'GatedRepo') {
    return fail(`The repository ${id} at ${where} is gated: accept its conditions on its page there with an account of the hub; ${token}`);
  }
  if (code === 'RepoNotFound' || (status === 404 && code === '' && headers['x-repo-commit'] === undefined && isJson(headers))) {
    return fail(`There is no repository ${id} at ${where}, or it is private: check the name; ${token}`);
  }
  if (status === 401) return fail(`The hub ${where} refuses ${id}: there is no such repository, or it is private; ${token}`);
  if (status === 403) return fail(`The hub ${where} forbids ${id}${code === '' ? '' : ` (${code.slice(0, 40)})`}; ${token}`);
  return undefined;
}

function isJson(headers: IncomingHttpHeaders): boolean {
  return /^application\/json\b/.test(headers['content-type'] ?? '');
}
