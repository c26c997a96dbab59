// SPDX-License-Identifier: Apache-2.0
// From what a user names to a network's weights with all that belongs to them: the checkpoint is found,
// read and its tensors given to layers, and its recipe and labels with it. For load and convert; nothing is
// packed or run here.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { types } from 'node:util';

import { bufferBytes, checkBoolean, checkFinite, checkLive, checkOneOf, checkOptions, checkString, copyBytes, invalidArgument } from './check.js';
import type { CheckpointConfig, CheckpointFacts } from './config/config.js';
import { checkKerasNetwork, kerasConfig, type KerasReading } from './config/keras.js';
import { applyConfig, readMetadata } from './config/metadata.js';
import { configNames } from './config/read.js';
import { EfficientNetError } from './errors.js';
import { parseIntegrity } from './fetch/integrity.js';
import type { FetchProgress } from './fetch/options.js';
import { openCheckpoint, parseCheckpoint, type ExternalFiles, type OpenedCheckpoint } from './formats/index.js';
import { looksLikeRepository } from './hub/name.js';
import { recipeOfInput } from './input-recipe.js';
import { imagenetLabels } from './labels.js';
import { locate, placeOf, placeOfName, type WeightsPlace } from './locate.js';
import { resolveName } from './names.js';
import { buildNetwork, type Network, type Padding } from './network.js';
import { checkRecipe, checkRecipeOptions, recipeFor, type Recipe, type RecipeOptions } from './recipe.js';
import { detectSource, type CheckpointSource } from './source.js';
import { pacer } from './turn.js';
import { collectWeights, foldAll, type CollectedWeights, type FoldedWeights } from './weights.js';

export interface WeightsOptions {
  /**
   * A network of the family: 'b0', 'v2-s', or as torchvision and timm name them. timm's `tf_` prefix
   * chooses TensorFlow's padding and epsilon, its tag the way images are prepared. Without a name the
   * checkpoint's own configuration decides, and without one its shapes.
   */
  readonly architecture?: string | undefined;
  /**
   * A checkpoint of any supported format: a path, a file URL, an http or https address, or a file's
   * bytes. Of a folder the checkpoint in it is taken, and how it is to be used is read from the
   * config.json beside it. 'hf-hub:owner/name' is a repository of the model hub, as for load('owner/name').
   * Without it the published weights of `architecture` are fetched once and cached.
   */
  readonly weights?: string | URL | Uint8Array | ArrayBuffer | undefined;
  /** Which file, where a folder or repository has several checkpoints. */
  readonly file?: string | undefined;
  /** The hash of the file at an address or path, as 'sha256-' and its base64; another content is refused. */
  readonly integrity?: string | undefined;
  /** For an ONNX model with tensors in other files: where these are, by the names that the model gives them. */
  readonly externalData?: Readonly<Record<string, string | URL | Uint8Array>> | undefined;
  /** Parts of the recipe by which images are prepared, in place of the checkpoint's. */
  readonly recipe?: RecipeOptions | undefined;
  /** Names of the classes, one each; ImageNet's for a network of 1,000 classes unless given. */
  readonly labels?: readonly string[] | undefined;
  /** In place of what the checkpoint implies. */
  readonly padding?: Padding | undefined;
  readonly batchNormEpsilon?: number | undefined;
  /**
   * How the normalisation of Keras' B0 to B7 is read from bare weights, which do not say it: 'fixed', as
   * TensorFlow 2.5 and later build the model, or 'legacy', as earlier versions did.
   */
  readonly keras?: KerasReading | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of a download's progress. */
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined;
  /** Never use the network. */
  readonly offline?: boolean | undefined;
  /** Ask the hub or the server whether there is something newer; else what is cached is taken unasked. */
  readonly update?: boolean | undefined;
}

/** The names of these options. */
export const weightsOptions: readonly (keyof WeightsOptions)[] = [
  'architecture', 'weights', 'file', 'integrity', 'externalData', 'recipe', 'labels', 'padding', 'batchNormEpsilon', 'keras', 'signal',
  'onProgress', 'offline', 'update',
];
/** What the options ask for, checked. */
export type CheckedWeights<T extends WeightsOptions = WeightsOptions> = Omit<T, 'weights' | 'integrity' | 'externalData'> & {
  readonly weights: WeightsPlace | Uint8Array;
  readonly integrity: ReturnType<typeof parseIntegrity> | undefined;
  readonly externalData: ExternalFiles;
};

