// SPDX-License-Identifier: Apache-2.0
// The variables of a Keras file, layer by layer, from the two trees that Keras has written: the legacy
// one of Keras 1 to 3 (attributes layer_names and weight_names) and that of .weights.h5 and .keras
// (layers/CLASS_N/vars/I, where only newer files say the layer's name). What a layer is for is not
// known here; see keras.ts.

import { EfficientNetError } from '../errors.js';
import { invalidCheckpoint, quote } from './bytes.js';
import type { Hdf5Dataset, Hdf5Group } from './hdf5.js';
import type { Tensor } from './tensor.js';

export interface KerasLayer {
  /** 'block2a_expand_conv'; undefined where the file does not say it. */
  readonly name: string | undefined;
  /** Where the file keeps it: 'layers/conv2d_3', 'block2a_expand_conv'. */
  readonly key: string;
  /** By the variable's name of Keras 3: kernel, bias, gamma, beta, moving_mean, moving_variance, mean, variance, count. */
  readonly variables: ReadonlyMap<string, Tensor>;
}

/** Every layer with variables, in the file's order. Throws where the file has none of the two trees. */
export function readKerasLayers(root: Hdf5Group): readonly KerasLayer[] {
  const model = root.has('model_weights') ? root.open('model_weights') : root;
  if (model.kind === 'group' && listAttribute(model, 'layer_names') !== undefined) return legacyLayers(model);
  const containers = ['layers', '_layer_checkpoint_dependencies'];
  const layers = storedLayers(root);
  if (layers.length > 0 || containers.some((name) => root.has(name))) return layers;
  throw invalidCheckpoint(
    'The HDF5 file has neither layer_names nor layers, as Keras writes them: expected the weights or the whole of a Keras model',
  );
}

// ---- layer_names, weight_names --------------------------------------------------------------------

function legacyLayers(model: Hdf5Group): readonly KerasLayer[] {
  const layers = new Map<string, Map<string, Tensor>>();
  for (const name of listAttribute(model, 'layer_names') ?? []) {
    const group = model.open(name);
    if (group.kind !== 'group') throw invalidCheckpoint(`Expected the layer ${quote(name)} of the Keras file to be a group`);
    const weights = (listAttribute(group, 'weight_names') ?? []).map((path) => ({ path, parts: path.split('/') }));
    // A model inside the model: its layers are told by the last part but one of their variables' names.
    const isNested = new Set(weights.map(({ parts }) => parts.slice(0, -1).join('/'))).size > 1;
    for (const { path, parts } of weights) {
      const variable = variableName(parts.at(-1) ?? '');
      put(layers, isNested ? (parts.at(-2) ?? name) : name, variable, openPath(group, path, parts));
    }
  }
  return [...layers].map(([name, variables]) => ({ name, key: name, variables }));
}

/** Keras splits what exceeds 64 kB: layer_names0, layer_names1 and so on. */
function listAttribute({ attributes }: Hdf5Group, name: string): readonly string[] | undefined {
  const whole = attributes.get(name);
  if (whole !== undefined) return whole;
  const parts: (readonly string[])[] = [];
  for (let part = attributes.get(`${name}0`); part !== undefined; part = attributes.get(`${name}${parts.length}`)) parts.push(part);
  if (parts.length > 0) return parts.flat();
  // Of no elements: h5py stores an empty list of numbers.
  return undefined;
}

function openPath(group: Hdf5Group, path: string, parts: readonly string[]): Hdf5Dataset {
  let node: Hdf5Group | Hdf5Dataset = group;
  for (const part of parts) {
    if (node.kind !== 'group') throw invalidCheckpoint(`Expected ${quote(path)} of the Keras file to lie in a group`);
    node = node.open(part);
  }
  if (node.kind === 'dataset') return node;
  throw invalidCheckpoint(`Expected ${quote(path)} of the Keras file to be a dataset`);
}

/** 'depthwise_kernel:0' of Keras 2 is 'kernel' of Keras 3. */
export function variableName(name: string): string {
  const plain = name.replace(/:\d+$/, '');
  return plain === 'depthwise_kernel' ? 'kernel' : plain;
}

// ---- layers/CLASS_N/vars/I ------------------------------------------------------------------------

const variablesOf: Readonly<Record<string, readonly string[]>> = {
  conv2d: ['kernel', 'bias'],
  depthwise_conv2d: ['kernel', 'bias'],
  dense: ['kernel', 'bias'],
  batch_normalization: ['gamma', 'beta', 'moving_mean', 'moving_variance'],
  sync_batch_normalization: ['gamma', 'beta', 'moving_mean', 'moving_variance'],
  normalization: ['mean', 'variance', 'count'],
};

function storedLayers(root: Hdf5Group): readonly KerasLayer[] {
  const layers: KerasLayer[] = [];
  const walk = (group: Hdf5Group): void => {
    for (const name of group.names) {
      // Not the model's: the optimizer's averages, the random generators of dropout and augmentation.
      if (name === 'seed_generator' || (group === root && name.startsWith('optimizer'))) continue;
      const child = group.open(name);
      if (child.kind !== 'group') continue;
      if (name === 'vars') addStored(layers, group, child);
      else walk(child);
    }
  };
  walk(root);
  return layers;
}

function addStored(layers: KerasLayer[], layer: Hdf5Group, vars: Hdf5Group): void {
  if (vars.names.length === 0) return;
  const className = classOf(layer.path);
  const variables = new Map<string, Tensor>();
  for (const index of vars.names) {
    const dataset = vars.open(index);
    if (dataset.kind !== 'dataset') throw invalidCheckpoint(`Expected ${quote(dataset.path)} of the Keras file to be a dataset`);
    const variable = variablesOf[className]?.[Number(index)] ?? index;
    variables.set(variable, toTensor(`${layer.path}/${variable}`, dataset));
  }
  layers.push({ name: vars.attributes.get('name')?.[0], key: layer.path, variables });
}

/** 'layers/conv2d_3' is of class 'conv2d'. */
export function classOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1).replace(/_\d+$/, '');
}

// ---- both -----------------------------------------------------------------------------------------

function put(layers: Map<string, Map<string, Tensor>>, layer: string, variable: string, dataset: Hdf5Dataset): void {
  let variables = layers.get(layer);
  if (variables === undefined) layers.set(layer, (variables = new Map()));
  if (variables.has(variable)) throw invalidCheckpoint(`The Keras file has two variables ${quote(`${layer}/${variable}`)}`);
  variables.set(variable, toTensor(`${layer}/${variable}`, dataset));
}

function toTensor(name: string, { path, type, shape, bytes }: Hdf5Dataset): Tensor {
  if (type.kind === 'number') return { name, type: type.type, shape, bytes };
  if (type.kind === 'opaque' && type.size === 2) return { name, type: 'bf16', shape, bytes };
  const what = type.kind === 'other' ? type.what : 'text';
  throw new EfficientNetError('ERR_UNSUPPORTED', `The dataset ${quote(path)} of the Keras file holds ${what}, which are no weights; expected float32, float16 or bfloat16`);
}
