// SPDX-License-Identifier: Apache-2.0
// A network as data: the list of blocks with every shape resolved, ready for weights. Built from an
// architecture by buildNetwork; holds no weights and touches no native code. Which layers a block has
// is in layers.ts, what a network costs in describe.ts.

import type { Activation, Architecture, BaseNetwork, Stage } from './architecture.js';
import { checkFinite, checkInteger, checkOneOf, checkOptions, invalidArgument, isRevoked } from './check.js';
import { resolveName } from './names.js';
import { roundChannels, roundRepeats } from './scaling.js';

export type { Activation } from './architecture.js';
/** TensorFlow's SAME, computed from the real size, or PyTorch's symmetric kernel / 2. */
export type Padding = 'same' | 'symmetric';

export interface StemBlock {
  readonly kind: 'stem';
  readonly in: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  readonly activation: Activation;
}

/** 1x1 expansion, depthwise convolution, excite, 1x1 projection without activation, plus the input. */
export interface MBConvBlock {
  readonly kind: 'mbconv';
  /** Stage from 0 and index within it, as checkpoints count. */
  readonly stage: number;
  readonly index: number;
  readonly in: number;
  readonly expanded: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  /** Channels of the squeeze; 0 without excite. */
  readonly squeeze: number;
  readonly hasExpand: boolean;
  readonly residual: boolean;
  readonly activation: Activation;
  readonly squeezeActivation: Activation;
  readonly gateActivation: Activation;
}

/**
 * Dense convolution with activation, 1x1 projection without, plus the input. Without a projection it
 * is one convolution with activation, `expanded` equals `out`, and the input is added after it.
 */
export interface FusedBlock {
  readonly kind: 'fused';
  readonly stage: number;
  readonly index: number;
  readonly in: number;
  readonly expanded: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  readonly hasProject: boolean;
  readonly residual: boolean;
  readonly activation: Activation;
}

export type Block = MBConvBlock | FusedBlock;

/** 1x1 convolution, mean over the image, with `hidden` a dense layer, then the classifier. */
export interface HeadBlock {
  readonly kind: 'head';
  readonly in: number;
  readonly features: number;
  /** Width of a dense layer between mean and classifier; 0 for none. */
  readonly hidden: number;
  /** False where the hidden layer adds no bias: it counts no parameters, and checkpoints have none. */
  readonly hiddenBias?: false;
  readonly classes: number;
  readonly activation: Activation;
  readonly hiddenActivation: Activation;
}

export interface Network {
  readonly name: string;
  /** Default input height and width in pixels. */
  readonly resolution: number;
  readonly width: number;
  readonly depth: number;
  readonly padding: Padding;
  readonly batchNormEpsilon: number;
  readonly stem: StemBlock;
  readonly blocks: readonly Block[];
  readonly head: HeadBlock;
  /** Channels were removed after training: mapWeights takes their counts from the checkpoint. */
  readonly pruned?: true;
}

/** Width of the embedding, which is what the classifier sees. */
export function embeddingSize({ features, hidden }: HeadBlock): number {
  return hidden === 0 ? features : hidden;
}

export interface NetworkOptions {
  /** What the name says: 'same' with timm's `tf_` prefix, else 'symmetric'. */
  readonly padding?: Padding | undefined;
  /** What the name says: 1e-3 with timm's `tf_` prefix and for some of torchvision's, else 1e-5. */
  readonly batchNormEpsilon?: number | undefined;
  /** What the weights have that the name asks for (21,843 of `.in21k`), 1000 for most; 0 for no classifier. */
  readonly classes?: number | undefined;
}

/**
 * Builds a network from a name or from an architecture of your own. Padding, epsilon and class count
 * belong to the checkpoint: give those that `detectSource` reports.
 *
 * @example buildNetwork('b0', { padding: 'same', batchNormEpsilon: 1e-3 }).blocks.length // 16
 */
