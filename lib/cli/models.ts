// SPDX-License-Identifier: Apache-2.0
// `efficientnet-simd models`: the catalogue and what the hub's cache has of the family, with sizes and
// licences. Fetches nothing.

import { promises as fs } from 'node:fs';
import { join } from 'node:path';

import { cacheFolder } from '../cache.js';
import { catalogue } from '../catalogue.js';
import { readConfig } from '../config/read.js';
import { EfficientNetError } from '../errors.js';
import { cachedRepositories, type CachedRepository } from '../hub/cache.js';
import { chooseFile } from '../hub/choose.js';
import { readHub } from '../hub/endpoint.js';
import type { Command } from './command.js';
import { formatBytes, printable } from './terminal.js';

/** One element of the JSON output. */
interface Entry {
  readonly name: string;
  readonly description: string;
  /** Null where only the tensors tell. */
  readonly architecture: string | null;
  readonly source: string;
  /** Null where it is not known here. */
  readonly licence: string | null;
  readonly bytes: number;
  readonly cached: string | null;
}

export const models: Command = {
  name: 'models',
  operands: '',
  summary: 'List the models that load by name alone, and the repositories of the model hub that are cached\nand hold a network of the family.',
  options: {},
  examples: ['models', 'models --json'],
  async run(values, terminal) {
    const published = catalogue.map(({ name, description, architecture, source, licence, bytes, cachedPath }) => ({
      name, description, architecture, source, licence, bytes, cached: cachedPath() ?? null,
    }));
    const { folder } = readHub();
    const repositories = await Promise.all((await cachedRepositories(folder)).map(entryOf));
    const entries: readonly Entry[] = [...published, ...repositories.filter((entry) => entry !== undefined)];
    if (values.has('json')) {
      terminal.json(entries);
      return 0;
    }
    terminal.table(
      [{ title: 'model' }, { title: 'cached' }, { title: 'size', align: 'right' }, { title: 'licence' }, { title: 'source' }, { title: 'description' }],
      entries.map(({ name, description, source, licence, bytes, cached }) =>
        [name, cached === null ? 'no' : 'yes', formatBytes(bytes), licence ?? '', source, description].map(printable)),
    );
    terminal.out(terminal.dim(`cache folders: ${printable(cacheFolder())}, ${printable(folder)}`));
    return 0;
  },
};

/** Undefined for a repository that says it is something else, or does not say what it is. */
async function entryOf({ id, revision, path, files }: CachedRepository): Promise<Entry | undefined> {
  try {
    const config = await readConfig(path, false);
    if (config === undefined) return undefined;
    const { size } = await fs.stat(join(path, chooseFile(files, id)));
    const name = revision === 'main' ? id : `${id}@${revision}`;
    return { name, description: '', architecture: config.architecture ?? null, source: 'hub', licence: null, bytes: size, cached: path };
  } catch (error) {
    if (error instanceof EfficientNetError) return undefined;
    throw error;
  }
}
