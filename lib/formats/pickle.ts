// SPDX-License-Identifier: Apache-2.0
// Reads the pickles in a PyTorch checkpoint as data. A pickle is a program for a stack machine that
// can name and call anything in Python; here a fixed list of opcodes runs, a fixed list of names is
// known, and each of them stands for an inert description. Nothing is ever looked up, imported or called.

import { ByteReader, invalidCheckpoint, quote } from './bytes.js';
import { isKind, PickleDict, type PickleGlobal, type PickleList, type PickleStorage, type PickleTensor, type PickleTuple, type PickleValue } from './pickle-values.js';

// A checkpoint of the largest network with its optimizer stays far below each of these. They bound
// the memory that a hostile pickle can take, which costs it one byte for an object of a hundred.
const kMaxBytes = 16 * 2 ** 20;
const kMaxStack = 100_000;
const kMaxObjects = 300_000;

const kOrderedDict = 'collections.OrderedDict';
const kRebuildTensor = 'torch._utils._rebuild_tensor_v2';
/** Before PyTorch 0.4: the same without requires_grad and hooks. */
const kRebuildTensorOld = 'torch._utils._rebuild_tensor';
const kRebuildParameter = 'torch._utils._rebuild_parameter';

const globals: ReadonlyMap<string, PickleGlobal> = new Map(
  [
    { kind: 'global', name: kOrderedDict } as const,
    { kind: 'global', name: kRebuildTensor } as const,
    { kind: 'global', name: kRebuildTensorOld } as const,
    { kind: 'global', name: kRebuildParameter } as const,
    ...Object.entries({
      Float: 'f32', Half: 'f16', BFloat16: 'bf16', Double: 'f64', Long: 'i64',
      Int: 'i32', Short: 'i16', Char: 'i8', Byte: 'u8', Bool: 'bool',
    } as const).map(([word, type]) => ({ kind: 'global', name: `torch.${word}Storage`, type }) as const),
  ].map((global) => [global.name, global]),
);

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A pickle in a file in which more may follow. */
export interface PickleInStream {
  readonly value: PickleValue;
  /** Bytes that it takes. */
  readonly length: number;
  /** Every storage that it names, in order, also those that no tensor of the value uses. */
  readonly storages: readonly PickleStorage[];
}

/**
 * The value that a pickle describes. `base` is where `bytes` begin in the file.
 * Throws ERR_INVALID_CHECKPOINT naming the place for anything else than a plain checkpoint.
 */
export function readPickle(bytes: Uint8Array, base: number): PickleValue {
  if (bytes.length > kMaxBytes) throw invalidCheckpoint(`Expected a pickle of at most ${kMaxBytes} bytes but it has ${bytes.length}`, base);
  const { value, length } = new Machine(bytes, base).run();
  if (length !== bytes.length) throw invalidCheckpoint('Something follows the end of the pickle', base + length);
  return value;
}

/** The same where `bytes` may go on after the pickle. */
export function readPickleInStream(bytes: Uint8Array, base: number): PickleInStream {
  return new Machine(bytes.subarray(0, kMaxBytes), base).run();
}

class Machine {
  readonly #bytes: Uint8Array;
  readonly #reader: ByteReader;
  readonly #base: number;
  readonly #stack: PickleValue[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  readonly #storages: PickleStorage[] = [];
  #position = 0;
  /** Of the opcode at work, for messages. */
  #opcodeAt = 0;
  #objects = 0;

  constructor(bytes: Uint8Array, base: number) {
    this.#bytes = bytes;
    this.#reader = new ByteReader(bytes);
    this.#base = base;
  }

