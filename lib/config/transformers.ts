// SPDX-License-Identifier: Apache-2.0
// The transformers library's config.json (EfficientNetConfig) and preprocessor_config.json
// (EfficientNetImageProcessor, and the processors that others have saved in its place).

import { coefficients } from '../scaling.js';
import { EfficientNetError } from '../errors.js';
import type { RecipeOptions } from '../recipe.js';
import { badConfig, centreCrop, FieldReader, pillowFilters, squashedCrop, type CheckpointConfig, type ConfigNote, type Fields } from './config.js';
import { idLabels } from './labels.js';

/** `named` as in timm.ts. @throws EfficientNetError ERR_INVALID_CHECKPOINT, ERR_UNSUPPORTED for another kind of model */
export function readTransformersConfig(config: Fields, preprocessor: Fields | undefined, from: string, named: boolean): CheckpointConfig {
  const fields = new FieldReader(config, from);
  const type = fields.text('model_type');
  if (!named && type !== undefined && type !== 'efficientnet') {
    throw new EfficientNetError('ERR_UNSUPPORTED', `${from} is that of another kind of model (model_type ${JSON.stringify(type.slice(0, 60))}), expected efficientnet`);
  }
  const notes: ConfigNote[] = [];
  const size = fields.number('image_size', 1, 4096);
  const processor = preprocessor === undefined ? undefined : new FieldReader(preprocessor, 'preprocessor_config.json');
  if (processor === undefined) {
    notes.push({ option: 'recipe', message: `There is no preprocessor_config.json beside ${from}: taking the usual preparation of images` });
  }
  const padding = type !== 'efficientnet' ? {} : { padding: 'same' as const };
  return {
    from,
    architecture: named ? undefined : architectureOf(fields),
    ...padding,
    batchNormEpsilon: fields.number('batch_norm_eps', 0, 1),
    recipe: processor === undefined ? { ...(size === undefined ? {} : { height: size, width: size }) } : readProcessor(processor, size, notes),
    labels: idLabels(fields),
    notes,
  };
}

/** By the published coefficients; undefined leaves it to the tensors' shapes. */
function architectureOf(fields: FieldReader): string | undefined {
  const width = fields.number('width_coefficient', 0, 100);
  const depth = fields.number('depth_coefficient', 0, 100);
  return Object.entries(coefficients).find(([, one]) => one.width === width && one.depth === depth)?.[0];
}

function readProcessor(fields: FieldReader, imageSize: number | undefined, notes: ConfigNote[]): RecipeOptions {
  const resample = fields.number('resample', 0, 5);
  return {
    ...readGeometry(fields, imageSize, notes),
    filter: resample === undefined ? undefined : pillowFilters[resample],
    ...readNormalisation(fields),
  };
}

function readGeometry(fields: FieldReader, imageSize: number | undefined, notes: ConfigNote[]): RecipeOptions {
  const { from } = fields;
  const crop = fields.flag('do_center_crop') === true ? readSize(fields, 'crop_size') : undefined;
  const size = fields.flag('do_resize') === false ? undefined : readSize(fields, 'size');
  const input = crop ?? size ?? (imageSize === undefined ? undefined : { height: imageSize, width: imageSize });
  if (input?.height === undefined || input.width === undefined) {
    if (size?.shortest === undefined) return {};
    const side = imageSize ?? size.shortest;
    return { height: side, width: side, ...centreCrop(side, size.shortest) };
  }
  const { height, width } = input;
  if (size?.shortest !== undefined) return { height, width, ...centreCrop(Math.min(height, width), size.shortest) };
  if (size === undefined) {
    notes.push({ option: 'crop', message: `${from} does not resize: taking the centre of images resized to the input's size` });
    return { height, width, crop: 'center', cropFraction: 1 };
  }
  return { height, width, ...squashing(size, { height, width }, from, notes) };
}

/** Images are squashed to `size`, of which `input` is cut out: by one fraction, as our recipes have it. */
function squashing(size: Size, { height, width }: { readonly height: number; readonly width: number }, from: string, notes: ConfigNote[]): RecipeOptions {
  const rows = Math.max(size.height ?? height, height);
  const columns = Math.max(size.width ?? width, width);
  const exact = [squashedCrop(height, rows), squashedCrop(width, columns)].find(
    ({ cropFraction }) => Math.floor(height / cropFraction) === rows && Math.floor(width / cropFraction) === columns,
  );
  if (exact !== undefined && rows === size.height && columns === size.width) return exact;
  const asked = `squashes images to ${size.height} x ${size.width} and cuts out ${height} x ${width}`;
  notes.push({ option: 'crop', message: `${from} ${asked}, which is not available: squashing them to that` });
  return { crop: 'squash', cropFraction: 1 };
}

interface Size {
  readonly height?: number | undefined;
  readonly width?: number | undefined;
  readonly shortest?: number | undefined;
}

function readSize(fields: FieldReader, name: string): Size | undefined {
  const value = fields.raw(name);
  if (value === undefined) return undefined;
  const side = typeof value === 'number' ? fields.number(name, 1, 4096) : undefined;
  if (side !== undefined) return { height: side, width: side };
  const size = fields.fields(name);
  const shortest = size?.number('shortest_edge', 1, 4096);
  if (shortest !== undefined) return { shortest };
  const height = size?.number('height', 1, 4096);
  const width = size?.number('width', 1, 4096);
  if (height !== undefined && width !== undefined) return { height, width };
  throw badConfig(fields.from, `expected height and width, or shortest_edge, for ${name}`);
}

/**
 * EfficientNetImageProcessor computes (x * factor - mean) / std with x from 0 to 255, or
 * (x * factor - 1 - mean) / std with `rescale_offset` (transformers 4.57). With `include_top` it divides by
 * std once more: the published files hold the root of the deviation that the weights were trained with. As
 * (x / 255 - mean) / std that is one mean and one std.
 */
function readNormalisation(fields: FieldReader): Pick<RecipeOptions, 'mean' | 'std'> {
  const rescale = fields.flag('do_rescale') !== false;
  const factor = rescale ? (fields.number('rescale_factor', 1e-9, 1e9) ?? 1 / 255) : 1;
  // 1 / 255 has been rounded in the file, and (x / 255) * 1 is what it stands for.
  const scale = Math.abs(255 * factor - 1) < 1e-6 ? 1 : 255 * factor;
  const offset = rescale && fields.flag('rescale_offset') === true ? 1 : 0;
  const normalise = fields.flag('do_normalize') !== false;
  const half = [0.5, 0.5, 0.5];
  const stored = fields.rgb('image_std') ?? half;
  const mean = normalise ? (fields.rgb('image_mean') ?? half) : [0, 0, 0];
  // Other processors have no second division; where the type is not told, it is the model's own.
  const type = fields.text('image_processor_type') ?? fields.text('feature_extractor_type') ?? '';
  const twice = fields.flag('include_top') ?? (type === '' || type.startsWith('EfficientNet'));
  return {
    mean: mean.map((value) => (value + offset) / scale),
    std: stored.map((value) => ((normalise ? value : 1) * (twice ? value : 1)) / scale),
  };
}
