// SPDX-License-Identifier: Apache-2.0
// Loading a model: from a name or a checkpoint to a packed network. What a loaded model does is in
// efficientnet.ts.

import { addon, fromNative, nativeCode, type Addon, type Isa, type NativeSession } from './binding.js';
import { checkInteger, checkOneOf } from './check.js';
import { EfficientNet } from './efficientnet.js';
import { factsOf } from './model-info.js';
import { checkSource, openLayers, weightsOptions, type CheckedWeights, type WeightsOptions } from './open-weights.js';
import type { Recipe } from './recipe.js';
import { takeWeights, type TakenWeights } from './taken-weights.js';

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
  // A caller's bytes are copied before this call returns: there is no await on their way, so that their
  // buffer may be reused or transferred afterwards.
  const { collected, facts, origin, recipe, labels } = await openLayers(given);
  const taken = await takeWeights(collected);
  given.signal?.throwIfAborted();
  const opening = openSession(native, taken, recipe, given);
  const described = factsOf(collected.network, origin, recipe, facts); // while another thread packs
  return new EfficientNet({ session: await unlessAborted(opening, given.signal), labels, facts: described });
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

async function openSession(native: Addon, taken: TakenWeights, recipe: Recipe, { threads, isa }: CheckedLoad): Promise<NativeSession> {
  const { height, width } = recipe;
  try {
    return await native.createSession(taken.weights.network, taken.weights, { threads, isa: isa ?? '', height, width, owned: true });
  } catch (error) {
    if (nativeCode(error) === 'ERR_INVALID_ARGUMENT') await taken.explain();
    throw fromNative(error);
  } finally {
    // Garbage collection would leave the memory until V8 sees a need, which for an idle model may be never.
    for (const buffer of taken.buffers) native.discard(buffer);
  }
}

/** Rejects with the signal's reason at once; the session is closed when it has opened nevertheless. */
async function unlessAborted(opening: Promise<NativeSession>, signal: AbortSignal | undefined): Promise<NativeSession> {
  if (signal === undefined) return opening;
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([opening, aborted]);
  } catch (error) {
    void opening.then((session) => session.close()).catch(() => undefined);
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