  run(): PickleInStream {
    if (this.#bytes[0] !== 0x80) this.#fail('Expected a pickle to begin with its protocol');
    for (;;) {
      this.#opcodeAt = this.#position;
      const opcode = this.#reader.u8(this.#take(1));
      if (opcode === 0x2e) return this.#stop();
      this.#step(opcode);
      if (this.#stack.length > kMaxStack || this.#marks.length > kMaxStack) this.#fail('The pickle needs too deep a stack');
    }
  }

  /** The opcodes that PyTorch's own safe loader allows, and no other. */
  #step(opcode: number): void {
    switch (opcode) {
      case 0x80: return this.#protocol(); // PROTO
      case 0x28: this.#marks.push(this.#stack.length); return; // MARK
      case 0x63: return this.#push(this.#global()); // GLOBAL
      case 0x52: return this.#reduce(); // REDUCE
      case 0x62: return this.#build(); // BUILD
      case 0x81: return this.#newObject(); // NEWOBJ
      case 0x51: return this.#push(this.#storage(this.#tuple(this.#pop()))); // BINPERSID
      case 0x4e: return this.#push(null); // NONE
      case 0x88: return this.#push(true); // NEWTRUE
      case 0x89: return this.#push(false); // NEWFALSE
      case 0x4a: return this.#push(this.#reader.i32(this.#take(4))); // BININT
      case 0x4b: return this.#push(this.#reader.u8(this.#take(1))); // BININT1
      case 0x4d: return this.#push(this.#reader.u16(this.#take(2))); // BININT2
      case 0x8a: return this.#push(this.#long(this.#reader.u8(this.#take(1)))); // LONG1
      case 0x47: return this.#push(this.#reader.f64BigEndian(this.#take(8))); // BINFLOAT
      case 0x58: return this.#push(this.#text(this.#reader.u32(this.#take(4)))); // BINUNICODE
      case 0x55: return this.#push(this.#text(this.#reader.u8(this.#take(1)))); // SHORT_BINSTRING
      case 0x29: return this.#push(this.#newTuple([])); // EMPTY_TUPLE
      case 0x5d: return this.#push(this.#newList('list')); // EMPTY_LIST
      case 0x7d: return this.#push(this.#newDict()); // EMPTY_DICT
      case 0x8f: return this.#push(this.#newList('set')); // EMPTY_SET
      case 0x74: return this.#push(this.#newTuple(this.#popToMark())); // TUPLE
      case 0x85: return this.#push(this.#newTuple(this.#popMany(1))); // TUPLE1
      case 0x86: return this.#push(this.#newTuple(this.#popMany(2))); // TUPLE2
      case 0x87: return this.#push(this.#newTuple(this.#popMany(3))); // TUPLE3
      case 0x61: return this.#append(this.#popMany(1)); // APPEND
      case 0x65: return this.#append(this.#popToMark()); // APPENDS
      case 0x73: return this.#setItems(this.#popMany(2)); // SETITEM
      case 0x75: return this.#setItems(this.#popToMark()); // SETITEMS
      case 0x68: return this.#recall(this.#reader.u8(this.#take(1))); // BINGET
      case 0x6a: return this.#recall(this.#reader.u32(this.#take(4))); // LONG_BINGET
      case 0x71: return this.#remember(this.#reader.u8(this.#take(1))); // BINPUT
      case 0x72: return this.#remember(this.#reader.u32(this.#take(4))); // LONG_BINPUT
      default:
        this.#fail(
          `The pickle uses the opcode 0x${opcode.toString(16).padStart(2, '0')}, which a plain checkpoint does not need; ` +
            'save it again with torch.save(model.state_dict(), path)',
        );
    }
  }

  #fail(what: string): never {
    throw invalidCheckpoint(what, this.#base + this.#opcodeAt);
  }

