// SPDX-License-Identifier: Apache-2.0
// What the race and its contestants' processes say to each other: one JSON value a line, marked, so
// that whatever a library prints to standard output does no harm. bench/peers/peer.py speaks the same.

import type { Recipe } from '../../recipe.js';
import type { Usage } from '../trust.js';

/** Precedes every line that belongs to the protocol. */
export const MARK = '@race ';

/** What a contestant is to do, over and over. */
export interface Task {
  /** `tensor`: normalised pixels to logits; `photo`: an image file to labels. */
  readonly kind: 'tensor' | 'photo';
  readonly architecture: string;
  /** Of one image in pixels. */
  readonly height: number;
  readonly width: number;
  /** Images in one call; 1 for a photo. */
  readonly batch: number;
  readonly threads: number;
  /** Of efficientnet-simd; empty: the best. Others choose for themselves. */
  readonly isa: string;
  /** How a photo is prepared. */
  readonly recipe: Recipe;
  readonly files: TaskFiles;
}

/** The same weights, and the input, in every form that a contestant may want. */
export interface TaskFiles {
  /** A checkpoint that load() takes. */
  readonly weights: string;
  readonly onnx: string;
  /** A folder as transformers.js loads it; only for photos. */
  readonly transformers?: string | undefined;
  /** Network as JSON, and its folded weights in our own names, for a writer in another language. */
  readonly network: string;
  readonly folded: string;
  /** Little-endian float32, [batch][3][height][width]. */
  readonly input: string;
  /** An image file. */
  readonly photo?: string | undefined;
}

export type Request =
  | { readonly id: number; readonly method: 'open'; readonly task: Task }
  /** `rest` is answered once no thread of the process is busy, or after some seconds. */
  | { readonly id: number; readonly method: 'answer' | 'memory' | 'rest' }
  /** Runs to warm up, fewer where they take longer than the time; then as many as fit it, `fewest` at least. */
  | { readonly id: number; readonly method: 'run'; readonly warmUp: number; readonly milliseconds: number; readonly fewest: number };

export interface Failure {
  readonly message: string;
  /** Where something is not installed: the command that installs it. */
  readonly install?: string | undefined;
}

export type Response =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: Failure };

export interface Opened {
  readonly version: string;
  /** From nothing loaded to ready to run. */
  readonly milliseconds: number;
  /** Resident memory before and after, in bytes. */
  readonly bare: number;
  readonly loaded: number;
}

export interface Answer {
  /** Logits of all images; of a photo index and score of the best classes, in turn. */
  readonly values: readonly number[];
  readonly milliseconds: number;
}

export interface Turn extends Usage {
  /** Of each call. */
  readonly milliseconds: readonly number[];
}

/** Whether the process came to rest: some libraries' idle threads spin for a while, or for ever. */
export interface Rest {
  readonly idle: boolean;
}

/** Resident memory now, after everything unreachable has been collected, in bytes. */
export interface Memory {
  readonly resident: number;
}

/** An error that says how to install what is missing. */
export class NotInstalled extends Error {
  readonly install: string;

  constructor(what: string, install: string) {
    super(`${what} is not installed`);
    this.install = install;
  }
}
