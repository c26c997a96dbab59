// SPDX-License-Identifier: Apache-2.0
// The reader of TensorFlow Lite: files wrong in one way each, and damage to files that TensorFlow wrote.
// What sound files hold is in small-graphs.test.ts and tensorflow-export.test.ts.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorCode } from '../../lib/errors.js';
import { readTflite } from '../../lib/formats/tflite.js';
import { bufferField, convolutionField, modelField, operatorCodeField, operatorField, subgraphField, tensorField, tensorType } from '../../lib/formats/tflite-schema.js';
import { assertRefuses, loadsQuickly } from './helpers/damage.js';
import { flatbuffer, type FlatField, type FlatFields } from './helpers/flatbuffer-writer.js';
import { root } from './helpers/oracle.js';

const golden = (name: string): Uint8Array => new Uint8Array(readFileSync(join(root, 'test', 'golden', name)));

// ---- files made here ------------------------------------------------------------------------------

interface Parts {
  buffers: FlatFields[];
  tensors: FlatFields[];
  codes: FlatFields[];
  operators: FlatFields[];
  graph: Record<number, FlatField>;
  model: Record<number, FlatField>;
}

const tensor = (name: string, shape: readonly number[], buffer: number, type: number = tensorType.float32): FlatFields => ({
  [tensorField.name]: { text: name }, [tensorField.shape]: { integers: shape }, [tensorField.buffer]: { i32: buffer }, [tensorField.type]: { u8: type },
});
const data = (bytes: Uint8Array): FlatFields => ({ [bufferField.data]: { bytes } });
const operator = (code: number, inputs: readonly number[], outputs: readonly number[], options: FlatFields = {}): FlatFields => ({
  [operatorField.code]: { i32: code }, [operatorField.inputs]: { integers: inputs }, [operatorField.outputs]: { integers: outputs }, [operatorField.options]: { table: options },
});

/** One convolution: no network, but every structure of a file. */
function file(change: (parts: Parts) => void = () => undefined): Uint8Array {
  const parts: Parts = {
    buffers: [{}, data(new Uint8Array(4 * 54))],
    tensors: [tensor('image', [1, 8, 8, 3], 0), tensor('weight', [2, 3, 3, 3], 1), tensor('out', [1, 4, 4, 2], 0)],
    codes: [{ [operatorCodeField.code]: { i32: 3 } }, { [operatorCodeField.code]: { i32: 22 } }],
    operators: [operator(0, [0, 1], [2], { [convolutionField.strideWidth]: { i32: 2 }, [convolutionField.strideHeight]: { i32: 2 } })],
    graph: { [subgraphField.inputs]: { integers: [0] }, [subgraphField.outputs]: { integers: [2] } },
    model: { 0: { i32: 3 } },
  };
  change(parts);
  const graph = { [subgraphField.tensors]: { tables: parts.tensors }, [subgraphField.operators]: { tables: parts.operators }, ...parts.graph };
  const model = { [modelField.operatorCodes]: { tables: parts.codes }, [modelField.subgraphs]: { tables: [graph] }, [modelField.buffers]: { tables: parts.buffers }, ...parts.model };
  return flatbuffer(model, 'TFL3').bytes;
}

function patched(at: number, value: number, size: 2 | 4 = 4): Uint8Array {
  const bytes = file();
  const view = new DataView(bytes.buffer);
  if (size === 2) view.setUint16(at, value, true);
  else view.setUint32(at, value, true);
  return bytes;
}

const rootAt = new DataView(file().buffer).getUint32(0, true);
const vtableAt = rootAt - new DataView(file().buffer).getInt32(rootAt, true);
const many = (count: number, name = 'x'): Uint8Array => file((p) => (p.graph[subgraphField.tensors] = { repeat: tensor(name, [1], 0), count }));
const notNetwork = /not an EfficientNet as TensorFlow Lite files hold it/;

