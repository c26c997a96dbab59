// SPDX-License-Identifier: Apache-2.0
// The numbers of TensorFlow Lite's schema (version 3) that a network needs, as data. No behaviour.

export const modelField = { operatorCodes: 1, subgraphs: 2, description: 3, buffers: 4 } as const;
export const operatorCodeField = { oldCode: 0, customCode: 1, code: 3 } as const;
export const subgraphField = { tensors: 0, inputs: 1, outputs: 2, operators: 3 } as const;
export const tensorField = { shape: 0, type: 1, buffer: 2, name: 3, shapeSignature: 7 } as const;
export const bufferField = { data: 0, offset: 1, size: 2 } as const;
export const operatorField = { code: 0, inputs: 1, outputs: 2, options: 4 } as const;
export const convolutionField = { padding: 0, strideWidth: 1, strideHeight: 2, activation: 3, dilationWidth: 4, dilationHeight: 5 } as const;
export const depthwiseField = {
  padding: 0, strideWidth: 1, strideHeight: 2, multiplier: 3, activation: 4, dilationWidth: 5, dilationHeight: 6,
} as const;
export const poolField = { padding: 0, strideWidth: 1, strideHeight: 2, width: 3, height: 4, activation: 5 } as const;
/** Of the fully connected layer. */
export const denseField = { activation: 0, weightsFormat: 1 } as const;
/** Of addition, subtraction, multiplication and division. */
export const arithmeticField = { activation: 0 } as const;

export const padding = { same: 0, valid: 1 } as const;
export const activation = { none: 0, relu: 1, relu6: 3 } as const;
export const tensorType = {
  float32: 0, float16: 1, int32: 2, uint8: 3, int64: 4, bool: 6, int16: 7, int8: 9, float64: 10, int4: 17, bfloat16: 18,
} as const;

/** BuiltinOperator; the names are the schema's. */
export const operators: ReadonlyMap<number, string> = new Map([
  [0, 'ADD'], [1, 'AVERAGE_POOL_2D'], [3, 'CONV_2D'], [4, 'DEPTHWISE_CONV_2D'], [6, 'DEQUANTIZE'], [9, 'FULLY_CONNECTED'], [14, 'LOGISTIC'],
  [18, 'MUL'], [19, 'RELU'], [21, 'RELU6'], [22, 'RESHAPE'], [25, 'SOFTMAX'], [32, 'CUSTOM'], [34, 'PAD'], [39, 'TRANSPOSE'], [40, 'MEAN'],
  [41, 'SUB'], [42, 'DIV'], [43, 'SQUEEZE'], [50, 'LOG_SOFTMAX'], [53, 'CAST'], [55, 'MAXIMUM'], [57, 'MINIMUM'], [60, 'PADV2'],
  [70, 'EXPAND_DIMS'], [114, 'QUANTIZE'], [117, 'HARD_SWISH'], [152, 'RELU_0_TO_1'],
]);
