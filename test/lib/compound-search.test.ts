// SPDX-License-Identifier: Apache-2.0
// The grid search for the coefficients: its points, the Pareto front, evaluations that fail, come too
// late or are stopped, and going on from an earlier search.

import { strict as assert } from 'node:assert';

import {
  searchCoefficients,
  SearchError,
  searchObjective,
  type SearchOptions,
  type SearchPoint,
  type SearchProgress,
} from '../../lib/index.js';
import { constraintWarnings } from '../../lib/compound/constraint.js';
import { gridPoints } from '../../lib/compound/grid.js';
import { paretoFront } from '../../lib/compound/pareto.js';
import { refuses, rejects } from './helpers/refusal.js';
import { random } from './synthetic.js';

describe('grid and front of a search', () => {
  it('makes every combination, without noise in the last digits', () => {
    const points = gridPoints({ alpha: { min: 1.1, max: 1.2, step: 0.05 }, beta: [1.1], gamma: { min: 1, max: 1.15 } });
    assert.deepEqual(
      points.map(({ alpha, beta, gamma }) => [alpha, beta, gamma]),
      [1.1, 1.15, 1.2].flatMap((a) => [1, 1.05, 1.1, 1.15].map((g) => [a, 1.1, g])),
    );
    assert.ok(gridPoints(undefined).some(({ alpha, beta, gamma }) => alpha === 1.2 && beta === 1.1 && gamma === 1.15));
  });

  const wrong: readonly (readonly [object, string])[] = [
    [{ alpha: [] }, 'at least one value'],
    [{ alpha: [NaN] }, 'grid.alpha[0]'],
    [{ beta: { min: 2, max: 1 } }, 'grid.beta.max'],
    [{ step: 0 }, 'grid.step'],
    [{ step: 1e-3 }, 'at most 1000000 points'],
    [{ gama: [1] }, "Did you mean 'gamma'?"],
    [{ alpha: 1.2 }, 'grid.alpha'],
  ];
  for (const [grid, part] of wrong)
    it(`refuses the grid ${JSON.stringify(grid)}`, () => refuses(() => gridPoints(grid), 'ERR_INVALID_ARGUMENT', part));

  it('keeps exactly what nothing beats', () => {
    const next = random(9);
    const items = Array.from({ length: 120 }, () => [Math.floor(next() * 60), Math.floor(next() * 60)] as const);
    const front = paretoFront(items, ['maximize', 'minimize'], (item) => item);
    const beaten = (a: readonly [number, number]): boolean =>
      items.some((b) => b[0] >= a[0] && b[1] <= a[1] && (b[0] > a[0] || b[1] < a[1]));
    assert.deepEqual(
      front,
      items.filter((item) => !beaten(item)),
    );
    assert.ok(front.length > 1);
    assert.deepEqual(
      paretoFront(
        [
          [NaN, 1],
          [1, 1],
        ],
        ['maximize', 'minimize'],
        (item) => item,
      ),
      [[1, 1]],
    );
  });
});

/** Seven points that meet the constraint, the paper's among them. */
const grid = { alpha: [1.1, 1.2, 1.25], beta: [1.1, 1.15], gamma: [1.1, 1.15] };

