// SPDX-License-Identifier: Apache-2.0
// Reads chosen files out of a gzipped npm package tarball, in memory. Not a general tar reader: plain
// files under short names only, which is how npm packs. Names from the archive are compared, never
// used as paths, and every size is bounded before anything is allocated.

import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

import { EfficientNetError } from '../errors.js';

const BLOCK = 512;
const CHECKSUM_AT = 148;
const unzip = promisify(gunzip);

/**
 * Unpacks a tarball and returns the plain files that lie directly in `folder` (ending in a slash),
 * by their name within it, as views on the unpacked bytes.
 * @param limit the most bytes that the archive may unpack to
 * @throws EfficientNetError ERR_FETCH for anything that is not a sound archive within the limit
 */
export async function readTarball(
  tarball: Uint8Array,
  folder: string,
  limit: number,
): Promise<ReadonlyMap<string, Uint8Array>> {
  let archive: Buffer;
  try {
    archive = await unzip(tarball, { maxOutputLength: limit });
  } catch (cause) {
    throw new EfficientNetError('ERR_FETCH', `Expected a gzipped tarball of at most ${limit} bytes unpacked`, { cause });
  }
  const files = new Map<string, Uint8Array>();
  let at = 0;
  while (at + BLOCK <= archive.length) {
    const header = archive.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) return files;
    const size = readHeader(header, at);
    const start = at + BLOCK;
    if (start + size > archive.length) throw malformed(at, `an entry of ${size} bytes passes the end`);
    const name = text(header, 345, 155) ? `${text(header, 345, 155)}/${text(header, 0, 100)}` : text(header, 0, 100);
    const type = header[156];
    const inside = name.startsWith(folder) ? name.slice(folder.length) : '';
    if ((type === 0x30 || type === 0) && inside && !inside.includes('/')) {
      if (files.has(inside)) throw malformed(at, `a second entry named ${JSON.stringify(name)}`);
      files.set(inside, archive.subarray(start, start + size));
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  throw malformed(at, 'the archive ends without its closing block');
}

/** Checks a header's checksum and returns the size of its entry in bytes. */
function readHeader(header: Uint8Array, at: number): number {
  let sum = 0;
  header.forEach((byte, index) => {
    sum += index >= CHECKSUM_AT && index < CHECKSUM_AT + 8 ? 0x20 : byte;
  });
  if (octal(header, CHECKSUM_AT, 8) !== sum) throw malformed(at, 'a header with a wrong checksum');
  const size = octal(header, 124, 12);
  if (size === undefined) throw malformed(at, 'a header without a readable size');
  return size;
}

function octal(header: Uint8Array, from: number, length: number): number | undefined {
  const digits = text(header, from, length).trim();
  return /^[0-7]{1,11}$/.test(digits) ? Number.parseInt(digits, 8) : undefined;
}

function text(header: Uint8Array, from: number, length: number): string {
  const field = Buffer.from(header.buffer, header.byteOffset + from, length);
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? length : end);
}

function malformed(at: number, found: string): EfficientNetError {
  return new EfficientNetError('ERR_FETCH', `Malformed tarball at byte ${at}: ${found}`);
}
