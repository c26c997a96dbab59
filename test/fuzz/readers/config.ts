// SPDX-License-Identifier: Apache-2.0
// The fuzzer's entries for what lies beside a checkpoint: its configuration, and the index of one in several
// files.

import { applyConfig } from '../../../lib/config/metadata.js';
import { parseConfig } from '../../../lib/config/read.js';
import { assembleSafetensors, readSafetensorsIndex } from '../../../lib/formats/safetensors-index.js';
import { writeSafetensors } from '../../../lib/formats/safetensors.js';
import { standardRecipe } from '../../../lib/recipe.js';
import { checkCheckpoint, type FuzzReader } from '../reader.js';

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const timm = {
  architecture: 'efficientnet_b0', label_names: ['a', 'b'], label_descriptions: { a: 'x' }, model_args: { bn_eps: 1e-3, pad_type: 'same' },
  pretrained_cfg: { input_size: [3, 224, 224], interpolation: 'bicubic', crop_pct: 0.875, crop_mode: 'center', mean: [0.485, 0.456, 0.406], std: [0.2, 0.2, 0.2] },
};
const transformers = { model_type: 'efficientnet', width_coefficient: 1, depth_coefficient: 1, image_size: 224, batch_norm_eps: 1e-3, id2label: { 0: 'a', 1: 'b' } };
const processor = {
  image_processor_type: 'EfficientNetImageProcessor', do_center_crop: true, crop_size: 200, size: { shortest_edge: 224 }, resample: 2, do_rescale: true,
  rescale_factor: 1 / 255, rescale_offset: false, do_normalize: true, image_mean: [0.5, 0.5, 0.5], image_std: 0.5, include_top: true,
};
const tokens = [
  '{', '}', '[', ']', '"', ':', ',', '\\', '0', '-1', '1e99', '1e-99', '1e999', 'null', 'true', 'false', '""', '[]', '{}', '4097', '"__proto__":{}',
  '"constructor":', '"same"', '"squash"', '"nearest"', '"size":{"height":5,"width":7}', '"shortest_edge":1', 'resnet50', 'tf_',
];

/** The names that a hostile index would like to have opened. */
const shards = new Map([
  ['1.safetensors', writeSafetensors([{ name: 'a', type: 'f32', shape: [2], bytes: new Uint8Array(8) }])],
  ['2.safetensors', writeSafetensors([{ name: 'b', type: 'f16', shape: [], bytes: new Uint8Array(2) }])],
]);

export const configReaders: readonly FuzzReader[] = [
  {
    name: 'config',
    seeds: () => [json(timm), json(transformers), json({ ...timm.pretrained_cfg, architecture: 'tf_efficientnet_b0', labels: ['a'] })],
    tokens,
    read: (bytes) => {
      const config = parseConfig(bytes, json(processor), false);
      return [applyConfig(config, standardRecipe(224)), JSON.stringify(config)];
    },
  },
  {
    name: 'preprocessor-config',
    seeds: () => [json(processor), json({})],
    tokens,
    read: (bytes) => applyConfig(parseConfig(json(transformers), bytes, false), standardRecipe(224)),
  },
  {
    name: 'safetensors-index',
    seeds: () => [json({ metadata: { total_size: 10, x: [1, { y: null }] }, weight_map: { a: '1.safetensors', b: '2.safetensors' } })],
    tokens: [...tokens, '../', '/etc/passwd', 'C:\\\\', '2.safetensors', '\\u0000', '\\ud800'],
    read: (bytes) => {
      const index = readSafetensorsIndex(bytes);
      for (const name of index.names) {
        if (/[\\/:\u0000]|^\./.test(name)) throw new Error(`the name ${JSON.stringify(name)} leaves the folder`);
      }
      checkCheckpoint(assembleSafetensors(index, shards));
    },
  },
];
