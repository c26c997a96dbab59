// SPDX-License-Identifier: Apache-2.0
// A network as data: the list of blocks with every shape resolved, ready for weights. Built from an
// architecture by buildNetwork; holds no weights and touches no native code. What a network costs
// (shapes at a given input size, parameters, MACs) is in describe.ts.

import { architectures, type Architecture } from './architectures.js';
import { checkFinite, checkInteger, checkOneOf, checkOptions, describeValue, invalidArgument, nearest } from './check.js';
import { EfficientNetError } from './errors.js';
import { roundChannels, roundRepeats } from './scaling.js';

export type Activation = 'none' | 'relu' | 'relu6' | 'swish' | 'sigmoid';
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
}

export interface HeadBlock {
  readonly kind: 'head';
  readonly in: number;
  readonly features: number;
  readonly classes: number;
  readonly activation: Activation;
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
  readonly blocks: readonly MBConvBlock[];
  readonly head: HeadBlock;
}

export interface NetworkOptions {
  /** 'same' for a name with timm's `tf_` prefix, else 'symmetric'. */
  readonly padding?: Padding | undefined;
  /** 1e-3 for a name with timm's `tf_` prefix, else 1e-5. */
  readonly batchNormEpsilon?: number | undefined;
  /** 1000 unless given. */
  readonly classes?: number | undefined;
}

/** What a name means: the architecture, and whether it asks for TensorFlow's conventions. */
export interface ResolvedName {
  readonly architecture: Architecture;
  readonly tensorflow: boolean;
}

/**
 * Finds the architecture of a name: `b0`, `efficientnet_b0`, `efficientnet-b0`, `tf_efficientnet_b0`,
 * in any case and with or without timm's tag (`tf_efficientnet_b0.ns_jft_in1k`).
 * Throws ERR_UNKNOWN_ARCHITECTURE with the nearest known name.
 */
export function resolveName(name: string): ResolvedName {
  if (typeof name !== 'string') throw invalidArgument('architecture', 'the name of an architecture', name);
  const match = /^(tf[_-])?(?:efficientnet[_-]?)?([a-z0-9-]{1,16})(?:\.[a-z0-9_]{1,64})?$/.exec(name.toLowerCase());
  const architecture = Object.values(architectures).find((one) => one.name === match?.[2]);
  if (architecture !== undefined) return { architecture, tensorflow: match?.[1] !== undefined };
  const known = Object.keys(architectures);
  const suggestion = suggestName(name, known);
  throw new EfficientNetError(
    'ERR_UNKNOWN_ARCHITECTURE',
    `Expected the name of an architecture but received ${describeValue(name)}.` +
      (suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`) +
      ` Known: ${known.join(', ')}, each also as efficientnet_NAME, efficientnet-NAME or tf_efficientnet_NAME`,
  );
}

function suggestName(name: string, known: readonly string[]): string | undefined {
  const spellings = known.flatMap((one) => [one, `efficientnet_${one}`, `efficientnet-${one}`, `tf_efficientnet_${one}`]);
  const found = nearest(name, spellings);
  if (found !== undefined || name.length > 80) return found;
  // 'b9' or 'efficientnet_x0' with a foreign tag: compare what follows the family's name.
  return nearest(name.toLowerCase().replace(/^(tf[_-])?efficientnet[_-]?/, ''), known);
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
  const { architecture, tensorflow } =
    typeof source === 'string' ? resolveName(source) : { architecture: checkArchitecture(source), tensorflow: false };
  const { base, width, depth } = architecture;
  const stemChannels = roundChannels(base.stem, width);
  const blocks = buildBlocks(architecture, stemChannels);
  return {
    name: architecture.name,
    resolution: architecture.resolution,
    width,
    depth,
    padding: padding === undefined ? (tensorflow ? 'same' : 'symmetric') : checkOneOf('padding', padding, ['same', 'symmetric']),
    batchNormEpsilon:
      batchNormEpsilon === undefined ? (tensorflow ? 1e-3 : 1e-5) : checkFinite('batchNormEpsilon', batchNormEpsilon, 0, 1),
    stem: { kind: 'stem', in: 3, out: stemChannels, kernel: 3, stride: 2, activation: 'swish' },
    blocks,
    head: {
      kind: 'head',
      in: blocks[blocks.length - 1]?.out ?? stemChannels,
      features: roundChannels(base.head, width),
      classes: classes === undefined ? 1000 : checkInteger('classes', classes, 1, 1_000_000),
      activation: 'swish',
    },
  };
}

function buildBlocks({ base, width, depth }: Architecture, stemChannels: number): MBConvBlock[] {
  const blocks: MBConvBlock[] = [];
  let channels = stemChannels;
  base.stages.forEach((stage, stageIndex) => {
    const out = roundChannels(stage.out, width);
    const repeats = roundRepeats(stage.repeats, depth);
    for (let index = 0; index < repeats; index++) {
      const stride = index === 0 ? stage.stride : 1;
      blocks.push({
        kind: 'mbconv',
        stage: stageIndex,
        index,
        in: channels,
        expanded: channels * stage.expand,
        out,
        kernel: stage.kernel,
        stride,
        squeeze: base.squeezeRatio === 0 ? 0 : Math.max(1, Math.floor(channels * base.squeezeRatio)),
        hasExpand: stage.expand !== 1,
        residual: stride === 1 && channels === out,
        activation: 'swish',
      });
      channels = out;
    }
  });
  return blocks;
}

/** A caller's own architecture; the limits keep every later product of shapes an exact integer. */
function checkArchitecture(architecture: Architecture): Architecture {
  if (typeof architecture !== 'object' || architecture === null || typeof architecture.base !== 'object' || architecture.base === null) {
    throw invalidArgument('architecture', 'a name or an architecture', architecture);
  }
  const { base } = architecture;
  checkFinite('architecture.width', architecture.width, 0.01, 100);
  checkFinite('architecture.depth', architecture.depth, 0.01, 100);
  checkInteger('architecture.resolution', architecture.resolution, 1, 65_536);
  checkInteger('architecture.base.stem', base.stem, 1, 65_536);
  checkInteger('architecture.base.head', base.head, 1, 65_536);
  checkFinite('architecture.base.squeezeRatio', base.squeezeRatio, 0, 1);
  if (!Array.isArray(base.stages) || base.stages.length === 0 || base.stages.length > 64) {
    throw invalidArgument('architecture.base.stages', '1 to 64 stages', base.stages);
  }
  base.stages.forEach((stage, i) => {
    const name = `architecture.base.stages[${i}]`;
    checkOneOf(`${name}.kernel`, String(stage.kernel), ['3', '5']);
    checkInteger(`${name}.stride`, stage.stride, 1, 2);
    checkInteger(`${name}.expand`, stage.expand, 1, 64);
    checkInteger(`${name}.out`, stage.out, 1, 65_536);
    checkInteger(`${name}.repeats`, stage.repeats, 1, 1000);
  });
  return architecture;
}
