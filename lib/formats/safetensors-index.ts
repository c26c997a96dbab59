// SPDX-License-Identifier: Apache-2.0
// Checkpoints in several safetensors files, with an index that says which tensor is in which:
//
//   { "metadata": { ... }, "weight_map": { "conv_stem.weight": "model-00001-of-00002.safetensors", ... } }
//
// Index and files must agree exactly: each tensor in the one file that the index names, no tensor that
// it does not name. Opens nothing; the files' names are plain names, for the folder of the index only.

import { EfficientNetError } from '../errors.js';
import { invalidCheckpoint, quote } from './bytes.js';
import { JsonScanner } from './json-scanner.js';
import { readSafetensors } from './safetensors.js';
import type { Checkpoint, Tensor } from './tensor.js';

const kMaxIndex = 64 * 2 ** 20;
const kMaxFiles = 1000;
const kMaxTensors = 100_000;

export interface SafetensorsIndex {
  /** From a tensor's name to its file's. */
  readonly files: ReadonlyMap<string, string>;
  /** Each file once, in the order of the index. */
  readonly names: readonly string[];
}

/** True for a JSON object with a weight_map; says nothing about whether it is sound. */
export function looksLikeSafetensorsIndex(bytes: Uint8Array): boolean {
  const scanner = new JsonScanner(trimmed(bytes), 0);
  let found = false;
  try {
    scanner.object((key) => {
      found ||= key === 'weight_map';
      scanner.skip();
    });
  } catch {
    // Its own reader says what is wrong with it.
  }
  return found;
}

/** Throws ERR_INVALID_CHECKPOINT naming the place in the file. */
export function readSafetensorsIndex(bytes: Uint8Array): SafetensorsIndex {
  if (bytes.length > kMaxIndex) throw invalidCheckpoint(`Expected an index of at most ${kMaxIndex} bytes but it has ${bytes.length}`);
  const scanner = new JsonScanner(trimmed(bytes), 0);
  const files = new Map<string, string>();
  const names = new Set<string>();
  let seen = false;
  scanner.object((key) => {
    // `total_size` and the like: the files' own headers are what counts.
    if (key !== 'weight_map') return scanner.skip();
    seen = true;
    scanner.object((tensor, offset) => {
      const at = scanner.offset;
      const name = scanner.string();
      if (!isPlainName(name)) scanner.fail(`Expected the plain name of a file beside the index but found ${quote(name)}`, at);
      if (files.size === kMaxTensors) scanner.fail(`Expected at most ${kMaxTensors} tensors`, offset);
      files.set(tensor, name);
      names.add(name);
      if (names.size > kMaxFiles) scanner.fail(`Expected at most ${kMaxFiles} files`, at);
    });
  });
  scanner.end();
  if (!seen || files.size === 0) throw invalidCheckpoint('Expected a weight_map that names the file of each tensor');
  return { files, names: [...names] };
}

/** Writers end the file with a line break, which the scanner takes for something that follows. */
function trimmed(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && [0x0a, 0x0d, 0x20].includes(bytes[end - 1] ?? 0)) end--;
  return bytes.subarray(0, end);
}

/** No folder, no drive, no device, and not the index itself in disguise. */
function isPlainName(name: string): boolean {
  return name.length <= 200 && /^[^\\/:\u0000-\u001f\u007f]+\.safetensors$/.test(name) && !name.startsWith('.');
}

/**
 * Joins the files of an index. Their tensors are views on `shards`.
 * Throws ERR_INVALID_CHECKPOINT where index and files disagree.
 */
export function assembleSafetensors(index: SafetensorsIndex, shards: ReadonlyMap<string, Uint8Array>): Checkpoint {
  const tensors = new Map<string, Tensor>();
  const metadata = new Map<string, string>();
  for (const name of index.names) {
    const bytes = shards.get(name);
    if (bytes === undefined) throw invalidCheckpoint(`The file ${quote(name)} that the index names is not there`);
    const shard = readShard(name, bytes);
    for (const tensor of shard.tensors.values()) {
      const expected = index.files.get(tensor.name);
      if (expected !== name) {
        const where = expected === undefined ? 'and the index does not name it' : `but the index has it in ${quote(expected)}`;
        throw invalidCheckpoint(`Tensor ${quote(tensor.name)} is in ${quote(name)}, ${where}`);
      }
      tensors.set(tensor.name, tensor);
    }
    // Each file has a copy.
    for (const [key, value] of shard.metadata) metadata.set(key, value);
  }
  for (const [tensor, name] of index.files) {
    if (!tensors.has(tensor)) throw invalidCheckpoint(`Tensor ${quote(tensor)} is not in ${quote(name)}, where the index has it`);
  }
  return { format: 'safetensors', tensors, metadata };
}

function readShard(name: string, bytes: Uint8Array): Checkpoint {
  try {
    return readSafetensors(bytes);
  } catch (error) {
    if (!(error instanceof EfficientNetError)) throw error;
    throw new EfficientNetError(error.code, `shard ${name}: ${error.message}`, { cause: error });
  }
}
