// SPDX-License-Identifier: Apache-2.0
// Small Keras files by hand: two layers in each of the two trees that Keras has written, in HDF5 files
// of two kilobytes, for the fuzzer and for tests that change one thing.

import { attribute, Hdf5Writer, type Message } from './hdf5-writer.js';

const floats = (...values: readonly number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);

/** layer_names, weight_names and, with a config, model_weights and model_config. */
export function legacyFile(config?: string): Buffer {
  const file = new Hdf5Writer();
  const layer = (name: string, variables: readonly (readonly [name: string, shape: readonly number[], data: Buffer])[]): number => {
    const inner = file.group(variables.map(([variable, shape, data]) => ({ name: variable, at: file.dataset(shape, data) })));
    return file.group([{ name, at: inner }], [attribute('weight_names', variables.map(([variable]) => `${name}/${variable}`))]);
  };
  const dense = layer('predictions', [['kernel:0', [2, 3], floats(1, 2, 3, 4, 5, 6)], ['bias:0', [3], floats(7, 8, 9)]]);
  const depthwise = layer('block1a_dwconv2', [['depthwise_kernel:0', [1, 1, 2, 1], floats(1, 2)]]);
  const entries = [{ name: 'predictions', at: dense }, { name: 'block1a_dwconv2', at: depthwise }];
  const about: readonly Message[] = [attribute('layer_names', ['block1a_dwconv2', 'predictions']), attribute('keras_version', ['2.9.0'])];
  const root = config === undefined ? file.group(entries, about) : file.group([{ name: 'model_weights', at: file.group(entries, about) }], [attribute('model_config', [config])]);
  return file.finish(root);
}

/** layers/CLASS/vars/I, the names of the layers in a heap as h5py puts them. */
export function storedFile(): Buffer {
  const file = new Hdf5Writer();
  const layer = (name: string | undefined, datasets: readonly number[]): number => {
    const vars = file.group(datasets.map((at, i) => ({ name: String(i), at })), name === undefined ? [] : [attribute('name', [name])]);
    return file.group([{ name: 'vars', at: vars }]);
  };
  const dense = layer('predictions', [file.dataset([2, 3], floats(1, 2, 3, 4, 5, 6)), file.dataset([3], floats(7, 8, 9))]);
  const conv = layer(undefined, [file.dataset([1, 1, 2, 1], floats(1, 2))]);
  return file.finish(file.group([{ name: 'layers', at: file.group([{ name: 'dense', at: dense }, { name: 'depthwise_conv2d', at: conv }]) }]));
}
