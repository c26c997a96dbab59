// SPDX-License-Identifier: Apache-2.0
// The HDF5 reader: files that h5py and Keras wrote, files wrong in one way each, and damage to whole
// files. What Keras keeps in them is in keras.test.ts.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { looksLikeHdf5, readHdf5 } from '../../lib/formats/hdf5.js';
import { loads } from './helpers/damage.js';
import { openAll, refuseAll, type WrongFile } from './helpers/hdf5-cases.js';
import {
  attribute, contiguous, datatype, Hdf5Writer, inHeap, nowhere, space, symbolTable, types, u16, u32, u64, type Message,
} from './helpers/hdf5-writer.js';
import { legacyFile, storedFile } from './helpers/small-keras.js';

const golden = (name: string): Buffer => readFileSync(join(__dirname, '..', '..', '..', 'test', 'golden', name));
const elements = Buffer.from(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);

describe('hdf5: sound files', () => {
  it('reads what h5py writes, as views', () => {
    const file = golden('small-keras2.h5');
    assert.ok(looksLikeHdf5(file));
    const root = readHdf5(file);
    assert.deepEqual(root.names, ['model_weights']);
    assert.deepEqual([...root.attributes.keys()].sort(), ['backend', 'keras_version', 'model_config']);
    assert.deepEqual(root.attributes.get('backend'), ['tensorflow']);
    const datasets = openAll(root);
    assert.equal(datasets.length, 26);
    const kernel = datasets.find(({ path }) => path === 'model_weights/stem_conv/stem_conv/kernel:0') ?? assert.fail();
    assert.deepEqual([kernel.shape, kernel.type], [[3, 3, 3, 2], { kind: 'number', type: 'f32', size: 4 }]);
    assert.equal(kernel.bytes.buffer, file.buffer);
    assert.deepEqual([...new Float32Array(new Uint8Array(kernel.bytes).buffer)], Array.from({ length: 54 }, (_, i) => i));
  });

  it("reads libver='latest', as far as a group's links lie in its header", () => {
    const datasets = openAll(readHdf5(golden('small-latest.h5')));
    assert.deepEqual(datasets.map(({ path, shape, type }) => [path, shape, type.kind === 'number' ? type.type : '']), [
      ['layers/dense/vars/0', [3, 2], 'f32'],
      ['layers/dense/vars/1', [2], 'f64'],
    ]);
  });

  it('reads what the tests write, at any place of a file', () => {
    for (const file of [legacyFile(), legacyFile('{}'), storedFile()]) {
      const moved = Buffer.concat([Buffer.alloc(3), file]).subarray(3);
      const [plain, elsewhere] = [openAll(readHdf5(file)), openAll(readHdf5(moved, 3))];
      assert.equal(plain.length, 3);
      assert.deepEqual(elsewhere.map(({ bytes }) => Buffer.from(bytes)), plain.map(({ bytes }) => Buffer.from(bytes)));
    }
  });

  it('reads texts of every kind, and leaves other attributes alone', () => {
    const file = new Hdf5Writer();
    const heap = file.texts(['first', 'zweiter Text', '']);
    const inHeaps = Buffer.concat([inHeap(12, heap, 2), inHeap(5, heap, 1), inHeap(0, heap, 3)]);
    const root = readHdf5(
      file.finish(
        file.group([], [
          attribute('fixed', ['a', 'longer']),
          attribute('scalar', ['alone'], { shape: [] }),
          attribute('references', [], { type: types.reference, shape: [3], data: inHeaps }),
          attribute('number', [], { type: types.i64, shape: [1], data: u64(7) }),
          attribute('compound', [], { type: types.compound, shape: [1], data: u32(7) }),
          attribute('none', [], { shape: [0] }),
        ]),
      ),
    );
    assert.deepEqual([...root.attributes], [['fixed', ['a', 'longer']], ['scalar', ['alone']], ['references', ['zweiter Text', 'first', '']], ['none', []]]);
  });
});

// ---- wrong in one way -----------------------------------------------------------------------------

type Make = (file: Hdf5Writer) => number;

function built(make: Make): Buffer {
  const file = new Hdf5Writer();
  return file.finish(make(file));
}

/** A file of one dataset `x` with these messages. */
function dataset(messages: readonly Message[] | ((file: Hdf5Writer) => readonly Message[])): Buffer {
  return built((file) => file.group([{ name: 'x', at: file.header(typeof messages === 'function' ? messages(file) : messages) }]));
}

