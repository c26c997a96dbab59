// SPDX-License-Identifier: Apache-2.0
// PyTorch checkpoints: files that torch itself wrote (test/golden/make_small_pth.py), archives and
// pickles wrong in one way each, and every truncation and many single-byte changes of a small file.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorCode } from '../../lib/errors.js';
import { parseCheckpoint } from '../../lib/formats/index.js';
import { readTorch } from '../../lib/formats/torch.js';
import { writeZip, type ZipEntry, type ZipFaults, type ZipStyle } from './zip-writer.js';
import { loads as loadsOrRefuses, assertRefusesAtLength } from './helpers/damage.js';
import { dict, global, int, latin, pickle, storage, tensor, text, tuple, type TensorParts } from './helpers/pickle-writer.js';

// Compiled tests lie in dist/test/lib, the golden files in test/golden.
const golden = join(__dirname, '..', '..', '..', 'test', 'golden');
const small = readFileSync(join(golden, 'small.pth'));

const assertRefused = (bytes: Uint8Array, message: RegExp, code: ErrorCode = 'ERR_INVALID_CHECKPOINT'): void => assertRefusesAtLength(() => readTorch(bytes), code, message);

const elements = Buffer.from(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);

function archive(data: Buffer, more: readonly ZipEntry[] = [], faults: ZipFaults = {}, style: ZipStyle = {}): Buffer {
  return writeZip(
    [{ name: 'm/data.pkl', data }, { name: 'm/data/0', data: elements }, ...more, { name: 'm/version', data: latin('3\n') }],
    faults,
    style,
  );
}

const sound = pickle(dict(text('a'), tensor()));

describe('torch: files written by torch', () => {
  it('reads every element type and stride', () => {
    const { format, tensors, metadata } = readTorch(small);
    assert.equal(format, 'torch');
    assert.equal(metadata.size, 0);
    const typed = [...tensors.values()].map(({ name, type, shape }) => `${name} ${type} ${shape.join('x')}`);
    assert.deepEqual(typed, [
      'f32 f32 2x3x4', 'transposed f32 6x4', 'channels_last f32 1x2x3x4', 'slice f32 4', 'column f32 4',
      'pointwise f32 6x4x1x1', 'f64 f64 3x2', 'f16 f16 2', 'bf16 bf16 2', 'i64 i64 ', 'i32 i32 1', 'i16 i16 1',
      'i8 i8 1', 'u8 u8 2x2', 'bool bool 2', 'empty f32 0x5', 'parameter f32 1',
    ]);
    const copy = (name: string): ArrayBuffer => new Uint8Array(tensors.get(name)?.bytes ?? []).buffer;
    const floats = (name: string): number[] => [...new Float32Array(copy(name))];
    const count = Array.from({ length: 24 }, (_, i) => i);
    assert.deepEqual(floats('f32'), count);
    assert.deepEqual(floats('transposed'), count.map((i) => (i % 4) * 6 + Math.floor(i / 4)));
    assert.deepEqual(floats('channels_last'), count);
    assert.deepEqual(floats('slice'), [5, 6, 7, 8]);
    assert.deepEqual(floats('column'), [2, 8, 14, 20]);
    assert.deepEqual(floats('pointwise'), count);
    assert.deepEqual([...new Float64Array(copy('f64'))], [0, 3, 1, 4, 2, 5]);
    assert.deepEqual([...new Uint16Array(copy('f16'))], [0x3c00, 0xc000]);
    assert.deepEqual([...new Uint16Array(copy('bf16'))], [0x3f80, 0xc000]);
    assert.deepEqual([...new BigInt64Array(copy('i64'))], [-(2n ** 40n)]);
    assert.deepEqual([...new Uint8Array(copy('u8'))], [1, 3, 2, 4]);
    assert.deepEqual([...new Uint8Array(copy('bool'))], [1, 0]);
    assert.deepEqual(floats('parameter'), [0.5]);
  });

  it('gives views, not copies, of what lies in order', () => {
    const { tensors } = readTorch(small);
    for (const name of ['f32', 'slice', 'pointwise', 'f16']) assert.equal(tensors.get(name)?.bytes.buffer, small.buffer, name);
    for (const name of ['transposed', 'channels_last', 'column']) assert.notEqual(tensors.get(name)?.bytes.buffer, small.buffer, name);
  });
});

