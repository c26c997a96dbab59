// SPDX-License-Identifier: Apache-2.0
// The paper's first step: a grid search for alpha, beta and gamma at a fixed phi, with whatever the
// caller measures at each point. Runs the caller's function; measures nothing itself.

import { checkBoolean, checkFinite, checkInteger, checkOneOf, checkOptions, describeValue, invalidArgument } from '../check.js';
import { EfficientNetError } from '../errors.js';
import {
  constraintProduct,
  constraintWarnings,
  defaultConstraint,
  type CompoundCoefficients,
  type Constraint,
} from './constraint.js';
import { gridPoints, type Grid } from './grid.js';
import { defaultScore, readEvaluation, type Evaluation } from './objective.js';
import { paretoFront, type Goal } from './pareto.js';
import { checkFormula, scaleBy, scaleOptionNames, type ScaledNetwork, type ScaleOptions } from './scale.js';

/** One point of the grid, as plain data that JSON keeps. */
export interface SearchPoint extends CompoundCoefficients {
  readonly phi: number;
  readonly product: number;
  readonly width: number;
  readonly depth: number;
  readonly resolution: number;
  readonly parameters: number;
  readonly macs: number;
  /** By what the points are ranked; undefined where the evaluation failed. */
  readonly score?: number | undefined;
  /** All numbers of the evaluation; a single one is called `score`. */
  readonly values?: Readonly<Record<string, number>> | undefined;
  /** Why there is no score. */
  readonly error?: string | undefined;
}

export interface SearchProgress {
  /** Points that are finished, those taken over and those that failed included. */
  readonly done: number;
  readonly total: number;
  readonly failed: number;
  /** The point that has just been finished. */
  readonly point: SearchPoint;
  readonly best: SearchPoint | undefined;
}

export interface SearchResult {
  /** Every finished point, in the grid's order. */
  readonly points: readonly SearchPoint[];
  /** The point with the best score; undefined if every evaluation failed. */
  readonly best: SearchPoint | undefined;
  /** Points that no other point beats in every objective. */
  readonly pareto: readonly SearchPoint[];
  readonly failed: number;
  /** Grid points not evaluated, because the search was stopped. */
  readonly remaining: number;
  readonly warnings: readonly string[];
}

export interface SearchOptions extends Pick<ScaleOptions, SharedOption> {
  /**
   * Measures one network: a number of which more is better (see `goal`), or several by name. The
   * signal is aborted when the search is, or when the time is over.
   */
  readonly evaluate: (scaled: ScaledNetwork, context: { readonly signal: AbortSignal }) => Promise<Evaluation> | Evaluation;
  /** The step that is searched at; 1 unless given, as in the paper. */
  readonly phi?: number | undefined;
  /** Which points of the grid count: alpha * beta^2 * gamma^2 within a tolerance of a target; 2 and 0.1 unless given. */
  readonly constraint?: Constraint | undefined;
  /** The values to try; each from 1 to 2 in steps of 0.05 unless given. */
  readonly grid?: Grid | undefined;
  /**
   * For each name that `evaluate` gives, whether more or less of it is better. Unless given:
   * accuracy and score are to be maximised and everything else is to be minimised.
   */
  readonly objectives?: Readonly<Record<string, Goal>> | undefined;
  /**
   * Ranks an evaluation, more is better; unless given, the score, or `searchObjective` of accuracy and
   * MACs, or the only objective.
   */
  readonly score?: ((values: Readonly<Record<string, number>>, scaled: ScaledNetwork) => number) | undefined;
  /** Evaluations at a time, 1 to 1024; 1 unless given, which measuring latency needs. */
  readonly concurrency?: number | undefined;
  /** Milliseconds for one evaluation, 1 to 2^31 - 1; unlimited unless given. */
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: SearchProgress) => void) | undefined;
  /** Points of an earlier search: those with a score are taken over, failed ones are tried again. */
  readonly resume?: readonly SearchPoint[] | undefined;
  /** A grid without points that meet the constraint in full, with each value at least 1, is an error in place of a warning. */
  readonly strict?: boolean | undefined;
}