const cases: readonly (readonly [name: string, bytes: Uint8Array, message: RegExp, code?: ErrorCode])[] = [
  ['a sound file that is no network', file(), notNetwork, 'ERR_UNSUPPORTED'],
  ['no bytes', new Uint8Array(0), /truncated: expected 4 more bytes but it has 0 in all \(at byte 0/],
  ['a root alone', file().subarray(0, 8), /truncated/],
  ['a root outside', patched(0, 0xffff_fff0), /truncated: expected 4 more bytes .* \(at byte 4294967280/],
  ['a layout before the file', patched(rootAt, 0x7fff_ffff), /layout before the file begins \(at byte/],
  ['a layout behind the file', patched(rootAt, 0x8000_0001), /truncated/],
  ['a layout of odd length', patched(vtableAt, 13, 2), /layout of a table but its length is 13/],
  ['a layout without its own length', patched(vtableAt, 2, 2), /layout of a table but its length is 2/],
  ['a layout longer than the file', patched(vtableAt, 65_534, 2), /layout of a table but its length is 65534/],
  ['a field outside its table and the file', patched(vtableAt + 4 + 2 * modelField.subgraphs, 65_000, 2), /truncated/],
  ['a list outside', file((p) => (p.model[modelField.buffers] = { offset: 0x7fff_ffff })), /truncated/],
  ['a list longer than the file', file((p) => (p.graph[subgraphField.inputs] = { claimed: 0x4000_0001 })), /A list of 1073741825 elements of 4 bytes reaches past the file, which has \d+ bytes/],
  ['the model as its own graph', file((p) => (p.model[modelField.subgraphs] = { offset: -8 })), /./],
  ['no graph', file((p) => (p.model[modelField.subgraphs] = { tables: [] })), /Expected a graph in the model \(at byte \d+/],
  ['two graphs', file((p) => (p.model[modelField.subgraphs] = { repeat: {}, count: 2 })), /a model of one graph but it has 2/, 'ERR_UNSUPPORTED'],
  ['tensors without number', many(8001), /a list of at most 8000 tables but the file says 8001 \(at byte \d+/],
  ['a tensor\'s buffer that there is not', file((p) => (p.tensors[1] = tensor('weight', [2, 3, 3, 3], 2))), /number of a buffer, below 2, for tensor "1 weight" but found 2 \(at byte \d+/],
  ['a tensor\'s buffer of a negative number', file((p) => (p.tensors[1] = tensor('weight', [2, 3, 3, 3], -1))), /but found 4294967295/],
  ['a negative size', file((p) => (p.tensors[1] = tensor('weight', [-2, 3, 3, -3], 1))), /no negative size in the shape \[-2, 3, 3, -3\] of tensor "1 weight" \(at byte \d+/],
  ['a product of sizes that overflows', file((p) => (p.tensors[1] = tensor('weight', [2147483647, 2147483647, 2147483647, 4], 1))), /needs too many bytes but has 216/],
  ['a product that wraps to the right length', file((p) => (p.tensors[1] = tensor('weight', [65_536, 65_536, 1, 54], 1))), /needs 927712935936 bytes but has 216/],
  ['nine dimensions', file((p) => (p.tensors[1] = tensor('weight', [2, 3, 3, 3, 1, 1, 1, 1, 1], 1))), /at most 8 dimensions of tensor "1 weight"/],
  ['less data than the shape', file((p) => (p.buffers[1] = data(new Uint8Array(212)))), /of shape \[2, 3, 3, 3\] and type f32 needs 216 bytes but has 212 \(at byte \d+/],
  ['data outside the file', file((p) => (p.buffers[1] = { [bufferField.offset]: { u64: 100n }, [bufferField.size]: { u64: 1n << 40n } })), /A buffer of 1099511627776 bytes from byte 100 reaches past the file/],
  ['a place of data that wraps', file((p) => (p.buffers[1] = { [bufferField.offset]: { u64: (1n << 64n) - 8n }, [bufferField.size]: { u64: 216n } })), /A buffer of 216 bytes from byte Infinity/],
  ['an operator of no code', file((p) => (p.operators[0] = operator(7, [0, 1], [2]))), /number of an operator's code, below 2, but found 7 \(at byte \d+/],
  ['an input that there is not', file((p) => (p.operators[0] = operator(0, [0, 3], [2]))), /number of a tensor, below 3, but found 3 \(at byte \d+/],
  ['a negative input', file((p) => (p.operators[0] = operator(0, [-2, 1], [2]))), /but found -2/],
  ['an output that is left out', file((p) => (p.operators[0] = operator(0, [0, 1], [-1]))), /but found -1/],
  ['an output of the graph that there is not', file((p) => (p.graph[subgraphField.outputs] = { integers: [9] })), /but found 9/],
  ['no outputs', file((p) => (p.graph[subgraphField.outputs] = { integers: [] })), notNetwork, 'ERR_UNSUPPORTED'],
  ['an operator without inputs and outputs', file((p) => (p.operators[0] = {})), notNetwork, 'ERR_UNSUPPORTED'],
  ['two operators for one tensor', file((p) => p.operators.push(operator(1, [0], [2]))), /Two operators make the tensor "2 out" \(at byte \d+/],
  ['an operator that makes a constant', file((p) => (p.operators[0] = operator(0, [0, 1], [1]))), /Two operators make the tensor "1 weight"/],
  ['an operator that makes its own input', file((p) => (p.operators[0] = operator(1, [2], [2]))), notNetwork, 'ERR_UNSUPPORTED'],
  ['int8 weights', file((p) => { p.buffers[1] = data(new Uint8Array(54)); p.tensors[1] = tensor('weight', [2, 3, 3, 3], 1, tensorType.int8); }), /quantised: the weights "1 weight" are i8\. Convert the network without quantisation/, 'ERR_UNSUPPORTED'],
  ['an operator that quantises', file((p) => { p.codes[1] = { [operatorCodeField.code]: { i32: 114 } }; p.operators.push(operator(1, [2], [0])); }), /quantised: it quantises its activations/, 'ERR_UNSUPPORTED'],
  ['a custom operator', file((p) => { p.codes[0] = { [operatorCodeField.code]: { i32: 32 }, [operatorCodeField.customCode]: { text: 'Flex\u0000' } }; }), notNetwork, 'ERR_UNSUPPORTED'],
];

describe('tflite: files wrong in one way', () => {
  for (const [name, bytes, message, code = 'ERR_INVALID_CHECKPOINT'] of cases) {
    it(name, () => {
      // A file that is sound is refused by the tensor or node, any other by the byte.
      const place = code === 'ERR_INVALID_CHECKPOINT' ? /\(at byte \d+ of the file\)/ : /./;
      for (const pattern of [message, place]) assertRefuses(() => readTflite(bytes), code, pattern);
    });
  }
  it('has run every case', () => assert.equal(cases.length, 38));

  it('many offsets to one table cost no more than the tables that they stand for', () => {
    const bytes = many(8000, 'n'.repeat(10_000));
    assert.ok(bytes.length < 100_000);
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    assert.ok(!loadsQuickly(() => readTflite(bytes)));
    // Names are cut: 10 kB of each would be 80 MB.
    assert.ok(process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before < 32 * 2 ** 20);
  });
});

// ---- damage ---------------------------------------------------------------------------------------

/** The bytes of a file that are no weights: the first 1,200 around the lists, and all after the buffers. */
function structure(bytes: Uint8Array): readonly number[] {
  const weights = new Uint8Array(bytes.length);
  for (const { bytes: view } of readTflite(bytes).tensors.values()) {
    if (view.buffer === bytes.buffer) weights.fill(1, view.byteOffset, view.byteOffset + view.byteLength);
  }
  return Array.from(bytes.keys()).filter((at) => weights[at] === 0);
}

for (const name of ['small.tflite', 'small-f16.tflite']) {
  describe(`tflite: ${name} damaged`, () => {
    const sound = golden(name);

    it('every byte that is no weight, changed', () => {
      const places = structure(sound);
      assert.ok(places.length > 10_000 && places.length < sound.length, String(places.length));
      let [executed, accepted] = [0, 0];
      for (const at of places) {
        const changed = sound.slice();
        // Each of the eight bits in turn.
        changed[at] = (changed[at] ?? 0) ^ (1 << (executed % 8));
        if (loadsQuickly(() => readTflite(changed))) accepted++;
        executed++;
      }
      assert.equal(executed, places.length);
      // Names, metadata, weights that were copied, and what the reader does not need may change.
      assert.ok(accepted > 0 && accepted < executed, `${accepted} of ${executed}`);
    }).timeout(120_000);

    it('every truncation', () => {
      let accepted = 0;
      for (let length = 0; length < sound.length; length++) if (loadsQuickly(() => readTflite(sound.subarray(0, length)))) accepted++;
      assert.equal(accepted, 0);
    }).timeout(120_000);
  });
}
