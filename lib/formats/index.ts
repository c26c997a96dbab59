// SPDX-License-Identifier: Apache-2.0
// One way into every checkpoint format: from bytes or a path to named tensors. The format is told by
// content, never by the file's name. The readers themselves are beside this file.

import { constants } from 'node:fs';
import { open, readlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeValue, invalidArgument } from '../check.js';
import { EfficientNetError } from '../errors.js';
import { invalidCheckpoint } from './bytes.js';
import { looksLikeOnnx, onnxExternalFiles, readOnnx, type ExternalData } from './onnx.js';
import { looksLikeHdf5 } from './hdf5.js';
import { isKerasEntry, readKerasArchive, readKerasHdf5 } from './keras.js';
import { looksLikeSafetensors, readSafetensors } from './safetensors.js';
import { assembleSafetensors, looksLikeSafetensorsIndex, readSafetensorsIndex } from './safetensors-index.js';
import { firstZipName, looksLikeZip } from './zip.js';
import { assembleTfjs, looksLikeJson, parseTfjsModel } from './tfjs.js';
import { looksLikeTflite, readTflite } from './tflite.js';
import type { Checkpoint, CheckpointFormat } from './tensor.js';
import { readTorch } from './torch.js';
import { looksLikeTorchStream, readTorchStream } from './torch-stream.js';

/** Enough for every format to be told. */
const kSniffBytes = 512;

/** Where the files are that an ONNX model names for tensors outside itself, by those names: paths or bytes. */
export type ExternalFiles = ReadonlyMap<string, string | URL | Uint8Array>;

/**
 * Reads a checkpoint: a path, a file URL, or a file's bytes (which must not change while the result
 * is in use). safetensors, PyTorch's and Keras' formats, or a TensorFlow.js model's model.json,
 * whose shards are read from the same folder and nowhere else. Of `external` the files are
 * read that an ONNX model names.
 *
 * Throws ERR_FILE for what cannot be read, ERR_INVALID_CHECKPOINT for a malformed or hostile file,
 * ERR_UNSUPPORTED for a known format that is not supported.
 */
export async function readCheckpoint(source: string | URL | Uint8Array, external: ExternalFiles = new Map()): Promise<Checkpoint> {
  if (source instanceof Uint8Array) return parseCheckpoint(source, await readExternal(source, external));
  const path = toPath(source);
  try {
    const bytes = await readWholeFile(path, Infinity, (start) => void detectFormat(start));
    if (detectFormat(bytes) !== 'tfjs-graph') return parseCheckpoint(bytes, await readExternal(bytes, external));
    if (looksLikeSafetensorsIndex(bytes)) {
      const index = readSafetensorsIndex(bytes);
      return assembleSafetensors(index, await readShards(dirname(path), index.names, Infinity));
    }
    const model = parseTfjsModel(bytes);
    const shards = await readShards(dirname(path), model.groups.flatMap((group) => group.paths), model.weightBytes);
    return assembleTfjs(model, shards);
  } catch (error) {
    throw error instanceof EfficientNetError ? new EfficientNetError(error.code, `${path}: ${error.message}`, { cause: error }) : error;
  }
}

/** The same for bytes at hand, at once; a TensorFlow.js model needs its shards and so cannot be read here. */
export function parseCheckpoint(source: Uint8Array, external: ExternalData = new Map()): Checkpoint {
  if (!(source instanceof Uint8Array)) throw invalidArgument('the checkpoint', 'a Uint8Array', source);
  const bytes = settled(source);
  switch (detectFormat(bytes)) {
    case 'safetensors':
      return readSafetensors(bytes);
    case 'torch':
      return looksLikeZip(bytes) ? readTorch(bytes) : readTorchStream(bytes);
    case 'onnx':
      return readOnnx(bytes, external);
    case 'tflite':
      return readTflite(bytes);
    case 'keras':
      return looksLikeZip(bytes) ? readKerasArchive(bytes) : readKerasHdf5(bytes);
    case 'tfjs-graph':
    case 'tfjs-layers':
      throw new EfficientNetError(
        'ERR_UNSUPPORTED',
        "The bytes are a TensorFlow.js model.json, whose weights are in other files; give the model.json's path",
      );
  }
}

/** Tells the format from the file's first bytes, or throws saying what they look like. */
export function detectFormat(bytes: Uint8Array): CheckpointFormat {
  if (bytes.length === 0) throw invalidCheckpoint('The file is empty; expected a checkpoint');
  if (looksLikeHdf5(bytes) || isKerasEntry(firstZipName(bytes))) return 'keras';
  if (looksLikeZip(bytes) || looksLikeTorchStream(bytes)) return 'torch';
  if (looksLikeSafetensors(bytes)) return 'safetensors';
  if (looksLikeJson(bytes)) return 'tfjs-graph';
  if (looksLikeOnnx(bytes)) return 'onnx';
  if (looksLikeTflite(bytes)) return 'tflite';
  const start = Buffer.from(bytes.subarray(0, 64)).toString('latin1');
  for (const [pattern, what] of foreign) {
    if (pattern.test(start)) throw new EfficientNetError('ERR_UNSUPPORTED', `The file is ${what}, which is not supported; expected ${kExpected}`);
  }
  if (start.startsWith('version https://git-lfs')) {
    throw invalidCheckpoint('The file is a Git LFS pointer, not the checkpoint itself; fetch it with git lfs pull');
  }
  if (/^\s*<(!doctype|html)/i.test(start)) throw invalidCheckpoint('The file is a web page, not a checkpoint: the download went wrong');
  throw invalidCheckpoint(`The file is of no known format: expected ${kExpected}`, 0);
}

