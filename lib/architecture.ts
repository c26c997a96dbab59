// SPDX-License-Identifier: Apache-2.0
// What an architecture is: stages before scaling, and how they are scaled. The family as data is in
// architectures.ts; network.ts turns an architecture into blocks with shapes.

import type { Rounding, ScaleFactors } from './scaling.js';

/** 'hard-sigmoid' is clamp(x + 3, 0, 6) / 6, 'hard-swish' x times that. */
export type Activation = 'none' | 'relu' | 'relu6' | 'swish' | 'sigmoid' | 'hard-swish' | 'hard-sigmoid';

/** One line of a paper's table: `repeats` blocks, of which only the first strides. */
export interface Stage {
  /**
   * 'mbconv' (unless given): 1x1 expansion, depthwise convolution, excite, 1x1 projection. 'fused': one
   * dense convolution in place of the first two, then the projection. 'conv': one dense convolution,
   * with activation and, where shapes allow, with the residual; its expand is 1.
   */
  readonly kind?: 'mbconv' | 'fused' | 'conv';
  /** Odd; 1 to 31 for depthwise, 1 to 5 for dense convolutions. */
  readonly kernel: number;
  readonly stride: 1 | 2;
  /** Channels inside the block are this many times its input's; of an 'mbconv', 1 means no expansion. */
  readonly expand: number;
  readonly out: number;
  readonly repeats: number;
  /** Channels of the squeeze as a share, in place of the base's; 0 for no excite. */
  readonly squeeze?: number;
  /** In place of the base's. */
  readonly activation?: Activation;
  /** The blocks belong to the stage before, as checkpoints count: a stage of several kinds of blocks. */
  readonly continues?: true;
  /** An expansion of 1 is a layer too (FBNet). */
  readonly keepsExpansion?: true;
  /** No block of the stage adds its input (EdgeTPU's first). */
  readonly plain?: true;
  /** The expansion multiplies these (scaled) channels instead of the input's (EdgeTPU's first stage). */
  readonly expandFrom?: number;
}

/** A network before scaling. */
export interface BaseNetwork {
  readonly stem: number;
  readonly stages: readonly Stage[];
  /** Channels of the last 1x1 convolution, before the pooling. */
  readonly head: number;
  /** Width of a dense layer after the pooling (MobileNetV3), which is not scaled; none unless given. */
  readonly hidden?: number;
  /** The hidden layer adds none (timm's first MobileNetV3). */
  readonly hiddenBias?: false;
  /** Channels of the squeeze as a share of the block's input, rounded down; 0 for no excite. */
  readonly squeezeRatio: number;
  /** 'expanded': the share is of the expanded channels, rounded as channels are (MobileNetV3). */
  readonly squeezeOf?: 'input' | 'expanded';
  /** Of that rounding, in place of the channels' divisor. */
  readonly squeezeDivisor?: number;
  /** Of stem, blocks and head; 'swish' unless given. */
  readonly activation?: Activation;
  /** After the squeeze; the block's unless given. */
  readonly squeezeActivation?: Activation;
  /** 'sigmoid' unless given. */
  readonly gateActivation?: Activation;
  /** Width leaves the stem as it is. */
  readonly fixedStem?: true;
  /** 'scaled' by width unless given; 'fixed'; or 'widened', scaled but never below what is given. */
  readonly headScaling?: 'scaled' | 'fixed' | 'widened';
  /** How often the last 1x1 convolution comes, times the depth (timm's MobileNetV3); once unless given. */
  readonly headRepeats?: number;
  /** Depth leaves the first and the last stage as they are. */
  readonly fixedEnds?: true;
  readonly rounding?: Rounding;
}

export interface Architecture extends ScaleFactors {
  readonly name: string;
  readonly base: BaseNetwork;
}
