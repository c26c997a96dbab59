// SPDX-License-Identifier: Apache-2.0
// Compound scaling by the paper's formula: a network for any real phi, from any base network. It
// does not reproduce the published B1 to B7, whose coefficients are a table of their own
// (scaling.ts); published.ts compares both. Nothing is measured here.

import type { Architecture, BaseNetwork } from '../architecture.js';
import { architectures } from '../architectures.js';
import { checkBoolean, checkFinite, checkInteger, checkOneOf, checkOptions, invalidArgument } from '../check.js';
import { describe } from '../describe.js';
import { EfficientNetError } from '../errors.js';
import { resolveName } from '../names.js';
import { buildNetwork, headChannels, headRepeats, rowRepeats, stemChannels, type Network, type Padding } from '../network.js';
import { roundChannels, roundRepeats } from '../scaling.js';
import {
  checkCoefficients,
  checkConstraint,
  constraintProduct,
  paperCoefficients,
  type CompoundCoefficients,
} from './constraint.js';
import { shareLayers, type DepthRounding } from './depth.js';

export interface ScaleOptions {
  /** Depth grows as alpha^phi; 0.1 to 10, 1.2 unless given, what the paper found on B0. */
  readonly alpha?: number | undefined;
  /** Width grows as beta^phi; 0.1 to 10, 1.1 unless given. */
  readonly beta?: number | undefined;
  /** Resolution grows as gamma^phi; 0.1 to 10, 1.15 unless given. */
  readonly gamma?: number | undefined;
  /** What phi = 0 gives: a name of the family, an architecture, or a network before scaling; 'b0' unless given. */
  readonly base?: string | BaseNetwork | Architecture | undefined;
  /** Height and width in pixels at phi = 0, 1 to 4096; the base's own, or 224 for a base without one. */
  readonly resolution?: number | undefined;
  /** Channels are rounded to multiples of this, 1 to 512; the base's own, which is 8, unless given. */
  readonly divisor?: number | undefined;
  /** Layers to the nearest whole number in all ('nearest', the default), or stage by stage upwards ('up'). */
  readonly depthRounding?: DepthRounding | undefined;
  /** The resolution is rounded to the nearest multiple of this many pixels, 1 to 512; 1 unless given. */
  readonly resolutionStep?: number | undefined;
  /**
   * Whether phi leaves the ends of the network as they are in the base: the channels of the stem and of
   * the last convolution, and the layers of the first and of the last stage. What the base says unless
   * given: true for EfficientNet-Lite, whose ends would not fit small devices, false for B0 and EdgeTPU.
   */
  readonly fixedEnds?: boolean | undefined;
  /** Coefficients that break the paper's condition are an error in place of a warning. */
  readonly strict?: boolean | undefined;
  /** How far alpha * beta^2 * gamma^2 may be from 2, 0 to 100; 0.1 unless given. */
  readonly tolerance?: number | undefined;
  /** As buildNetwork takes them: 'symmetric' and 1e-5 unless given. */
  readonly padding?: Padding | undefined;
  readonly batchNormEpsilon?: number | undefined;
  /** 1 to 1,000,000; 1000 unless given. */
  readonly classes?: number | undefined;
}

export interface ScaledNetwork extends CompoundCoefficients {
  readonly phi: number;
  /** alpha * beta^2 * gamma^2. */
  readonly product: number;
  /** Multiplies the base's channels before they are rounded. */
  readonly width: number;
  /** Multiplies the base's layers before they are rounded. */
  readonly depth: number;
  /** Height and width of the input in pixels, rounded. */
  readonly resolution: number;
  /** Blocks after rounding. */
  readonly blocks: number;
  readonly parameters: number;
  /** Multiply-accumulates of one image at the resolution. */
  readonly macs: number;
  readonly network: Network;
  /** What is doubtful about the coefficients, in words. */
  readonly warnings: readonly string[];
}

/** A network beyond one of these is refused: the addon runs none of them, or memory for it is not to be had. */
export const scaleLimits = {
  /** Pixels of height and width. */
  resolution: 4096,
  blocks: 1024,
  /** Channels of the widest layer. */
  channels: 32_768,
  /** 8 GB of float32. */
  parameters: 2e9,
} as const;

