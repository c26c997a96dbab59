// SPDX-License-Identifier: Apache-2.0
// The topology of a TensorFlow.js layers model as a checkpoint: a Keras model whose weights have Keras'
// names (stem_conv/kernel), so it is read as one. The files are read by tfjs.ts.

import { invalidCheckpoint, quote } from './bytes.js';
import type { GraphConstant } from './graph.js';
import { asObject, type JsonObject } from './json-value.js';
import { kerasCheckpoint } from './keras.js';
import { kerasModel, type KerasConfig } from './keras-config.js';
import { variableName, type KerasLayer } from './keras-layers.js';
import type { Checkpoint, Tensor } from './tensor.js';

/** Whether modelTopology is of layers and no graph, whatever the format says, which older files lack. */
export function isLayers(topology: JsonObject): boolean {
  return 'model_config' in topology || 'class_name' in topology;
}

/**
 * Reads model_config, which the converter writes, or the model itself, as a model saved in JavaScript is.
 * Throws ERR_INVALID_CHECKPOINT for what is no model.
 */
export function parseLayers(topology: JsonObject): KerasConfig {
  return kerasModel('class_name' in topology ? topology : asObject(topology['model_config'], 'model_config'));
}

/** Weights are LAYER/VARIABLE; of a model inside the model the layers stand in its place. */
export function layersModel(config: KerasConfig, constants: ReadonlyMap<string, GraphConstant>, metadata: ReadonlyMap<string, string>): Checkpoint {
  const layers = new Map<string, Map<string, Tensor>>();
  for (const [path, constant] of constants) {
    const parts = path.split('/');
    const [layer = '', variable] = [parts.at(-2), variableName(parts.at(-1) ?? '')];
    const variables = layers.get(layer) ?? new Map<string, Tensor>();
    const name = `${layer}/${variable}`;
    if (variables.has(variable)) throw invalidCheckpoint(`Two weights of model.json are named ${quote(name)}`);
    layers.set(layer, variables.set(variable, { name, ...constant }));
  }
  const all = [...layers].map(([name, variables]): KerasLayer => ({ name, key: name, variables }));
  return { ...kerasCheckpoint(all, config, metadata), format: 'tfjs-layers' };
}
