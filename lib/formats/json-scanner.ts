// SPDX-License-Identifier: Apache-2.0
// A strict scanner over UTF-8 JSON text, for headers whose structure is known in advance. JSON.parse
// is not used there because it silently keeps the last of two equal keys, so that a checker and a
// loader can read different files. The scanner builds no values: its caller asks for what must come next.

import { invalidCheckpoint } from './bytes.js';

const kQuote = 0x22;
const kBackslash = 0x5c;
/** In a `u` expression a proper pair is one character of another category. */
export const loneSurrogate = /\p{Surrogate}/u;

const simpleEscapes: ReadonlyMap<number, string> = new Map([
  [kQuote, '"'], [kBackslash, '\\'], [0x2f, '/'], [0x62, '\b'], [0x66, '\f'], [0x6e, '\n'], [0x72, '\r'], [0x74, '\t'],
]);

/** A string without escapes, in ASCII: nearly every one. */
const plainString = /"([ !#-[\]-~]*)"/y;

export class JsonScanner {
  readonly #bytes: Uint8Array;
  /** One character for each byte, so that places in both are the same. */
  readonly #text: string;
  readonly #base: number;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #position = 0;

  /** `base` is where `bytes` begin in the file; errors count from the file's beginning. */
  constructor(bytes: Uint8Array, base: number) {
    this.#bytes = bytes;
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    this.#base = base;
  }

  /** Position in the file of the next token. */
  get offset(): number {
    this.#skipSpace();
    return this.#base + this.#position;
  }

  fail(what: string, offset: number = this.offset): never {
    throw invalidCheckpoint(what, offset);
  }

  /** The character that comes next, which is not taken; undefined at the end. */
  next(): string | undefined {
    this.#skipSpace();
    return this.#text[this.#position];
  }

