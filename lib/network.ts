// SPDX-License-Identifier: Apache-2.0
// A network as data: the list of blocks with every shape resolved, ready for weights. Built from an
// architecture by buildNetwork; holds no weights and touches no native code.

export type Activation = 'none' | 'relu' | 'relu6' | 'swish' | 'sigmoid';
/** TensorFlow's SAME, computed from the real size, or PyTorch's symmetric kernel / 2. */
export type Padding = 'same' | 'symmetric';

export interface StemBlock {
  readonly kind: 'stem';
  readonly in: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  readonly activation: Activation;
}

export interface MBConvBlock {
  readonly kind: 'mbconv';
  /** Stage from 0 and index within it, as checkpoints count. */
  readonly stage: number;
  readonly index: number;
  readonly in: number;
  readonly expanded: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  /** Channels of the squeeze; 0 without excite. */
  readonly squeeze: number;
  readonly hasExpand: boolean;
  readonly residual: boolean;
  readonly activation: Activation;
}

export interface HeadBlock {
  readonly kind: 'head';
  readonly in: number;
  readonly features: number;
  readonly classes: number;
  readonly activation: Activation;
}

export interface Network {
  readonly name: string;
  /** Default input height and width in pixels. */
  readonly resolution: number;
  readonly width: number;
  readonly depth: number;
  readonly padding: Padding;
  readonly batchNormEpsilon: number;
  readonly stem: StemBlock;
  readonly blocks: readonly MBConvBlock[];
  readonly head: HeadBlock;
}
