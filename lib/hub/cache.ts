// SPDX-License-Identifier: Apache-2.0
// The hub's cache folder, in the layout of the Python library huggingface_hub, which so finds what is
// put here and the other way round:
//
//   models--OWNER--NAME/blobs/ETAG                   content, under its hash
//   models--OWNER--NAME/snapshots/COMMIT/FILE        a relative link to a blob
//   models--OWNER--NAME/refs/REVISION                the commit of a branch or tag
//   models--OWNER--NAME/.no_exist/COMMIT/FILE        a file that the repository is known not to have
//
// Nothing is fetched here.

import { randomBytes } from 'node:crypto';
import { promises as fs } from 'node:fs';
import { basename, dirname, join, posix, sep } from 'node:path';

import { cannotWrite, checkFile, systemCode, writeAtomic, type Digest, type FileState } from '../cache.js';
import { EfficientNetError } from '../errors.js';
import { isCommit, type RepositoryName } from './name.js';

/** A name out of a listing: relative, plain, and inside wherever it is joined to. */
export function isPlainPath(name: string): boolean {
  return (
    name.length <= 200 && !/[\\:\u0000-\u001f\u007f]/.test(name) && name.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}

/** The hash that an ETag of the hub is, by its length; undefined for any other. */
export function digestOf(etag: string): Digest | undefined {
  if (/^[0-9a-f]{64}$/.test(etag)) return { algorithm: 'sha256', hex: etag };
  return /^[0-9a-f]{40}$/.test(etag) ? { algorithm: 'git', hex: etag } : undefined;
}

export class RepositoryCache {
  readonly #root: string;

  constructor(hubFolder: string, { id }: Pick<RepositoryName, 'id'>) {
    this.#root = join(hubFolder, `models--${id.replaceAll('/', '--')}`);
  }

  get blobs(): string {
    return join(this.#root, 'blobs');
  }

  snapshot(commit: string): string {
    return join(this.#root, 'snapshots', commit);
  }

  /** The commit that a revision was last known to be. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const text = await fs.readFile(join(this.#root, 'refs', ...revision.split('/')), 'utf8').catch(() => '');
    return isCommit(text.trim()) ? text.trim() : undefined;
  }

  /** Names of the files that a snapshot has, with `/` between folders; broken links are not counted. */
  async files(commit: string): Promise<readonly string[]> {
    const root = this.snapshot(commit);
    const names = await fs.readdir(root, { recursive: true }).catch(() => []);
    const found: string[] = [];
    for (const name of names) {
      const info = await fs.stat(join(root, name)).catch(() => undefined);
      if (info?.isFile() === true) found.push(name.split(sep).join('/'));
    }
    return found.sort();
  }

  async isKnownAbsent(commit: string, name: string): Promise<boolean> {
    return (await fs.stat(join(this.#root, '.no_exist', commit, name)).catch(() => undefined)) !== undefined;
  }

  /** Best effort: it only saves a request. */
  async markAbsent(commit: string, name: string): Promise<void> {
    const path = join(this.#root, '.no_exist', commit, ...name.split('/'));
    await fs.mkdir(dirname(path), { recursive: true }).catch(() => undefined);
    await fs.writeFile(path, '', { flag: 'a' }).catch(() => undefined);
  }

  /**
   * Whether a file of a snapshot holds what its blob's name says. Without links (Windows) there is no
   * such name, and a file that is there counts as sound.
   */
  async check(commit: string, name: string): Promise<FileState> {
    const path = join(this.snapshot(commit), ...name.split('/'));
    const link = await fs.readlink(path).catch(() => undefined);
    const digest = link === undefined ? undefined : digestOf(basename(link.split('\\').join('/')));
    if (digest !== undefined) return checkFile({ path, digest });
    const info = await fs.stat(path).catch(() => undefined);
    return { state: info?.isFile() === true ? 'valid' : 'missing' };
  }

  /** Makes the folders of a snapshot's file. @throws EfficientNetError ERR_FILE */
  async prepare(commit: string, name: string): Promise<void> {
    try {
      await fs.mkdir(this.blobs, { recursive: true });
      await fs.mkdir(dirname(join(this.snapshot(commit), name)), { recursive: true });
    } catch (cause) {
      throw cannotWrite(this.#root, cause);
    }
  }

  /** Gives a blob its name in a snapshot, in place of whatever has that name. @throws EfficientNetError ERR_FILE */
  async link(etag: string, commit: string, name: string): Promise<void> {
    const path = join(this.snapshot(commit), ...name.split('/'));
    const up = posix.join(...name.split('/').map(() => '..'), '..', 'blobs', etag);
    const temporary = join(dirname(path), `.${randomBytes(8).toString('hex')}.tmp`);
    try {
      await fs.symlink(up, temporary).catch(async (cause: unknown) => {
        // Windows lets only some users link. As the Python library does, the blob itself takes the place.
        if (!['EPERM', 'EACCES', 'ENOSYS', 'ENOTSUP', 'EINVAL'].includes(systemCode(cause))) throw cause;
        await fs.rename(join(this.blobs, etag), temporary);
      });
      await fs.rename(temporary, path);
    } catch (cause) {
      await fs.rm(temporary, { force: true }).catch(() => undefined);
      throw cannotWrite(path, cause);
    }
  }

  /** Remembers the commit of a branch or tag. @throws EfficientNetError ERR_FILE */
  async setCommit(revision: string, commit: string): Promise<void> {
    if (revision === commit || (await this.commitOf(revision)) === commit) return;
    const path = join(this.#root, 'refs', ...revision.split('/'));
    try {
      await fs.mkdir(dirname(path), { recursive: true });
    } catch (cause) {
      throw cannotWrite(path, cause);
    }
    await writeAtomic(path, Buffer.from(commit));
  }
}

export interface CachedRepository {
  readonly id: string;
  readonly revision: string;
  readonly commit: string;
  /** The snapshot's folder. */
  readonly path: string;
  readonly files: readonly string[];
}

/** Every repository of models in the folder, once for each of its branches and tags; without these, for each commit. */
export async function cachedRepositories(hubFolder: string): Promise<readonly CachedRepository[]> {
  const folders = await fs.readdir(hubFolder).catch(() => []);
  const found: CachedRepository[] = [];
  for (const folder of folders.filter((name) => /^models--[^-].*--./.test(name)).sort()) {
    const id = folder.slice('models--'.length).replace('--', '/');
    const cache = new RepositoryCache(hubFolder, { id });
    const refs = await fs.readdir(join(hubFolder, folder, 'refs'), { recursive: true }).catch(() => []);
    const commits = await fs.readdir(join(hubFolder, folder, 'snapshots')).catch(() => []);
    const seen = new Set<string>();
    for (const revision of [...refs.map((ref) => ref.split(sep).join('/')), ...commits]) {
      const commit = await cache.commitOf(revision);
      if (commit === undefined || seen.has(commit)) continue;
      seen.add(commit);
      const files = await cache.files(commit);
      if (files.length > 0) found.push({ id, revision, commit, path: cache.snapshot(commit), files });
    }
  }
  return found;
}

/** ERR_FILE for a snapshot's file that is there and is not what its name says. */
export function damaged(path: string, found: string): EfficientNetError {
  return new EfficientNetError('ERR_FILE', `The cached file ${path} is damaged (${found}); delete it, or load with a network`);
}
