// SPDX-License-Identifier: Apache-2.0
// From a checkpoint's tensors to the engine's weights: canonical layout, batch norm folded, every
// tensor used exactly once and checked. Knows no file format (formats/) and packs nothing (native).

import { invalidArgument } from './check.js';
import { Collector, foldLayer, weightShape, weightsMismatch, type CollectedLayer, type FoldedLayer, type LayerSize } from './fold.js';
import { quote } from './formats/bytes.js';
import type { Checkpoint, Tensor } from './formats/tensor.js';
import { canonicalScheme, detectNaming, inferArchitecture, type BlockLayer, type LayerNames, type Naming, type NamingScheme } from './naming.js';
import { buildNetwork, resolveName, type MBConvBlock, type Network, type Padding } from './network.js';

/** Row-major float32 with batch norm folded in; the shapes are those of native/engine/network.h. */
export interface StemWeights {
  /** [out][in][kernel][kernel] */
  readonly weights: Float32Array;
  readonly bias: Float32Array;
}

export interface MBConvWeights {
  /** [expanded][in]; empty without expansion, like its bias. */
  readonly expandWeights: Float32Array;
  readonly expandBias: Float32Array;
  /** [expanded][kernel][kernel] */
  readonly depthwiseWeights: Float32Array;
  readonly depthwiseBias: Float32Array;
  /** [squeeze][expanded]; empty without excite, like the next three. */
  readonly reduceWeights: Float32Array;
  readonly reduceBias: Float32Array;
  /** [expanded][squeeze] */
  readonly exciteWeights: Float32Array;
  readonly exciteBias: Float32Array;
  /** [out][expanded] */
  readonly projectWeights: Float32Array;
  readonly projectBias: Float32Array;
}

export interface HeadWeights {
  /** [features][in] */
  readonly convWeights: Float32Array;
  readonly convBias: Float32Array;
  /** [classes][features] */
  readonly classifierWeights: Float32Array;
  readonly classifierBias: Float32Array;
}

export interface FoldedWeights {
  /** The network that they are for; its class count is the classifier's. */
  readonly network: Network;
  readonly stem: StemWeights;
  /** One for each block of the network. */
  readonly blocks: readonly MBConvWeights[];
  readonly head: HeadWeights;
}

/** What a checkpoint's names and the architecture's name say about how its network must run. */
export interface CheckpointSource {
  readonly naming: Naming;
  /** Found from the shapes; undefined where they fit no network of the family. */
  readonly architecture: string | undefined;
  readonly padding: Padding;
  readonly batchNormEpsilon: number;
  /** Outputs of the classifier; undefined where there is none. */
  readonly classes: number | undefined;
  /**
   * False where the tensors' names leave padding and epsilon open (timm's) and the architecture was
   * not given by timm's own name (`efficientnet_b0`, `tf_efficientnet_b0`): then they are a guess.
   */
  readonly certain: boolean;
}

/**
 * Finds who wrote a checkpoint, and with it padding and epsilon. timm gives the same tensor names to
 * networks of both conventions: there the `tf_` prefix of `architecture`, the name that the user
 * gave, decides. Throws ERR_WEIGHTS_MISMATCH if the names are no known source's.
 */
export function detectSource(checkpoint: Checkpoint, architecture?: string): CheckpointSource {
  const scheme = schemeOf(checkpoint);
  const inferred = inferArchitecture(checkpoint, scheme);
  const named = architecture === undefined ? undefined : resolveName(architecture);
  const variant = named?.architecture.name ?? inferred;
  return {
    naming: scheme.naming,
    architecture: inferred,
    classes: classCount(checkpoint, scheme),
    certain: scheme.naming !== 'timm' || /^(tf_)?efficientnet_/i.test(architecture ?? ''),
    ...conventions(checkpoint, scheme, variant, named?.tensorflow ?? false),
  };
}

function conventions(
  checkpoint: Checkpoint,
  scheme: NamingScheme,
  variant: string | undefined,
  tensorflow: boolean,
): { padding: Padding; batchNormEpsilon: number } {
  const same = { padding: 'same', batchNormEpsilon: 1e-3 } as const;
  switch (scheme.naming) {
    case 'lukemelas':
    case 'tfjs':
      return same;
    case 'timm':
      return tensorflow ? same : { padding: 'symmetric', batchNormEpsilon: 1e-5 };
    case 'torchvision':
      // Its B5 to B7 hold weights trained in TensorFlow, hence the epsilon, but run with symmetric padding.
      return { padding: 'symmetric', batchNormEpsilon: ['b5', 'b6', 'b7'].includes(variant ?? '') ? 1e-3 : 1e-5 };
    case 'canonical':
      return canonicalConventions(checkpoint);
  }
}

