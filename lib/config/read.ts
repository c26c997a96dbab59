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
 * What the configuration of a folder says, except of the architecture where the user has `named` it; undefined
 * where it has none, or one that says nothing of a network's kind.
 * @throws EfficientNetError ERR_FILE, and as parseConfig
 */
export async function readConfig(folder: string, named: boolean): Promise<CheckpointConfig | undefined> {
  const [config, preprocessor] = await Promise.all(configNames.map((name) => readBytes(join(folder, name))));
  return config === undefined ? undefined : parseConfig(config, preprocessor, named);
}

/**
 * The same for the content of config.json and preprocessor_config.json.
 * @throws EfficientNetError ERR_INVALID_CHECKPOINT, ERR_UNKNOWN_ARCHITECTURE or ERR_UNSUPPORTED for a network
 *   that is none of the family
 */
export function parseConfig(config: Uint8Array, preprocessor: Uint8Array | undefined, named: boolean): CheckpointConfig | undefined {
  const [from = '', beside = ''] = configNames;
  const fields = parseFields(config, from);
  if (looksLikeTimm(fields)) return readTimmConfig(fields, from, named);
  const processor = preprocessor === undefined ? undefined : parseFields(preprocessor, beside);
  if ('model_type' in fields || processor !== undefined) return readTransformersConfig(fields, processor, from, named);
  return undefined;
}

async function readBytes(path: string): Promise<Buffer | undefined> {
  try {
    const info = await fs.stat(path);
    if (!info.isFile()) throw new EfficientNetError('ERR_FILE', `Expected a file at ${path}`);
    if (info.size > kMaxBytes) throw badConfig(path, `expected at most ${kMaxBytes} bytes, it has ${info.size}`);
    return await fs.readFile(path);
  } catch (cause) {
    if (cause instanceof EfficientNetError) throw cause;
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(cause))) return undefined;
    throw cannotRead(path, cause);
  }
}

function parseFields(bytes: Uint8Array, from: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch (cause) {
    throw new EfficientNetError('ERR_INVALID_CHECKPOINT', `${from}: expected JSON (${cause instanceof Error ? cause.message.slice(0, 100) : ''})`, { cause });
  }
  if (isFields(value)) return value;
  throw badConfig(from, 'expected an object');
}
