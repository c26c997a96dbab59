// SPDX-License-Identifier: Apache-2.0
// The tensors of a PyTorch checkpoint, whichever container it came in: finds the state dict in what the
// pickle describes, checks each tensor against its storage, and gives its elements in row-major order,
// as views where they lie so already. Reads no container; see torch.ts and torch-stream.ts.

import { elementBytes, elementCount, formatShape, invalidCheckpoint, quote } from './bytes.js';
import { isKind, PickleDict, type PickleStorage, type PickleTensor, type PickleValue } from './pickle-values.js';
import type { Tensor } from './tensor.js';

/** A storage's bytes, or undefined where the file has none of that key. */
export type FindStorage = (storage: PickleStorage) => Uint8Array | undefined;

const kMaxRank = 32;
/** Where training scripts put the weights, in timm's order of preference: averaged weights first. */
const wrappers = ['state_dict_ema', 'model_ema', 'state_dict', 'model'];
/** What data-parallel training, torch.compile and Lightning put before every name. */
const prefixes = ['module.', '_orig_mod.', 'model.'];

/**
 * The tensors by name. A dictionary of tensors is taken as it is; one that wraps it is unwrapped, and
 * the prefixes of training removed. `fileLength` bounds what is copied of tensors in another order.
 * Throws ERR_INVALID_CHECKPOINT naming the tensor.
 */
export function resolveTensors(value: PickleValue, find: FindStorage, fileLength: number): Map<string, Tensor> {
  const storages = new Storages(find, fileLength);
  const tensors = new Map<string, Tensor>();
  for (const [name, tensor] of stateDict(value)) tensors.set(name, storages.resolve(name, tensor));
  return tensors;
}

/** The dictionary of tensors, which may be wrapped and prefixed. */
function stateDict(value: PickleValue): Map<string, PickleTensor> {
  const tensors = new Map<string, PickleTensor>();
  for (const [name, tensor] of unwrap(value).entries) {
    if (typeof name !== 'string' || !isKind(tensor, 'tensor')) {
      throw invalidCheckpoint(`Expected a dictionary of named tensors, but its entry ${quote(String(name))} is none`);
    }
    tensors.set(name, tensor);
  }
  return withoutPrefixes(tensors);
}

/** Only what every name has is a prefix. */
function withoutPrefixes(tensors: Map<string, PickleTensor>): Map<string, PickleTensor> {
  const prefix = prefixes.find((one) => tensors.size > 0 && [...tensors.keys()].every((name) => name.startsWith(one) && name !== one));
  if (prefix === undefined) return tensors;
  return withoutPrefixes(new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor])));
}

/** Two levels at most: a dictionary can hold itself. */
function unwrap(value: PickleValue): PickleDict {
  let dict = value;
  for (let level = 0; level < 2 && dict instanceof PickleDict; level++) {
    const { entries }: PickleDict = dict;
    const wrapper = wrappers.find((name) => entries.get(name) instanceof PickleDict);
    if (wrapper === undefined) break;
    dict = entries.get(wrapper) ?? null;
  }
  if (dict instanceof PickleDict) return dict;
  throw invalidCheckpoint('Expected the checkpoint to hold a dictionary of tensors; save it with torch.save(model.state_dict(), path)');
}

/** Checks tensors against the stored elements and gives their bytes. */
class Storages {
  readonly #find: FindStorage;
  /** Bytes that may still be copied: each byte of the file once, whatever the pickle asks for. */
  #copyBudget: number;

  constructor(find: FindStorage, fileLength: number) {
    this.#find = find;
    this.#copyBudget = fileLength;
  }

