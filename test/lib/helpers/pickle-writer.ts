// SPDX-License-Identifier: Apache-2.0
// Writes pickles opcode by opcode for tests: values, and a tensor as PyTorch describes it, any part of
// which can be replaced. Deliberately shares no code with the reader under test.

export const latin = (text: string): Buffer => Buffer.from(text, 'latin1');
export const int = (value: number): Buffer => Buffer.concat([latin('J'), Buffer.from(Int32Array.of(value).buffer)]);
export const text = (value: string): Buffer => Buffer.concat([latin('X'), Buffer.from(Uint32Array.of(Buffer.byteLength(value)).buffer), Buffer.from(value)]);
export const global = (name: string): Buffer => latin(`c${name.slice(0, name.lastIndexOf('.'))}\n${name.slice(name.lastIndexOf('.') + 1)}\n`);
export const tuple = (...items: readonly Buffer[]): Buffer => Buffer.concat([latin('('), ...items, latin('t')]);
export const dict = (...items: readonly Buffer[]): Buffer => Buffer.concat([latin('}('), ...items, latin('u')]);
export const pickle = (...parts: readonly Buffer[]): Buffer => Buffer.concat([latin('\x80\x02'), ...parts, latin('.')]);

export interface TensorParts {
  readonly type?: string;
  readonly key?: string;
  readonly length?: number;
  readonly offset?: Buffer;
  readonly size?: readonly Buffer[];
  readonly stride?: readonly Buffer[];
  /** What follows a storage's length: nothing in a zip archive, None in the older format. */
  readonly view?: Buffer;
}

export function storage({ type = 'torch.FloatStorage', key = '0', length = 6, view = latin('') }: TensorParts = {}): Buffer {
  return Buffer.concat([tuple(text('storage'), global(type), text(key), text('cpu'), int(length), view), latin('Q')]);
}

export function tensor(parts: TensorParts = {}): Buffer {
  const { offset = int(0), size = [int(2), int(3)], stride = [int(3), int(1)] } = parts;
  const hooks = Buffer.concat([global('collections.OrderedDict'), latin(')R')]);
  const parameters = tuple(storage(parts), offset, tuple(...size), tuple(...stride), latin('\x89'), hooks);
  return Buffer.concat([global('torch._utils._rebuild_tensor_v2'), parameters, latin('R')]);
}
