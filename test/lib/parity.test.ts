// SPDX-License-Identifier: Apache-2.0
// Every network of the family against the libraries that published it: random weights made by
// torchvision or timm, read from the .pth that they write, logits within 1e-4 of the largest. Each at its
// default size and at an odd one that is not square; but networks of more than kLarge MACs on one
// instruction set, and only at two small sizes unless EFFNET_PARITY=full (half an hour, and L2 with
// 12 GB), which writes what it found to test/golden/parity.tsv. Of the networks that timm has under both
// conventions one is taken where the other's is a copy.

import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { cpu, load, type Isa } from '../../lib/index.js';
import { describe as describeNetwork } from '../../lib/describe.js';
import { resolveName } from '../../lib/names.js';
import { buildNetwork } from '../../lib/network.js';
import type { PublishedModels } from '../../lib/published/model.js';
import { timmModels } from '../../lib/published/timm.js';
import { torchvisionModels } from '../../lib/published/torchvision.js';
import { missingFor } from '../../lib/published/unsupported.js';
import { published } from '../../lib/recipe.js';
import { apart, floats } from './helpers/oracle.js';
import { parityRecord, recordParity } from './helpers/parity-record.js';
import { pythonFor, ReferenceNetworks, type Library, type Size } from './helpers/reference-networks.js';

const kLarge = 7.5e8;
const full = process.env['EFFNET_PARITY'] === 'full';
const isas: readonly Isa[] = cpu().isas.filter(({ present }) => present).map(({ name }) => name);

interface Case {
  readonly model: string;
  readonly classes?: number;
  /** Of the odd size; 225 x 289 unless given. */
  readonly odd?: Size;
  /** Too large for every run. */
  readonly huge?: true;
}

const cases: Readonly<Record<Library, readonly Case[]>> = {
  torchvision: [
    ...['efficientnet_b0', 'efficientnet_b1', 'efficientnet_b2', 'efficientnet_b3'],
    ...['efficientnet_b4', 'efficientnet_b5', 'efficientnet_b6', 'efficientnet_b7'],
    ...['efficientnet_v2_s', 'efficientnet_v2_m', 'efficientnet_v2_l'],
    ...['mobilenet_v2', 'mobilenet_v3_large', 'mobilenet_v3_small'],
    ...['mnasnet0_5', 'mnasnet0_75', 'mnasnet1_0', 'mnasnet1_3'],
  ].map((model) => ({ model })),
  timm: [
    ...[
      'tf_efficientnet_b0', 'tf_efficientnet_b3', 'efficientnet_b8',
      'efficientnet_lite0', 'tf_efficientnet_lite0', 'tf_efficientnet_lite1', 'tf_efficientnet_lite2', 'tf_efficientnet_lite3', 'tf_efficientnet_lite4',
      'efficientnet_es', 'tf_efficientnet_es', 'tf_efficientnet_em', 'tf_efficientnet_el',
      'tf_efficientnetv2_b0', 'tf_efficientnetv2_b1', 'tf_efficientnetv2_b2', 'tf_efficientnetv2_b3',
      'tf_efficientnetv2_s', 'tf_efficientnetv2_m', 'tf_efficientnetv2_l', 'tf_efficientnetv2_xl',
      'efficientnetv2_rw_t', 'efficientnetv2_rw_s', 'efficientnetv2_rw_m',
      'mobilenetv2_035', 'mobilenetv2_050', 'mobilenetv2_075', 'mobilenetv2_100', 'mobilenetv2_110d', 'mobilenetv2_120d', 'mobilenetv2_140',
      'mnasnet_050', 'mnasnet_075', 'mnasnet_100', 'mnasnet_140', 'mnasnet_small',
      'semnasnet_050', 'semnasnet_075', 'semnasnet_100', 'semnasnet_140', 'fbnetc_100', 'spnasnet_100',
      'mobilenetv3_large_075', 'mobilenetv3_large_100', 'mobilenetv3_large_150d', 'mobilenetv3_rw', 'mobilenetv3_small_050', 'mobilenetv3_small_075', 'mobilenetv3_small_100',
      'tf_mobilenetv3_large_075', 'tf_mobilenetv3_large_100', 'tf_mobilenetv3_large_minimal_100',
      'tf_mobilenetv3_small_075', 'tf_mobilenetv3_small_100', 'tf_mobilenetv3_small_minimal_100',
      'test_efficientnet', 'efficientnet_b1_pruned', 'efficientnet_b2_pruned', 'efficientnet_b3_pruned', 'efficientnet_es_pruned', 'efficientnet_el_pruned',
    ].map((model) => ({ model })),
    ...['tinynet_a', 'tinynet_b', 'tinynet_c', 'tinynet_d', 'tinynet_e'].map((model): Case => ({ model, odd: [107, 151] })),
    { model: 'tf_efficientnetv2_b0.in21k', classes: 21843, odd: [97, 65] },
    { model: 'efficientnet_l2', huge: true },
    { model: 'tf_efficientnet_l2.ns_jft_in1k_475', huge: true },
  ],
};

