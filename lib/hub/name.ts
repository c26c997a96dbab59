// SPDX-License-Identifier: Apache-2.0
// Names of repositories on a model hub: `owner/name`, with `@revision` where it is not the main branch.

import { EfficientNetError } from '../errors.js';

export interface RepositoryName {
  /** `owner/name`. */
  readonly id: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

/** timm writes its hub names with it. */
const PREFIX = /^hf[-_]hub:/;
const PART = /^(?!.*(?:--|\.\.))[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/;
/** What git allows, less than all of it: no leading dash, nothing that could leave a folder. */
const REVISION = /^(?!.*(?:\.\.|\/\/|@\{))[A-Za-z0-9_](?:[A-Za-z0-9._/+-]{0,198}[A-Za-z0-9_+-])?$/;

/** Whether a text is meant as a repository: `timm/efficientnet_b0.ra_in1k`, not `b0`. */
export function looksLikeRepository(text: string): boolean {
  return PREFIX.test(text) || /^[^\\/:]+\/[^\\/:@]+(@.*)?$/.test(text);
}

/** @throws EfficientNetError ERR_INVALID_ARGUMENT saying what a name may be */
export function parseRepository(text: string): RepositoryName {
  const [, id = '', revision = 'main'] = /^([^@]*)(?:@(.*))?$/s.exec(text.replace(PREFIX, '')) ?? [];
  const parts = id.split('/');
  if (parts.length === 2 && parts.every((part) => PART.test(part)) && REVISION.test(revision)) return { id, revision };
  throw new EfficientNetError(
    'ERR_INVALID_ARGUMENT',
    `Expected a repository of a model hub as owner/name or owner/name@revision, for example timm/efficientnet_b0.ra_in1k, ` +
      `but received ${JSON.stringify(text.slice(0, 100))}. For a file or folder, give it as weights: load({ weights: ... })`,
  );
}

/** A full commit hash names content that never changes. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}
