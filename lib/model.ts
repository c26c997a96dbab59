// SPDX-License-Identifier: Apache-2.0
// Loading a model: from a name or a checkpoint to a packed network. What a loaded model does is in
// efficientnet.ts.

import { types } from 'node:util';

import { addon, fromNative, type Addon, type Isa, type NativeSession } from './binding.js';
import { checkBoolean, checkFinite, checkInteger, checkOneOf, checkOptions, checkString, invalidArgument } from './check.js';
import type { CheckpointConfig } from './config/config.js';
import { applyConfig, readMetadata } from './config/metadata.js';
import { describe } from './describe.js';
import { EfficientNet, type ModelFacts } from './efficientnet.js';
import { EfficientNetError } from './errors.js';
import { parseIntegrity } from './fetch/integrity.js';
import type { FetchProgress } from './fetch/options.js';
import { parseCheckpoint, readCheckpoint } from './formats/index.js';
import type { Checkpoint } from './formats/tensor.js';
import { recipeOfGraph } from './graph-recipe.js';
import { looksLikeRepository } from './hub/name.js';
import { imagenetLabels } from './labels.js';
import { locate, placeOf, placeOfName, type WeightsPlace } from './locate.js';
import { resolveName } from './names.js';
import { buildNetwork, embeddingSize, type Network, type Padding } from './network.js';
import { checkRecipe, recipeFor, type Recipe, type RecipeOptions } from './recipe.js';
import { detectSource, type CheckpointSource } from './source.js';
import { mapWeights, type FoldedWeights } from './weights.js';

export { EfficientNet } from './efficientnet.js';
/** A loaded model. */
export type Model = EfficientNet;

export interface LoadOptions {
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
  /** Threads that work on one image, the model's own included; the cores of this process unless given. */
  readonly threads?: number | undefined;
  /** Forces an instruction set; else EFFICIENTNET_SIMD_ISA decides, else the best this CPU has. */
  readonly isa?: Isa | undefined;
  /** Parts of the recipe by which images are prepared, in place of the checkpoint's. */
  readonly recipe?: RecipeOptions | undefined;
  /** Names of the classes, one each; ImageNet's for a network of 1,000 classes unless given. */
  readonly labels?: readonly string[] | undefined;
  /** In place of what the checkpoint implies. */
  readonly padding?: Padding | undefined;
  readonly batchNormEpsilon?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of a download's progress. */
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined;
  /** Never use the network. */
  readonly offline?: boolean | undefined;
  /** Ask the hub or the server whether there is something newer; else what is cached is taken unasked. */
  readonly update?: boolean | undefined;
}

const known: readonly (keyof LoadOptions)[] = [
  'architecture', 'weights', 'file', 'integrity', 'threads', 'isa', 'recipe', 'labels', 'padding', 'batchNormEpsilon', 'signal',
  'onProgress', 'offline', 'update',
];
const kMaxThreads = 1024;
const kSmallBuffer = 2 ** 16;

/**
 * Loads a model: `load('b0')` takes the published weights, `load('timm/efficientnet_b0.ra_in1k')` those of
 * a repository of the model hub (`@revision` may follow), both fetched once and cached; `load({ weights })`
 * a checkpoint of any supported format. Where a checkpoint leaves something open that changes the result,
 * a warning (`process.on('warning')`) says what was taken and which option decides.
 *
 * Rejects with ERR_UNKNOWN_ARCHITECTURE, ERR_FILE, ERR_INVALID_CHECKPOINT, ERR_WEIGHTS_MISMATCH,
 * ERR_FETCH, ERR_OFFLINE, ERR_INVALID_ARGUMENT, ERR_UNSUPPORTED (an instruction set that this CPU
 * lacks), ERR_NATIVE (no addon), or the signal's reason.
 *
 * @example
 * await using model = await load({ architecture: 'b2', weights: 'efficientnet_b2.pth', threads: 2 });
 */
export async function load(source: string | LoadOptions, options?: LoadOptions): Promise<EfficientNet> {
  const given = checkLoad(source, options);
  const { signal } = given;
  signal?.throwIfAborted();
  const native = addon(); // first: a missing addon should not cost a download
  // Bytes are read, mapped and copied by the addon before this call returns: there is no await on
  // their way, so that their buffer may be reused or transferred afterwards.
  const isOurs = !(given.weights instanceof Uint8Array);
  const { checkpoint, config = readMetadata(checkpoint.metadata) } =
    given.weights instanceof Uint8Array ? { checkpoint: parseCheckpoint(given.weights) } : await readPlace(given, given.weights);
  const named = given.architecture ?? config?.architecture;
  const origin = { ...detectSource(checkpoint, named), ...conventionsOf(config) };
  const weights = mapWeights(checkpoint, networkOf(given, named, origin), { consume: isOurs });
  warn(given, config, origin);
  const recipe = checkRecipe(given.recipe, applyConfig(config, recipeOfGraph(checkpoint.network, recipeFor(weights.network, origin, named))));
  const labels = labelsFor(given.labels, config, weights.network.head.classes);
  const opening = openSession(native, weights, recipe, given); // packed when this returns
  if (isOurs) discard(native, checkpoint, weights);
  const session = await opening;
  return new EfficientNet({ session, labels, facts: factsOf(weights.network, origin, recipe) });
}

// ---- options ------------------------------------------------------------------------------------------

