// SPDX-License-Identifier: Apache-2.0
// What a Keras checkpoint says of itself: the size and normalisation that its own layers have
// (formats/keras-input.ts), its epsilon, and what is left open where bare weights can be read in two ways.

import { weightsMismatch } from '../fold.js';
import type { Checkpoint, CheckpointFormat } from '../formats/tensor.js';
import { recipeOfInput } from '../input-recipe.js';
import type { Network } from '../network.js';
import type { CheckpointConfig, ConfigNote } from './config.js';

/** How Keras' B0 to B7 were built: since TensorFlow 2.5 ('fixed'), or with the square-root quirk before ('legacy'). */
export type KerasReading = 'fixed' | 'legacy';

/** Keras' own files, and layers models of TensorFlow.js, which hold the same. */
function isKeras(format: CheckpointFormat): boolean {
  return format === 'keras' || format === 'tfjs-layers';
}

/** Undefined for files of others, and where the file says nothing. */
export function kerasConfig({ format, input, metadata }: Checkpoint, reading: KerasReading | undefined): CheckpointConfig | undefined {
  if (!isKeras(format)) return undefined;
  const epsilon = metadata.get('batchNormEpsilon');
  if (input === undefined && epsilon === undefined) return undefined;
  const { map, legacyMap, unknown, padsAsEven } = input ?? {};
  const notes: ConfigNote[] = [];
  if (unknown !== undefined) {
    notes.push({
      option: 'recipe',
      message:
        unknown === ''
          ? "The Keras model does not prepare its images itself: taking what Keras' own models do"
          : `The Keras model prepares its images by the layer ${JSON.stringify(unknown.slice(0, 80))}, which is not known here: taking what Keras' own models do`,
    });
  }
  if (padsAsEven === true) {
    notes.push({
      option: 'size',
      message: 'The Keras model was built for images of any size, and pads maps of odd size in a way of its own: its logits are met at sizes that are multiples of 32',
    });
  }
  if (legacyMap !== undefined) {
    notes.push({
      option: 'keras',
      message: "These Keras weights leave open whether they are normalised as in TensorFlow 2.5 and later ('fixed') or as before ('legacy'): taking 'fixed'",
    });
  }
  if (metadata.get('classifier.activation') === 'sigmoid') {
    notes.push({ option: undefined, message: 'The Keras model ends in a sigmoid for each class: take it of the logits that run() gives; the scores of classify() are a softmax' });
  }
  const chosen = reading === 'legacy' ? (legacyMap ?? map) : map;
  return {
    from: "the Keras model's own layers",
    batchNormEpsilon: epsilon === undefined ? undefined : Number(epsilon),
    recipe: recipeOfInput({ ...input, ...(chosen && { map: chosen }) }),
    notes,
  };
}

/** Throws ERR_WEIGHTS_MISMATCH where the model says another activation than the network's: no shape would show it. */
export function checkKerasNetwork({ format, metadata }: Checkpoint, { name, stem }: Network): void {
  const said = metadata.get('activation');
  if (!isKeras(format) || said === undefined || said === stem.activation) return;
  throw weightsMismatch(`The Keras model activates its stem by ${JSON.stringify(said.slice(0, 80))}, ${name} by ${JSON.stringify(stem.activation)}; expected the same network`);
}