export function buildNetwork(source: string | Architecture, options?: NetworkOptions): Network {
  const { padding, batchNormEpsilon, classes } = checkOptions<NetworkOptions>('the network options', options, [
    'padding',
    'batchNormEpsilon',
    'classes',
  ]);
  const named = typeof source === 'string' ? resolveName(source) : undefined;
  const architecture = named?.architecture ?? checkArchitecture(source as Architecture);
  const { base, width, depth } = architecture;
  const activation = base.activation ?? 'swish';
  const stem = stemChannels(architecture);
  const blocks = [...eachBlock(architecture)];
  return {
    name: architecture.name,
    resolution: architecture.resolution,
    width,
    depth,
    padding: padding === undefined ? (named?.tensorflow === true ? 'same' : 'symmetric') : checkOneOf('padding', padding, ['same', 'symmetric']),
    batchNormEpsilon:
      batchNormEpsilon === undefined ? (named?.batchNormEpsilon ?? 1e-5) : checkFinite('batchNormEpsilon', batchNormEpsilon, 0, 1),
    stem: { kind: 'stem', in: 3, out: stem, kernel: 3, stride: 2, activation },
    blocks,
    head: {
      kind: 'head',
      in: blocks[blocks.length - 1]?.out ?? stem,
      features: headChannels(architecture),
      hidden: base.hidden ?? 0,
      ...(base.hiddenBias === false ? { hiddenBias: false } : {}),
      classes: classes === undefined ? (named?.published?.recipe.classes ?? 1000) : checkInteger('classes', classes, 0, 1_000_000),
      activation,
      hiddenActivation: activation,
    },
    ...(named?.pruned === true ? { pruned: true } : {}),
  };
}

/** Outputs of the stem, which tell most architectures apart without building them. */
export function stemChannels({ base, width }: Architecture): number {
  return base.fixedStem === true ? base.stem : roundChannels(base.stem, width, base.rounding);
}

/** Outputs of the last convolution. */
export function headChannels({ base: { head, headScaling = 'scaled', rounding }, width }: Architecture): number {
  if (headScaling === 'fixed') return head;
  const scaled = roundChannels(head, width, rounding);
  return headScaling === 'widened' ? Math.max(head, scaled) : scaled;
}

/** Blocks in the order of execution, each made when it is asked for. */
export function* eachBlock(architecture: Architecture): Generator<Block> {
  const { base, width, depth } = architecture;
  let channels = stemChannels(architecture);
  let stage = -1;
  let index = 0;
  for (const { row, begins, repeats } of scaledRows(base, depth)) {
    if (begins) {
      stage++;
      index = 0;
    }
    for (let repeat = 0; repeat < repeats; repeat++) {
      const block = buildBlock(base, row, { width, stage, index, channels, first: repeat === 0 });
      yield block;
      channels = block.out;
      index++;
    }
  }
  yield* headBlocks(architecture, channels, stage + 1);
}

/** How often the last convolution comes. */
export function headRepeats({ base, depth }: Architecture): number {
  return base.headRepeats === undefined ? 1 : roundRepeats(base.headRepeats, depth, base.rounding?.depth);
}

/** Convolutions before the head's own, where that is repeated. */
function headBlocks(architecture: Architecture, channels: number, stage: number): Block[] {
  const { base } = architecture;
  const count = headRepeats(architecture) - 1;
  const out = headChannels(architecture);
  return Array.from({ length: count }, (_, index) => ({
    kind: 'fused', stage, index, in: index === 0 ? channels : out, expanded: out, out, kernel: 1, stride: 1,
    hasProject: false, residual: false, activation: base.activation ?? 'swish',
  }));
}

/** Blocks of each row of the architecture's table. */
export function rowRepeats({ base, depth }: Architecture): readonly number[] {
  return scaledRows(base, depth).map(({ repeats }) => repeats);
}

interface ScaledRow {
  readonly row: Stage;
  /** The first row of its stage. */
  readonly begins: boolean;
  readonly repeats: number;
}

