// SPDX-License-Identifier: Apache-2.0
// How a checkpoint wants its images: size, resize, crop and normalisation. The recipe belongs to the
// checkpoint and not to the architecture: what is published is in published/, by source. No pixels are
// touched here.

import { checkFinite, checkInteger, checkOneOf, checkOptions, invalidArgument, isRevoked } from './check.js';
import { resolveName } from './names.js';
import type { Network } from './network.js';
import { fractionOf, imageNet, type Normalisation, type PublishedModels, type PublishedRecipe } from './published/model.js';
import { timmModels } from './published/timm.js';
import { torchvisionModels } from './published/torchvision.js';
import type { CheckpointSource } from './source.js';

/**
 * 'center': the short side is resized to floor(size / cropFraction), the aspect kept, the centre cut
 * out. 'squash': both sides are resized to that, the aspect is lost, and the centre is cut out.
 */
export type Crop = 'center' | 'squash';

/**
 * Pillow's filters, antialiased but for 'nearest', which takes one pixel for each; 'bilinear-plain' is
 * TensorFlow's bilinear without antialias.
 */
export type Filter = 'bicubic' | 'bilinear' | 'bilinear-plain' | 'nearest' | 'lanczos' | 'box' | 'hamming';

const filters: readonly Filter[] = ['bicubic', 'bilinear', 'bilinear-plain', 'nearest', 'lanczos', 'box', 'hamming'];

export type Rgb = readonly [red: number, green: number, blue: number];