  resolve(name: string, tensor: PickleTensor): Tensor {
    const { storage, offset, size, stride } = tensor;
    const bytes = this.#bytesOf(name, storage);
    const count = elementCount(size);
    if (size.length !== stride.length || size.length > kMaxRank || count === undefined || count > storage.length) {
      throw invalidCheckpoint(
        `Tensor ${quote(name)} of size ${formatShape(size)} and stride ${formatShape(stride)} ` +
          `does not fit its storage of ${storage.length} elements`,
      );
    }
    const extent = checkedExtent(name, tensor, count);
    const width = elementBytes[storage.type];
    const start = offset * width;
    if (count === 0 || isRowMajor(size, stride)) {
      return { name, type: storage.type, shape: size, bytes: bytes.subarray(start, start + count * width) };
    }
    const reach = bytes.subarray(start, start + extent * width);
    // The extent, not the elements: where the file is not aligned, all of it is copied first.
    this.#copyBudget -= reach.length;
    if (this.#copyBudget < 0) throw invalidCheckpoint(`Tensor ${quote(name)}: the tensors not in row-major order exceed the file`);
    return { name, type: storage.type, shape: size, bytes: copyRowMajor(reach, size, stride, width) };
  }

  #bytesOf(name: string, storage: PickleStorage): Uint8Array {
    const bytes = this.#find(storage);
    if (bytes === undefined) throw invalidCheckpoint(`Tensor ${quote(name)} lies in the storage ${quote(storage.key)}, which the file does not have`);
    const expected = storage.length * elementBytes[storage.type];
    if (bytes.length === expected) return bytes;
    throw invalidCheckpoint(
      `Tensor ${quote(name)} lies in a storage of ${storage.length} elements of ${storage.type}, ` +
        `${expected} bytes, but the file has ${bytes.length}`,
    );
  }
}

/** Elements from the first to the last, which must lie inside the storage; every sum must be exact. */
function checkedExtent(name: string, { storage, offset, size, stride }: PickleTensor, count: number): number {
  let extent = count === 0 ? 0 : 1;
  if (count > 0) size.forEach((n, i) => (extent += (n - 1) * (stride[i] ?? 0)));
  if (Number.isSafeInteger(extent) && Number.isSafeInteger(offset + extent) && offset + extent <= storage.length) return extent;
  throw invalidCheckpoint(
    `Tensor ${quote(name)} of size ${formatShape(size)}, stride ${formatShape(stride)} and offset ${offset} ` +
      `reaches outside its storage of ${storage.length} elements`,
  );
}

/** A dimension of size 1 is never stepped along, so its stride is of no account. */
function isRowMajor(size: readonly number[], stride: readonly number[]): boolean {
  let expected = 1;
  for (let i = size.length - 1; i >= 0; i--) {
    const n = size[i] ?? 0;
    if (n !== 1 && stride[i] !== expected) return false;
    expected *= n;
  }
  return true;
}

/** `source` is the tensor's checked extent: from its first element to its last. */
function copyRowMajor(source: Uint8Array, size: readonly number[], stride: readonly number[], width: number): Uint8Array {
  // Copied in words of at most 4 bytes, exact for every type; an element of 8 is a last dimension of 2 words.
  const wide = width === 8;
  const sizes = wide ? [...size, 2] : size;
  const strides = wide ? [...stride.map((step) => step * 2), 1] : stride;
  const result = new Uint8Array(sizes.reduce((a, b) => a * b, 1) * Math.min(width, 4));
  const from = asWords(source, width);
  const to = asWords(result, width);
  const index = sizes.map(() => 0);
  let at = 0;
  for (let i = 0; i < to.length; i++) {
    to[i] = from[at] ?? 0;
    for (let d = sizes.length - 1; d >= 0; d--) {
      const [n, step, k] = [sizes[d] ?? 1, strides[d] ?? 0, (index[d] ?? 0) + 1];
      at += step;
      index[d] = k;
      if (k < n) break;
      at -= n * step;
      index[d] = 0;
    }
  }
  return result;
}

function asWords(bytes: Uint8Array, width: number): Uint8Array | Uint16Array | Uint32Array {
  const word = Math.min(width, 4);
  const aligned = bytes.byteOffset % word === 0 ? bytes : new Uint8Array(bytes); // A Buffer's slice would be a view.
  const length = Math.floor(aligned.byteLength / word);
  if (word === 1) return new Uint8Array(aligned.buffer, aligned.byteOffset, length);
  if (word === 2) return new Uint16Array(aligned.buffer, aligned.byteOffset, length);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, length);
}
