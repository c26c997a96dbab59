// SPDX-License-Identifier: Apache-2.0
// What travels beside a checkpoint: timm's and transformers' configuration files and our own metadata, and
// what load makes of them. Numbers of the published files are those of the libraries' own repositories.

import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { CheckpointConfig } from '../../lib/config/config.js';
import { recipeMetadata, readMetadata, applyConfig } from '../../lib/config/metadata.js';
import { readConfig } from '../../lib/config/read.js';
import { EfficientNetError } from '../../lib/errors.js';
import { writeSafetensors } from '../../lib/formats/safetensors.js';
import { load, type LoadOptions } from '../../lib/model.js';
import { standardRecipe, type Recipe } from '../../lib/recipe.js';
import { commit, startHub, type FakeHub } from './fake-hub.js';
import { syntheticB0 } from './synthetic.js';

const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
/** The parts of timm/efficientnet_b0.ra_in1k's config.json that matter, and some that do not. */
const timm = {
  architecture: 'efficientnet_b0', num_classes: 1000, num_features: 1280,
  pretrained_cfg: {
    tag: 'ra_in1k', custom_load: false, input_size: [3, 224, 224], fixed_input_size: false, interpolation: 'bicubic', crop_pct: 0.875,
    crop_mode: 'center', ...imagenet, num_classes: 1000, pool_size: [7, 7], first_conv: 'conv_stem', classifier: 'classifier',
  },
};
/** google/efficientnet-b7's, shortened. */
const google = { model_type: 'efficientnet', width_coefficient: 2.0, depth_coefficient: 3.1, image_size: 600, batch_norm_eps: 0.001, architectures: ['EfficientNetForImageClassification'] };
const processor = {
  image_processor_type: 'EfficientNetImageProcessor', crop_size: { height: 289, width: 289 }, do_center_crop: false, do_normalize: true, do_rescale: true, do_resize: true,
  image_mean: imagenet.mean, image_std: [0.47853944, 0.4732864, 0.47434163], include_top: true, resample: 0, rescale_factor: 0.00392156862745098,
  rescale_offset: false, size: { height: 600, width: 600 },
};
const weights = writeSafetensors(syntheticB0('timm').values(), { format: 'pt' });