export interface Recipe {
  /** Of the network's input, in pixels, 1 to 4096. */
  readonly height: number;
  readonly width: number;
  readonly crop: Crop;
  /** Share of the resized image that the crop keeps, 0.001 to 1. */
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

const maxSide = 4096;

const normalisations: Readonly<Record<Normalisation, { readonly mean: Rgb; readonly std: Rgb }>> = {
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  half: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  unit: { mean: [0, 0, 0], std: [1, 1, 1] },
  'bytes-128': { mean: [128 / 255, 128 / 255, 128 / 255], std: [128 / 255, 128 / 255, 128 / 255] },
  'bytes-127': { mean: [127 / 255, 127 / 255, 127 / 255], std: [128 / 255, 128 / 255, 128 / 255] },
};

/** Bicubic centre crop of size / (size + 32) with ImageNet's mean and std: what most checkpoints use. */
export function standardRecipe(size: number): Recipe {
  const side = checkInteger('size', size, 1, maxSide);
  return published(imageNet(side, fractionOf(side, side + 32)));
}

/** A published recipe as the image preparation takes it. */
export function published({ size, cropFraction, squash, filter, normalisation }: PublishedRecipe): Recipe {
  const crop = squash === true ? 'squash' : 'center';
  return { height: size, width: size, crop, cropFraction, filter: filter ?? 'bicubic', ...normalisations[normalisation] };
}

/**
 * The recipe of a checkpoint: that of the weights that `name`, the user's for the architecture, asks for
 * where they are of the checkpoint's source, else the source's default for the architecture, else the
 * standard one. What a checkpoint's own configuration says comes before it (config/).
 */
export function recipeFor(
  network: Pick<Network, 'name' | 'resolution'>,
  origin: Pick<CheckpointSource, 'naming' | 'padding'>,
  name?: string,
): Recipe {
  const { naming, padding } = origin;
  const architecture = network.name;
  const named = name === undefined ? undefined : resolveName(name).published;
  if (named?.source === naming) return published(named.recipe);
  switch (naming) {
    case 'timm':
      // timm's own networks pad symmetrically, its ports from TensorFlow as TensorFlow does.
      return defaultOf(timmModels, architecture, padding === 'same') ?? standardRecipe(network.resolution);
    case 'torchvision':
      return defaultOf(torchvisionModels, architecture, false) ?? standardRecipe(network.resolution);
    case 'transformers':
      // What is published squashes to the input's size by the nearest pixel.
      return { ...standardRecipe(network.resolution), crop: 'squash', cropFraction: 1, filter: 'nearest' };
    case 'keras':
    case 'tensorflow':
      return tensorflowRecipe(architecture, network.resolution);
    case 'lukemelas':
      // Its Lite networks are TensorFlow's weights: of 299 photographs Lite0 labels 246 with TensorFlow's
      // normalisation and 236 with ImageNet's, which their package names.
      return architecture.startsWith('lite') ? tensorflowRecipe(architecture, network.resolution) : standardRecipe(network.resolution);
    case 'tfjs':
    case 'onnx':
    case 'tflite':
    case 'canonical':
      return standardRecipe(network.resolution);
  }
}

function defaultOf(models: PublishedModels, architecture: string, tensorflow: boolean): Recipe | undefined {
  const all = Object.values(models).flatMap((model) =>
    Object.values(model.weights).map((weights) => {
      const name = weights.architecture ?? model.architecture;
      return { weights, model, name: model.pruned === true ? `${name}-pruned` : name };
    }),
  );
  const found = all.find(({ name, model }) => name === architecture && (model.tensorflow === true) === tensorflow);
  return found === undefined ? undefined : published(found.weights);
}

/**
 * V1: ImageNet's mean and deviation; Lite and EdgeTPU: (byte - 127) / 128. V2: bilinear, images of 320
 * pixels and more not cropped; S to XL: (byte - 128) / 128.
 */
function tensorflowRecipe(architecture: string, size: number): Recipe {
  const cropFraction = fractionOf(size, size + 32);
  if (/^(lite|edgetpu)/.test(architecture)) return published({ size, cropFraction, normalisation: 'bytes-127' });
  if (!architecture.startsWith('v2-')) return standardRecipe(size);
  const normalisation = architecture.startsWith('v2-b') ? 'imagenet' : 'bytes-128';
  const geometry = size < 320 ? { cropFraction } : { cropFraction: 1, squash: true as const };
  return published({ size, ...geometry, normalisation, filter: 'bilinear' });
}

const recipeKeys = ['size', 'height', 'width', 'crop', 'cropFraction', 'filter', 'mean', 'std'] as const;

interface CheckedOptions extends RecipeOptions {
  readonly mean: Rgb | undefined;
  readonly std: Rgb | undefined;
}

/**
 * A copy of what a caller gives of a recipe, each field checked by itself. `name` is the caller's name for
 * the option. Throws ERR_INVALID_ARGUMENT naming the field.
 */
export function checkRecipeOptions(value: unknown, name: string = 'recipe'): CheckedOptions {
  // Copied, so that a getter runs once and what was checked is what is used.
  const given = { ...checkOptions<RecipeOptions>(name, value, recipeKeys) };
  if (given.size !== undefined && (given.height !== undefined || given.width !== undefined)) {
    throw invalidArgument(name, 'either size or height and width', value);
  }
  const checked = <T>(field: keyof RecipeOptions, check: (name: string, value: unknown) => T): T | undefined =>
    given[field] === undefined ? undefined : check(`${name}.${field}`, given[field]);
  return {
    size: checked('size', checkSide),
    height: checked('height', checkSide),
    width: checked('width', checkSide),
    crop: checked('crop', (field, crop) => checkOneOf<Crop>(field, crop, ['center', 'squash'])),
    // Below 1 / 1000 the resized image would be thousands of times the crop, surely a slip.
    cropFraction: checked('cropFraction', (field, share) => checkFinite(field, share, 0.001, 1)),
    filter: checked('filter', (field, filter) => checkOneOf<Filter>(field, filter, filters)),
    mean: checked('mean', (field, mean) => checkRgb(field, mean, false)),
    std: checked('std', (field, std) => checkRgb(field, std, true)),
  };
}

/**
 * `base` with the fields that `value` overrides, checked; undefined overrides nothing. Throws
 * ERR_INVALID_ARGUMENT naming the field.
 */
export function checkRecipe(value: unknown, base: Recipe, name: string = 'recipe'): Recipe {
  const { size, height, width, crop, cropFraction, filter, mean, std } = checkRecipeOptions(value, name);
  const recipe: Recipe = {
    height: height ?? size ?? base.height,
    width: width ?? size ?? base.width,
    crop: crop ?? base.crop,
    // Who asks for squashing and no more wants the whole image.
    cropFraction: cropFraction ?? (crop === 'squash' && base.crop !== 'squash' ? 1 : base.cropFraction),
    filter: filter ?? base.filter,
    mean: mean ?? base.mean,
    std: std ?? base.std,
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
  if (isRevoked(value) || !Array.isArray(value) || value.length !== 3) throw invalidArgument(name, 'three numbers (red, green, blue)', value);
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
