// SPDX-License-Identifier: Apache-2.0
// HDF5 datasets in chunks: what h5py wrote (test/golden/make_chunked.py), lists of chunks and filtered
// chunks wrong in one way each, and damage to whole files. The files that h5py writes while the test runs
// need a Python with h5py, which EFFNET_KERAS_PYTHON names; see CONTRIBUTING.md.

import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { readHdf5, type Hdf5Dataset } from '../../lib/formats/hdf5.js';
import { readKerasHdf5 } from '../../lib/formats/keras.js';
import { loads } from './helpers/damage.js';
import { openAll, refuseAll, type WrongFile } from './helpers/hdf5-cases.js';
import { chunked, chunked4, chunkTree, filterList, fixedArray, type ChunkEntry } from './helpers/hdf5-chunk-writer.js';
import { datatype, Hdf5Writer, nowhere, space, types, u32, u64, type Message } from './helpers/hdf5-writer.js';
import { legacyFile } from './helpers/small-keras.js';
import { root as repository } from './helpers/oracle.js';

const golden = (name: string): Buffer => readFileSync(join(repository, 'test', 'golden', name));
const smallFiles = ['small-chunked-earliest.h5', 'small-chunked-v110.h5', 'small-chunked-latest.h5'];

/** What the generator puts into every dataset. */
function expected({ shape, type }: Hdf5Dataset): Uint8Array {
  const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => ((37 * i) % 251) - 125);
  const kind = type.kind === 'number' ? type.type : assert.fail(type.kind);
  const array = kind === 'f32' ? Float32Array.from(values) : kind === 'f64' ? Float64Array.from(values) : kind === 'i16' ? Int16Array.from(values) : assert.fail(kind);
  return new Uint8Array(array.buffer);
}

function checkAll(bytes: Uint8Array, count: number): readonly Hdf5Dataset[] {
  const datasets = openAll(readHdf5(bytes));
  assert.equal(datasets.length, count);
  for (const one of datasets) assert.ok(Buffer.from(one.bytes).equals(expected(one)), `${one.path} [${one.shape.join()}]`);
  return datasets;
}

