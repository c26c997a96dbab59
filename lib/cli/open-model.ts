// SPDX-License-Identifier: Apache-2.0
// The model that a command's options ask for, loaded with a progress bar where somebody watches.

import type { Model } from '../model.js';
import { defaultModel, type Values } from './command.js';
import { ProgressBar } from './progress.js';
import type { Terminal } from './terminal.js';

const MOST_THREADS = 1024;
const ISAS = ['scalar', 'avx2', 'avx512', 'neon'] as const;

/** Loads what --model, --weights, --threads and --isa say. The caller closes it. */
export async function openModel(values: Values, terminal: Terminal): Promise<Model> {
  const architecture = values.text('model') ?? defaultModel;
  const weights = values.text('weights');
  const threads = values.count('threads', MOST_THREADS);
  const isa = values.choice('isa', ISAS);
  const progress = new ProgressBar(terminal.live);
  // Not before the options are known to be right: it loads the addon.
  const { load } = await import('../model.js');
  try {
    return await load({
      architecture,
      ...(weights === undefined ? {} : { weights }),
      ...(threads === undefined ? {} : { threads }),
      ...(isa === undefined ? {} : { isa }),
      onProgress: (state) => progress.update(state),
    });
  } finally {
    progress.end();
  }
}