describe('searchCoefficients', () => {
  /** Best where the paper's own coefficients are. */
  const toPaper = ({ alpha, beta, gamma }: { alpha: number; beta: number; gamma: number }): number =>
    1 - Math.hypot(alpha - 1.2, beta - 1.1, gamma - 1.15);

  it('evaluates every point that meets the constraint and finds the best', async () => {
    const seen: SearchProgress[] = [];
    const { points, best, pareto, failed, remaining, warnings } = await searchCoefficients({
      grid,
      evaluate: toPaper,
      onProgress: (progress) => seen.push(progress),
    });
    const expected = gridPoints(grid).filter((point) => constraintWarnings(point).length === 0);
    assert.ok(expected.length >= 4);
    assert.deepEqual(
      points.map(({ alpha, beta, gamma }) => ({ alpha, beta, gamma })),
      expected,
    );
    assert.deepEqual([best?.alpha, best?.beta, best?.gamma, best?.score === 1], [1.2, 1.1, 1.15, true]);
    assert.deepEqual([failed, remaining, warnings.length], [0, 0, 0]);
    assert.deepEqual(
      seen.map(({ done, total }) => `${done}/${total}`),
      expected.map((_, i) => `${i + 1}/${expected.length}`),
    );
    assert.ok(pareto.length >= 1 && pareto.includes(best ?? assert.fail()));
    // Nothing on the front is cheaper and better than another of it.
    for (const a of pareto) for (const b of pareto) assert.ok(!(a.macs < b.macs && (a.score ?? 0) > (b.score ?? 0)));
  });

  it("hands the network over and ranks accuracy by the paper's objective", async () => {
    const { points, best } = await searchCoefficients({
      grid,
      phi: 0.5,
      evaluate: ({ network, phi, macs }) => ({ accuracy: 70 + network.blocks.length / 10 + phi, milliseconds: macs / 1e8 }),
    });
    for (const { score, values, macs } of points) assert.equal(score, searchObjective(values?.['accuracy'] ?? 0, macs));
    assert.equal(best?.score, Math.max(...points.map(({ score }) => score ?? -Infinity)));
  });

  it("follows the caller's goals and scores", async () => {
    const fast = await searchCoefficients({ grid, evaluate: ({ macs }) => ({ milliseconds: macs }) });
    assert.equal(fast.best?.macs, Math.min(...fast.points.map(({ macs }) => macs)));
    const most = await searchCoefficients({
      grid,
      evaluate: ({ macs }) => ({ milliseconds: macs }),
      objectives: { milliseconds: 'maximize' },
    });
    assert.equal(most.best?.macs, Math.max(...fast.points.map(({ macs }) => macs)));
    const own = await searchCoefficients({
      grid,
      evaluate: ({ macs, parameters }) => ({ macs, parameters }),
      score: ({ parameters = 0 }) => parameters,
    });
    assert.equal(own.best?.parameters, Math.max(...own.points.map(({ parameters }) => parameters)));
  });

  it('runs as many evaluations at a time as it may', async () => {
    let [running, most] = [0, 0];
    await searchCoefficients({
      grid,
      concurrency: 3,
      evaluate: async (point) => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 2));
        running--;
        return toPaper(point);
      },
    });
    assert.equal(most, 3);
  });

  it('keeps failures beside the rest: thrown, rejected, not a number, too late', async () => {
    let call = 0;
    const { points, failed, best } = await searchCoefficients({
      grid,
      timeout: 30,
      evaluate: async (point, { signal }) => {
        call++;
        if (call === 1) throw new Error('out of disk');
        if (call === 2) return NaN;
        if (call === 4) throw Object.create(null) as Error;
        if (call === 3) {
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
        }
        return toPaper(point);
      },
    });
    assert.equal(failed, 4);
    assert.deepEqual(
      points.slice(0, 3).map(({ score }) => score),
      [undefined, undefined, undefined],
    );
    assert.equal(points[0]?.error, 'out of disk');
    assert.match(points[1]?.error ?? '', /finite number.*NaN/);
    assert.match(points[2]?.error ?? '', /within 30 ms/);
    assert.equal(points[3]?.error, 'evaluate threw an object');
    assert.ok(best?.score !== undefined);
  });

  it('rejects with all points if every evaluation fails', async () => {
    const broken: readonly (() => unknown)[] = [
      () => {
        throw new Error('no data');
      },
      () => ({}),
      () => 'good',
      () => ({ accuracy: Infinity }),
      () => ({ a: 1, b: 2 }),
    ];
    for (const evaluate of broken) {
      const error = await rejects(
        searchCoefficients({ grid, evaluate: evaluate as SearchOptions['evaluate'] }),
        'ERR_SEARCH_FAILED',
        'evaluations failed',
      );
      assert.ok(error instanceof SearchError && error.partial.failed === error.partial.points.length && error.partial.failed > 3);
    }
  });

  it('stops at the signal with what it has, and goes on from there', async () => {
    const controller = new AbortController();
    const evaluated: string[] = [];
    const evaluate = (point: { alpha: number; beta: number; gamma: number }): number => {
      evaluated.push(`${point.alpha} ${point.beta} ${point.gamma}`);
      return toPaper(point);
    };
    const error = await rejects(
      searchCoefficients({
        grid,
        evaluate,
        signal: controller.signal,
        onProgress: ({ done }) => done === 2 && controller.abort(new Error('enough')),
      }),
      'ERR_ABORTED',
      '2 of',
      'resume',
    );
    assert.ok(error instanceof SearchError);
    assert.equal((error.cause as Error).message, 'enough');
    assert.deepEqual(
      [error.partial.points.length, error.partial.remaining > 0, error.partial.best !== undefined],
      [2, true, true],
    );
    // As JSON, as a file between two runs would keep it.
    const resume = JSON.parse(JSON.stringify(error.partial.points)) as SearchPoint[];
    const whole = await searchCoefficients({ grid, evaluate, resume });
    assert.equal(new Set(evaluated).size, evaluated.length, 'nothing evaluated twice');
    assert.deepEqual(
      whole.points.map(({ score }) => score),
      (await searchCoefficients({ grid, evaluate: toPaper })).points.map(({ score }) => score),
    );
  });

  it('stops an evaluation that does not listen', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 10);
    await rejects(
      searchCoefficients({ grid, evaluate: () => new Promise<number>(() => undefined), signal: controller.signal }),
      'ERR_ABORTED',
      '0 of',
    );
    await rejects(searchCoefficients({ grid, evaluate: toPaper, signal: AbortSignal.abort() }), 'ERR_ABORTED');
  });

  it('tries failed points again and takes over no point of another network', async () => {
    const first = await searchCoefficients({ grid, evaluate: ({ alpha }) => (alpha === 1.2 ? NaN : 1) });
    assert.ok(first.failed > 0);
    let calls = 0;
    const second = await searchCoefficients({ grid, evaluate: () => ++calls, resume: first.points });
    assert.deepEqual([calls, second.failed], [first.failed, 0]);
    calls = 0;
    await searchCoefficients({ grid, evaluate: () => ++calls, resume: first.points, base: 'b1' });
    assert.equal(calls, first.points.length);
  });

  it('warns, or refuses where strict, if no point meets the constraint', async () => {
    const far = { alpha: [1.5], beta: [1.3, 1.4], gamma: [1.3] };
    const { warnings, points } = await searchCoefficients({ grid: far, evaluate: () => 1 });
    assert.equal(points.length, 2);
    assert.match(warnings[0] ?? '', /nearest product is 4\.284/);
    await rejects(searchCoefficients({ grid: far, evaluate: () => 1, strict: true }), 'ERR_INVALID_ARGUMENT', '4.284');
    assert.equal(
      (await searchCoefficients({ grid: far, evaluate: () => 1, constraint: { target: 4.3 }, strict: true })).points.length,
      1,
    );
  });

  it('passes on an error of onProgress', async () => {
    await assert.rejects(
      searchCoefficients({
        grid,
        evaluate: toPaper,
        onProgress: () => {
          throw new Error('mine');
        },
      }),
      /^Error: mine$/,
    );
  });

  const wrong: readonly (readonly [string, object, ...string[]])[] = [
    ['no function', { evaluate: 5 }, 'evaluate'],
    ['a misspelt option', { evaluate: toPaper, concurency: 2 }, "Did you mean 'concurrency'?"],
    ['no evaluations at a time', { evaluate: toPaper, concurrency: 0 }, 'concurrency'],
    ['a timeout below one', { evaluate: toPaper, timeout: 0 }, 'timeout'],
    ['phi', { evaluate: toPaper, phi: NaN }, 'phi'],
    ['an unknown goal', { evaluate: toPaper, objectives: { a: 'maximise' } }, 'objectives.a', "Did you mean 'maximize'?"],
    ['no signal', { evaluate: toPaper, signal: {} }, 'AbortSignal'],
    ['no list to resume', { evaluate: toPaper, resume: 3 }, 'resume'],
    ['too many points', { evaluate: toPaper, grid: { step: 0.02 }, constraint: { tolerance: 1 } }, 'at most 10000 points'],
  ];
  for (const [name, options, ...parts] of wrong) {
    it(`refuses ${name}`, async () =>
      void (await rejects(searchCoefficients(options as SearchOptions), 'ERR_INVALID_ARGUMENT', ...parts)));
  }
});

describe('searchObjective', () => {
  it('is accuracy * (work / target)^w', () => {
    assert.equal(searchObjective(77.1, 400e6), 77.1);
    assert.ok(Math.abs(searchObjective(77.1, 800e6) - 77.1 * 2 ** -0.07) < 1e-12);
    assert.ok(Math.abs(searchObjective(80, 1e9, { w: -0.1, target: 5e8 }) - 80 * 2 ** -0.1) < 1e-12);
    for (const call of [
      () => searchObjective(NaN, 1),
      () => searchObjective(1, 0),
      () => searchObjective(1, 1, { target: -1 }),
      () => searchObjective(1, 1, { W: 1 } as object),
    ])
      refuses(call, 'ERR_INVALID_ARGUMENT');
  });
});
