// SPDX-License-Identifier: Apache-2.0
// Zip archives as PyTorch and Keras write them: stored entries, one directly after the other, returned as views.
// No general unzipper: nothing is inflated, and an archive in which the directory and the entries tell
// two stories, or in which bytes belong to no entry, is refused rather than interpreted.

import { crc32 } from 'node:zlib';
import { ByteReader, invalidCheckpoint, quote } from './bytes.js';

const kLocalHeader = 0x04034b50;
const kDirectoryEntry = 0x02014b50;
const kEnd = 0x06054b50;
const kEnd64 = 0x06064b50;
const kEnd64Locator = 0x07064b50;
const kDescriptor = 0x08074b50;

const kFlagEncrypted = 0x1;
const kFlagDescriptor = 0x8;
const kFlagPatched = 0x20;
const kFlagStrongEncryption = 0x40;
const kFlagMasked = 0x2000;

/** PyTorch writes one entry per tensor; the limit bounds what a hostile directory makes us allocate. */
const kMaxEntries = 100_000;
const kAbsent32 = 0xffffffff;

interface DirectoryEntry {
  readonly name: string;
  readonly flags: number;
  readonly crc: number;
  readonly size: number;
  /** Of the local header. */
  readonly offset: number;
}

interface Directory {
  readonly offset: number;
  readonly end: number;
  readonly entries: number;
}

export function looksLikeZip(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new ByteReader(bytes).u32(0) === kLocalHeader;
}

/** The name of the archive's first file, from its first bytes; undefined where they do not hold it. */
export function firstZipName(start: Uint8Array): string | undefined {
  if (!looksLikeZip(start) || start.length < 30) return undefined;
  const length = new ByteReader(start).u16(26);
  return start.length < 30 + length ? undefined : Buffer.from(start.subarray(30, 30 + length)).toString('latin1');
}

/**
 * The files of the archive by name, as views on `bytes`. Checked: the directory against every local
 * header, no compression, no encryption, no gaps or overlaps, plain relative names, CRC-32.
 * Throws ERR_INVALID_CHECKPOINT naming the place in the file.
 */
export function readZip(bytes: Uint8Array): Map<string, Uint8Array> {
  const reader = new ByteReader(bytes);
  const directory = findDirectory(reader);
  const entries = readDirectory(reader, bytes, directory);
  entries.sort((a, b) => a.offset - b.offset);
  const files = new Map<string, Uint8Array>();
  let expectedOffset = 0;
  for (const entry of entries) {
    if (entry.offset !== expectedOffset) {
      throw invalidCheckpoint(
        `The zip entry ${quote(entry.name)} begins at ${entry.offset}, expected ${expectedOffset}: entries overlap or leave a gap`,
        entry.offset,
      );
    }
    const start = checkLocalHeader(reader, bytes, entry);
    const end = start + entry.size;
    if (end > directory.offset) throw invalidCheckpoint(`The zip entry ${quote(entry.name)} runs into the directory`, entry.offset);
    const data = bytes.subarray(start, end);
    if (crc32(data) !== entry.crc) {
      throw invalidCheckpoint(`The zip entry ${quote(entry.name)} is damaged: its CRC-32 is not the one recorded`, start);
    }
    if (files.has(entry.name)) throw invalidCheckpoint(`Two zip entries are named ${quote(entry.name)}`, entry.offset);
    files.set(entry.name, data);
    expectedOffset = end + ((entry.flags & kFlagDescriptor) === 0 ? 0 : descriptorLength(reader, entry, end));
  }
  if (expectedOffset !== directory.offset) {
    throw invalidCheckpoint('Expected the zip directory directly after the last entry', expectedOffset);
  }
  return files;
}

