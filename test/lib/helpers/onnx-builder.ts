// SPDX-License-Identifier: Apache-2.0
// ONNX files for tests of the reader: a model's parts as plain data, to be changed, and tensors stored
// in each way that ONNX has. The wire format is the library's own writer; what is stored where is not.

import type { OnnxModel, OnnxNode } from '../../../lib/formats/onnx-writer.js';
import { attributeField, attributeType, dataType, entryField, graphField, modelField, nodeField, opsetField, tensorField, typeField, tensorTypeField, shapeField, dimensionField, valueField } from '../../../lib/formats/onnx-schema.js';
import { MessageWriter } from '../../../lib/formats/protobuf-writer.js';

export type Stored = 'raw' | 'typed' | 'unpacked' | 'f16' | 'f16 typed' | 'bf16' | 'f64' | 'f64 typed' | { readonly location: string; readonly offset?: string; readonly length?: string };

export interface BuildTensor {
  name: string;
  shape: readonly number[];
  values: readonly number[];
  stored?: Stored;
  integers?: boolean;
}

export interface BuildModel {
  opset: number;
  nodes: OnnxNode[];
  /** Values that nodes of the op Constant hold. */
  constants: Map<string, BuildTensor>;
  tensors: BuildTensor[];
  inputs: { name: string; shape: readonly (number | string)[] }[];
  outputs: string[];
}

/** The parts of a model, to be changed. */
export function partsOf(model: OnnxModel): BuildModel {
  return {
    opset: model.opset,
    nodes: [...model.nodes],
    constants: new Map(),
    tensors: model.initializers.map(({ name, shape, values }) => ({ name, shape, values: Array.from(values, Number), integers: values instanceof BigInt64Array })),
    inputs: model.inputs.map(({ name, shape }) => ({ name, shape })),
    outputs: model.outputs.map(({ name }) => name),
  };
}

export function build({ opset, nodes, constants, tensors, inputs, outputs }: BuildModel): Uint8Array {
  const graph = new MessageWriter();
  for (const [name, tensor] of constants) {
    const attribute = new MessageWriter().string(attributeField.name, 'value').message(attributeField.tensor, tensorOf(tensor)).integer(attributeField.type, attributeType.tensor);
    graph.message(graphField.node, new MessageWriter().string(nodeField.output, name).string(nodeField.opType, 'Constant').message(nodeField.attribute, attribute));
  }
  for (const node of nodes) graph.message(graphField.node, nodeOf(node));
  for (const tensor of tensors) graph.message(graphField.initializer, tensorOf(tensor));
  for (const { name, shape } of inputs) graph.message(graphField.input, valueOf(name, shape));
  for (const name of outputs) graph.message(graphField.output, valueOf(name, []));
  const model = new MessageWriter().integer(modelField.irVersion, 8).message(modelField.graph, graph)
    .message(modelField.opsetImport, new MessageWriter().integer(opsetField.version, opset));
  return Buffer.concat(model.parts());
}

function nodeOf({ op, name, inputs, output, attributes }: OnnxNode): MessageWriter {
  const node = new MessageWriter();
  for (const input of inputs) node.string(nodeField.input, input);
  node.string(nodeField.output, output).string(nodeField.name, name).string(nodeField.opType, op);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    const attribute = new MessageWriter().string(attributeField.name, key);
    if (typeof value === 'number') attribute.integer(attributeField.integer, value);
    else if (typeof value === 'string') attribute.string(attributeField.string, value);
    else if ('float' in value) attribute.float(attributeField.float, value.float);
    else for (const one of value) attribute.integer(attributeField.integers, one);
    node.message(nodeField.attribute, attribute);
  }
  return node;
}

function valueOf(name: string, shape: readonly (number | string)[]): MessageWriter {
  const dimensions = new MessageWriter();
  for (const size of shape) {
    const one = new MessageWriter();
    dimensions.message(shapeField.dimension, typeof size === 'number' ? one.integer(dimensionField.value, size) : one.string(dimensionField.parameter, size));
  }
  const tensor = new MessageWriter().integer(tensorTypeField.elementType, 1).message(tensorTypeField.shape, dimensions);
  return new MessageWriter().string(valueField.name, name).message(valueField.type, new MessageWriter().message(typeField.tensor, tensor));
}

/** 64 bits in two's complement, seven to a byte, as the wire format has negative numbers, which the library's writer does not. */
function signed(value: number): Uint8Array {
  const found: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 128n; rest >>= 7n) found.push(Number(rest & 127n) | 128);
  return Uint8Array.from([...found, Number(rest)]);
}

const bytes = (array: Float32Array | Float64Array | Uint16Array | BigInt64Array): Uint8Array => new Uint8Array(array.buffer);

export function tensorOf({ name, shape, values, stored = 'raw', integers = false }: BuildTensor): MessageWriter {
  const tensor = new MessageWriter();
  if (shape.some((size) => size < 0)) tensor.bytes(tensorField.dims, Buffer.concat(shape.map(signed)));
  else for (const size of shape) tensor.integer(tensorField.dims, size);
  tensor.string(tensorField.name, name);
  if (typeof stored === 'object') {
    const entry = (key: string, value: string | undefined): void => {
      if (value !== undefined) tensor.message(tensorField.externalData, new MessageWriter().string(entryField.key, key).string(entryField.value, value));
    };
    entry('location', stored.location);
    entry('offset', stored.offset);
    entry('length', stored.length);
    return tensor.integer(tensorField.dataType, dataType.float).integer(tensorField.dataLocation, 1);
  }
  if (integers) {
    return tensor.integer(tensorField.dataType, dataType.int64).bytes(tensorField.rawData, bytes(BigInt64Array.from(values, (value) => BigInt(Math.trunc(value)))));
  }
  switch (stored) {
    case 'raw':
      return tensor.integer(tensorField.dataType, dataType.float).bytes(tensorField.rawData, bytes(Float32Array.from(values)));
    case 'typed':
      return tensor.integer(tensorField.dataType, dataType.float).bytes(tensorField.floatData, bytes(Float32Array.from(values)));
    case 'unpacked':
      for (const value of values) tensor.float(tensorField.floatData, value);
      return tensor.integer(tensorField.dataType, dataType.float);
    case 'f64':
      return tensor.integer(tensorField.dataType, dataType.double).bytes(tensorField.rawData, bytes(Float64Array.from(values)));
    case 'f64 typed':
      return tensor.integer(tensorField.dataType, dataType.double).bytes(tensorField.doubleData, bytes(Float64Array.from(values)));
    case 'f16':
      return tensor.integer(tensorField.dataType, dataType.float16).bytes(tensorField.rawData, bytes(Uint16Array.from(values, halfBits)));
    case 'f16 typed':
      for (const value of values) tensor.integer(tensorField.int32Data, halfBits(value));
      return tensor.integer(tensorField.dataType, dataType.float16);
    case 'bf16':
      return tensor.integer(tensorField.dataType, dataType.bfloat16).bytes(tensorField.rawData, bytes(Uint16Array.from(values, brainBits)));
  }
}

const scratch = new DataView(new ArrayBuffer(4));

/** The upper half of a float32, cut off. */
export function brainBits(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getUint16(0);
}

/** Of a number that half precision holds exactly. */
export function halfBits(value: number): number {
  if (value === 0) return Object.is(value, -0) ? 0x8000 : 0;
  const sign = value < 0 ? 0x8000 : 0;
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  if (exponent < -14) return sign | (Math.abs(value) * 2 ** 24);
  return sign | ((exponent + 15) << 10) | (Math.abs(value) / 2 ** exponent - 1) * 1024;
}