interface CheckedLoad extends Omit<LoadOptions, 'weights' | 'integrity'> {
  readonly weights: WeightsPlace | Uint8Array;
  readonly threads: number;
  readonly integrity: ReturnType<typeof parseIntegrity> | undefined;
}

function checkLoad(source: unknown, options: LoadOptions | undefined): CheckedLoad {
  const given = typeof source === 'string' ? { ...checkOptions<LoadOptions>('the load options', options, known) } : source;
  if (typeof source !== 'string' && options !== undefined) {
    throw invalidArgument('the second argument of load', 'nothing after an options object', options);
  }
  if (given === undefined) throw invalidArgument('load', "a model's name or an options object", given);
  // Copied, so that a getter runs once and what was checked is what is used.
  const o = { ...checkOptions<LoadOptions>('the load options', given, known) };
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
  if (architecture !== undefined) resolveName(checkString('architecture', architecture));
  const weights = repository ?? (o.weights === undefined ? placeOfName(architecture ?? '') : checkWeights(o.weights));
  return { ...o, architecture, weights, ...checkFetching(o, weights), ...checkRunning(o), ...checkConventions(o) };
}

function checkWeights(weights: unknown): WeightsPlace | Uint8Array {
  if ((typeof weights === 'string' && weights !== '') || weights instanceof URL) return placeOf(weights);
  if (types.isUint8Array(weights)) return weights instanceof Uint8Array ? weights : new Uint8Array(weights); // another realm's
  if (types.isAnyArrayBuffer(weights)) return new Uint8Array(weights);
  throw invalidArgument('weights', "a path, a file URL, an http or https address, or a file's bytes", weights);
}

function checkFetching(o: Partial<LoadOptions>, weights: WeightsPlace | Uint8Array) {
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

function checkRunning(o: Partial<LoadOptions>) {
  if (o.signal !== undefined && !(o.signal instanceof AbortSignal)) throw invalidArgument('signal', 'an AbortSignal', o.signal);
  if (o.onProgress !== undefined && typeof o.onProgress !== 'function') throw invalidArgument('onProgress', 'a function', o.onProgress);
  return {
    threads: o.threads === undefined ? addon().cpu().cores : checkInteger('threads', o.threads, 1, kMaxThreads),
    isa: o.isa === undefined ? undefined : checkOneOf<Isa>('isa', o.isa, ['scalar', 'avx2', 'avx512', 'neon']),
  };
}

function checkConventions(o: Partial<LoadOptions>) {
  return {
    padding: o.padding === undefined ? undefined : checkOneOf<Padding>('padding', o.padding, ['same', 'symmetric']),
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

async function readPlace(given: CheckedLoad, place: WeightsPlace): Promise<{ checkpoint: Checkpoint; config?: CheckpointConfig }> {
  const { signal, onProgress, offline, update, file, integrity } = given;
  const named = given.architecture !== undefined;
  const { path, config } = await locate(place, { signal, onProgress, offline, update, file, integrity, named });
  signal?.throwIfAborted();
  const checkpoint = await readCheckpoint(path);
  signal?.throwIfAborted();
  return config === undefined ? { checkpoint } : { checkpoint, config };
}

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
function networkOf(given: CheckedLoad, named: string | undefined, origin: CheckpointSource): Network {
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
function warn(given: CheckedLoad, config: CheckpointConfig | undefined, origin: CheckpointSource): void {
  const emit = (message: string): void => process.emitWarning(message, { type: 'EfficientNetWarning', code: 'EFFICIENTNET_SIMD_GUESS' });
  for (const { message, option } of config?.notes ?? []) {
    const decided = option === 'recipe' ? given.recipe : given.recipe?.[option];
    if (decided === undefined) emit(`${message}; the option ${option === 'recipe' ? option : `recipe.${option}`} decides`);
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

/**
 * Frees a checkpoint's memory now: garbage collection would leave it until V8 sees a need, which for an
 * idle model may be never. Small buffers are left to it: they may be parts of a pool that Node shares.
 */
function discard(native: Addon, { tensors }: Checkpoint, { stem, blocks, head }: FoldedWeights): void {
  const made = [stem, ...blocks, head].flatMap((part) => Object.values<Float32Array>({ ...part }));
  const buffers = new Set([...[...tensors.values()].map(({ bytes }) => bytes), ...made].map(({ buffer }) => buffer));
  for (const buffer of buffers) {
    if (buffer instanceof ArrayBuffer && buffer.byteLength > Math.max(kSmallBuffer, Buffer.poolSize)) native.discard(buffer);
  }
}

/** Packs before it returns, which an abort does not stop: it takes milliseconds. */
async function openSession(
  native: Addon,
  weights: FoldedWeights,
  recipe: Recipe,
  { threads, isa, signal }: CheckedLoad,
): Promise<NativeSession> {
  try {
    const session = await native.createSession(weights.network, weights, {
      threads,
      isa: isa ?? '',
      height: recipe.height,
      width: recipe.width,
    });
    if (signal?.aborted !== true) return session;
    void session.close();
  } catch (error) {
    throw fromNative(error);
  }
  throw signal.reason;
}

function factsOf(network: Network, origin: CheckpointSource, recipe: Recipe): ModelFacts {
  const { parameters, macs } = describe(network);
  return {
    architecture: network.name,
    parameters,
    macs,
    resolution: network.resolution,
    classes: network.head.classes,
    features: embeddingSize(network.head),
    padding: network.padding,
    batchNormEpsilon: network.batchNormEpsilon,
    source: origin.naming,
    recipe,
  };
}
