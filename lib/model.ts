// SPDX-License-Identifier: Apache-2.0
// Loading a model: from a name or a checkpoint to a packed network. What a loaded model does is in
// efficientnet.ts.

import { addon, fromNative, type Addon, type Isa, type NativeSession } from './binding.js';
import { checkInteger, checkOneOf } from './check.js';
import type { CheckpointFacts } from './config/config.js';
import { describe } from './describe.js';
import { EfficientNet, type ModelFacts } from './efficientnet.js';
import type { Checkpoint } from './formats/tensor.js';
import { embeddingSize, type Network } from './network.js';
import { checkSource, openBytes, openWeights, weightsOptions, type CheckedWeights, type WeightsOptions } from './open-weights.js';
import type { Recipe } from './recipe.js';
import type { CheckpointSource } from './source.js';
import type { FoldedWeights } from './weights.js';

export { EfficientNet } from './efficientnet.js';
/** A loaded model. */
export type Model = EfficientNet;

export interface LoadOptions extends WeightsOptions {
  /** Threads that work on one image, the model's own included; the cores of this process unless given. */
  readonly threads?: number | undefined;
  /** Forces an instruction set; else EFFICIENTNET_SIMD_ISA decides, else the best this CPU has. */
  readonly isa?: Isa | undefined;
}

const known: readonly (keyof LoadOptions)[] = [...weightsOptions, 'threads', 'isa'];
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
  const given = checkRunning(checkSource<LoadOptions>(source, options, known));
  const { signal } = given;
  signal?.throwIfAborted();
  const native = addon(); // first: a missing addon should not cost a download
  // Bytes are read, mapped and copied by the addon before this call returns: there is no await on
  // their way, so that their buffer may be reused or transferred afterwards.
  const { checkpoint, facts, ours, origin, weights, recipe, labels } = given.weights instanceof Uint8Array ? openBytes(given, given.weights) : await openWeights(given);
  const opening = openSession(native, weights, recipe, given); // packed when this returns
  if (ours) discard(native, checkpoint, weights);
  const session = await opening;
  return new EfficientNet({ session, labels, facts: factsOf(weights.network, origin, recipe, facts) });
}

interface CheckedLoad extends CheckedWeights<LoadOptions> {
  readonly threads: number;
}

function checkRunning(given: CheckedWeights<LoadOptions>): CheckedLoad {
  const { threads, isa } = given;
  return {
    ...given,
    threads: threads === undefined ? addon().cpu().cores : checkInteger('threads', threads, 1, kMaxThreads),
    isa: isa === undefined ? undefined : checkOneOf<Isa>('isa', isa, ['scalar', 'avx2', 'avx512', 'neon']),
  };
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

function factsOf(network: Network, origin: CheckpointSource, recipe: Recipe, checkpoint: CheckpointFacts): ModelFacts {
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
    checkpoint,
    recipe,
  };
}