  #take(count: number): number {
    const at = this.#position;
    if (count > this.#bytes.length - at) this.#fail('The pickle is truncated');
    this.#position = at + count;
    return at;
  }

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }

  #pop(): PickleValue {
    const value = this.#stack.length > (this.#marks.at(-1) ?? 0) ? this.#stack.pop() : undefined;
    if (value === undefined) this.#fail('The pickle takes from an empty stack');
    return value;
  }

  #popMany(count: number): PickleValue[] {
    const values = Array.from({ length: count }, () => this.#pop());
    return values.reverse();
  }

  #popToMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) this.#fail('The pickle looks for a mark that is not there');
    return this.#stack.splice(mark);
  }

  #count(): void {
    if (++this.#objects > kMaxObjects) this.#fail(`The pickle holds more than ${kMaxObjects} objects`);
  }

  #newTuple(items: readonly PickleValue[]): PickleTuple {
    this.#count();
    return { kind: 'tuple', items };
  }

  #newList<Kind extends 'list' | 'set'>(kind: Kind): PickleList<Kind> {
    this.#count();
    return { kind, items: [] };
  }

  #newDict(): PickleDict {
    this.#count();
    return new PickleDict();
  }

  #protocol(): void {
    const version = this.#reader.u8(this.#take(1));
    if (this.#opcodeAt !== 0 || version < 2 || version > 5) this.#fail(`Expected one pickle protocol from 2 to 5, at the beginning, not ${version}`);
  }

  #stop(): PickleInStream {
    const value = this.#pop();
    if (this.#stack.length > 0 || this.#marks.length > 0) this.#fail('The pickle stops with values left over');
    return { value, length: this.#position, storages: this.#storages };
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#position);
    if (end === -1 || end - this.#position > 200) this.#fail('The pickle names a global by a line that is too long or without end');
    const text = Buffer.from(this.#bytes.subarray(this.#position, end)).toString('latin1');
    this.#position = end + 1;
    return text;
  }

  #global(): PickleGlobal {
    const name = `${this.#line()}.${this.#line()}`;
    const global = globals.get(name);
    if (global !== undefined) return global;
    this.#fail(
      `The pickle refers to ${quote(name)}, which is not among the ${globals.size} names that a plain checkpoint needs and is refused; ` +
        'save only the weights, with torch.save(model.state_dict(), path)',
    );
  }

  #long(size: number): number {
    const start = this.#take(size);
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#reader.u8(start + i));
    const signed = BigInt.asIntN(Math.max(size * 8, 1), value);
    if (!Number.isSafeInteger(Number(signed))) this.#fail('The pickle holds an integer beyond 2^53');
    return Number(signed);
  }

  #text(length: number): string {
    const start = this.#take(length);
    try {
      return utf8.decode(this.#bytes.subarray(start, start + length));
    } catch {
      return this.#fail('The pickle holds text that is not valid UTF-8');
    }
  }

  #remember(index: number): void {
    const value = this.#stack.length > (this.#marks.at(-1) ?? 0) ? this.#stack.at(-1) : undefined;
    if (value === undefined) this.#fail('The pickle remembers a value of an empty stack');
    if (this.#memo.size >= kMaxObjects && !this.#memo.has(index)) this.#fail(`The pickle remembers more than ${kMaxObjects} values`);
    this.#memo.set(index, value);
  }

  #recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) this.#fail(`The pickle recalls value ${index}, which it never remembered`);
    this.#push(value);
  }

  #tuple(value: PickleValue): readonly PickleValue[] {
    return isKind(value, 'tuple') ? value.items : this.#fail('Expected a tuple in the pickle');
  }

  /** Sizes, strides, offsets. */
  #natural(value: PickleValue | undefined): number {
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    return this.#fail('Expected a non-negative integer in the description of a tensor');
  }

  #append(values: readonly PickleValue[]): void {
    const list = this.#stack.at(-1);
    if (this.#isBelowMark() || !isKind(list, 'list')) this.#fail('The pickle appends to something that is no list');
    for (const value of values) list.items.push(value);
  }

  #isBelowMark(): boolean {
    return this.#stack.length <= (this.#marks.at(-1) ?? 0);
  }

  #setItems(pairs: readonly PickleValue[]): void {
    const dict = this.#stack.at(-1);
    if (this.#isBelowMark() || !(dict instanceof PickleDict) || pairs.length % 2 !== 0) {
      this.#fail('The pickle sets items of something that is no dictionary');
    }
    for (let i = 0; i < pairs.length; i += 2) this.#setItem(dict, pairs[i], pairs[i + 1] ?? null);
  }

  #setItem(dict: PickleDict, key: PickleValue | undefined, value: PickleValue): void {
    if (typeof key !== 'string' && typeof key !== 'number') this.#fail('Expected a string or a number as the key of a dictionary');
    if (dict.entries.has(key)) this.#fail(`The pickle sets the key ${quote(String(key))} twice`);
    dict.entries.set(key, value);
  }

  #reduce(): void {
    const parameters = this.#tuple(this.#pop());
    const callee = this.#pop();
    const name = this.#globalName(callee);
    if (name === kOrderedDict) return this.#push(this.#orderedDict(parameters));
    if (name === kRebuildTensor || name === kRebuildTensorOld) return this.#push(this.#tensor(parameters));
    const [data] = parameters;
    if (name === kRebuildParameter && isKind(data, 'tensor')) return this.#push(data);
    this.#fail('The pickle calls something that cannot be called');
  }

  #globalName(value: PickleValue): string | undefined {
    return isKind(value, 'global') ? value.name : undefined;
  }

  #newObject(): void {
    const parameters = this.#tuple(this.#pop());
    if (this.#globalName(this.#pop()) !== kOrderedDict || parameters.length > 0) this.#fail('The pickle makes an object of a class that it may not');
    this.#push(this.#newDict());
  }

  /** An OrderedDict takes attributes, of which PyTorch writes `_metadata`; they say nothing about weights. */
  #build(): void {
    const state = this.#pop();
    if (this.#isBelowMark() || !(this.#stack.at(-1) instanceof PickleDict) || !(state instanceof PickleDict)) {
      this.#fail('The pickle sets attributes of something that has none');
    }
  }

  /** Empty, or from a list of pairs as Python 2 wrote it. */
  #orderedDict(parameters: readonly PickleValue[]): PickleDict {
    const dict = this.#newDict();
    const [pairs] = parameters;
    if (pairs === undefined) return dict;
    if (parameters.length > 1 || !isKind(pairs, 'list')) this.#fail('Expected a list of pairs for an OrderedDict');
    for (const pair of pairs.items) {
      const items = isKind(pair, 'list') ? pair.items : this.#tuple(pair);
      if (items.length !== 2) this.#fail('Expected a list of pairs for an OrderedDict');
      this.#setItem(dict, items[0], items[1] ?? null);
    }
    return dict;
  }

  /** ('storage', class, key, device, elements); in the older format followed by None or a view of another storage. */
  #storage(items: readonly PickleValue[]): PickleStorage {
    this.#count();
    const [tag, type, key, device, length, view] = items;
    const element = isKind(type, 'global') ? type.type : undefined;
    if (items.length < 5 || items.length > 6 || tag !== 'storage' || element === undefined || typeof key !== 'string' || typeof device !== 'string') {
      this.#fail("Expected a storage as ('storage', class, key, device, elements)");
    }
    if (view !== undefined && view !== null) this.#fail(`The storage ${quote(key)} is a view of another, which no known version of PyTorch writes`);
    const storage = { kind: 'storage', type: element, key, length: this.#natural(length) } as const;
    this.#storages.push(storage);
    return storage;
  }

  /** (storage, offset, size, stride, requires_grad, hooks[, metadata]) */
  #tensor(parameters: readonly PickleValue[]): PickleTensor {
    this.#count();
    const [storage, offset, size, stride] = parameters;
    if (!isKind(storage, 'storage') || size === undefined || stride === undefined || parameters.length > 7) {
      return this.#fail('Expected a tensor as (storage, offset, size, stride, ...)');
    }
    return {
      kind: 'tensor',
      storage,
      offset: this.#natural(offset),
      size: this.#tuple(size).map((value) => this.#natural(value)),
      stride: this.#tuple(stride).map((value) => this.#natural(value)),
    };
  }
}
