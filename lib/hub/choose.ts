// SPDX-License-Identifier: Apache-2.0
// Which file of a repository or folder is the checkpoint: the formats that hold most first, each under
// the names that its writers use. Reads nothing.

import { EfficientNetError } from '../errors.js';

/** A format's usual names, best first, then the ending by which a single file of another name is taken. */
interface Choice {
  readonly names: readonly string[];
  readonly ending?: RegExp;
}

const choices: readonly Choice[] = [
  { names: ['model.safetensors', 'model.safetensors.index.json'], ending: /\.safetensors$/ },
  { names: ['pytorch_model.bin', 'model.pth', 'model.pt'], ending: /\.(pth|pt|bin)$/ },
  { names: ['model.keras', 'model.weights.h5', 'tf_model.h5', 'model.h5'], ending: /\.(keras|h5)$/ },
  { names: ['model.onnx', 'onnx/model.onnx'], ending: /\.onnx$/ },
  { names: ['model.tflite'], ending: /\.tflite$/ },
  { names: ['model.json', 'tfjs/model.json'] },
];

/** Parts of a checkpoint, and what training frameworks put beside one, under an ending that checkpoints have. */
const beside = /(-\d{5}-of-\d{5}|shard\d+of\d+|(^|\/)(training_args|optimizer|scheduler|scaler|rng_state(_\d+)?|random_states(_\d+)?))\.[a-z]+$/;

/**
 * The checkpoint among `files`. `wanted` is the user's own choice of a name.
 * @param where for messages: the repository or folder
 * @throws EfficientNetError ERR_FILE where there is none, or several and nothing to tell them apart
 */
export function chooseFile(files: readonly string[], where: string, wanted?: string): string {
  if (wanted !== undefined) {
    if (files.includes(wanted)) return wanted;
    throw new EfficientNetError('ERR_FILE', `${where} has no file ${JSON.stringify(wanted)}; it has ${listed(files)}`);
  }
  for (const { names, ending } of choices) {
    const usual = names.find((name) => files.includes(name));
    if (usual !== undefined) return usual;
    const others = ending === undefined ? [] : files.filter((name) => ending.test(name) && !beside.test(name));
    if (others.length === 1 && others[0] !== undefined) return others[0];
    if (others.length > 1) {
      throw new EfficientNetError('ERR_FILE', `${where} has ${others.length} checkpoints: ${listed(others)}; name one with the option file`);
    }
  }
  const known = 'safetensors, PyTorch, Keras, ONNX, TensorFlow Lite or TensorFlow.js';
  throw new EfficientNetError('ERR_FILE', `${where} has no checkpoint of a known format (${known}); it has ${listed(files)}`);
}

/** False for a file that was taken only because there was no other of its kind. */
export function hasUsualName(file: string): boolean {
  return choices.some(({ names }) => names.includes(file));
}

function listed(files: readonly string[]): string {
  if (files.length === 0) return 'no file at all';
  const shown = files.slice(0, 12).map((name) => JSON.stringify(name.slice(0, 80)));
  return files.length > shown.length ? `${shown.join(', ')} and ${files.length - shown.length} more` : shown.join(', ');
}