const kExpected = "safetensors, ONNX, TensorFlow Lite, PyTorch's or Keras' formats or a TensorFlow.js model.json";
const foreign: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/^\x1f\x8b/, 'compressed with gzip'],
  [/^7z\xbc\xaf/, 'a 7z archive'],
  [/^\x80[\x02-\x05]/, 'a bare pickle'],
];

/** Memory that another thread can write or that can shrink is copied: views on it could change or vanish. */
function settled(bytes: Uint8Array): Uint8Array {
  const { buffer } = bytes;
  const isFixed = buffer instanceof ArrayBuffer && !('resizable' in buffer && buffer.resizable === true);
  return isFixed ? bytes : new Uint8Array(bytes); // A Buffer's slice would be a view.
}

function toPath(source: unknown): string {
  if (typeof source === 'string' && source.length > 0) return source;
  if (source instanceof URL && source.protocol === 'file:') {
    try {
      return fileURLToPath(source);
    } catch (cause) {
      throw new EfficientNetError('ERR_FILE', `The file URL ${describeValue(source.href)} names no file here`, { cause });
    }
  }
  throw invalidArgument('the checkpoint', 'a path, a file URL or a Uint8Array', source);
}

/** Reads a regular file once. `inspect` sees its first bytes before the rest is read. */
async function readWholeFile(path: string, limit: number, inspect: (start: Uint8Array) => void): Promise<Uint8Array> {
  let handle: FileHandle | undefined;
  try {
    // Without O_NONBLOCK, opening a pipe would wait for a writer for ever.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stats = await handle.stat();
    if (stats.isDirectory()) throw new EfficientNetError('ERR_FILE', 'Expected a file but this is a directory; name a file in it, such as model.json');
    if (!stats.isFile()) throw new EfficientNetError('ERR_FILE', 'Expected a regular file but this is a pipe or a device; save it to a file first');
    if (stats.size > limit) throw invalidCheckpoint(`Expected at most ${limit} bytes but the file has ${stats.size}`);
    const start = await readFully(handle, new Uint8Array(Math.min(stats.size, kSniffBytes)), 0);
    inspect(start);
    const bytes = allocate(stats.size);
    bytes.set(start);
    await readFully(handle, bytes, start.length);
    return bytes;
  } catch (cause) {
    if (cause instanceof EfficientNetError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EfficientNetError('ERR_FILE', `The file cannot be read: ${reason}`, { cause });
  } finally {
    await handle?.close();
  }
}

/**
 * Several parts at a time: most of the time goes into fresh memory, page by page, which two cores do in
 * half of it (21 MB from the system's cache: 28 ms in one part, 11 in several).
 */
async function readFully(handle: FileHandle, bytes: Uint8Array, from: number): Promise<Uint8Array> {
  const kPart = 4 * 2 ** 20;
  const kAtOnce = 4;
  let next = from;
  const readParts = async (): Promise<void> => {
    while (next < bytes.length) {
      let at = next;
      const end = (next = Math.min(next + kPart, bytes.length));
      while (at < end) {
        const { bytesRead } = await handle.read(bytes, at, end - at, at);
        if (bytesRead === 0) throw new EfficientNetError('ERR_FILE', 'The file became shorter while it was read');
        at += bytesRead;
      }
    }
  };
  await Promise.all(Array.from({ length: kAtOnce }, readParts));
  return bytes;
}

function allocate(size: number): Uint8Array {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    throw new EfficientNetError('ERR_OUT_OF_MEMORY', `The file of ${size} bytes does not fit in memory`, { cause });
  }
}

/** Reads a file that another file names. It must lie in the folder itself, or where a hub's cache keeps its content. */
async function readInside(folder: string, name: string, limit: number): Promise<Uint8Array> {
  const path = join(folder, name);
  const link = await readlink(path).catch(() => undefined);
  const target = link === undefined ? path : resolve(folder, link);
  const allowed = [resolve(folder), ...(basename(dirname(resolve(folder))) === 'snapshots' ? [resolve(folder, '..', '..', 'blobs')] : [])];
  if (link !== undefined && !allowed.includes(dirname(target))) {
    throw new EfficientNetError('ERR_FILE', 'Expected a file of the same folder but this is a link to another place');
  }
  return readWholeFile(path, limit, () => undefined);
}

/** The files that an ONNX model names, of those that the caller hands over. */
async function readExternal(bytes: Uint8Array, external: ExternalFiles): Promise<ExternalData> {
  const files = new Map<string, Uint8Array>();
  if (external.size === 0 || !looksLikeOnnx(bytes)) return files;
  for (const name of onnxExternalFiles(bytes)) {
    const source = external.get(name);
    if (source === undefined) continue; // The reader says which tensor is missing then.
    files.set(name, source instanceof Uint8Array ? source : await readWholeFile(toPath(source), Infinity, () => undefined));
  }
  return files;
}

async function readShards(folder: string, names: readonly string[], expected: number): Promise<Map<string, Uint8Array>> {
  const shards = new Map<string, Uint8Array>();
  let left = expected;
  for (const name of names) {
    const bytes = await readInside(folder, name, left).catch((error: unknown) => {
      throw error instanceof EfficientNetError ? new EfficientNetError(error.code, `shard ${name}: ${error.message}`, { cause: error }) : error;
    });
    left -= bytes.length;
    shards.set(name, bytes);
  }
  return shards;
}
