// SPDX-License-Identifier: Apache-2.0
// PyTorch checkpoints as torch.save wrote them before version 1.6, and as the first EfficientNets were
// published: pickles one after the other, then the storages.
//
//   magic number | version 1001 | about the machine | the checkpoint | keys of the storages
//   then for each key: u64 elements | elements
//
// Tensors are views on the file. Runs no code of it; see pickle.ts.

import { EfficientNetError } from '../errors.js';
import { ByteReader, elementBytes, invalidCheckpoint, quote } from './bytes.js';
import { readPickleInStream, type PickleInStream } from './pickle.js';
import { isKind, PickleDict, type PickleStorage } from './pickle-values.js';
import type { Checkpoint } from './tensor.js';
import { resolveTensors } from './torch-tensors.js';

/** Protocol 2, then the magic number as a LONG1 of 10 bytes, then STOP. */
const magic = Buffer.from('\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e', 'latin1');
const kVersion = 1001;

/** True where the bytes begin with the older format's magic number. */
export function looksLikeTorchStream(bytes: Uint8Array): boolean {
  return bytes.length >= magic.length && magic.every((byte, i) => bytes[i] === byte);
}

/**
 * Reads a checkpoint in PyTorch's older format; wrappers and prefixes as readTorch.
 * Throws ERR_INVALID_CHECKPOINT naming the place, or ERR_UNSUPPORTED for big-endian machines.
 */
export function readTorchStream(bytes: Uint8Array): Checkpoint {
  if (!looksLikeTorchStream(bytes)) throw invalidCheckpoint("Expected the magic number of PyTorch's older format", 0);
  let at = magic.length;
  const next = <T>(use: (pickle: PickleInStream, at: number) => T): T => {
    const start = at;
    const pickle = readPickleInStream(bytes.subarray(start), start);
    at += pickle.length;
    return use(pickle, start);
  };
  next(checkVersion);
  next(checkMachine);
  const { value, storages } = next((pickle) => pickle);
  const keys = next(storageKeys);
  const found = readStorages(bytes, at, keys, storagesByKey(storages));
  const tensors = resolveTensors(value, ({ key }) => found.get(key), bytes.length);
  return { format: 'torch', tensors, metadata: new Map() };
}

function checkVersion({ value }: PickleInStream, at: number): void {
  if (value !== kVersion) throw invalidCheckpoint(`Expected version ${kVersion} of PyTorch's older format`, at);
}

function checkMachine({ value }: PickleInStream, at: number): void {
  const little = value instanceof PickleDict ? value.entries.get('little_endian') : undefined;
  if (little === true) return;
  if (little === false) {
    throw new EfficientNetError('ERR_UNSUPPORTED', 'The checkpoint was written on a big-endian machine; save it again on a little-endian one');
  }
  throw invalidCheckpoint('Expected the checkpoint to say whether its machine was little-endian', at);
}

function storageKeys({ value }: PickleInStream, at: number): readonly string[] {
  const items = isKind(value, 'list') ? value.items : undefined;
  const keys = items?.filter((item) => typeof item === 'string');
  if (keys === undefined || keys.length !== items?.length || new Set(keys).size !== keys.length) {
    throw invalidCheckpoint('Expected a list of the different keys of the storages', at);
  }
  return keys;
}

/** A storage that several tensors share is described each time, always alike. */
function storagesByKey(storages: readonly PickleStorage[]): ReadonlyMap<string, PickleStorage> {
  const byKey = new Map<string, PickleStorage>();
  for (const storage of storages) {
    const known = byKey.get(storage.key) ?? storage;
    if (known.type !== storage.type || known.length !== storage.length) {
      throw invalidCheckpoint(
        `The storage ${quote(storage.key)} is described twice, with ${known.length} elements of ${known.type} and ${storage.length} of ${storage.type}`,
      );
    }
    byKey.set(storage.key, known);
  }
  return byKey;
}

/** The storages lie in the order of their keys, each behind its number of elements, and end with the file. */
function readStorages(
  bytes: Uint8Array,
  start: number,
  keys: readonly string[],
  storages: ReadonlyMap<string, PickleStorage>,
): ReadonlyMap<string, Uint8Array> {
  const reader = new ByteReader(bytes);
  const found = new Map<string, Uint8Array>();
  let at = start;
  for (const key of keys) {
    const storage = storages.get(key);
    if (storage === undefined) throw invalidCheckpoint(`The file has a storage ${quote(key)} that nothing in the checkpoint refers to`, at);
    const length = reader.u64(at);
    if (length !== storage.length) {
      throw invalidCheckpoint(`Expected ${storage.length} elements in storage ${quote(key)} as the checkpoint says but the file has ${length}`, at);
    }
    const end = at + 8 + length * elementBytes[storage.type];
    if (end > bytes.length) {
      throw invalidCheckpoint(`The file is truncated: storage ${quote(key)} of ${length} elements ends at ${end} but the file at ${bytes.length}`, at);
    }
    found.set(key, bytes.subarray(at + 8, end));
    at = end;
  }
  if (at !== bytes.length) throw invalidCheckpoint('Something follows the last storage', at);
  return found;
}
