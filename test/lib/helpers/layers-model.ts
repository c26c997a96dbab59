// SPDX-License-Identifier: Apache-2.0
// A TensorFlow.js layers model of three weights for tests and the fuzzer, to be changed before it is
// written. No network: what the weights are for is judged elsewhere.

export interface Weight {
  name: string;
  shape: number[];
  dtype: string;
  quantization?: unknown;
}

export interface Layer {
  class_name: string;
  config: Record<string, unknown>;
}

export interface LayersModel {
  format?: string;
  modelTopology: { model_config?: { class_name: string; config: { name: string; layers: Layer[] } } };
  weightsManifest: { paths: string[]; weights: Weight[] }[];
}

const floats = (...numbers: number[]): Buffer => Buffer.from(Float32Array.from(numbers).buffer);

export function layersModel(): LayersModel {
  return {
    format: 'layers-model',
    modelTopology: {
      model_config: {
        class_name: 'Functional',
        config: {
          name: 'efficientnetb0',
          layers: [
            { class_name: 'InputLayer', config: { name: 'input_1', batch_input_shape: [null, 32, 48, 3] } },
            { class_name: 'Rescaling', config: { name: 'rescaling', scale: 1 / 127.5, offset: -1 } },
            { class_name: 'Conv2D', config: { name: 'stem_conv' } },
            { class_name: 'BatchNormalization', config: { name: 'stem_bn', epsilon: 0.001 } },
            { class_name: 'Activation', config: { name: 'stem_activation', activation: 'swish' } },
            { class_name: 'GlobalAveragePooling2D', config: { name: 'avg_pool' } },
            { class_name: 'Dense', config: { name: 'my_head', activation: 'softmax' } },
          ],
        },
      },
    },
    weightsManifest: [
      {
        paths: ['a.bin'],
        weights: [
          { name: 'block1a_dwconv/depthwise_kernel', shape: [2], dtype: 'float32' },
          { name: 'stem_bn/gamma', shape: [3], dtype: 'float32' },
          { name: 'my_head/kernel', shape: [1, 2], dtype: 'float32' },
        ],
      },
    ],
  };
}

/** The content of its shard a.bin: 1 to 7. */
export const layersShard = floats(1, 2, 3, 4, 5, 6, 7);
