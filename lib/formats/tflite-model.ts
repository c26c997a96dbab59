// SPDX-License-Identifier: Apache-2.0
// A TensorFlow Lite file's bytes as operators and tensors, with every offset and length checked. What
// the operators mean is in tflite-graph.ts.

import { EfficientNetError } from '../errors.js';
import { elementBytes, elementCount, formatShape, invalidCheckpoint, quote } from './bytes.js';
import { FlatTable } from './flatbuffer.js';
import type { GraphConstant } from './graph.js';
import type { ElementType } from './tensor.js';
import { bufferField, modelField, operatorCodeField, operatorField, operators, subgraphField, tensorField, tensorType } from './tflite-schema.js';

/** Of tensors, and of operators. L2 with float16 weights has 4,000. */
const kMaxEntries = 8000;
const kMaxRank = 8;
const kMaxInputs = 8;
const kMaxNameBytes = 200;

export interface TfliteTensor {
  /** Unique: the tensor's number and its name. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Undefined for what the network computes. */
  readonly constant: GraphConstant | undefined;
}

export interface TfliteOperator {
  readonly op: string;
  readonly inputs: readonly (TfliteTensor | undefined)[];
  readonly outputs: readonly TfliteTensor[];
  readonly options: FlatTable | undefined;
  /** Of the operator in the file. */
  readonly offset: number;
}

export interface TfliteFile {
  readonly description: string;
  readonly operators: readonly TfliteOperator[];
  readonly inputs: readonly TfliteTensor[];
  readonly outputs: readonly TfliteTensor[];
}

/** True where the bytes have the identifier of a TensorFlow Lite file. */
export function looksLikeTflite(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(4, 8)).toString('latin1') === 'TFL3';
}

/** Reads the file's main graph. Throws ERR_INVALID_CHECKPOINT, or ERR_UNSUPPORTED for element types. */
export function readTfliteFile(bytes: Uint8Array): TfliteFile {
  const model = FlatTable.root(bytes);
  const [graph, ...others] = model.tables(modelField.subgraphs, kMaxEntries);
  if (graph === undefined) throw invalidCheckpoint('Expected a graph in the model', model.offset);
  if (others.length > 0) throw new EfficientNetError('ERR_UNSUPPORTED', `Expected a model of one graph but it has ${others.length + 1}`);
  const codes = model.tables(modelField.operatorCodes, kMaxEntries).map(operatorName);
  const buffers = model.tables(modelField.buffers, kMaxEntries);
  const tensors = graph.tables(subgraphField.tensors, kMaxEntries).map((table, i) => readTensor(table, i, buffers, bytes));
  const tensorAt = (index: number, place: FlatTable): TfliteTensor => {
    const tensor = tensors[index];
    if (tensor === undefined) throw invalidCheckpoint(`Expected the number of a tensor, below ${tensors.length}, but found ${index}`, place.offset);
    return tensor;
  };
  return {
    description: model.string(modelField.description, kMaxNameBytes),
    inputs: graph.integers(subgraphField.inputs, kMaxInputs).map((index) => tensorAt(index, graph)),
    outputs: graph.integers(subgraphField.outputs, kMaxInputs).map((index) => tensorAt(index, graph)),
    operators: graph.tables(subgraphField.operators, kMaxEntries).map((table) => {
      const op = codes[table.u32(operatorField.code)];
      if (op === undefined) throw invalidCheckpoint(`Expected the number of an operator's code, below ${codes.length}, but found ${table.u32(operatorField.code)}`, table.offset);
      return {
        op,
        // -1 stands for an input that is left out.
        inputs: table.integers(operatorField.inputs, kMaxInputs).map((index) => (index === -1 ? undefined : tensorAt(index, table))),
        outputs: table.integers(operatorField.outputs, kMaxInputs).map((index) => tensorAt(index, table)),
        options: table.table(operatorField.options),
        offset: table.offset,
      };
    }),
  };
}

/** Files from before 2020 have the code in the older field alone. */
function operatorName(table: FlatTable): string {
  const code = Math.max(table.i32(operatorCodeField.code), table.i8(operatorCodeField.oldCode));
  const name = operators.get(code) ?? `number ${code}`;
  return name === 'CUSTOM' ? `CUSTOM ${table.string(operatorCodeField.customCode, kMaxNameBytes)}` : name;
}

const elementTypes: ReadonlyMap<number, ElementType> = new Map([
  [tensorType.float32, 'f32'], [tensorType.float16, 'f16'], [tensorType.int32, 'i32'], [tensorType.uint8, 'u8'], [tensorType.int64, 'i64'],
  [tensorType.bool, 'bool'], [tensorType.int16, 'i16'], [tensorType.int8, 'i8'], [tensorType.float64, 'f64'], [tensorType.bfloat16, 'bf16'],
]);

function readTensor(table: FlatTable, index: number, buffers: readonly FlatTable[], file: Uint8Array): TfliteTensor {
  const name = `${index} ${table.string(tensorField.name, kMaxNameBytes)}`;
  const shape = readShape(table, name);
  const number = table.u32(tensorField.buffer);
  const buffer = buffers[number];
  if (buffer === undefined) throw invalidCheckpoint(`Expected the number of a buffer, below ${buffers.length}, for tensor ${quote(name)} but found ${number}`, table.offset);
  const bytes = bufferBytes(buffer, file);
  const type = elementTypes.get(table.u8(tensorField.type));
  const count = elementCount(shape);
  // What is computed has an empty buffer; types that the network does not compute with are left alone.
  if (bytes.length === 0 || type === undefined) return { name, shape, constant: undefined };
  if (count === undefined || count * elementBytes[type] !== bytes.length) {
    throw invalidCheckpoint(`Tensor ${quote(name)} of shape ${formatShape(shape)} and type ${type} needs ${count === undefined ? 'too many' : count * elementBytes[type]} bytes but has ${bytes.length}`, table.offset);
  }
  return { name, shape, constant: { type, shape, bytes } };
}

function readShape(table: FlatTable, name: string): readonly number[] {
  if (table.length(tensorField.shape, 4) > kMaxRank) throw invalidCheckpoint(`Expected at most ${kMaxRank} dimensions of tensor ${quote(name)}`, table.offset);
  // The signature has -1 where the shape has the size of an example.
  const signature = table.integers(tensorField.shapeSignature, kMaxRank);
  const shape = table.integers(tensorField.shape, kMaxRank);
  const isOpen = signature.length === shape.length && signature.some((size) => size < 0);
  if (shape.some((size) => size < 0)) throw invalidCheckpoint(`Expected no negative size in the shape ${formatShape(shape)} of tensor ${quote(name)}`, table.offset);
  return isOpen ? signature : shape;
}

/** Buffers of models beyond 2 GiB lie after the flatbuffer, by their place in the file. */
function bufferBytes(buffer: FlatTable, file: Uint8Array): Uint8Array {
  const inside = buffer.bytes(bufferField.data);
  const offset = buffer.u64(bufferField.offset);
  if (inside.length > 0 || offset <= 1) return inside;
  const size = buffer.u64(bufferField.size);
  if (!(offset <= file.length && size <= file.length - offset)) {
    throw invalidCheckpoint(`A buffer of ${size} bytes from byte ${offset} reaches past the file, which has ${file.length}`, buffer.offset);
  }
  return file.subarray(offset, offset + size);
}