/** Stopped or failed: `partial` holds everything that was finished, and `resume` takes its points. */
export class SearchError extends EfficientNetError {
  readonly partial: SearchResult;

  constructor(
    code: 'ERR_ABORTED' | 'ERR_SEARCH_FAILED',
    message: string,
    partial: SearchResult,
    options?: { readonly cause?: unknown },
  ) {
    super(code, message, options);
    this.partial = partial;
  }
}

/** Of those of scale, what the grid, the constraint and this search's own options do not decide. */
type SharedOption = Exclude<keyof ScaleOptions, 'alpha' | 'beta' | 'gamma' | 'strict' | 'tolerance'>;
const sharedOptions = scaleOptionNames.filter(
  (name): name is SharedOption => !['alpha', 'beta', 'gamma', 'strict', 'tolerance'].includes(name),
);
const known: readonly (keyof SearchOptions)[] = [
  'evaluate',
  'phi',
  'constraint',
  'grid',
  'objectives',
  'score',
  'concurrency',
  'timeout',
  'signal',
  'onProgress',
  'resume',
  'strict',
  ...sharedOptions,
];
const LONGEST_TIMER = 2 ** 31 - 1;
/** Each point's network is built before the first is evaluated. */
const MOST_EVALUATIONS = 10_000;

/**
 * Evaluates every point of a grid over alpha, beta and gamma that meets the constraint: step 1 of the
 * paper's method (arXiv 1905.11946, section 3.3). At most 10,000 points.
 *
 * An evaluation that throws, takes too long, or gives something else than finite numbers is kept as a
 * point with its error; the others go on. Rejects with a SearchError that holds everything finished:
 * ERR_ABORTED once the signal is aborted (its reason is the cause), ERR_SEARCH_FAILED if no evaluation
 * succeeded; with ERR_INVALID_ARGUMENT for wrong options or a grid without any point.
 *
 * @example
 * const { best, pareto } = await searchCoefficients({
 *   evaluate: async ({ network }) => ({ accuracy: await train(network), milliseconds: await time(network) }),
 * });
 */
export async function searchCoefficients(options: SearchOptions): Promise<SearchResult> {
  const search = new Search(options);
  return search.run();
}

class Search {
  readonly #given: Partial<SearchOptions>;
  readonly #evaluate: SearchOptions['evaluate'];
  readonly #grid: readonly ScaledNetwork[];
  readonly #warnings: readonly string[];
  readonly #concurrency: number;
  readonly #timeout: number | undefined;
  /** By place in the grid. */
  readonly #points: (SearchPoint | undefined)[];

  constructor(options: SearchOptions) {
    const given = checkOptions<SearchOptions>('the search options', options, known);
    if (typeof given.evaluate !== 'function') throw invalidArgument('evaluate', 'a function', given.evaluate);
    for (const name of ['score', 'onProgress'] as const) {
      if (given[name] !== undefined && typeof given[name] !== 'function') throw invalidArgument(name, 'a function', given[name]);
    }
    if (given.signal !== undefined && !(given.signal instanceof AbortSignal))
      throw invalidArgument('signal', 'an AbortSignal', given.signal);
    for (const [name, goal] of Object.entries(given.objectives ?? {}))
      checkOneOf(`objectives.${name}`, goal, ['maximize', 'minimize']);
    this.#given = given;
    this.#evaluate = given.evaluate;
    this.#concurrency = checkInteger('concurrency', given.concurrency ?? 1, 1, 1024);
    this.#timeout = given.timeout === undefined ? undefined : checkInteger('timeout', given.timeout, 1, LONGEST_TIMER);
    const { phi = 1 } = given;
    const constraint = checkConstraintOptions(given.constraint);
    const all = gridPoints(given.grid);
    const meeting = all.filter((point) => constraintWarnings(point, constraint).length === 0);
    this.#warnings = this.#judgeGrid(all, meeting.length, constraint);
    const shared: ScaleOptions = Object.fromEntries(sharedOptions.map((name) => [name, given[name]]));
    const chosen = meeting.length > 0 ? meeting : all;
    if (chosen.length > MOST_EVALUATIONS) {
      throw new EfficientNetError(
        'ERR_INVALID_ARGUMENT',
        `Expected at most ${MOST_EVALUATIONS} points that meet the constraint but the grid has ${chosen.length}: use larger steps`,
      );
    }
    this.#grid = chosen.map((point) => scaleBy(phi, checkFormula({ ...shared, ...point, tolerance: 100 })));
    this.#points = this.#grid.map((scaled) => findEarlier(given.resume, scaled));
  }

