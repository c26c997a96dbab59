// SPDX-License-Identifier: Apache-2.0
// Fitting a budget: the search on made-up machines whose costs are known, restless ones too, and a
// few measurements on this one.
// Runs alone: it measures milliseconds and turns of the event loop.

import { strict as assert } from 'node:assert';

import { EfficientNetError, type Network } from '../../lib/index.js';
import { BudgetError, checkFit, fitBudget, runFit, type FitBudgetOptions } from '../../lib/compound/fit-budget.js';
import type { Effort, Measured, Meter } from '../../lib/compound/meter.js';
import { scaleBy, scale } from '../../lib/compound/scale.js';
import { describe as describeNetwork } from '../../lib/describe.js';
import { rejects } from './helpers/refusal.js';
import { random } from './synthetic.js';

interface Fake extends Meter {
  readonly asked: { readonly network: Network; readonly effort: Effort }[];
}

/** A machine that needs `time(network)` milliseconds. */
function fake(time: (network: Network, calls: number) => number): Fake {
  const asked: Fake['asked'] = [];
  return {
    asked,
    isa: 'scalar',
    threads: 1,
    measure: async (network, effort, signal) => {
      signal?.throwIfAborted();
      asked.push({ network, effort });
      const { parameters, macs } = describeNetwork(network);
      const measured: Measured = {
        milliseconds: time(network, asked.length),
        memory: 4 * parameters + macs / 100,
        spread: 0.01,
        runs: 10,
        doubts: [],
      };
      return Promise.resolve(measured);
    },
  };
}

const macsOf = (network: Network): number => describeNetwork(network).macs;
/** A machine on which larger networks run better, as real ones do. */
const plain = (network: Network): number => 0.3 + (macsOf(network) / 5e7) ** 0.93;

