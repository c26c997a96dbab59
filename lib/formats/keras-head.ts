// SPDX-License-Identifier: Apache-2.0
// What a Keras model has behind the convolutions: pooling, perhaps a batch norm as in Keras' own example
// of fine-tuning, dropout, one dense layer under whatever name. The norm is folded into the dense layer,
// in double precision; anything else that would change a logit is refused by name.

import { EfficientNetError } from '../errors.js';
import { quote } from './bytes.js';
import type { ConfigLayer, KerasConfig } from './keras-config.js';
import type { KerasLayer } from './keras-layers.js';
import { isFloat, numbersOf, type Numbers } from './numbers.js';
import type { Tensor } from './tensor.js';

/** The name that Keras gives the classifier, and under which it is returned whatever its name is. */
const kClassifier = 'predictions';
const kEpsilon = 1e-3;

/** The layers with the classifier called predictions; `classifier` is its name in the file. */
export interface Classified {
  readonly layers: readonly KerasLayer[];
  readonly classifier: string | undefined;
}

/** Throws ERR_UNSUPPORTED for several dense layers. */
export function withClassifier(layers: readonly KerasLayer[], config: KerasConfig | undefined): Classified {
  const dense = layers.filter(({ variables }) => variables.get('kernel')?.shape.length === 2);
  const [classifier, second] = dense;
  if (second !== undefined) {
    throw new EfficientNetError(
      'ERR_UNSUPPORTED',
      `The Keras model has ${dense.length} dense layers (${dense.slice(0, 4).map((layer) => quote(nameOf(layer))).join(', ')}); ` +
        'only a classifier directly after the pooling is supported',
    );
  }
  if (classifier === undefined) return { layers, classifier: undefined };
  const norm = layers.find((layer) => isOwnNorm(layer, classifier));
  const folded = norm === undefined ? classifier.variables : foldNorm(norm, classifier, epsilonOf(config, nameOf(norm)));
  const kept = layers.filter((layer) => layer !== norm);
  return { layers: kept.map((layer) => (layer === classifier ? { ...layer, name: kClassifier, variables: folded } : layer)), classifier: classifier.name };
}

function nameOf({ name, key }: KerasLayer): string {
  return name ?? key;
}

// ---- a norm before the classifier -----------------------------------------------------------------

/** A norm that is none of the network's: as wide as what the classifier takes. */
function isOwnNorm(layer: KerasLayer, classifier: KerasLayer): boolean {
  const { variables } = layer;
  if (/^(stem_bn|top_bn|block\d+.+_bn|block\d+._bn)$/.test(nameOf(layer))) return false;
  const width = classifier.variables.get('kernel')?.shape[0];
  return ['moving_mean', 'moving_variance'].every((name) => variables.get(name)?.shape.length === 1 && variables.get(name)?.shape[0] === width);
}

function epsilonOf(config: KerasConfig | undefined, name: string): number {
  const epsilon = config?.layers.find((layer) => layer.className === 'BatchNormalization' && layer.name === name)?.config['epsilon'];
  return typeof epsilon === 'number' && epsilon >= 0 && epsilon <= 1 ? epsilon : kEpsilon;
}

/** kernel [in][out], bias [out] of the dense layer with gamma (x - mean) / sqrt(variance + epsilon) + beta before it. */
function foldNorm(norm: KerasLayer, classifier: KerasLayer, epsilon: number): ReadonlyMap<string, Tensor> {
  const kernel = floatsOf(classifier, 'kernel') ?? new Float64Array(0);
  const [mean, variance] = [floatsOf(norm, 'moving_mean'), floatsOf(norm, 'moving_variance')];
  const [gamma, beta, bias] = [floatsOf(norm, 'gamma'), floatsOf(norm, 'beta'), floatsOf(classifier, 'bias')];
  const [inputs = 0, outputs = 0] = classifier.variables.get('kernel')?.shape ?? [];
  const weights = new Float64Array(inputs * outputs);
  const sums = Float64Array.from({ length: outputs }, (_, o) => bias?.[o] ?? 0);
  for (let i = 0; i < inputs; i++) {
    const factor = (gamma?.[i] ?? 1) / Math.sqrt((variance?.[i] ?? NaN) + epsilon);
    const shift = (beta?.[i] ?? 0) - (mean?.[i] ?? NaN) * factor;
    for (let o = 0; o < outputs; o++) {
      const weight = kernel[i * outputs + o] ?? NaN;
      weights[i * outputs + o] = weight * factor;
      sums[o] = (sums[o] ?? NaN) + weight * shift;
    }
  }
  return new Map([['kernel', toTensor('kernel', [inputs, outputs], weights)], ['bias', toTensor('bias', [outputs], sums)]]);
}

function floatsOf({ variables }: KerasLayer, name: string): Numbers | undefined {
  const tensor = variables.get(name);
  return tensor === undefined || !isFloat(tensor.type) ? undefined : numbersOf(tensor);
}

function toTensor(variable: string, shape: readonly number[], values: Float64Array): Tensor {
  return { name: `${kClassifier}/${variable}`, type: 'f64', shape, bytes: new Uint8Array(values.buffer) };
}

// ---- what the model says --------------------------------------------------------------------------

/** What may follow the last convolution: in inference it changes no logit, or it is the classifier. */
const tail = /^(InputLayer|BatchNormalization|Activation|ReLU|Softmax|GlobalAveragePooling2D|Dense|Flatten|Dropout|GaussianNoise|GaussianDropout|AlphaDropout|ActivityRegularization|Identity)$/;

/** Throws ERR_UNSUPPORTED for another layer: without weights of its own it would else be passed over in silence. */
export function checkTail({ layers }: KerasConfig): void {
  const last = layers.findLastIndex(({ className }) => className === 'Conv2D');
  const stranger = layers.slice(last + 1).find(({ className }) => !tail.test(className));
  if (stranger === undefined) return;
  throw new EfficientNetError(
    'ERR_UNSUPPORTED',
    `The Keras model has the layer ${quote(stranger.name)} (${quote(stranger.className)}) behind the network; ` +
      'expected global average pooling, a batch norm, dropout and one dense layer',
  );
}

/** The activation of the network's first convolution, in this package's words; undefined where none is said. */
export function stemActivation({ layers }: KerasConfig): string | undefined {
  const stem = layers.findIndex(({ className }) => className === 'Conv2D');
  const isActivation = ({ className }: ConfigLayer): boolean => /^(Activation|ReLU|DepthwiseConv2D)$/.test(className);
  const layer = layers.slice(stem + 1).find(isActivation);
  if (stem === -1 || layer === undefined || layer.className === 'DepthwiseConv2D') return undefined;
  if (layer.className === 'ReLU') return layer.config['max_value'] === 6 ? 'relu6' : 'relu';
  const { activation } = layer.config;
  return activation === 'silu' ? 'swish' : typeof activation === 'string' ? activation : undefined;
}
