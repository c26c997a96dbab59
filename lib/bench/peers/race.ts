// SPDX-License-Identifier: Apache-2.0
// Races contestants that each have a process of their own: first all compute the same thing and must
// agree, then they take turns, only one awake at a time, in an order that rotates from round to round.
// Ratios are taken round by round. Who is not installed is reported as not run.

import { EfficientNetError } from '../../errors.js';
import { median, latencyOf, pairedRatio, type Latency, type Ratio } from '../statistics.js';
import { judgeRatio, judgeUsage, verdict, type Usage, type Verdict } from '../trust.js';
import { launchOf, type Entrant } from './entrants.js';
import type { Answer, Memory, Opened, Task, Turn } from './protocol.js';
import { Racer, RacerError, type Launch } from './racer.js';

export interface EntrantResult {
  readonly label: string;
  /** `disagrees`: its results differ from ours by more than rounding, so that a ratio would mean nothing. */
  readonly status: 'ran' | 'not run' | 'failed' | 'disagrees';
  /** Why it did not run. */
  readonly reason?: string;
  /** The command that installs what is missing. */
  readonly install?: string;
  readonly version?: string;
  readonly batch: number;
  readonly threads: number;
  /** Largest difference from our logits over our largest; for photos, the largest difference of the scores of equal labels. */
  readonly difference?: number;
  /** Milliseconds of one call, of all rounds. */
  readonly latency?: Latency;
  /** Of one image, from the median of the rounds' medians. */
  readonly imagesPerSecond?: number;
  /** Our time over its time for one image, round by round; below 1 we are faster. */
  readonly ratio?: Ratio;
  /** Milliseconds from an empty process to the first result. */
  readonly firstResult?: number;
  readonly memory?: {
    /** Resident bytes of the process before anything was loaded, loaded, and after the race. */
    readonly bare: number;
    readonly loaded: number;
    readonly ran: number;
  };
}

export interface Race extends Verdict {
  /** That were run. */
  readonly rounds: number;
  readonly entrants: readonly EntrantResult[];
}

export interface RaceOptions {
  /** At most. */
  readonly rounds: number;
  /** No round begins after so many seconds, once there are `FEWEST_TIMED_ROUNDS`; without it all rounds are run. */
  readonly limitSeconds?: number | undefined;
  /** Milliseconds of each turn. */
  readonly turn: number;
  /** The interpreter of contestants in Python. */
  readonly python: string;
}

export type RaceProgress = (doing: string, share: number) => void;

/** Logits agree to this share of the largest: float32 in another order of addition gives 1e-6 to 1e-5. */
const AGREEMENT = 1e-4;
/** Labels of a photo: other resizers give scores that differ by a few hundredths. */
const SCORE_AGREEMENT = 0.1;
/** Enough for an interval with an order statistic to spare on either side. */
const FEWEST_TIMED_ROUNDS = 9;
const WARM_UP = 2;
const FEWEST_RUNS = 1;

interface Runner {
  readonly entrant: Entrant;
  readonly task: Task;
  readonly racer: Racer;
  readonly opened: Opened;
  readonly answer: Answer;
  readonly turns: Turn[];
}

/**
 * Rejects with ERR_INVALID_ARGUMENT where the first entrant, ours, does not run: without it there is
 * nothing to compare. Whoever else fails is reported, and the others go on.
 */
export async function race(
  entrants: readonly Entrant[],
  task: Task,
  options: RaceOptions,
  progress: RaceProgress,
  launch: (entrant: Entrant, python: string) => Launch = launchOf,
): Promise<Race> {
  const runners: Runner[] = [];
  const results = new Map<Entrant, EntrantResult>();
  try {
    for (const [i, entrant] of entrants.entries()) {
      progress(`Starting ${entrant.label}`, i / entrants.length);
      const started = await start(entrant, { ...task, ...entrant.task }, launch(entrant, options.python));
      if ('racer' in started) runners.push(started);
      else results.set(entrant, started);
    }
    const ours = runners[0];
    if (ours === undefined || ours.entrant !== entrants[0]) throw withoutUs(results.get(entrants[0] as Entrant)?.reason);
    for (const runner of runners.slice(1)) {
      const odd = disagreement(runner, ours);
      if (odd !== undefined) results.set(runner.entrant, odd);
    }
    const rounds = await takeTurns(runners, results, options, progress);
    const racing = runners.filter(({ entrant }) => !results.has(entrant));
    for (const runner of racing) results.set(runner.entrant, await finish(runner, ours));
    const finished = entrants.map((entrant) => results.get(entrant)).filter((result) => result !== undefined);
    return { rounds, ...judge(racing, finished, rounds), entrants: finished };
  } finally {
    await Promise.all(runners.map(({ racer }) => racer.end()));
  }
}

function withoutUs(reason: string | undefined): EfficientNetError {
  return new EfficientNetError('ERR_INVALID_ARGUMENT', `The race cannot be run, since this package itself failed in it: ${reason ?? 'no reason was given'}`);
}

function identify({ label }: Entrant, { batch, threads }: Task): Pick<EntrantResult, 'label' | 'batch' | 'threads'> {
  return { label, batch, threads };
}

async function start(entrant: Entrant, task: Task, launch: Launch): Promise<Runner | EntrantResult> {
  const racer = new Racer(launch);
  try {
    const opened = (await racer.ask({ method: 'open', task })) as Opened;
    const answer = (await racer.ask({ method: 'answer' })) as Answer;
    return { entrant, task, racer, opened, answer, turns: [] };
  } catch (error) {
    await racer.end();
    return failed(entrant, task, error);
  }
}

