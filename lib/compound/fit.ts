// SPDX-License-Identifier: Apache-2.0
// The search for the largest phi whose cost fits a budget, where a cost has to be measured: few
// measurements, each of a network that is likely to fit. Knows no machine; fit-budget.ts has that.

import { sameShapes, simplest } from './phi.js';
import { scaleBy, type Formula, type ScaledNetwork } from './scale.js';

/** One network that was tried. */
export interface Trial<Cost> {
  readonly scaled: ScaledNetwork;
  readonly cost: Cost;
  /** Cost by budget. */
  readonly share: number;
}

export interface FitOptions<Cost> {
  readonly formula: Formula;
  /** Of phi. */
  readonly range: { readonly min: number; readonly max: number };
  /** Measures one network, the second time with more care. */
  readonly measure: (scaled: ScaledNetwork, careful: boolean) => Promise<Trial<Cost>>;
  /** A cost that needs no measuring and grows with the real one: MACs for the time. */
  readonly proxy: (scaled: ScaledNetwork) => number;
  /** Whether the same network may cost more the next time. */
  readonly restless: boolean;
  /** Shares above this count as too large: the next measurement of the same network may give more. */
  readonly most: number;
  /** Where nothing else comes near the budget, shares up to this are taken all the same. */
  readonly limit: number;
  /** A share that is good enough to stop at. */
  readonly enough: number;
}

export interface Fit<Cost> {
  /** The largest that fits, measured with care; undefined if none does. */
  readonly found: Trial<Cost> | undefined;
  /** The smallest that was too large, or undefined if there is none. */
  readonly above: Trial<Cost> | undefined;
}

/** Of a budget, at least this share is to be used. */
export const LEAST_SHARE = 0.85;
/** Measurements to find a network, and to confirm it, before the machine counts as too restless. */
const MOST_TRIALS = 14;
const MOST_CHECKS = 5;

/** Finds the largest phi, in thousandths, whose cost fits: as measured twice, quickly and with care. */
export async function fit<Cost>(options: FitOptions<Cost>): Promise<Fit<Cost>> {
  const { formula, range, measure } = options;
  const start = Math.min(range.max, Math.max(range.min, 0));
  let bracket = new Bracket(options, (phi) => scaleBy(phi, formula), [await measure(scaleBy(start, formula), false)]);
  let checked: Trial<Cost> | undefined;
  for (let check = 0; check < MOST_CHECKS; check++) {
    await bracket.close();
    bracket = await finer(bracket, options);
    const { low, high, most } = bracket;
    if (low === undefined) return { found: undefined, above: high };
    // The same network as before, and nothing between it and the next: no measurement changes that.
    if (checked !== undefined && sameShapes(checked.scaled, low.scaled) && checked.share <= most)
      return { found: checked, above: high };
    checked = await measure(bracket.fixed ? low.scaled : simplest(low.scaled, formula), true);
    if (checked.share <= most && checked.share >= Math.min(options.enough, most - 0.08)) return { found: checked, above: high };
    bracket.correct(low, checked);
  }
  return { found: checked !== undefined && checked.share <= 1 ? checked : undefined, above: bracket.high };
}

/**
 * Where costs jump, mostly where one more pixel gives the last stages a larger map, no network of the
 * formula may come near enough to the budget: then depth and width go on growing while the picture
 * stays as it is.
 */
async function finer<Cost>(bracket: Bracket<Cost>, options: FitOptions<Cost>): Promise<Bracket<Cost>> {
  const { low, high, fixed } = bracket;
  if (fixed || low === undefined || high === undefined || low.share >= LEAST_SHARE) return bracket;
  // A disturbed measurement looks like a jump: with more care first.
  const confirmed = await options.measure(high.scaled, true);
  bracket.replace(confirmed);
  if (confirmed.share <= options.limit) {
    if (confirmed.share > bracket.most) bracket.most = options.limit;
    await bracket.close();
    return bracket;
  }
  const { resolution } = low.scaled;
  const fixedBracket = new Bracket(options, (phi) => scaleBy(phi, options.formula, resolution), [low], true);
  await fixedBracket.close();
  return (fixedBracket.low?.share ?? 0) > low.share ? fixedBracket : bracket;
}

/** The largest network known to fit, the smallest known not to, and the measurements between. */
class Bracket<Cost> {
  /** Whether the resolution is held. */
  readonly fixed: boolean;
  /** Shares above this are too large. */
  most: number;
  readonly #options: FitOptions<Cost>;
  readonly #at: (phi: number) => ScaledNetwork;
  #trials: readonly Trial<Cost>[];