/** Depth multiplies the blocks of a whole stage, which its rows then share, the last first: so do timm's networks. */
function scaledRows({ stages, fixedEnds, rounding }: BaseNetwork, depth: number): ScaledRow[] {
  const groups: Stage[][] = [];
  for (const row of stages) {
    const group = groups.at(-1);
    if (row.continues === true && group !== undefined) group.push(row);
    else groups.push([row]);
  }
  return groups.flatMap((rows, stage) => {
    const fixed = fixedEnds === true && (stage === 0 || stage === groups.length - 1);
    let left = rows.reduce((sum, { repeats }) => sum + repeats, 0);
    let scaled = fixed ? left : roundRepeats(left, depth, rounding?.depth);
    const shares = rows.toReversed().map((row) => {
      const repeats = roundRepeats(row.repeats / left, scaled, 'nearest');
      left -= row.repeats;
      scaled -= repeats;
      return repeats;
    });
    return rows.map((row, i) => ({ row, begins: i === 0, repeats: shares[rows.length - 1 - i] ?? row.repeats }));
  });
}

interface Place {
  readonly width: number;
  readonly stage: number;
  readonly index: number;
  /** Of the block's input. */
  readonly channels: number;
  /** The first of its row, which strides. */
  readonly first: boolean;
}

function buildBlock(base: BaseNetwork, row: Stage, { width, stage, index, channels, first }: Place): Block {
  const out = roundChannels(row.out, width, base.rounding);
  const stride = first ? row.stride : 1;
  const from = row.expandFrom === undefined ? channels : roundChannels(row.expandFrom, width, base.rounding);
  // MobileNetV3 expands by fractions.
  const expanded = Number.isInteger(row.expand) ? from * row.expand : roundChannels(from, row.expand, base.rounding);
  const residual = row.plain !== true && stride === 1 && channels === out;
  const activation = row.activation ?? base.activation ?? 'swish';
  const common = { stage, index, in: channels, out, kernel: row.kernel, stride, residual, activation };
  if (row.kind === 'fused') return { kind: 'fused', ...common, expanded, hasProject: true };
  if (row.kind === 'conv') return { kind: 'fused', ...common, expanded: out, hasProject: false };
  const ratio = row.squeeze ?? base.squeezeRatio;
  return {
    kind: 'mbconv',
    ...common,
    expanded,
    squeeze: squeezeChannels(base, ratio, channels, expanded),
    hasExpand: row.expand !== 1 || row.keepsExpansion === true,
    squeezeActivation: base.squeezeActivation ?? activation,
    gateActivation: base.gateActivation ?? 'sigmoid',
  };
}

function squeezeChannels({ squeezeOf, squeezeDivisor, rounding }: BaseNetwork, ratio: number, channels: number, expanded: number): number {
  if (ratio === 0) return 0;
  if (squeezeOf === 'expanded') return roundChannels(expanded, ratio, { ...rounding, divisor: squeezeDivisor ?? rounding?.divisor });
  return Math.max(1, Math.floor(channels * ratio));
}

const activations: readonly Activation[] = ['none', 'relu', 'relu6', 'swish', 'sigmoid', 'hard-swish', 'hard-sigmoid'];

/** A caller's own architecture; the limits keep every later product of shapes an exact integer. */
function checkArchitecture(architecture: Architecture): Architecture {
  if (typeof architecture !== 'object' || architecture === null || isRevoked(architecture) || isRevoked(architecture.base) || typeof architecture.base !== 'object' || architecture.base === null) {
    throw invalidArgument('architecture', 'a name or an architecture', architecture);
  }
  const { base } = architecture;
  if (typeof architecture.name !== 'string') throw invalidArgument('architecture.name', 'a string', architecture.name);
  checkFinite('architecture.width', architecture.width, 0.01, 100);
  checkFinite('architecture.depth', architecture.depth, 0.01, 100);
  checkInteger('architecture.resolution', architecture.resolution, 1, 65_536);
  checkBase(base);
  if (!Array.isArray(base.stages) || base.stages.length === 0 || base.stages.length > 64) {
    throw invalidArgument('architecture.base.stages', '1 to 64 stages', base.stages);
  }
  // Not forEach, which passes over holes.
  for (const [i, stage] of base.stages.entries()) checkStage(`architecture.base.stages[${i}]`, stage);
  return architecture;
}

