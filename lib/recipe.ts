// SPDX-License-Identifier: Apache-2.0
// How a checkpoint wants its images: size, resize, crop and normalisation. The recipe belongs to the
// checkpoint and not to the architecture, so the tables here go by source. No pixels are touched here.

import { checkFinite, checkInteger, checkOneOf, checkOptions, invalidArgument } from './check.js';
import { EfficientNetError } from './errors.js';
import type { Network } from './network.js';
import type { CheckpointSource } from './source.js';

/**
 * 'center': the short side is resized to floor(size / cropFraction), the aspect kept, the centre cut
 * out. 'squash': both sides are resized to the input size; the aspect is lost.
 */
export type Crop = 'center' | 'squash';

/** Pillow's antialiased bicubic and bilinear, or TensorFlow's bilinear without antialias. */
export type Filter = 'bicubic' | 'bilinear' | 'bilinear-plain';

export type Rgb = readonly [red: number, green: number, blue: number];

export interface Recipe {
  /** Of the network's input, in pixels, 1 to 4096. */
  readonly height: number;
  readonly width: number;
  readonly crop: Crop;
  /** Share of the resized image that the crop keeps, 0.001 to 1; not used by 'squash'. */
  readonly cropFraction: number;
  readonly filter: Filter;
  /** The network sees (x / 255 - mean) / std. */
  readonly mean: Rgb;
  readonly std: Rgb;
}

/** What a user may override. */
export interface RecipeOptions {
  /** Height and width in one. */
  readonly size?: number | undefined;
  readonly height?: number | undefined;
  readonly width?: number | undefined;
  readonly crop?: Crop | undefined;
  readonly cropFraction?: number | undefined;
  readonly filter?: Filter | undefined;
  readonly mean?: readonly number[] | undefined;
  readonly std?: readonly number[] | undefined;
}

/**
 * Where a checkpoint was trained or published: timm's own, timm's `tf_` ports, lukemelas's
 * EfficientNet-PyTorch, torchvision, or TensorFlow Hub's TensorFlow.js graph.
 */
export type RecipeSource = 'timm' | 'timm-tf' | 'lukemelas' | 'torchvision' | 'tfjs';

const recipeSources: readonly RecipeSource[] = ['timm', 'timm-tf', 'lukemelas', 'torchvision', 'tfjs'];

const maxSide = 4096;

const imageNetMean: Rgb = [0.485, 0.456, 0.406];
const imageNetStd: Rgb = [0.229, 0.224, 0.225];

type Row = readonly [size: number, cropFraction: number];

/** The crop fraction that makes floor(size / fraction) exactly `resized`. */
export function fractionOf(size: number, resized: number): number {
  const fraction = size / resized;
  // The division may have been rounded up, and the floor would then lose a pixel; one step down of a
  // number below 1 is enough.
  return Math.floor(size / fraction) === resized ? fraction : fraction - 2 ** -53;
}

const resizedTo = (size: number, resized: number): Row => [size, fractionOf(size, resized)];

// Sizes and crops as published: timm's model configurations (the literal crop fractions), torchvision's
// presets (resize, crop), and for lukemelas crops 32 pixels smaller than the resized short side.
const tables: Readonly<Record<RecipeSource, Readonly<Record<string, Row>>>> = {
  timm: { b0: [224, 0.875], b1: [224, 0.875], b2: [256, 0.875], b3: [288, 0.875], b4: [320, 0.875] },
  'timm-tf': {
    b0: [224, 0.875],
    b1: [240, 0.882],
    b2: [260, 0.89],
    b3: [300, 0.904],
    b4: [380, 0.922],
    b5: [456, 0.934],
    b6: [528, 0.942],
    b7: [600, 0.949],
  },
  lukemelas: {
    b0: resizedTo(224, 256),
    b1: resizedTo(240, 272),
    b2: resizedTo(260, 292),
    b3: resizedTo(300, 332),
    b4: resizedTo(380, 412),
    b5: resizedTo(456, 488),
    b6: resizedTo(528, 560),
    b7: resizedTo(600, 632),
  },
  torchvision: {
    b0: resizedTo(224, 256),
    b1: resizedTo(240, 256),
    b2: resizedTo(288, 288),
    b3: resizedTo(300, 320),
    b4: resizedTo(380, 384),
    b5: resizedTo(456, 456),
    b6: resizedTo(528, 528),
    b7: resizedTo(600, 600),
  },
  tfjs: { b0: [224, 0.875] },
};

/** Bicubic centre crop of size / (size + 32) with ImageNet's mean and std: what most checkpoints use. */
export function standardRecipe(size: number): Recipe {
  const side = checkInteger('size', size, 1, maxSide);
  return imageNetRecipe(side, fractionOf(side, side + 32));
}

