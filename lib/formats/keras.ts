// SPDX-License-Identifier: Apache-2.0
// Keras files of EfficientNet: weights and whole models in HDF5 (Keras 1 to 3), .weights.h5, and the
// .keras archive. Whatever wrote them, tensors come out as LAYER/VARIABLE in the names of Keras 3:
// stem_conv/kernel, block2a_dwconv/kernel, block2a_bn/moving_mean, predictions/bias; float16 and bfloat16
// as they are. Nothing of a model is run, whatever layers it names.

import { invalidCheckpoint, quote } from './bytes.js';
import { readHdf5, type Hdf5Group } from './hdf5.js';
import { parseKerasConfig, type KerasConfig } from './keras-config.js';
import { checkTail, stemActivation, withClassifier } from './keras-head.js';
import { kerasInput } from './keras-input.js';
import { readKerasLayers, type KerasLayer } from './keras-layers.js';
import { nameLayers } from './keras-names.js';
import type { Checkpoint, Tensor } from './tensor.js';
import { readZip } from './zip.js';

const kWeights = 'model.weights.h5';
const kConfig = 'config.json';

/** True where the name of an archive's first file is of a .keras archive and not of PyTorch's, which has a folder. */
export function isKerasEntry(name: string | undefined): boolean {
  return name === kWeights || name === kConfig || name === 'metadata.json' || (name?.startsWith('assets/') ?? false);
}

/**
 * Reads a .h5 or .weights.h5 file. Throws ERR_INVALID_CHECKPOINT naming the place in the file, or
 * ERR_UNSUPPORTED for parts of HDF5 that Keras does not write.
 */
export function readKerasHdf5(bytes: Uint8Array): Checkpoint {
  const root = readHdf5(bytes);
  const config = root.attributes.get('model_config')?.[0];
  return checkpointOf(root, config === undefined ? undefined : parseKerasConfig(config));
}

/** Reads a .keras archive; errors as readKerasHdf5. */
export function readKerasArchive(archive: Uint8Array): Checkpoint {
  const files = readZip(archive);
  const weights = files.get(kWeights);
  if (weights === undefined) throw invalidCheckpoint(`Expected ${kWeights} in the .keras archive`);
  const config = files.get(kConfig);
  if (config === undefined) throw invalidCheckpoint(`Expected ${kConfig} in the .keras archive`);
  const root = readHdf5(weights, weights.byteOffset - archive.byteOffset);
  return checkpointOf(root, parseKerasConfig(Buffer.from(config.buffer, config.byteOffset, config.byteLength).toString('utf8')));
}

function checkpointOf(root: Hdf5Group, config: KerasConfig | undefined): Checkpoint {
  const metadata = new Map<string, string>();
  const model = root.has('model_weights') ? root.open('model_weights') : root;
  const version = root.attributes.get('keras_version')?.[0] ?? model.attributes.get('keras_version')?.[0];
  if (version !== undefined) metadata.set('keras_version', version);
  return kerasCheckpoint(readKerasLayers(root), config, metadata);
}

/** A checkpoint of layers, wherever they were read; `about` is what the file says about itself. */
export function kerasCheckpoint(found: readonly KerasLayer[], config: KerasConfig | undefined, about: ReadonlyMap<string, string>): Checkpoint {
  const named = nameLayers(found);
  if (config !== undefined) checkTail(config);
  const { layers, classifier } = withClassifier(named, config);
  const tensors = new Map<string, Tensor>();
  for (const layer of layers) {
    if (isStatistics(layer)) continue;
    const own = (layer.name ?? layer.key).replace(/_dwconv2$/, '_dwconv');
    for (const [variable, tensor] of layer.variables) {
      const name = `${own}/${variable}`;
      if (tensors.has(name)) throw invalidCheckpoint(`The Keras file has two layers ${quote(own)}`);
      tensors.set(name, { ...tensor, name });
    }
  }
  const said = kerasInput(config, layers);
  // qubvel's models, whose classifier has this name, are always prepared outside, and always alike.
  const input = said?.unknown === '' && classifier === 'probs' ? { ...said, unknown: undefined } : said;
  return { format: 'keras', tensors, metadata: metadataOf(about, config), ...(input && { input }) };
}

/** Of a Normalization layer: they belong to the recipe. */
function isStatistics({ variables }: KerasLayer): boolean {
  return variables.has('mean') && variables.has('variance');
}

function metadataOf(about: ReadonlyMap<string, string>, config: KerasConfig | undefined): Map<string, string> {
  const metadata = new Map(about);
  const values: Readonly<Record<string, unknown>> = {
    name: config?.name,
    batchNormEpsilon: config?.layers.find(({ className }) => className === 'BatchNormalization')?.config['epsilon'],
    activation: config === undefined ? undefined : stemActivation(config),
    'classifier.activation': config?.layers.findLast(({ className }) => className === 'Dense')?.config['activation'],
  };
  for (const [key, value] of Object.entries(values)) {
    if (typeof value === 'string' || typeof value === 'number') metadata.set(key, String(value));
  }
  return metadata;
}