/** Checks what is there. */
function optional<T>(name: string, value: T | undefined, check: (name: string, value: T) => void): void {
  if (value !== undefined) check(name, value);
}

function checkBase(base: BaseNetwork): void {
  const at = (field: string): string => `architecture.base.${field}`;
  const one = <T extends string>(choices: readonly T[]) => (name: string, value: T): void => void checkOneOf(name, value, choices);
  checkInteger(at('stem'), base.stem, 1, 65_536);
  checkInteger(at('head'), base.head, 1, 65_536);
  optional(at('hidden'), base.hidden, (name, hidden) => checkInteger(name, hidden, 1, 65_536));
  checkFinite(at('squeezeRatio'), base.squeezeRatio, 0, 1);
  optional(at('headRepeats'), base.headRepeats, (name, repeats) => checkInteger(name, repeats, 1, 1000));
  optional(at('hiddenBias'), base.hiddenBias, (name, bias: unknown) => {
    if (bias !== false) throw invalidArgument(name, 'false, or nothing', bias);
  });
  optional(at('squeezeDivisor'), base.squeezeDivisor, (name, divisor) => checkInteger(name, divisor, 1, 1024));
  optional(at('squeezeOf'), base.squeezeOf, one(['input', 'expanded']));
  optional(at('activation'), base.activation, one(activations));
  optional(at('squeezeActivation'), base.squeezeActivation, one(activations));
  optional(at('gateActivation'), base.gateActivation, one(activations));
  optional(at('headScaling'), base.headScaling, one(['scaled', 'fixed', 'widened']));
  if (base.rounding !== undefined && (typeof base.rounding !== 'object' || base.rounding === null))
    throw invalidArgument(at('rounding'), 'an object', base.rounding);
  optional(at('rounding.divisor'), base.rounding?.divisor, (name, divisor) => checkInteger(name, divisor, 1, 1024));
  optional(at('rounding.limit'), base.rounding?.limit, (name, limit) => checkFinite(name, limit, 0, 1));
  optional(at('rounding.depth'), base.rounding?.depth, one(['up', 'nearest']));
}

function checkStage(name: string, stage: Stage): void {
  if (typeof stage !== 'object' || stage === null) throw invalidArgument(name, 'an object', stage);
  optional(`${name}.kind`, stage.kind, (field, kind) => checkOneOf(field, kind, ['mbconv', 'fused', 'conv']));
  const dense = stage.kind === 'fused' || stage.kind === 'conv';
  const kernel = checkInteger(`${name}.kernel`, stage.kernel, 1, dense ? 5 : 31);
  if (kernel % 2 === 0) throw invalidArgument(`${name}.kernel`, 'an odd number', kernel);
  checkInteger(`${name}.stride`, stage.stride, 1, 2);
  checkFinite(`${name}.expand`, stage.expand, stage.kind === 'conv' ? 1 : 0.01, stage.kind === 'conv' ? 1 : 64);
  optional(`${name}.expandFrom`, stage.expandFrom, (field, from) => checkInteger(field, from, 1, 65_536));
  checkInteger(`${name}.out`, stage.out, 1, 65_536);
  checkInteger(`${name}.repeats`, stage.repeats, 1, 1000);
  optional(`${name}.squeeze`, stage.squeeze, (field, squeeze) => checkFinite(field, squeeze, 0, 1));
  optional(`${name}.activation`, stage.activation, (field, one) => checkOneOf(field, one, activations));
}