/** A checkpoint whose tensors are known to fit the network; their values have been read but not looked at. */
export interface OpenedLayers {
  readonly facts: CheckpointFacts;
  /** The paths of all files that were looked into, what says how it is to be used among them; none of bytes. */
  readonly files: readonly string[];
  readonly origin: CheckpointSource;
  readonly collected: CollectedWeights;
  readonly recipe: Recipe;
  /** One for each class, or undefined where they have no names. */
  readonly labels: readonly string[] | undefined;
}

export interface OpenedWeights extends Omit<OpenedLayers, 'collected'> {
  readonly weights: FoldedWeights;
}

/** Reads, maps and says what was guessed; folds batch norm. */
export async function openWeights(given: CheckedWeights): Promise<OpenedWeights> {
  const { collected, ...rest } = await openLayers(given);
  return { ...rest, weights: foldAll(collected, { consume: true }) };
}

/**
 * Reads, maps and says what was guessed, a few milliseconds at a time. A caller's bytes are copied before
 * this returns, so that the result's are nobody else's: they may be spent.
 */
export async function openLayers(given: CheckedWeights): Promise<OpenedLayers> {
  const external = new Map([...given.externalData].map(([name, file]) => [name, file instanceof Uint8Array ? copyBytes(file) : file]));
  const place = given.weights;
  if (!(place instanceof Uint8Array)) return openPlace({ ...given, externalData: external }, place);
  const bytes = copyBytes(place);
  const breathe = pacer();
  await breathe();
  const opened = { checkpoint: parseCheckpoint(bytes, externalBytes(external)), files: [], complete: () => Promise.resolve() };
  return finish(given, opened, { config: undefined, path: null, breathe });
}

async function openPlace(given: CheckedWeights, place: WeightsPlace): Promise<OpenedLayers> {
  const { signal, onProgress, offline, update, file, integrity } = given;
  const named = given.architecture !== undefined;
  const { path, config, folder } = await locate(place, { signal, onProgress, offline, update, file, integrity, named });
  signal?.throwIfAborted();
  const breathe = pacer();
  const opened = await openCheckpoint(path, given.externalData);
  try {
    await breathe();
    const configs = folder === undefined ? [] : configNames.map((name) => join(folder, name));
    const files = [...opened.files, ...configs];
    return await finish(given, { ...opened, files }, { config, path: typeof path === 'string' ? path : fileURLToPath(path), breathe });
  } catch (error) {
    await opened.abandon();
    throw ofPart(error, String(path));
  }
}

/** Where tensors are missing because the file is one of several, says how to give them all. */
function ofPart(error: unknown, path: string): unknown {
  const isPart = error instanceof EfficientNetError && error.code === 'ERR_WEIGHTS_MISMATCH' && /-\d+-of-\d+\.safetensors$/.test(path);
  if (!isPart) return error;
  const message = `${error.message.replace(/\.$/, '')}. The file is one part of several: give the index beside it, which ends in .safetensors.index.json, or the folder`;
  return new EfficientNetError(error.code, message, { cause: error });
}

interface Found {
  readonly config: CheckpointConfig | undefined;
  readonly path: string | null;
  readonly breathe: () => Promise<void>;
}

/** While the rest of the file may still be read: up to `complete`, only names and shapes are looked at. */
async function finish(given: CheckedWeights, opened: Pick<OpenedCheckpoint, 'checkpoint' | 'files' | 'complete'>, { config: found, path, breathe }: Found): Promise<OpenedLayers> {
  const { checkpoint } = opened;
  const config = kerasConfig(checkpoint, given.keras) ?? found ?? readMetadata(checkpoint.metadata);
  const named = given.architecture ?? config?.architecture;
  const origin = { ...detectSource(checkpoint, named), ...conventionsOf(config) };
  await breathe();
  const collected = collectWeights(checkpoint, networkOf(given, named, origin));
  await breathe();
  const { network } = collected;
  checkKerasNetwork(checkpoint, network);
  const recipe = checkRecipe(given.recipe, applyConfig(config, { ...recipeFor(network, origin, named), ...recipeOfInput(checkpoint.input) }));
  const labels = labelsFor(given.labels, config, network.head.classes);
  given.signal?.throwIfAborted();
  await opened.complete();
  given.signal?.throwIfAborted();
  warn(given, config, origin);
  const facts = { format: checkpoint.format, path, configuration: config?.from ?? null };
  return { facts, files: opened.files, origin, collected, recipe, labels };
}

// ---- options ------------------------------------------------------------------------------------------

