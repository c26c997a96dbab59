// SPDX-License-Identifier: Apache-2.0
// ONNX models whose tensors lie in files of their own: opened only where the caller says so, and a
// caller's bytes are left as they are although a model's own file is spent in loading.

import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { EfficientNetError } from '../../lib/errors.js';
import { onnxModel } from '../../lib/export-onnx.js';
import { onnxParts } from '../../lib/formats/onnx-writer.js';
import { load } from '../../lib/index.js';
import { buildNetwork } from '../../lib/network.js';
import { randomWeights } from '../../lib/random-weights.js';

interface Field {
  readonly number: number;
  readonly type: number;
  readonly whole: Buffer;
  readonly content: Buffer;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

/** The fields of a message, one after the other. */
function* fields(message: Buffer): Generator<Field, void> {
  let at = 0;
  const read = (): number => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = message[at++] ?? assert.fail();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const start = at;
    const tag = read();
    const type = tag & 7;
    if (type === 0) read();
    const length = type === 2 ? read() : type === 1 ? 8 : type === 5 ? 4 : 0;
    at += length;
    yield { number: tag >> 3, type, whole: message.subarray(start, at), content: message.subarray(at - length, at) };
  }
}

const field = (number: number, content: Buffer): Buffer => Buffer.concat([varint(number * 8 + 2), varint(content.length), content]);
const inside = (message: Buffer, number: number, change: (content: Buffer) => Buffer): Buffer =>
  Buffer.concat([...fields(message)].map((one) => (one.number === number && one.type === 2 ? field(number, change(one.content)) : one.whole)));

/** Moves every large tensor of a model into one file named `name`. */
function externalise(model: Buffer, name: string): { readonly model: Buffer; readonly data: Buffer } {
  const data: Buffer[] = [];
  let length = 0;
  const entry = (key: string, value: string): Buffer => field(13, Buffer.concat([field(1, Buffer.from(key)), field(2, Buffer.from(value))]));
  const move = (tensor: Buffer): Buffer => {
    const raw = [...fields(tensor)].find(({ number }) => number === 9)?.content;
    if (raw === undefined || raw.length < 100_000) return tensor;
    const rest = [...fields(tensor)].filter(({ number }) => number !== 9).map(({ whole }) => whole);
    const place = [entry('location', name), entry('offset', String(length)), entry('length', String(raw.length))];
    data.push(raw);
    length += raw.length;
    return Buffer.concat([...rest, ...place, varint(14 * 8), varint(1)]);
  };
  const changed = inside(model, 7, (graph) => inside(graph, 5, move));
  return { model: changed, data: Buffer.concat(data) };
}

describe('tensors in other files', () => {
  const home = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
  const path = join(home, 'model.onnx');
  const whole = Buffer.concat(onnxParts(onnxModel(randomWeights(buildNetwork('tinynet-e')))));
  const { model, data } = externalise(whole, 'weights.bin');
  const options = { threads: 1 } as const;

  before(() => writeFileSync(path, model));
  after(() => rmSync(home, { recursive: true, force: true }));

  it('are not opened unasked, not even beside the model', async () => {
    writeFileSync(join(home, 'weights.bin'), data);
    await assert.rejects(load({ ...options, weights: path }), (error: unknown) =>
      error instanceof EfficientNetError && error.code === 'ERR_UNSUPPORTED' && /"weights\.bin".*externalData/.test(error.message));
  });

  it("are read from where the caller says, whose bytes stay as they are", async () => {
    assert.ok(data.length > 1_000_000 && model.length < whole.length / 2);
    const input = new Float32Array(3 * 64 * 64).fill(0.3);
    const run = async (weights: string | Uint8Array, externalData?: Readonly<Record<string, string | Uint8Array>>): Promise<Float32Array> => {
      await using loaded = await load({ ...options, weights, externalData });
      return loaded.runSync(input, { height: 64, width: 64 });
    };
    const expected = await run(whole);
    const bytes = new Uint8Array(data);
    assert.deepEqual(await run(path, { 'weights.bin': join(home, 'weights.bin') }), expected);
    assert.deepEqual(await run(path, { 'weights.bin': bytes }), expected);
    assert.deepEqual(await run(model, { 'weights.bin': bytes }), expected);
    assert.deepEqual(Buffer.from(bytes), data);
  });
});