  /** Takes the character if it comes next. */
  accept(character: string): boolean {
    this.#skipSpace();
    if (this.#bytes[this.#position] !== character.charCodeAt(0)) return false;
    this.#position++;
    return true;
  }

  expect(character: string): void {
    if (!this.accept(character)) this.fail(`Malformed JSON: expected '${character}' but found ${this.#found()}`);
  }

  /**
   * Takes what a sticky expression finds at the next token, or nothing. For text of a usual form, which it
   * reads many times faster than byte by byte; whatever else is valid, and every error, is left to the
   * other methods. The expression must not match what they would refuse.
   */
  match(expression: RegExp): RegExpExecArray | undefined {
    this.#skipSpace();
    expression.lastIndex = this.#position;
    const found = expression.exec(this.#text);
    if (found === null) return undefined;
    this.#position = expression.lastIndex;
    return found;
  }

  /** Calls `member` for each key of an object; the callback must consume the value. Duplicate keys fail. */
  object(member: (key: string, keyOffset: number) => void): void {
    const keys = new Set<string>();
    this.expect('{');
    if (this.accept('}')) return;
    do {
      const keyOffset = this.offset;
      const key = this.string();
      if (keys.has(key)) this.fail(`Duplicate key ${JSON.stringify(key.slice(0, 100))}`, keyOffset);
      keys.add(key);
      this.expect(':');
      member(key, keyOffset);
    } while (this.accept(','));
    this.expect('}');
  }

  /** An array of non-negative integers of at most `limit` elements. */
  unsignedArray(limit: number): number[] {
    const values: number[] = [];
    this.expect('[');
    if (this.accept(']')) return values;
    do {
      if (values.length === limit) this.fail(`Expected an array of at most ${limit} numbers`);
      values.push(this.unsigned());
    } while (this.accept(','));
    this.expect(']');
    return values;
  }

  /** A non-negative integer without sign, fraction or exponent, at most 2^53 - 1. */
  unsigned(): number {
    const offset = this.offset;
    let value = 0;
    let digits = 0;
    for (;;) {
      const digit = (this.#bytes[this.#position] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      digits++;
      this.#position++;
      if (!Number.isSafeInteger(value)) this.fail('Expected an integer below 2^53', offset);
      if (digits > 1 && value < 10) this.fail('Malformed JSON: a number with a leading zero', offset);
    }
    const next = this.#bytes[this.#position];
    const isFraction = next === 0x2e || next === 0x65 || next === 0x45;
    if (digits === 0 || isFraction) this.fail(`Expected a non-negative integer but found ${this.#found()}`, offset);
    return value;
  }

  string(): string {
    const plain = this.match(plainString)?.[1];
    if (plain !== undefined) return plain;
    const offset = this.offset;
    this.expect('"');
    const parts: string[] = [];
    let start = this.#position;
    for (;;) {
      const byte = this.#bytes[this.#position];
      if (byte === undefined) this.fail('Malformed JSON: a string without end', offset);
      if (byte < 0x20) this.fail('Malformed JSON: a control character in a string', this.#base + this.#position);
      if (byte !== kQuote && byte !== kBackslash) {
        this.#position++;
        continue;
      }
      parts.push(this.#decode(start, offset));
      this.#position++;
      if (byte === kQuote) break;
      parts.push(this.#escape());
      start = this.#position;
    }
    const text = parts.join('');
    if (loneSurrogate.test(text)) this.fail('Malformed JSON: half of a surrogate pair in a string', offset);
    return text;
  }

  /** Passes over a value of any kind; objects and arrays nest at most `depth` deep. */
  skip(depth: number = 32): void {
    const offset = this.offset;
    if (depth === 0) this.fail('Malformed JSON: nested too deeply');
    const next = this.#bytes[this.#position];
    if (next === kQuote) return void this.string();
    if (next === 0x7b) return this.object(() => this.skip(depth - 1));
    if (this.accept('[')) {
      if (this.accept(']')) return;
      do this.skip(depth - 1);
      while (this.accept(','));
      return this.expect(']');
    }
    const start = this.#position;
    for (let byte = next; byte !== undefined && /[-+.\w]/.test(String.fromCharCode(byte)); byte = this.#bytes[this.#position]) this.#position++;
    const text = String.fromCharCode(...this.#bytes.subarray(start, Math.min(this.#position, start + 100)));
    if (!/^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?)$/.test(text)) this.fail(`Malformed JSON: expected a value but found ${this.#found()}`, offset);
  }

  /** After the last value: nothing but spaces may follow. */
  end(): void {
    for (; this.#position < this.#bytes.length; this.#position++) {
      if (this.#bytes[this.#position] !== 0x20) {
        this.fail('Malformed JSON: something follows the closing brace', this.#base + this.#position);
      }
    }
  }

  #decode(start: number, offset: number): string {
    try {
      return this.#decoder.decode(this.#bytes.subarray(start, this.#position));
    } catch {
      return this.fail('Malformed JSON: a string that is not valid UTF-8', offset);
    }
  }

  #escape(): string {
    const offset = this.#base + this.#position - 1;
    const byte = this.#bytes[this.#position++];
    const simple = byte === undefined ? undefined : simpleEscapes.get(byte);
    if (simple !== undefined) return simple;
    const hex = String.fromCharCode(...this.#bytes.subarray(this.#position, this.#position + 4));
    if (byte !== 0x75 || !/^[0-9a-fA-F]{4}$/.test(hex)) this.fail('Malformed JSON: an unknown escape in a string', offset);
    this.#position += 4;
    return String.fromCharCode(Number.parseInt(hex, 16));
  }

  #skipSpace(): void {
    for (;;) {
      const byte = this.#bytes[this.#position];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#position++;
    }
  }

  #found(): string {
    const byte = this.#bytes[this.#position];
    if (byte === undefined) return 'the end of the header';
    return byte > 0x20 && byte < 0x7f ? `'${String.fromCharCode(byte)}'` : `byte 0x${byte.toString(16).padStart(2, '0')}`;
  }
}