/**
 * The options of load, `known` being their names; what is not about weights is returned unchecked.
 * Throws ERR_INVALID_ARGUMENT naming the option.
 */
export function checkSource<T extends WeightsOptions>(source: unknown, options: T | undefined, known: readonly (keyof T & string)[]): CheckedWeights<T> {
  const given = typeof source === 'string' ? { ...checkOptions<T>('the load options', options, known) } : source;
  if (typeof source !== 'string' && options !== undefined) {
    throw invalidArgument('the second argument of load', 'nothing after an options object', options);
  }
  if (given === undefined) throw invalidArgument('load', "a model's name or an options object", given);
  // Copied, so that a getter runs once and what was checked is what is used.
  const o = checkOptions<T>('the load options', { ...checkOptions<T>('the load options', given, known) }, known);
  const repository = typeof source === 'string' && looksLikeRepository(source) ? placeOfName(source) : undefined;
  if (typeof source === 'string' && o.architecture !== undefined && repository === undefined) {
    throw invalidArgument('architecture', 'no second name beside the first argument of load', o.architecture);
  }
  if (repository !== undefined && o.weights !== undefined) {
    throw invalidArgument('weights', 'nothing beside a repository as the first argument of load', o.weights);
  }
  const architecture = typeof source === 'string' && repository === undefined ? source : o.architecture;
  if (architecture === undefined && o.weights === undefined && repository === undefined) {
    throw new EfficientNetError('ERR_INVALID_ARGUMENT', "Expected architecture or weights in the load options, for example { architecture: 'b0' }");
  }
  checkCalls(o);
  if (architecture !== undefined) resolveName(checkString('architecture', architecture));
  const weights = repository ?? (o.weights === undefined ? placeOfName(architecture ?? '') : checkWeights(o.weights));
  return { ...o, architecture, weights, ...checkFetching(o, weights), externalData: checkExternal(o.externalData), ...checkConventions(o) } as CheckedWeights<T>;
}

function checkWeights(weights: unknown): WeightsPlace | Uint8Array {
  if ((typeof weights === 'string' && weights !== '') || weights instanceof URL) return placeOf(weights);
  if (types.isUint8Array(weights)) return weights instanceof Uint8Array ? weights : new Uint8Array(weights); // another realm's
  if (types.isAnyArrayBuffer(weights)) return bufferBytes(weights);
  throw invalidArgument('weights', "a path, a file URL, an http or https address, or a file's bytes", weights);
}

function checkFetching(o: Partial<WeightsOptions>, weights: WeightsPlace | Uint8Array) {
  const kind = weights instanceof Uint8Array ? 'bytes' : weights.kind;
  if (o.offline !== undefined) checkBoolean('offline', o.offline);
  if (o.update !== undefined) checkBoolean('update', o.update);
  if (o.file !== undefined && kind !== 'path' && kind !== 'repository') throw invalidArgument('file', 'a folder or a repository as weights beside it', o.file);
  if (o.integrity !== undefined && kind !== 'path' && kind !== 'address') throw invalidArgument('integrity', 'a path or an address as weights beside it', o.integrity);
  return {
    file: o.file === undefined ? undefined : checkString('file', o.file),
    integrity: o.integrity === undefined ? undefined : parseIntegrity(o.integrity),
  };
}

function checkExternal(externalData: unknown): ExternalFiles {
  if (externalData === undefined) return new Map();
  if (typeof externalData !== 'object' || externalData === null || Array.isArray(externalData) || ArrayBuffer.isView(externalData)) {
    throw invalidArgument('externalData', 'an object of paths or bytes by name', externalData);
  }
  const entries = Object.entries(externalData).map(([name, value]: [string, unknown]) => {
    checkLive(`externalData[${JSON.stringify(name)}]`, "a path, a file URL or a file's bytes", value);
    if ((typeof value === 'string' && value !== '') || value instanceof URL || value instanceof Uint8Array) return [name, value] as const;
    throw invalidArgument(`externalData[${JSON.stringify(name)}]`, "a path, a file URL or a file's bytes", value);
  });
  return new Map(entries);
}

/** Of a model given as bytes the other files must be at hand too. */
function externalBytes(external: ExternalFiles): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const [name, value] of external) {
    if (!(value instanceof Uint8Array)) throw invalidArgument(`externalData[${JSON.stringify(name)}]`, "a file's bytes, as weights are bytes too,", value);
    files.set(name, value);
  }
  return files;
}