/** What buildNetwork takes; long before it all channels are the fewest that there can be. */
const SMALLEST_WIDTH = 0.01;

/** The options, for those that take them and more. */
export const scaleOptionNames: readonly (keyof ScaleOptions)[] = [
  'alpha',
  'beta',
  'gamma',
  'base',
  'resolution',
  'divisor',
  'depthRounding',
  'resolutionStep',
  'fixedEnds',
  'strict',
  'tolerance',
  'padding',
  'batchNormEpsilon',
  'classes',
];

/** Options that have been checked, once for any number of phi. */
export interface Formula extends CompoundCoefficients {
  readonly base: Architecture;
  readonly depthRounding: DepthRounding;
  readonly resolutionStep: number;
  /** Undefined: as the base says. */
  readonly fixedEnds: boolean | undefined;
  readonly warnings: readonly string[];
  readonly conventions: { readonly padding?: Padding; readonly batchNormEpsilon?: number; readonly classes?: number };
}

/**
 * The network that is `phi` steps larger than the base: depth times alpha^phi, width times beta^phi,
 * resolution times gamma^phi, so that its work is about (alpha * beta^2 * gamma^2)^phi times the
 * base's (arXiv 1905.11946, equation 3). Negative phi gives smaller ones.
 *
 * Channels are rounded as in every network of the family (to multiples of 8). Layers are rounded to
 * the nearest sum over all stages; the published networks round each stage up (`depthRounding: 'up'`),
 * with which the smallest step above phi = 0 adds a layer to every stage and 48 % to the work. The
 * paper gives no rule for the resolution: it is rounded to whole pixels.
 *
 * Throws ERR_INVALID_ARGUMENT for a phi that is not finite or that leads beyond `scaleLimits` or
 * below one pixel in the last stage (the message names the limit and the phi that meets it), for
 * coefficients that break the paper's condition where `strict` is set (else a warning with their
 * product), and ERR_UNKNOWN_ARCHITECTURE for an unknown base.
 *
 * @example scale(1).resolution // 258
 */
export function scale(phi: number, options?: ScaleOptions): ScaledNetwork {
  const formula = checkFormula(options);
  for (const warning of formula.warnings) process.emitWarning(warning, { code: 'EFFICIENTNET_SIMD_CONSTRAINT' });
  return scaleBy(phi, formula);
}

/** The checks of `scale`, without the warning on the process. */
export function checkFormula(options?: ScaleOptions): Formula {
  const given = checkOptions<ScaleOptions>('the scale options', options, scaleOptionNames);
  const coefficients = checkCoefficients({
    alpha: given.alpha ?? paperCoefficients.alpha,
    beta: given.beta ?? paperCoefficients.beta,
    gamma: given.gamma ?? paperCoefficients.gamma,
  });
  const strict = checkBoolean('strict', given.strict ?? false);
  const tolerance = checkFinite('tolerance', given.tolerance ?? 0.1, 0, 100);
  const base = baseOf(given.base ?? 'b0');
  const resolution = checkInteger('resolution', given.resolution ?? base.resolution, 1, scaleLimits.resolution);
  const { padding, batchNormEpsilon, classes } = given;
  const formula: Formula = {
    ...coefficients,
    base: { ...withDivisor(base, given.divisor), resolution },
    depthRounding: checkOneOf('depthRounding', given.depthRounding ?? 'nearest', ['nearest', 'up']),
    resolutionStep: checkInteger('resolutionStep', given.resolutionStep ?? 1, 1, 512),
    fixedEnds: given.fixedEnds === undefined ? undefined : checkBoolean('fixedEnds', given.fixedEnds),
    warnings: checkConstraint(coefficients, { tolerance }, strict),
    conventions: {
      ...(padding === undefined ? {} : { padding }),
      ...(batchNormEpsilon === undefined ? {} : { batchNormEpsilon }),
      ...(classes === undefined ? {} : { classes }),
    },
  };
  // A base that cannot be built at all should not be blamed on phi.
  buildNetwork(formula.base, formula.conventions);
  return formula;
}

