// SPDX-License-Identifier: Apache-2.0
// The fuzzer's entry for safetensors.

import { readSafetensors, writeSafetensors } from '../../../lib/formats/safetensors.js';
import { checkCheckpoint, type FuzzReader } from '../reader.js';

const typed = writeSafetensors(
  [
    { name: 'conv_stem.weight', type: 'f32', shape: [2, 3, 1, 1], bytes: new Uint8Array(24) },
    { name: 'bn1.weight', type: 'f16', shape: [2], bytes: new Uint8Array(4) },
    { name: 'bn1.num_batches_tracked', type: 'i64', shape: [], bytes: new Uint8Array(8) },
    { name: 'é"\\', type: 'bf16', shape: [0, 7], bytes: new Uint8Array(0) },
  ],
  { format: 'pt', architecture: 'b0' },
);

export const safetensorsReaders: readonly FuzzReader[] = [
  {
    name: 'safetensors',
    seeds: () => [typed, writeSafetensors([]), writeSafetensors([{ name: 'a', type: 'f64', shape: [1], bytes: new Uint8Array(8) }])],
    tokens: [
      '{', '}', '[', ']', '"', ':', ',', '\\', '\\u0000', '\\ud800', '0', '-1', '1e3', '9007199254740993', 'null', 'true', ' ',
      '"dtype":"F32"', '"shape":[]', '"data_offsets":[0,0]', '"__metadata__":{}', 'F16', 'BF16', 'F8_E4M3', '"a":',
    ],
    read: (bytes) => checkCheckpoint(readSafetensors(bytes)),
  },
];