const sound = (file: Hdf5Writer): readonly Message[] => [space([6]), datatype(types.f32), contiguous(file.block(elements), 24)];
const withMessage = (type: number, data: Buffer): Buffer => dataset((file) => [...sound(file), { type, data }]);
const group = (...messages: readonly Message[]): Buffer => built((file) => file.header(messages));

const cases: readonly WrongFile[] = [
  ['another signature', Buffer.from('\x89HDF\r\n\x1a\r', 'latin1'), /Expected the signature of an HDF5 file \(at byte 1000/],
  ['a superblock of the future', built((f) => f.group([])).fill(4, 8, 9), /superblock of version 4/, 'ERR_UNSUPPORTED'],
  ['addresses of 4 bytes', new Hdf5Writer().finish(0, { sizes: 4 }), /not of 8 bytes/, 'ERR_UNSUPPORTED'],
  ['a base address', new Hdf5Writer().finish(0, { base: 512 }), /begins in the middle/, 'ERR_UNSUPPORTED'],
  ['an end beyond the file', new Hdf5Writer().finish(0, { end: 1e6 }), /truncated: expected 1000000 bytes but it has 96 \(at byte 1040/],
  ['a root outside', built(() => 1e9), /an address lies outside/],
  ['a root of nothing', built(() => 0), /twice|OHDR|header/],
  ['an external link', group({ type: 6, data: Buffer.concat([Buffer.of(1, 8, 64, 1), Buffer.from('x'), u16(9), Buffer.from('\0/etc/x\0y')]) }), /"x" is a link to another place, in another file, which is not followed/],
  ['a soft link', group({ type: 6, data: Buffer.concat([Buffer.of(1, 8, 1, 1), Buffer.from('x'), u16(6), Buffer.from('/a/b/c')]) }), /"x" is a link to another place, which/],
  ['a soft link in a symbol table', built((f) => f.group([{ name: 'x', at: 0, cache: 2 }])), /"x" is a link to another place/],
  ['a dataset in another file', withMessage(7, Buffer.concat([u32(1), u64(96)])), /"x" lies in another file, which is not opened/],
  ['a link cut off', group({ type: 6, data: Buffer.concat([Buffer.of(1, 0, 200), Buffer.from('x')]) }), /cut off/],
  ['a link of version 2', group({ type: 6, data: Buffer.concat([Buffer.of(2, 0, 1), Buffer.from('x'), u64(0)]) }), /link of version 1/],
  ['a heap of links', group({ type: 2, data: Buffer.concat([Buffer.of(0, 0), u64(0), u64(nowhere)]) }), /libver='latest'/, 'ERR_UNSUPPORTED'],
  ['a heap of attributes', group({ type: 21, data: Buffer.concat([Buffer.of(0, 0), u64(0), u64(nowhere)]) }), /attributes in the layout of libver='latest'/, 'ERR_UNSUPPORTED'],
  ['a shape bomb', dataset([space([2n ** 60n]), datatype(types.f32), contiguous(96, 24)]), /"x" of shape \[.*\] needs .* bytes, more than the file's/],
  ['a shape of petabytes with a layout that agrees', dataset([space([2n ** 50n]), datatype(types.f32), contiguous(96, 2n ** 52n)]), /needs 4503599627370496 bytes, more than the file's/],
  ['a product that wraps to 4', dataset([space([2n ** 32n + 1n, 2n ** 32n + 1n]), datatype(types.f32), contiguous(96, 4)]), /more than the file's/],
  ['a rank of 33', dataset([space(Array.from({ length: 33 }, () => 1)), datatype(types.f32), contiguous(96, 4)]), /no room for 33 dimensions/],
  ['a layout that is longer', dataset((f) => [space([5]), datatype(types.f32), contiguous(f.block(elements), 24)]), /needs 20 bytes by its shape and type but its layout says 24/],
  ['a layout beyond the file', dataset([space([6]), datatype(types.f32), contiguous(504, 24)]), /expected 24 bytes but it has/],
  ['a layout outside', dataset([space([6]), datatype(types.f32), contiguous(1e9, 24)]), /an address lies outside/],
  ['a layout that wraps', dataset([space([6]), datatype(types.f32), contiguous(2n ** 64n - 8n, 24)]), /an address lies outside/],
  ['a dataset never written', dataset([space([6]), datatype(types.f32), contiguous(nowhere, 24)]), /was never written/],
  ['a virtual layout', dataset([space([6]), datatype(types.f32), { type: 8, data: Buffer.concat([Buffer.of(4, 3), u64(96), u32(0)]) }]), /layout of class 3/, 'ERR_UNSUPPORTED'],
  ['an old layout', dataset([space([6]), datatype(types.f32), { type: 8, data: Buffer.alloc(24, 1) }]), /layout of version 1/, 'ERR_UNSUPPORTED'],
  ['a compact layout longer than its message', dataset([space([6]), datatype(types.f32), { type: 8, data: Buffer.concat([Buffer.of(3, 0), u16(24), u64(0)]) }]), /larger than the message/],
  ['a filter', withMessage(11, Buffer.concat([Buffer.of(1, 1), u16(0), u32(0), u16(1), u16(0)])), /"x" has filters but no chunks/],
  ['a type shared', built((f) => f.group([{ name: 'x', at: f.header([space([6]), { type: 3, data: u64(96), flags: 2 }]) }])), /share/, 'ERR_UNSUPPORTED'],
  ['two dataspaces', dataset((f) => [...sound(f), space([6])]), /Expected one datatype, one dataspace, one layout/],
  ['no layout', dataset([space([6]), datatype(types.f32)]), /Expected one datatype, one dataspace, one layout/],
  ['a null dataspace', dataset([{ type: 1, data: Buffer.of(2, 0, 0, 2) }, datatype(types.f32), contiguous(96, 0)]), /has no elements/],
  ['a datatype cut off', dataset((f) => [space([6]), datatype(types.f32.subarray(0, 12)), contiguous(f.block(elements), 24)]), /shorter than that of a floating-point number/],
  ['a datatype of version 9', dataset([space([6]), datatype(Buffer.concat([Buffer.of(0x91), types.f32.subarray(1)])), contiguous(96, 24)]), /version 1 to 4, not 9/],
  ['a name with a slash', built((f) => f.group([{ name: 'a/b', at: 96 }])), /plain name .* not "a\/b"/],
  ['a name upwards', built((f) => f.group([{ name: '..', at: 96 }])), /plain name .* not "\.\."/],
  ['a name twice', built((f) => f.group([{ name: 'a', at: 96 }, { name: 'a', at: 96 }])), /lists "a" twice/],
  ['a name without end', built((f) => f.header([symbolTable(f.tree([f.block(Buffer.concat([Buffer.from('SNOD'), Buffer.of(1, 0), u16(1), u64(0), u64(96), Buffer.alloc(24)]))]), f.block(Buffer.concat([Buffer.from('HEAP'), u32(0), u64(8), u64(1), u64(f.block(Buffer.alloc(8, 0x61)))])))])), /Expected a text that ends/],
  ['no heap', built((f) => f.header([symbolTable(f.tree([]), 96)])), /Expected HEAP there/],
  ['no tree', built((f) => f.header([symbolTable(f.block(Buffer.from('BUSH')), f.block(Buffer.concat([Buffer.from('HEAP'), u32(0), u64(8), u64(1), u64(96)])))])), /Expected TREE there/],
  ['a symbol table cut off', group({ type: 17, data: u64(96) }), /cut off/],
  ['a tree that holds itself', built((f) => f.header([symbolTable(f.tree([f.next]), f.block(Buffer.concat([Buffer.from('HEAP'), u32(0), u64(8), u64(1), u64(96)])))])), /twice to the same place/],
  ['a group that holds itself', built((f) => { const at = f.next + 16 + 8 + 168 + 40 + 64; return f.group([{ name: 'a', at }]); }), /./],
  ['a node with more symbols than room', built((f) => f.header([symbolTable(f.tree([f.block(Buffer.concat([Buffer.from('SNOD'), Buffer.of(1, 0), u16(65535)]))]), f.block(Buffer.concat([Buffer.from('HEAP'), u32(0), u64(8), u64(1), u64(96)])))])), /lists more than it has room for/],
  ['a header continued in itself', built((f) => f.header([{ type: 16, data: Buffer.concat([u64(f.next), u64(40)]) }])), /twice to the same place/],
  ['a continuation outside', built((f) => f.header([{ type: 16, data: Buffer.concat([u64(96), u64(2n ** 63n)]) }])), /expected Infinity bytes/],
  ['a continuation cut off', group({ type: 16, data: u64(96) }), /cut off/],
  ['a message past its header', built((f) => f.block(Buffer.concat([Buffer.of(1, 0), u16(1), u32(1), u32(8), u32(0), u16(1), u16(900), u32(0)]))), /runs past its end/],
  ['a header longer than the file', built((f) => f.block(Buffer.concat([Buffer.of(1, 0), u16(1), u32(1), u32(1e6), u32(0)]))), /expected 1000000 bytes/],
  ['an attribute of version 4', group({ type: 12, data: Buffer.alloc(16, 4) }), /version 1 to 3, not 4/],
  ['an attribute longer than its message', group(attribute('a', ['x'], { shape: [100] })), /"a" is longer than the message/],
  ['an attribute twice', group(attribute('a', ['x']), attribute('a', ['y'])), /attribute "a" twice/],
  ['a text outside its heap', built((f) => f.group([], [attribute('a', [], { type: types.reference, shape: [1], data: inHeap(5, f.texts(['abcd']), 1) })])), /a place in the heap that there is not/],
  ['a text of no object', built((f) => f.group([], [attribute('a', [], { type: types.reference, shape: [1], data: inHeap(4, f.texts(['abcd']), 2) })])), /a place in the heap that there is not/],
  ['a heap that is none', built((f) => f.group([], [attribute('a', [], { type: types.reference, shape: [1], data: inHeap(4, 96, 1) })])), /Expected GCOL there/],
  ['a heap larger than the file', built((f) => f.group([], [attribute('a', [], { type: types.reference, shape: [1], data: inHeap(4, f.block(Buffer.concat([Buffer.from('GCOL'), u32(1), u64(2n ** 40n)])), 1) })])), /expected 1099511627776 bytes/],
  ['one text a thousand times', built((f) => { const heap = f.texts(['x'.repeat(900)]); return f.group([], [attribute('a', [], { type: types.reference, shape: [1000], data: Buffer.concat(Array.from({ length: 1000 }, () => inHeap(900, heap, 1))) })]); }), /less data than its datasets and attributes claim/],
];

describe('hdf5: files wrong in one way', () => {
  refuseAll(cases, 57);

  it('one dataset under many names counts once for each', () => {
    const many = (count: number): Buffer =>
      built((file) => {
        const at = file.block(Buffer.alloc(4000));
        const one = (): number => file.header([space([1000]), datatype(types.f32), contiguous(at, 4000)]);
        return file.group(Array.from({ length: count }, (_, i) => ({ name: String(i), at: one() })));
      });
    assert.equal(openAll(readHdf5(many(1))).length, 1);
    assert.throws(() => openAll(readHdf5(many(4))), /less data than its datasets and attributes claim/);
    const shared = built((file) => {
      const at = file.dataset([6], elements);
      return file.group([{ name: 'a', at }, { name: 'b', at }]);
    });
    assert.throws(() => openAll(readHdf5(shared)), /leads twice to the same place/);
  });

  it('does not go deeper than a model does', () => {
    const nested = (depth: number): Buffer =>
      built((file) => {
        let at = file.dataset([6], elements);
        for (let i = 0; i < depth; i++) at = file.group([{ name: 'g', at }]);
        return at;
      });
    assert.equal(openAll(readHdf5(nested(32))).length, 1);
    assert.throws(() => openAll(readHdf5(nested(33))), /lies too deep/);
    assert.throws(() => openAll(readHdf5(nested(5000))), /lies too deep/);
  });
});

describe('hdf5: damaged files', () => {
  for (const [name, file] of [['legacy', legacyFile()], ['stored', storedFile()], ['latest', golden('small-latest.h5')]] as const) {
    const opens = (bytes: Uint8Array): boolean => loads(() => openAll(readHdf5(bytes)));

    it(`${name}: refuses every truncation`, () => {
      for (let length = 0; length < file.length; length++) assert.ok(!opens(file.subarray(0, length)), `${length} bytes`);
    });

    it(`${name}: refuses or loads every byte changed`, () => {
      const changed = Buffer.from(file);
      let loaded = 0;
      for (let at = 0; at < file.length; at++) {
        for (const change of [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff]) {
          changed[at] = (file[at] ?? 0) ^ change;
          if (opens(changed)) loaded++;
        }
        changed[at] = file[at] ?? 0;
      }
      assert.ok(loaded > file.length && loaded < file.length * 9, `${loaded} of ${file.length * 9} loaded`);
    }).timeout(60_000);
  }
});
