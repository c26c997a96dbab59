// SPDX-License-Identifier: Apache-2.0
// One way into every checkpoint format: from bytes or a path to named tensors. The format is told by
// content, never by the file's name. The readers themselves are beside this file.

import { readlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { invalidArgument } from '../check.js';
import { EfficientNetError } from '../errors.js';
import { invalidCheckpoint, quote } from './bytes.js';
import { openFile, wholeFile, toPath } from './file.js';
import type { ExternalData } from './onnx.js';
import { looksLikeSafetensors, readSafetensors, safetensorsDataStart } from './safetensors.js';
import type { Checkpoint, CheckpointFormat } from './tensor.js';

/**
 * The other readers, each loaded when it is asked: they are a third of all modules, which a process that
 * opens a safetensors file would wait for. The paths are literals, so that bundlers can follow them.
 */
const readers = {
  get onnx() { return require('./onnx.js') as typeof import('./onnx.js'); },
  get hdf5() { return require('./hdf5.js') as typeof import('./hdf5.js'); },
  get keras() { return require('./keras.js') as typeof import('./keras.js'); },
  get shards() { return require('./safetensors-index.js') as typeof import('./safetensors-index.js'); },
  get zip() { return require('./zip.js') as typeof import('./zip.js'); },
  get tfjs() { return require('./tfjs.js') as typeof import('./tfjs.js'); },
  get tflite() { return require('./tflite.js') as typeof import('./tflite.js'); },
  get torch() { return require('./torch.js') as typeof import('./torch.js'); },
  get torchStream() { return require('./torch-stream.js') as typeof import('./torch-stream.js'); },
};

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
  const { checkpoint, complete } = await openCheckpoint(source, external);
  await complete();
  return checkpoint;
}

/** A checkpoint whose names and shapes are known, while its values may still be on their way from the file. */
export interface OpenedCheckpoint {
  readonly checkpoint: Checkpoint;
  /** The paths of all that it was read from: its own, its parts', those of external data. */
  readonly files: readonly string[];
  /** To be called once: resolves when every value is there. Rejects with ERR_FILE. */
  complete(): Promise<void>;
  /** In place of complete: nothing more is read, and the file is closed. */
  abandon(): Promise<void>;
}

/** As readCheckpoint, for a path or file URL; of safetensors, whose header comes first, before all is read. */
export async function openCheckpoint(source: string | URL, external: ExternalFiles = new Map()): Promise<OpenedCheckpoint> {
  const path = toPath(source);
  return naming(path, async () => {
    let format: CheckpointFormat | undefined;
    const file = await openFile(path, Infinity, (start) => (format = detectFormat(start)));
    try {
      if (format === 'safetensors') {
        await file.upTo(safetensorsDataStart(file.bytes));
        checkNoExternal(format, external);
        file.readOn();
        return { checkpoint: readSafetensors(file.bytes), files: [path], complete: () => naming(path, () => file.complete()), abandon: () => file.abandon() };
      }
      await file.complete();
    } catch (error) {
      await file.abandon();
      throw error;
    }
    const { checkpoint, files } = await parseWhole(path, file.bytes, external);
    return { checkpoint, files: [path, ...files], complete: () => Promise.resolve(), abandon: () => Promise.resolve() };
  });
}

/** With the paths of the other files that it took. */
async function parseWhole(path: string, bytes: Uint8Array, external: ExternalFiles): Promise<Pick<OpenedCheckpoint, 'checkpoint' | 'files'>> {
  const format = detectFormat(bytes);
  checkNoExternal(format, external);
  if (format !== 'tfjs-graph') {
    const data = await readExternal(bytes, external);
    const files = [...data.keys()].map((name) => external.get(name)).filter((source) => typeof source === 'string' || source instanceof URL);
    return { checkpoint: parseCheckpoint(bytes, data), files: files.map(toPath) };
  }
  const folder = dirname(path);
  const paths = (names: readonly string[]): readonly string[] => names.map((name) => join(folder, name));
  if (readers.shards.looksLikeSafetensorsIndex(bytes)) {
    const index = readers.shards.readSafetensorsIndex(bytes);
    return { checkpoint: readers.shards.assembleSafetensors(index, await readShards(folder, index.names, Infinity)), files: paths(index.names) };
  }
  const model = readers.tfjs.parseTfjsModel(bytes);
  const names = model.groups.flatMap((group) => group.paths);
  const shards = await readShards(folder, names, model.weightBytes);
  return { checkpoint: readers.tfjs.assembleTfjs(model, shards), files: paths(names) };
}

