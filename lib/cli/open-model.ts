// SPDX-License-Identifier: Apache-2.0
// The model that a command's options ask for, loaded with a progress bar where somebody watches.

import type { Model } from '../model.js';
import { looksLikeRepository } from '../hub/name.js';
import { asUsage, readCheckpointOptions } from './checkpoint-options.js';
import { defaultModel, UsageError, type Values } from './command.js';
import { ProgressBar, type DownloadState } from './progress.js';
import type { Terminal } from './terminal.js';

const MOST_THREADS = 1024;
const ISAS = ['scalar', 'avx2', 'avx512', 'neon'] as const;

/** What --model and --weights name: the first argument of load. */
export function readSource(values: Values): string | { readonly architecture: string | undefined; readonly weights: string | undefined } {
  const weights = values.text('weights');
  // Beside weights no name is better than a wrong one: the checkpoint tells which network it is.
  const name = values.text('model') ?? (weights === undefined ? defaultModel : undefined);
  if (name === undefined || !looksLikeRepository(name)) return { architecture: name, weights };
  if (weights !== undefined) throw new UsageError('--model names a repository, which has its own weights: give it without --weights');
  return name;
}

/** Loads what --model, --weights, --threads, --isa and the options of checkpoints say. The caller closes it. */
export async function openModel(values: Values, terminal: Terminal): Promise<Model> {
  const source = readSource(values);
  const choices = readCheckpointOptions(values);
  const threads = values.count('threads', MOST_THREADS);
  const isa = values.choice('isa', ISAS);
  const progress = new ProgressBar(terminal.live);
  // Not before the options are known to be right: it loads the addon.
  const { load } = await import('../model.js');
  try {
    const options = { ...choices, threads, isa, onProgress: (state: DownloadState) => progress.update(state) };
    return await asUsage(typeof source === 'string' ? load(source, options) : load({ ...options, ...source }));
  } finally {
    progress.end();
  }
}