  constructor(options: FitOptions<Cost>, at: (phi: number) => ScaledNetwork, trials: readonly Trial<Cost>[], fixed = false) {
    this.#options = options;
    this.#at = at;
    this.#trials = trials;
    this.fixed = fixed;
    this.most = options.most;
  }

  get high(): Trial<Cost> | undefined {
    return this.#trials.reduce<Trial<Cost> | undefined>(
      (best, trial) => (trial.share > this.most && (best === undefined || trial.scaled.phi < best.scaled.phi) ? trial : best),
      undefined,
    );
  }

  get low(): Trial<Cost> | undefined {
    const above = this.high?.scaled.phi ?? Infinity;
    return this.#trials.reduce<Trial<Cost> | undefined>(
      (best, trial) => (trial.scaled.phi < above && (best === undefined || trial.scaled.phi > best.scaled.phi) ? trial : best),
      undefined,
    );
  }

  /** Measures between the ends until the lower is near enough to the budget, or nothing lies between. */
  async close(): Promise<void> {
    const { enough } = this.#options;
    for (let count = 0; count < MOST_TRIALS; count++) {
      if (this.low !== undefined && this.low.share >= enough) return;
      const next = this.#next();
      if (next === undefined) return;
      const known = this.#trials.find(({ scaled }) => sameShapes(scaled, next));
      // Roundings let many phi mean one network: measured once.
      this.#trials = [...this.#trials, known === undefined ? await this.#measure(next) : { ...known, scaled: next }];
    }
  }

  /** Once; and again where it is too large though it was to fit: whatever disturbs makes a network slower, never faster. */
  async #measure(next: ScaledNetwork): Promise<Trial<Cost>> {
    const { measure, proxy, restless } = this.#options;
    const wanted = this.#wanted(this.low, this.high);
    const first = await measure(next, false);
    if (!restless || first.share <= this.most || proxy(next) > wanted) return first;
    const second = await measure(next, false);
    return second.share < first.share ? second : first;
  }

  /** A measurement repeated with more care, in place of the first. */
  replace(trial: Trial<Cost>): void {
    this.#trials = this.#trials.map((one) => (sameShapes(one.scaled, trial.scaled) ? { ...trial, scaled: one.scaled } : one));
  }

  /** The same, and whatever made it differ is taken to have made all differ. */
  correct(before: Trial<Cost>, after: Trial<Cost>): void {
    const factor = after.share / before.share;
    this.#trials = this.#trials.map((trial) => ({ ...trial, share: trial.share * factor }));
    this.replace(after);
  }

  /** The network between the ends whose proxy is what the wanted share should need; undefined if nothing lies there. */
  #next(): ScaledNetwork | undefined {
    const { range, proxy } = this.#options;
    const { low, high } = this;
    // All phi of one plateau are one network: only beyond its edges lies something new.
    const least = low === undefined ? thousandths(range.min) : this.#last((value) => value <= proxy(low.scaled)) + 1;
    const greatest = high === undefined ? thousandths(range.max) : this.#last((value) => value < proxy(high.scaled));
    if (least > greatest) return undefined;
    const wanted = this.#wanted(low, high);
    return this.#at(Math.min(greatest, Math.max(least, this.#last((value) => value <= wanted))) / 1000);
  }

  /** The last thousandth of phi whose proxy, which grows with phi, is accepted; one before the first if none is. */
  #last(accepts: (proxy: number) => boolean): number {
    const { range, proxy } = this.#options;
    let [from, to] = [thousandths(range.min) - 1, thousandths(range.max)];
    while (from < to) {
      const middle = Math.ceil((from + to) / 2);
      if (accepts(proxy(this.#at(middle / 1000)))) from = middle;
      else to = middle - 1;
    }
    return from;
  }

  /** The proxy that should give the share aimed at: between the ends, or from the only one in proportion. */
  #wanted(low: Trial<Cost> | undefined, high: Trial<Cost> | undefined): number {
    const { proxy, most, enough } = this.#options;
    const aim = (most + enough) / 2;
    const ends = [low, high].filter((end) => end !== undefined).map(({ scaled, share }) => ({ proxy: proxy(scaled), share }));
    const [a, b] = ends;
    if (a === undefined) return NaN;
    if (b === undefined) return a.proxy * (aim / a.share);
    // Twice as many trials as a good estimate takes: the costs do not follow the proxy here.
    const position = this.#trials.length > MOST_TRIALS / 2 ? 0.5 : Math.log(aim / a.share) / Math.log(b.share / a.share);
    return a.proxy * (b.proxy / a.proxy) ** position;
  }
}

function thousandths(phi: number): number {
  return Math.round(phi * 1000);
}