describe('torch: archives', () => {
  it('reads every style of sound archive', () => {
    for (const style of [{}, { descriptor: true }, { zip64: true }, { zip64: true, descriptor: true }]) {
      const { tensors } = readTorch(archive(sound, [], {}, style));
      assert.deepEqual([...(tensors.get('a')?.bytes ?? [])], [...elements], JSON.stringify(style));
    }
  });

  it('unwraps and strips what training scripts add', () => {
    const weights = dict(text('module.a'), tensor());
    for (const wrapper of ['state_dict', 'model', 'state_dict_ema', 'model_ema']) {
      const wrapped = dict(text('epoch'), int(7), text(wrapper), weights);
      assert.deepEqual([...readTorch(archive(pickle(wrapped))).tensors.keys()], ['a'], wrapper);
      assert.deepEqual([...readTorch(archive(pickle(dict(text('state_dict'), wrapped)))).tensors.keys()], ['a'], wrapper);
    }
    const twice = dict(text('module._orig_mod.a'), tensor(), text('module._orig_mod.b'), tensor());
    assert.deepEqual([...readTorch(archive(pickle(twice))).tensors.keys()], ['a', 'b'], 'prefix of a prefix');
    const both = dict(text('module.a'), tensor(), text('b'), tensor());
    assert.deepEqual([...readTorch(archive(pickle(both))).tensors.keys()], ['module.a', 'b'], 'not all have the prefix');
  });

  const entry = (name: string | Uint8Array): ZipEntry => ({ name, data: latin('x') });
  const cases: readonly (readonly [name: string, bytes: Uint8Array, message: RegExp, code?: ErrorCode])[] = [
    ['encrypted', archive(sound, [], { flags: 0x1 }), /flags 0x1: encrypted/],
    ['patched', archive(sound, [], { flags: 0x20 }), /flags 0x20/],
    ['strongly encrypted', archive(sound, [], { flags: 0x40 }), /flags 0x40/],
    ['masked headers', archive(sound, [], { flags: 0x2000 }), /flags 0x2000/],
    ['encrypted in the local header only', archive(sound, [], { flags: 0, localFlags: 1 }), /contradict/],
    ['deflated', archive(sound, [], { method: 8 }), /compressed; expected stored/],
    ['deflated in the local header only', archive(sound, [], { localMethod: 8 }), /contradict/],
    ['another name in the local header', archive(sound, [], { localName: 'm/versiom' }), /contradict/],
    ['another size in the local header', archive(sound, [], { localSize: 1 }), /contradict/],
    ['a stored size that is not the size', archive(sound, [], { size: 2 ** 31, storedSize: 2 }), /two sizes/],
    ['a size beyond the file', archive(sound, [], { size: 2 ** 31, storedSize: 2 ** 31, localSize: 2 ** 31 }), /runs into the directory/],
    ['a wrong CRC', archive(sound, [], { crc: 1 }), /damaged: its CRC-32/],
    ['a wrong CRC in the descriptor', archive(sound, [], { descriptorCrc: 1 }, { descriptor: true }), /descriptor .* contradicts/],
    ['two entries at one place', archive(sound, [], { offset: () => 0 }), /overlap or leave a gap/],
    ['an entry inside another', archive(sound, [], { offset: (at) => at - 4 }), /overlap or leave a gap/],
    ['an offset beyond the file', archive(sound, [], { offset: () => 2 ** 31 }), /overlap or leave a gap/],
    ['bytes before the first entry', archive(sound, [], { before: latin('MZ') }), /overlap or leave a gap/],
    ['bytes between entries', archive(sound, [], { gap: latin('..') }), /overlap or leave a gap/],
    ['bytes before the directory', archive(sound, [], { beforeDirectory: latin('..') }), /directly after the last entry/],
    ['bytes after the directory', archive(sound, [], { afterDirectory: latin('..') }), /does not end at its end record/],
    ['a comment', archive(sound, [], { comment: 'hello' }), /something follows it/],
    ['a comment with a second end record', archive(sound, [], { comment: 'PK\x05\x06' + '\0'.repeat(18) }), /does not end at its end record/],
    ['several parts', archive(sound, [], { disk: 1 }), /one part/],
    ['too few entries', archive(sound, [], { entries: 2 }), /more than its entries/],
    ['too many entries', archive(sound, [], { entries: 4 }), /entry 4 of 4/],
    ['65535 entries', archive(sound, [], { entries: 65535 }), /entry 4 of 65535/],
    ['a directory of another size', archive(sound, [], { directorySize: 46 }), /does not end at its end record/],
    ['a directory elsewhere', archive(sound, [], { directoryOffset: (at) => at - 1, directorySize: 170 }), /zip directory/],
    ['zip64 entries beyond the limit', archive(sound, [], { entries64: 2 ** 40 }, { zip64: true }), /at most 100000 zip entries/],
    ['a zip64 locator elsewhere', archive(sound, [], { locator: 0 }, { zip64: true }), /locator does not point/],
    ['a zip64 locator beyond 2^53', archive(sound, [], { locator: 2 ** 53 }, { zip64: true }), /locator does not point/],
    ['a name twice', archive(sound, [entry('m/data/0')]), /Two zip entries are named "m\/data\/0"/],
    ['a path upwards', archive(sound, [entry('m/../../x')]), /plain relative path/],
    ['an absolute path', archive(sound, [entry('/etc/passwd')]), /plain relative path/],
    ['a drive', archive(sound, [entry('m/c:x')]), /plain relative path/],
    ['a backslash', archive(sound, [entry('m\\x')]), /plain relative path/],
    ['a NUL in a name', archive(sound, [entry('m/x\0')]), /plain relative path/],
    ['an empty name', archive(sound, [entry('')]), /plain relative path/],
    ['a folder', archive(sound, [entry('m/x/')]), /plain relative path/],
    ['a name that is not UTF-8', archive(sound, [entry(latin('m/\xff'))]), /not valid UTF-8/],
    ['no entries', writeZip([]), /Expected one folder with data\.pkl/],
    ['no data.pkl', writeZip([entry('m/x')]), /Expected one folder with data\.pkl/],
    ['data.pkl at the top', writeZip([{ name: 'data.pkl', data: sound }]), /Expected one folder with data\.pkl/],
    ['two data.pkl', archive(sound, [{ name: 'n/data.pkl', data: sound }]), /Expected one folder with data\.pkl/],
    ['an entry beside the folder', archive(sound, [entry('n/x')]), /under "m\/", but found "n\/x"/],
    ['TorchScript', archive(sound, [entry('m/constants.pkl')]), /TorchScript/, 'ERR_UNSUPPORTED'],
    ['big-endian', archive(sound, [{ name: 'm/byteorder', data: latin('big') }]), /big-endian/, 'ERR_UNSUPPORTED'],
    ['something after the end', Buffer.concat([archive(sound), latin('x')]), /no end record/],
  ];
  for (const [name, bytes, message, code] of cases) it(name, () => assertRefused(bytes, message, code));
  it('has run every case', () => assert.equal(cases.length, 48));
});

