// SPDX-License-Identifier: Apache-2.0
// This package's own names, in which every layer has a bias and none a norm: of our checkpoints, and of
// the graphs whose readers give these names.

import type { CheckpointFormat } from '../formats/tensor.js';
import { biased, type Naming, type NamingScheme, type NamingSource, type WeightLayout } from './scheme.js';

function foldedScheme(naming: Naming, title: string, layout: WeightLayout): NamingScheme {
  return {
    naming,
    title,
    layout,
    stem: biased('stem'),
    block: (_block, position) => ({
      expand: biased(`blocks.${position}.expand`),
      conv: biased(`blocks.${position}.conv`),
      depthwise: biased(`blocks.${position}.depthwise`),
      reduce: biased(`blocks.${position}.reduce`),
      excite: biased(`blocks.${position}.excite`),
      project: biased(`blocks.${position}.project`),
    }),
    head: () => ({ conv: biased('head.conv'), hidden: biased('head.hidden') }),
    classifier: biased('head.classifier'),
  };
}

export const canonicalScheme = foldedScheme('canonical', 'efficientnet-simd', 'engine');
/** The readers of graphs give our names, in the engine's layout. */
const graphSchemes: ReadonlyMap<CheckpointFormat, NamingScheme> = new Map([
  ['tfjs-graph', foldedScheme('tfjs', 'a TensorFlow.js graph model', 'engine')],
  ['onnx', foldedScheme('onnx', 'an ONNX file', 'engine')],
  ['tflite', foldedScheme('tflite', 'a TensorFlow Lite file', 'engine')],
]);

export const canonicalSource: NamingSource = {
  title: canonicalScheme.title,
  // Not under a prefix: a stem is too common a name.
  open: ({ tensors }) => (tensors.has(canonicalScheme.stem.weight) ? canonicalScheme : undefined),
};

export const graphSource: NamingSource = {
  title: 'a graph (ONNX, TensorFlow.js, TensorFlow Lite)',
  open: ({ format, network }) => (network === undefined ? undefined : graphSchemes.get(format)),
};
