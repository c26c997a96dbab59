// SPDX-License-Identifier: Apache-2.0
// Networks that a file describes by itself: a graph by its operations, a checkpoint of this package's
// own by a string of JSON in its metadata. Finds the name of such a network where it has one.

import { architectures } from './architectures.js';
import { EfficientNetError } from './errors.js';
import type { Checkpoint } from './formats/tensor.js';
import { buildNetwork, type Activation, type Block, type HeadBlock, type Network, type Padding, type StemBlock } from './network.js';

type Shape = Pick<Network, 'stem' | 'blocks' | 'head'>;

/** Of a network that no architecture of the family is: other widths, say, after pruning. */
const kUnnamed = 'custom';

/**
 * The network that the checkpoint describes, or undefined where it holds nothing but tensors. One whose
 * blocks are those of an architecture has its name. Throws ERR_INVALID_CHECKPOINT for metadata that
 * describes none.
 */
export function describedNetwork(checkpoint: Checkpoint): Network | undefined {
  const { network, metadata, input } = checkpoint;
  if (network === undefined) {
    const text = isOwn(metadata) ? metadata.get('network') : undefined;
    return text === undefined ? undefined : finish(parseShape(text), conventions(metadata, undefined), undefined);
  }
  const padding = network.paddingCertain ? network.padding : (ownPadding(checkpoint) ?? network.padding);
  const said = conventions(isOwn(metadata) ? metadata : new Map(), padding);
  return finish(network, said, input?.height === input?.width ? input?.height : undefined);
}

/** What a file that this package wrote says of its padding. */
export function ownPadding({ metadata }: Checkpoint): Padding | undefined {
  const padding = isOwn(metadata) ? metadata.get('padding') : undefined;
  return padding === 'same' || padding === 'symmetric' ? padding : undefined;
}

function isOwn(metadata: ReadonlyMap<string, string>): boolean {
  return metadata.get('format') === 'efficientnet-simd';
}

/** The string that describedNetwork reads back. */
export function networkMetadata({ stem, blocks, head }: Network): string {
  return JSON.stringify({ stem, blocks, head });
}

/**
 * What differs first between two networks, but for the class count: "blocks.3 has the stride 2, expected 1".
 * Undefined where nothing does.
 */
export function firstDifference(found: Shape, expected: Shape): string | undefined {
  if (found.blocks.length !== expected.blocks.length) return `it has ${found.blocks.length} blocks, expected ${expected.blocks.length}`;
  const parts: (readonly [string, StemBlock | Block | HeadBlock, StemBlock | Block | HeadBlock | undefined])[] = [
    ['stem', found.stem, expected.stem],
    ...found.blocks.map((block, i) => [`blocks.${i}`, block, expected.blocks[i]] as const),
    ['head', found.head, expected.head],
  ];
  for (const [name, a, b] of parts) {
    const [left, right] = [comparable(a), new Map(b === undefined ? [] : comparable(b))];
    for (const [key, value] of left) {
      if (value !== right.get(key)) return `${name} has the ${key} ${String(value)}, expected ${String(right.get(key))}`;
    }
  }
  return undefined;
}

/** Where a stage ends is not to be seen in a graph, and activations of layers that are not there do not matter. */
function comparable(part: StemBlock | Block | HeadBlock): (readonly [string, unknown])[] {
  const skipped = new Set(['stage', 'index', 'classes']);
  if (part.kind === 'mbconv' && part.squeeze === 0) ['squeezeActivation', 'gateActivation'].forEach((key) => skipped.add(key));
  if (part.kind === 'head' && part.hidden === 0) skipped.add('hiddenActivation');
  return Object.entries(part).filter(([key]) => !skipped.has(key));
}

interface Conventions {
  readonly padding: Padding;
  readonly batchNormEpsilon: number;
}

function conventions(metadata: ReadonlyMap<string, string>, found: Padding | undefined): Conventions {
  const padding = found ?? metadata.get('padding');
  const epsilon = metadata.get('batchNormEpsilon');
  if (padding !== 'same' && padding !== 'symmetric') throw badNetwork("expected 'same' or 'symmetric' for padding");
  // Folding is done, so the epsilon is told and no longer used: the padding's own people use this one.
  const otherwise = padding === 'same' ? 1e-3 : 1e-5;
  const number = epsilon === undefined ? otherwise : Number(epsilon);
  if (!(number >= 0 && number <= 1)) throw badNetwork('expected a number from 0 to 1 for batchNormEpsilon');
  return { padding, batchNormEpsilon: number };
}

