// SPDX-License-Identifier: Apache-2.0
// What a checkpoint is, for `efficientnet-simd info --weights`: its network, who named its tensors, and how it
// is to be used. Reads names, shapes and what describes it; no weight is looked at or packed.

import { factsOf, type ModelFacts } from '../model-info.js';
import type { Network } from '../network.js';
import { checkSource, openLayers, weightsOptions, type WeightsOptions } from '../open-weights.js';
import { asUsage, readCheckpointOptions } from './checkpoint-options.js';
import { untilInterrupted } from './interrupt.js';
import { readSource } from './open-model.js';
import type { Values } from './command.js';
import { ProgressBar, type DownloadState } from './progress.js';
import { printable, type Terminal } from './terminal.js';

export interface Described {
  readonly network: Network;
  readonly facts: ModelFacts;
  /** Of the classes, or undefined where they have none. */
  readonly labels: readonly string[] | undefined;
}

/** The checkpoint that the options of load name, fetched if need be. */
export async function describeCheckpoint(values: Values, terminal: Terminal): Promise<Described> {
  const source = readSource(values);
  const choices = readCheckpointOptions(values);
  const progress = new ProgressBar(terminal.live);
  const open = async (signal: AbortSignal): Promise<Described> => {
    const options: WeightsOptions = { ...choices, signal, onProgress: (state: DownloadState) => progress.update(state) };
    const given = typeof source === 'string' ? checkSource(source, options, weightsOptions) : checkSource({ ...options, ...source }, undefined, weightsOptions);
    const { collected, origin, recipe, facts, labels } = await openLayers(given);
    return { network: collected.network, facts: factsOf(collected.network, origin, recipe, facts), labels };
  };
  try {
    return await untilInterrupted((signal) => asUsage(open(signal)));
  } finally {
    progress.end();
  }
}

/** A few lines, before the table of layers. */
export function showCheckpoint({ facts, labels }: Described, terminal: Terminal): void {
  const { checkpoint, recipe, source, classes, padding, batchNormEpsilon } = facts;
  const configured = checkpoint.configuration === null ? '' : `, configured by ${printable(checkpoint.configuration)}`;
  terminal.out(`${printable(checkpoint.path ?? 'bytes')}: ${checkpoint.format}, named as by ${source}${configured}`);
  terminal.out(`${classes === 0 ? 'no classifier' : `${classes} classes`}, ${padding} padding, batch norm epsilon ${batchNormEpsilon}`);
  terminal.out(
    `images: ${recipe.height}x${recipe.width}, ${recipe.crop} crop of ${Number(recipe.cropFraction.toFixed(4))}, ${recipe.filter}, ` +
      `mean ${recipe.mean.map(short).join(' ')}, std ${recipe.std.map(short).join(' ')}`,
  );
  if (labels !== undefined) terminal.out(`labels: ${labels.slice(0, 3).map(printable).join('; ')}${labels.length > 3 ? '; ...' : ''}`);
}

function short(value: number): string {
  return String(Number(value.toFixed(6)));
}