function checkCalls(o: Partial<WeightsOptions>): void {
  if (o.signal !== undefined && !(o.signal instanceof AbortSignal)) throw invalidArgument('signal', 'an AbortSignal', o.signal);
  if (o.onProgress !== undefined && typeof o.onProgress !== 'function') throw invalidArgument('onProgress', 'a function', o.onProgress);
}

function checkConventions(o: Partial<WeightsOptions>) {
  return {
    // By itself, before anything is fetched or read; with what the checkpoint says of the rest later.
    recipe: o.recipe === undefined ? undefined : checkRecipeOptions(o.recipe),
    padding: o.padding === undefined ? undefined : checkOneOf<Padding>('padding', o.padding, ['same', 'symmetric']),
    keras: o.keras === undefined ? undefined : checkOneOf<KerasReading>('keras', o.keras, ['fixed', 'legacy']),
    batchNormEpsilon: o.batchNormEpsilon === undefined ? undefined : checkFinite('batchNormEpsilon', o.batchNormEpsilon, 0, 1),
  };
}

function labelsFor(labels: unknown, config: CheckpointConfig | undefined, classes: number): readonly string[] | undefined {
  if (labels === undefined) {
    // Names of another number of classes are those of another classifier.
    if (config?.labels?.length === classes) return config.labels;
    return classes === imagenetLabels.length ? imagenetLabels : undefined;
  }
  if (!Array.isArray(labels)) throw invalidArgument('labels', 'an array of strings', labels);
  const names = Array.from<unknown>(labels); // a copy in which holes are undefined
  names.forEach((name, i) => {
    if (typeof name !== 'string') throw invalidArgument(`labels[${i}]`, 'a string', name);
  });
  if (names.length !== classes) throw invalidArgument('labels', `${classes} names (one for each class of the checkpoint)`, labels);
  return names as string[];
}

// ---- steps --------------------------------------------------------------------------------------------

/** What a configuration says of them wins over what the tensors' names imply. */
function conventionsOf(config: CheckpointConfig | undefined): Partial<CheckpointSource> {
  const { padding, batchNormEpsilon } = config ?? {};
  return {
    ...(padding === undefined ? {} : { padding }),
    ...(batchNormEpsilon === undefined ? {} : { batchNormEpsilon }),
    ...(config?.architecture === undefined ? {} : { certain: true }),
  };
}

/** The architecture that is named, or the one whose shapes the checkpoint has, under the checkpoint's conventions. */
function networkOf(given: CheckedWeights, named: string | undefined, origin: CheckpointSource): Network {
  if (named === undefined && origin.network !== undefined) return { ...origin.network, padding: given.padding ?? origin.padding };
  const name = named ?? origin.architecture;
  if (name === undefined) {
    throw new EfficientNetError('ERR_WEIGHTS_MISMATCH', "The checkpoint's shapes fit no known network: name it with architecture");
  }
  return buildNetwork(name, {
    padding: given.padding ?? origin.padding,
    batchNormEpsilon: given.batchNormEpsilon ?? origin.batchNormEpsilon,
    classes: origin.classes,
  });
}

/** A wrong guess shows in no accuracy figure, only in the logits, so it must not pass silently. */
function warn(given: CheckedWeights, config: CheckpointConfig | undefined, origin: CheckpointSource): void {
  const emit = (message: string): void => process.emitWarning(message, { type: 'EfficientNetWarning', code: 'EFFICIENTNET_SIMD_GUESS' });
  for (const { message, option } of config?.notes ?? []) {
    // Given mean and deviation, no reading of them matters.
    const isMoot = option === 'keras' && given.recipe?.mean !== undefined && given.recipe.std !== undefined;
    const isTop = option === 'recipe' || option === 'keras';
    const decided = option === undefined ? undefined : isTop ? given[option] : given.recipe?.[option];
    if (option === undefined) emit(message);
    else if (decided === undefined && !isMoot) emit(`${message}; the option ${isTop ? option : `recipe.${option}`} decides`);
  }
  if (origin.certain || (given.padding !== undefined && given.batchNormEpsilon !== undefined)) return;
  if (origin.network !== undefined) {
    if (given.padding !== undefined) return;
    emit(`The file leaves open how the network pads other sizes of image than the one it was exported for: taking ${origin.padding} padding. Give padding, 'same' or 'symmetric'`);
    return;
  }
  emit(
    `timm's tensor names leave open how a network pads: taking ${origin.padding} padding and epsilon ${origin.batchNormEpsilon}. ` +
      "Name the architecture as timm does, 'efficientnet_b0' or 'tf_efficientnet_b0', or give padding and batchNormEpsilon",
  );
}
