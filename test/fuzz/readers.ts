// SPDX-License-Identifier: Apache-2.0
// Every reader of lib/formats that the fuzzer runs. A new reader adds its file under readers/ and one
// line here; test/lib/fuzz.test.ts notices a reader that is missing.

import type { FuzzReader } from './reader.js';
import { anyReaders } from './readers/any.js';
import { configReaders } from './readers/config.js';
import { graphReaders } from './readers/graphs.js';
import { kerasReaders } from './readers/keras.js';
import { safetensorsReaders } from './readers/safetensors.js';
import { tfjsReaders } from './readers/tfjs.js';
import { torchReaders } from './readers/torch.js';

export const readers: readonly FuzzReader[] = [
  ...safetensorsReaders,
  ...torchReaders,
  ...kerasReaders,
  ...tfjsReaders,
  ...configReaders,
  ...graphReaders,
  ...anyReaders,
];