/**
 * The published recipe of `architecture` ('b0' to 'b7') from `source`. Throws ERR_INVALID_ARGUMENT
 * for an unknown source, ERR_UNSUPPORTED where that source has no such network.
 */
export function namedRecipe(source: RecipeSource, architecture: string): Recipe {
  const table = tables[checkOneOf('source', source, recipeSources)];
  const row = Object.hasOwn(table, architecture) ? table[architecture] : undefined;
  if (row === undefined) {
    throw new EfficientNetError(
      'ERR_UNSUPPORTED',
      `Expected a network with a known ${source} recipe (${Object.keys(table).join(', ')}) but received ` +
        `${JSON.stringify(architecture)}; give the recipe yourself`,
    );
  }
  return imageNetRecipe(...row);
}

/** The recipe of a checkpoint: its source's, or the standard one where that source has none. */
export function recipeFor(
  network: Pick<Network, 'name' | 'resolution'>,
  origin: Pick<CheckpointSource, 'naming' | 'padding'>,
): Recipe {
  const { naming, padding } = origin;
  if (naming === 'canonical') return standardRecipe(network.resolution);
  // timm's own networks pad symmetrically, its ports from TensorFlow as TensorFlow does.
  const source = naming === 'timm' && padding === 'same' ? 'timm-tf' : naming;
  return Object.hasOwn(tables[source], network.name) ? namedRecipe(source, network.name) : standardRecipe(network.resolution);
}

function imageNetRecipe(size: number, cropFraction: number): Recipe {
  return { height: size, width: size, crop: 'center', cropFraction, filter: 'bicubic', mean: imageNetMean, std: imageNetStd };
}

const recipeKeys = ['size', 'height', 'width', 'crop', 'cropFraction', 'filter', 'mean', 'std'] as const;

/**
 * `base` with the fields that `value` overrides, each checked; undefined overrides nothing. `name` is
 * the user's name for the option. Throws ERR_INVALID_ARGUMENT naming the field.
 */
export function checkRecipe(value: unknown, base: Recipe, name: string = 'recipe'): Recipe {
  const given = checkOptions<RecipeOptions>(name, value, recipeKeys);
  if (given.size !== undefined && (given.height !== undefined || given.width !== undefined)) {
    throw invalidArgument(name, 'either size or height and width', value);
  }
  const checked = <T>(field: keyof RecipeOptions, otherwise: T, check: (name: string, value: unknown) => T): T =>
    given[field] === undefined ? otherwise : check(`${name}.${field}`, given[field]);
  const size = checked<number | undefined>('size', undefined, checkSide);
  const recipe: Recipe = {
    height: checked('height', size ?? base.height, checkSide),
    width: checked('width', size ?? base.width, checkSide),
    crop: checked('crop', base.crop, (field, crop) => checkOneOf<Crop>(field, crop, ['center', 'squash'])),
    // Below 1 / 1000 the resized image would be thousands of times the crop, surely a slip.
    cropFraction: checked('cropFraction', base.cropFraction, (field, share) => checkFinite(field, share, 0.001, 1)),
    filter: checked('filter', base.filter, (field, filter) =>
      checkOneOf<Filter>(field, filter, ['bicubic', 'bilinear', 'bilinear-plain']),
    ),
    mean: checked('mean', base.mean, (field, mean) => checkRgb(field, mean, false)),
    std: checked('std', base.std, (field, std) => checkRgb(field, std, true)),
  };
  recipe.std.forEach((std, i) => {
    // Black and white are the extremes; a tiny deviation or a vast mean would send them to infinity.
    const mean = recipe.mean[i] ?? 0;
    if ([0, 1].every((pixel) => Number.isFinite(Math.fround(Math.fround(pixel - mean) / Math.fround(std))))) return;
    throw invalidArgument(name, `mean and std that give finite numbers (mean[${i}] is ${mean})`, std);
  });
  return recipe;
}

function checkSide(name: string, value: unknown): number {
  return checkInteger(name, value, 1, maxSide);
}

function checkRgb(name: string, value: unknown, divisor: boolean): Rgb {
  if (!Array.isArray(value) || value.length !== 3) throw invalidArgument(name, 'three numbers (red, green, blue)', value);
  const [red, green, blue] = Array.from<unknown>(value).map((number, i) => {
    const one = checkFinite(`${name}[${i}]`, number);
    // Tested after rounding to single precision, in which the arithmetic is done.
    const rounded = Math.fround(one);
    if (!Number.isFinite(rounded) || (divisor && rounded === 0)) {
      throw invalidArgument(`${name}[${i}]`, `a single-precision number${divisor ? ' other than 0' : ''}`, number);
    }
    return one;
  }) as [number, number, number];
  return [red, green, blue];
}
