// SPDX-License-Identifier: Apache-2.0
// A repository of a model hub as a folder on this machine: from the cache where it is there whole, else
// fetched. Which files are needed is decided here; how one is fetched is in fetch.ts.

import { promises as fs } from 'node:fs';
import { join } from 'node:path';

import { cannotRead } from '../cache.js';
import { configNames } from '../config/read.js';
import { EfficientNetError } from '../errors.js';
import { isOffline, type FetchOptions, type FetchProgress } from '../fetch/options.js';
import { Shared } from '../fetch/share.js';
import { companionsOf, mayHaveCompanions } from '../formats/companions.js';
import { hubAccess } from './access.js';
import { damaged, RepositoryCache } from './cache.js';
import { chooseFile, hasUsualName } from './choose.js';
import { readHub, type Hub } from './endpoint.js';
import { describeFile, fetchFile, listRepository, type HubSource } from './fetch.js';
import { parseRepository, type RepositoryName } from './name.js';

export interface RepositoryOptions extends FetchOptions {
  /** Which file, where the repository has several checkpoints. */
  readonly file?: string | undefined;
  /** Sees the folder once its configuration is there, before the weights are fetched; may throw to spare that. */
  readonly inspect?: ((folder: string) => Promise<void>) | undefined;
}

/** A folder of files that belong together. */
export interface CheckpointFolder {
  /** For messages. */
  readonly name: string;
  readonly path: string;
  /** The checkpoint, within the folder. */
  readonly file: string;
  /** What else is there and says how the checkpoint is to be used. */
  readonly configs: readonly string[];
}

const fetches = new Shared<CheckpointFolder, FetchProgress>();

/**
 * The folder of a repository's checkpoint, with its configuration. What is cached whole needs no network.
 * @throws EfficientNetError ERR_INVALID_ARGUMENT, ERR_OFFLINE, ERR_FETCH, ERR_FILE; the signal's reason
 */
export async function resolveRepository(text: string, options: RepositoryOptions = {}): Promise<CheckpointFolder> {
  options.signal?.throwIfAborted();
  const name = parseRepository(text);
  const hub = readHub();
  const cache = new RepositoryCache(hub.folder, name);
  const cached = await findCached(cache, name, options.file);
  const offline = isOffline(options) || (options.offline === undefined && hub.offline);
  if (cached.folder !== undefined && (offline || (cached.complete && options.update !== true))) return cached.folder;
  if (offline) {
    const problem = new EfficientNetError('ERR_OFFLINE', `The repository ${name.id} is not cached and the network is not to be used`);
    throw cached.problem ?? withRemedy(problem, hub, name);
  }
  const key = JSON.stringify([hub.endpoint.href, hub.folder, name, options.file, options.update]);
  return fetches.join(key, options, async (signal, onProgress) => {
    try {
      return await fetchRepository({ hub, name, cache, access: await hubAccess(hub, name), signal, timing: options.timing }, options, onProgress);
    } catch (error) {
      // Better than nothing: only the hub knows whether there is more.
      if (!(error instanceof EfficientNetError) || error.code !== 'ERR_OFFLINE') throw error;
      if (cached.folder !== undefined) return cached.folder;
      throw withRemedy(error, hub, name);
    }
  });
}

function withRemedy(error: EfficientNetError, hub: Hub, { id, revision }: RepositoryName): EfficientNetError {
  const at = revision === 'main' ? '' : ` --revision ${revision}`;
  return new EfficientNetError(
    error.code,
    `${error.message}. On a machine with a connection, load it once or run "hf download ${id}${at}", and bring its folder into ` +
      `${hub.folder}; or give a file of your own as weights`,
    { cause: error.cause },
  );
}

// ---- cached -------------------------------------------------------------------------------------------

interface Cached {
  /** Undefined where the checkpoint, or a part of it, is not there or damaged. */
  readonly folder?: CheckpointFolder;
  /** Whether the hub could not add anything but a newer revision. */
  readonly complete: boolean;
  readonly problem?: EfficientNetError;
}

const nothing: Cached = { complete: false };

