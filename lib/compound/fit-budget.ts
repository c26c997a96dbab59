// SPDX-License-Identifier: Apache-2.0
// The largest network that fits a budget on this machine: of a family by name, or of the formula by
// phi. Times and memory are measured with made-up weights; parameters and MACs are counted.

import type { Isa } from '../binding.js';
import { checkFinite, checkInteger, checkOneOf, checkOptions, invalidArgument } from '../check.js';
import { describe } from '../describe.js';
import { EfficientNetError } from '../errors.js';
import { resolveName } from '../names.js';
import { buildNetwork, type Network } from '../network.js';
import { coefficients } from '../scaling.js';
import { pacer } from '../turn.js';
import { fit, type Fit, type Trial as FitTrial } from './fit.js';
import { machineMeter, type Effort, type Measured, type Meter } from './meter.js';
import { checkFormula, phiRange, scaleBy, scaleOptionNames, type Formula, type ScaledNetwork, type ScaleOptions } from './scale.js';

/** What a budget limits. Milliseconds are the median for one image, memory is packed weights and activations in bytes. */
export type BudgetKind = 'milliseconds' | 'macs' | 'parameters' | 'memory';

export interface FitBudgetOptions extends ScaleOptions {
  /** For one image, the median. Give exactly one of the four, above 0. */
  readonly milliseconds?: number | undefined;
  /** Multiply-accumulates of one image. */
  readonly macs?: number | undefined;
  readonly parameters?: number | undefined;
  /** Packed weights and activations, in bytes. */
  readonly memory?: number | undefined;
  /**
   * Choose among named networks in place of phi: true for b0 to b8 and l2, or a list of names. The one
   * with the most MACs that fits is taken, whatever share of the budget it uses.
   */
  readonly family?: boolean | readonly string[] | undefined;
  /** To measure with, as `load` takes them: 1 to 1024 threads, all cores unless given. */
  readonly threads?: number | undefined;
  readonly isa?: Isa | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each measurement; an error that it throws ends the search. */
  readonly onProgress?: ((trial: BudgetTrial) => void) | undefined;
}

/** One network that was tried. */
export interface BudgetTrial extends Measured {
  readonly name: string;
  /** Undefined for a named network. */
  readonly phi?: number | undefined;
  readonly width: number;
  readonly depth: number;
  readonly resolution: number;
  readonly parameters: number;
  readonly macs: number;
  /** What it takes of the budget, 1 for all of it. */
  readonly share: number;
}

export interface FittedNetwork extends BudgetTrial {
  readonly budget: { readonly kind: BudgetKind; readonly limit: number };
  readonly network: Network;
  /** The resolution is not the formula's: no network of the formula takes 85 % of the budget. */
  readonly tuned: boolean;
  readonly isa: Isa;
  readonly threads: number;
  /** All that was measured on the way, in this order. */
  readonly trials: readonly BudgetTrial[];
  /** Doubts about the coefficients or the measurement, in words. */
  readonly warnings: readonly string[];
}

/** No network fits, all would, or the search was stopped: `trials` holds what was measured. */
export class BudgetError extends EfficientNetError {
  readonly trials: readonly BudgetTrial[];

  constructor(
    code: 'ERR_BUDGET' | 'ERR_ABORTED',
    message: string,
    trials: readonly BudgetTrial[],
    options?: { readonly cause?: unknown },
  ) {
    super(code, message, options);
    this.trials = trials;
  }
}

const kinds: readonly BudgetKind[] = ['milliseconds', 'macs', 'parameters', 'memory'];
const known: readonly (keyof FitBudgetOptions)[] = [
  ...kinds,
  'family',
  'threads',
  'isa',
  'signal',
  'onProgress',
  ...scaleOptionNames,
];
const ISAS: readonly Isa[] = ['scalar', 'avx2', 'avx512', 'neon'];

