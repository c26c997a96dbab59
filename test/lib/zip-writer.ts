// SPDX-License-Identifier: Apache-2.0
// Writes zip archives of stored entries for tests, sound or wrong in one chosen field. Deliberately
// shares no code with the reader under test.

import { crc32 } from 'node:zlib';

export interface ZipEntry {
  readonly name: string | Uint8Array;
  readonly data: Uint8Array;
}

/** Each field can be replaced to make an archive wrong in exactly that way. */
export interface ZipFaults {
  readonly flags?: number;
  readonly localFlags?: number;
  readonly method?: number;
  readonly localMethod?: number;
  readonly localName?: string;
  readonly crc?: number;
  readonly localSize?: number;
  readonly size?: number;
  readonly storedSize?: number;
  readonly offset?: (offset: number) => number;
  readonly disk?: number;
  readonly descriptorCrc?: number;
  readonly entries?: number;
  readonly directorySize?: number;
  readonly directoryOffset?: (offset: number) => number;
  readonly gap?: Uint8Array;
  readonly before?: Uint8Array;
  readonly beforeDirectory?: Uint8Array;
  readonly afterDirectory?: Uint8Array;
  readonly comment?: string;
  readonly entries64?: number;
  readonly locator?: number;
}

export interface ZipStyle {
  /** Sizes behind the data, as PyTorch writes them. */
  readonly descriptor?: boolean;
  /** 64-bit fields everywhere although nothing needs them. */
  readonly zip64?: boolean;
}

// Out of Buffer's pool, since the fuzzer writes an archive for each execution. What is too large wraps around.
const number = (width: number, write: (bytes: Buffer) => void): Buffer => {
  const bytes = Buffer.allocUnsafe(width);
  write(bytes);
  return bytes;
};
const u16 = (value: number): Buffer => number(2, (bytes) => bytes.writeUInt16LE(value & 0xffff));
const u32 = (value: number): Buffer => number(4, (bytes) => bytes.writeUInt32LE(value >>> 0));
const u64 = (value: number): Buffer => number(8, (bytes) => bytes.writeBigUInt64LE(BigInt(value)));

/** Faults apply to the last entry and to the end records. */
export function writeZip(entries: readonly ZipEntry[], faults: ZipFaults = {}, style: ZipStyle = {}): Buffer {
  const parts: Buffer[] = [Buffer.from(faults.before ?? [])];
  const directory: Buffer[] = [];
  let at = 0;
  const add = (...more: readonly Buffer[]): void => {
    for (const part of more) at += part.length;
    parts.push(...more);
  };
  at = parts[0]?.length ?? 0;
  entries.forEach((entry, i) => {
    const last = i === entries.length - 1;
    const offset = at;
    add(...writeEntry(entry, last ? faults : {}, style));
    directory.push(...writeDirectoryEntry(entry, offset, last ? faults : {}, style));
    if (last) add(Buffer.from(faults.beforeDirectory ?? []));
    else add(Buffer.from(faults.gap ?? []));
  });
  const directoryOffset = at;
  add(...directory);
  add(Buffer.from(faults.afterDirectory ?? []));
  const size = faults.directorySize ?? Buffer.concat(directory).length;
  const count = faults.entries ?? entries.length;
  const where = faults.directoryOffset?.(directoryOffset) ?? directoryOffset;
  if (style.zip64 === true) {
    const end64 = at;
    const count64 = faults.entries64 ?? count;
    add(u32(0x06064b50), u64(44), u16(45), u16(45), u32(0), u32(0), u64(count64), u64(count64), u64(size), u64(where));
    add(u32(0x07064b50), u32(0), u64(faults.locator ?? end64), u32(1));
    add(endRecord(0xffff, 0xffffffff, 0xffffffff, faults));
  } else {
    add(endRecord(count, size, where, faults));
  }
  return Buffer.concat(parts);
}

function endRecord(count: number, size: number, offset: number, faults: ZipFaults): Buffer {
  const comment = Buffer.from(faults.comment ?? '');
  return Buffer.concat([
    u32(0x06054b50), u16(faults.disk ?? 0), u16(faults.disk ?? 0), u16(count), u16(count), u32(size), u32(offset),
    u16(comment.length), comment,
  ]);
}

function writeEntry({ name, data }: ZipEntry, faults: ZipFaults, { descriptor = false, zip64 = false }: ZipStyle): Buffer[] {
  const bytes = Buffer.from(faults.localName ?? name);
  const crc = faults.crc ?? crc32(data);
  const flags = (faults.localFlags ?? faults.flags ?? 0) | (descriptor ? 8 : 0);
  const size = faults.localSize ?? data.length;
  const header = [u32(0x04034b50), u16(20), u16(flags), u16(faults.localMethod ?? faults.method ?? 0), u32(0)];
  const sizes = descriptor ? [u32(0), u32(0), u32(0)] : [u32(crc), ...(zip64 ? [u32(0xffffffff), u32(0xffffffff)] : [u32(size), u32(size)])];
  const extra = zip64 && !descriptor ? Buffer.concat([u16(1), u16(16), u64(size), u64(size)]) : Buffer.alloc(0);
  const tail = [u32(0x08074b50), u32(faults.descriptorCrc ?? crc), ...(zip64 ? [u64(data.length), u64(data.length)] : [u32(data.length), u32(data.length)])];
  return [...header, ...sizes, u16(bytes.length), u16(extra.length), bytes, extra, Buffer.from(data), ...(descriptor ? tail : [])];
}

function writeDirectoryEntry(
  { name, data }: ZipEntry,
  at: number,
  faults: ZipFaults,
  { descriptor = false, zip64 = false }: ZipStyle,
): Buffer[] {
  const bytes = Buffer.from(name);
  const crc = faults.crc ?? crc32(data);
  const size = faults.size ?? data.length;
  const stored = faults.storedSize ?? size;
  const offset = faults.offset?.(at) ?? at;
  const extra = zip64 ? Buffer.concat([u16(1), u16(24), u64(size), u64(stored), u64(offset)]) : Buffer.alloc(0);
  const wide = (value: number): Buffer => u32(zip64 ? 0xffffffff : value);
  return [
    u32(0x02014b50), u16(20), u16(20), u16((faults.flags ?? 0) | (descriptor ? 8 : 0)), u16(faults.method ?? 0), u32(0), u32(crc),
    wide(stored), wide(size), u16(bytes.length), u16(extra.length), u16(0), u16(0), u16(0), u32(0), wide(offset), bytes, extra,
  ];
}
