// SPDX-License-Identifier: Apache-2.0
// The recipe and the labels inside a checkpoint of this package's own: two strings of JSON among the
// metadata of a safetensors or ONNX file.

import { checkRecipe, type Recipe } from '../recipe.js';
import { EfficientNetError } from '../errors.js';
import { badConfig, isFields, type CheckpointConfig } from './config.js';

const FROM = "the checkpoint's metadata";

/** What to put into a file's metadata so that readMetadata finds it. */
export function recipeMetadata(recipe: Recipe, labels: readonly string[] | undefined): Record<string, string> {
  return { recipe: JSON.stringify(recipe), ...(labels === undefined ? {} : { labels: JSON.stringify(labels) }) };
}

/** Undefined where the metadata holds neither. @throws EfficientNetError ERR_INVALID_CHECKPOINT */
export function readMetadata(metadata: ReadonlyMap<string, string>): CheckpointConfig | undefined {
  // Others use these keys too; only this package's files are bound to mean this by them.
  if (metadata.get('format') !== 'efficientnet-simd') return undefined;
  const [recipe, labels] = ['recipe', 'labels'].map((key) => parse(metadata.get(key), key));
  if (recipe === undefined && labels === undefined) return undefined;
  if (recipe !== undefined && !isFields(recipe)) throw badConfig(FROM, 'expected an object for recipe');
  if (labels !== undefined && !(Array.isArray(labels) && labels.every((label) => typeof label === 'string'))) {
    throw badConfig(FROM, 'expected an array of strings for labels');
  }
  return { from: FROM, recipe: recipe ?? {}, labels: labels as readonly string[] | undefined, notes: [] };
}

function parse(text: string | undefined, key: string): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EfficientNetError('ERR_INVALID_CHECKPOINT', `${FROM}: expected JSON for ${key}`, { cause });
  }
}

/** `base` with what a configuration says in its place. @throws EfficientNetError ERR_INVALID_CHECKPOINT */
export function applyConfig(config: CheckpointConfig | undefined, base: Recipe): Recipe {
  if (config === undefined) return base;
  try {
    return checkRecipe(config.recipe, base);
  } catch (error) {
    if (!(error instanceof EfficientNetError)) throw error;
    throw new EfficientNetError('ERR_INVALID_CHECKPOINT', `${config.from}: ${error.message}`, { cause: error });
  }
}
