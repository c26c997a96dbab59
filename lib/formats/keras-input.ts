// SPDX-License-Identifier: Apache-2.0
// How a Keras model turns pixels into what its stem sees: the Rescaling and Normalization layers that
// are part of the model, taken together as one scale and one shift for each channel.
//
// Keras' B0 to B7 store ImageNet's standard deviations as if they were variances, so that Normalization
// divides by their square roots. Since TensorFlow 2.5 a second Rescaling by 1 / sqrt(std) makes up for
// it, but only in models made with weights="imagenet" (tensorflow/tensorflow#49930). A saved model
// says which it is by its layers; of bare weights both readings are possible.

import type { ConfigLayer, KerasConfig } from './keras-config.js';
import { numbersIn } from './keras-config.js';
import type { KerasLayer } from './keras-layers.js';
import { isFloat, numbersOf } from './numbers.js';
import type { ChannelMap, CheckpointInput } from './tensor.js';

const imageNetStd = [0.229, 0.224, 0.225];
const identity: ChannelMap = { scale: [1, 1, 1], shift: [0, 0, 0] };

interface Statistics {
  readonly mean: readonly number[];
  readonly variance: readonly number[];
}

/** Undefined where the file does not say: then its source decides. */
export function kerasInput(config: KerasConfig | undefined, layers: readonly KerasLayer[]): CheckpointInput | undefined {
  const statistics = layers.map(statisticsOf).filter((one) => one !== undefined);
  if (config !== undefined) return { ...fromLayers(config.layers, statistics), ...(padsAsEven(config.layers) ? { padsAsEven: true } : {}) };
  const [only] = statistics;
  if (only === undefined) return undefined;
  const plain = normalised(rescaled(identity, [1 / 255], [0]), only);
  // bfloat16 keeps 8 bits: it changes a number by up to 1 / 256.
  if (!imageNetStd.every((std, i) => Math.abs((only.variance[i] ?? 0) / std - 1) <= 1 / 256)) return { map: plain };
  return { map: rescaled(plain, imageNetStd.map((std) => 1 / Math.sqrt(std)), [0]), legacyMap: plain };
}

function statisticsOf({ variables }: KerasLayer): Statistics | undefined {
  const [mean, variance] = [variables.get('mean'), variables.get('variance')];
  if (mean === undefined || variance === undefined || !isFloat(mean.type) || !isFloat(variance.type)) return undefined;
  const [means, variances] = [[...numbersOf(mean)], [...numbersOf(variance)]];
  return means.length <= 3 && variances.length === means.length ? { mean: means, variance: variances } : undefined;
}

/** Layers that give back what they take outside training, or only add a border. */
const passive = /^(InputLayer|ZeroPadding2D|Random(Flip|Rotation|Zoom|Translation|Contrast|Brightness|Hue|Saturation|Shear|Perspective)|GaussianNoise|Dropout|SpatialDropout2D|Identity|Activation)$/;

/** Without a map where a layer before the stem is not known: then no reading would be sure. */
function fromLayers(layers: readonly ConfigLayer[], statistics: readonly Statistics[]): CheckpointInput {
  const size = inputSize(layers);
  let map: ChannelMap = identity;
  let used = 0;
  for (const { className, name, config } of layers) {
    // Pixels of 0 to 255 are no input of a network: something outside of the model prepares them.
    if (className === 'Conv2D') return map === identity ? { ...size, unknown: '' } : { ...size, map };
    if (passive.test(className) && (className !== 'Activation' || config['activation'] === 'linear')) continue;
    if (className === 'Rescaling') {
      const [scale, offset] = [numbersIn(config['scale']), numbersIn(config['offset'] ?? 0)];
      if (scale === undefined || offset === undefined) return { ...size, unknown: name };
      map = rescaled(map, scale, offset);
    } else if (className === 'Normalization' && config['invert'] !== true) {
      const [mean, variance] = [numbersIn(config['mean'] ?? undefined), numbersIn(config['variance'] ?? undefined)];
      const own = mean !== undefined && variance !== undefined ? { mean, variance } : statistics[used++];
      if (own === undefined) return { ...size, unknown: name };
      map = normalised(map, own);
    } else {
      return { ...size, unknown: name };
    }
  }
  return size;
}

/**
 * Keras' V1 pads by layers of their own, whose sizes were fixed when it was built: for a map of even size
 * (0, 1) or (1, 2), for an odd one (1, 1) or (2, 2), for an unknown one as for an even.
 */
function padsAsEven(layers: readonly ConfigLayer[]): boolean {
  const { height, width } = inputSize(layers);
  let sizes = [height, width];
  for (const { className, name, config } of layers) {
    if (className !== 'ZeroPadding2D' || !name.endsWith('_pad')) continue;
    const pads: unknown = config['padding'];
    for (const [i, size] of sizes.entries()) {
      const [before, after] = Array.isArray(pads) && Array.isArray(pads[i]) ? (pads[i] as unknown[]) : [];
      if (size === undefined ? before !== after : (before === after) !== (size % 2 === 1)) return true;
    }
    sizes = sizes.map((size) => (size === undefined ? undefined : Math.ceil(size / 2)));
  }
  return false;
}

/** From the first input: (batch, height, width, channels). */
function inputSize(layers: readonly ConfigLayer[]): { readonly height?: number; readonly width?: number } {
  for (const { config } of layers) {
    const shape: unknown = config['batch_shape'] ?? config['batch_input_shape'];
    if (!Array.isArray(shape) || shape.length !== 4) continue;
    const [, height, width] = shape as readonly unknown[];
    const isSide = (side: unknown): side is number => Number.isInteger(side) && (side as number) >= 1 && (side as number) <= 4096;
    return isSide(height) && isSide(width) ? { height, width } : {};
  }
  return {};
}

/** y = x * scale + offset after the map. */
function rescaled({ scale, shift }: ChannelMap, by: readonly number[], offset: readonly number[]): ChannelMap {
  return {
    scale: channels((i) => (scale[i] ?? NaN) * of(by, i)),
    shift: channels((i) => (shift[i] ?? NaN) * of(by, i) + of(offset, i)),
  };
}

/** y = (x - mean) / max(sqrt(variance), 1e-7) after the map, as Keras computes it. */
function normalised(map: ChannelMap, { mean, variance }: Statistics): ChannelMap {
  const by = [0, 1, 2].map((i) => 1 / Math.max(Math.sqrt(of(variance, i)), 1e-7));
  return rescaled(map, by, by.map((factor, i) => -of(mean, i) * factor));
}

/** One number stands for all channels. */
function of(values: readonly number[], channel: number): number {
  return values[values.length === 1 ? 0 : channel] ?? NaN;
}

function channels(value: (channel: number) => number): readonly [number, number, number] {
  return [value(0), value(1), value(2)];
}
