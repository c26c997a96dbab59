// SPDX-License-Identifier: Apache-2.0
// `efficientnet-simd models`: the catalogue, what of it is cached, sizes and licences. Fetches
// nothing.

import { cacheFolder } from '../cache.js';
import { catalogue } from '../catalogue.js';
import type { Command } from './command.js';
import { formatBytes, printable } from './terminal.js';

export const models: Command = {
  name: 'models',
  operands: '',
  summary: 'List the models that load by name alone: what is cached, sizes, licences.',
  options: {},
  examples: ['models', 'models --json'],
  run(values, terminal) {
    const entries = catalogue.map(({ name, description, architecture, source, licence, bytes, cachedPath }) => ({
      name, description, architecture, source, licence, bytes, cached: cachedPath() ?? null,
    }));
    if (values.has('json')) {
      terminal.json(entries);
      return Promise.resolve(0);
    }
    terminal.table(
      [{ title: 'model' }, { title: 'cached' }, { title: 'size', align: 'right' }, { title: 'licence' }, { title: 'source' }, { title: 'description' }],
      entries.map(({ name, description, source, licence, bytes, cached }) =>
        [name, cached === null ? 'no' : 'yes', formatBytes(bytes), licence, source, description]),
    );
    terminal.out(terminal.dim(`cache folder: ${printable(cacheFolder())}`));
    return Promise.resolve(0);
  },
};