describe('configuration beside a checkpoint', () => {
  let home: string;
  let warnings: Error[];
  const listen = (warning: Error): void => void warnings.push(warning);

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    warnings = [];
    process.on('warning', listen);
  });

  afterEach(() => {
    process.off('warning', listen);
    rmSync(home, { recursive: true, force: true });
  });

  const write = (name: string, value: unknown): void => writeFileSync(join(home, name), typeof value === 'string' ? value : JSON.stringify(value));
  const read = (config: unknown, preprocessor?: unknown, named = false): Promise<CheckpointConfig | undefined> => {
    write('config.json', config);
    if (preprocessor !== undefined) write('preprocessor_config.json', preprocessor);
    return readConfig(home, named);
  };
  const recipeOf = async (config: unknown, preprocessor?: unknown): Promise<Recipe> => applyConfig(await read(config, preprocessor), standardRecipe(100));
  const fails = (promise: Promise<unknown>, code: string, pattern: RegExp): Promise<void> =>
    assert.rejects(promise, (error: unknown) => {
      assert.ok(error instanceof EfficientNetError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, pattern);
      return true;
    });

  it("reads timm's", async () => {
    const found = await read(timm);
    assert.equal(found?.architecture, 'efficientnet_b0');
    assert.deepEqual(found.notes, []);
    assert.deepEqual(applyConfig(found, standardRecipe(100)), { height: 224, width: 224, crop: 'center', cropFraction: 0.875, filter: 'bicubic', ...imagenet });
    const half = { ...timm, architecture: 'tf_efficientnet_b5', pretrained_cfg: { ...timm.pretrained_cfg, input_size: [3, 456, 400], crop_pct: 1, crop_mode: 'squash', interpolation: 'bilinear', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } };
    assert.deepEqual(await recipeOf(half), { height: 456, width: 400, crop: 'squash', cropFraction: 1, filter: 'bilinear', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] });
  });

  it("reads timm's older form, label names and arguments", async () => {
    const { pretrained_cfg: flat } = timm;
    const old = await read({ architecture: 'efficientnet_b0', ...flat, labels: ['cat', 'dog'] });
    assert.deepEqual(old?.labels, ['cat', 'dog']);
    assert.equal(old.recipe.cropFraction, 0.875);
    const named = await read({ ...timm, label_names: ['n01', 'n02'], label_descriptions: { n01: 'a cat' } });
    assert.deepEqual(named?.labels, ['a cat', 'n02']);
    const padded = await read({ ...timm, model_args: { bn_eps: 0.01, pad_type: 'same', drop_rate: 0.1, num_classes: 5 } });
    assert.deepEqual([padded?.padding, padded?.batchNormEpsilon], ['same', 0.01]);
    await fails(read({ ...timm, model_args: { act_layer: 'gelu' } }), 'ERR_UNSUPPORTED', /model_args.*act_layer.*architecture/);
    assert.equal((await read({ ...timm, model_args: { act_layer: 'gelu' } }, undefined, true))?.architecture, undefined);
  });

  it('says what it cannot follow, and which option decides', async () => {
    const asked = { ...timm.pretrained_cfg, interpolation: 'random', crop_mode: 'border' };
    const found = await read({ ...timm, pretrained_cfg: asked });
    assert.deepEqual(found?.notes.map(({ option }) => option), ['crop', 'filter']);
    const squashed = await read({ ...timm, pretrained_cfg: { ...asked, crop_mode: 'squash', crop_pct: 0.9, interpolation: 'bicubic' } });
    assert.deepEqual(squashed?.notes, []);
    assert.deepEqual([squashed?.recipe.crop, squashed?.recipe.cropFraction], ['squash', 0.9]);
    const { crop_pct: _, ...silent } = timm.pretrained_cfg;
    assert.equal((await read({ ...timm, pretrained_cfg: { ...silent, crop_mode: 'squash' } }))?.recipe.cropFraction, 0.875);
    for (const filter of ['nearest', 'lanczos', 'box', 'hamming'] as const) {
      assert.equal((await recipeOf({ ...timm, pretrained_cfg: { ...timm.pretrained_cfg, interpolation: filter } })).filter, filter);
    }
  });

  it("reads transformers' EfficientNet, whose std counts twice", async () => {
    const found = await read(google, processor);
    assert.deepEqual([found?.architecture, found?.padding, found?.batchNormEpsilon], ['b7', 'same', 0.001]);
    assert.deepEqual(found?.notes, []);
    const recipe = await recipeOf(google, processor);
    assert.deepEqual([recipe.height, recipe.width, recipe.crop, recipe.cropFraction, recipe.filter], [600, 600, 'squash', 1, 'nearest']);
    assert.deepEqual(recipe.mean, imagenet.mean);
    recipe.std.forEach((std, i) => assert.ok(Math.abs(std - (imagenet.std[i] ?? 0)) < 1e-7, String(std)));
    const once = await recipeOf(google, { ...processor, include_top: false });
    assert.deepEqual(once.std, processor.image_std);
    // Another processor knows no second division; its absence in EfficientNet's own file means that there is one.
    const { include_top: _, ...silent } = processor;
    assert.deepEqual((await recipeOf(google, silent)).std, recipe.std);
    assert.deepEqual((await recipeOf(google, { ...silent, image_processor_type: 'ViTImageProcessor' })).std, processor.image_std);
  });

  it('gives the numbers that the processor gives, whatever its switches', async () => {
    let cases = 0;
    for (const rescale of [true, false]) {
      for (const offset of [true, false]) {
        for (const normalise of [true, false]) {
          for (const top of [true, false]) {
            for (const factor of [1 / 255, 1 / 127.5]) {
              const given = { ...processor, do_rescale: rescale, rescale_offset: offset, do_normalize: normalise, include_top: top, rescale_factor: factor };
              const { mean, std } = await recipeOf(google, given);
              for (const pixel of [0, 100, 255]) {
                processor.image_std.forEach((deviation, i) => {
                  // As its preprocess() does it, step by step.
                  let x = pixel;
                  if (rescale) x = offset ? x * factor - 1 : x * factor;
                  if (normalise) x = (x - (imagenet.mean[i] ?? 0)) / deviation;
                  if (top) x /= deviation;
                  const ours = (pixel / 255 - (mean[i] ?? 0)) / (std[i] ?? 0);
                  assert.ok(Math.abs(ours - x) <= 1e-9 * (1 + Math.abs(x)), `${JSON.stringify(given)} ${pixel}: ${ours}, expected ${x}`);
                  cases++;
                });
              }
            }
          }
        }
      }
    }
    assert.equal(cases, 2 ** 5 * 9);
  });

  it('reads the sizes that other processors write', async () => {
    const crop = { ...processor, image_processor_type: 'BitImageProcessor', do_center_crop: true, resample: 3, crop_size: 224, size: { shortest_edge: 256 } };
    const centre = await recipeOf(google, crop);
    assert.deepEqual([centre.height, centre.crop, Math.floor(224 / centre.cropFraction), centre.filter], [224, 'center', 256, 'bicubic']);
    const squashed = await recipeOf(google, { ...processor, do_center_crop: true, crop_size: { height: 224, width: 224 }, size: { height: 256, width: 256 } });
    assert.deepEqual([squashed.height, squashed.width, squashed.crop, Math.floor(224 / squashed.cropFraction)], [224, 224, 'squash', 256]);
    const uneven = await read(google, { ...processor, do_center_crop: true, crop_size: { height: 224, width: 224 }, size: { height: 256, width: 300 } });
    assert.deepEqual([uneven?.notes.map(({ option }) => option), uneven?.recipe.crop, uneven?.recipe.cropFraction], [['crop'], 'squash', 1]);
    assert.deepEqual((await recipeOf(google, { ...crop, do_center_crop: false })).height, 600);
    assert.equal((await recipeOf(google, { ...crop, size: 300, do_center_crop: false })).width, 300);
    assert.equal((await recipeOf(google, {})).height, 600);
    rmSync(join(home, 'preprocessor_config.json'));
    assert.deepEqual((await read(google))?.notes.map(({ option }) => option), ['recipe']);
  });

  it('takes labels from id2label, but no placeholders', async () => {
    const labels = async (id2label: unknown): Promise<unknown> => (await read({ ...google, id2label }, processor))?.labels;
    assert.deepEqual(await labels({ 1: 'dog', 0: 'cat', 10: 'j', ...Object.fromEntries([2, 3, 4, 5, 6, 7, 8, 9].map((i) => [i, `c${i}`])) }), ['cat', 'dog', ...[2, 3, 4, 5, 6, 7, 8, 9].map((i) => `c${i}`), 'j']);
    assert.equal(await labels({ 0: 'LABEL_0', 1: 'LABEL_1' }), undefined);
    assert.equal(await labels({ 0: 'a', 2: 'b' }), undefined);
  });

  it('refuses networks of other families and files that are none', async () => {
    await fails(read({ ...timm, architecture: 'resnet50' }), 'ERR_UNKNOWN_ARCHITECTURE', /config\.json.*"resnet50"/);
    await fails(read({ model_type: 'bert' }), 'ERR_UNSUPPORTED', /model_type "bert"/);
    assert.equal((await read({ model_type: 'bert' }, undefined, true))?.architecture, undefined);
    await fails(read({ ...timm, pretrained_cfg: { ...timm.pretrained_cfg, global_pool: 'max' } }), 'ERR_UNSUPPORTED', /global_pool "max"/);
    for (const [field, value] of [['mean', [1, 2]], ['crop_pct', 'x'], ['crop_pct', 0], ['input_size', [1, 224, 224]], ['interpolation', 5], ['std', ['a', 1, 1]]] as const) {
      await fails(read({ ...timm, pretrained_cfg: { ...timm.pretrained_cfg, [field]: value } }), 'ERR_INVALID_CHECKPOINT', new RegExp(`config\\.json: .*${field}`));
    }
    await fails(recipeOf({ ...timm, pretrained_cfg: { ...timm.pretrained_cfg, input_size: [3, 1e9, 224] } }), 'ERR_INVALID_CHECKPOINT', /height/);
    await fails(recipeOf({ ...timm, pretrained_cfg: { ...timm.pretrained_cfg, std: [0, 1, 1] } }), 'ERR_INVALID_CHECKPOINT', /std/);
    await fails(read('{"architecture":'), 'ERR_INVALID_CHECKPOINT', /expected JSON/);
    await fails(read('[]'), 'ERR_INVALID_CHECKPOINT', /expected an object/);
    assert.equal(await read({ anything: 'else' }), undefined);
  });

  it('reads back what it writes into metadata', () => {
    const recipe: Recipe = { ...standardRecipe(120), crop: 'squash', filter: 'bilinear' };
    const metadata = new Map(Object.entries({ format: 'efficientnet-simd', ...recipeMetadata(recipe, ['a', 'b']) }));
    const found = readMetadata(metadata);
    assert.deepEqual(applyConfig(found, standardRecipe(7)), recipe);
    assert.deepEqual(found?.labels, ['a', 'b']);
    assert.equal(readMetadata(new Map([...metadata, ['format', 'pt']])), undefined);
    assert.equal(readMetadata(new Map([['format', 'efficientnet-simd']])), undefined);
    for (const wrong of ['{', '5', '"x"']) assert.throws(() => readMetadata(new Map([...metadata, ['recipe', wrong]])), EfficientNetError);
    assert.throws(() => readMetadata(new Map([...metadata, ['labels', '[1]']])), /labels/);
    assert.throws(() => applyConfig(readMetadata(new Map([...metadata, ['recipe', '{"crop":"x"}']])), standardRecipe(7)), /metadata: .*crop/);
  });

  const own = { ...timm, architecture: 'tf_efficientnet_b0', pretrained_cfg: { ...timm.pretrained_cfg, input_size: [3, 96, 96], crop_pct: 0.9 }, label_names: Array.from({ length: 1000 }, (_, i) => `class ${i}`) };

  it('load takes a folder: weights, recipe, conventions and labels', async () => {
    write('config.json', own);
    writeFileSync(join(home, 'model.safetensors'), weights);
    await using model = await load({ weights: home, threads: 1 });
    const { recipe, padding, batchNormEpsilon } = model.info;
    assert.deepEqual([recipe.height, recipe.cropFraction, padding, batchNormEpsilon], [96, 0.9, 'same', 1e-3]);
    assert.deepEqual(model.info.checkpoint, { format: 'safetensors', path: join(home, 'model.safetensors'), configuration: 'config.json' });
    const image = { data: new Uint8Array(300).fill(9), width: 10, height: 10, channels: 'rgb' } as const;
    assert.match(model.classifySync(image, { top: 1 })[0]?.label ?? '', /^class \d+$/);
    await using other = await load({ weights: home, architecture: 'efficientnet_b0', recipe: { size: 64 }, labels: own.label_names, threads: 1 });
    assert.deepEqual([other.info.recipe.height, other.info.recipe.cropFraction, other.info.padding], [64, 0.9, 'symmetric']);
    // The file alone says nothing of it: only what the user names is opened.
    await using bare = await load({ weights: join(home, 'model.safetensors'), architecture: 'b0', padding: 'same', batchNormEpsilon: 1e-3, threads: 1 });
    assert.equal(bare.info.recipe.height, 224);
    assert.equal(bare.info.checkpoint.configuration, null);
    await using bytes = await load({ weights, architecture: 'efficientnet_b0', threads: 1 });
    assert.deepEqual(bytes.info.checkpoint, { format: 'safetensors', path: null, configuration: null });
    assert.deepEqual(warnings, []);
  });

  it('load says what a configuration leaves open, unless it is told', async () => {
    write('config.json', { ...own, pretrained_cfg: { ...own.pretrained_cfg, interpolation: 'random' } });
    writeFileSync(join(home, 'model.safetensors'), weights);
    const loaded = async (options: LoadOptions): Promise<string[]> => {
      await using model = await load({ weights: home, threads: 1, ...options });
      assert.ok(model.info.classes > 0);
      await new Promise((resolve) => setImmediate(resolve));
      return warnings.splice(0).map(({ message }) => message);
    };
    const [said = '', ...more] = await loaded({});
    assert.match(said, /config\.json asks for random resizing.*recipe\.filter decides/);
    assert.deepEqual(more, []);
    assert.deepEqual(await loaded({ recipe: { filter: 'bicubic' } }), []);
  });

  it('load needs a file where a folder has several, and says what is there', async () => {
    writeFileSync(join(home, 'a.safetensors'), weights);
    writeFileSync(join(home, 'b.safetensors'), weights);
    await fails(load({ weights: home }), 'ERR_FILE', /2 checkpoints: "a\.safetensors", "b\.safetensors"; name one with the option file/);
    await using model = await load({ weights: home, file: 'b.safetensors', architecture: 'efficientnet_b0', threads: 1 });
    assert.equal(model.info.architecture, 'b0');
    await fails(load({ weights: home, file: 'c' }), 'ERR_FILE', /no file "c"/);
    await fails(load({ weights: join(home, 'a.safetensors'), file: 'c' }), 'ERR_INVALID_ARGUMENT', /file/);
    mkdirSync(join(home, 'empty'));
    await fails(load({ weights: join(home, 'empty') }), 'ERR_FILE', /no checkpoint.*no file at all/);
    await fails(load({ weights: 'timm/none' }), 'ERR_FILE', /load\('timm\/none'\)/);
  });

  it('load checks the integrity of a path', async () => {
    writeFileSync(join(home, 'model.safetensors'), weights);
    const integrity = `sha256-${'A'.repeat(43)}=`;
    await fails(load({ weights: join(home, 'model.safetensors'), integrity }), 'ERR_FILE', /not the file that the option integrity asks for: expected sha256-AAAA[A=]*, found sha256-[\w+/]{43}=$/);
    await fails(load({ weights, integrity }), 'ERR_INVALID_ARGUMENT', /integrity/);
    await fails(load('b0', { integrity }), 'ERR_INVALID_ARGUMENT', /integrity/);
  });

  describe('of a hub', () => {
    let hub: FakeHub;
    const environment = { ...process.env };

    before(async () => {
      hub = await startHub();
      hub.repositories.set('timm/tf_b0', new Map([
        ['config.json', { bytes: Buffer.from(JSON.stringify(own)), large: false }], ['model.safetensors', { bytes: weights, large: true }],
      ]));
      hub.repositories.set('google/bert', new Map([
        ['config.json', { bytes: Buffer.from('{"model_type":"bert"}'), large: false }], ['model.safetensors', { bytes: weights, large: true }],
      ]));
    });

    beforeEach(() => {
      for (const key of Object.keys(process.env)) if (/^(hf_.*|.*_proxy|efficientnet_simd_.*)$/i.test(key)) delete process.env[key];
      Object.assign(process.env, { HF_HOME: home, HF_ENDPOINT: hub.url });
      hub.log.length = 0;
    });

    afterEach(() => {
      for (const key of Object.keys(process.env)) if (!(key in environment)) delete process.env[key];
      Object.assign(process.env, environment);
    });

    after(() => hub.close());

    it('load takes a repository', async () => {
      await using model = await load('timm/tf_b0', { threads: 1 });
      assert.deepEqual([model.info.recipe.height, model.info.padding], [96, 'same']);
      await using again = await load({ weights: `hf-hub:timm/tf_b0@${commit}`, threads: 1, offline: true });
      assert.deepEqual(again.info.recipe, model.info.recipe);
      await using named = await load('timm/tf_b0', { architecture: 'efficientnet_b0', threads: 1 });
      assert.equal(named.info.padding, 'symmetric');
      await fails(load('timm/tf_b0', { weights }), 'ERR_INVALID_ARGUMENT', /beside a repository/);
    });

    it('spares the download of a network that is none of the family', async () => {
      await fails(load('google/bert'), 'ERR_UNSUPPORTED', /google\/bert: config\.json.*bert/);
      assert.ok(hub.log.every((line) => !line.includes('safetensors')), hub.log.join());
    });
  });
});