  #judgeGrid(
    all: readonly CompoundCoefficients[],
    meeting: number,
    { target, tolerance }: Required<Constraint>,
  ): readonly string[] {
    if (meeting > 0) return [];
    const nearest = all.reduce((a, b) =>
      Math.abs(constraintProduct(b) - (target ?? 2)) < Math.abs(constraintProduct(a) - (target ?? 2)) ? b : a,
    );
    const message =
      `Expected a grid with alpha * beta^2 * gamma^2 within ${tolerance} of ${target} and each value at least 1, but none of its ` +
      `${all.length} points meets that: the nearest product is ${constraintProduct(nearest).toFixed(3)} ` +
      `(${nearest.alpha}, ${nearest.beta}, ${nearest.gamma})`;
    if (checkBoolean('strict', this.#given.strict ?? false)) throw new EfficientNetError('ERR_INVALID_ARGUMENT', message);
    return [`${message}. All points are evaluated`];
  }

  async run(): Promise<SearchResult> {
    const { signal } = this.#given;
    const waiting = this.#grid.flatMap((_, i) => (this.#points[i]?.score === undefined ? [i] : []));
    // An error of the caller's own onProgress ends the search, after what runs beside it has ended.
    let broken: { readonly error: unknown } | undefined;
    const work = async (): Promise<void> => {
      for (let i = waiting.shift(); i !== undefined && signal?.aborted !== true && broken === undefined; i = waiting.shift()) {
        await this.#finish(i).catch((error: unknown) => (broken ??= { error }));
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.#concurrency, waiting.length) }, work));
    if (broken !== undefined) throw (broken as { readonly error: unknown }).error;
    const result = this.#result();
    if (signal?.aborted === true) {
      const done = `${result.points.length} of ${this.#grid.length} points`;
      const message = `The search was stopped after ${done}; they are in the error's "partial", and "resume" takes them`;
      throw new SearchError('ERR_ABORTED', message, result, { cause: signal.reason });
    }
    if (result.best === undefined) {
      const first = result.points.find((point) => point.error !== undefined)?.error ?? '';
      throw new SearchError('ERR_SEARCH_FAILED', `All ${result.failed} evaluations failed, the first with: ${first}`, result);
    }
    return result;
  }

  /** Evaluates one point, unless the search is stopped meanwhile: then it counts as not done. */
  async #finish(place: number): Promise<void> {
    const scaled = this.#grid[place];
    if (scaled === undefined) return;
    let outcome: Pick<SearchPoint, 'score' | 'values' | 'error'>;
    try {
      const values = readEvaluation(await this.#withTimeout(scaled));
      outcome = { score: this.#score(values, scaled), values };
    } catch (error) {
      if (this.#given.signal?.aborted === true) return;
      outcome = { error: messageOf(error) };
    }
    const point: SearchPoint = { ...plain(scaled), ...outcome };
    this.#points[place] = point;
    const finished = this.#points.filter((one) => one !== undefined);
    const failed = finished.filter((one) => one.error !== undefined).length;
    this.#given.onProgress?.({ done: finished.length, total: this.#grid.length, failed, point, best: bestOf(finished) });
  }

  async #withTimeout(scaled: ScaledNetwork): Promise<Evaluation> {
    const own = new AbortController();
    const { signal } = this.#given;
    const context = { signal: signal === undefined ? own.signal : AbortSignal.any([signal, own.signal]) };
    let timer: NodeJS.Timeout | undefined;
    let stop: (() => void) | undefined;
    try {
      const ended = new Promise<never>((_, reject) => {
        stop = (): void => reject(new EfficientNetError('ERR_ABORTED', 'The search was stopped'));
        signal?.addEventListener('abort', stop, { once: true });
        if (this.#timeout === undefined) return;
        timer = setTimeout(() => {
          const error = new EfficientNetError('ERR_TIMEOUT', `The evaluation did not end within ${this.#timeout} ms`);
          reject(error);
          own.abort(error);
        }, this.#timeout);
      });
      // A late failure of an evaluation that nobody waits for is not an unhandled rejection: race listens to both.
      return await Promise.race([(async () => this.#evaluate(scaled, context))(), ended]);
    } finally {
      clearTimeout(timer);
      if (stop !== undefined) signal?.removeEventListener('abort', stop);
    }
  }

  #score(values: Readonly<Record<string, number>>, scaled: ScaledNetwork): number {
    const found =
      this.#given.score === undefined
        ? defaultScore(values, scaled, (name) => this.#goalOf(name))
        : this.#given.score(values, scaled);
    if (typeof found === 'number' && Number.isFinite(found)) return found;
    throw invalidArgument('the score of an evaluation', 'a finite number', found);
  }

  #goalOf(name: string): Goal {
    const goals = this.#given.objectives ?? {};
    return (
      (Object.hasOwn(goals, name) ? goals[name] : undefined) ??
      (name === 'accuracy' || name === 'score' ? 'maximize' : 'minimize')
    );
  }

  #result(): SearchResult {
    const points = this.#points.filter((point) => point !== undefined);
    const scored = points.filter((point) => point.values !== undefined);
    const names = [...new Set(scored.flatMap((point) => Object.keys(point.values ?? {})))];
    // A single number is weighed against the work that it costs.
    const goals = [
      ...names.map((name) => ({ name, goal: this.#goalOf(name) })),
      ...(names.length === 1 ? [{ name: 'macs', goal: 'minimize' as const }] : []),
    ];
    const pareto = paretoFront(
      scored,
      goals.map(({ goal }) => goal),
      (point) => goals.map(({ name }) => point.values?.[name] ?? (name === 'macs' ? point.macs : NaN)),
    );
    return {
      points,
      best: bestOf(points),
      pareto,
      failed: points.filter((point) => point.error !== undefined).length,
      remaining: this.#points.length - points.length,
      warnings: this.#warnings,
    };
  }
}

/** Of whatever the caller's function threw: some values cannot even be made a string. */
function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  return typeof thrown === 'string' ? thrown : `evaluate threw ${describeValue(thrown)}`;
}

function checkConstraintOptions(given: Constraint | undefined): Required<Constraint> {
  const { target, tolerance } = checkOptions<Constraint>('the constraint', given, ['target', 'tolerance']);
  return {
    target: checkFinite('constraint.target', target ?? defaultConstraint.target, 0.1, 1000),
    tolerance: checkFinite('constraint.tolerance', tolerance ?? defaultConstraint.tolerance, 0, 1000),
  };
}

function plain({ phi, alpha, beta, gamma, product, width, depth, resolution, parameters, macs }: ScaledNetwork): SearchPoint {
  return { phi, alpha, beta, gamma, product, width, depth, resolution, parameters, macs };
}

/** An earlier point with a score for the same network; its shape is compared too, for another base is another search. */
function findEarlier(resume: readonly SearchPoint[] | undefined, scaled: ScaledNetwork): SearchPoint | undefined {
  if (resume === undefined) return undefined;
  if (!Array.isArray(resume)) throw invalidArgument('resume', 'the points of an earlier search', resume);
  const wanted = plain(scaled);
  const names = Object.keys(wanted) as (keyof SearchPoint)[];
  return (resume as readonly SearchPoint[]).find((point) => {
    if (typeof point !== 'object' || point === null)
      throw invalidArgument('a point of resume', 'a point of an earlier search', point);
    return Number.isFinite(point.score) && names.every((name) => point[name] === wanted[name]);
  });
}

function bestOf(points: readonly SearchPoint[]): SearchPoint | undefined {
  return points.reduce<SearchPoint | undefined>(
    (best, point) => (point.score !== undefined && (best?.score === undefined || point.score > best.score) ? point : best),
    undefined,
  );
}
