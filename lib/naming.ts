// SPDX-License-Identifier: Apache-2.0
// What a naming scheme is, how the one of a checkpoint is found, and which network its shapes make.
// The schemes themselves are in naming/, one file per library; reads no tensor's values.

import type { Architecture } from './architecture.js';
import { architectures } from './architectures.js';
import { weightShape } from './fold.js';
import type { Checkpoint } from './formats/tensor.js';
import { blockLayers, headLayers, stemLayer, type LayerSize } from './layers.js';
import { canonicalSource, graphSource } from './naming/folded.js';
import { kerasSource } from './naming/keras.js';
import { lukemelasSource } from './naming/lukemelas.js';
import type { LayerNames, NamingScheme, NamingSource } from './naming/scheme.js';
import { tensorflowSource } from './naming/tensorflow.js';
import { timmSource } from './naming/timm.js';
import { torchvisionSources } from './naming/torchvision.js';
import { transformersSource } from './naming/transformers.js';
import { buildNetwork, eachBlock, stemChannels, type Block, type Network } from './network.js';

export type { LayerNames, Naming, NamingScheme, NormNames, WeightLayout } from './naming/scheme.js';

/** In the order in which they are tried. */
const sources: readonly NamingSource[] = [
  graphSource, lukemelasSource, timmSource, ...torchvisionSources, transformersSource, kerasSource, tensorflowSource, canonicalSource,
];

/** How people call the sources, for messages. */
export const knownSources: readonly string[] = [...new Set(sources.map(({ title }) => title))];

/** The scheme by which the checkpoint names its tensors, or undefined. */
export function detectNaming(checkpoint: Checkpoint): NamingScheme | undefined {
  for (const source of sources) {
    const scheme = source.open(checkpoint);
    if (scheme !== undefined) return scheme;
  }
  return undefined;
}

/** A layer of a network under a scheme; names are undefined where the scheme has no such layer. */
export interface NamedLayer {
  /** `stem`, `blocks.3.depthwise`, `head.classifier`: this package's own names. */
  readonly path: string;
  readonly names: LayerNames | undefined;
  readonly size: LayerSize;
}

/** Every layer of the network in the order of execution. */
export function namedLayers(network: Network, scheme: NamingScheme): NamedLayer[] {
  return [...eachLayer(network, scheme)];
}

function* eachLayer(network: Network, scheme: NamingScheme): Generator<NamedLayer> {
  yield { path: 'stem', names: scheme.stem, size: stemLayer(network) };
  for (const [i, block] of network.blocks.entries()) yield* layersOf(block, i, scheme);
  const names = { ...scheme.head(network), classifier: scheme.classifier };
  for (const [layer, size] of entries(headLayers(network))) yield { path: `head.${layer}`, names: names[layer], size };
}

function* layersOf(block: Block, i: number, scheme: NamingScheme): Generator<NamedLayer> {
  const names = scheme.block(block, i);
  for (const [layer, size] of entries(blockLayers(block))) yield { path: `blocks.${i}.${layer}`, names: names[layer], size };
}

function entries<K extends string, T>(record: Readonly<Partial<Record<K, T>>>): (readonly [K, T])[] {
  return Object.entries(record) as [K, T][];
}

/**
 * The network of the family whose layers are all in the checkpoint with their shapes, whatever its
 * class count; of several the one with the most layers, which uses most of the checkpoint. Undefined
 * if none fits. Padding, epsilon and activations are not to be seen there.
 */
export function inferArchitecture(checkpoint: Checkpoint, scheme: NamingScheme): string | undefined {
  let best: { readonly name: string; readonly layers: number } | undefined;
  const stem = outputsOf(checkpoint, scheme, scheme.stem);
  for (const [name, architecture] of Object.entries(architectures)) {
    // Most are ruled out by their beginning, before dozens of networks and thousands of names are made.
    if (stemChannels(architecture) !== stem || !beginsSo(checkpoint, scheme, architecture)) continue;
    const network = buildNetwork(name, hasClassifier(checkpoint, scheme) ? {} : { classes: 0 });
    const layers = fittingLayers(checkpoint, scheme, network);
    if (layers > (best?.layers ?? 0)) best = { name, layers };
  }
  return best?.name;
}

/** Blocks that tell nearly all networks apart that share a stem: their kinds, and where the second stage begins. */
const kTelling = 4;

/** Whether the checkpoint has the layers of the architecture's first blocks. */
function beginsSo(checkpoint: Checkpoint, scheme: NamingScheme, architecture: Architecture): boolean {
  let i = 0;
  for (const block of eachBlock(architecture)) {
    for (const layer of layersOf(block, i, scheme)) if (!hasLayer(checkpoint, scheme, layer)) return false;
    if (++i === kTelling) break;
  }
  return true;
}

/** How many layers the network has, or 0 where the checkpoint lacks one: mostly an early one. */
function fittingLayers(checkpoint: Checkpoint, scheme: NamingScheme, network: Network): number {
  let count = 0;
  for (const layer of eachLayer(network, scheme)) {
    if (!hasLayer(checkpoint, scheme, layer)) return 0;
    count++;
  }
  return count;
}

function hasLayer(checkpoint: Checkpoint, scheme: NamingScheme, { path, names, size }: NamedLayer): boolean {
  const shape = names === undefined ? undefined : checkpoint.tensors.get(names.weight)?.shape;
  if (names === undefined || shape === undefined) return false;
  // The last layer's outputs are the classes, which are the checkpoint's own affair.
  const classes = path === 'head.classifier' ? (classesOf(shape, scheme) ?? size.out) : size.out;
  const expected = weightShape({ ...size, out: classes }, scheme.layout, names.stored);
  return shape.length === expected.length && shape.every((length, i) => length === expected[i]);
}

function classesOf(shape: readonly number[], { layout }: NamingScheme): number | undefined {
  return layout === 'tensorflow' ? shape.at(-1) : shape[0];
}

/** Outputs of a layer by its weight; undefined where there is none, or none that could be one. */
export function outputsOf(checkpoint: Checkpoint, scheme: NamingScheme, names: LayerNames): number | undefined {
  const shape = checkpoint.tensors.get(names.weight)?.shape;
  const outputs = shape?.length === 2 || shape?.length === 4 ? classesOf(shape, scheme) : undefined;
  return outputs !== undefined && outputs > 0 && outputs <= 65_536 ? outputs : undefined;
}

/** False for the features alone: timm's num_classes=0, Keras' include_top=False. */
export function hasClassifier({ tensors }: Checkpoint, { classifier }: NamingScheme): boolean {
  return tensors.has(classifier.weight) || (classifier.bias !== undefined && tensors.has(classifier.bias));
}

/** Outputs of the checkpoint's classifier; undefined where there is none. */
export function classCount(checkpoint: Checkpoint, scheme: NamingScheme): number | undefined {
  const shape = checkpoint.tensors.get(scheme.classifier.weight)?.shape;
  return shape?.length === 2 || shape?.length === 4 ? classesOf(shape, scheme) : undefined;
}
