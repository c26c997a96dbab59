// SPDX-License-Identifier: Apache-2.0
// The configuration files beside a checkpoint: which writer's they are, and what they say. Reads those
// two files of a folder and nothing else.

import { promises as fs } from 'node:fs';
import { join } from 'node:path';

import { cannotRead, systemCode } from '../cache.js';
import { EfficientNetError } from '../errors.js';
import { badConfig, isFields, type CheckpointConfig, type Fields } from './config.js';
import { looksLikeTimm, readTimmConfig } from './timm.js';
import { readTransformersConfig } from './transformers.js';

/** What says how a checkpoint is to be used. */
export const configNames: readonly string[] = ['config.json', 'preprocessor_config.json'];

/** Labels of 21,843 classes take about a megabyte. */
const kMaxBytes = 16 * 2 ** 20;

/**
 * What the configuration of a folder says, except of the architecture where the user has `named` it; undefined where it has none, or one that says nothing of a
 * network's kind.
 * @throws EfficientNetError ERR_FILE, ERR_INVALID_CHECKPOINT, ERR_UNKNOWN_ARCHITECTURE or ERR_UNSUPPORTED
 *   for a network that is none of the family
 */
export async function readConfig(folder: string, named: boolean): Promise<CheckpointConfig | undefined> {
  const [config, preprocessor] = await Promise.all(configNames.map((name) => readFields(folder, name)));
  if (config === undefined) return undefined;
  if (looksLikeTimm(config)) return readTimmConfig(config, 'config.json', named);
  if ('model_type' in config || preprocessor !== undefined) return readTransformersConfig(config, preprocessor, 'config.json', named);
  return undefined;
}

async function readFields(folder: string, name: string): Promise<Fields | undefined> {
  const path = join(folder, name);
  let text: string;
  try {
    const info = await fs.stat(path);
    if (!info.isFile()) throw new EfficientNetError('ERR_FILE', `Expected a file at ${path}`);
    if (info.size > kMaxBytes) throw badConfig(path, `expected at most ${kMaxBytes} bytes, it has ${info.size}`);
    text = await fs.readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof EfficientNetError) throw cause;
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(cause))) return undefined;
    throw cannotRead(path, cause);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new EfficientNetError('ERR_INVALID_CHECKPOINT', `${path}: expected JSON (${cause instanceof Error ? cause.message.slice(0, 100) : ''})`, { cause });
  }
  if (isFields(value)) return value;
  throw badConfig(path, 'expected an object');
}