/** The end record must be the file's last bytes: a comment would make its place a matter of search. */
function findDirectory(reader: ByteReader): Directory {
  const endOffset = reader.length - 22;
  if (endOffset < 0 || reader.u32(endOffset) !== kEnd || reader.u16(endOffset + 20) !== 0) {
    throw invalidCheckpoint('The zip archive is truncated, or something follows it: no end record in its last 22 bytes', Math.max(endOffset, 0));
  }
  const disks = [reader.u16(endOffset + 4), reader.u16(endOffset + 6)];
  let entries = reader.u16(endOffset + 10);
  let entriesHere = reader.u16(endOffset + 8);
  let size = reader.u32(endOffset + 12);
  let offset = reader.u32(endOffset + 16);
  let end = endOffset;
  if (endOffset >= 20 && reader.u32(endOffset - 20) === kEnd64Locator) {
    const end64 = reader.u64(endOffset - 12);
    // The record that the locator points at must be the one directly before it.
    if (end64 !== endOffset - 76 || reader.u32(end64) !== kEnd64 || reader.u64(end64 + 4) !== 44) {
      throw invalidCheckpoint('The zip64 locator does not point at a zip64 end record directly before it', endOffset - 20);
    }
    disks.push(reader.u32(endOffset - 16), reader.u32(end64 + 16), reader.u32(end64 + 20));
    const wide: [number, number, number, number] = [
      reader.u64(end64 + 24), reader.u64(end64 + 32), reader.u64(end64 + 40), reader.u64(end64 + 48),
    ];
    const narrow = [entriesHere, entries, size, offset];
    if (wide.some((value, i) => value !== narrow[i] && narrow[i] !== (i < 2 ? 0xffff : kAbsent32))) {
      throw invalidCheckpoint('The zip and zip64 end records contradict each other', endOffset);
    }
    [entriesHere, entries, size, offset] = wide;
    end = end64;
  }
  if (disks.some((disk) => disk !== 0) || entries !== entriesHere) throw invalidCheckpoint('Expected a zip archive of one part', endOffset);
  if (offset + size !== end) throw invalidCheckpoint(`The zip directory of ${size} bytes at ${offset} does not end at its end record`, endOffset);
  if (entries > kMaxEntries) throw invalidCheckpoint(`Expected at most ${kMaxEntries} zip entries but the archive says ${entries}`, endOffset);
  return { offset, end, entries };
}

function readDirectory(reader: ByteReader, bytes: Uint8Array, directory: Directory): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  let at = directory.offset;
  for (let i = 0; i < directory.entries; i++) {
    if (at + 46 > directory.end || reader.u32(at) !== kDirectoryEntry) {
      throw invalidCheckpoint(`Expected entry ${i + 1} of ${directory.entries} of the zip directory`, at);
    }
    const nameLength = reader.u16(at + 28);
    const extraLength = reader.u16(at + 30);
    const next = at + 46 + nameLength + extraLength + reader.u16(at + 32);
    if (next > directory.end) throw invalidCheckpoint('An entry of the zip directory runs past its end', at);
    entries.push(readDirectoryEntry(reader, bytes, at, nameLength, extraLength));
    at = next;
  }
  if (at !== directory.end) throw invalidCheckpoint('The zip directory holds more than its entries', at);
  return entries;
}

function readDirectoryEntry(
  reader: ByteReader,
  bytes: Uint8Array,
  at: number,
  nameLength: number,
  extraLength: number,
): DirectoryEntry {
  const name = readName(bytes, at + 46, nameLength);
  const flags = reader.u16(at + 8);
  const refused = kFlagEncrypted | kFlagPatched | kFlagStrongEncryption | kFlagMasked;
  if ((flags & refused) !== 0) {
    throw invalidCheckpoint(`The zip entry ${quote(name)} has the flags 0x${flags.toString(16)}: encrypted or patched`, at + 8);
  }
  if (reader.u16(at + 10) !== 0) {
    throw invalidCheckpoint(`The zip entry ${quote(name)} is compressed; expected stored entries, as PyTorch and Keras write them`, at + 10);
  }
  const narrow = [reader.u32(at + 24), reader.u32(at + 20), reader.u32(at + 42)];
  const wide = zip64Values(reader, at + 46 + nameLength, extraLength, narrow.filter((value) => value === kAbsent32).length);
  const [size = 0, stored = 0, offset = 0] = narrow.map((value) => (value === kAbsent32 ? (wide.shift() ?? Infinity) : value));
  if (size !== stored) throw invalidCheckpoint(`The zip entry ${quote(name)} has two sizes: ${size} and, stored, ${stored}`, at + 20);
  if (reader.u16(at + 34) !== 0) throw invalidCheckpoint('Expected a zip archive of one part', at + 34);
  return { name, flags, crc: reader.u32(at + 16), size, offset };
}

