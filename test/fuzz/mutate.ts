// SPDX-License-Identifier: Apache-2.0
// Changes files for the fuzzer: a seeded generator of numbers and the changes that break parsers
// (bits, lengths and offsets at their limits, text, pieces moved, lost, doubled and taken from other
// files). Knows no format; a reader's tokens and seeds bring that.

/** Reproducible numbers: the same seed gives the same run (Marsaglia's xorshift of 32 bits). */
export class Random {
  #state: number;

  constructor(seed: number) {
    // Zero is the one state that the generator never leaves.
    this.#state = Math.imul(seed | 0, 0x9e3779b1) ^ 0x2545f491 || 1;
    for (let i = 0; i < 8; i++) this.word();
  }

  /** 32 bits. */
  word(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }

  /** An integer from 0 to limit - 1; 0 where there is none. */
  below(limit: number): number {
    return limit <= 1 ? 0 : this.word() % limit;
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)];
  }
}

/** No file that the fuzzer makes is longer: headers are what breaks readers, and they are short. */
export const maxInputBytes = 64 * 2 ** 10;

const kInteresting: readonly bigint[] = [
  0n, 1n, 2n, 3n, 4n, 7n, 8n, 16n, 31n, 32n, 63n, 64n, 100n, 127n, 128n, 255n, 256n, 1000n, 1024n, 4096n, 32767n, 32768n,
  65535n, 65536n, 100_000n, 100_001n, 2n ** 24n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 1n,
  2n ** 53n - 1n, 2n ** 53n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 8n, 2n ** 64n - 1n,
];

/** A changed copy of one of the files; with one change as often as with many. */
export function mutate(random: Random, files: readonly Uint8Array[], tokens: readonly Uint8Array[]): Uint8Array {
  let bytes: Uint8Array = new Uint8Array(random.pick(files) ?? new Uint8Array(0));
  const changes = 1 << random.below(4);
  for (let i = 0; i < changes; i++) bytes = change(random, bytes, files, tokens);
  return bytes.length > maxInputBytes ? bytes.slice(0, maxInputBytes) : bytes;
}

function change(random: Random, bytes: Uint8Array, files: readonly Uint8Array[], tokens: readonly Uint8Array[]): Uint8Array {
  const at = random.below(bytes.length);
  switch (random.below(14)) {
    case 0: return set(bytes, at, (bytes[at] ?? 0) ^ (1 << random.below(8)));
    case 1: return set(bytes, at, random.below(256));
    case 2: return set(bytes, at, (bytes[at] ?? 0) + random.below(9) - 4);
    case 3: return writeNumber(random, bytes, at, random.pick(kInteresting) ?? 0n);
    case 4: return writeNumber(random, bytes, at, BigInt(bytes.length - at + random.below(5) - 2));
    case 5: return writeNumber(random, bytes, at, BigInt(random.below(bytes.length + 1)));
    case 6: return nudgeNumber(random, bytes, at);
    case 7: return changeDigit(random, bytes, at);
    case 8: return splice(bytes, at, random.below(1 + random.below(64)), new Uint8Array(0));
    case 9: return splice(bytes, at, 0, fill(random, random.below(1 + random.below(64))));
    case 10: return splice(bytes, at, random.below(2) * random.below(64), piece(random, bytes));
    case 11: return splice(bytes, at, random.below(64), piece(random, random.pick(files) ?? bytes));
    case 12: return token(random, bytes, at, tokens);
    default: return random.below(4) > 0 ? piece(random, bytes, at) : bytes.slice(0, at);
  }
}

function set(bytes: Uint8Array, at: number, value: number): Uint8Array {
  if (at < bytes.length) bytes[at] = value;
  return bytes;
}

function fill(random: Random, length: number): Uint8Array {
  const value = random.below(3) === 0 ? random.below(256) : random.below(2) * 255;
  return new Uint8Array(length).fill(value);
}

/** Overwrites or, where that leaves nothing recognisable, keeps a piece of the file in place of the whole. */
function piece(random: Random, bytes: Uint8Array, start = random.below(bytes.length)): Uint8Array {
  return bytes.slice(start, start + 1 + random.below(1 << random.below(12)));
}

function splice(bytes: Uint8Array, at: number, removed: number, added: Uint8Array): Uint8Array {
  const rest = bytes.subarray(Math.min(bytes.length, at + removed));
  const result = new Uint8Array(at + added.length + rest.length);
  result.set(bytes.subarray(0, at));
  result.set(added, at);
  result.set(rest, at + added.length);
  return result;
}

function token(random: Random, bytes: Uint8Array, at: number, tokens: readonly Uint8Array[]): Uint8Array {
  const added = random.pick(tokens) ?? new Uint8Array(0);
  return splice(bytes, at, random.below(2) * added.length, added);
}

/** 1, 2, 4 or 8 bytes in either order, over what is there. */
function writeNumber(random: Random, bytes: Uint8Array, at: number, value: bigint): Uint8Array {
  const width = 1 << random.below(4);
  if (at + width > bytes.length) return bytes;
  const little = random.below(4) > 0;
  for (let i = 0; i < width; i++) {
    bytes[little ? at + i : at + width - 1 - i] = Number(BigInt.asUintN(64, value) >> BigInt(8 * i) & 0xffn);
  }
  return bytes;
}

/** Adds a little to the number that is there: lengths that are off by one. */
function nudgeNumber(random: Random, bytes: Uint8Array, at: number): Uint8Array {
  const width = 1 << random.below(4);
  if (at + width > bytes.length) return bytes;
  let carry = BigInt(random.below(33) - 16);
  for (let i = 0; i < width; i++) {
    carry += BigInt(bytes[at + i] ?? 0);
    bytes[at + i] = Number(carry & 0xffn);
    carry >>= 8n;
  }
  return bytes;
}

/** Numbers in JSON: the next digit becomes another, or the number much longer. */
function changeDigit(random: Random, bytes: Uint8Array, from: number): Uint8Array {
  let at = from;
  while (at < bytes.length && !isDigit(bytes[at])) at++;
  if (at === bytes.length) return bytes;
  if (random.below(4) > 0) return set(bytes, at, 0x30 + random.below(10));
  return splice(bytes, at, 1, Buffer.from(String(random.pick(kInteresting) ?? 0n)));
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}
