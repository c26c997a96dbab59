// SPDX-License-Identifier: Apache-2.0
// The fuzzer's entries for ONNX and TensorFlow Lite: small networks as this package and as the
// libraries themselves write them, read to the end and, apart from that, to their nodes only.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onnxModel } from '../../../lib/export-onnx.js';
import { readOnnxFile } from '../../../lib/formats/onnx-model.js';
import { onnxParts } from '../../../lib/formats/onnx-writer.js';
import { readOnnx } from '../../../lib/formats/onnx.js';
import { readTfliteFile } from '../../../lib/formats/tflite-model.js';
import { readTflite } from '../../../lib/formats/tflite.js';
import { randomWeights } from '../../../lib/random-weights.js';
import { everyBlock } from '../../lib/helpers/every-block.js';
import { checkCheckpoint, type FuzzReader } from '../reader.js';

const golden = (name: string): Uint8Array => readFileSync(join(__dirname, '..', '..', '..', '..', 'test', 'golden', name));
const tinyOnnx = (): Uint8Array => Buffer.concat(onnxParts(onnxModel(randomWeights(everyBlock()))));

const onnxTokens = [
  'Conv', 'Identity', 'Constant', 'Mul', 'Sigmoid', 'HardSigmoid', 'Clip', 'Pad', 'Gemm', 'BatchNormalization', 'ReduceMean', 'auto_pad',
  'SAME_UPPER', 'pads', 'group', 'input', 'logits', 'stem.weight', 'location', '\x22', '\x2a', '\x3a', '\x4a', '\x70\x01',
];
const tfliteTokens = ['TFL3', '\x00\x00\x00\x00', '\xff\xff\xff\xff', '\x04\x00\x00\x00', '\x0c\x00\x10\x00', '\x06\x00\x00\x00'].map((text) => Buffer.from(text, 'latin1'));

// The copies: a constant may be put in another order for each layer that uses it, up to twice its size.
export const graphReaders: readonly FuzzReader[] = [
  {
    name: 'onnx',
    seeds: () => [tinyOnnx(), golden('small.onnx'), golden('small-hard.onnx')],
    tokens: onnxTokens,
    read: (bytes) => checkCheckpoint(readOnnx(bytes), 20),
  },
  { name: 'onnx-model', seeds: () => [tinyOnnx(), golden('small-unfolded.onnx')], tokens: onnxTokens, read: (bytes) => readOnnxFile(bytes) },
  {
    name: 'tflite',
    seeds: () => [golden('small.tflite'), golden('small-f16.tflite'), golden('small-hard.tflite')],
    tokens: tfliteTokens,
    read: (bytes) => checkCheckpoint(readTflite(bytes), 20),
  },
  { name: 'tflite-model', seeds: () => [golden('small.tflite'), golden('small-int8.tflite')], tokens: tfliteTokens, read: (bytes) => readTfliteFile(bytes) },
];
