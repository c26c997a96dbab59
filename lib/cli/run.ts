// SPDX-License-Identifier: Apache-2.0
// `efficientnet-simd run`: a file of normalised float32 values through a network, its logits into
// another file. For checking against other software, so nothing is prepared or labelled.

import { promises as fs } from 'node:fs';
import { endianness } from 'node:os';
import { resolve } from 'node:path';

import { systemCode, writeAtomic } from '../cache.js';
import { EfficientNetError } from '../errors.js';
import { checkpointOptions } from './checkpoint-options.js';
import { defaultModel, modelOptions, UsageError, type Command, type Values } from './command.js';
import { looksLikeRepository } from '../hub/name.js';
import { buildNetwork } from '../network.js';
import { openModel } from './open-model.js';
import { outputTarget } from '../output-file.js';
import { readSize } from './size-options.js';
import { formatMilliseconds, printable } from './terminal.js';

const CHANNELS = 3;
const BYTES = 4;

export const run: Command = {
  name: 'run',
  operands: '',
  summary:
    'Run a network on raw little-endian float32 values, already normalised, and write its raw logits.\n' +
    'The input holds height x width x 3 values for each image; several images may follow each other.',
  options: {
    ...modelOptions,
    ...checkpointOptions,
    input: { value: 'FILE', help: 'float32 values to read' },
    output: { value: 'FILE', help: 'where to write the logits, float32, image after image' },
    size: { value: 'N', help: 'height and width in pixels (default: the model\'s)' },
    height: { value: 'N', help: 'height in pixels' },
    width: { value: 'N', help: 'width in pixels' },
    layout: { value: 'NAME', help: 'order of the input: nhwc (default) or nchw' },
  },
  examples: [
    'run --model b0 --input image.f32 --output logits.f32',
    'run --model b2 --weights b2.pth --input in.f32 --output out.f32 --layout nchw --size 260',
  ],
  async run(values, terminal) {
    const input = values.required('input');
    const output = values.required('output');
    const layout = values.choice('layout', ['nhwc', 'nchw']) ?? 'nhwc';
    const size = readSize(values);
    if (resolve(input) === resolve(output)) throw new UsageError('--input and --output name the same file');
    // Before the model is fetched and loaded, where its size is known: a wrong file should not cost that.
    const side = sideOfName(values);
    const early = await readEarly(input, { height: side, width: side, ...size });
    const target = await outputTarget(output);
    const model = await openModel(values, terminal);
    try {
      const { height = model.info.resolution, width = model.info.resolution } = { height: side, width: side, ...size };
      const pixels = early ?? (await readInput(input, height, width));
      const started = performance.now();
      const logits = await model.run(pixels, { layout, height, width });
      const milliseconds = performance.now() - started;
      await writeAtomic(target, bytesOf(logits));
      const images = pixels.length / (height * width * CHANNELS);
      const classes = logits.length / images;
      if (values.has('json')) terminal.json({ input, output, images, classes, height, width, layout, milliseconds });
      else terminal.out(`${printable(output)}: ${images} x ${classes} logits, ${formatMilliseconds(milliseconds)}`);
      return 0;
    } finally {
      await model.close();
    }
  },
};

/** The resolution of the network that --model names; undefined where only the checkpoint tells which it is. */
function sideOfName(values: Values): number | undefined {
  const name = values.text('model') ?? (values.has('weights') ? undefined : defaultModel);
  return name === undefined || looksLikeRepository(name) ? undefined : buildNetwork(name).resolution;
}

async function readEarly(path: string, size: { readonly height?: number | undefined; readonly width?: number | undefined }): Promise<Float32Array | undefined> {
  const { height, width } = size;
  return height === undefined || width === undefined ? undefined : readInput(path, height, width);
}

/** The values of a file, whose length must be that of one or more images. */
async function readInput(path: string, height: number, width: number): Promise<Float32Array> {
  const perImage = height * width * CHANNELS * BYTES;
  let bytes: Buffer;
  try {
    const found = await fs.stat(path);
    if (!found.isFile()) {
      const kind = found.isDirectory() ? 'a directory' : 'a pipe or a device';
      throw new EfficientNetError('ERR_FILE', `Expected a regular file of float32 values at ${path} but it is ${kind}`);
    }
    const { size } = found;
    // Before it is read: a wrong file may be large.
    if (size === 0 || size % perImage !== 0) throw wrongLength(path, size, perImage, height, width);
    bytes = await fs.readFile(path);
  } catch (cause) {
    if (cause instanceof EfficientNetError) throw cause;
    throw new EfficientNetError('ERR_FILE', `Cannot read ${path} (${systemCode(cause) || String(cause)})`, { cause });
  }
  if (bytes.length === 0 || bytes.length % perImage !== 0) throw wrongLength(path, bytes.length, perImage, height, width);
  const floats = new Float32Array(bytes.length / BYTES);
  Buffer.from(floats.buffer).set(endianness() === 'LE' ? bytes : bytes.swap32());
  return floats;
}

function wrongLength(path: string, found: number, perImage: number, height: number, width: number): EfficientNetError {
  return new EfficientNetError(
    'ERR_INVALID_ARGUMENT',
    `Expected ${perImage} bytes (${height} x ${width} x ${CHANNELS} float32), or a multiple of it for several images, ` +
      `in ${path}, found ${found} bytes`,
  );
}

function bytesOf(floats: Float32Array): Buffer {
  const bytes = Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength);
  return endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32();
}
