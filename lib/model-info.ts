// SPDX-License-Identifier: Apache-2.0
// What a loaded model says of itself, and what a checkpoint says before it is loaded.

import type { Isa } from './binding.js';
import type { CheckpointFacts } from './config/config.js';
import { describe } from './describe.js';
import type { Naming } from './naming.js';
import { embeddingSize, type Network, type Padding } from './network.js';
import type { Recipe } from './recipe.js';
import type { CheckpointSource } from './source.js';

export interface ModelInfo {
  /** Of the architecture: 'b0'. */
  readonly architecture: string;
  readonly parameters: number;
  /** Multiply-accumulates of one image at the model's resolution. */
  readonly macs: number;
  /** Default height and width of a tensor in pixels; images become as large as `recipe` says, which may differ (V2-B0: 224 and 192). */
  readonly resolution: number;
  /** 0 where the checkpoint has no classifier: then embed() works, and what gives logits fails with ERR_UNSUPPORTED. */
  readonly classes: number;
  /** Width of the embedding. */
  readonly features: number;
  readonly padding: Padding;
  readonly batchNormEpsilon: number;
  /** Who named the checkpoint's tensors. */
  readonly source: Naming;
  readonly checkpoint: CheckpointFacts;
  readonly recipe: Recipe;
  readonly isa: Isa;
  /** Names of the kernels that this network runs through, in order, once each. */
  readonly kernels: readonly string[];
  readonly threads: number;
  /** Packed weights, in bytes. */
  readonly weightBytes: number;
  /** Scratch memory for the input size last used, in bytes. */
  readonly activationBytes: number;
}

/** What is known of a model before it runs: of its network and its checkpoint. */
export type ModelFacts = Omit<ModelInfo, 'isa' | 'kernels' | 'threads' | 'weightBytes' | 'activationBytes'>;

/** Of a checkpoint whose tensors fit the network. */
export function factsOf(network: Network, origin: CheckpointSource, recipe: Recipe, checkpoint: CheckpointFacts): ModelFacts {
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