describe('hdf5 chunks: sound files', () => {
  for (const name of smallFiles) {
    it(`${name}: every element`, () => {
      const file = golden(name);
      const datasets = checkAll(file, 6);
      const buffers = datasets.filter(({ bytes }) => bytes.buffer === file.buffer).map(({ path }) => path);
      assert.deepEqual(buffers.sort(), ['summed', 'whole'], 'one chunk that nothing changes is a view');
    });
  }

  it('every combination of shape, chunks and filters, in each layout of the library', function () {
    this.timeout(60_000);
    const python = pythonWithH5py();
    if (python === undefined) return this.skip();
    const folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-chunks-'));
    try {
      const made = make(python, folder);
      assert.deepEqual(Object.keys(made), ['earliest.h5', 'v108.h5', 'v110.h5', 'latest.h5']);
      for (const [file, count] of Object.entries(made)) {
        assert.equal(count, 234);
        checkAll(readFileSync(join(folder, file)), count);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('Keras files that were compressed: the same tensors', function () {
    this.timeout(60_000);
    const python = pythonWithH5py();
    if (python === undefined) return this.skip();
    const folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-chunks-'));
    try {
      for (const name of ['small-keras2.h5', 'small-latest.h5']) {
        make(python, folder, join(repository, 'test', 'golden', name));
        const [plain, compressed] = [readKerasHdf5(golden(name)), readKerasHdf5(readFileSync(join(folder, 'compressed.h5')))];
        assert.deepEqual([...compressed.metadata], [...plain.metadata]);
        assert.ok(plain.tensors.size >= 2);
        const contents = ({ tensors }: typeof plain): unknown => [...tensors.values()].map(({ bytes, ...rest }) => [rest, Buffer.from(bytes).toString('hex')]);
        assert.deepEqual(contents(compressed), contents(plain));
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** Undefined without one; throws where the environment says that there must be one. */
function pythonWithH5py(): string | undefined {
  const candidates = [process.env['EFFNET_KERAS_PYTHON'] ?? '', 'python3'].filter((name) => name !== '');
  const found = candidates.find((name) => spawnSync(name, ['-c', 'import h5py']).status === 0);
  assert.ok(found !== undefined || process.env['EFFNET_REQUIRE_KERAS'] !== '1', `EFFNET_REQUIRE_KERAS=1, but none of ${candidates.join(', ')} imports h5py`);
  return found;
}

/** Datasets by file. */
function make(python: string, folder: string, source?: string): Readonly<Record<string, number>> {
  const script = join(repository, 'test', 'golden', 'make_chunked.py');
  const { status, stdout, stderr } = spawnSync(python, [script, '--out', folder, ...(source === undefined ? [] : ['--from', source])], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Readonly<Record<string, number>>;
}

// ---- wrong in one way -----------------------------------------------------------------------------

const elements = Buffer.from(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);

/** A file of one dataset `x`. */
function dataset(messages: (file: Hdf5Writer) => readonly Message[]): Buffer {
  const file = new Hdf5Writer();
  return file.finish(file.group([{ name: 'x', at: file.header(messages(file)) }]));
}

interface Wrong {
  readonly shape?: readonly (number | bigint)[];
  readonly sides?: readonly number[];
  readonly filters?: readonly Message[];
  /** In place of three chunks of two elements. */
  readonly chunks?: (file: Hdf5Writer, at: number) => readonly ChunkEntry[];
  readonly tree?: Parameters<typeof chunkTree>[2];
}

const three = (at: number): readonly [ChunkEntry, ChunkEntry, ChunkEntry] => [{ place: [0], at, size: 8 }, { place: [2], at: at + 8, size: 8 }, { place: [4], at: at + 16, size: 8 }];

function wrong({ shape = [6], sides = [2, 4], filters = [], chunks = (_file, at) => three(at), tree }: Wrong): Buffer {
  return dataset((file) => {
    const entries = chunks(file, file.block(elements));
    return [space(shape), datatype(types.f32), chunked(chunkTree(file, entries, tree), sides), ...filters];
  });
}

/** One chunk of six elements through filters. */
function filtered(data: Uint8Array, ids: readonly number[], { mask = 0, shape = [6], side = 6 }: { mask?: number; shape?: readonly number[]; side?: number } = {}): Buffer {
  return wrong({ shape, sides: [side, 4], filters: [filterList(...ids)], chunks: (file) => [{ place: [0], at: file.block(Buffer.from(data)), size: data.length, mask }] });
}

const layout4 = (make4: (file: Hdf5Writer, at: number) => Message, filters: readonly Message[] = []): Buffer =>
  dataset((file) => [space([6]), datatype(types.f32), make4(file, file.block(elements)), ...filters]);
const arrayOf = (faults: Parameters<typeof fixedArray>[2]): Buffer =>
  layout4((file, at) => chunked4(3, Buffer.of(10), fixedArray(file, [at, at + 8, at + 16], faults), [2, 4]));
const zipped = deflateSync(elements);
const damagedZip = Buffer.from(zipped).fill(0xff, 4, 9);
const thirdOf = (change: Partial<ChunkEntry>): Buffer => wrong({ chunks: (_file, at) => [three(at)[0], three(at)[1], { ...three(at)[2], ...change }] });

const cases: readonly WrongFile[] = [
  ['a tree that holds itself', dataset((f) => [space([6]), datatype(types.f32), chunked(chunkTree(f, [{ place: [0], at: f.next, size: 8 }], { level: 1 }), [2, 4])]), /leads twice to the same place/],
  ['a tree of another kind', wrong({ tree: { kind: 0 } }), /Expected a tree of chunks/],
  ['a tree that is none', dataset((f) => [space([6]), datatype(types.f32), chunked(f.block(elements), [2, 4])]), /Expected TREE there/],
  ['levels that do not go down', dataset((f) => { const leaf = chunkTree(f, three(f.block(elements)), { level: 1 }); return [space([6]), datatype(types.f32), chunked(chunkTree(f, [{ place: [0], at: leaf, size: 8 }], { level: 1 }), [2, 4])]; }), /Expected a tree of chunks of "x", at level 0/],
  ['more entries than the file has room for', wrong({ tree: { listed: 65535 } }), /expected \d+ bytes but it has/],
  ['a tree of nothing', wrong({ chunks: () => [] }), /has 0 chunks, expected 3/],
  ['no tree', dataset(() => [space([6]), datatype(types.f32), chunked(nowhere, [2, 4])]), /"x" was never written/],
  ['a chunk missing', wrong({ chunks: (_f, at) => three(at).slice(1) }), /"x" has 2 chunks, expected 3/],
  ['a chunk twice', thirdOf({ place: [2] }), /lists a chunk twice/],
  ['a chunk beside the grid', thirdOf({ place: [3] }), /begins at 3 of the 6 elements of dimension 0, in steps of 2/],
  ['a chunk behind the end', thirdOf({ place: [6] }), /begins at 6 of the 6/],
  ['a chunk whose place wraps', thirdOf({ place: [2n ** 64n - 2n] }), /begins at Infinity of the 6/],
  ['two chunks at one place of the file', wrong({ chunks: (_f, at) => three(at).map((chunk) => ({ ...chunk, at })) }), /Two chunks of "x" lie over each other/],
  ['two chunks half over each other', wrong({ chunks: (_f, at) => three(at).map((chunk, i) => ({ ...chunk, at: at + 4 * i })) }), /Two chunks of "x" lie over each other/],
  ['a chunk outside the file', thirdOf({ at: 1e9 }), /an address lies outside/],
  ['a chunk that runs out of the file', wrong({ filters: [filterList(1)], chunks: (_f, at) => [three(at)[0], three(at)[1], { ...three(at)[2], size: 2 ** 31 }] }), /expected 2147483648 bytes but it has/],
  ['a chunk too short', thirdOf({ size: 4 }), /has 4 bytes, expected 8/],
  ['a chunk too long', wrong({ chunks: (f, at) => [three(at)[0], three(at)[1], { place: [4], at: f.block(Buffer.alloc(16)), size: 12 }] }), /has 12 bytes, expected 8/],
  ['a chunk of no elements', wrong({ sides: [0, 4] }), /chunks \[0, 4\] of "x" do not fit/],
  ['a chunk of other elements', wrong({ sides: [2, 8] }), /chunks \[2, 8\] of "x" do not fit/],
  ['a chunk of another rank', wrong({ sides: [2, 1, 4] }), /do not fit its shape \[6\]/],
  ['chunks of a scalar', wrong({ shape: [], sides: [4] }), /do not fit its shape \[\]/],
  ['a layout cut off', dataset(() => [space([6]), datatype(types.f32), { type: 8, data: Buffer.concat([Buffer.of(3, 2, 200), u64(96), u32(2), u32(4)]) }]), /cut off/],
  ['a bomb of chunks', wrong({ shape: [2n ** 40n], sides: [1, 4] }), /more than 16 times the file's/],
  ['more chunks than the file can list', wrong({ shape: [3000], sides: [1, 4], chunks: (f, at) => (f.block(Buffer.alloc(2000)), three(at)) }), /lists more than it has room for/],
  ['a chunk larger than anything', wrong({ sides: [2 ** 31, 4] }), /take 8589934592 bytes: with those before it more than 16 times the file/],
  ['chunks whose product wraps', wrong({ shape: [1, 1, 1], sides: [2 ** 31, 2 ** 31, 2 ** 31, 4], chunks: () => [] }), /take Infinity bytes/],
  ['a zip bomb', filtered(deflateSync(Buffer.alloc(2 ** 20)), [1]), /gives more than its 24 bytes/],
  ['a zip bomb that its shape announces', filtered(deflateSync(Buffer.alloc(2 ** 22)), [1], { shape: [2 ** 20], side: 2 ** 20 }), /needs 4194304 bytes, more than 16 times the file's/],
  ['a stream that gives less', filtered(deflateSync(elements.subarray(4)), [1]), /has 20 bytes, expected 24/],
  ['a damaged stream', filtered(damagedZip, [1]), /compressed chunk of "x" is damaged/],
  ['a stream cut off', filtered(zipped.subarray(0, -5), [1]), /compressed chunk of "x" is damaged/],
  ['something behind a stream', filtered(Buffer.concat([zipped, zipped]), [1]), /Something follows the end/],
  ['a wrong checksum', filtered(Buffer.concat([elements, u32(1)]), [3]), /its Fletcher-32 checksum/],
  ['no room for a checksum', filtered(elements.subarray(0, 3), [3]), /shorter than its checksum/],
  ['a mask of filters that are not', filtered(zipped, [1], { mask: 2 }), /leaves out filters that there are not/],
  ['a filter left out that was not', filtered(zipped, [1], { mask: 1 }), /expected 24/],
  ['lzf', filtered(elements, [32000]), /through the filter 32000 \(lzf\)/, 'ERR_UNSUPPORTED'],
  ['a filter that nobody knows', filtered(elements, [999]), /through the filter 999 \(at/, 'ERR_UNSUPPORTED'],
  ['a filter twice', filtered(deflateSync(zipped), [1, 1]), /has the filter deflate twice/],
  ['33 filters', filtered(elements, Array.from({ length: 33 }, () => 1)), /at most 32 filters in "x", not 33/],
  ['a list of filters cut off', wrong({ filters: [{ type: 11, data: Buffer.concat([Buffer.of(1, 9), Buffer.alloc(6)]) }] }), /list of filters of "x" is cut off/],
  ['a list of filters of the future', wrong({ filters: [{ type: 11, data: Buffer.alloc(8, 3) }] }), /version 1 or 2 in "x", not 3/],
  ['two lists of filters', wrong({ filters: [filterList(2), filterList(2)] }), /at most one list of filters/],
  ['an index for datasets that grow', layout4((_f, at) => chunked4(4, Buffer.alloc(0), at, [2, 4])), /by an index of kind 4, for datasets that can grow/, 'ERR_UNSUPPORTED'],
  ['a new layout cut off', layout4((_f, at) => ({ type: 8, data: Buffer.concat([Buffer.of(4, 2, 0, 200, 4), u64(at)]) })), /cut off/],
  ['sides of no bytes', layout4((_f, at) => ({ type: 8, data: Buffer.concat([Buffer.of(4, 2, 0, 2, 0, 1), u64(at), u64(0)]) })), /cut off/],
  ['chunks at the edge unfiltered', layout4((_f, at) => chunked4(1, Buffer.concat([u64(8), u32(0)]), at, [6, 4], 3), [filterList(1)]), /leaves chunks of the dataset "x" unfiltered/, 'ERR_UNSUPPORTED'],
  ['a single chunk of several', layout4((_f, at) => chunked4(1, Buffer.alloc(0), at, [2, 4])), /has 1 chunks, expected 3/],
  ['a single chunk that denies its filters', layout4((_f, at) => chunked4(1, Buffer.alloc(0), at, [6, 4]), [filterList(1)]), /disagree about filters/],
  ['a single chunk of infinite size', layout4((_f, at) => chunked4(1, Buffer.concat([u64(2n ** 63n), u32(0)]), at, [6, 4], 2), [filterList(1)]), /expected Infinity bytes/],
  ['an implicit list outside', layout4(() => chunked4(2, Buffer.alloc(0), 800, [2, 4])), /expected 24 bytes|lies outside/],
  ['an array that is none', layout4((_f, at) => chunked4(3, Buffer.of(10), at, [2, 4])), /Expected FAHD there/],
  ['an array of the future', arrayOf({ version: 1 }), /Expected an array of plain chunks/],
  ['an array of filtered chunks', arrayOf({ client: 1 }), /Expected an array of plain chunks/],
  ['an array of other entries', arrayOf({ entryBytes: 9 }), /cannot have entries of 9 bytes/],
  ['an array of more chunks', arrayOf({ count: 4 }), /lists 4 chunks of "x", expected 3/],
  ["another array's block", arrayOf({ header: 96 }), /contradict each other/],
  ['an array with a hole', layout4((f, at) => chunked4(3, Buffer.of(10), fixedArray(f, [at, nowhere, at + 16]), [2, 4])), /A chunk of "x" was never written/],
  ['an array of one chunk thrice', layout4((f, at) => chunked4(3, Buffer.of(10), fixedArray(f, [at, at, at]), [2, 4])), /lie over each other/],
];

describe('hdf5 chunks: files wrong in one way', () => {
  it('are sound otherwise', () => {
    const sound = [
      wrong({}), filtered(zipped, [1]), filtered(elements, [1], { mask: 1 }), filtered(deflateSync(Buffer.alloc(24)), [1]),
      layout4((_f, at) => chunked4(1, Buffer.alloc(0), at, [6, 4])), layout4((_f, at) => chunked4(2, Buffer.alloc(0), at, [2, 4])),
      layout4((_f, at) => chunked4(2, Buffer.alloc(0), at, [2, 4], 0, 5)), arrayOf({}),
    ];
    for (const [i, file] of sound.entries()) {
      const [found] = openAll(readHdf5(file));
      if (i !== 3) assert.deepEqual(Buffer.from(found?.bytes ?? []), elements, String(i));
    }
  });

  it('a chunk may be larger than its dataset', () => {
    const [found] = openAll(readHdf5(wrong({ shape: [5], sides: [6, 4], chunks: (_file, at) => [{ place: [0], at, size: 24 }] })));
    assert.deepEqual(Buffer.from(found?.bytes ?? []), elements.subarray(0, 20));
  });

  refuseAll(cases, 60);

  it('the chunks of all datasets together are bounded by the file', () => {
    const many = (count: number): Buffer => {
      const file = new Hdf5Writer();
      const data = deflateSync(Buffer.alloc(40_000));
      return file.finish(
        file.group(
          Array.from({ length: count }, (_, i) => {
            const tree = chunkTree(file, [{ place: [0], at: file.block(data), size: data.length }]);
            return { name: String(i), at: file.header([space([10_000]), datatype(types.f32), chunked(tree, [10_000, 4]), filterList(1)]) };
          }),
        ),
      );
    };
    const [few, bomb] = [Buffer.concat([many(1), Buffer.alloc(40_000)]), many(40)];
    assert.equal(openAll(readHdf5(few)).length, 1);
    assert.throws(() => openAll(readHdf5(bomb)), /with those before it more than 16 times the file/);
  });
});

describe('hdf5 chunks: damaged files', () => {
  for (const name of smallFiles) {
    const file = golden(name);
    const opens = (bytes: Uint8Array): boolean => loads(() => openAll(readHdf5(bytes)));

    it(`${name}: refuses every truncation`, () => {
      for (let length = 0; length < file.length; length += length < 2048 ? 1 : 13) assert.ok(!opens(file.subarray(0, length)), `${length} bytes`);
    }).timeout(60_000);

    it(`${name}: refuses or loads every byte changed`, () => {
      const changed = Buffer.from(file);
      let loaded = 0;
      for (let at = 0; at < file.length; at++) {
        changed[at] = (file[at] ?? 0) ^ (at % 2 === 0 ? 0x01 : 0x90);
        if (opens(changed)) loaded++;
        changed[at] = file[at] ?? 0;
      }
      assert.ok(loaded > 0 && loaded < file.length, `${loaded} of ${file.length} loaded`);
    }).timeout(120_000);
  }

  it('a plain file is read as before', () => assert.equal(openAll(readHdf5(legacyFile())).length, 3));
});
