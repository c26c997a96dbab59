// SPDX-License-Identifier: Apache-2.0
// Compound scaling without measuring: the formula and its limits, the condition on the coefficients,
// layers shared among stages, the published table beside it.

import { strict as assert } from 'node:assert';

import {
  architectures,
  buildNetwork,
  describe as describeNetwork,
  scale,
  scaleLimits,
  type Network,
  type ScaleOptions,
} from '../../lib/index.js';
import { constraintWarnings, paperCoefficients } from '../../lib/compound/constraint.js';
import { shareLayers } from '../../lib/compound/depth.js';
import { familyBesideFormula } from '../../lib/compound/family.js';
import { largestPhi } from '../../lib/compound/phi.js';
import { checkFormula, phiRange, scaleBy } from '../../lib/compound/scale.js';
import { refuses } from './helpers/refusal.js';

const b0Layers = [1, 2, 2, 3, 3, 4, 1];

describe('scale', () => {
  // Multipliers by hand: 1.2^phi, 1.1^phi, 224 * 1.15^phi.
  const rows: readonly (readonly [phi: number, depth: number, width: number, resolution: number])[] = [
    [0, 1, 1, 224],
    [0.5, 1.0954451, 1.0488088, 240],
    [1, 1.2, 1.1, 258],
    [2, 1.44, 1.21, 296],
    [5, 2.48832, 1.61051, 451],
    [6, 2.985984, 1.771561, 518],
    [7, 3.5831808, 1.9487171, 596],
    [-1, 0.8333333, 0.9090909, 195],
    [-3.5, 0.5282818, 0.7163506, 137],
  ];
  for (const [phi, depth, width, resolution] of rows) {
    it(`phi ${phi} gives depth ${depth}, width ${width}, resolution ${resolution}`, () => {
      const scaled = scale(phi);
      assert.ok(
        Math.abs(scaled.depth - depth) < 1e-6 && Math.abs(scaled.width - width) < 1e-6,
        `${scaled.depth} ${scaled.width}`,
      );
      assert.equal(scaled.resolution, resolution);
      assert.deepEqual(
        [scaled.network.depth, scaled.network.width, scaled.network.resolution],
        [scaled.depth, scaled.width, resolution],
      );
      const { parameters, macs } = describeNetwork(scaled.network);
      assert.deepEqual([scaled.parameters, scaled.macs], [parameters, macs]);
    });
  }

  it('gives the base itself at 0, for each base', () => {
    for (const name of ['b0', 'b2', 'b5'] as const) {
      const { network, parameters, macs } = scale(0, { base: name });
      assert.deepEqual(
        [parameters, macs, network.blocks],
        [describeNetwork(buildNetwork(name)).parameters, describeNetwork(buildNetwork(name)).macs, buildNetwork(name).blocks],
      );
      assert.equal(network.name, name);
    }
    const own = { ...architectures.b0.base, stem: 16 };
    const scaled = scale(0, { base: own, resolution: 192 });
    assert.deepEqual([scaled.network.stem.out, scaled.resolution, scaled.network.name], [16, 192, 'custom']);
    assert.ok(scale(1, { base: own, resolution: 192 }).macs > 1.7 * scaled.macs);
    assert.deepEqual(scale(0, { base: { ...architectures.b1, name: 'mine' } }).parameters, 7_794_184);
  });

  it('keeps its work within 45 % of the ideal, grows with phi, and never by more than a quarter at once', () => {
    const scaling = checkFormula();
    const base = scaleBy(0, scaling).macs;
    let before = scaleBy(-2, scaling);
    let cases = 0;
    for (let phi = -1.99; phi <= 8; phi += 0.01, cases++) {
      const scaled = scaleBy(phi, scaling);
      const ideal = base * scaled.product ** phi;
      assert.ok(scaled.macs > ideal / 1.45 && scaled.macs < ideal * 1.45, `phi ${phi}: ${scaled.macs} of ${ideal}`);
      assert.ok(scaled.macs >= before.macs && scaled.blocks >= before.blocks && scaled.macs / before.macs < 1.25, `phi ${phi}`);
      before = scaled;
    }
    assert.ok(cases > 990);
  });

  it('can round layers up as the published networks do', () => {
    const up = scale(1, { depthRounding: 'up' });
    assert.equal(up.blocks, buildNetwork('b2').blocks.length);
    assert.ok(up.blocks > scale(1).blocks);
    assert.deepEqual(scale(0.01, { depthRounding: 'up' }).blocks, buildNetwork('b1').blocks.length);
    assert.equal(scale(1, { resolutionStep: 32 }).resolution, 256);
  });

  it('rounds channels to the divisor', () => {
    const { network } = scale(1, { divisor: 32 });
    assert.ok(network.blocks.every(({ out }) => out % 32 === 0) && network.head.features % 32 === 0);
    assert.equal(scale(1, { divisor: 1 }).network.stem.out, 35);
  });

  const layersOf = (blocks: readonly { readonly stage: number }[]): number[] =>
    b0Layers.map((_, stage) => blocks.filter((block) => block.stage === stage).length);

  it('leaves the ends alone where the base says so', () => {
    const base = { ...architectures.b0.base, fixedEnds: true as const };
    assert.deepEqual(layersOf(scale(3.5, { base }).network.blocks), [1, 4, 4, 6, 6, 7, 1]);
    assert.deepEqual(layersOf(scale(3.5, { base, depthRounding: 'up' }).network.blocks), [1, 4, 4, 6, 6, 8, 1]);
  });

  it('holds the ends of any base where it is told to, and of EfficientNet-Lite unless told not to', () => {
    const ends = ({ network }: { readonly network: Network }): unknown[] => [
      network.stem.out,
      network.head.features,
      ...layersOf(network.blocks),
    ];
    // Lite4 is Lite0 with 1.4 of the width and 1.8 of the depth, its ends held.
    const lite4 = [32, 1280, 1, 4, 4, 6, 6, 8, 1];
    const steps = { alpha: 1.8, beta: 1.4, gamma: 300 / 224, depthRounding: 'up', tolerance: 10 } as const;
    assert.deepEqual(ends({ network: buildNetwork('lite4') }), lite4);
    assert.deepEqual(ends(scale(1, { base: 'lite0', ...steps })), lite4);
    assert.deepEqual(scale(1, { base: 'lite0', ...steps }).network.blocks, buildNetwork('lite4').blocks);
    assert.deepEqual(ends(scale(1, { ...steps, fixedEnds: true })), lite4);
    // Not held, they are those of B4.
    const b4 = [48, 1792, 2, 4, 4, 6, 6, 8, 2];
    assert.deepEqual(ends({ network: buildNetwork('b4') }), b4);
    assert.deepEqual(ends(scale(1, steps)), b4);
    assert.deepEqual(ends(scale(1, { base: 'lite0', ...steps, fixedEnds: false })), b4);
    // The ends of a base that is already scaled are those that it has; EdgeTPU's are not held by themselves.
    assert.deepEqual(ends(scale(2, { base: 'b2', fixedEnds: true })).slice(0, 3), [32, 1408, 2]);
    const edge = buildNetwork('edgetpu-s');
    assert.ok(scale(2, { base: 'edgetpu-s' }).network.stem.out > edge.stem.out);
    assert.equal(scale(2, { base: 'edgetpu-s', fixedEnds: true }).network.stem.out, edge.stem.out);
  });

  it('is the base at phi 0, whatever is said about the ends', () => {
    for (const base of Object.keys(architectures)) {
      for (const fixedEnds of [true, false]) {
        const { network } = scale(0, { base, fixedEnds });
        const { stem, blocks, head } = buildNetwork(base);
        assert.deepEqual([network.stem, network.blocks, network.head], [stem, blocks, head], `${base}, ${fixedEnds}`);
      }
    }
  });

  it('takes the conventions of a checkpoint', () => {
    const { network } = scale(1, { padding: 'same', batchNormEpsilon: 1e-3, classes: 10 });
    assert.deepEqual([network.padding, network.batchNormEpsilon, network.head.classes], ['same', 1e-3, 10]);
  });

  const wrong: readonly (readonly [name: string, phi: unknown, options: unknown, code: string, ...parts: string[]])[] = [
    ['NaN', NaN, {}, 'ERR_INVALID_ARGUMENT', 'finite number for phi', 'NaN'],
    ['Infinity', Infinity, {}, 'ERR_INVALID_ARGUMENT', 'finite number for phi'],
    ['text', '1', {}, 'ERR_INVALID_ARGUMENT', 'the string "1"'],
    ['a resolution beyond the limit', 40, {}, 'ERR_INVALID_ARGUMENT', 'limit of 4,096', 'resolution', 'phi from -14.03'],
    ['an absurd phi', 1e6, {}, 'ERR_INVALID_ARGUMENT', 'limit of 4,096', 'over a trillion'],
    ['a resolution below the strides', -20, {}, 'ERR_INVALID_ARGUMENT', 'below the 32 pixels', 'strides'],
    ['a small resolution', 0, { resolution: 16 }, 'ERR_INVALID_ARGUMENT', 'below the 32 pixels'],
    ['too many layers', 20, { alpha: 2, beta: 1, gamma: 1 }, 'ERR_INVALID_ARGUMENT', 'blocks', 'limit of 1,024'],
    [
      'a width of nothing',
      -90,
      { alpha: 1, beta: 1.4, gamma: 1 },
      'ERR_INVALID_ARGUMENT',
      'a width of',
      'below the smallest of 0.01',
    ],
    ['too many channels', 20, { alpha: 1, beta: 1.4, gamma: 1 }, 'ERR_INVALID_ARGUMENT', 'channels', 'limit of 32,768'],
    [
      'too many parameters',
      10,
      { alpha: 1.3, beta: 1.3, gamma: 1 },
      'ERR_INVALID_ARGUMENT',
      'parameters',
      'limit of 2,000,000,000',
    ],
    ['a broken condition, strictly', 1, { alpha: 1.5, strict: true }, 'ERR_INVALID_ARGUMENT', '2.400', 'within 0.1'],
    ['a shrinking dimension, strictly', 1, { gamma: 0.9, strict: true }, 'ERR_INVALID_ARGUMENT', 'gamma is 0.9', 'at least 1'],
    ['a coefficient that is no number', 1, { alpha: NaN }, 'ERR_INVALID_ARGUMENT', 'alpha', 'NaN'],
    ['fixed ends that are neither', 1, { fixedEnds: 'yes' }, 'ERR_INVALID_ARGUMENT', 'fixedEnds', 'the string "yes"'],
    ['a negative coefficient', 1, { beta: -1 }, 'ERR_INVALID_ARGUMENT', 'beta'],
    ['an unknown base', 1, { base: 'b9' }, 'ERR_UNKNOWN_ARCHITECTURE', "Did you mean 'b0'?"],
    ['no base', 1, { base: 7 }, 'ERR_INVALID_ARGUMENT', 'for base', '7'],
    ['a broken base', 1, { base: { stages: [] } }, 'ERR_INVALID_ARGUMENT', 'architecture'],
    ['a stage that is none', 1, { base: { ...architectures.b0.base, stages: [null] } }, 'ERR_INVALID_ARGUMENT', 'stages[0]', 'null'],
    ['a misspelt option', 1, { alpa: 1.2 }, 'ERR_INVALID_ARGUMENT', "'alpa'", 'Did you mean', 'alpha'],
    ['a divisor of nothing', 1, { divisor: 0 }, 'ERR_INVALID_ARGUMENT', 'divisor'],
    ['an unknown rounding', 1, { depthRounding: 'down' }, 'ERR_INVALID_ARGUMENT', 'depthRounding'],
  ];
  for (const [name, phi, options, code, ...parts] of wrong) {
    it(`refuses ${name}`, () => refuses(() => scale(phi as number, options as ScaleOptions), code, ...parts));
  }

  it('warns with the product where it is not strict', async () => {
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    const scaled = scale(1, { alpha: 1.5 });
    assert.equal(scaled.warnings.length, 1);
    assert.match(scaled.warnings[0] ?? '', /2\.400/);
    assert.match((await warned).message, /2\.400/);
    assert.deepEqual(scale(1).warnings, []);
    assert.deepEqual(scale(1, { alpha: 1.5, tolerance: 0.5 }).warnings, []);
    assert.equal(constraintWarnings({ ...paperCoefficients, alpha: 0.9 }).length, 2);
  });

  it('knows its range', () => {
    const scaling = checkFormula();
    const { min, max } = phiRange(scaling);
    scaleBy(min, scaling);
    scaleBy(max, scaling);
    assert.throws(() => scaleBy(min - 0.02, scaling));
    assert.throws(() => scaleBy(max + 0.02, scaling));
    assert.ok(scaleBy(max, scaling).resolution <= scaleLimits.resolution);
  });
});

