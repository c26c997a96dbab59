// SPDX-License-Identifier: Apache-2.0
// From a checkpoint's tensors to the engine's weights: canonical layout, batch norm folded, every
// tensor used exactly once and checked. Knows no file format (formats/) and packs nothing (native).

import { invalidArgument } from './check.js';
import { Collector, foldLayer, weightShape, weightsMismatch, type CollectedLayer, type FoldedLayer } from './fold.js';
import { describedNetwork, firstDifference } from './described-network.js';
import type { Checkpoint, Tensor } from './formats/tensor.js';
import type { LayerSize } from './layers.js';
import { classCount, hasClassifier, inferArchitecture, namedLayers, type NamingScheme } from './naming.js';
import { canonicalScheme } from './naming/folded.js';
import { buildNetwork, type Network } from './network.js';
import { adoptShapes } from './pruned.js';
import { detectSource, schemeOf } from './source.js';

/** Row-major float32 with batch norm folded in; the shapes are those of native/engine/network.h. */
export interface StemWeights<W = Float32Array> {
  /** [out][in][kernel][kernel] */
  readonly weights: W;
  readonly bias: Float32Array;
}

export interface MBConvWeights<W = Float32Array> {
  /** [expanded][in]; empty without expansion, like its bias. */
  readonly expandWeights: W;
  readonly expandBias: Float32Array;
  /** [expanded][kernel][kernel] */
  readonly depthwiseWeights: W;
  readonly depthwiseBias: Float32Array;
  /** [squeeze][expanded]; empty without excite, like the next three. */
  readonly reduceWeights: W;
  readonly reduceBias: Float32Array;
  /** [expanded][squeeze] */
  readonly exciteWeights: W;
  readonly exciteBias: Float32Array;
  /** [out][expanded] */
  readonly projectWeights: W;
  readonly projectBias: Float32Array;
}

export interface FusedWeights<W = Float32Array> {
  /** [expanded][in][kernel][kernel] */
  readonly convWeights: W;
  readonly convBias: Float32Array;
  /** [out][expanded]; empty without a projection, like its bias. */
  readonly projectWeights: W;
  readonly projectBias: Float32Array;
}

export type BlockWeights<W = Float32Array> = MBConvWeights<W> | FusedWeights<W>;

export interface HeadWeights<W = Float32Array> {
  /** [features][in] */
  readonly convWeights: W;
  readonly convBias: Float32Array;
  /** [hidden][features]; empty without a hidden layer, like its bias. */
  readonly hiddenWeights: W;
  readonly hiddenBias: Float32Array;
  /** [classes][hidden, or features without a hidden layer] */
  readonly classifierWeights: W;
  readonly classifierBias: Float32Array;
}

export interface NetworkWeights<W> {
  /** The network that they are for; its class count is the classifier's. */
  readonly network: Network;
  readonly stem: StemWeights<W>;
  /** One for each block of the network, of its kind. */
  readonly blocks: readonly BlockWeights<W>[];
  readonly head: HeadWeights<W>;
}

export type FoldedWeights = NetworkWeights<Float32Array>;

/** A checkpoint's tensors as the layers of a network: checked, and nothing of them read or copied. */
export interface CollectedWeights {
  readonly network: Network;
  /** By path (`stem`, `blocks.3.depthwise`, `head.classifier`), in the order of execution. */
  readonly layers: ReadonlyMap<string, CollectedLayer>;
  /** No byte belongs to two tensors, as it may in PyTorch's files. */
  readonly areApart: boolean;
}

/**
 * Maps a checkpoint to the network's weights. Without a network the checkpoint decides which it is;
 * the class count is always the classifier's, and the result's `network` has it.
 * Batch norm is folded in double precision and rounded to float32 once; float64 tensors are used in
 * full and rounded there too. Weights without batch norm may be views on the checkpoint's bytes. With
 * `consume` the checkpoint's bytes become the weights where they can, and the checkpoint is spent.
 *
 * Throws ERR_WEIGHTS_MISMATCH for a missing, surplus or wrongly shaped tensor, for values that are
 * not finite and for variances that are none; ERR_UNSUPPORTED for other element types.
 */