function failed(entrant: Entrant, task: Task, error: unknown): EntrantResult {
  if (!(error instanceof RacerError)) throw error;
  const { message, install } = error;
  return install === undefined
    ? { ...identify(entrant, task), status: 'failed', reason: message }
    : { ...identify(entrant, task), status: 'not run', reason: message, install };
}

function differenceOf({ task, answer }: Runner, ours: Runner): number {
  return (task.kind === 'photo' ? scoreDifference : logitDifference)(answer.values, ours.answer.values);
}

/** Undefined where the answers agree. */
function disagreement(runner: Runner, ours: Runner): EntrantResult | undefined {
  const { entrant, task, opened } = runner;
  const difference = differenceOf(runner, ours);
  if (difference <= (task.kind === 'photo' ? SCORE_AGREEMENT : AGREEMENT)) return undefined;
  const reason = task.kind === 'photo'
    ? `its best label is another, or the score differs by more than ${SCORE_AGREEMENT}`
    : `its logits differ by ${difference.toExponential(1)} of the largest, more than ${AGREEMENT}`;
  return { ...identify(entrant, task), status: 'disagrees', version: opened.version, difference, reason };
}

/** The largest difference over the largest of ours; of as many images as both have. */
export function logitDifference(theirs: readonly number[], ours: readonly number[]): number {
  const count = Math.min(theirs.length, ours.length);
  if (count === 0) return Infinity;
  let [largest, difference] = [0, 0];
  for (let i = 0; i < count; i++) {
    const [a, b] = [theirs[i] ?? NaN, ours[i] ?? NaN];
    if (!Number.isFinite(a) || !Number.isFinite(b)) return Infinity;
    largest = Math.max(largest, Math.abs(b));
    difference = Math.max(difference, Math.abs(a - b));
  }
  return largest === 0 ? Infinity : difference / largest;
}

/** Index and score in turn: the difference of the best label's scores; infinite where the labels differ. */
export function scoreDifference(theirs: readonly number[], ours: readonly number[]): number {
  const [index, score] = theirs;
  const [ourIndex, ourScore] = ours;
  if (index === undefined || index !== ourIndex || score === undefined || ourScore === undefined) return Infinity;
  return Math.abs(score - ourScore);
}

/** Everybody who has no result yet; one that fails on the way gets its result here. Resolves to the rounds that were run. */
async function takeTurns(
  runners: readonly Runner[],
  results: Map<Entrant, EntrantResult>,
  { rounds, turn, limitSeconds = Infinity }: RaceOptions,
  progress: RaceProgress,
): Promise<number> {
  const end = performance.now() + 1000 * limitSeconds;
  for (let round = 0; round < rounds; round++) {
    if (round >= FEWEST_TIMED_ROUNDS && performance.now() > end) return round;
    for (let place = 0; place < runners.length; place++) {
      const runner = runners[(round + place) % runners.length];
      if (runner === undefined || results.has(runner.entrant)) continue;
      const { entrant, task, racer, turns } = runner;
      progress(`Round ${round + 1} of ${rounds}: ${entrant.label}`, (round * runners.length + place) / (rounds * runners.length));
      try {
        turns.push((await racer.ask({ method: 'run', warmUp: WARM_UP, milliseconds: turn, fewest: FEWEST_RUNS })) as Turn);
      } catch (error) {
        const result = failed(entrant, task, error);
        if (runner === runners[0]) throw withoutUs(result.reason);
        results.set(entrant, result);
      }
    }
  }
  return rounds;
}

/** Milliseconds for one image, one number for each round. */
function perImage({ turns, task }: Runner): readonly number[] {
  return turns.map(({ milliseconds }) => median(milliseconds) / task.batch);
}

async function finish(runner: Runner, ours: Runner): Promise<EntrantResult> {
  const { entrant, task, opened, answer, turns, racer } = runner;
  const { resident } = (await racer.ask({ method: 'memory' })) as Memory;
  return {
    ...identify(entrant, task),
    status: 'ran',
    version: opened.version,
    difference: differenceOf(runner, ours),
    latency: latencyOf(turns.flatMap(({ milliseconds }) => milliseconds)),
    imagesPerSecond: 1000 / median(perImage(runner)),
    ratio: pairedRatio(perImage(ours), perImage(runner)),
    firstResult: opened.milliseconds + answer.milliseconds,
    ...(opened.bare > 0 ? { memory: { bare: opened.bare, loaded: opened.loaded, ran: resident } } : {}), // Python on Windows does not know
  };
}

function judge(runners: readonly Runner[], results: readonly EntrantResult[], rounds: number): Verdict {
  const usage = ({ turns }: Runner): Usage => {
    const waiting = turns.map(({ waitingShare }) => waitingShare).filter((share) => share !== undefined);
    return {
      cpuShare: median(turns.map(({ cpuShare }) => cpuShare)),
      switchesPerSecond: median(turns.map(({ switchesPerSecond }) => switchesPerSecond)),
      ...(waiting.length === 0 ? {} : { waitingShare: median(waiting) }),
    };
  };
  const others = results.slice(1);
  // Decoding a photo keeps threads of other libraries busy, which take turns among themselves.
  const alone = runners.filter(({ task }) => task.kind === 'tensor');
  return verdict([
    ...alone.flatMap((runner) => judgeUsage(usage(runner)).map((reason) => reason && `${runner.entrant.label}: ${reason}`)),
    ...runners.map(({ racer, entrant }) =>
      racer.restless ? `${entrant.label}: its threads went on spinning after its turns, and this system cannot stop a process` : undefined),
    ...others.map(({ label, ratio }) => (ratio === undefined ? undefined : judgeRatio(label, ratio, rounds))),
  ]);
}