async function findCached(cache: RepositoryCache, name: RepositoryName, wanted: string | undefined): Promise<Cached> {
  const commit = await cache.commitOf(name.revision);
  if (commit === undefined) return nothing;
  const files = await cache.files(commit);
  let file;
  try {
    file = chooseFile(files, name.id, wanted);
  } catch (error) {
    if (error instanceof EfficientNetError) return nothing;
    throw error;
  }
  const path = cache.snapshot(commit);
  const configs = configNames.filter((config) => files.includes(config));
  const problem = await firstDamage(cache, commit, [...configs, file]);
  if (problem) return { complete: false, problem };
  const companions = await readCompanions(path, file);
  if (companions.some((companion) => !files.includes(companion))) return nothing;
  const worse = await firstDamage(cache, commit, companions);
  if (worse) return { complete: false, problem: worse };
  const folder = { name: name.id, path, file, configs };
  // A file of an unusual name may be one of several that the repository has.
  return { folder, complete: (wanted !== undefined || hasUsualName(file)) && (await hasConfigs(cache, commit, folder)) };
}

async function firstDamage(cache: RepositoryCache, commit: string, files: readonly string[]): Promise<EfficientNetError | undefined> {
  for (const file of files) {
    const check = await cache.check(commit, file);
    if (check.state !== 'valid') return damaged(join(cache.snapshot(commit), file), check.state === 'damaged' ? check.found : 'missing');
  }
  return undefined;
}

/** Whether every configuration that matters is there, or known not to exist. timm's says all in one file. */
async function hasConfigs(cache: RepositoryCache, commit: string, { path, configs }: CheckpointFolder): Promise<boolean> {
  for (const name of configNames) {
    if (configs.includes(name) || (await cache.isKnownAbsent(commit, name))) continue;
    if (name === 'config.json') return false;
    const config = configs.includes('config.json') ? await fs.readFile(join(path, 'config.json'), 'utf8').catch(() => '') : '';
    if (!config.includes('"pretrained_cfg"')) return false;
  }
  return true;
}

/** Names of the further files of a checkpoint that is one of several files, seen from the repository. */
async function readCompanions(folder: string, file: string): Promise<readonly string[]> {
  if (!mayHaveCompanions(file)) return [];
  const path = join(folder, file);
  const bytes = await fs.readFile(path).catch((cause: unknown) => {
    throw cannotRead(path, cause);
  });
  const parent = file.includes('/') ? file.slice(0, file.lastIndexOf('/') + 1) : '';
  return companionsOf(file, bytes).map((name) => parent + name);
}

// ---- fetched ------------------------------------------------------------------------------------------

async function fetchRepository(
  source: HubSource,
  options: Pick<RepositoryOptions, 'file' | 'inspect'>,
  onProgress: (progress: FetchProgress) => void,
): Promise<CheckpointFolder> {
  const { name, cache } = source;
  const { commit, files } = await listRepository(source);
  const file = chooseFile(files, name.id, options.file);
  const configs = configNames.filter((config) => files.includes(config));
  const path = cache.snapshot(commit);
  const progress = new Progress(name.id, onProgress);
  await fetchAll(source, commit, configs, progress);
  await options.inspect?.(path);
  await fetchAll(source, commit, [file], progress);
  const companions = await readCompanions(path, file);
  const absent = companions.find((companion) => !files.includes(companion));
  if (absent !== undefined) throw new EfficientNetError('ERR_FETCH', `${file} of ${name.id} names the file ${absent}, which the repository does not have`);
  await fetchAll(source, commit, companions, progress);
  for (const config of configNames) if (!configs.includes(config)) await cache.markAbsent(commit, config);
  // Last, so that a branch's name never stands for half a snapshot.
  await cache.setCommit(name.revision, commit);
  return { name: name.id, path, file, configs };
}

async function fetchAll(source: HubSource, commit: string, files: readonly string[], progress: Progress): Promise<void> {
  const missing = [];
  for (const file of files) {
    if ((await source.cache.check(commit, file)).state !== 'valid') missing.push(await describeFile(source, commit, file));
  }
  progress.expect(missing.map(({ bytes }) => bytes ?? 0));
  for (const file of missing) {
    await fetchFile(source, commit, file, (bytes) => progress.update(bytes));
    progress.finish(file.bytes ?? 0);
  }
}

/** Adds the files of one download up. */
class Progress {
  readonly #name: string;
  readonly #report: (progress: FetchProgress) => void;
  #total = 0;
  #finished = 0;

  constructor(name: string, report: (progress: FetchProgress) => void) {
    this.#name = name;
    this.#report = report;
  }

  expect(sizes: readonly number[]): void {
    for (const size of sizes) this.#total += size;
  }

  update(receivedBytes: number): void {
    this.#report({ name: this.#name, receivedBytes: this.#finished + receivedBytes, totalBytes: this.#total });
  }

  finish(bytes: number): void {
    this.#finished += bytes;
  }
}