describe('fitBudget, on machines that are known', () => {
  it('uses 85 to 100 % of any number of milliseconds, with few measurements', async () => {
    const next = random(11);
    let [cases, tuned, asked, near] = [0, 0, 0, 0];
    for (; cases < 60; cases++) {
      const milliseconds = 10 ** (next() * 3.3 - 0.1);
      const machine = fake(plain);
      const found = await runFit(checkFit({ milliseconds }), machine);
      assert.ok(found.share >= 0.85 && found.share <= 0.985, `${milliseconds}: ${found.share}`);
      near += Number(found.share >= 0.88 && found.share <= 0.96);
      assert.equal(found.milliseconds, plain(found.network));
      assert.ok(machine.asked.length <= 24, `${machine.asked.length} measurements for ${milliseconds}`);
      assert.equal(machine.asked.at(-1)?.effort, 'long');
      assert.equal(machine.asked.at(-1)?.network, found.network);
      assert.equal(found.trials.length, machine.asked.length);
      // What is printed leads to the same network again.
      const again = scaleBy(found.phi ?? NaN, checkFit({ milliseconds }).formula, found.tuned ? found.resolution : undefined);
      assert.deepEqual(
        [again.network, again.resolution, again.width, again.depth],
        [found.network, found.resolution, found.width, found.depth],
      );
      tuned += Number(found.tuned);
      asked += machine.asked.length;
    }
    assert.ok(tuned <= 12, `${tuned} of ${cases} needed another resolution`);
    // The rest lies beside jumps of the formula.
    assert.ok(near >= 0.8 * cases, `${near} of ${cases}`);
    assert.ok(asked / cases < 9, `${asked / cases} measurements on average`);
  });

  it('finds a network where costs jump', async () => {
    // Every network above 224 pixels costs half as much again.
    const jump = (network: Network): number => plain(network) * (network.resolution > 224 ? 1.5 : 1);
    const b0 = plain(scale(0).network);
    for (const factor of [1.2, 1.3, 1.4, 1.5]) {
      const found = await runFit(checkFit({ milliseconds: b0 * factor }), fake(jump));
      assert.ok(found.share >= 0.85 && found.share <= 0.96, `${factor}: ${found.share}`);
      assert.equal(found.resolution, 224);
      assert.ok(found.tuned && (found.phi ?? 0) > 0.05, String(found.phi));
    }
  });

  it('prefers a network of the formula just below the budget to one with another resolution', async () => {
    const byWork = (network: Network): number => macsOf(network) / 5e7;
    const [b0, next] = [byWork(scale(0).network), byWork(scale(0.016).network)];
    const milliseconds = next / 0.975;
    assert.ok(b0 / milliseconds < 0.85, 'the budget lies in the jump above b0');
    const found = await runFit(checkFit({ milliseconds }), fake(byWork));
    assert.deepEqual([found.tuned, found.resolution], [false, 225]);
    assert.ok(Math.abs(found.share - 0.975) < 1e-9);
  });

  it('stays below the budget on machines that drift and stumble', async () => {
    const next = random(12);
    let inBand = 0;
    for (let round = 0; round < 40; round++) {
      const milliseconds = 3 + next() * 40;
      const machine = fake(
        (network, calls) => plain(network) * (1 + 0.02 * Math.sin(calls)) * (next() < 0.15 ? 1.6 : 1 + 0.02 * next()),
      );
      const found = await runFit(checkFit({ milliseconds }), machine);
      const real = plain(found.network) / milliseconds;
      assert.ok(found.share <= 1 && real <= 1, `${milliseconds}: ${found.share}, in truth ${real}`);
      if (real >= 0.83) inBand++;
    }
    // A stumble that hits the careful measurement makes a network look larger than it is.
    assert.ok(inBand >= 32, `${inBand} of 40`);
  });

  it('measures again what was to fit and did not, and walks through no plateau', async () => {
    // The second measurement is disturbed: a search that believes it looks among much smaller networks.
    const machine = fake((network, calls) => plain(network) * (calls === 2 ? 1.5 : 1));
    const found = await runFit(checkFit({ milliseconds: 5 }), machine);
    assert.ok(found.share >= 0.85 && found.share <= 0.96, String(found.share));
    assert.equal(machine.asked[1]?.network.name, machine.asked[2]?.network.name);
    assert.ok(machine.asked.length <= 6, String(machine.asked.length));
    const smallest = Math.min(...machine.asked.map(({ network }) => macsOf(network)));
    assert.ok(smallest > 0.7 * macsOf(found.network), `${smallest} MACs were tried for ${macsOf(found.network)}`);
  });

  it('counts parameters and MACs, and measures only what it chose', async () => {
    for (const options of [{ macs: 1e9 }, { macs: 40e6 }, { parameters: 20e6 }, { parameters: 3e6 }] as const) {
      const machine = fake(plain);
      const found = await runFit(checkFit(options), machine);
      const [kind, limit] = Object.entries(options)[0] ?? assert.fail();
      assert.ok(found.share <= 1 && found.share > 0.85, `${kind} ${limit}: ${found.share}`);
      assert.deepEqual(found.budget, { kind, limit });
      assert.deepEqual(machine.asked.map(({ effort }) => effort), ['brief']);
      assert.equal(found.milliseconds, plain(found.network));
    }
  });

  it('fits memory', async () => {
    for (const memory of [12e6, 50e6, 400e6]) {
      const found = await runFit(checkFit({ memory }), fake(plain));
      assert.ok(found.memory <= memory && found.memory > 0.85 * memory, `${memory}: ${found.memory}`);
    }
  });

  it('takes the largest of the family', async () => {
    const machine = fake(plain);
    const found = await runFit(checkFit({ milliseconds: 60, family: true }), machine);
    assert.equal(found.name, 'b3');
    assert.equal(found.phi, undefined);
    assert.ok(!machine.asked.some(({ network }) => network.name === 'l2'), 'what cannot fit is not measured');
    assert.equal((await runFit(checkFit({ parameters: 13e6, family: true }), fake(plain))).name, 'b3');
    assert.equal((await runFit(checkFit({ memory: 60e6, family: ['b0', 'efficientnet_b2', 'b7'] }), fake(plain))).name, 'b2');
  });

  it('says what the smallest network costs if none fits', async () => {
    const error = await rejects(
      runFit(checkFit({ milliseconds: 0.01 }), fake(plain)),
      'ERR_BUDGET',
      'at least 0.3',
      'phi -14.03',
      '0.01 ms',
      '32 pixels',
    );
    assert.ok(error instanceof BudgetError && error.trials.length >= 2);
    await rejects(runFit(checkFit({ macs: 1000 }), fake(plain)), 'ERR_BUDGET', 'MACs', '1,000 MACs');
    await rejects(runFit(checkFit({ parameters: 5 }), fake(plain)), 'ERR_BUDGET', 'parameters, what the smallest network costs');
    await rejects(runFit(checkFit({ milliseconds: 1, family: true }), fake(plain)), 'ERR_BUDGET', 'b0, 224 pixels');
    await rejects(runFit(checkFit({ macs: 1e8, family: true }), fake(plain)), 'ERR_BUDGET', '385,814,752 MACs');
  });

  it('takes the largest there is where everything fits', async () => {
    const found = await runFit(checkFit({ milliseconds: 1e9, alpha: 1.3, beta: 1.2, gamma: 1.05 }), fake(plain));
    assert.ok(found.parameters > 1.2e9 && !found.tuned, String(found.parameters));
  });

  it('measures no monster to learn that everything fits', async () => {
    for (const milliseconds of [1e308, 1e12]) {
      const machine = fake(plain);
      await rejects(runFit(checkFit({ milliseconds }), machine), 'ERR_BUDGET', 'at most about', 'ms, what the largest network would cost', 'phi ');
      assert.deepEqual(machine.asked.map(({ network }) => network.name), ['b0']);
    }
  });

  it('stops at the signal with what was measured', async () => {
    const controller = new AbortController();
    let trials = 0;
    const run = runFit(
      checkFit({
        milliseconds: 30,
        signal: controller.signal,
        onProgress: () => ++trials === 2 && controller.abort(new Error('enough')),
      }),
      fake(plain),
    );
    const error = await rejects(run, 'ERR_ABORTED', '2 measurements');
    assert.ok(error instanceof BudgetError && error.trials.length === 2 && (error.cause as Error).message === 'enough');
  });

  it('passes on what measuring throws', async () => {
    const broken: Meter = {
      isa: 'scalar',
      threads: 1,
      measure: () => Promise.reject(new EfficientNetError('ERR_OUT_OF_MEMORY', 'no memory')),
    };
    await rejects(runFit(checkFit({ milliseconds: 30 }), broken), 'ERR_OUT_OF_MEMORY');
  });
});

