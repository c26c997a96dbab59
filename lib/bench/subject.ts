// SPDX-License-Identifier: Apache-2.0
// What is measured: a network with weights, from a checkpoint or made up, open in a session. It
// measures nothing.

import { addon, fromNative, type Isa, type NativeSession, type NativeStep } from '../binding.js';
import { catalogue } from '../catalogue.js';
import { describe, type NetworkDescription } from '../describe.js';
import { buildNetwork, type Network } from '../network.js';
import { checkSource, openWeights, weightsOptions } from '../open-weights.js';
import { randomWeights } from '../random-weights.js';
import { standardRecipe, type Recipe } from '../recipe.js';
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

/** A network in memory with an input of its own. The caller closes it. */
export class Subject {
  readonly network: Network;
  /** Layers and their cost at this input size. */
  readonly description: NetworkDescription;
  readonly #session: NativeSession;
  readonly #input: Float32Array;
  readonly #output: Float32Array;
  readonly #shape: { readonly height: number; readonly width: number; readonly layout: 'nhwc'; readonly output: 'logits' };

  private constructor(network: Network, session: NativeSession, { height, width }: SubjectOptions) {
    this.network = network;
    this.description = describe(network, height, width);
    this.#session = session;
    this.#input = exampleInput(height * width * network.stem.in);
    this.#output = new Float32Array(network.head.classes);
    this.#shape = { height, width, layout: 'nhwc', output: 'logits' };
  }

  static async open({ weights }: Pick<Weighted, 'weights'>, options: SubjectOptions): Promise<Subject> {
    try {
      const session = await addon().createSession(weights.network, weights, { ...options });
      return new Subject(weights.network, session, options);
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** One image to logits. */
  readonly run = (): void => {
    this.#session.runSync(this.#input, this.#output, this.#shape);
  };

  /** The same, and how long each step took. */
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
  return Float32Array.from({ length }, (_, i) => 2 * Math.sin(i * 0.37) * Math.cos(i * 0.0011));
}