function finish(shape: Shape, { padding, batchNormEpsilon }: Conventions, resolution: number | undefined): Network {
  const { classes } = shape.head;
  for (const name of Object.keys(architectures)) {
    const network = buildNetwork(name, { padding, batchNormEpsilon, classes });
    if (firstDifference(shape, network) === undefined) return resolution === undefined ? network : { ...network, resolution };
  }
  const { stem, blocks, head } = shape;
  return { name: kUnnamed, resolution: resolution ?? 224, width: 1, depth: 1, padding, batchNormEpsilon, stem, blocks, head };
}

// ---- metadata -------------------------------------------------------------------------------------------

function badNetwork(what: string): EfficientNetError {
  return new EfficientNetError('ERR_INVALID_CHECKPOINT', `The checkpoint's metadata describes no network: ${what}`);
}

type Fields = Readonly<Record<string, unknown>>;

const activations: readonly Activation[] = ['none', 'relu', 'relu6', 'swish', 'sigmoid', 'hard-swish', 'hard-sigmoid'];
const kMaxBlocks = 1000;
const kMaxChannels = 65_536;

function parseShape(text: string): Shape {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badNetwork('expected JSON for network');
  }
  const { stem, blocks, head } = fields(value, 'network');
  if (!Array.isArray(blocks) || blocks.length > kMaxBlocks) throw badNetwork(`expected a list of at most ${kMaxBlocks} blocks`);
  return { stem: parseStem(fields(stem, 'stem')), blocks: blocks.map((block, i) => parseBlock(fields(block, `blocks.${i}`), `blocks.${i}`)), head: parseHead(fields(head, 'head')) };
}

function fields(value: unknown, name: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw badNetwork(`expected an object for ${name}`);
}

function integer(source: Fields, key: string, name: string, lowest = 1, highest = kMaxChannels): number {
  const value = Object.hasOwn(source, key) ? source[key] : undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= lowest && value <= highest) return value;
  throw badNetwork(`expected an integer from ${lowest} to ${highest} for ${name}.${key}`);
}

function flag(source: Fields, key: string, name: string): boolean {
  const value = Object.hasOwn(source, key) ? source[key] : undefined;
  if (typeof value === 'boolean') return value;
  throw badNetwork(`expected true or false for ${name}.${key}`);
}

function activationOf(source: Fields, key: string, name: string): Activation {
  const found = activations.find((one) => Object.hasOwn(source, key) && source[key] === one);
  if (found === undefined) throw badNetwork(`expected an activation for ${name}.${key}`);
  return found;
}

function parseStem(source: Fields): StemBlock {
  const number = (key: string, highest?: number): number => integer(source, key, 'stem', 1, highest);
  return { kind: 'stem', in: number('in'), out: number('out'), kernel: number('kernel', 31), stride: number('stride', 2), activation: activationOf(source, 'activation', 'stem') };
}

function parseBlock(source: Fields, name: string): Block {
  const number = (key: string, lowest = 1, highest = kMaxChannels): number => integer(source, key, name, lowest, highest);
  const common = {
    stage: number('stage', 0),
    index: number('index', 0),
    in: number('in'),
    expanded: number('expanded'),
    out: number('out'),
    kernel: number('kernel', 1, 31),
    stride: number('stride', 1, 2),
    residual: flag(source, 'residual', name),
    activation: activationOf(source, 'activation', name),
  };
  const kind = source['kind'];
  if (kind === 'fused') return { kind, ...common, hasProject: flag(source, 'hasProject', name) };
  if (kind !== 'mbconv') throw badNetwork(`expected 'mbconv' or 'fused' for ${name}.kind`);
  return {
    kind,
    ...common,
    squeeze: number('squeeze', 0),
    hasExpand: flag(source, 'hasExpand', name),
    squeezeActivation: activationOf(source, 'squeezeActivation', name),
    gateActivation: activationOf(source, 'gateActivation', name),
  };
}

function parseHead(source: Fields): HeadBlock {
  return {
    kind: 'head',
    in: integer(source, 'in', 'head'),
    features: integer(source, 'features', 'head'),
    hidden: integer(source, 'hidden', 'head', 0),
    classes: integer(source, 'classes', 'head', 0, 1_000_000),
    activation: activationOf(source, 'activation', 'head'),
    hiddenActivation: activationOf(source, 'hiddenActivation', 'head'),
  };
}