describe('fitBudget, wrong options', () => {
  const wrong: readonly (readonly [string, object, ...string[]])[] = [
    ['no budget', {}, 'one budget', 'none'],
    ['two budgets', { macs: 1, milliseconds: 2 }, 'milliseconds and macs'],
    ['a budget of nothing', { milliseconds: 0 }, 'above 0'],
    ['NaN', { milliseconds: NaN }, 'NaN'],
    ['text', { macs: '5' }, 'macs'],
    ['a misspelt option', { miliseconds: 5 }, "Did you mean 'milliseconds'?"],
    ['an unknown instruction set', { macs: 1e9, isa: 'avx22' }, "Did you mean 'avx2'?"],
    ['no threads', { macs: 1e9, threads: 0 }, 'threads'],
    ['an empty family', { macs: 1e9, family: [] }, 'family'],
    ['a family of holes', { macs: 1000, family: new Array(5) }, 'undefined'],
    ['no signal', { macs: 1e9, signal: 1 }, 'AbortSignal'],
    ['a wrong coefficient', { macs: 1e9, alpha: NaN }, 'alpha'],
  ];
  for (const [name, options, ...parts] of wrong)
    it(`refuses ${name}`, async () =>
      void (await rejects(fitBudget(options as FitBudgetOptions), 'ERR_INVALID_ARGUMENT', ...parts)));

  it('suggests a name for an unknown member of the family', () =>
    rejects(fitBudget({ macs: 1, family: ['b9'] }), 'ERR_UNKNOWN_ARCHITECTURE', "Did you mean 'b0'?"));
});

/** Milliseconds of the longest turn of the event loop until the promise is settled. */
async function longestTurn(promise: Promise<unknown>): Promise<number> {
  let [longest, last] = [0, performance.now()];
  const look = (): void => {
    const now = performance.now();
    [longest, last] = [Math.max(longest, now - last), now];
  };
  const timer = setInterval(look, 1);
  await promise.then(look, look);
  clearInterval(timer);
  return longest;
}

describe('fitBudget, on this machine', () => {
  it('leaves the event loop its turns, and stops within a run', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    // Plain C++ on one thread takes seconds for one image of such a network.
    const run = fitBudget({ macs: 3e10, threads: 1, isa: 'scalar', signal: controller.signal });
    const turn = longestTurn(run);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const aborted = performance.now();
    controller.abort(reason);
    const error = await rejects(run, 'ERR_ABORTED', '0 measurements');
    assert.equal(error.cause, reason);
    const delay = performance.now() - aborted;
    assert.ok(delay < 2500, `${delay} ms after the signal`);
    assert.ok((await turn) < 700, `a turn of ${await turn} ms`);
  }).timeout(60_000);

  it('finds a network below a budget and says how long it really takes', async () => {
    const { milliseconds: slow } = await fitBudget({ macs: 30e6, threads: 1 });
    const found = await fitBudget({ milliseconds: slow, threads: 1 });
    assert.ok(found.milliseconds <= slow && found.share === found.milliseconds / slow);
    assert.ok(found.memory > 4 * found.parameters * 0.9 && found.threads === 1);
    assert.ok(found.trials.length >= 2);
  }).timeout(180_000);

  it('fits the memory that the session holds', async () => {
    const found = await fitBudget({ memory: 16e6, threads: 1 });
    assert.ok(found.memory <= 16e6 && found.memory > 0.85 * 16e6, String(found.memory));
  }).timeout(180_000);
});
