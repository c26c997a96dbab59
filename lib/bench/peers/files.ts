// SPDX-License-Identifier: Apache-2.0
// The same network and weights in every form that contestants take, in a folder of its own under the
// system's temporary one. Runs nothing.

import { existsSync, mkdtempSync, promises as fs, rmSync } from 'node:fs';
import { endianness, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { onnxModel } from '../../export-onnx.js';
import { onnxParts, type OnnxModel } from '../../formats/onnx-writer.js';
import { writeSafetensors } from '../../formats/safetensors.js';
import type { Recipe } from '../../recipe.js';
import { canonicalMetadata, canonicalTensors } from '../../weights.js';
import { exampleInput, type Weighted } from '../subject.js';
import type { TaskFiles } from './protocol.js';

export interface FileOptions {
  readonly height: number;
  readonly width: number;
  /** Images of the input file. */
  readonly batch: number;
  readonly photo?: string | undefined;
  /** In place of the file written here, for a peer that should run another exporter's graph. */
  readonly onnx?: string | undefined;
}

/** The files of a race; `remove` deletes them, and is called by whoever made them. */
export interface RaceFiles {
  readonly files: TaskFiles;
  remove(): void;
}

export async function writeRaceFiles({ weights, origin, recipe }: Weighted, options: FileOptions): Promise<RaceFiles> {
  const folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-race-'));
  const discard = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', discard);
  const remove = (): void => {
    process.off('exit', discard);
    discard();
  };
  try {
    const { network } = weights;
    const at = (name: string): string => join(folder, name);
    const folded = at('weights.safetensors');
    await fs.writeFile(folded, writeSafetensors(canonicalTensors(weights), canonicalMetadata(network)));
    await fs.writeFile(at('network.json'), JSON.stringify(network));
    await writeFloats(at('input.f32'), exampleInput(options.batch * options.height * options.width * network.stem.in));
    const model = onnxModel(weights, { metadata: canonicalMetadata(network) });
    if (options.onnx === undefined) await writeOnnx(at('model.onnx'), model);
    if (options.photo !== undefined) await writeTransformersFolder(at('transformers'), model, recipe, network.head.classes);
    return {
      files: {
        // An address would be fetched once more.
        weights: origin.kind === 'file' && existsSync(origin.path) ? resolve(origin.path) : folded,
        onnx: options.onnx === undefined ? at('model.onnx') : resolve(options.onnx),
        network: at('network.json'),
        folded,
        input: at('input.f32'),
        ...(options.photo === undefined ? {} : { photo: resolve(options.photo), transformers: at('transformers') }),
      },
      remove,
    };
  } catch (error) {
    remove();
    throw error;
  }
}

async function writeOnnx(path: string, model: OnnxModel): Promise<void> {
  const file = await fs.open(path, 'w');
  try {
    for (const part of onnxParts(model)) await file.writeFile(part);
  } finally {
    await file.close();
  }
}

async function writeFloats(path: string, floats: Float32Array): Promise<void> {
  const bytes = Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength);
  await fs.writeFile(path, endianness() === 'LE' ? bytes : Buffer.from(bytes).swap32());
}

/** What transformers.js reads: labels are the numbers of the classes, the recipe is ours in its words. */
async function writeTransformersFolder(folder: string, model: OnnxModel, recipe: Recipe, classes: number): Promise<void> {
  await fs.mkdir(join(folder, 'onnx'), { recursive: true });
  const numbers = Array.from({ length: classes }, (_, i) => String(i));
  const config = {
    architectures: ['EfficientNetForImageClassification'],
    model_type: 'efficientnet',
    id2label: Object.fromEntries(numbers.map((label) => [label, label])),
    label2id: Object.fromEntries(numbers.map((label) => [label, Number(label)])),
  };
  const preprocessor = {
    image_processor_type: 'ViTImageProcessor',
    do_resize: true,
    size: { shortest_edge: Math.floor(Math.min(recipe.height, recipe.width) / recipe.cropFraction) },
    resample: recipe.filter === 'bicubic' ? 3 : 2,
    do_center_crop: true,
    crop_size: { height: recipe.height, width: recipe.width },
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: recipe.mean,
    image_std: recipe.std,
  };
  await fs.writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await fs.writeFile(join(folder, 'preprocessor_config.json'), JSON.stringify(preprocessor));
  await writeOnnx(join(folder, 'onnx', 'model.onnx'), renamedInput(model, 'pixel_values'));
}

/** The same model with another name for its one input. */
function renamedInput(model: OnnxModel, name: string): OnnxModel {
  const [input] = model.inputs;
  if (input === undefined) return model;
  const rename = (one: string): string => (one === input.name ? name : one);
  return {
    ...model,
    inputs: [{ ...input, name }],
    nodes: model.nodes.map((node) => ({ ...node, inputs: node.inputs.map(rename) })),
  };
}