function canonicalConventions({ metadata }: Checkpoint): { padding: Padding; batchNormEpsilon: number } {
  const padding = metadata.get('padding');
  const batchNormEpsilon = Number(metadata.get('batchNormEpsilon') ?? NaN);
  if ((padding !== 'same' && padding !== 'symmetric') || !(batchNormEpsilon >= 0 && batchNormEpsilon <= 1)) {
    throw weightsMismatch(
      "The checkpoint has this package's tensor names, but its metadata does not give padding " +
        "('same' or 'symmetric') and batchNormEpsilon. Write such files with canonicalTensors and canonicalMetadata",
    );
  }
  return { padding, batchNormEpsilon };
}

function schemeOf(checkpoint: Checkpoint): NamingScheme {
  const scheme = detectNaming(checkpoint);
  if (scheme !== undefined) return scheme;
  const names = [...checkpoint.tensors.keys()];
  const first = names.length === 0 ? 'it has no tensors' : `it begins with ${names.slice(0, 3).map(quote).join(', ')}`;
  throw weightsMismatch(
    'Expected the tensor names of lukemelas/EfficientNet-PyTorch, timm, torchvision or a TensorFlow.js graph model ' +
      `of EfficientNet, but no stem convolution was found among the checkpoint's ${names.length} tensors: ${first}`,
  );
}

/**
 * Maps a checkpoint to the network's weights. Without a network the checkpoint decides which it is;
 * the class count is always the classifier's, and the result's `network` has it.
 * Batch norm is folded in double precision and rounded to float32 once; float64 tensors are used in
 * full and rounded there too. Weights without batch norm may be views on the checkpoint's bytes.
 *
 * Throws ERR_WEIGHTS_MISMATCH for a missing, surplus or wrongly shaped tensor, for values that are
 * not finite and for variances that are none; ERR_UNSUPPORTED for other element types.
 */
export function mapWeights(checkpoint: Checkpoint, network?: Network): FoldedWeights {
  const scheme = schemeOf(checkpoint);
  const wanted = withClasses(network ?? inferNetwork(checkpoint, scheme), checkpoint, scheme);
  checkStrides(checkpoint, wanted);

  const collector = new Collector(checkpoint, scheme.layout);
  const take = (layer: NamedLayer | undefined): CollectedLayer | undefined =>
    layer === undefined ? undefined : collector.layer(layer.names, layer.size);
  const ends = endLayers(wanted, scheme);
  const stem = take(ends.stem);
  const blocks = wanted.blocks.map((block, i) => mapLayers(blockLayers(block, i, scheme), take));
  const headConv = take(ends.headConv);
  const classifier = take(ends.classifier);
  collector.finish(wanted.name, hintFor(checkpoint, scheme, wanted));

  const fold = (layer: CollectedLayer | undefined): FoldedLayer =>
    layer === undefined ? kNoLayer : foldLayer(layer, wanted.batchNormEpsilon);
  return {
    network: wanted,
    stem: fold(stem),
    blocks: blocks.map((layers) => toBlockWeights(mapLayers(layers, fold))),
    head: toHeadWeights(fold(headConv), fold(classifier)),
  };
}

/**
 * The weights as tensors in this package's own naming, in the engine's order: `stem.weight`,
 * `blocks.0.depthwise.weight`, `head.classifier.bias`. mapWeights reads them back bit for bit.
 */
export function canonicalTensors(folded: FoldedWeights): Tensor[] {
  const { network, stem, blocks, head } = folded;
  const tensors: Tensor[] = [];
  const add = (layer: NamedLayer | undefined, weights: Float32Array, bias: Float32Array): void => {
    if (layer === undefined) return;
    tensors.push(toTensor(layer.names.weight, weightShape(layer.size, 'engine'), weights));
    if (layer.names.bias !== undefined) tensors.push(toTensor(layer.names.bias, [layer.size.out], bias));
  };
  const ends = endLayers(network, canonicalScheme);
  add(ends.stem, stem.weights, stem.bias);
  blocks.forEach((weights, i) => {
    const block = network.blocks[i];
    if (block === undefined) throw invalidArgument('weights', `${network.blocks.length} blocks`, blocks);
    const layers = blockLayers(block, i, canonicalScheme);
    add(layers.expand, weights.expandWeights, weights.expandBias);
    add(layers.depthwise, weights.depthwiseWeights, weights.depthwiseBias);
    add(layers.reduce, weights.reduceWeights, weights.reduceBias);
    add(layers.excite, weights.exciteWeights, weights.exciteBias);
    add(layers.project, weights.projectWeights, weights.projectBias);
  });
  add(ends.headConv, head.convWeights, head.convBias);
  add(ends.classifier, head.classifierWeights, head.classifierBias);
  return tensors;
}

/** What a file of canonicalTensors must say about itself, to be merged with whatever else it says. */
export function canonicalMetadata(network: Network): Record<string, string> {
  return {
    format: 'efficientnet-simd',
    version: '1',
    architecture: network.name,
    padding: network.padding,
    batchNormEpsilon: String(network.batchNormEpsilon),
  };
}

