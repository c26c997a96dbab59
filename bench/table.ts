// SPDX-License-Identifier: Apache-2.0
// The outcomes of race.ts as the table and the picture of bench/results. Measures nothing.

import type { EntrantResult } from '../lib/bench/peers/index.js';
import { machine } from '../lib/bench/model-bench.js';
import { median } from '../lib/bench/statistics.js';
import type { Verdict } from '../lib/bench/trust.js';
import { cpu } from '../lib/cpu.js';
import { picture } from '../lib/report/index.js';

/** A figure and what it is judged by. */
export interface Bar {
  readonly name: string;
  readonly what: string;
  /** The same in few words, for the picture; what stands before the colon unless given. */
  readonly short?: string;
  readonly unit: string;
  readonly digits: number;
  /** Better are lower values, or higher ones. */
  readonly better: 'lower' | 'higher';
  readonly must: number;
  readonly aim: number;
}

/** What a figure turned out to be. */
export interface Outcome extends Verdict {
  readonly value: number;
  /** In which the value would lie after many more rounds, with 95 % confidence. */
  readonly interval?: readonly [low: number, high: number] | undefined;
  readonly details: unknown;
  /** Lines of the table of contestants, if it was a race. */
  readonly contestants?: readonly EntrantResult[];
}

/** A figure with every run of it. */
export interface Row {
  readonly bar: Bar;
  readonly outcomes: readonly Outcome[];
  readonly failure?: string;
}

/** The runs that may be believed, or all if none may. */
function best(outcomes: readonly Outcome[]): readonly Outcome[] {
  const trusted = outcomes.filter(({ trustworthy }) => trustworthy);
  return trusted.length > 0 ? trusted : outcomes;
}

function valueOf(outcomes: readonly Outcome[]): number {
  return median(best(outcomes).map(({ value }) => value));
}

function verdictOf({ better, must, aim }: Bar, value: number): string {
  const reaches = (bound: number): boolean => (better === 'lower' ? value <= bound : value >= bound);
  return reaches(aim) ? 'aim reached' : reaches(must) ? 'as it must be' : 'short of what it must be';
}

/** What, must, aim, measured, verdict. */
export function cells({ bar, outcomes, failure }: Row): readonly string[] {
  const { what, unit, digits, must, aim } = bar;
  const text = (value: number): string => `${value.toFixed(digits)}${unit === '' ? '' : ` ${unit}`}`;
  if (outcomes.length === 0) return [what, text(must), text(aim), 'not measured', failure ?? ''];
  const measured = outcomes.map(({ value, interval, trustworthy }) => {
    const between = interval === undefined ? '' : ` (${interval.map((end) => end.toFixed(digits)).join('-')})`;
    return `${trustworthy ? text(value) : `~${text(Number(value.toPrecision(2)))}`}${between}`;
  });
  const trusted = outcomes.some(({ trustworthy }) => trustworthy);
  const verdict = verdictOf(bar, valueOf(outcomes));
  return [what, text(must), text(aim), measured.join(', '), trusted ? verdict : `not to be trusted: ${outcomes[0]?.reasons.join('; ') ?? ''}`];
}

export function markdown(rows: readonly Row[], command: string): string {
  const { cpu: brand, cores, platform, node } = machine();
  const line = (texts: readonly string[]): string => `| ${texts.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
  const races = rows.flatMap(({ bar, outcomes }) => {
    const contestants = best(outcomes)[0]?.contestants;
    return contestants === undefined ? [] : [{ what: bar.what, contestants }];
  });
  return [
    `# ${brand || 'unnamed processor'}`,
    '',
    `${cores} cores, ${platform}, Node ${node}, instruction set ${cpu().chosen ?? 'none'}.`,
    '',
    '```sh', command, '```',
    '',
    line(['figure', 'must', 'aim', 'measured, each run with its 95 % interval', '']),
    line(['---', '---', '---', '---', '---']),
    ...rows.map((row) => line(cells(row))),
    ...races.flatMap(({ what, contestants }) => ['', `## ${what}`, '', ...contestantTable(contestants, line)]),
    '',
  ].join('\n');
}

function contestantTable(contestants: readonly EntrantResult[], line: (texts: readonly string[]) => string): readonly string[] {
  const of = (value: number | undefined, digits: number): string => (value === undefined ? '' : value.toFixed(digits));
  return [
    line(['contestant', 'min ms', 'median ms', 'p95 ms', 'images/s', 'our time / its', '95 % interval', 'logits differ', 'first result ms', 'memory MB', 'version']),
    line(Array<string>(11).fill('---')),
    ...contestants.map(({ label, status, reason, latency, imagesPerSecond, ratio: against, difference, firstResult, memory, version }) =>
      status === 'ran'
        ? line([
            label, of(latency?.min, 2), of(latency?.median, 2), of(latency?.p95, 2), of(imagesPerSecond, 1), of(against?.median, 3),
            against === undefined ? '' : against.interval.map((end) => end.toFixed(3)).join('-'), difference?.toExponential(1) ?? '', of(firstResult, 0),
            memory === undefined ? '' : of((memory.ran - memory.bare) / 1e6, 0), version ?? '',
          ])
        : line([label, `${status}: ${reason ?? ''}`])),
  ];
}

/** Our time as a share of onnxruntime-node's, one pair of bars for each figure that is such a ratio. */
export function racePicture(rows: readonly Row[]): string {
  const races = rows.filter(({ bar, outcomes }) => bar.unit === '' && outcomes.length > 0);
  const peer = races.flatMap(({ outcomes }) => outcomes[0]?.contestants ?? []).find(({ version }) => version?.startsWith('onnxruntime-node') ?? false);
  const percent = (value: number): string => `${value.toFixed(0)} %`;
  return picture(
    {
      title: 'Time of efficientnet-simd in percent of the time of onnxruntime-node on the same weights',
      categories: races.map(({ bar }) => bar.short ?? bar.what.split(':')[0] ?? bar.name),
      axis: { title: "time, percent of onnxruntime-node's (less is faster)", max: 100, format: percent },
      series: [
        { name: 'efficientnet-simd', values: races.map(({ outcomes }) => 100 * valueOf(outcomes)) },
        { name: peer?.version ?? 'onnxruntime-node', values: races.map(() => 100), hollow: true, colour: 7 },
      ],
    },
    { width: 760 },
  );
}