/** The 64-bit values of the zip64 extra field, which must be there if any is wanted. */
function zip64Values(reader: ByteReader, start: number, length: number, wanted: number): number[] {
  if (wanted === 0) return [];
  let at = start;
  while (at + 4 <= start + length) {
    const size = reader.u16(at + 2);
    if (at + 4 + size > start + length) break;
    if (reader.u16(at) === 1) {
      if (size < wanted * 8) break;
      return Array.from({ length: wanted }, (_, i) => reader.u64(at + 4 + i * 8));
    }
    at += 4 + size;
  }
  throw invalidCheckpoint('Expected a zip64 extra field with the sizes that the entry leaves out', start);
}

function readName(bytes: Uint8Array, start: number, length: number): string {
  let name: string;
  try {
    name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(start, start + length));
  } catch {
    throw invalidCheckpoint('The name of a zip entry is not valid UTF-8', start);
  }
  const parts = name.split('/');
  if (/[\u0000-\u001f\\:]/.test(name) || parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw invalidCheckpoint(`Expected a plain relative path as the name of a zip entry, not ${quote(name)}`, start);
  }
  return name;
}

/** Compares with the directory and returns where the data begins. */
function checkLocalHeader(reader: ByteReader, bytes: Uint8Array, entry: DirectoryEntry): number {
  const at = entry.offset;
  if (reader.u32(at) !== kLocalHeader) throw invalidCheckpoint(`Expected the local header of zip entry ${quote(entry.name)}`, at);
  const nameLength = reader.u16(at + 26);
  const extraLength = reader.u16(at + 28);
  const name = readName(bytes, at + 30, nameLength);
  const narrow = [reader.u32(at + 22), reader.u32(at + 18)];
  const wide = zip64Values(reader, at + 30 + nameLength, extraLength, narrow.filter((value) => value === kAbsent32).length);
  const [size = 0, stored = 0] = narrow.map((value) => (value === kAbsent32 ? (wide.shift() ?? Infinity) : value));
  const crc = reader.u32(at + 14);
  // With a descriptor behind the data the header may leave the three at zero, and PyTorch's does.
  const later = (entry.flags & kFlagDescriptor) !== 0;
  const agrees = (found: number, expected: number): boolean => found === expected || (later && found === 0);
  if (
    name !== entry.name ||
    reader.u16(at + 6) !== entry.flags ||
    reader.u16(at + 8) !== 0 ||
    !agrees(size, entry.size) ||
    !agrees(stored, entry.size) ||
    !agrees(crc, entry.crc)
  ) {
    throw invalidCheckpoint(`The zip directory and the local header of entry ${quote(entry.name)} contradict each other`, at);
  }
  return at + 30 + nameLength + extraLength;
}

/** Signature, CRC and the two sizes, each of 4 bytes or, in zip64, of 8. */
function descriptorLength(reader: ByteReader, entry: DirectoryEntry, at: number): number {
  if (reader.u32(at) === kDescriptor && reader.u32(at + 4) === entry.crc) {
    if (reader.u32(at + 8) === entry.size && reader.u32(at + 12) === entry.size && at + 16 <= reader.length) return 16;
    if (reader.u64(at + 8) === entry.size && reader.u64(at + 16) === entry.size) return 24;
  }
  throw invalidCheckpoint(`The descriptor behind zip entry ${quote(entry.name)} contradicts the directory`, at);
}