/** What a case is run at, and on which instruction sets. */
function planOf({ model, odd = [225, 289] }: Case): { readonly sizes: readonly Size[]; readonly on: readonly Isa[]; readonly large: boolean } {
  const network = buildNetwork(model);
  const { resolution } = network;
  const large = describeNetwork(network).macs > kLarge;
  const sizes: readonly Size[] = large && !full ? [[96, 96], [65, 97]] : [[resolution, resolution], odd];
  return { sizes, on: large ? isas.slice(0, 1) : isas, large };
}

for (const library of ['torchvision', 'timm'] as const) {
  describe(`logits of ${library}'s networks with random weights`, function () {
    this.timeout(full ? 3_600_000 : 600_000);
    let reference: ReferenceNetworks | undefined;
    let folder = '';

    before(async function () {
      const python = pythonFor(library);
      if (python === undefined) return this.skip();
      folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-parity-'));
      reference = new ReferenceNetworks(python);
      console.log(`      ${JSON.stringify(await reference.start())}`);
    });

    after(async () => {
      await reference?.close();
      if (folder !== '') rmSync(folder, { recursive: true, force: true });
    });

    for (const one of cases[library]) {
      if (one.huge === true && !full) continue;
      const { sizes, on, large } = planOf(one);
      it(`${one.model} at ${sizes.map((size) => size.join('x')).join(' and ')} on ${on.join(', ')}`, async () => {
        assert.ok(reference !== undefined);
        const out = join(folder, one.model);
        try {
          const { classes = 1000 } = one;
          const batch = large ? 1 : 2;
          // One image makes the statistics of the largest, and is compared: half the work.
          const statistics = one.huge === true ? 1 : 2;
          const parameters = await reference.make({ library, model: one.model.split('.')[0] ?? '', seed: 1, classes, batch, statistics, sizes, out });
          let error = 0;
          for (const isa of on) error = Math.max(error, await compare({ library, name: one.model, out, sizes, isa, classes, parameters }));
          if (full) recordParity({ library, model: one.model, sizes, isas: on, error });
        } finally {
          rmSync(out, { recursive: true, force: true });
        }
      });
    }

    if (library === 'torchvision') {
      it('a wrong padding and a wrong epsilon are noticed', async () => {
        assert.ok(reference !== undefined);
        const out = join(folder, 'wrong');
        await reference.make({ library, model: 'efficientnet_b0', seed: 2, classes: 1000, batch: 1, sizes: [[64, 64]], out });
        for (const wrong of [{ padding: 'same' }, { batchNormEpsilon: 1e-3 }] as const) {
          const model = await load({ architecture: 'b0', weights: join(out, 'weights.pth'), ...wrong });
          const found = await model.run(floats(join(out, '64x64.input.f32')), { layout: 'nchw', height: 64, width: 64 });
          await model.close();
          const error = apart(found, floats(join(out, '64x64.logits.f32')));
          assert.ok(error > 1e-3, `${JSON.stringify(wrong)}: ${error}`);
        }
      });
    }

    it('the table of published names agrees', async () => {
      assert.ok(reference !== undefined);
      console.log(`      ${compareTables(library, await reference.configurations(library))} sets of weights`);
    });
  });
}