describe('torch: pickles', () => {
  it('calls and looks up nothing', () => {
    const attacks = [
      'os.system', 'posix.system', 'nt.system', 'builtins.eval', 'builtins.exec', 'builtins.getattr', 'subprocess.Popen',
      'torch.load', 'torch.hub.load', 'torch.storage._load_from_bytes', 'torch._utils._rebuild_tensor_v3', 'torch.FloatStorag',
      'torch.UntypedStorage', 'collections.OrderedDict.fromkeys', 'numpy.core.multiarray.scalar', '__main__.Model', 'toString.constructor',
      '__proto__.x', 'torchvision.models.efficientnet.EfficientNet',
    ];
    for (const name of attacks) {
      const call = Buffer.concat([global(name), tuple(text('touch /tmp/owned')), latin('R')]);
      assertRefused(archive(pickle(dict(text('a'), call))), /which is not among the 14 names .* refused/);
    }
    assert.equal(attacks.length, 19);
  });

  it('allows exactly the 34 opcodes of a plain checkpoint', () => {
    const allowed = new Set(Buffer.from('\x80.(cRb\x81QN\x88\x89JKM\x8aGXU)]}\x8ft\x85\x86\x87aesuhjqr', 'latin1'));
    assert.equal(allowed.size, 34);
    let refused = 0;
    for (let opcode = 0; opcode < 256; opcode++) {
      if (allowed.has(opcode)) continue;
      const unknown = Buffer.concat([latin('\x80\x02'), Buffer.of(opcode), latin('N.')]);
      assertRefused(archive(unknown), /uses the opcode 0x[0-9a-f]{2}, which a plain checkpoint does not need/);
      refused++;
    }
    assert.equal(refused, 256 - 34);
  });

  const floats = (parts: TensorParts): Buffer => archive(pickle(dict(text('a'), tensor(parts))));
  const long = (bytes: string): Buffer => Buffer.concat([latin('\x8a'), Buffer.of(bytes.length), latin(bytes)]);
  const cases: readonly (readonly [name: string, bytes: Uint8Array, message: RegExp])[] = [
    ['empty', archive(Buffer.alloc(0)), /begin with its protocol/],
    ['no protocol', archive(latin('N.')), /begin with its protocol/],
    ['protocol 1', archive(latin('\x80\x01N.')), /protocol from 2 to 5/],
    ['protocol 6', archive(latin('\x80\x06N.')), /protocol from 2 to 5/],
    ['protocol twice', archive(latin('\x80\x02\x80\x02N.')), /at the beginning/],
    ['no stop', archive(latin('\x80\x02N')), /truncated/],
    ['stop on nothing', archive(pickle()), /empty stack/],
    ['stop with values left over', archive(pickle(latin('NN'))), /left over/],
    ['stop with a mark left over', archive(pickle(latin('N('))), /empty stack/],
    ['something after the stop', archive(pickle(latin('N.'))), /follows the end/],
    ['mark missing', archive(pickle(latin('Nt'))), /mark that is not there/],
    ['pop below a mark', archive(pickle(latin('N(\x85'))), /empty stack/],
    ['pop of nothing', archive(pickle(latin('\x87'))), /empty stack/],
    ['memo of nothing', archive(pickle(latin('q\0'))), /remembers a value of an empty stack/],
    ['memo never written', archive(pickle(latin('h\x07'))), /recalls value 7/],
    ['memo at 2^32 - 1', archive(pickle(latin('j\xff\xff\xff\xff'))), /recalls value 4294967295/],
    ['text beyond the end', archive(pickle(latin('X\xff\xff\xff\x7f'))), /truncated/],
    ['text that is not UTF-8', archive(pickle(latin('U\x01\xff'))), /not valid UTF-8/],
    ['integer beyond 2^53', archive(pickle(long('\0\0\0\0\0\0\x40\0'))), /beyond 2\^53/],
    ['integer of 255 bytes', archive(pickle(long('\x7f'.repeat(255)))), /beyond 2\^53/],
    ['global without end', archive(latin('\x80\x02ctorch')), /without end/],
    ['global of a long line', archive(pickle(latin(`c${'x'.repeat(201)}\nx\n`))), /too long/],
    ['call of a string', archive(pickle(text('x'), latin(')R'))), /cannot be called/],
    ['call of a storage class', archive(pickle(global('torch.FloatStorage'), latin(')R'))), /cannot be called/],
    ['call without a tuple', archive(pickle(global('collections.OrderedDict'), latin('NR'))), /Expected a tuple/],
    ['object of a storage class', archive(pickle(global('torch.FloatStorage'), latin(')\x81'))), /class that it may not/],
    ['attributes of a tensor', archive(pickle(tensor(), latin('}b'))), /attributes of something that has none/],
    ['attributes from a list', archive(pickle(latin('}]b'))), /attributes of something that has none/],
    ['append to a dictionary', archive(pickle(latin('}Na'))), /appends to something that is no list/],
    ['append below a mark', archive(pickle(latin('](Na'))), /appends to something that is no list/],
    ['item of a list', archive(pickle(latin(']NNs'))), /no dictionary/],
    ['odd items', archive(pickle(latin('}(NNNu'))), /no dictionary/],
    ['key that is a tuple', archive(pickle(latin('})Ns'))), /string or a number as the key/],
    ['key twice', archive(pickle(dict(text('a'), tensor(), text('a'), tensor()))), /sets the key "a" twice/],
    ['storage without class', archive(pickle(tuple(text('storage'), latin('N'), text('0'), text('cpu'), int(6)), latin('Q'))), /Expected a storage/],
    ['storage of four parts', archive(pickle(tuple(text('storage'), global('torch.FloatStorage'), text('0'), text('cpu')), latin('Q'))), /Expected a storage/],
    ['storage that is a view', floats({ view: tuple(text('1'), int(0), int(6)) }), /storage "0" is a view of another/],
    ['storage of another tag', archive(pickle(tuple(text('module'), global('torch.FloatStorage'), text('0'), text('cpu'), int(6)), latin('Q'))), /Expected a storage/],
    ['storage that is absent', floats({ key: '1' }), /storage "1", which the file does not have/],
    ['storage named upwards', floats({ key: '../data.pkl' }), /which the file does not have/],
    ['storage larger than its file', floats({ length: 7 }), /7 elements of f32, 28 bytes, but the file has 24/],
    ['storage smaller than its file', floats({ length: 5 }), /but the file has 24/],
    ['storage of another type', floats({ type: 'torch.DoubleStorage' }), /6 elements of f64, 48 bytes/],
    ['negative storage', floats({ length: -1 }), /non-negative integer/],
    ['negative size', floats({ size: [int(-2), int(3)] }), /non-negative integer/],
    ['negative stride', floats({ stride: [int(-3), int(1)] }), /non-negative integer/],
    ['negative offset', floats({ offset: int(-1) }), /non-negative integer/],
    ['offset that is a fraction', floats({ offset: latin('G\x3f\xe0\0\0\0\0\0\0') }), /non-negative integer/],
    ['offset that is NaN', floats({ offset: latin('G\x7f\xf8\0\0\0\0\0\0') }), /non-negative integer/],
    ['offset past the end', floats({ offset: int(1) }), /reaches outside its storage of 6/],
    ['stride past the end', floats({ stride: [int(4), int(1)] }), /reaches outside/],
    ['stride whose reach overflows', floats({ size: [int(2)], stride: [long('\xff\xff\xff\xff\xff\xff\x1f')] }), /reaches outside/],
    ['size whose product overflows', floats({ size: [int(2 ** 30), int(2 ** 30)], stride: [int(0), int(0)] }), /does not fit its storage/],
    ['one element for a million', floats({ size: [int(1_000_000)], stride: [int(0)] }), /does not fit its storage/],
    ['strides of another rank', floats({ stride: [int(1)] }), /does not fit its storage/],
    ['rank 33', floats({ size: Array(33).fill(int(1)), stride: Array(33).fill(int(1)) }), /does not fit its storage/],
    ['empty tensor past the end', floats({ size: [int(0)], stride: [int(1)], offset: int(7) }), /reaches outside/],
    ['tensor of three parts', archive(pickle(global('torch._utils._rebuild_tensor_v2'), tuple(storage(), int(0), tuple(int(6))), latin('R'))), /Expected a tensor as/],
    ['tensor without storage', archive(pickle(global('torch._utils._rebuild_tensor_v2'), tuple(text('s'), int(0), tuple(), tuple()), latin('R'))), /Expected a tensor as/],
    ['parameter of a string', archive(pickle(global('torch._utils._rebuild_parameter'), tuple(text('s')), latin('R'))), /cannot be called/],
    ['a tensor and no dictionary', archive(pickle(tensor())), /hold a dictionary of tensors/],
    ['an entry that is no tensor', archive(pickle(dict(text('a'), tensor(), text('b'), int(1)))), /its entry "b" is none/],
    ['an entry without a name', archive(pickle(dict(int(1), tensor()))), /its entry "1" is none/],
    ['a dictionary that holds itself', archive(pickle(latin('}q\0'), text('state_dict'), latin('h\0s'))), /its entry "state_dict" is none/],
    ['a deep stack', archive(pickle(latin('N'.repeat(200_000)))), /too deep a stack/],
    ['many marks', archive(pickle(latin('('.repeat(200_000)))), /too deep a stack/],
    ['many objects', archive(pickle(Buffer.concat([latin(']'), ...Array(10).fill(latin(`(${'}'.repeat(50_000)}e`))]))), /more than 300000 objects/],
  ];
  for (const [name, bytes, message] of cases) it(name, () => assertRefused(bytes, message));
  it('has run every case', () => assert.equal(cases.length, 67));

  it('bounds copies of tensors that are not in order', () => {
    const wide = { size: [int(2), int(2)], stride: [int(1), int(3)] };
    const items = Array.from({ length: 2000 }, (_, i) => [text(String(i)), latin('h\0')]).flat();
    const first = [text('first'), tensor(wide), latin('q\0')];
    assertRefused(archive(pickle(dict(...first, ...items))), /not in row-major order exceed the file/);
  });

  it('reads storages that are not aligned', () => {
    const bytes = archive(pickle(dict(text('a'), tensor({ size: [int(3), int(2)], stride: [int(1), int(3)] }))));
    for (let shift = 0; shift < 4; shift++) {
      const around = new Uint8Array(bytes.length + shift);
      around.set(bytes, shift);
      const found = readTorch(around.subarray(shift)).tensors.get('a')?.bytes ?? new Uint8Array(0);
      assert.deepEqual([...new Float32Array(found.slice().buffer)], [0, 3, 1, 4, 2, 5]);
    }
  });
});