function baseOf(base: string | BaseNetwork | Architecture): Architecture {
  if (typeof base === 'string') return resolveName(base).architecture;
  if (typeof base !== 'object' || base === null)
    throw invalidArgument('base', `a name such as 'b0', an architecture or a network before scaling`, base);
  if ('base' in base) return base;
  return { ...architectures.b0, name: 'custom', base };
}

function withDivisor(base: Architecture, divisor: number | undefined): Architecture {
  if (divisor === undefined) return base;
  const rounding = { ...base.base.rounding, divisor: checkInteger('divisor', divisor, 1, 512) };
  return { ...base, base: { ...base.base, rounding } };
}

/** The network at phi; `resolution` in place of the formula's, which a budget's fine tuning needs. */
export function scaleBy(phi: number, formula: Formula, resolution?: number): ScaledNetwork {
  checkFinite('phi', phi);
  const problem = beyond(phi, formula, resolution);
  if (problem !== undefined) throw new EfficientNetError('ERR_INVALID_ARGUMENT', limitMessage(phi, problem, formula));
  const { alpha, beta, gamma, warnings } = formula;
  const architecture = architectureAt(phi, formula, resolution);
  const { width, depth } = multipliers(phi, formula);
  const network = { ...buildNetwork(architecture, formula.conventions), depth };
  const { parameters, macs } = describe(network);
  const tooMany = above('parameters', parameters);
  if (tooMany !== undefined) throw new EfficientNetError('ERR_INVALID_ARGUMENT', limitMessage(phi, tooMany, formula));
  return {
    phi,
    alpha,
    beta,
    gamma,
    product: constraintProduct(formula),
    width,
    depth,
    resolution: network.resolution,
    blocks: network.blocks.length,
    parameters,
    macs,
    network,
    warnings,
  };
}

/** Twelve digits: 1.2^2 is to be 1.44, not 1.4399999999999999, before anything is rounded up. */
function multipliers(
  phi: number,
  { alpha, beta, gamma, base }: Formula,
): { readonly width: number; readonly depth: number; readonly pixels: number } {
  const power = (factor: number, coefficient: number): number => Number((factor * coefficient ** phi).toPrecision(12));
  return { width: power(base.width, beta), depth: power(base.depth, alpha), pixels: power(base.resolution, gamma) };
}

function roundResolution(pixels: number, step: number): number {
  return Math.round(pixels / step) * step;
}

/** An architecture whose stages hold their final number of layers. */
function architectureAt(phi: number, formula: Formula, resolution?: number): Architecture {
  const { base, resolutionStep } = formula;
  const { width, pixels } = multipliers(phi, formula);
  const repeats = repeatsAt(phi, formula);
  const stages = base.base.stages.map((stage, i) => ({ ...stage, repeats: repeats[i] ?? 1 }));
  return {
    ...base,
    name: phi === 0 && resolution === undefined ? base.name : `${base.name}, phi ${phi}`,
    // The last convolution comes as often as in the base.
    base: { ...base.base, ...endsAt(phi, formula), stages, headRepeats: headRepeats(base) },
    width,
    depth: 1,
    resolution: resolution ?? roundResolution(pixels, resolutionStep),
  };
}

/** Stem and last convolution where the formula decides about them, else nothing: then the base's own rule does. */
function endsAt(phi: number, { base, beta, fixedEnds }: Formula): Partial<Pick<BaseNetwork, 'stem' | 'fixedStem' | 'head' | 'headScaling'>> {
  if (fixedEnds === undefined) return {};
  const { rounding } = base.base;
  const at = (channels: number): number => (fixedEnds ? channels : roundChannels(channels, Number((beta ** phi).toPrecision(12)), rounding));
  // What the base holds grows from what it is there; the rest grows with the base's own width.
  return {
    ...(fixedEnds || base.base.fixedStem === true ? { stem: at(stemChannels(base)), fixedStem: true } : {}),
    ...(fixedEnds || base.base.headScaling === 'fixed' ? { head: at(headChannels(base)), headScaling: 'fixed' } : {}),
  };
}

