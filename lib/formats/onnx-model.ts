// SPDX-License-Identifier: Apache-2.0
// An ONNX file's bytes as nodes and tensors, with every length checked. External data is taken only
// from what the caller hands over: this reader opens no file. What the nodes mean is in onnx-graph.ts.

import { EfficientNetError } from '../errors.js';
import { elementBytes, elementCount, formatShape, quote } from './bytes.js';
import type { GraphConstant } from './graph.js';
import {
  attributeField, dataType, dimensionField, entryField, graphField, modelField, nodeField, opsetField, shapeField, tensorField,
  tensorTypeField, typeField, valueField,
} from './onnx-schema.js';
import { MessageReader } from './protobuf.js';
import type { ElementType } from './tensor.js';

/**
 * Of nodes and tensors. L2 has 2,500, and 8,000 where PyTorch computes TensorFlow's padding as it runs;
 * the limit keeps a small file from becoming millions of objects.
 */
const kMaxEntries = 20_000;
const kMaxRank = 16;
const kMaxIntegers = 4096;

export interface OnnxNode {
  readonly op: string;
  /** Empty for ONNX's own operators. */
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttributeValue>;
  /** Of the node in the file. */
  readonly offset: number;
}

export interface OnnxAttributeValue {
  readonly float?: number;
  readonly integer?: number;
  readonly text?: string;
  readonly integers: readonly number[];
  readonly tensor?: GraphConstant;
}

