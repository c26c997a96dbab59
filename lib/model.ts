// SPDX-License-Identifier: Apache-2.0
// Loading a model: from a name or a checkpoint to a packed network. What a loaded model does is in
// efficientnet.ts.

import { types } from 'node:util';

import { addon, fromNative, type Addon, type Isa, type NativeSession } from './binding.js';
import { resolveModel, type FetchProgress } from './catalogue.js';
import { checkBoolean, checkFinite, checkInteger, checkOneOf, checkOptions, checkString, invalidArgument } from './check.js';
import { describe } from './describe.js';
import { EfficientNet, type ModelFacts } from './efficientnet.js';
import { EfficientNetError } from './errors.js';
import { parseCheckpoint, readCheckpoint } from './formats/index.js';
import type { Checkpoint } from './formats/tensor.js';
import { imagenetLabels } from './labels.js';
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
   * 'b0' to 'b8' or 'l2', also as torchvision and timm name them; timm's `tf_` prefix chooses
   * TensorFlow's padding and epsilon. Without it the checkpoint's shapes decide.
   */
  readonly architecture?: string | undefined;
  /**
   * A checkpoint: a path, a file URL or a file's bytes; safetensors, PyTorch's .pth, or the model.json
   * of a TensorFlow.js graph model. Without it the published weights of `architecture` are fetched
   * once and cached.
   */
  readonly weights?: string | URL | Uint8Array | ArrayBuffer | undefined;
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
}

const known: readonly (keyof LoadOptions)[] = [
  'architecture', 'weights', 'threads', 'isa', 'recipe', 'labels', 'padding', 'batchNormEpsilon', 'signal',
  'onProgress', 'offline',
];
const kMaxThreads = 1024;

/**
 * Loads a model: `load('b0')` takes the published weights, fetched once and cached;
 * `load({ weights })` a checkpoint of any supported format.
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
  const checkpoint = given.weights instanceof Uint8Array ? parseCheckpoint(given.weights) : await readFile(given);
  const origin = detectSource(checkpoint, given.architecture);
  const weights = mapWeights(checkpoint, networkOf(given, origin));
  warnOfGuess(given, origin);
  const recipe = checkRecipe(given.recipe, recipeFor(weights.network, origin));
  const labels = labelsFor(given.labels, weights.network.head.classes);
  const session = await openSession(native, weights, recipe, given);
  return new EfficientNet({ session, labels, facts: factsOf(weights.network, origin, recipe) });
}

// ---- options ------------------------------------------------------------------------------------------

interface CheckedLoad extends LoadOptions {
  readonly weights: string | URL | Uint8Array | undefined;
  readonly threads: number;
}

function checkLoad(source: unknown, options: LoadOptions | undefined): CheckedLoad {
  const given = typeof source === 'string' ? { ...checkOptions<LoadOptions>('the load options', options, known) } : source;
  if (typeof source !== 'string' && options !== undefined) {
    throw invalidArgument('the second argument of load', 'nothing after an options object', options);
  }
  if (given === undefined) throw invalidArgument('load', "a model's name or an options object", given);
  // Copied, so that a getter runs once and what was checked is what is used.
  const o = { ...checkOptions<LoadOptions>('the load options', given, known) };
  if (typeof source === 'string' && o.architecture !== undefined) {
    throw invalidArgument('architecture', 'no second name beside the first argument of load', o.architecture);
  }
  const architecture = typeof source === 'string' ? source : o.architecture;
  if (architecture === undefined && o.weights === undefined) {
    throw new EfficientNetError('ERR_INVALID_ARGUMENT', "Expected architecture or weights in the load options, for example { architecture: 'b0' }");
  }
  if (architecture !== undefined) resolveName(checkString('architecture', architecture));
  return { ...o, architecture, weights: checkWeights(o.weights), ...checkRunning(o), ...checkConventions(o) };
}

function checkWeights(weights: unknown): string | URL | Uint8Array | undefined {
  const text = typeof weights === 'string' || weights instanceof URL ? String(weights) : '';
  if (/^(https?|data|blob|ftp):/i.test(text)) {
    const message = `Expected a path, a file URL or a file's bytes for weights but received the URL ${text.slice(0, 80)}; download it first`;
    throw new EfficientNetError('ERR_INVALID_ARGUMENT', message);
  }
  if (weights === undefined || (typeof weights === 'string' && weights !== '') || weights instanceof URL) return weights;
  if (types.isUint8Array(weights)) return weights instanceof Uint8Array ? weights : new Uint8Array(weights); // another realm's
  if (types.isAnyArrayBuffer(weights)) return new Uint8Array(weights);
  throw invalidArgument('weights', "a path, a file URL or a file's bytes", weights);
}

function checkRunning(o: Partial<LoadOptions>) {
  if (o.signal !== undefined && !(o.signal instanceof AbortSignal)) throw invalidArgument('signal', 'an AbortSignal', o.signal);
  if (o.onProgress !== undefined && typeof o.onProgress !== 'function') throw invalidArgument('onProgress', 'a function', o.onProgress);
  if (o.offline !== undefined) checkBoolean('offline', o.offline);
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

function labelsFor(labels: unknown, classes: number): readonly string[] | undefined {
  if (labels === undefined) return classes === imagenetLabels.length ? imagenetLabels : undefined;
  if (!Array.isArray(labels)) throw invalidArgument('labels', 'an array of strings', labels);
  const names = Array.from<unknown>(labels); // a copy in which holes are undefined
  names.forEach((name, i) => {
    if (typeof name !== 'string') throw invalidArgument(`labels[${i}]`, 'a string', name);
  });
  if (names.length !== classes) throw invalidArgument('labels', `${classes} names (one for each class of the checkpoint)`, labels);
  return names as string[];
}

// ---- steps --------------------------------------------------------------------------------------------

async function readFile({ architecture, weights, signal, onProgress, offline }: CheckedLoad): Promise<Checkpoint> {
  const path = weights ?? (await resolveModel(resolveName(architecture ?? '').architecture.name, { signal, onProgress, offline }));
  signal?.throwIfAborted();
  const checkpoint = await readCheckpoint(path);
  signal?.throwIfAborted();
  return checkpoint;
}

/** The architecture asked for, or the one whose shapes the checkpoint has, under the checkpoint's conventions. */
function networkOf(given: CheckedLoad, origin: CheckpointSource): Network {
  const name = given.architecture ?? origin.architecture;
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
function warnOfGuess(given: CheckedLoad, origin: CheckpointSource): void {
  if (origin.certain || (given.padding !== undefined && given.batchNormEpsilon !== undefined)) return;
  process.emitWarning(
    `timm's tensor names leave open how a network pads: taking ${origin.padding} padding and epsilon ${origin.batchNormEpsilon}. ` +
      "Name the architecture as timm does, 'efficientnet_b0' or 'tf_efficientnet_b0', or give padding and batchNormEpsilon",
    { type: 'EfficientNetWarning', code: 'EFFICIENTNET_SIMD_GUESS' },
  );
}

/** Packs on the session's thread, which an abort does not stop: it takes milliseconds. */
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
