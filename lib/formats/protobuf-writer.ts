// SPDX-License-Identifier: Apache-2.0
// Writes protocol buffer messages as a list of parts, so that a large field (a tensor's bytes) is
// referred to and never copied. It knows the wire format and no schema; reading is in protobuf.ts.

const kVarint = 0;
const kDelimited = 2;
const kFloat = 5;

/** One message under construction; its fields come out in the order of the calls. */
export class MessageWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** Encoded length in bytes. */
  get length(): number {
    return this.#length;
  }

  /** A non-negative integer below 2^53. */
  integer(field: number, value: number): this {
    return this.#tag(field, kVarint).#append(varint(value));
  }

  /** One 32-bit float. */
  float(field: number, value: number): this {
    return this.#tag(field, kFloat).#append(new Uint8Array(Float32Array.of(value).buffer));
  }

  string(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value, 'utf8'));
  }

  /** The bytes are kept by reference: they must not change before the message is written out. */
  bytes(field: number, value: Uint8Array): this {
    return this.#tag(field, kDelimited).#append(varint(value.length)).#append(value);
  }

  message(field: number, value: MessageWriter): this {
    this.#tag(field, kDelimited).#append(varint(value.length));
    for (const part of value.#parts) this.#append(part);
    return this;
  }

  /** The encoded message, to be written one part after the other. */
  parts(): readonly Uint8Array[] {
    return this.#parts;
  }

  #tag(field: number, type: number): this {
    return this.#append(varint(field * 8 + type));
  }

  #append(bytes: Uint8Array): this {
    const last = this.#parts.at(-1);
    this.#length += bytes.length;
    // Small pieces are joined, so that a file is a few hundred writes and not tens of thousands.
    if (last !== undefined && last.length + bytes.length <= 4096) this.#parts[this.#parts.length - 1] = joined(last, bytes);
    else this.#parts.push(bytes);
    return this;
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Seven bits to a byte, the lowest first; division, because shifts end at 32 bits. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
