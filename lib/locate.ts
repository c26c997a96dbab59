// SPDX-License-Identifier: Apache-2.0
// Where a checkpoint is, as the user says it: a published name, a repository of a model hub, an address,
// a folder or a file; and from that to a file on this machine. Does not read the checkpoint.

import { promises as fs } from 'node:fs';
import { join } from 'node:path';

import { checkFile, type Digest } from './cache.js';
import { catalogue, resolveModel } from './catalogue.js';
import { invalidArgument } from './check.js';
import { readConfig } from './config/read.js';
import type { CheckpointConfig } from './config/config.js';
import { EfficientNetError } from './errors.js';
import { formatIntegrity } from './fetch/integrity.js';
import type { FetchOptions } from './fetch/options.js';
import { filePath } from './formats/file.js';
import { chooseFile } from './hub/choose.js';
import { looksLikeRepository, parseRepository } from './hub/name.js';
import { repositoryFor, repositoryOf } from './hub/timm.js';
import { resolveName } from './names.js';

/** Loaded for what is fetched alone: a file at hand should not wait for HTTP. */
const network = {
  get url() { return require('./fetch/url.js') as typeof import('./fetch/url.js'); },
  get hub() { return require('./hub/repository.js') as typeof import('./hub/repository.js'); },
};

export type WeightsPlace =
  | { readonly kind: 'catalogue'; readonly name: string }
  | { readonly kind: 'repository'; readonly name: string }
  | { readonly kind: 'address'; readonly url: URL }
  | { readonly kind: 'path'; readonly path: string | URL };

export interface LocateOptions extends FetchOptions {
  readonly file?: string | undefined;
  readonly integrity?: Digest | undefined;
  /** The user has named the architecture. */
  readonly named: boolean;
}

/** A file, and what the folder that the user named says about it. */
export interface Located {
  readonly path: string | URL;
  readonly config: CheckpointConfig | undefined;
  /** The folder that the configuration was looked for in. */
  readonly folder?: string | undefined;
}

/** The place that the `weights` option names. Throws ERR_INVALID_ARGUMENT. */
export function placeOf(weights: string | URL): WeightsPlace {
  const text = String(weights);
  if (/^hf[-_]hub:/.test(text)) return { kind: 'repository', name: checkRepository(text) };
  if (!/^[a-z][a-z0-9+.-]+:/i.test(text) || /^file:/i.test(text) || (process.platform === 'win32' && /^[a-z]:/i.test(text))) {
    return { kind: 'path', path: /^file:/i.test(text) ? new URL(text) : weights };
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return { kind: 'address', url };
  const scheme = text.slice(0, text.indexOf(':') + 1).slice(0, 20);
  // A path may have a colon in it; what follows a scheme could be a secret.
  if (typeof weights === 'string' && !/^(data|blob|ftp|s3|gs|hf):/i.test(text)) return { kind: 'path', path: weights };
  throw invalidArgument('weights', "a path, a file URL, an http or https address, 'hf-hub:owner/name' or a file's bytes", `${scheme}...`);
}

/** The first argument of load: `owner/name`, else a name of the catalogue. */
export function placeOfName(name: string): WeightsPlace {
  return looksLikeRepository(name) ? { kind: 'repository', name: checkRepository(name) } : { kind: 'catalogue', name };
}

function checkRepository(text: string): string {
  parseRepository(text);
  return text;
}

/**
 * A file on this machine, fetched if need be.
 * @throws EfficientNetError ERR_FILE, ERR_FETCH, ERR_OFFLINE and what a configuration may be refused with;
 *   the signal's reason
 */
export async function locate(place: WeightsPlace, options: LocateOptions): Promise<Located> {
  switch (place.kind) {
    case 'catalogue':
      return locatePublished(place.name, options);
    case 'repository':
      return locateRepository(place.name, options);
    case 'address':
      return { path: await network.url.resolveUrl(place.url, options), config: undefined };
    case 'path':
      return locatePath(place.path, options);
  }
}

/** A name that asks for certain weights of timm's is their repository; else the catalogue's weights of the architecture. */
async function locatePublished(name: string, options: LocateOptions): Promise<Located> {
  const repository = repositoryOf(name);
  if (repository !== undefined) return locateRepository(repository, options);
  const { architecture, published } = resolveName(name);
  const isKnown = catalogue.some((entry) => entry.name === architecture.name);
  if (isKnown && !name.includes('.')) return { path: await resolveModel(architecture.name, options), config: undefined };
  const other = published?.source === 'torchvision' ? undefined : repositoryFor(architecture.name);
  throw new EfficientNetError(
    'ERR_UNKNOWN_ARCHITECTURE',
    `No weights are fetched by the name ${JSON.stringify(name)} alone, only of ${catalogue.map((entry) => entry.name).join(', ')}. Give a file, folder or address as weights, ` +
      (other === undefined ? 'or a repository of the model hub' : `or load a repository of the model hub, for instance '${other}'`),
  );
}

async function locateRepository(name: string, options: LocateOptions): Promise<Located> {
  const read = (folder: string): Promise<CheckpointConfig | undefined> => prefixed(name, readConfig(folder, options.named));
  const { path, file } = await network.hub.resolveRepository(name, {
    ...options,
    // A network that is none of the family is not worth a download.
    inspect: async (folder) => void (await read(folder)),
  });
  return { path: join(path, file), folder: path, config: await read(path) };
}

/** The file itself; or the checkpoint of a folder, and there its configuration too. */
async function locatePath(given: string | URL, options: LocateOptions): Promise<Located> {
  const path = typeof given === 'string' ? given : filePath(given);
  const info = await fs.stat(path).catch(() => undefined);
  if (info?.isDirectory() !== true) {
    if (options.file !== undefined) throw invalidArgument('file', 'a folder or a repository as weights beside it', options.file);
    if (info === undefined && looksLikeRepository(path)) throw notFound(path);
    if (options.integrity !== undefined) await checkIntegrity(path, options.integrity);
    return { path: given, config: undefined };
  }
  const entries = await fs.readdir(path, { withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  for (const name of ['onnx/model.onnx', 'tfjs/model.json']) {
    if ((await fs.stat(join(path, name)).catch(() => undefined))?.isFile() === true) files.push(name);
  }
  const file = join(path, chooseFile(files.sort(), path, options.file));
  if (options.integrity !== undefined) await checkIntegrity(file, options.integrity);
  return { path: file, folder: path, config: await prefixed(path, readConfig(path, options.named)) };
}

function notFound(path: string): EfficientNetError {
  return new EfficientNetError('ERR_FILE', `There is no file or folder ${path}; for the repository of that name on the model hub, call load('${path}') or write 'hf-hub:${path}'`);
}

async function checkIntegrity(path: string, digest: Digest): Promise<void> {
  const check = await checkFile({ path, digest });
  if (check.state !== 'damaged') return;
  const found = check.digest === undefined ? check.found : formatIntegrity(check.digest);
  throw new EfficientNetError('ERR_FILE', `${path} is not the file that the option integrity asks for: expected ${formatIntegrity(digest)}, found ${found}`);
}

async function prefixed<T>(where: string, work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    throw error instanceof EfficientNetError && !error.message.startsWith(where) ? new EfficientNetError(error.code, `${where}: ${error.message}`, { cause: error }) : error;
  });
}