export function mapWeights(checkpoint: Checkpoint, network?: Network, options: { readonly consume?: boolean } = {}): FoldedWeights {
  return foldAll(collectWeights(checkpoint, network), options);
}

/** The second half of mapWeights. */
export function foldAll({ network, layers, areApart }: CollectedWeights, options: { readonly consume?: boolean } = {}): FoldedWeights {
  const consume = options.consume === true && areApart;
  return assembleWeights(network, (path) => {
    const layer = layers.get(path);
    return layer === undefined ? kNoLayer : foldLayer(layer, network.batchNormEpsilon, consume);
  });
}

/** The first half of mapWeights, with its errors about names and shapes. Reads no tensor's values. */
export function collectWeights(checkpoint: Checkpoint, network?: Network): CollectedWeights {
  const scheme = schemeOf(checkpoint);
  const defined = withClasses(network ?? inferNetwork(checkpoint, scheme), checkpoint, scheme);
  const wanted = defined.pruned === true ? adoptShapes(defined, checkpoint, scheme) : defined;
  if (network !== undefined) checkDescribed(checkpoint, wanted, () => hintFor(checkpoint, scheme, wanted));

  const collector = new Collector(checkpoint, scheme.layout);
  const layers = new Map<string, CollectedLayer>();
  for (const { path, names, size } of namedLayers(wanted, scheme)) {
    const layer = names === undefined ? collector.unnamed(path, scheme.title) : collector.layer(names, size);
    if (layer !== undefined) layers.set(path, layer);
  }
  collector.finish(wanted.name, () => hintFor(checkpoint, scheme, wanted), (name) => scheme.ignores?.(name) ?? false);

  return { network: wanted, layers, areApart: areApart([...checkpoint.tensors.values()]) };
}

/** Whether no byte belongs to two tensors: PyTorch's may share a storage. */
function areApart(tensors: readonly Tensor[]): boolean {
  const ends = new Map<ArrayBufferLike, number>();
  return tensors
    .filter(({ bytes }) => bytes.length > 0) // one amidst another would lower the end
    .sort((a, b) => a.bytes.byteOffset - b.bytes.byteOffset)
    .every(({ bytes }) => {
      const free = bytes.byteOffset >= (ends.get(bytes.buffer) ?? 0);
      ends.set(bytes.buffer, bytes.byteOffset + bytes.length);
      return free;
    });
}

/** Of a layer that the network does not have. */
export const kNoLayer: FoldedLayer = { weights: new Float32Array(0), bias: new Float32Array(0) };

/**
 * The engine's weights from single layers. `make` is called once for each layer that the network has,
 * in the order of execution, with its path (`stem`, `blocks.3.depthwise`, `head.classifier`) and size;
 * it gives the weights in the engine's order and one bias for each output.
 */
export function assembleWeights<W = Float32Array>(network: Network, make: (path: string, size: LayerSize) => FoldedLayer<W>): NetworkWeights<W | Float32Array> {
  const made = new Map<string, FoldedLayer<W | Float32Array>>(namedLayers(network, canonicalScheme).map(({ path, size }) => [path, make(path, size)]));
  const part = (prefix: string): LayerSource<W | Float32Array> => (layer) => made.get(`${prefix}.${layer}`) ?? kNoLayer;
  return {
    network,
    stem: made.get('stem') ?? kNoLayer,
    blocks: network.blocks.map(({ kind }, i) => (kind === 'fused' ? fusedWeights : mbconvWeights)(part(`blocks.${i}`))),
    head: headWeights(part('head')),
  };
}

type LayerSource<W> = (layer: string) => FoldedLayer<W>;

