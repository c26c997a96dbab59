// SPDX-License-Identifier: Apache-2.0
// What a Keras checkpoint says of itself: the size and normalisation that its own layers have
// (formats/keras-input.ts), its epsilon, and what is left open where bare weights can be read in two ways.

import type { ChannelMap, Checkpoint } from '../formats/tensor.js';
import type { CheckpointConfig, ConfigNote } from './config.js';

/** How Keras' B0 to B7 were built: since TensorFlow 2.5 ('fixed'), or with the square-root quirk before ('legacy'). */
export type KerasReading = 'fixed' | 'legacy';

/** Undefined for files of others, and where the file says nothing. */
export function kerasConfig({ format, input, metadata }: Checkpoint, reading: KerasReading | undefined): CheckpointConfig | undefined {
  if (format !== 'keras') return undefined;
  const epsilon = metadata.get('batchNormEpsilon');
  if (input === undefined && epsilon === undefined) return undefined;
  const { height, width, map, legacyMap, unknown } = input ?? {};
  const notes: ConfigNote[] = [];
  if (unknown !== undefined) {
    notes.push({
      option: 'recipe',
      message: `The Keras model prepares its images by the layer ${JSON.stringify(unknown.slice(0, 80))}, which is not known here: taking what Keras' own models do`,
    });
  }
  if (legacyMap !== undefined) {
    notes.push({
      option: 'keras',
      message: "These Keras weights leave open whether they are normalised as in TensorFlow 2.5 and later ('fixed') or as before ('legacy'): taking 'fixed'",
    });
  }
  const chosen = reading === 'legacy' ? (legacyMap ?? map) : map;
  return {
    from: "the Keras model's own layers",
    batchNormEpsilon: epsilon === undefined ? undefined : Number(epsilon),
    recipe: { ...(height !== undefined && width !== undefined ? { height, width } : {}), ...(chosen === undefined ? {} : normalisationOf(chosen)) },
    notes,
  };
}

/** scale * x + shift of a pixel x of 0 to 255 is (x / 255 - mean) / std. */
function normalisationOf({ scale, shift }: ChannelMap): { mean: readonly number[]; std: readonly number[] } {
  const std = scale.map((factor) => 1 / (255 * factor));
  return { std, mean: std.map((deviation, i) => -(shift[i] ?? NaN) * deviation) };
}