describe('torch: damaged files', () => {
  const loads = (bytes: Uint8Array): boolean => loadsOrRefuses(() => parseCheckpoint(bytes));

  it('refuses every truncation', () => {
    let refused = 0;
    for (let length = 0; length < small.length; length++) if (!loads(small.subarray(0, length))) refused++;
    assert.equal(refused, small.length);
    assert.ok(refused > 4000);
  });

  it('refuses or loads every byte changed, in the archive', () => {
    let executed = 0;
    for (let at = 0; at < small.length; at++) {
      for (const change of [0x01, 0x80, 0xff]) {
        const changed = Buffer.from(small);
        changed[at] = (changed[at] ?? 0) ^ change;
        loads(changed);
        executed++;
      }
    }
    assert.equal(executed, small.length * 3);
  }).timeout(30_000);

  it('refuses or loads every byte changed to every value, in the pickle', () => {
    // With a CRC that fits, unlike above, so that the changes reach the machine.
    let executed = 0;
    let loaded = 0;
    for (let at = 0; at < sound.length; at++) {
      for (let value = 0; value < 256; value++) {
        const changed = Buffer.from(sound);
        changed[at] = value;
        if (loads(archive(changed))) loaded++;
        executed++;
      }
    }
    assert.equal(executed, sound.length * 256);
    assert.ok(loaded >= sound.length && loaded < executed / 2, `${loaded} of ${executed} loaded`);
  }).timeout(60_000);
});