/** What a caller gives for a format that has no tensors outside itself would be left aside unseen. */
function checkNoExternal(format: CheckpointFormat, external: ReadonlyMap<string, unknown>): void {
  const [name] = external.keys();
  if (format === 'onnx' || name === undefined) return;
  throw new EfficientNetError(
    'ERR_INVALID_ARGUMENT',
    `Expected no externalData: only an ONNX model has tensors in other files, and the checkpoint is ${formatNames[format]}. Leave ${quote(name)} out`,
  );
}

const formatNames: Readonly<Record<CheckpointFormat, string>> = {
  safetensors: 'safetensors', torch: 'of PyTorch', onnx: 'ONNX', tflite: 'of TensorFlow Lite', keras: 'of Keras',
  'tfjs-graph': 'a JSON file with parts of its own', 'tfjs-layers': 'of TensorFlow.js',
};

/** Errors of `work` begin with the file's path. */
async function naming<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof EfficientNetError ? new EfficientNetError(error.code, `${path}: ${error.message}`, { cause: error }) : error;
  }
}

/** The same for bytes at hand, at once; a TensorFlow.js model needs its shards and so cannot be read here. */
export function parseCheckpoint(source: Uint8Array, external: ExternalData = new Map()): Checkpoint {
  if (!(source instanceof Uint8Array)) throw invalidArgument('the checkpoint', 'a Uint8Array', source);
  const bytes = settled(source);
  const format = detectFormat(bytes);
  checkNoExternal(format, external);
  switch (format) {
    case 'safetensors':
      return readSafetensors(bytes);
    case 'torch':
      return readers.zip.looksLikeZip(bytes) ? readers.torch.readTorch(bytes) : readers.torchStream.readTorchStream(bytes);
    case 'onnx':
      if (external.size > 0) checkNamed(readers.onnx.onnxExternalFiles(bytes), external);
      return readers.onnx.readOnnx(bytes, external);
    case 'tflite':
      return readers.tflite.readTflite(bytes);
    case 'keras':
      return readers.zip.looksLikeZip(bytes) ? readers.keras.readKerasArchive(bytes) : readers.keras.readKerasHdf5(bytes);
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
  // First, as it needs no other reader: a zip archive begins with a P, the rest differ in what would be the header's length.
  if (bytes[0] !== 0x50 && looksLikeSafetensors(bytes)) return 'safetensors';
  if (readers.hdf5.looksLikeHdf5(bytes) || readers.keras.isKerasEntry(readers.zip.firstZipName(bytes))) return 'keras';
  if (readers.zip.looksLikeZip(bytes) || readers.torchStream.looksLikeTorchStream(bytes)) return 'torch';
  if (looksLikeSafetensors(bytes)) return 'safetensors';
  if (readers.tfjs.looksLikeJson(bytes)) return 'tfjs-graph';
  if (readers.onnx.looksLikeOnnx(bytes)) return 'onnx';
  if (readers.tflite.looksLikeTflite(bytes)) return 'tflite';
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

/** Reads a file that another file names. It must lie in the folder itself, or where a hub's cache keeps its content. */
async function readInside(folder: string, name: string, limit: number): Promise<Uint8Array> {
  const path = join(folder, name);
  const link = await readlink(path).catch(() => undefined);
  const target = link === undefined ? path : resolve(folder, link);
  const allowed = [resolve(folder), ...(basename(dirname(resolve(folder))) === 'snapshots' ? [resolve(folder, '..', '..', 'blobs')] : [])];
  if (link !== undefined && !allowed.includes(dirname(target))) {
    throw new EfficientNetError('ERR_FILE', 'Expected a file of the same folder but this is a link to another place');
  }
  return wholeFile(path, limit);
}

/** The files that an ONNX model names, of those that the caller hands over. */
async function readExternal(bytes: Uint8Array, external: ExternalFiles): Promise<ExternalData> {
  const files = new Map<string, Uint8Array>();
  if (external.size === 0 || !readers.onnx.looksLikeOnnx(bytes)) return files;
  const wanted = new Set(readers.onnx.onnxExternalFiles(bytes));
  checkNamed(wanted, external);
  for (const name of wanted) {
    const source = external.get(name);
    if (source === undefined) continue; // The reader says which tensor is missing then.
    files.set(name, source instanceof Uint8Array ? source : await wholeFile(toPath(source), Infinity));
  }
  return files;
}

/** A name that the model does not have is a slip, or the file of another model. */
function checkNamed(wanted: ReadonlySet<string>, external: ReadonlyMap<string, unknown>): void {
  for (const name of external.keys()) {
    if (wanted.has(name)) continue;
    const names = [...wanted].slice(0, 3).map(quote).join(', ');
    throw new EfficientNetError(
      'ERR_INVALID_ARGUMENT',
      `The option externalData gives ${quote(name)}, but the ONNX model ${wanted.size === 0 ? 'has all its tensors in itself' : `names ${names}${wanted.size > 3 ? ` and ${wanted.size - 3} more` : ''}`}`,
    );
  }
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
