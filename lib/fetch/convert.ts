// SPDX-License-Identifier: Apache-2.0
// From a published model's own files to the one file that is kept: folded weights under this
// package's names, in safetensors. Neither fetches nor stores.

import { EfficientNetError } from '../errors.js';
import { writeSafetensors } from '../formats/safetensors.js';
import { readTfjs } from '../formats/tfjs.js';
import { canonicalMetadata, canonicalTensors, mapWeights } from '../weights.js';

/**
 * A converter of a TensorFlow.js graph model (model.json and its shards).
 * @param metadata what else the file shall say about itself
 */
export function convertTfjs(
  architecture: string,
  metadata: Readonly<Record<string, string>>,
): (files: ReadonlyMap<string, Uint8Array>) => Uint8Array {
  return (files) => {
    const model = files.get('model.json');
    if (!model) {
      throw new EfficientNetError('ERR_INVALID_CHECKPOINT', `Expected model.json, found ${[...files.keys()].join(', ') || 'no file'}`);
    }
    // Padding and epsilon come from the graph, so no network is prescribed.
    const folded = mapWeights(readTfjs(model, files));
    if (folded.network.name !== architecture) {
      throw new EfficientNetError('ERR_WEIGHTS_MISMATCH', `Expected the network ${architecture}, found ${folded.network.name}`);
    }
    return writeSafetensors(canonicalTensors(folded), { ...canonicalMetadata(folded.network), ...metadata });
  };
}
