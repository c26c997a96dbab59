// SPDX-License-Identifier: Apache-2.0
// The safetensors reader and writer: every rule of the format by a file that breaks it and nothing
// else, every truncation and every single-byte change of the header of a small file.

import { strict as assert } from 'node:assert';
import { EfficientNetError, type ErrorCode } from '../../lib/errors.js';
import { readSafetensors, safetensorsParts, writeSafetensors } from '../../lib/formats/safetensors.js';
import type { Tensor } from '../../lib/formats/tensor.js';
import { loads as loadsOrRefuses, assertRefusesAtLength } from './helpers/damage.js';

/** A file with any header text and any data, sound or not. */
function file(header: string | Uint8Array, dataLength: number, headerLength?: number | bigint): Uint8Array {
  const json = Buffer.from(header);
  const bytes = Buffer.alloc(8 + json.length + dataLength);
  bytes.writeBigUInt64LE(BigInt(headerLength ?? json.length));
  json.copy(bytes, 8);
  return bytes;
}

const assertRefused = (bytes: Uint8Array, message: RegExp, code: ErrorCode = 'ERR_INVALID_CHECKPOINT'): void => assertRefusesAtLength(() => readSafetensors(bytes), code, message);

const one = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}';

const small: readonly Tensor[] = [
  { name: 'weight', type: 'f32', shape: [2, 3], bytes: new Uint8Array(24).fill(1) },
  { name: 'é "\\\n\u{1f600}', type: 'bf16', shape: [], bytes: Uint8Array.of(1, 2) },
  { name: 'empty', type: 'i64', shape: [0, 5], bytes: new Uint8Array(0) },
  { name: '7', type: 'u8', shape: [3], bytes: Uint8Array.of(7, 8, 9) },
];