describe('the record of the full comparison', () => {
  it('has every network at its own size and an odd one, within 1e-4', () => {
    const record = parityRecord();
    for (const library of ['torchvision', 'timm'] as const) {
      for (const { model } of cases[library]) {
        const { resolution } = buildNetwork(model);
        const row = record.find((one) => one.library === library && one.model === model) ?? assert.fail(`${library}'s ${model}: run EFFNET_PARITY=full`);
        assert.equal(row.sizes[0], `${resolution}x${resolution}`, model);
        assert.equal(row.sizes.length, 2, model);
        assert.ok(row.error < 1e-4, `${model}: ${row.error}`);
      }
    }
    assert.equal(record.length, cases.torchvision.length + cases.timm.length);
  });
});

interface Comparison {
  readonly library: Library;
  readonly name: string;
  readonly out: string;
  readonly sizes: readonly Size[];
  readonly isa: Isa;
  readonly classes: number;
  readonly parameters: number;
}

/** The largest difference as a share of the largest logit. */
async function compare({ library, name, out, sizes, isa, classes, parameters }: Comparison): Promise<number> {
  // Both libraries have an efficientnet_b0; whose it is, is to be found in the file.
  const model = await load({ architecture: name, weights: join(out, 'weights.pth'), isa });
  try {
    const { info } = model;
    assert.deepEqual([info.source, info.isa, info.classes, info.parameters], [library, isa, classes, parameters]);
    const tensorflow = resolveName(name).tensorflow;
    assert.equal(info.padding, tensorflow ? 'same' : 'symmetric');
    let largest = 0;
    for (const [height, width] of sizes) {
      const stem = join(out, `${height}x${width}`);
      const found = await model.run(floats(`${stem}.input.f32`), { layout: 'nchw', height, width });
      const error = apart(found, floats(`${stem}.logits.f32`));
      assert.ok(error < 1e-4, `${name} at ${height}x${width} on ${isa}: ${error}`);
      largest = Math.max(largest, error);
    }
    return largest;
  } finally {
    await model.close();
  }
}

interface Configuration {
  readonly size: readonly number[];
  readonly cropFraction?: number;
  /** Of torchvision: the short side before the crop. */
  readonly resized?: number;
  readonly crop?: string;
  readonly filter: string;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly classes?: number;
}

/** Every set of weights of our table against the library's own; the number compared. */
function compareTables(library: Library, theirs: Readonly<Record<string, unknown>>): number {
  let compared = 0;
  const models: PublishedModels = library === 'timm' ? timmModels : torchvisionModels;
  for (const [name, model] of Object.entries(models)) {
    const configurations = theirs[name] as Readonly<Record<string, Configuration>> | undefined;
    assert.ok(configurations !== undefined, `${library} has no ${name}`);
    assert.deepEqual(Object.keys(model.weights).sort(), Object.keys(configurations).sort(), name);
    // Plain `tf_efficientnet_l2` means the network at its own size here.
    if (name !== 'tf_efficientnet_l2') assert.equal(Object.keys(model.weights)[0], Object.keys(configurations)[0], `default of ${name}`);
    for (const [tag, weights] of Object.entries(model.weights)) {
      const expected: Configuration = configurations[tag] ?? assert.fail();
      const recipe = published(weights);
      const fraction = expected.resized === undefined ? (expected.cropFraction ?? NaN) : recipe.cropFraction;
      assert.deepEqual(
        { size: [recipe.height, recipe.width], fraction: recipe.cropFraction, crop: recipe.crop, filter: recipe.filter, mean: recipe.mean, std: recipe.std },
        { size: expected.size, fraction, crop: expected.crop ?? 'center', filter: expected.filter, mean: expected.mean, std: expected.std },
        `${name}.${tag}`,
      );
      if (expected.resized !== undefined) assert.equal(Math.floor(recipe.height / recipe.cropFraction), expected.resized, name);
      assert.equal(weights.classes ?? 1000, expected.classes ?? 1000, `${name}.${tag}`);
      compared++;
    }
  }
  assert.ok(compared >= Object.keys(models).length);
  if (library !== 'timm') return compared;
  // Whatever else timm has in those files is refused by name, and nothing else is.
  for (const name of Object.keys(theirs)) assert.equal(missingFor(name) === undefined, Object.hasOwn(models, name), name);
  return compared;
}