/** What a candidate may take, and what is enough. Times move by some per cent from run to run; counts do not. */
const bounds = {
  milliseconds: { most: 0.96, enough: 0.88, limit: 0.985 },
  memory: { most: 1, enough: 0.97, limit: 1 },
  macs: { most: 1, enough: 1, limit: 1 },
  parameters: { most: 1, enough: 1, limit: 1 },
} as const;

/**
 * The largest network that fits a budget on this machine. Of milliseconds and memory, candidates are
 * measured and the winner is measured again for longer; it takes 85 to 100 % of the budget, so that
 * measuring it once more stays below. Where no phi comes that near, the resolution is held and the
 * rest grown (`tuned`).
 *
 * Rejects with a BudgetError that holds what was measured: ERR_BUDGET where even the smallest network
 * costs more (the message says what it costs), or where every network would run in time and the largest
 * takes over a minute; ERR_ABORTED once the signal is aborted, at most one block of a network later; with
 * ERR_INVALID_ARGUMENT, ERR_UNKNOWN_ARCHITECTURE, ERR_UNSUPPORTED (an instruction set that this
 * processor lacks) or ERR_NATIVE.
 *
 * @example const { phi, network, milliseconds } = await fitBudget({ milliseconds: 10, threads: 1 });
 */
export async function fitBudget(options: FitBudgetOptions): Promise<FittedNetwork> {
  const given = checkFit(options);
  return runFit(given, machineMeter(given));
}

/** Options that have been checked. */
export interface CheckedFit {
  readonly kind: BudgetKind;
  readonly limit: number;
  readonly formula: Formula;
  /** Names in place of phi. */
  readonly names: readonly string[] | undefined;
  readonly threads: number | undefined;
  readonly isa: Isa | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((trial: BudgetTrial) => void) | undefined;
}

export function checkFit(options: FitBudgetOptions): CheckedFit {
  const { milliseconds, macs, parameters, memory, family, threads, isa, signal, onProgress, ...scaleOptions } =
    checkOptions<FitBudgetOptions>('the budget options', options, known);
  const limits = { milliseconds, macs, parameters, memory };
  const chosen = kinds.filter((kind) => limits[kind] !== undefined);
  const [kind] = chosen;
  if (kind === undefined || chosen.length > 1) {
    throw new EfficientNetError(
      'ERR_INVALID_ARGUMENT',
      `Expected one budget of ${kinds.join(', ')} but received ${chosen.length === 0 ? 'none' : chosen.join(' and ')}`,
    );
  }
  const limit = checkFinite(kind, limits[kind]);
  if (!(limit > 0)) throw invalidArgument(kind, 'a number above 0', limit);
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidArgument('signal', 'an AbortSignal', signal);
  if (onProgress !== undefined && typeof onProgress !== 'function') throw invalidArgument('onProgress', 'a function', onProgress);
  return {
    kind,
    limit,
    formula: checkFormula(scaleOptions),
    names: checkFamily(family),
    threads: threads === undefined ? undefined : checkInteger('threads', threads, 1, 1024),
    isa: isa === undefined ? undefined : checkOneOf('isa', isa, ISAS),
    signal,
    onProgress,
  };
}

function checkFamily(family: boolean | readonly string[] | undefined): readonly string[] | undefined {
  if (family === undefined || family === false) return undefined;
  if (family === true) return Object.keys(coefficients);
  if (!Array.isArray(family) || family.length === 0) throw invalidArgument('family', 'true or a list of names', family);
  // Array.from, for map would pass over holes.
  return Array.from(family as readonly string[], (name) => resolveName(name).architecture.name);
}

/** The search with any meter. */
export async function runFit(given: CheckedFit, meter: Meter): Promise<FittedNetwork> {
  const run = new FitRun(given, meter);
  try {
    return given.names === undefined ? await run.byPhi() : await run.byName(given.names);
  } catch (cause) {
    if (given.signal?.aborted !== true || cause instanceof BudgetError) throw cause;
    throw new BudgetError(
      'ERR_ABORTED',
      `The search was stopped after ${run.trials.length} measurements; they are in the error's "trials"`,
      run.trials,
      { cause: given.signal.reason },
    );
  }
}