function mbconvWeights<W>(layer: LayerSource<W>): MBConvWeights<W> {
  const [expand, depthwise, reduce, excite, project] =
    [layer('expand'), layer('depthwise'), layer('reduce'), layer('excite'), layer('project')];
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

function fusedWeights<W>(layer: LayerSource<W>): FusedWeights<W> {
  const [conv, project] = [layer('conv'), layer('project')];
  return { convWeights: conv.weights, convBias: conv.bias, projectWeights: project.weights, projectBias: project.bias };
}

function headWeights<W>(layer: LayerSource<W>): HeadWeights<W> {
  const [conv, hidden, classifier] = [layer('conv'), layer('hidden'), layer('classifier')];
  return {
    convWeights: conv.weights,
    convBias: conv.bias,
    hiddenWeights: hidden.weights,
    hiddenBias: hidden.bias,
    classifierWeights: classifier.weights,
    classifierBias: classifier.bias,
  };
}

/** The weights and bias of the layer at a path; undefined where there is no such layer. */
export function layerWeights({ stem, blocks, head }: FoldedWeights, path: string): FoldedLayer | undefined {
  const [part, ...rest] = path.split('.');
  const source: object | undefined = part === 'stem' ? { stemWeights: stem.weights, stemBias: stem.bias } : part === 'head' ? head : blocks[Number(rest[0])];
  const layer = rest.at(-1) ?? 'stem';
  const values = new Map<string, unknown>(Object.entries(source ?? {}));
  const [weights, bias] = [values.get(`${layer}Weights`), values.get(`${layer}Bias`)];
  return weights instanceof Float32Array && bias instanceof Float32Array ? { weights, bias } : undefined;
}

/**
 * The weights as tensors in this package's own naming, in the engine's order: `stem.weight`,
 * `blocks.0.depthwise.weight`, `head.classifier.bias`. mapWeights reads them back bit for bit.
 */
export function canonicalTensors(folded: FoldedWeights): Tensor[] {
  const tensors: Tensor[] = [];
  for (const { path, names, size } of namedLayers(folded.network, canonicalScheme)) {
    const layer = layerWeights(folded, path);
    if (layer === undefined || names === undefined) throw invalidArgument('weights', `weights of ${path}`, folded);
    tensors.push(toTensor(names.weight, weightShape(size, 'engine'), layer.weights));
    if (names.bias !== undefined) tensors.push(toTensor(names.bias, [size.out], layer.bias));
  }
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

function toTensor(name: string, shape: readonly number[], values: Float32Array): Tensor {
  return { name, type: 'f32', shape, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

function inferNetwork(checkpoint: Checkpoint, scheme: NamingScheme): Network {
  const { architecture, padding, batchNormEpsilon, network } = detectSource(checkpoint);
  if (network !== undefined) return network;
  if (architecture !== undefined) return buildNetwork(architecture, { padding, batchNormEpsilon });
  throw weightsMismatch(
    `The checkpoint has the tensor names of ${scheme.title}, but its stem, head and blocks are of no network of the family; ` +
      'name the architecture to see which tensors differ',
  );
}

/** The network with the classifier's own class count, where there is a classifier to tell. */
function withClasses(network: Network, checkpoint: Checkpoint, scheme: NamingScheme): Network {
  const isBare = !hasClassifier(checkpoint, scheme);
  const classes = isBare ? 0 : classCount(checkpoint, scheme);
  if (classes === undefined || (classes === 0 && !isBare) || classes === network.head.classes) return network;
  return { ...network, head: { ...network.head, classes } };
}

/** A graph says how it strides and activates; weights alone would fit a network that does so elsewhere. */
function checkDescribed(checkpoint: Checkpoint, wanted: Network, hint: () => string): void {
  const found = describedNetwork(checkpoint);
  const difference = found === undefined ? undefined : firstDifference(found, wanted);
  if (difference !== undefined) throw weightsMismatch(`The checkpoint's own network is not ${wanted.name}: ${difference}.${hint()}`);
}

function hintFor(checkpoint: Checkpoint, scheme: NamingScheme, network: Network): string {
  const inferred = inferArchitecture(checkpoint, scheme);
  if (inferred === undefined || inferred === network.name) return '';
  // A damaged checkpoint may hold the whole of a lesser network: without its excite, B0 is Lite0.
  const matrices = [...checkpoint.tensors.values()].filter(({ shape }) => shape.length > 1).length;
  if (matrices > namedLayers(buildNetwork(inferred), scheme).length) return '';
  return ` By its shapes it is a checkpoint of ${inferred}: choose that architecture`;
}
