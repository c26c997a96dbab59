// SPDX-License-Identifier: Apache-2.0
// PyTorch's format from before 1.6: a file that torch wrote (test/golden/make_small_pth.py), streams
// wrong in one way each, and every truncation and every byte changed of the small file.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorCode } from '../../lib/errors.js';
import { parseCheckpoint } from '../../lib/formats/index.js';
import { readTorch } from '../../lib/formats/torch.js';
import { readTorchStream } from '../../lib/formats/torch-stream.js';
import { loads, assertRefusesAtLength } from './helpers/damage.js';
import { dict, int, latin, pickle, storage, tensor, text, type TensorParts } from './helpers/pickle-writer.js';

const golden = join(__dirname, '..', '..', '..', 'test', 'golden');
const small = readFileSync(join(golden, 'small-old.pth'));

const assertRefused = (bytes: Uint8Array, message: RegExp, code: ErrorCode = 'ERR_INVALID_CHECKPOINT'): void => assertRefusesAtLength(() => readTorchStream(bytes), code, message);

// --- streams by hand -------------------------------------------------------------------------

const elements = Buffer.from(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);
const u64 = (value: bigint): Buffer => Buffer.from(BigUint64Array.of(value).buffer);
const list = (...items: readonly Buffer[]): Buffer => Buffer.concat([latin(']('), ...items, latin('e')]);
const old = (parts: TensorParts = {}): Buffer => tensor({ view: latin('N'), ...parts });

interface StreamParts {
  readonly magic?: Buffer;
  readonly version?: Buffer;
  readonly machine?: Buffer;
  readonly value?: Buffer;
  readonly keys?: Buffer;
  readonly data?: Buffer;
}

function stream(parts: StreamParts = {}): Buffer {
  const {
    magic = pickle(latin('\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19')),
    version = pickle(latin('M\xe9\x03')),
    machine = pickle(dict(text('protocol_version'), int(1001), text('little_endian'), latin('\x88'))),
    value = pickle(dict(text('a'), old())),
    keys = pickle(list(text('0'))),
    data = Buffer.concat([u64(6n), elements]),
  } = parts;
  return Buffer.concat([magic, version, machine, value, keys, data]);
}

describe('torch: the format before 1.6', () => {
  it('gives what the zip format gives', () => {
    const { tensors: expected } = readTorch(readFileSync(join(golden, 'small.pth')));
    const { format, tensors } = parseCheckpoint(small);
    assert.equal(format, 'torch');
    assert.deepEqual([...tensors.keys()], [...expected.keys()]);
    for (const [name, one] of tensors) {
      const other = expected.get(name) ?? assert.fail();
      assert.deepEqual([one.type, one.shape, Buffer.from(one.bytes)], [other.type, other.shape, Buffer.from(other.bytes)], name);
    }
    for (const name of ['f32', 'slice', 'pointwise', 'f16']) assert.equal(tensors.get(name)?.bytes.buffer, small.buffer, name);
  });

  it('reads what older versions wrote: no view, storages shared and unused, text as SHORT_BINSTRING', () => {
    const short = (value: string): Buffer => Buffer.concat([latin('U'), Buffer.of(value.length), latin(value)]);
    const shared = { offset: int(3), size: [int(3)], stride: [int(1)] };
    const value = pickle(dict(short('a'), tensor(), text('b'), old(shared)));
    const { tensors } = readTorchStream(stream({ value, keys: pickle(list(short('0'))) }));
    assert.deepEqual(Buffer.from(tensors.get('b')?.bytes ?? []), elements.subarray(12));
    const unused = pickle(dict(text('state_dict'), dict(text('a'), old()), text('seen'), storage({ key: '9', length: 1, type: 'torch.LongStorage' })));
    const data = Buffer.concat([u64(1n), u64(7n), u64(6n), elements]);
    assert.deepEqual([...readTorchStream(stream({ value: unused, keys: pickle(list(text('9'), text('0'))), data })).tensors.keys()], ['a']);
  });

  const cases: readonly (readonly [name: string, bytes: Uint8Array, message: RegExp, code?: ErrorCode])[] = [
    ['another magic number', stream({ magic: pickle(int(7)) }), /magic number .*\(at byte 0 of/],
    ['another version', stream({ version: pickle(int(1002)) }), /Expected version 1001 .*\(at byte 15 of/],
    ['a machine unknown', stream({ machine: pickle(dict()) }), /whether its machine was little-endian/],
    ['a machine that is no dictionary', stream({ machine: pickle(latin('\x88')) }), /whether its machine was little-endian/],
    ['a big-endian machine', stream({ machine: pickle(dict(text('little_endian'), latin('\x89'))) }), /big-endian/, 'ERR_UNSUPPORTED'],
    ['a global in any of the pickles', stream({ machine: pickle(latin('cos\nsystem\n')) }), /"os\.system", which is not among/],
    ['keys that are no list', stream({ keys: pickle(text('0')) }), /list of the different keys/],
    ['keys that are no strings', stream({ keys: pickle(list(int(0))) }), /list of the different keys/],
    ['a key twice', stream({ keys: pickle(list(text('0'), text('0'))) }), /list of the different keys/],
    ['a key of nothing', stream({ keys: pickle(list(text('0'), text('1'))) }), /storage "1" that nothing in the checkpoint refers to/],
    ['a storage that is absent', stream({ keys: pickle(list()), data: latin('') }), /storage "0", which the file does not have/],
    ['a storage described twice', stream({ value: pickle(dict(text('a'), old(), text('b'), old({ length: 5 }))) }), /described twice, with 6 elements of f32 and 5/],
    ['another length', stream({ data: Buffer.concat([u64(5n), elements]) }), /Expected 6 elements in storage "0" .* the file has 5/],
    ['a length that wraps', stream({ data: Buffer.concat([u64(2n ** 62n + 6n), elements]) }), /the file has Infinity/],
    ['a length beyond the file', stream({ value: pickle(dict(text('a'), old({ length: 2 ** 30 }))), data: u64(2n ** 30n) }), /truncated: storage "0" of 1073741824 elements/],
    ['no data', stream({ data: latin('') }), /truncated/],
    ['something after the end', stream({ data: Buffer.concat([u64(6n), elements, latin('x')]) }), /Something follows the last storage/],
  ];
  for (const [name, bytes, message, code] of cases) it(name, () => assertRefused(bytes, message, code));
  it('has run every case', () => assert.equal(cases.length, 17));

  it('refuses every truncation', () => {
    let refused = 0;
    for (let length = 0; length < small.length; length++) if (!loads(() => readTorchStream(small.subarray(0, length)))) refused++;
    assert.equal(refused, small.length);
    assert.ok(refused > 2500);
  });

  it('refuses or loads every byte changed', () => {
    const changed = Buffer.from(small);
    let loaded = 0;
    for (let at = 0; at < small.length; at++) {
      for (const change of [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff]) {
        changed[at] = (small[at] ?? 0) ^ change;
        if (loads(() => readTorchStream(changed))) loaded++;
      }
      changed[at] = small[at] ?? 0;
    }
    assert.ok(loaded >= small.length && loaded < small.length * 9 * 0.7, `${loaded} of ${small.length * 9} loaded`);
  }).timeout(60_000);
});
