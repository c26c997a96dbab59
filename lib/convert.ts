// SPDX-License-Identifier: Apache-2.0
// Any checkpoint that can be loaded, written as one file: safetensors under this package's names, or
// ONNX. What belongs to the weights (network, padding, recipe, labels) goes with them, so that the file
// needs no option to be read back. Packs and runs nothing.

import { existsSync, promises as fs } from 'node:fs';
import { extname } from 'node:path';

import { writeAtomic } from './cache.js';
import { catalogue } from './catalogue.js';
import { checkInteger, checkOneOf, checkOptions, invalidArgument } from './check.js';
import { recipeMetadata } from './config/metadata.js';
import { networkMetadata } from './described-network.js';
import { EfficientNetError } from './errors.js';
import { onnxModel } from './export-onnx.js';
import { filePath } from './formats/file.js';
import { onnxParts } from './formats/onnx-writer.js';
import { safetensorsParts } from './formats/safetensors.js';
import { imagenetLabels } from './labels.js';
import { findName } from './names.js';
import type { Network, Padding } from './network.js';
import { checkSource, openWeights, weightsOptions, type OpenedWeights, type WeightsOptions } from './open-weights.js';
import { outputTarget } from './output-file.js';
import { canonicalMetadata, canonicalTensors } from './weights.js';

export type ConvertFormat = 'safetensors' | 'onnx';

export interface ConvertOptions extends Omit<WeightsOptions, 'weights'> {
  /** What to write; told by the ending of the output's name unless given. */
  readonly format?: ConvertFormat | undefined;
  /** Fixes the input of an ONNX file, in pixels; it takes any size otherwise. Width follows height. */
  readonly height?: number | undefined;
  readonly width?: number | undefined;
}

export interface Conversion {
  /** The file that was written. */
  readonly output: string;
  readonly format: ConvertFormat;
  readonly bytes: number;
  readonly architecture: string;
  readonly classes: number;
  readonly padding: Padding;
  /** Who named the tensors of the input. */
  readonly source: string;
}

const known: readonly (keyof ConvertOptions | 'weights')[] = [...weightsOptions, 'format', 'height', 'width'];
const kMaxSide = 4096;

/**
 * Reads a checkpoint as load does, from a path, an address, a repository of the model hub
 * ('hf-hub:owner/name'), the name of a catalogue model ('b0') or a file's bytes, and writes it to a file: safetensors, or ONNX of opset 17 with any
 * batch and size, whose input is normalised as for model.run with the layout 'nchw'. The file appears
 * whole or not at all, and takes the place of one that is there.
 *
 * Rejects as load does, and with ERR_FILE where the output is a directory, a device or not writable.
 *
 * @example await convert('efficientnet_b2.pth', 'b2.safetensors');
 */
export async function convert(input: string | URL | Uint8Array, output: string | URL, options?: ConvertOptions): Promise<Conversion> {
  const given = { ...checkOptions<ConvertOptions>('the convert options', options, known.filter((name) => name !== 'weights')) };
  const path = pathOf(output);
  const format = formatOf(path, given.format);
  const size = sizeOf(given, format);
  const { format: _format, height: _height, width: _width, ...rest } = given;
  const source = checkSource<WeightsOptions>({ ...rest, ...inputOf(input) }, undefined, weightsOptions);
  source.signal?.throwIfAborted();
  // Before anything is fetched or read.
  const target = await outputTarget(path);
  await checkApart(input, target);
  const opened = await openWeights(source);
  // Again: a folder, or an address in a string, names a file that is known only now.
  if (opened.facts.path !== null) await checkApart(opened.facts.path, target);
  const parts = format === 'onnx' ? onnxFile(opened, size) : safetensorsParts(canonicalTensors(opened.weights), metadataOf(opened));
  source.signal?.throwIfAborted();
  await writeAtomic(target, parts);
  const { network } = opened.weights;
  return {
    output: path,
    format,
    bytes: parts.reduce((sum, part) => sum + part.length, 0),
    architecture: network.name,
    classes: network.head.classes,
    padding: network.padding,
    source: opened.origin.naming,
  };
}

interface Size {
  readonly height?: number | undefined;
  readonly width?: number | undefined;
}

function onnxFile(opened: OpenedWeights, size: Size): readonly Uint8Array[] {
  return onnxParts(onnxModel(opened.weights, { ...size, metadata: metadataOf(opened) }));
}

/** What the file says about itself. Labels that a network of 1,000 classes has anyway are left out. */
function metadataOf({ weights, recipe, labels }: OpenedWeights): Record<string, string> {
  const { network } = weights;
  return {
    ...canonicalMetadata(network),
    ...recipeMetadata(recipe, labels === imagenetLabels ? undefined : labels),
    ...(hasName(network) ? {} : { network: networkMetadata(network) }),
  };
}

/** Whether the name alone says what the network is. */
function hasName({ name }: Network): boolean {
  return findName(name) !== undefined;
}

// ---- arguments ------------------------------------------------------------------------------------------

function pathOf(output: unknown): string {
  if (typeof output === 'string' && output !== '') return output;
  if (output instanceof URL && output.protocol === 'file:') return filePath(output);
  throw invalidArgument('the output of convert', 'a path or a file URL', output);
}

function formatOf(path: string, format: ConvertFormat | undefined): ConvertFormat {
  if (format !== undefined) return checkOneOf<ConvertFormat>('format', format, ['safetensors', 'onnx']);
  const ending = extname(path).toLowerCase();
  if (ending === '.safetensors') return 'safetensors';
  if (ending === '.onnx') return 'onnx';
  throw new EfficientNetError('ERR_INVALID_ARGUMENT', `Expected an output that ends in .safetensors or .onnx, or the option format, but received ${JSON.stringify(path)}`);
}

function sizeOf({ height, width }: ConvertOptions, format: ConvertFormat): Size {
  if (height === undefined && width === undefined) return {};
  if (format !== 'onnx') throw invalidArgument('height', 'no size: a safetensors file has no input', height ?? width);
  if (height === undefined) throw invalidArgument('height', 'a height beside the width', height);
  const rows = checkInteger('height', height, 1, kMaxSide);
  return { height: rows, width: width === undefined ? rows : checkInteger('width', width, 1, kMaxSide) };
}

/** A name of the catalogue, where no file has that name. */
function inputOf(input: string | URL | Uint8Array): Pick<WeightsOptions, 'architecture' | 'weights'> {
  const isName = typeof input === 'string' && catalogue.some(({ name }) => name === input) && !existsSync(input);
  return isName ? { architecture: input } : { weights: input };
}

/** A conversion that replaces its own input would lose what was not converted. */
async function checkApart(input: string | URL | Uint8Array, target: string): Promise<void> {
  if (input instanceof Uint8Array) return;
  const source = input instanceof URL ? (input.protocol === 'file:' ? filePath(input) : undefined) : input;
  const real = source === undefined ? undefined : await fs.realpath(source).catch(() => undefined);
  if (real === target) throw invalidArgument('the output of convert', 'another file than its input', target);
}