/** Layers of each row of the base's table. */
function repeatsAt(phi: number, { base, alpha, depthRounding, fixedEnds }: Formula): readonly number[] {
  const { stages } = base.base;
  const isEnd = (i: number): boolean => i === 0 || i === stages.length - 1;
  const held = base.base.fixedEnds === true;
  const scales = stages.map((_, i) => !((fixedEnds ?? held) && isEnd(i)));
  const grown = Number((alpha ** phi).toPrecision(12));
  // The base's own layers first, by its own rule, so that phi = 0 is the base itself.
  const own = rowRepeats(base);
  if (depthRounding === 'up') {
    const depth = (i: number): number => (held && isEnd(i) ? grown : Number((base.depth * grown).toPrecision(12)));
    return stages.map(({ repeats }, i) => (scales[i] === true ? Math.max(1, roundRepeats(repeats, depth(i), 'up')) : (own[i] ?? 1)));
  }
  const shared = shareLayers(
    own.filter((_, i) => scales[i]),
    grown,
  );
  let next = 0;
  return own.map((repeats, i) => (scales[i] === true ? (shared[next++] ?? 1) : repeats));
}

/** What a phi leads to, and the limit that this breaks; both as the message says them. */
interface Problem {
  readonly found: string;
  readonly bound: string;
}

/** The limit that a phi breaks, found without building what may be absurdly large. */
function beyond(phi: number, formula: Formula, resolution?: number): Problem | undefined {
  const { base, resolutionStep } = formula;
  const { width, depth, pixels } = multipliers(phi, formula);
  const side = resolution ?? roundResolution(pixels, resolutionStep);
  // The stem strides once as well.
  const stride = base.base.stages.reduce((product, stage) => product * stage.stride, 2);
  if (!(side >= stride)) {
    return {
      found: `a resolution of ${count(side)}`,
      bound: `below the ${stride} pixels that the strides of '${base.name}' need`,
    };
  }
  if (!(width >= SMALLEST_WIDTH)) return { found: `a width of ${width}`, bound: `below the smallest of ${SMALLEST_WIDTH}` };
  const layers = base.base.stages.reduce((sum, stage) => sum + stage.repeats, 0) * depth;
  const widest = Math.max(base.base.head, ...base.base.stages.map((stage) => stage.out * stage.expand)) * width;
  return above('resolution', side) ?? above('blocks', layers) ?? above('channels', widest);
}

function above(what: keyof typeof scaleLimits, value: number): Problem | undefined {
  const limit = scaleLimits[what];
  if (value <= limit) return undefined;
  return {
    found: what === 'resolution' ? `a resolution of ${count(value)} pixels` : `${count(value)} ${what}`,
    bound: `above the limit of ${count(limit)}`,
  };
}

function count(value: number): string {
  return value < 1e12 ? Math.round(value).toLocaleString('en-US') : 'over a trillion';
}

function limitMessage(phi: number, { found, bound }: Problem, formula: Formula): string {
  const { min, max } = phiRange(formula);
  return `Expected phi from ${min} to ${max} for these coefficients but received ${phi}, which leads to ${found}, ${bound}`;
}

/** The smallest and largest phi, to two decimals inwards, that the limits allow. */
export function phiRange(formula: Formula): { readonly min: number; readonly max: number } {
  const allowed = (phi: number): boolean => {
    if (beyond(phi, formula) !== undefined) return false;
    return describe(buildNetwork(architectureAt(phi, formula), formula.conventions)).parameters <= scaleLimits.parameters;
  };
  if (!allowed(0)) return { min: 0, max: 0 };
  const furthest = (direction: 1 | -1): number => {
    let [inside, outside] = [0, direction * 100];
    if (allowed(outside)) return outside;
    while (Math.abs(outside - inside) > 0.005) {
      const middle = (inside + outside) / 2;
      if (allowed(middle)) inside = middle;
      else outside = middle;
    }
    return (direction * Math.floor(Math.abs(inside) * 100)) / 100;
  };
  return { min: furthest(-1), max: furthest(1) };
}
