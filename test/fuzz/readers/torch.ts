// SPDX-License-Identifier: Apache-2.0
// The fuzzer's entries for PyTorch's files: the pickle alone, a pickle inside a sound archive (whose
// checksums would else stop every change), the older stream of pickles, and the archive itself.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readPickle } from '../../../lib/formats/pickle.js';
import { readTorch } from '../../../lib/formats/torch.js';
import { readTorchStream } from '../../../lib/formats/torch-stream.js';
import { readZip } from '../../../lib/formats/zip.js';
import { writeZip, type ZipEntry } from '../../lib/zip-writer.js';
import { checkCheckpoint, type FuzzReader } from '../reader.js';

// Compiled files lie in dist/test/fuzz/readers, the golden files in test/golden.
const golden = join(__dirname, '..', '..', '..', '..', 'test', 'golden');
const small = readFileSync(join(golden, 'small.pth'));
const entries = readZip(small);

function withPickle(pickle: Uint8Array): Buffer {
  return writeZip([...entries].map(([name, data]): ZipEntry => ({ name, data: name.endsWith('/data.pkl') ? pickle : data })));
}

function pickleOf(): Uint8Array {
  for (const [name, data] of entries) if (name.endsWith('/data.pkl')) return data;
  throw new Error('test/golden/small.pth has no data.pkl');
}

const opcodes = [...Buffer.from('(cRb\x81QN\x88\x89JKM\x8aGXU)]}\x8ft\x85\x86\x87aesuhjqr.', 'latin1')].map((byte) => Uint8Array.of(byte));
const names = [
  'ccollections\nOrderedDict\n', 'ctorch._utils\n_rebuild_tensor_v2\n', 'ctorch._utils\n_rebuild_parameter\n', 'ctorch\nFloatStorage\n',
  'ctorch\nLongStorage\n', 'cos\nsystem\n', '\x80\x02', 'h\x00', 'h\x01', 'q\x00', 'X\x07\0\0\0storage', 'state_dict', 'module.',
];

export const torchReaders: readonly FuzzReader[] = [
  {
    name: 'pickle',
    seeds: () => [pickleOf()],
    tokens: [...opcodes, ...names],
    read: (bytes) => readPickle(bytes, 0),
  },
  {
    name: 'torch',
    seeds: () => [pickleOf()],
    tokens: [...opcodes, ...names],
    read: (pickle) => checkCheckpoint(readTorch(withPickle(pickle))),
  },
  {
    name: 'torch-stream',
    seeds: () => [readFileSync(join(golden, 'small-old.pth'))],
    tokens: [...opcodes, ...names, 'little_endian', '\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19'],
    read: (bytes) => checkCheckpoint(readTorchStream(bytes)),
  },
  {
    name: 'zip',
    seeds: () => {
      const few: readonly ZipEntry[] = [
        { name: 'm/data.pkl', data: Buffer.from('\x80\x02}.', 'latin1') },
        { name: 'm/data/0', data: new Uint8Array(24) },
      ];
      return [{}, { descriptor: true }, { zip64: true }, { zip64: true, descriptor: true }].map((style) => writeZip(few, {}, style));
    },
    tokens: ['PK\x01\x02', 'PK\x03\x04', 'PK\x05\x06', 'PK\x06\x06', 'PK\x06\x07', 'PK\x07\x08', '../', '/', 'm/data.pkl', '\0'],
    read: (bytes) => readZip(bytes),
  },
];
