// SPDX-License-Identifier: Apache-2.0
// timm's config.json, as it publishes its checkpoints and users push theirs: architecture, pretrained_cfg
// and label names; in the older form the fields of pretrained_cfg stand at the top. Follows what timm's own
// loading makes of it (models/_hub.py load_model_config_from_hf, data/config.py resolve_data_config):
// the size is input_size, not test_input_size.

import { EfficientNetError } from '../errors.js';
import { resolveName } from '../names.js';
import type { Padding } from '../network.js';
import type { RecipeOptions } from '../recipe.js';
import { badConfig, FieldReader, filterOf, isFields, namesOf, type CheckpointConfig, type ConfigNote, type Fields } from './config.js';
import { idLabels } from './labels.js';

/** Arguments of a model that change no number of inference, or that the tensors tell themselves. */
const harmless: ReadonlySet<string> = new Set([
  'num_classes', 'in_chans', 'drop_rate', 'drop_path_rate', 'pretrained', 'bn_eps', 'bn_momentum', 'bn_tf', 'pad_type', 'global_pool', 'scriptable',
  'exportable', 'no_jit', 'checkpoint_path', 'head_bias', 'features_only', 'output_stride',
]);

export function looksLikeTimm(config: Fields): boolean {
  return typeof config['architecture'] === 'string';
}

/**
 * `named`: the user names the architecture, so that what is said of it here does not count.
 * @throws EfficientNetError ERR_UNKNOWN_ARCHITECTURE, ERR_INVALID_CHECKPOINT, ERR_UNSUPPORTED
 */
export function readTimmConfig(config: Fields, from: string, named: boolean): CheckpointConfig {
  const top = new FieldReader(config, from);
  const cfg = top.fields('pretrained_cfg') ?? top;
  const notes: ConfigNote[] = [];
  const architecture = named ? undefined : top.text('architecture');
  if (architecture !== undefined) checkKnown(architecture, from);
  checkPooling(cfg, top, from);
  const names = top.texts('label_names') ?? cfg.texts('label_names') ?? (cfg === top ? top.texts('labels') : undefined);
  const descriptions = top.raw('label_descriptions') ?? cfg.raw('label_descriptions');
  return {
    from,
    architecture,
    ...(named ? {} : modelArguments(top, from)),
    recipe: readRecipe(cfg, from, notes),
    labels: names === undefined ? idLabels(top) : namesOf(names, isFields(descriptions) ? descriptions : undefined),
    notes,
  };
}

function checkKnown(architecture: string, from: string): void {
  try {
    resolveName(architecture);
  } catch (error) {
    if (!(error instanceof EfficientNetError)) throw error;
    throw new EfficientNetError(error.code, `${from} names the architecture ${JSON.stringify(architecture.slice(0, 80))}. ${error.message}`, { cause: error });
  }
}

function checkPooling(cfg: FieldReader, top: FieldReader, from: string): void {
  const pool = top.fields('model_args')?.raw('global_pool') ?? top.raw('global_pool') ?? cfg.raw('global_pool') ?? 'avg';
  if (pool === 'avg' || pool === '') return;
  throw new EfficientNetError('ERR_UNSUPPORTED', `${from} asks for the global_pool ${JSON.stringify(pool)}, expected avg`);
}

/** What a model was created with beyond its name. */
function modelArguments(top: FieldReader, from: string): { padding?: Padding; batchNormEpsilon?: number } {
  const args = top.fields('model_args');
  if (args === undefined) return {};
  const unknown = args.names.filter((name) => !harmless.has(name) && args.has(name));
  if (unknown.length > 0) {
    throw new EfficientNetError(
      'ERR_UNSUPPORTED',
      `${from} has model_args that may change the network and are not known here: ${unknown.slice(0, 5).join(', ')}; ` +
        'if they do not, give architecture yourself, and the configuration is not asked for it',
    );
  }
  const tensorflow = args.flag('bn_tf') === true ? 1e-3 : undefined;
  const epsilon = args.number('bn_eps', 0, 1) ?? tensorflow;
  const pad = args.text('pad_type');
  const padding = pad === undefined || pad === '' ? undefined : pad === 'same' ? 'same' : 'symmetric';
  return { ...(padding === undefined ? {} : { padding }), ...(epsilon === undefined ? {} : { batchNormEpsilon: epsilon }) };
}

function readRecipe(cfg: FieldReader, from: string, notes: ConfigNote[]): RecipeOptions {
  const size = cfg.raw('input_size');
  const fraction = cfg.number('crop_pct', 0.001, 1);
  const mode = cfg.text('crop_mode') ?? 'center';
  const filter = cfg.text('interpolation');
  if (mode !== 'center' && mode !== 'squash') {
    notes.push({ option: 'crop', message: `${from} asks for the crop_mode ${mode}, which is not available: taking center` });
  }
  return {
    ...(size === undefined ? {} : readSize(size, from)),
    crop: mode === 'squash' ? 'squash' : 'center',
    // timm's own default, of which the base's may be another.
    cropFraction: fraction ?? (mode === 'squash' ? 0.875 : undefined),
    filter: filter === undefined ? undefined : filterOf(filter, from, notes),
    mean: cfg.rgb('mean'),
    std: cfg.rgb('std'),
  };
}

function readSize(size: unknown, from: string): { height: number; width: number } {
  const [channels, height, width] = Array.isArray(size) ? (size as readonly unknown[]) : [];
  if (channels === 3 && typeof height === 'number' && typeof width === 'number') return { height, width };
  throw badConfig(from, 'expected input_size of 3 channels, height and width');
}
