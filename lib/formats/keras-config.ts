// SPDX-License-Identifier: Apache-2.0
// What a saved Keras model says about itself in JSON (model_config, config.json): the layers between
// the image and the stem, the size of the input, epsilon and the last activation. Nothing in it is
// ever run: layers are read by name, and a Lambda is just a layer that is not known.

import { invalidCheckpoint } from './bytes.js';
import { asObject, type JsonObject } from './json-value.js';

export interface KerasConfig {
  readonly name: string | undefined;
  /** Layers in the order of the model, models inside it in place of which their own stand. */
  readonly layers: readonly ConfigLayer[];
}

export interface ConfigLayer {
  readonly className: string;
  readonly name: string;
  readonly config: JsonObject;
}

const kMaxDepth = 8;
const kMaxLayers = 100_000;

/** Throws ERR_INVALID_CHECKPOINT for what is no model's JSON. */
export function parseKerasConfig(text: string): KerasConfig {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalidCheckpoint(`The Keras file describes its model by what is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  return kerasModel(asObject(json, 'the model of the Keras file'));
}

/** The same for JSON that is parsed. */
export function kerasModel(model: JsonObject): KerasConfig {
  const layers: ConfigLayer[] = [];
  flatten(model, layers, 0);
  const { name } = asObject(model['config'] ?? {}, 'the config of the Keras file');
  return { name: typeof name === 'string' ? name : undefined, layers };
}

function flatten(layer: JsonObject, layers: ConfigLayer[], depth: number): void {
  if (depth > kMaxDepth || layers.length > kMaxLayers) throw invalidCheckpoint('The Keras file describes a model of too many layers');
  // Keras 1 and Sequential models of early Keras 2: the config is the list itself.
  const given = layer['config'];
  const config = Array.isArray(given) ? { layers: given } : asObject(given ?? {}, 'the config of a layer of the Keras file');
  const inner: unknown = config['layers'];
  if (Array.isArray(inner)) {
    for (const one of inner) flatten(asObject(one, 'a layer of the Keras file'), layers, depth + 1);
    return;
  }
  const name = config['name'] ?? layer['name'];
  layers.push({ className: typeof layer['class_name'] === 'string' ? layer['class_name'] : '', name: typeof name === 'string' ? name : '', config });
}

/** A number, or as many as there are channels, however nested or wrapped Keras stored them; undefined for anything else. */
export function numbersIn(value: unknown): readonly number[] | undefined {
  if (typeof value === 'number') return [value];
  if (Array.isArray(value)) {
    const flat: unknown[] = value.flat(4);
    return flat.length > 0 && flat.length <= 16 && flat.every((one) => typeof one === 'number') ? flat : undefined;
  }
  // How Keras 3 stores arrays: { class_name: '__numpy__' or '__tensor__', config: { value: ... } }.
  if (typeof value === 'object' && value !== null && 'config' in value && typeof value.config === 'object' && value.config !== null && 'value' in value.config) {
    return Array.isArray(value.config.value) || typeof value.config.value === 'number' ? numbersIn(value.config.value) : undefined;
  }
  return undefined;
}
