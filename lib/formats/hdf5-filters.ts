// SPDX-License-Identifier: Apache-2.0
// The filters through which HDF5 stores the chunks of a dataset, undone: deflate, byte shuffle and the
// Fletcher-32 checksum, which h5py offers as compression='gzip', shuffle and fletcher32. How long a chunk
// is when it is whole is known beforehand, so that nothing is inflated further. Others are named and refused.
// HDF5 File Format Specification 3.0, sections IV.A.2.l and VII.B.

import { inflateSync } from 'node:zlib';
import { quote } from './bytes.js';
import type { Hdf5Bytes } from './hdf5-bytes.js';
import type { Message } from './hdf5-messages.js';

export type Filter = 'deflate' | 'shuffle' | 'fletcher32';

const filters: ReadonlyMap<number, Filter> = new Map([[1, 'deflate'], [2, 'shuffle'], [3, 'fletcher32']]);
/** Numbers of The HDF Group's registry. */
const foreign: ReadonlyMap<number, string> = new Map([
  [4, 'szip'], [5, 'n-bit'], [6, 'scale-offset'], [307, 'bzip2'], [32000, 'lzf'], [32001, 'Blosc'], [32004, 'LZ4'], [32008, 'bitshuffle'],
  [32013, 'ZFP'], [32015, 'Zstandard'], [32026, 'Blosc2'],
]);
/** The first whose number is followed by its name in version 2. */
const kFirstNamed = 256;
/** What the library allows. */
const kMaxFilters = 32;
const kChecksumBytes = 4;

/** A chunk as it lies in the file. */
export interface StoredChunk {
  readonly at: number;
  readonly size: number;
  /** Bit i is set where filter i was left out. */
  readonly mask: number;
}

/** The dataset's filters in the order in which they were applied. */
export function filtersOf(file: Hdf5Bytes, message: Message, path: string): readonly Filter[] {
  const { at, size } = message;
  const end = at + size;
  const cutOff = (): never => file.fail(`The list of filters of ${quote(path)} is cut off`, at);
  if (size < 2) cutOff();
  const [version, count] = [file.u8(at), file.u8(at + 1)];
  if (version !== 1 && version !== 2) file.fail(`Expected a list of filters of version 1 or 2 in ${quote(path)}, not ${version}`, at);
  if (count > kMaxFilters) file.fail(`Expected at most ${kMaxFilters} filters in ${quote(path)}, not ${count}`, at);
  let next = at + (version === 1 ? 8 : 2);
  const found: Filter[] = [];
  for (let i = 0; i < count; i++) {
    if (next + 6 > end) cutOff();
    const id = file.u16(next);
    const isNamed = version === 1 || id >= kFirstNamed;
    if (isNamed && next + 8 > end) cutOff();
    const nameLength = isNamed ? file.u16(next + 2) : 0;
    const valuesAt = next + (isNamed ? 6 : 4);
    const values = file.u16(valuesAt);
    // Version 1 pads the name and an odd number of values to 8 bytes.
    const padded = version === 1 ? Math.ceil(nameLength / 8) * 8 + 4 * (values % 2) : nameLength;
    const filter = filters.get(id);
    if (filter === undefined) file.unsupported(`stores the dataset ${quote(path)} through the filter ${id}${foreign.has(id) ? ` (${foreign.get(id)})` : ''}`, next);
    if (found.includes(filter)) file.fail(`The dataset ${quote(path)} has the filter ${filter} twice`, next);
    found.push(filter);
    next = valuesAt + 2 + padded + 4 * values;
    if (next > end) cutOff();
  }
  return found;
}

/** The chunk's elements, `length` bytes: a view where no filter changes them. */
export function decodeChunk(file: Hdf5Bytes, chunk: StoredChunk, all: readonly Filter[], length: number, width: number, path: string): Uint8Array {
  if (chunk.mask >= 2 ** all.length) file.fail(`A chunk of ${quote(path)} leaves out filters that there are not`, chunk.at);
  const applied = all.filter((_, i) => (chunk.mask & (1 << i)) === 0);
  let bytes = file.slice(chunk.at, chunk.size);
  applied.forEach((_, step) => {
    const filter = applied[applied.length - 1 - step];
    // Of what was applied before, only a checksum changes the length.
    const isSummed = applied.slice(0, applied.length - 1 - step).includes('fletcher32');
    if (filter === 'deflate') bytes = inflate(file, chunk, bytes, length + (isSummed ? kChecksumBytes : 0), path);
    else if (filter === 'shuffle') bytes = unshuffle(bytes, width);
    else bytes = checked(file, chunk, bytes, path);
  });
  if (bytes.length !== length) file.fail(`A chunk of ${quote(path)} has ${bytes.length} bytes, expected ${length}`, chunk.at);
  return bytes;
}

/** Stops at `length` bytes, whatever the stream holds. */
function inflate(file: Hdf5Bytes, { at }: StoredChunk, bytes: Uint8Array, length: number, path: string): Uint8Array {
  let result: { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } };
  try {
    // The types of inflateSync know nothing of `info`.
    result = inflateSync(bytes, { maxOutputLength: length, info: true }) as unknown as typeof result;
  } catch (cause) {
    const isLonger = cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE';
    return file.fail(`A compressed chunk of ${quote(path)} ${isLonger ? `gives more than its ${length} bytes` : 'is damaged'}`, at);
  }
  if (result.engine.bytesWritten !== bytes.length) file.fail(`Something follows the end of a compressed chunk of ${quote(path)}`, at);
  return result.buffer;
}

/** From all first bytes, all second bytes and so on of elements of `width` bytes to the elements; what is over stays behind. */
function unshuffle(bytes: Uint8Array, width: number): Uint8Array {
  const count = Math.floor(bytes.length / width);
  const result = new Uint8Array(bytes.length);
  for (let byte = 0; byte < width; byte++) {
    for (let i = 0, to = byte, from = byte * count; i < count; i++, to += width, from++) result[to] = bytes[from] ?? 0;
  }
  result.set(bytes.subarray(count * width), count * width);
  return result;
}

function checked(file: Hdf5Bytes, { at }: StoredChunk, bytes: Uint8Array, path: string): Uint8Array {
  const length = bytes.length - kChecksumBytes;
  if (length < 0) file.fail(`A chunk of ${quote(path)} is shorter than its checksum`, at);
  const data = bytes.subarray(0, length);
  const [second, first] = fletcher32(data);
  const stored = new DataView(bytes.buffer, bytes.byteOffset + length, kChecksumBytes).getUint32(0, true);
  // Sums modulo 65,535, in which 0 and 65,535 are the same.
  if ((stored & 0xffff) % 0xffff !== first || (stored >>> 16) % 0xffff !== second) {
    file.fail(`A chunk of ${quote(path)} is damaged: its Fletcher-32 checksum is not the one recorded`, at);
  }
  return data;
}

/** Both sums over big-endian words of 16 bits, an odd last byte counting as the upper half of a word. */
function fletcher32(bytes: Uint8Array): readonly [second: number, first: number] {
  let [first, second] = [0, 0];
  for (let i = 0; i < bytes.length; ) {
    // 2^53 is far: a stretch of 4,096 words keeps the second sum below 2^41.
    for (const end = Math.min(bytes.length, i + 8192); i < end; i += 2) {
      first += (bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0);
      second += first;
    }
    first %= 0xffff;
    second %= 0xffff;
  }
  return [second, first];
}
