// SPDX-License-Identifier: Apache-2.0
// The arithmetic behind a benchmark on numbers made up here: quantiles, spreads, ratios by round, and
// the rules by which a measurement is not to be trusted. Nothing is timed.

import { strict as assert } from 'node:assert';

import { sample } from '../../lib/bench/sampling.js';
import { drift, latencyOf, median, medianInterval, pairedRatio, quantile, relativeSpread } from '../../lib/bench/statistics.js';
import { judgePeak, judgeRatio, judgeSamples, judgeUsage, verdict } from '../../lib/bench/trust.js';

/** 1 to n, out of order. */
function shuffled(n: number): number[] {
  return Array.from({ length: n }, (_, i) => ((i * 37) % n) + 1);
}

describe('quantiles', () => {
  it('interpolate between order statistics', () => {
    assert.equal(quantile([7], 0.99), 7);
    assert.equal(quantile([1, 2], 0.5), 1.5);
    assert.equal(quantile([4, 1, 3, 2], 0.25), 1.75);
    assert.equal(median(shuffled(101)), 51);
    assert.ok(Number.isNaN(median([])));
  });

  it('leave their samples as they are', () => {
    const samples = [3, 1, 2];
    quantile(samples, 0.5);
    assert.deepEqual(samples, [3, 1, 2]);
  });

  it('make a latency', () => {
    assert.deepEqual(latencyOf(shuffled(101)), { min: 1, median: 51, p95: 96, p99: 100 });
  });

  it('make a spread and a drift', () => {
    assert.equal(relativeSpread(shuffled(101)), 50 / 51);
    assert.equal(relativeSpread([5, 5, 5]), 0);
    assert.equal(drift([10, 10, 10, 11, 11, 11]), 11 / 10 - 1);
    assert.equal(drift([2]), 0);
  });
});

describe('ratios', () => {
  it('cancel what slows a whole round down', () => {
    // Every round is slower than the one before, ours and theirs alike.
    const theirs = [10, 20, 30, 40, 50];
    assert.deepEqual(pairedRatio(theirs.map((value) => value / 2), theirs), { median: 0.5, low: 0.5, high: 0.5, interval: [0.5, 0.5] });
  });

  it('leave out rounds that were not measured', () => {
    assert.equal(pairedRatio([1, 2, NaN], [2, 4, 8]).median, 0.5);
  });
});

describe('the interval of a median', () => {
  it('is the sign test\'s, from tables', () => {
    // Dixon and Mood 1946, 5 %: critical numbers of the rarer sign for n = 6, 10, 15, 25, 50, 100.
    for (const [n, rarer] of [[6, 0], [10, 1], [15, 3], [25, 7], [50, 17], [100, 39]] as const) {
      assert.deepEqual(medianInterval(shuffled(n)), [rarer + 1, n - rarer], `of ${n}`);
    }
    assert.deepEqual(medianInterval(shuffled(5)), [1, 5]); // all there is
    assert.deepEqual(medianInterval([]), [NaN, NaN]);
  });

  it('holds the median of the distribution as often as it promises', () => {
    let state = 7;
    const random = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
    const skewed = (): number => random() ** 4; // its median is 1/16
    const held = Array.from({ length: 4000 }, () => {
      const [low, high] = medianInterval(Array.from({ length: 45 }, skewed));
      return low <= 1 / 16 && 1 / 16 <= high;
    }).filter(Boolean).length;
    assert.ok(held >= 0.94 * 4000 && held <= 0.99 * 4000, String(held));
  });
});