describe('layers of a deeper network', () => {
  it('grow one at a time and stay in proportion', () => {
    assert.deepEqual(shareLayers(b0Layers, 1), b0Layers);
    assert.deepEqual(
      shareLayers(b0Layers, 2),
      b0Layers.map((count) => 2 * count),
    );
    assert.deepEqual(shareLayers(b0Layers, 0.01), [1, 1, 1, 1, 1, 1, 1]);
    let before = shareLayers(b0Layers, 0.3);
    for (let factor = 0.3; factor < 6; factor += 0.003) {
      const layers = shareLayers(b0Layers, factor);
      const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);
      assert.equal(sum(layers), Math.max(7, Math.floor(16 * factor + 0.5)));
      assert.ok(sum(layers) - sum(before) <= 1 && layers.every((count, i) => count >= (before[i] ?? 0)), String(factor));
      layers.forEach((count, i) =>
        assert.ok(Math.abs(count - Math.max(1, (b0Layers[i] ?? 0) * factor)) <= 1, `${factor}: ${layers.join()}`),
      );
      before = layers;
    }
  });
});

describe('the published table beside the formula', () => {
  it('has the formula nearest in work, and shows that they part', () => {
    const members = familyBesideFormula(checkFormula());
    assert.deepEqual(
      members.map(({ name }) => name),
      Object.keys(architectures).filter((name) => members.some((member) => member.name === name)),
    );
    assert.ok(members.length >= 10);
    for (const { name, macs, formula } of members)
      assert.ok(Math.abs(Math.log(formula.macs / macs)) < 0.13, `${name}: ${formula.macs} for ${macs}`);
    const [b0, b1, b2] = members;
    assert.deepEqual([b0?.formula.phi, b0?.formula.macs], [0, b0?.macs]);
    assert.ok(b1 !== undefined && b1.width === 1 && b1.formula.width > 1.08);
    assert.ok(b2 !== undefined && b2.formula.parameters < 0.9 * b2.parameters);
  });

  it('finds the largest phi that is accepted', () => {
    const scaling = checkFormula();
    const phi = largestPhi(({ parameters }) => parameters <= 20e6, scaling);
    assert.ok(
      phi !== undefined && scaleBy(phi, scaling).parameters <= 20e6 && scaleBy(phi + 0.001, scaling).parameters > 20e6,
      String(phi),
    );
    assert.equal(
      largestPhi(() => false, scaling),
      undefined,
    );
    assert.equal(
      largestPhi(() => true, scaling),
      phiRange(scaling).max,
    );
  });
});
