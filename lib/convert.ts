// SPDX-License-Identifier: Apache-2.0
// Any checkpoint that can be loaded, written as one file: safetensors under this package's names, or
// ONNX. What belongs to the weights (network, padding, recipe, labels) goes with them, so that the file
// needs no option to be read back. Packs and runs nothing.

import { existsSync, promises as fs } from 'node:fs';
import { basename, extname } from 'node:path';

import { writeAtomic } from './cache.js';
import { catalogue } from './catalogue.js';
import { checkInteger, checkLive, checkOneOf, checkOptions, describeValue, invalidArgument } from './check.js';
import { recipeMetadata } from './config/metadata.js';
import { networkMetadata } from './described-network.js';
import { EfficientNetError } from './errors.js';
import { onnxModel } from './export-onnx.js';
import { filePath } from './formats/file.js';
import { onnxParts } from './formats/onnx-writer.js';
import { safetensorsParts } from './formats/safetensors.js';
import { imagenetLabels } from './labels.js';
import { removeAbandoned } from './leftovers.js';
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
 * whole or not at all, and takes the place of one that is there; no file that the input consists of may be
 * that one. An abort leaves what was there. A process that is killed while it writes leaves a hidden
 * temporary file beside the output (`.name.<process>-<system>.<random>.tmp`), which the next conversion to the same
 * output removes; that of a terminated worker thread once its process has ended.
 *
 * Rejects as load does, and with ERR_FILE where the output is a directory, a device or not writable.
 *
 * @example await convert('efficientnet_b2.pth', 'b2.safetensors');
 */
export async function convert(input: string | URL | Uint8Array, output: string | URL, options?: ConvertOptions): Promise<Conversion> {
  const given = { ...checkOptions<ConvertOptions>('the convert options', options, known.filter((name) => name !== 'weights')) };
  checkLive('weights', 'a path, an address or a file\'s bytes', input);
  const path = pathOf(checkLive('the output of convert', 'a path or a file URL', output));
  const format = formatOf(path, given.format);
  const size = sizeOf(given, format);
  const { format: _format, height: _height, width: _width, ...rest } = given;
  const source = checkSource<WeightsOptions>({ ...rest, ...inputOf(input) }, undefined, weightsOptions);
  source.signal?.throwIfAborted();
  // Before anything is fetched or read.
  const target = await outputTarget(path);
  const named = localPath(input);
  if (named !== undefined) await checkApart([named], target);
  const opened = await openWeights(source);
  // Again: what a folder, an index or an address in a string names is known only now.
  await checkApart(opened.files, target);
  const parts = format === 'onnx' ? onnxFile(opened, size) : safetensorsParts(canonicalTensors(opened.weights), metadataOf(opened));
  source.signal?.throwIfAborted();
  await removeAbandoned(target);
  await writeAtomic(target, parts, source.signal);
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

function localPath(input: string | URL | Uint8Array): string | undefined {
  if (input instanceof URL) return input.protocol === 'file:' ? filePath(input) : undefined;
  return typeof input === 'string' ? input : undefined;
}

/**
 * A conversion that replaces its own input, or a part of it, would lose what was not converted. Told by what
 * the file system keeps, not by names: links, other spellings and other mounts lead to the same file.
 */
async function checkApart(inputs: readonly string[], target: string): Promise<void> {
  const identity = async (path: string): Promise<string | undefined> => {
    const found = await fs.stat(path, { bigint: true }).catch(() => undefined);
    return found === undefined ? undefined : `${found.dev}:${found.ino}`;
  };
  const own = await identity(target);
  if (own === undefined) return; // nothing is there that could be lost
  for (const [i, input] of inputs.entries()) {
    if ((await identity(input)) !== own) continue;
    throw new EfficientNetError(
      'ERR_INVALID_ARGUMENT',
      `Expected another file than its input for the output of convert, but ${describeValue(target)} is ${i === 0 ? 'that input' : `${basename(input)}, a part of it`}`,
    );
  }
}
