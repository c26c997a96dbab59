// SPDX-License-Identifier: Apache-2.0
// The field numbers of onnx.proto (ONNX, IR version 8) that a network needs, as data for the reader
// and the writer. No behaviour.

export const modelField = { irVersion: 1, producerName: 2, producerVersion: 3, graph: 7, opsetImport: 8, metadata: 14 } as const;
export const graphField = { node: 1, name: 2, initializer: 5, input: 11, output: 12, sparseInitializer: 15 } as const;
export const nodeField = { input: 1, output: 2, name: 3, opType: 4, attribute: 5, domain: 7 } as const;
export const attributeField = { name: 1, float: 2, integer: 3, string: 4, tensor: 5, floats: 7, integers: 8, strings: 9, type: 20 } as const;
export const tensorField = {
  dims: 1, dataType: 2, segment: 3, floatData: 4, int32Data: 5, int64Data: 7, name: 8, rawData: 9, doubleData: 10, externalData: 13,
  dataLocation: 14,
} as const;
/** Of a StringStringEntryProto: metadata and the places of external data. */
export const entryField = { key: 1, value: 2 } as const;
export const opsetField = { domain: 1, version: 2 } as const;
export const valueField = { name: 1, type: 2 } as const;
export const typeField = { tensor: 1 } as const;
export const tensorTypeField = { elementType: 1, shape: 2 } as const;
export const shapeField = { dimension: 1 } as const;
export const dimensionField = { value: 1, parameter: 2 } as const;

/** TensorProto.DataType. */
export const dataType = { float: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10, double: 11, bfloat16: 16 } as const;
/** AttributeProto.AttributeType. */
export const attributeType = { float: 1, integer: 2, string: 3, tensor: 4, floats: 6, integers: 7, strings: 8 } as const;
