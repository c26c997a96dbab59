// SPDX-License-Identifier: Apache-2.0
// The options of load that decide how a checkpoint is found and read, under the same names on the command
// line (batchNormEpsilon is --batch-norm-epsilon), for every command that loads one. Loads nothing.

import { basename } from 'node:path';

import { EfficientNetError } from '../errors.js';
import type { WeightsOptions } from '../open-weights.js';
import type { RecipeOptions } from '../recipe.js';
import { UsageError, type Option, type Values } from './command.js';

export const checkpointOptions: Readonly<Record<string, Option>> = {
  file: { value: 'NAME', help: 'which file, where a folder or repository has several checkpoints' },
  integrity: { value: 'HASH', help: 'what the file must be: sha256-, sha384- or sha512- and its hash in base64' },
  padding: { value: 'NAME', help: 'same or symmetric, in place of what the checkpoint implies' },
  'batch-norm-epsilon': { value: 'X', help: 'in place of what the checkpoint implies' },
  keras: { value: 'NAME', help: 'fixed or legacy: how bare Keras weights of B0 to B7 normalise images' },
  recipe: { value: 'JSON', help: 'how images are prepared, as \'{"size":240,"crop":"squash"}\'' },
  'external-data': { value: 'FILE', help: 'in which an ONNX model keeps its tensors, under the name it gives' },
  offline: { help: 'never use the network' },
  update: { help: 'ask the hub or the server whether there is something newer' },
};

type CheckpointChoices = Pick<WeightsOptions, 'file' | 'integrity' | 'padding' | 'batchNormEpsilon' | 'keras' | 'recipe' | 'externalData' | 'offline' | 'update'>;

/** What the options say; undefined for those that were not given. */
export function readCheckpointOptions(values: Values): CheckpointChoices {
  const external = values.text('external-data');
  return {
    file: values.text('file'),
    integrity: values.text('integrity'),
    padding: values.choice('padding', ['same', 'symmetric']),
    batchNormEpsilon: values.number('batch-norm-epsilon'),
    keras: values.choice('keras', ['fixed', 'legacy']),
    recipe: readRecipe(values.text('recipe')),
    externalData: external === undefined ? undefined : { [basename(external)]: external },
    offline: values.has('offline') ? true : undefined,
    update: values.has('update') ? true : undefined,
  };
}

/** What load or convert refuses among the arguments was typed: wrong usage, under the names of the command line. */
export async function asUsage<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    const isUsage = error instanceof EfficientNetError && error.code === 'ERR_INVALID_ARGUMENT';
    throw isUsage ? new UsageError(error.message.replace(/\b(externalData|batchNormEpsilon)\b/g, dashed)) : error;
  });
}

function dashed(option: string): string {
  return `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Which fields there are, and of what kind, load says. */
function readRecipe(text: string | undefined): RecipeOptions | undefined {
  if (text === undefined) return undefined;
  const value = parseJson(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new UsageError(`--recipe expects a JSON object, as '{"size":240,"crop":"squash"}', found ${JSON.stringify(text)}`);
}

/** Undefined for what is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