interface NamedLayer {
  readonly names: LayerNames;
  readonly size: LayerSize;
}

type Layers<T> = Readonly<Record<BlockLayer, T>>;

const kNoLayer: FoldedLayer = { weights: new Float32Array(0), bias: new Float32Array(0) };

function endLayers({ stem, head }: Network, scheme: NamingScheme): Readonly<Record<'stem' | 'headConv' | 'classifier', NamedLayer>> {
  return {
    stem: { names: scheme.stem, size: { kind: 'convolution', out: stem.out, in: stem.in, kernel: stem.kernel } },
    headConv: { names: scheme.headConv, size: { kind: 'pointwise', out: head.features, in: head.in, kernel: 1 } },
    classifier: { names: scheme.classifier, size: { kind: 'dense', out: head.classes, in: head.features, kernel: 1 } },
  };
}

/** Undefined for a layer that the block does not have. */
function blockLayers(block: MBConvBlock, position: number, scheme: NamingScheme): Layers<NamedLayer | undefined> {
  const names = scheme.block(block, position);
  const { expanded, squeeze, kernel } = block;
  const pointwise = (layer: BlockLayer, out: number, from: number): NamedLayer => ({
    names: names[layer],
    size: { kind: 'pointwise', out, in: from, kernel: 1 },
  });
  return {
    expand: block.hasExpand ? pointwise('expand', expanded, block.in) : undefined,
    depthwise: { names: names.depthwise, size: { kind: 'depthwise', out: expanded, in: 1, kernel } },
    reduce: squeeze > 0 ? pointwise('reduce', squeeze, expanded) : undefined,
    excite: squeeze > 0 ? pointwise('excite', expanded, squeeze) : undefined,
    project: pointwise('project', block.out, expanded),
  };
}

/** In the order of execution, so that the first problem reported is the first layer's. */
function mapLayers<T, R>(layers: Layers<T>, change: (layer: T) => R): Layers<R> {
  return {
    expand: change(layers.expand),
    depthwise: change(layers.depthwise),
    reduce: change(layers.reduce),
    excite: change(layers.excite),
    project: change(layers.project),
  };
}

function toBlockWeights({ expand, depthwise, reduce, excite, project }: Layers<FoldedLayer>): MBConvWeights {
  return {
    expandWeights: expand.weights,
    expandBias: expand.bias,
    depthwiseWeights: depthwise.weights,
    depthwiseBias: depthwise.bias,
    reduceWeights: reduce.weights,
    reduceBias: reduce.bias,
    exciteWeights: excite.weights,
    exciteBias: excite.bias,
    projectWeights: project.weights,
    projectBias: project.bias,
  };
}

function toHeadWeights(conv: FoldedLayer, classifier: FoldedLayer): HeadWeights {
  return {
    convWeights: conv.weights,
    convBias: conv.bias,
    classifierWeights: classifier.weights,
    classifierBias: classifier.bias,
  };
}

function toTensor(name: string, shape: readonly number[], values: Float32Array): Tensor {
  return { name, type: 'f32', shape, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

function inferNetwork(checkpoint: Checkpoint, scheme: NamingScheme): Network {
  const { architecture, padding, batchNormEpsilon } = detectSource(checkpoint);
  if (architecture !== undefined) return buildNetwork(architecture, { padding, batchNormEpsilon });
  throw weightsMismatch(
    `The checkpoint has the tensor names of ${scheme.title}, but its stem, head and blocks are of no network of the family; ` +
      'name the architecture to see which tensors differ',
  );
}

/** The network with the classifier's own class count, where there is a classifier to tell. */
function withClasses(network: Network, checkpoint: Checkpoint, scheme: NamingScheme): Network {
  const classes = classCount(checkpoint, scheme);
  if (classes === undefined || classes === 0 || classes === network.head.classes) return network;
  return { ...network, head: { ...network.head, classes } };
}

function classCount(checkpoint: Checkpoint, scheme: NamingScheme): number | undefined {
  const shape = checkpoint.tensors.get(scheme.classifier.weight)?.shape;
  return shape?.length === 2 ? shape[scheme.layout === 'tensorflow' ? 1 : 0] : undefined;
}

/** A graph says how it strides; weights alone would fit a network that strides elsewhere. */
function checkStrides({ metadata }: Checkpoint, { name, stem, blocks }: Network): void {
  const found = metadata.get('graph.strides');
  const expected = [stem, ...blocks].map(({ stride }) => stride).join(' ');
  if (found === undefined || found === expected) return;
  throw weightsMismatch(`The graph's stem and blocks stride by ${found}, expected ${expected} for ${name}`);
}

function hintFor(checkpoint: Checkpoint, scheme: NamingScheme, network: Network): string {
  const inferred = inferArchitecture(checkpoint, scheme);
  if (inferred === undefined || inferred === network.name) return '';
  return ` By its shapes it is a checkpoint of ${inferred}: choose that architecture`;
}
