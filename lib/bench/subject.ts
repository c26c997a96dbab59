// SPDX-License-Identifier: Apache-2.0
// What is measured: a network with weights, from a checkpoint or made up, open in a session. It
// measures nothing.

import { addon, fromNative, nativeCode, type Isa, type NativeSession, type NativeStep } from '../binding.js';
import { catalogue } from '../catalogue.js';
import { describe, type NetworkDescription } from '../describe.js';
import { buildNetwork, type Network } from '../network.js';
import { checkSource, openWeights, weightsOptions } from '../open-weights.js';
import { randomWeights, randomWeightsInTurns } from '../random-weights.js';
import { standardRecipe, type Recipe } from '../recipe.js';
import { pacer } from '../turn.js';
import type { FoldedWeights } from '../weights.js';

/** Where weights came from: a file, or made up, which leaves the time as it is. */
export type WeightsOrigin = { readonly kind: 'file'; readonly path: string } | { readonly kind: 'random' };

export interface Weighted {
  readonly weights: FoldedWeights;
  readonly origin: WeightsOrigin;
  /** How the checkpoint's source prepares photos. */
  readonly recipe: Recipe;
}

/**
 * The weights of a named network: those of the checkpoint if one is given; the catalogue's where they
 * lie in the cache already; else, or where `random` says so, made-up ones. Fetches nothing but a
 * checkpoint that is named by an address.
 */
export async function weightsFor(name: string, given: { readonly path?: string | undefined; readonly random?: boolean } = {}): Promise<Weighted> {
  const network = buildNetwork(name); // first: an unknown name is the plainest error
  const path = given.path ?? (given.random === true ? undefined : cachedWeights(network.name));
  if (path === undefined) return madeUp(network);
  const { weights, recipe } = await openWeights(checkSource({ architecture: name, weights: path }, undefined, weightsOptions));
  return { weights, origin: { kind: 'file', path }, recipe };
}

/** Any network with made-up weights. */
export function madeUp(network: Network): Weighted {
  return { weights: randomWeights(network), origin: { kind: 'random' }, recipe: standardRecipe(network.resolution) };
}

function cachedWeights(architecture: string): string | undefined {
  return catalogue.find((entry) => entry.name === architecture)?.cachedPath();
}

export interface SubjectOptions {
  readonly threads: number;
  /** Empty: the one a model would use. */
  readonly isa: Isa | '';
  /** Of the input in pixels. */
  readonly height: number;
  readonly width: number;
}

/** Makes up weights and input in turns of the event loop, and packs on another thread; throws the signal's reason. */
export async function openMadeUp(network: Network, options: SubjectOptions, signal?: AbortSignal): Promise<Subject> {
  const turn = pacer();
  const breathe = async (): Promise<void> => {
    await turn();
    signal?.throwIfAborted();
  };
  const weights = await randomWeightsInTurns(network, breathe);
  const input = new Float32Array(options.height * options.width * network.stem.in);
  for (let from = 0; from < input.length; from += kPiece) {
    fillExample(input.subarray(from, from + kPiece), from);
    await breathe();
  }
  return Subject.open({ weights }, options, { owned: true, input });
}

/** Numbers made up at a time: about a millisecond. */
const kPiece = 2 ** 15;

/** A network in memory with an input of its own. The caller closes it. */
export class Subject {
  readonly network: Network;
  /** Layers and their cost at this input size. */
  readonly description: NetworkDescription;
  readonly #session: NativeSession;
  readonly #input: Float32Array;
  readonly #output: Float32Array;
  readonly #shape: { readonly height: number; readonly width: number; readonly layout: 'nhwc'; readonly output: 'logits' };

  #lastId = 0;

  private constructor(network: Network, session: NativeSession, { height, width }: SubjectOptions, input: Float32Array) {
    this.network = network;
    this.description = describe(network, height, width);
    this.#session = session;
    this.#input = input;
    this.#output = new Float32Array(network.head.classes);
    this.#shape = { height, width, layout: 'nhwc', output: 'logits' };
  }

  /** `owned` weights are in nobody else's hands, so that they can be packed on another thread. */
  static async open(
    { weights }: Pick<Weighted, 'weights'>,
    options: SubjectOptions,
    { owned = false, input }: { readonly owned?: boolean; readonly input?: Float32Array } = {},
  ): Promise<Subject> {
    const { height, width } = options;
    try {
      const session = await addon().createSession(weights.network, weights, { ...options, owned });
      return new Subject(weights.network, session, options, input ?? exampleInput(height * width * weights.network.stem.in));
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** One image to logits. */
  readonly run = (): void => {
    this.#session.runSync(this.#input, this.#output, this.#shape);
  };

  /** The same on another thread; rejects with the signal's reason, at most one block of the network later. */
  async start(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const id = ++this.#lastId;
    const cancel = (): void => this.#session.cancel(id);
    try {
      const pending = this.#session.run(this.#input, this.#output, this.#shape, id);
      signal?.addEventListener('abort', cancel, { once: true });
      await pending;
    } catch (error) {
      if (nativeCode(error) === 'ERR_CANCELLED') throw signal?.reason;
      throw fromNative(error);
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  /** The same as `run`, and how long each step took. */
  readonly profile = (): readonly NativeStep[] => this.#session.profile(this.#input, this.#output, this.#shape);

  get info(): ReturnType<NativeSession['info']> {
    return this.#session.info();
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}

/** Numbers like those of a normalised photo: within two deviations, none of them zero for long. */
export function exampleInput(length: number): Float32Array {
  const values = new Float32Array(length);
  fillExample(values, 0);
  return values;
}

/** `values` are those from the given index on. */
function fillExample(values: Float32Array, first: number): void {
  for (let i = 0; i < values.length; i++) values[i] = 2 * Math.sin((first + i) * 0.37) * Math.cos((first + i) * 0.0011);
}
