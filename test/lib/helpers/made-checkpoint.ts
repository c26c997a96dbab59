// SPDX-License-Identifier: Apache-2.0
// Checkpoints of any network and naming with made-up values, as tensors and as files: convolutions with
// batch norm as training leaves them. Names come from the library's own schemes.

import { strict as assert } from 'node:assert';
import { closeSync, openSync, writeSync } from 'node:fs';

import { weightShape } from '../../../lib/fold.js';
import { safetensorsParts } from '../../../lib/formats/safetensors.js';
import type { Checkpoint, ElementType, Tensor } from '../../../lib/formats/tensor.js';
import { namedLayers } from '../../../lib/naming.js';
import type { NamingScheme, NamingSource } from '../../../lib/naming/scheme.js';
import type { Network } from '../../../lib/network.js';
import { writeZip } from '../zip-writer.js';
import { dict, int, latin, pickle, tensor as pickled, text } from './pickle-writer.js';
import { noise } from './synthetic.js';

/** The scheme of a source, whichever tensor it looks for. */
export function schemeOf(source: NamingSource, format: Checkpoint['format'] = 'safetensors'): NamingScheme {
  class Everything extends Map<string, Tensor> {
    override has(): boolean {
      return true;
    }
  }
  return source.open({ format, tensors: new Everything(), metadata: new Map() }) ?? assert.fail(`no scheme of ${source.title}`);
}

interface MadeTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Of uniform numbers around `middle`. */
  readonly bound: number;
  readonly middle: number;
}

/** Every tensor of the network under the scheme, in the order of execution. */
function tensorsOf(network: Network, scheme: NamingScheme): MadeTensor[] {
  return namedLayers(network, scheme).flatMap(({ path, names, size }) => {
    if (names === undefined) return assert.fail(`${scheme.title} has no ${path}`);
    const inputs = size.in * size.kernel ** 2;
    const vector = (name: string, middle: number, bound: number): MadeTensor => ({ name, shape: [size.out], middle, bound });
    const { weight, bias, norm, stored } = names;
    return [
      { name: weight, shape: weightShape(size, scheme.layout, stored), middle: 0, bound: Math.sqrt(3 / inputs) },
      ...(bias === undefined ? [] : [vector(bias, 0, 0.1)]),
      ...(norm === undefined ? [] : [vector(norm.scale, 1, 0.2), vector(norm.shift, 0, 0.1), vector(norm.mean, 0, 0.1), vector(norm.variance, 1, 0.5)]),
    ];
  });
}

function valuesOf({ shape, middle, bound }: MadeTensor, seed: number): Float32Array {
  return noise(shape.reduce((a, b) => a * b, 1), seed).map((value) => middle + bound * value);
}

const encoders: Readonly<Record<'f32' | 'f16' | 'bf16' | 'f64', (values: Float32Array) => Uint8Array>> = {
  f32: ({ buffer }) => new Uint8Array(buffer),
  // Not representable in float32, so that rounding too early would show.
  f64: (values) => new Uint8Array(Float64Array.from(values, (value) => value * (1 + 1e-9)).buffer),
  bf16: (values) => new Uint8Array(Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16).buffer),
  // Normal numbers cut to 10 bits of fraction; smaller ones become zero.
  f16: (values) => new Uint8Array(Uint16Array.from(new Uint32Array(values.buffer), halfOf).buffer),
};

function halfOf(bits: number): number {
  const exponent = ((bits >>> 23) & 255) - 112;
  return exponent <= 0 ? 0 : ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 1023);
}

/** A checkpoint in memory. */
export function madeCheckpoint(network: Network, scheme: NamingScheme, type: ElementType & keyof typeof encoders = 'f32'): Checkpoint {
  const tensors = tensorsOf(network, scheme).map((made, i): readonly [string, Tensor] => {
    const { name, shape } = made;
    return [name, { name, type, shape, bytes: encoders[type](valuesOf(made, i + 1)) }];
  });
  return { format: 'safetensors', tensors: new Map(tensors), metadata: new Map() };
}

/** A safetensors file, whose values are never all in memory. Returns its size. */
export function writeMadeSafetensors(path: string, network: Network, scheme: NamingScheme): number {
  const made = tensorsOf(network, scheme);
  // The header wants the bytes' lengths alone; all are views on the same memory.
  const memory = new ArrayBuffer(4 * Math.max(...made.map(({ shape }) => shape.reduce((a, b) => a * b, 1))));
  const empty = made.map(({ name, shape }): Tensor => ({ name, type: 'f32', shape, bytes: new Uint8Array(memory, 0, 4 * shape.reduce((a, b) => a * b, 1)) }));
  const [header = assert.fail()] = safetensorsParts(empty);
  const file = openSync(path, 'w');
  try {
    let size = writeSync(file, header);
    made.forEach((one, i) => (size += writeSync(file, encoders.f32(valuesOf(one, i + 1)))));
    return size;
  } finally {
    closeSync(file);
  }
}

/** A file as torch.save writes it, for not too large networks. */
export function madeTorchFile(network: Network, scheme: NamingScheme): Buffer {
  const tensors = [...madeCheckpoint(network, scheme).tensors.values()];
  const entries = tensors.map(({ shape, name }, i) => {
    const stride = shape.map((_, d) => shape.slice(d + 1).reduce((a, b) => a * b, 1));
    const length = shape.reduce((a, b) => a * b, 1);
    return [text(name), pickled({ key: String(i), length, size: shape.map(int), stride: stride.map(int) })];
  });
  const storages = tensors.map(({ bytes }, i) => ({ name: `m/data/${i}`, data: Buffer.from(bytes.buffer) }));
  return writeZip([{ name: 'm/data.pkl', data: pickle(dict(...entries.flat())) }, ...storages, { name: 'm/version', data: latin('3\n') }]);
}