export interface OnnxFile {
  /** Of ONNX's own operators; 0 where the file does not say. */
  readonly opset: number;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, GraphConstant>;
  /** Shapes by name; a dimension that is open is undefined. */
  readonly inputs: ReadonlyMap<string, readonly (number | undefined)[]>;
  readonly outputs: readonly string[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** Files with the tensors that a model keeps outside itself, by the name that the model gives them. */
export type ExternalData = ReadonlyMap<string, Uint8Array>;

/** Reads the file; throws ERR_INVALID_CHECKPOINT, or ERR_UNSUPPORTED for what is valid and not supported. */
export function readOnnxFile(bytes: Uint8Array, external: ExternalData = new Map()): OnnxFile {
  const reader = new MessageReader(bytes);
  const graph = { nodes: [], initializers: new Map(), inputs: new Map(), outputs: [] } as MutableGraph;
  const metadata = new Map<string, string>();
  let opset = 0;
  let graphs = 0;
  reader.fields((field) => {
    if (field === modelField.graph) {
      if (graphs++ > 0) reader.fail('Expected one graph in the model but found a second');
      readGraph(reader.message(), graph, external);
    } else if (field === modelField.opsetImport) {
      const { domain, version } = readOpset(reader.message());
      if (domain === '' || domain === 'ai.onnx') opset = version;
    } else if (field === modelField.metadata) {
      const { key, value } = readEntry(reader.message());
      if (metadata.size >= kMaxEntries) reader.fail('The model has too many entries of metadata');
      metadata.set(key, value);
    }
  });
  if (graphs === 0) reader.fail('Expected an ONNX model but found no graph in it (a saved_model.pb of TensorFlow begins alike: convert it to Keras, TensorFlow Lite or TensorFlow.js first)');
  return { opset, metadata, ...graph };
}

/** The names of the files in which a model keeps tensors outside itself. */
export function onnxExternalFiles(bytes: Uint8Array): ReadonlySet<string> {
  const names = new Set<string>();
  const ofTensor = (tensor: MessageReader): void =>
    tensor.fields((field) => {
      if (field !== tensorField.externalData) return;
      const { key, value } = readEntry(tensor.message());
      if (key === 'location') names.add(value);
    });
  const ofAttribute = (attribute: MessageReader): void =>
    attribute.fields((field) => {
      if (field === attributeField.tensor) ofTensor(attribute.message());
    });
  const ofNode = (node: MessageReader): void =>
    node.fields((field) => {
      if (field === nodeField.attribute) ofAttribute(node.message());
    });
  const model = new MessageReader(bytes);
  model.fields((modelMember) => {
    if (modelMember !== modelField.graph) return;
    const graph = model.message();
    graph.fields((member) => {
      if (member === graphField.initializer) ofTensor(graph.message());
      else if (member === graphField.node) ofNode(graph.message());
    });
  });
  return names;
}

interface MutableGraph {
  readonly nodes: OnnxNode[];
  readonly initializers: Map<string, GraphConstant>;
  readonly inputs: Map<string, readonly (number | undefined)[]>;
  readonly outputs: string[];
}

function readGraph(reader: MessageReader, graph: MutableGraph, external: ExternalData): void {
  let entries = 0;
  reader.fields((field) => {
    if (++entries > kMaxEntries) reader.fail(`Expected a graph of at most ${kMaxEntries} nodes and tensors`);
    if (field === graphField.node) {
      graph.nodes.push(readNode(reader.message(), external));
    } else if (field === graphField.initializer) {
      const { name, ...constant } = readTensor(reader.message(), external);
      if (graph.initializers.has(name)) reader.fail(`Two initialisers of the graph are named ${quote(name)}`);
      graph.initializers.set(name, constant);
    } else if (field === graphField.input) {
      const { name, shape } = readValue(reader.message());
      if (graph.inputs.has(name)) reader.fail(`Two inputs of the graph are named ${quote(name)}`);
      graph.inputs.set(name, shape);
    } else if (field === graphField.output) {
      graph.outputs.push(readValue(reader.message()).name);
    }
  });
}

function readNode(reader: MessageReader, external: ExternalData): OnnxNode {
  const { offset } = reader;
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, OnnxAttributeValue>();
  let [op, domain, name] = ['', '', ''];
  reader.fields((field) => {
    if (field === nodeField.input) inputs.push(reader.string());
    else if (field === nodeField.output) outputs.push(reader.string());
    else if (field === nodeField.name) name = reader.string();
    else if (field === nodeField.opType) op = reader.string();
    else if (field === nodeField.domain) domain = reader.string();
    else if (field === nodeField.attribute) {
      const [key, value] = readAttribute(reader.message(), external);
      if (attributes.has(key)) reader.fail(`Two attributes of the node ${quote(name)} are named ${quote(key)}`);
      attributes.set(key, value);
    }
    if (inputs.length > kMaxIntegers || outputs.length > kMaxIntegers) reader.fail(`The node ${quote(name)} has too many inputs or outputs`);
  });
  return { op, domain: domain === 'ai.onnx' ? '' : domain, name, inputs, outputs, attributes, offset };
}

function readAttribute(reader: MessageReader, external: ExternalData): readonly [string, OnnxAttributeValue] {
  let name = '';
  const integers: number[] = [];
  const value: { -readonly [K in keyof OnnxAttributeValue]: OnnxAttributeValue[K] } = { integers };
  reader.fields((field) => {
    if (field === attributeField.name) name = reader.string();
    else if (field === attributeField.float) value.float = reader.float();
    else if (field === attributeField.integer) value.integer = reader.integer();
    else if (field === attributeField.string) value.text = Buffer.from(reader.bytes()).toString('latin1');
    else if (field === attributeField.integers) reader.integers(integers, kMaxIntegers);
    else if (field === attributeField.tensor) value.tensor = readTensor(reader.message(), external);
  });
  return [name, value];
}

// ---- tensors ------------------------------------------------------------------------------------------

const elementTypes: ReadonlyMap<number, ElementType> = new Map([
  [dataType.float, 'f32'], [dataType.uint8, 'u8'], [dataType.int8, 'i8'], [dataType.int32, 'i32'], [dataType.int64, 'i64'],
  [dataType.bool, 'bool'], [dataType.float16, 'f16'], [dataType.double, 'f64'], [dataType.bfloat16, 'bf16'],
]);

interface RawTensor {
  readonly dims: number[];
  readonly entries: Map<string, string>;
  /** The numbers, where they are not raw: little-endian pieces, or integers one by one. */
  readonly pieces: Uint8Array[];
  readonly integers: number[];
  name: string;
  type: number;
  raw: Uint8Array | undefined;
  isExternal: boolean;
}

function readTensor(reader: MessageReader, external: ExternalData): GraphConstant & { readonly name: string } {
  const raw: RawTensor = { dims: [], entries: new Map(), pieces: [], integers: [], name: '', type: 0, raw: undefined, isExternal: false };
  const { offset } = reader;
  // At most one element to a byte of the file, packed or not.
  reader.fields((field) => {
    switch (field) {
      case tensorField.dims:
        return reader.integers(raw.dims, kMaxRank);
      case tensorField.dataType:
        return void (raw.type = reader.integer());
      case tensorField.name:
        return void (raw.name = reader.string());
      case tensorField.rawData:
        return void (raw.raw = reader.bytes());
      case tensorField.floatData:
        return void raw.pieces.push(reader.fixed(4));
      case tensorField.doubleData:
        return void raw.pieces.push(reader.fixed(8));
      case tensorField.int32Data:
      case tensorField.int64Data:
        return reader.integers(raw.integers, Infinity);
      case tensorField.externalData: {
        const { key, value } = readEntry(reader.message());
        return void raw.entries.set(key, value);
      }
      case tensorField.dataLocation:
        return void (raw.isExternal = reader.integer() === 1);
      case tensorField.segment:
        return reader.fail(`Tensor ${quote(raw.name)} is in segments, which no version of ONNX ever used`);
      default:
        return undefined;
    }
  });
  return finishTensor(raw, external, (what) => new MessageReader(new Uint8Array(0), offset).fail(what));
}

function finishTensor(raw: RawTensor, external: ExternalData, fail: (what: string) => never): GraphConstant & { readonly name: string } {
  const { name, dims: shape } = raw;
  const type = elementTypes.get(raw.type);
  if (type === undefined) {
    throw new EfficientNetError('ERR_UNSUPPORTED', `Tensor ${quote(name)} has ONNX's element type ${raw.type}, which is not supported; export the network in float32`);
  }
  if (shape.some((size) => size < 0)) fail(`Expected no negative size in the shape ${formatShape(shape)} of tensor ${quote(name)}`);
  const count = elementCount(shape);
  const bytes = raw.isExternal ? externalBytes(raw, external, fail) : (raw.raw ?? typedBytes(raw, type));
  if (count === undefined || count * elementBytes[type] !== bytes.length) {
    fail(`Tensor ${quote(name)} of shape ${formatShape(shape)} and type ${type} needs ${count === undefined ? 'too many' : count * elementBytes[type]} bytes but has ${bytes.length}`);
  }
  return { name, type, shape, bytes };
}

/** Numbers in a field of their own type; 16-bit floats lie in the bits of integers. */
function typedBytes({ pieces, integers }: RawTensor, type: ElementType): Uint8Array {
  const [only] = pieces;
  if (only !== undefined && pieces.length === 1) return only;
  if (pieces.length > 0) return new Uint8Array(Buffer.concat(pieces));
  switch (type) {
    case 'i64':
      return new Uint8Array(BigInt64Array.from(integers, BigInt).buffer);
    case 'i32':
      return new Uint8Array(Int32Array.from(integers).buffer);
    case 'f16':
    case 'bf16':
      return new Uint8Array(Uint16Array.from(integers).buffer);
    default:
      return Uint8Array.from(integers);
  }
}

function externalBytes({ name, entries }: RawTensor, external: ExternalData, fail: (what: string) => never): Uint8Array {
  const location = entries.get('location') ?? '';
  const file = external.get(location);
  if (file === undefined) {
    throw new EfficientNetError(
      'ERR_UNSUPPORTED',
      `Tensor ${quote(name)} lies in the file ${quote(location)} outside the model, and a model file may not open others. ` +
        `Give it by that name with the option externalData: { ${quote(location)}: 'PATH' }`,
    );
  }
  const number = (key: string, otherwise: number): number => {
    const text = entries.get(key);
    if (text === undefined) return otherwise;
    return /^\d{1,15}$/.test(text) ? Number(text) : fail(`Expected a number as the ${key} of the external tensor ${quote(name)} but found ${quote(text)}`);
  };
  const begin = number('offset', 0);
  const length = number('length', Math.max(0, file.length - begin));
  if (begin > file.length || length > file.length - begin) {
    fail(`The external tensor ${quote(name)} takes ${length} bytes from byte ${begin} of ${quote(location)}, which has ${file.length}`);
  }
  return file.subarray(begin, begin + length);
}

// ---- small messages -----------------------------------------------------------------------------------

function readEntry(reader: MessageReader): { readonly key: string; readonly value: string } {
  let [key, value] = ['', ''];
  reader.fields((field) => {
    if (field === entryField.key) key = reader.string();
    else if (field === entryField.value) value = reader.string();
  });
  return { key, value };
}

function readOpset(reader: MessageReader): { readonly domain: string; readonly version: number } {
  let [domain, version] = ['', 0];
  reader.fields((field) => {
    if (field === opsetField.domain) domain = reader.string();
    else if (field === opsetField.version) version = reader.integer();
  });
  return { domain, version };
}

function readValue(reader: MessageReader): { readonly name: string; readonly shape: readonly (number | undefined)[] } {
  let name = '';
  const shape: (number | undefined)[] = [];
  reader.fields((field) => {
    if (field === valueField.name) name = reader.string();
    else if (field === valueField.type) readType(reader.message(), shape);
  });
  return { name, shape };
}

/** Of a tensor's type only the shape matters here. */
function readType(reader: MessageReader, shape: (number | undefined)[]): void {
  reader.fields((typeMember) => {
    if (typeMember !== typeField.tensor) return;
    const tensor = reader.message();
    tensor.fields((member) => {
      if (member !== tensorTypeField.shape) return;
      const dimensions = tensor.message();
      dimensions.fields((field) => {
        if (field !== shapeField.dimension) return;
        if (shape.length === kMaxRank) dimensions.fail(`Expected at most ${kMaxRank} dimensions`);
        shape.push(readDimension(dimensions.message()));
      });
    });
  });
}

function readDimension(reader: MessageReader): number | undefined {
  let size: number | undefined;
  reader.fields((field) => {
    if (field === dimensionField.value) size = reader.integer();
  });
  return size !== undefined && size > 0 ? size : undefined;
}