describe('trust', () => {
  const quiet = Array.from({ length: 40 }, (_, i) => 10 + (i % 3) * 0.05);
  const reasons = (samples: readonly number[]): readonly string[] => verdict(judgeSamples(samples)).reasons;

  it('is there for quiet samples', () => {
    assert.deepEqual(verdict([...judgeSamples(quiet), ...judgeUsage({ cpuShare: 1, switchesPerSecond: 2 }), judgePeak(100, 101)]), {
      trustworthy: true,
      reasons: [],
    });
    // Interrupted often, but for no time.
    assert.deepEqual(verdict(judgeUsage({ cpuShare: 1.9, switchesPerSecond: 100, waitingShare: 0.01 })).reasons, []);
    // Rounds far apart, but many: their median is known.
    assert.equal(judgeRatio('them', { median: 1, low: 0.95, high: 1.05, interval: [0.99, 1.01] }, 100), undefined);
    // One outlier in forty is what p99 is for.
    assert.deepEqual(reasons([...quiet, 100]), []);
  });

  const broken: readonly (readonly [what: string, reasons: readonly (string | undefined)[], message: RegExp])[] = [
    ['few samples', judgeSamples(quiet.slice(0, 9)), /^only 9 runs; 10 are needed/],
    ['a wide spread', judgeSamples(quiet.map((value, i) => value * (i % 2 === 0 ? 1 : 1.2))), /spreads over \d+\.\d % of the median/],
    ['a drift', judgeSamples(quiet.map((value, i) => (i < 20 ? value : value * 1.04))), /second half of the runs was 4\.\d % slower/],
    ['a drift to the faster', judgeSamples(quiet.map((value, i) => (i < 20 ? value : value * 0.96))), /second half of the runs was \d+\.\d % faster/],
    ['a shared core', judgeUsage({ cpuShare: 0.7, switchesPerSecond: 0 }), /had a core for 70 % of the time/],
    ['a core taken away', judgeUsage({ cpuShare: 1, switchesPerSecond: 150 }), /taken away 150 times a second/],
    ['another clock', [judgePeak(100, 90)], /peak changed by -10\.0 %/],
    ['waiting for a core', judgeUsage({ cpuShare: 1, switchesPerSecond: 0, waitingShare: 0.06 }), /waited for a core for 6 % of the time/],
    ['rounds that disagree', [judgeRatio('them', { median: 1, low: 0.99, high: 1.01, interval: [0.97, 1.02] }, 9)], /^them: .*between 0\.970 and 1\.020, 5\.0 % apart, more than 4 %/],
    ['too few rounds', [judgeRatio('them', { median: 1, low: 1, high: 1, interval: [1, 1] }, 5)], /^them: only 5 rounds/],
    ['not a number', judgeSamples(Array<number>(20).fill(NaN)), /spreads over/],
  ];
  for (const [what, found, message] of broken) {
    it(`is lost by ${what}`, () => {
      const { trustworthy, reasons: why } = verdict(found);
      assert.equal(trustworthy, false);
      assert.match(why[0] ?? '', message);
    });
  }
});

describe('sampling', () => {
  it('probes between the runs, which stay in blocks beside what was probed', async () => {
    let probes = 0;
    const nap = (): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    const plan = { seconds: 0.5, fewest: 1, limitSeconds: 10 };
    const { milliseconds, blocks } = await sample(nap, plan, undefined, () => ++probes);
    assert.ok(blocks.length >= 3 && blocks.length === probes);
    assert.deepEqual(blocks.map(({ probed }) => probed), blocks.map((_, i) => i + 1));
    const inBlocks = blocks.flatMap((block) => block.milliseconds);
    assert.ok(blocks.every((block) => block.milliseconds.length >= 1));
    assert.deepEqual(inBlocks, milliseconds.slice(0, inBlocks.length)); // the last runs have no probe after them
  });

  it('runs at least as often as asked, and warms up first', async () => {
    let runs = 0;
    const { milliseconds, cpuShare, switchesPerSecond, waitingShare = 0 } = await sample(() => void runs++, { seconds: 0, fewest: 25, limitSeconds: 60 });
    assert.equal(milliseconds.length, 25);
    assert.ok(runs > 25);
    assert.ok(milliseconds.every((time) => time >= 0));
    assert.ok(cpuShare >= 0 && switchesPerSecond >= 0 && waitingShare >= 0 && waitingShare <= 1);
  });

  it('stops at its limit however slow the runs are', async () => {
    const shares: number[] = [];
    const nap = (): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60);
    const { milliseconds } = await sample(nap, { seconds: 0.1, fewest: 1000, limitSeconds: 0.25 }, (share) => shares.push(share));
    assert.ok(milliseconds.length >= 1 && milliseconds.length < 1000);
    assert.ok(shares.every((share) => share >= 0 && share <= 1), String(shares));
  });
});
