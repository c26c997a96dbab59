// SPDX-License-Identifier: Apache-2.0
// Writes an ONNX model (IR version 8) from nodes and initialisers. It knows no network and checks no
// operator: what is put in comes out. Which operators a network is made of is in export-onnx.ts.

import { EfficientNetError } from '../errors.js';
import {
  attributeField, attributeType, dataType, dimensionField, entryField, graphField, modelField, nodeField, opsetField, shapeField,
  tensorField, tensorTypeField, typeField, valueField,
} from './onnx-schema.js';
import { MessageWriter } from './protobuf-writer.js';

/** Protocol buffers hold lengths in 31 bits, and the readers of other languages insist on it. */
const kMaxModelBytes = 2 ** 31 - 1;

export type OnnxAttribute = number | string | readonly number[] | { readonly float: number };

export interface OnnxNode {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly output: string;
  /** A number is an integer; a float says so. */
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

/** Float32 or int64, row-major. */
export interface OnnxInitializer {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array | BigInt64Array;
}

/** A float32 input or output; a dimension without a fixed size has a name. */
export interface OnnxValue {
  readonly name: string;
  readonly shape: readonly (number | string)[];
}

export interface OnnxModel {
  readonly name: string;
  readonly opset: number;
  readonly producer: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxInitializer[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The file's parts, to be written one after the other; the initialisers' bytes are not copied.
 * Throws ERR_UNSUPPORTED for a model of 2 GiB or more, which ONNX cannot hold in one file.
 */
export function onnxParts(model: OnnxModel): readonly Uint8Array[] {
  const graph = new MessageWriter();
  for (const node of model.nodes) graph.message(graphField.node, nodeMessage(node));
  graph.string(graphField.name, model.name);
  for (const initializer of model.initializers) graph.message(graphField.initializer, tensorMessage(initializer));
  for (const value of model.inputs) graph.message(graphField.input, valueMessage(value));
  for (const value of model.outputs) graph.message(graphField.output, valueMessage(value));

  const message = new MessageWriter()
    .integer(modelField.irVersion, 8)
    .string(modelField.producerName, model.producer)
    .message(modelField.graph, graph)
    .message(modelField.opsetImport, new MessageWriter().string(opsetField.domain, '').integer(opsetField.version, model.opset));
  for (const [key, value] of Object.entries(model.metadata)) {
    message.message(modelField.metadata, new MessageWriter().string(entryField.key, key).string(entryField.value, value));
  }
  if (message.length > kMaxModelBytes) {
    throw new EfficientNetError('ERR_UNSUPPORTED', `The model has ${message.length} bytes; an ONNX file holds at most ${kMaxModelBytes}. Write safetensors instead`);
  }
  return message.parts();
}

function nodeMessage({ op, name, inputs, output, attributes }: OnnxNode): MessageWriter {
  const message = new MessageWriter();
  for (const input of inputs) message.string(nodeField.input, input);
  message.string(nodeField.output, output).string(nodeField.name, name).string(nodeField.opType, op);
  for (const [key, value] of Object.entries(attributes ?? {})) message.message(nodeField.attribute, attributeMessage(key, value));
  return message;
}

function attributeMessage(name: string, value: OnnxAttribute): MessageWriter {
  const message = new MessageWriter().string(attributeField.name, name);
  if (typeof value === 'number') return message.integer(attributeField.integer, value).integer(attributeField.type, attributeType.integer);
  if (typeof value === 'string') return message.string(attributeField.string, value).integer(attributeField.type, attributeType.string);
  if ('float' in value) return message.float(attributeField.float, value.float).integer(attributeField.type, attributeType.float);
  for (const one of value) message.integer(attributeField.integers, one);
  return message.integer(attributeField.type, attributeType.integers);
}

function tensorMessage({ name, shape, values }: OnnxInitializer): MessageWriter {
  const message = new MessageWriter();
  for (const size of shape) message.integer(tensorField.dims, size);
  return message
    .integer(tensorField.dataType, values instanceof Float32Array ? dataType.float : dataType.int64)
    .string(tensorField.name, name)
    .bytes(tensorField.rawData, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

function valueMessage({ name, shape }: OnnxValue): MessageWriter {
  const dimensions = new MessageWriter();
  for (const size of shape) {
    const dimension = new MessageWriter();
    if (typeof size === 'number') dimension.integer(dimensionField.value, size);
    else dimension.string(dimensionField.parameter, size);
    dimensions.message(shapeField.dimension, dimension);
  }
  const tensor = new MessageWriter().integer(tensorTypeField.elementType, dataType.float).message(tensorTypeField.shape, dimensions);
  return new MessageWriter().string(valueField.name, name).message(valueField.type, new MessageWriter().message(typeField.tensor, tensor));
}
