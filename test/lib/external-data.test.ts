// SPDX-License-Identifier: Apache-2.0
// ONNX models whose tensors lie in files of their own: opened only where the caller says so, and a
// caller's bytes are left as they are although a model's own file is spent in loading.

import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { EfficientNetError } from '../../lib/errors.js';
import { onnxModel } from '../../lib/export-onnx.js';
import { onnxParts } from '../../lib/formats/onnx-writer.js';
import { onnxExternalFiles } from '../../lib/formats/onnx.js';
import { convert, load } from '../../lib/index.js';
import { timmSource } from '../../lib/naming/timm.js';
import { buildNetwork } from '../../lib/network.js';
import { randomWeights } from '../../lib/random-weights.js';
import { madeTorchFile, schemeOf } from './helpers/made-checkpoint.js';

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

  it('of a tensor in a node are found as well', async () => {
    // The first initialiser's message, as what a Constant holds in its attribute.
    const graph = [...fields(model)].find(({ number }) => number === 7)?.content ?? assert.fail();
    const outside = [...fields(graph)].find(({ number, content }) => number === 5 && content.includes('weights.bin'))?.content ?? assert.fail();
    const attribute = field(5, Buffer.concat([field(1, Buffer.from('value')), field(5, outside)]));
    const constant = field(1, Buffer.concat([field(2, Buffer.from('extra')), field(4, Buffer.from('Constant')), attribute]));
    const own = inside(whole, 7, (content) => Buffer.concat([constant, content]));
    assert.deepEqual([...onnxExternalFiles(own)], ['weights.bin']);
    assert.deepEqual([...onnxExternalFiles(whole)], []);
  });

  it('that nothing names are refused, naming the option and what was found', async () => {
    const refused = (weights: string | Uint8Array, externalData: Readonly<Record<string, string | Uint8Array>>, message: RegExp): Promise<void> =>
      assert.rejects(load({ ...options, weights, externalData }), (error: unknown) => {
        assert.ok(error instanceof EfficientNetError && error.code === 'ERR_INVALID_ARGUMENT', String(error));
        assert.match(error.message, message);
        return true;
      });
    const bytes = new Uint8Array(data);
    const safetensors = join(home, 'b.safetensors');
    await convert(whole, safetensors);
    const torch = madeTorchFile(buildNetwork('tinynet-e'), schemeOf(timmSource));
    writeFileSync(join(home, 'c.pth'), torch);
    writeFileSync(join(home, 'model.json'), '{"modelTopology":{},"weightsManifest":[]}');
    await refused(safetensors, { 'weights.bin': join(home, 'weights.bin') }, /b\.safetensors: Expected no externalData: only an ONNX model .* and the checkpoint is safetensors\. Leave "weights\.bin" out/);
    await refused(readFileSync(safetensors), { 'weights.bin': bytes }, /the checkpoint is safetensors/);
    await refused(join(home, 'c.pth'), { 'weights.bin': bytes }, /the checkpoint is of PyTorch/);
    await refused(torch, { 'weights.bin': bytes }, /the checkpoint is of PyTorch/);
    await refused(join(home, 'model.json'), { 'weights.bin': bytes }, /the checkpoint is a JSON file with parts of its own/);
    await refused(whole, { 'weights.bin': bytes }, /externalData gives "weights\.bin", but the ONNX model has all its tensors in itself/);
    await refused(model, { 'weights.bin': bytes, 'other.bin': bytes }, /gives "other\.bin", but the ONNX model names "weights\.bin"/);
    await refused(path, { 'weights.bin': bytes, 'other.bin': join(home, 'none') }, /gives "other\.bin", but the ONNX model names "weights\.bin"/);
  });
});
