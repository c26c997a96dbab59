// SPDX-License-Identifier: Apache-2.0
// From a graph to a checkpoint: the blocks that were found in it with their shapes, and their weights
// under this package's own names, in the engine's order. What the blocks are is in graph-match.ts.

import { EfficientNetError } from '../errors.js';
import type { Graph } from './graph.js';
import { checkpointInput } from './graph-input.js';
import type { GraphActivation, GraphLayer } from './graph-layer.js';
import { matchGraph, type MatchedBlock, type MatchedGraph, type MatchedHead } from './graph-match.js';
import { findPadding } from './graph-padding.js';
import { layerTensors } from './graph-weights.js';
import type { Checkpoint, CheckpointFormat, CheckpointNetwork, Tensor } from './tensor.js';

/**
 * Reads the network out of a graph. Throws ERR_UNSUPPORTED, naming the node, for a graph that is no
 * network of the family, ERR_WEIGHTS_MISMATCH for constants that do not fit each other.
 */
export function graphCheckpoint(format: CheckpointFormat, graph: Graph, about: ReadonlyMap<string, string>): Checkpoint {
  const matched = matchGraph(graph);
  const { image, stem } = matched;
  const spatial = [stem.layer, ...matched.blocks.map((block) => (block.kind === 'mbconv' ? block.depthwise : block.conv))];
  const padding = findPadding(graph, spatial, image.height, image.width);
  checkWindows(graph, matched, image.height, image.width);

  checkSharing(matched);
  const tensors = new Map<string, Tensor>();
  const put = (prefix: string, layer: GraphLayer, shape: readonly number[]): void => {
    for (const tensor of layerTensors(prefix, shape, layer)) tensors.set(tensor.name, tensor);
  };
  putLayers(matched, put);
  const metadata = new Map(about);
  metadata.set('graph.preprocessing', image.steps);
  const network: CheckpointNetwork = {
    stem: {
      kind: 'stem', in: stem.layer.size.in, out: stem.layer.size.out, kernel: stem.layer.size.kernel, stride: stem.layer.stride, activation: stem.activation,
    },
    ...chain(matched, graph),
    padding: padding.padding,
    paddingCertain: padding.certain,
  };
  return { format, tensors, metadata, network, input: checkpointInput(image) };
}

/** Blocks and head; each takes the channels that come before it, so that a gap shows as a wrong shape. */
function chain({ stem, blocks: matched, head }: MatchedGraph, graph: Graph): Pick<CheckpointNetwork, 'blocks' | 'head'> {
  let channels = stem.layer.size.out;
  let [stage, index] = [-1, 0];
  const blocks = matched.map((block) => {
    const { size, name, stride } = block.kind === 'mbconv' ? block.depthwise : block.conv;
    const out = (block.kind === 'mbconv' ? block.project : (block.project ?? block.conv)).size.out;
    const from = channels;
    channels = out;
    // Within a stage nothing changes; the files do not say where one ends.
    if (stride > 1 || from !== out || stage < 0) [stage, index] = [stage + 1, 0];
    else index++;
    if (stride > 2) graph.fail(name, 'a convolution of stride 1 or 2');
    if (block.residual && (stride !== 1 || from !== out)) graph.fail(name, 'a block without a sum, since it changes the size or the channels,');
    const common = { stage, index, in: from, expanded: size.out, out, kernel: size.kernel, stride, residual: block.residual, activation: block.activation };
    return block.kind === 'fused'
      ? { kind: 'fused' as const, ...common, hasProject: block.project !== undefined }
      : { kind: 'mbconv' as const, ...common, squeeze: block.excite?.reduce.size.out ?? 0, hasExpand: block.expand !== undefined, ...exciteActivations(block.excite, block.activation) };
  });
  return { blocks, head: headOf(head, channels) };
}

function exciteActivations(excite: { readonly activation: GraphActivation; readonly gate: GraphActivation } | undefined, activation: GraphActivation) {
  return { squeezeActivation: excite?.activation ?? activation, gateActivation: excite?.gate ?? 'sigmoid' } as const;
}

function headOf({ conv, activation, hidden, classifier }: MatchedHead, channels: number): CheckpointNetwork['head'] {
  return {
    kind: 'head',
    in: channels,
    features: conv.size.out,
    hidden: hidden?.layer.size.out ?? 0,
    classes: classifier?.size.out ?? 0,
    activation,
    hiddenActivation: hidden?.activation ?? activation,
  };
}