describe('safetensors: sound files', () => {
  it('gives back what was written, as views, aligned', () => {
    const bytes = writeSafetensors(small, { source: 'here', 'ключ': '' });
    const { format, tensors, metadata } = readSafetensors(bytes);
    assert.equal(format, 'safetensors');
    assert.deepEqual([...metadata], [['source', 'here'], ['ключ', '']]);
    assert.equal(tensors.size, small.length);
    for (const expected of small) {
      const found = tensors.get(expected.name);
      assert.deepEqual([found?.type, found?.shape], [expected.type, expected.shape]);
      assert.deepEqual(found?.bytes, expected.bytes);
      assert.equal(found?.bytes.buffer, bytes.buffer, 'a view, not a copy');
    }
    assert.equal((tensors.get('weight')?.bytes.byteOffset ?? 1) % 8, 0);
  });

  it('reads a file that lies anywhere inside a larger buffer', () => {
    const bytes = writeSafetensors(small);
    const around = new Uint8Array(bytes.length + 9);
    around.set(bytes, 5);
    const { tensors } = readSafetensors(around.subarray(5, 5 + bytes.length));
    assert.deepEqual(tensors.get('7')?.bytes, Uint8Array.of(7, 8, 9));
  });

  it('writes no copy of the data', () => {
    const parts = safetensorsParts(small);
    assert.equal(parts[1], small[0]?.bytes);
  });

  it('takes the order of the data, white space, padding and an empty file', () => {
    const out = `{ "b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}\n,\t${one} }   `;
    assert.deepEqual([...readSafetensors(file(out, 6)).tensors.keys()], ['a', 'b']);
    assert.equal(readSafetensors(file('{}', 0)).tensors.size, 0);
    assert.equal(readSafetensors(file('{"__metadata__":{}}', 0)).metadata.size, 0);
  });

  it('understands escapes in names', () => {
    const { tensors } = readSafetensors(file('{"\\u00e9\\ud83d\\ude00\\n\\/":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}', 0));
    assert.deepEqual([...tensors.keys()], ['é\u{1f600}\n/']);
  });

  it('treats names of object members as any other', () => {
    const { tensors } = readSafetensors(file('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1));
    assert.deepEqual(tensors.get('__proto__')?.shape, [1]);
  });
});

describe('safetensors: every rule', () => {
  const cases: readonly (readonly [name: string, bytes: Uint8Array, message: RegExp, code?: ErrorCode])[] = [
    ['no bytes', new Uint8Array(0), /truncated: expected at least 8 bytes but it has 0/],
    ['seven bytes', new Uint8Array(7), /truncated/],
    ['header longer than the file', file('{}', 0, 3), /truncated: the header has 3 bytes but only 2 follow \(at byte 0/],
    ['header over the limit', file('{}', 0, 100_000_001), /at most 100000000 bytes but the file says 100000001/],
    ['header of 2^64 - 1', file('{}', 0, 2n ** 64n - 1n), /at most 100000000/],
    ['empty header', file('', 8, 0), /begin with '{' \(at byte 8/],
    ['header not an object', file('[]', 0), /begin with '{'/],
    ['header of spaces first', file(' {}', 0), /begin with '{'/],
    ['byte order mark', file('\ufeff{}', 0), /begin with '{'/],
    ['unfinished JSON', file(`{${one}`, 4), /expected '}' but found the end of the header/],
    ['trailing comma', file(`{${one},}`, 4), /expected '"' but found '}'/],
    ['second value', file(`{${one}}{}`, 4), /follows the closing brace/],
    ['tab as padding', file(`{${one}}\t`, 4), /follows the closing brace/],
    ['single quotes', file("{'a':1}", 0), /expected '"'/],
    ['control character in a name', file('{"a\u0001":{}}', 0), /control character in a string \(at byte 11/],
    ['invalid UTF-8', file(Buffer.from('{"\xff":{}}', 'latin1'), 0), /not valid UTF-8/],
    ['overlong UTF-8', file(Buffer.from('{"\xc0\x80":{}}', 'latin1'), 0), /not valid UTF-8/],
    ['half a surrogate pair', file('{"\\ud83d":{}}', 0), /surrogate/],
    ['unknown escape', file('{"\\x41":{}}', 0), /unknown escape/],
    ['cut escape', file('{"\\u00', 0), /unknown escape/],
    ['duplicate tensor', file(`{${one},${one}}`, 4), /Duplicate key "a" \(at byte 62/],
    ['duplicate tensor by escape', file(`{${one},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), /Duplicate key "a"/],
    ['duplicate key in an entry', file('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4), /Duplicate key "dtype"/],
    ['duplicate metadata', file('{"__metadata__":{"a":"1","a":"2"}}', 0), /Duplicate key "a"/],
    ['second metadata', file('{"__metadata__":{},"__metadata__":{}}', 0), /Duplicate key "__metadata__"/],
    ['metadata that is a number', file('{"__metadata__":{"a":1}}', 0), /expected '"' but found '1'/],
    ['metadata that is an object', file('{"__metadata__":{"a":{}}}', 0), /expected '"' but found '{'/],
    ['metadata that is a string', file('{"__metadata__":"x"}', 0), /expected '{'/],
    ['entry that is an array', file('{"a":[]}', 0), /expected '{' but found '\['/],
    ['no dtype', file('{"a":{"shape":[1],"data_offsets":[0,4]}}', 4), /Expected dtype, shape and two data_offsets for tensor "a"/],
    ['no shape', file('{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4), /Expected dtype, shape/],
    ['no offsets', file('{"a":{"dtype":"F32","shape":[1]}}', 4), /Expected dtype, shape/],
    ['one offset', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}', 4), /two data_offsets/],
    ['three offsets', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}', 4), /at most 2 numbers/],
    ['key that is not of the format', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":0}}', 4), /Unknown key "x"/],
    ['unknown dtype', file('{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}', 4), /Unknown element type "F33" of tensor "a"/],
    ['dtype in small letters', file('{"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}}', 4), /Unknown element type/],
    ['dtype of no use', file('{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}', 4), /"a" has the element type F8_E4M3/, 'ERR_UNSUPPORTED'],
    ['negative size', file('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', 4), /non-negative integer but found '-'/],
    ['fraction', file('{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}', 4), /non-negative integer but found '\.'/],
    ['exponent', file('{"a":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}', 4), /non-negative integer but found 'e'/],
    ['leading zero', file('{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}', 4), /leading zero/],
    ['null size', file('{"a":{"dtype":"F32","shape":[null],"data_offsets":[0,4]}}', 4), /non-negative integer/],
    ['size beyond 2^53', file('{"a":{"dtype":"F32","shape":[9007199254740992],"data_offsets":[0,4]}}', 4), /below 2\^53/],
    ['product that wraps at 2^64 to 1', file('{"a":{"dtype":"F32","shape":[4294967296,4294967296,1],"data_offsets":[0,4]}}', 4), /needs Infinity bytes but has 4/],
    ['rank of 33', file(`{"a":{"dtype":"U8","shape":[${Array(33).fill(1).join(',')}],"data_offsets":[0,1]}}`, 1), /at most 32 numbers/],
    ['too little data for the shape', file('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', 4), /"a" of shape \[2\] and type F32 needs 8 bytes but has 4/],
    ['too much data for the shape', file('{"a":{"dtype":"F32","shape":[],"data_offsets":[0,8]}}', 8), /needs 4 bytes but has 8/],
    ['data for an empty tensor', file('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,4]}}', 4), /needs 0 bytes but has 4/],
    ['offsets backwards', file('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"c":{"dtype":"U8","shape":[0],"data_offsets":[1,0]}}', 1), /data_offsets \[1, 0\] outside/],
    ['offsets beyond the file', file('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 4), /outside the 4 bytes/],
    ['hole at the beginning', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', 8), /hole before it: expected its data to begin at 0, not 4/],
    ['hole in the middle', file(`{${one},"b":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}}`, 6), /"b" leaves a hole/],
    ['overlap', file(`{${one},"b":{"dtype":"F32","shape":[1],"data_offsets":[3,7]}}`, 7), /"b" overlaps/],
    ['the same data twice', file(`{${one},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), /overlaps/],
    ['bytes after the data', file(`{${one}}`, 5), /Expected 4 bytes of tensor data .* has 5/],
    ['data without tensors', file('{}', 1), /Expected 0 bytes/],
    ['data one byte short', file(`{${one}}`, 3), /outside the 3 bytes/],
    ['deep nesting', file(`{"a":${'['.repeat(100_000)}`, 0), /expected '{'/],
    ['deep nesting in a shape', file(`{"a":{"shape":${'['.repeat(100_000)}`, 0), /non-negative integer/],
  ];
  for (const [name, bytes, message, code] of cases) it(name, () => assertRefused(bytes, message, code));

  it('has run every case', () => assert.equal(cases.length, 60));

  it('bounds the number of tensors', () => {
    const entries = Array.from({ length: 100_001 }, (_, i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`);
    assertRefused(file(`{${entries.join(',')}}`, 0), /at most 100000 tensors/);
  });
});

describe('safetensors: damaged files', () => {
  const sound = writeSafetensors(small, { source: 'here' });
  const dataStart = 8 + Number(new DataView(sound.buffer).getBigUint64(0, true));

  const loads = (bytes: Uint8Array): boolean => loadsOrRefuses(() => readSafetensors(bytes));

  it('refuses every truncation', () => {
    let refused = 0;
    for (let length = 0; length < sound.length; length++) if (!loads(sound.subarray(0, length))) refused++;
    assert.equal(refused, sound.length);
    assert.ok(refused > 300);
  });

  it('refuses or loads every change of one byte of the header', () => {
    let executed = 0;
    let loaded = 0;
    for (let at = 0; at < dataStart; at++) {
      for (let value = 0; value < 256; value++) {
        if (value === sound[at]) continue;
        const changed = sound.slice();
        changed[at] = value;
        if (loads(changed)) loaded++;
        executed++;
      }
    }
    assert.equal(executed, dataStart * 255);
    // Letters of names and of metadata may change; lengths, offsets, shapes and structure may not.
    assert.ok(loaded > 0 && loaded < executed / 3, `${loaded} of ${executed} loaded`);
  }).timeout(20_000);
});

describe('safetensors: writing', () => {
  function assertNotWritten(tensors: readonly Tensor[], message: RegExp, metadata?: Readonly<Record<string, string>>): void {
    assert.throws(() => writeSafetensors(tensors, metadata), (error: unknown) => {
      assert.ok(error instanceof EfficientNetError, String(error));
      assert.equal(error.code, 'ERR_INVALID_ARGUMENT');
      assert.match(error.message, message);
      return true;
    });
  }
  const tensor: Tensor = { name: 'a', type: 'f32', shape: [1], bytes: new Uint8Array(4) };

  it('refuses what would not be a sound file', () => {
    assertNotWritten([tensor, tensor], /names that differ/);
    assertNotWritten([{ ...tensor, name: '__metadata__' }], /names that differ/);
    assertNotWritten([{ ...tensor, name: '\ud800' }], /well-formed names/);
    assertNotWritten([{ ...tensor, shape: [2] }], /bytes of tensor "a" of shape \[2\]/);
    assertNotWritten([{ ...tensor, shape: [2 ** 30, 2 ** 30] }], /bytes of tensor "a"/);
    assertNotWritten([tensor], /metadata\.key/, { key: 7 as unknown as string });
  });
});