type Shape = Omit<BudgetTrial, keyof Measured | 'share'>;

function shapeOf({ network, phi, width, depth, resolution, parameters, macs }: ScaledNetwork): Shape {
  return { name: network.name, phi, width, depth, resolution, parameters, macs };
}

function withoutNetwork({ network: _, ...shape }: Shape & { readonly network: Network }): Shape {
  return shape;
}

/** Of a network whose cost is counted and that has not been measured. */
const unmeasured: Measured = { milliseconds: NaN, memory: NaN, spread: NaN, runs: 0, doubts: [] };

/** Milliseconds of a run that is not worth measuring to learn that any network fits. */
const LONGEST_RUN = 60_000;

class FitRun {
  readonly trials: BudgetTrial[] = [];
  readonly #breathe = pacer();
  readonly #given: CheckedFit;
  readonly #meter: Meter;

  constructor(given: CheckedFit, meter: Meter) {
    this.#given = given;
    this.#meter = meter;
  }

  async byPhi(): Promise<FittedNetwork> {
    const { formula, kind } = this.#given;
    const range = phiRange(formula);
    const counted = kind === 'macs' || kind === 'parameters';
    const { found, above }: Fit<BudgetTrial> = await fit({
      formula,
      range,
      ...bounds[kind],
      restless: kind === 'milliseconds',
      // What is counted needs no machine until the winner is known.
      measure: (scaled, careful) => (counted && !careful ? this.#count(scaled) : this.#try(scaled, careful)),
      proxy:
        kind === 'milliseconds' || kind === 'macs'
          ? ({ macs }) => macs
          : ({ parameters, macs }) => parameters + (kind === 'memory' ? macs / 1000 : 0),
    });
    if (found !== undefined) return this.#result(found.cost, found.scaled.network, found.scaled);
    const smallest = above?.cost ?? this.trials.at(-1);
    const least = scaleBy(range.min, formula);
    const isSmallest = smallest !== undefined && smallest.macs === least.macs;
    throw new BudgetError('ERR_BUDGET', this.#tooSmall(isSmallest ? smallest : undefined, `phi ${range.min}`), this.trials);
  }

  async byName(names: readonly string[]): Promise<FittedNetwork> {
    const { kind, limit } = this.#given;
    const networks = names
      .map((name) => buildNetwork(name, this.#given.formula.conventions))
      .map((network) => ({ network, ...describe(network) }));
    networks.sort((a, b) => a.macs - b.macs);
    let best: { readonly trial: BudgetTrial; readonly network: Network } | undefined;
    let smallest: BudgetTrial | undefined;
    /** The fewest milliseconds for a MAC so far. */
    let rate = 0;
    for (const { network, parameters, macs } of networks) {
      const shape = {
        network,
        name: network.name,
        width: network.width,
        depth: network.depth,
        resolution: network.resolution,
        parameters,
        macs,
      };
      const counted = kind === 'macs' || kind === 'parameters';
      // Not worth the wait: twice what the best rate so far would allow, or more weights than memory.
      const hopeless = counted ? shape[kind] > limit : kind === 'memory' ? 4 * parameters > limit : macs * rate > 2 * limit;
      if (hopeless && smallest !== undefined) continue;
      const trial = counted
        ? { ...withoutNetwork(shape), ...unmeasured, share: shape[kind] / limit }
        : await this.#tryShape(shape, 'short');
      smallest ??= trial;
      rate = rate === 0 ? trial.milliseconds / macs : Math.min(rate, trial.milliseconds / macs);
      if (trial.share <= bounds[kind].most) best = { trial, network };
    }
    if (best === undefined) throw new BudgetError('ERR_BUDGET', this.#tooSmall(smallest, smallest?.name ?? ''), this.trials);
    const { network, trial } = best;
    const careful = await this.#tryShape({ ...trial, network }, kind === 'macs' || kind === 'parameters' ? 'brief' : 'long');
    return this.#result(careful, network, undefined);
  }

  async #try(scaled: ScaledNetwork, careful: boolean): Promise<FitTrial<BudgetTrial>> {
    const { kind } = this.#given;
    this.#checkLargest(scaled);
    const effort = kind === 'macs' || kind === 'parameters' ? 'brief' : careful ? 'long' : kind === 'memory' ? 'memory' : 'short';
    const cost = await this.#tryShape({ ...shapeOf(scaled), network: scaled.network }, effort);
    return { scaled, cost, share: cost.share };
  }

  /** Refuses a time within which every network runs, where the largest takes long: it need not be waited for. */
  #checkLargest({ phi, macs, resolution }: ScaledNetwork): void {
    const { kind, limit, formula } = this.#given;
    const largest = this.trials.reduce<BudgetTrial | undefined>((a, b) => (a === undefined || b.macs > a.macs ? b : a), undefined);
    if (kind !== 'milliseconds' || largest === undefined || largest.macs >= macs || phi < phiRange(formula).max) return;
    const projected = (largest.milliseconds / largest.macs) * macs;
    if (projected <= LONGEST_RUN || projected > limit) return;
    throw new BudgetError(
      'ERR_BUDGET',
      `Expected a budget of at most about ${amount(kind, Number(projected.toPrecision(2)))}, what the largest network would cost ` +
        `(phi ${phi}, ${resolution} pixels), but received ${amount(kind, limit)}`,
      this.trials,
    );
  }

  /** A trial whose cost is known without the machine. */
  async #count(scaled: ScaledNetwork): Promise<FitTrial<BudgetTrial>> {
    await this.#breathe();
    this.#given.signal?.throwIfAborted();
    const share = (this.#given.kind === 'macs' ? scaled.macs : scaled.parameters) / this.#given.limit;
    return { scaled, cost: { ...shapeOf(scaled), ...unmeasured, share }, share };
  }

  async #tryShape(shape: Shape & { readonly network: Network }, effort: Effort): Promise<BudgetTrial> {
    const { kind, limit, signal, onProgress } = this.#given;
    signal?.throwIfAborted();
    const measured = await this.#meter.measure(shape.network, effort, signal);
    const trial: BudgetTrial = { ...withoutNetwork(shape), ...measured, share: { ...shape, ...measured }[kind] / limit };
    this.trials.push(trial);
    onProgress?.(trial);
    return trial;
  }

  #result(trial: BudgetTrial, network: Network, scaled: ScaledNetwork | undefined): FittedNetwork {
    const { kind, limit, formula } = this.#given;
    const { isa, threads } = this.#meter;
    const tuned = scaled !== undefined && scaled.resolution !== scaleBy(scaled.phi, formula).resolution;
    return {
      ...trial,
      budget: { kind, limit },
      network,
      tuned,
      isa,
      threads,
      trials: this.trials,
      warnings: [...formula.warnings, ...trial.doubts],
    };
  }

  #tooSmall(smallest: BudgetTrial | undefined, name: string): string {
    const { kind, limit } = this.#given;
    if (smallest === undefined)
      return `No network was measured below ${amount(kind, limit)} twice in a row: the machine is too busy to measure that`;
    return (
      `Expected a budget of at least ${amount(kind, smallest[kind])}, what the smallest network costs ` +
      `(${name}, ${smallest.resolution} pixels), but received ${amount(kind, limit)}`
    );
  }
}

/** `5 ms`, `20,000,000 bytes of memory`. */
export function amount(kind: BudgetKind, value: number): string {
  if (kind === 'milliseconds') return `${Number(value.toPrecision(3))} ms`;
  const whole = Math.round(value).toLocaleString('en-US');
  return kind === 'macs' ? `${whole} MACs` : kind === 'parameters' ? `${whole} parameters` : `${whole} bytes of memory`;
}