/** Every layer's own shape: whether it fits its neighbours is checked where weights are mapped. */
function putLayers({ stem, blocks, head }: MatchedGraph, put: (prefix: string, layer: GraphLayer, shape: readonly number[]) => void): void {
  const dense = (prefix: string, layer: GraphLayer): void => put(prefix, layer, [layer.size.out, layer.size.in]);
  const full = (prefix: string, layer: GraphLayer): void => put(prefix, layer, [layer.size.out, layer.size.in, layer.size.kernel, layer.size.kernel]);
  full('stem', stem.layer);
  blocks.forEach((block, i) => putBlock(`blocks.${i}`, block, { dense, full, put }));
  dense('head.conv', head.conv);
  if (head.hidden !== undefined) dense('head.hidden', head.hidden.layer);
  if (head.classifier !== undefined) dense('head.classifier', head.classifier);
}

interface Put {
  readonly dense: (prefix: string, layer: GraphLayer) => void;
  readonly full: (prefix: string, layer: GraphLayer) => void;
  readonly put: (prefix: string, layer: GraphLayer, shape: readonly number[]) => void;
}

function putBlock(prefix: string, block: MatchedBlock, { dense, full, put }: Put): void {
  if (block.kind === 'fused') {
    full(`${prefix}.conv`, block.conv);
    if (block.project !== undefined) dense(`${prefix}.project`, block.project);
    return;
  }
  if (block.expand !== undefined) dense(`${prefix}.expand`, block.expand);
  const { out, kernel } = block.depthwise.size;
  put(`${prefix}.depthwise`, block.depthwise, [out, kernel, kernel]);
  if (block.excite !== undefined) {
    dense(`${prefix}.reduce`, block.excite.reduce);
    dense(`${prefix}.excite`, block.excite.excite);
  }
  dense(`${prefix}.project`, block.project);
}

/**
 * Exporters share small constants that are equal. A file that uses a large one for many layers would
 * take many times its own size in memory.
 */
function checkSharing({ stem, blocks, head }: MatchedGraph): void {
  const layers: GraphLayer[] = [stem.layer, head.conv, head.hidden?.layer, head.classifier].filter((layer) => layer !== undefined);
  for (const block of blocks) {
    const own = block.kind === 'fused' ? [block.conv, block.project] : [block.expand, block.depthwise, block.excite?.reduce, block.excite?.excite, block.project];
    layers.push(...own.filter((layer) => layer !== undefined));
  }
  const used = layers.reduce((sum, { weight }) => sum + weight.bytes.length, 0);
  const held = distinctBytes(layers.map(({ weight }) => weight.bytes));
  if (used > 2 * held + kSharedBytes) {
    throw new EfficientNetError('ERR_UNSUPPORTED', `Expected weights of each layer's own, but the graph uses ${held} bytes of weights as ${used}`);
  }
}

const kSharedBytes = 2 ** 20;

/** How many bytes the views cover together: constants of different names may lie in the same place. */
function distinctBytes(views: readonly Uint8Array[]): number {
  const reached = new Map<ArrayBufferLike, number>();
  let total = 0;
  for (const { buffer, byteOffset, byteLength } of [...views].sort((a, b) => a.byteOffset - b.byteOffset)) {
    const end = byteOffset + byteLength;
    const last = reached.get(buffer) ?? 0;
    if (end <= last) continue;
    total += end - Math.max(byteOffset, last);
    reached.set(buffer, end);
  }
  return total;
}

/** A pooling of a fixed size is a mean only where that is the size of its input. */
function checkWindows(graph: Graph, { stem, blocks, head }: MatchedGraph, height: number | undefined, width: number | undefined): void {
  let [rows, columns] = [height, width];
  const step = ({ stride }: GraphLayer): void => {
    rows = rows === undefined ? undefined : Math.ceil(rows / stride);
    columns = columns === undefined ? undefined : Math.ceil(columns / stride);
  };
  const check = (mean: string, window: readonly [number, number] | undefined): void => {
    if (window !== undefined && (window[0] !== rows || window[1] !== columns)) {
      graph.fail(mean, `a mean over the whole image, which is ${rows ?? 'of unknown height'} x ${columns ?? 'of unknown width'} there,`);
    }
  };
  step(stem.layer);
  for (const block of blocks) {
    step(block.kind === 'mbconv' ? block.depthwise : block.conv);
    if (block.kind === 'mbconv' && block.excite !== undefined) check(block.excite.reduce.input, block.excite.window);
  }
  check((head.hidden?.layer ?? head.classifier)?.input ?? graph.outputs[0] ?? '', head.window);
}
