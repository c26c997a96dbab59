// SPDX-License-Identifier: Apache-2.0
// Flatbuffers for tests, also such as no library would write: tables as plain data, by the numbers of
// their fields, written one after the other, each before what it refers to. Knows no schema.

export type FlatField =
  | { readonly u8: number }
  | { readonly i32: number }
  | { readonly u64: bigint }
  | { readonly table: FlatFields }
  | { readonly tables: readonly FlatFields[] }
  /** A list of `count` references to the same table. */
  | { readonly repeat: FlatFields; readonly count: number }
  | { readonly integers: readonly number[] }
  | { readonly bytes: Uint8Array }
  | { readonly text: string }
  /** A list that says to have so many elements and has none. */
  | { readonly claimed: number }
  /** An offset as it is, relative to the field. */
  | { readonly offset: number };

export type FlatFields = Readonly<Record<number, FlatField>>;

export interface FlatFile {
  readonly bytes: Uint8Array;
  /** Where each table lies. */
  readonly places: ReadonlyMap<FlatFields, number>;
}

/** A file with the identifier at byte 4. A table that is given twice is written once. */
export function flatbuffer(root: FlatFields, identifier: string): FlatFile {
  const file: number[] = [0, 0, 0, 0, ...Buffer.from(identifier)];
  const places = new Map<FlatFields, number>();
  const put = (at: number, value: bigint, size: number): void => {
    for (let i = 0; i < size; i++) file[at + i] = Number((value >> BigInt(8 * i)) & 255n);
  };
  const reserve = (size: number): number => {
    while (file.length % 8 !== 0) file.push(0);
    const at = file.length;
    for (let i = 0; i < size; i++) file.push(0);
    return at;
  };
  const refer = (at: number, to: number): void => put(at, BigInt(to - at), 4);

  const vector = (count: number, content: Uint8Array): number => {
    const at = reserve(4);
    put(at, BigInt(count), 4);
    for (const byte of content) file.push(byte);
    return at;
  };
  const list = (tables: readonly FlatFields[]): number => {
    const at = vector(tables.length, new Uint8Array(4 * tables.length));
    tables.forEach((one, i) => refer(at + 4 + 4 * i, table(one)));
    return at;
  };
  const field = (at: number, value: FlatField): void => {
    if ('u8' in value) put(at, BigInt(value.u8), 1);
    else if ('i32' in value) put(at, BigInt(value.i32), 4);
    else if ('u64' in value) put(at, value.u64, 8);
    else if ('offset' in value) put(at, BigInt(value.offset), 4);
    else if ('claimed' in value) refer(at, vector(value.claimed, new Uint8Array(0)));
    else if ('table' in value) refer(at, table(value.table));
    else if ('tables' in value) refer(at, list(value.tables));
    else if ('repeat' in value) refer(at, list(Array.from({ length: value.count }, () => value.repeat)));
    else if ('integers' in value) refer(at, vector(value.integers.length, new Uint8Array(Int32Array.from(value.integers).buffer)));
    else if ('bytes' in value) refer(at, vector(value.bytes.length, value.bytes));
    else refer(at, vector(Buffer.byteLength(value.text), Buffer.from(`${value.text}\0`)));
  };
  const table = (fields: FlatFields): number => {
    const known = places.get(fields);
    if (known !== undefined) return known;
    const numbers = Object.keys(fields).map(Number);
    const count = Math.max(-1, ...numbers) + 1;
    const vtable = reserve(4 + 2 * count);
    const at = reserve(8 + 8 * numbers.length);
    places.set(fields, at);
    put(vtable, BigInt(4 + 2 * count), 2);
    put(vtable + 2, BigInt(8 + 8 * numbers.length), 2);
    put(at, BigInt(at - vtable), 4);
    numbers.forEach((number, i) => {
      put(vtable + 4 + 2 * number, BigInt(8 + 8 * i), 2);
      field(at + 8 + 8 * i, fields[number] ?? { i32: 0 });
    });
    return at;
  };
  refer(0, table(root));
  return { bytes: Uint8Array.from(file), places };
}
