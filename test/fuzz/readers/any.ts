// SPDX-License-Identifier: Apache-2.0
// The fuzzer's entry for the way into all formats: told by content, so a change can make one into another.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCheckpoint } from '../../../lib/formats/index.js';
import { writeSafetensors } from '../../../lib/formats/safetensors.js';
import { writeZip } from '../../lib/zip-writer.js';
import { checkCheckpoint, type FuzzReader } from '../reader.js';

export const anyReaders: readonly FuzzReader[] = [
  {
    name: 'any',
    seeds: () => [
      writeSafetensors([{ name: 'a', type: 'f32', shape: [2], bytes: new Uint8Array(8) }]),
      writeZip([{ name: 'm/data.pkl', data: Buffer.from('\x80\x02}.', 'latin1') }]),
      readFileSync(join(__dirname, '..', '..', '..', '..', 'test', 'golden', 'small.pth')),
    ],
    tokens: ['PK\x03\x04', '\x89HDF\r\n\x1a\n', '\x80\x02', '{"', 'TFL3', '\x08\x07', '7z\xbc\xaf', '\x1f\x8b', '<html>', 'version https://git-lfs'],
    read: (bytes) => checkCheckpoint(parseCheckpoint(bytes)),
  },
];
