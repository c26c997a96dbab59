// SPDX-License-Identifier: Apache-2.0
// What every checkpoint reader returns: named tensors as views on the file's bytes, without copies,
// and what the file says about itself. No reader's logic is here.

export type ElementType = 'f32' | 'f16' | 'bf16' | 'f64' | 'i64' | 'i32' | 'i16' | 'i8' | 'u8' | 'bool';

export interface Tensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** Little-endian, row-major, exactly product(shape) elements; a view, not necessarily aligned. */
  readonly bytes: Uint8Array;
}

export type CheckpointFormat = 'safetensors' | 'torch' | 'tfjs-graph' | 'onnx' | 'tflite';

type NetworkActivation = 'none' | 'relu' | 'relu6' | 'swish' | 'sigmoid' | 'hard-swish' | 'hard-sigmoid';

interface StageBlock {
  readonly stage: number;
  readonly index: number;
  readonly in: number;
  readonly expanded: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  readonly residual: boolean;
  readonly activation: NetworkActivation;
}

/** The network that a file of operations describes by itself; the blocks are those of network.ts. */
export interface CheckpointNetwork {
  readonly stem: {
    readonly kind: 'stem';
    readonly in: number;
    readonly out: number;
    readonly kernel: number;
    readonly stride: number;
    readonly activation: NetworkActivation;
  };
  readonly blocks: readonly (
    | (StageBlock & {
        readonly kind: 'mbconv';
        readonly squeeze: number;
        readonly hasExpand: boolean;
        readonly squeezeActivation: NetworkActivation;
        readonly gateActivation: NetworkActivation;
      })
    | (StageBlock & { readonly kind: 'fused'; readonly hasProject: boolean })
  )[];
  readonly head: {
    readonly kind: 'head';
    readonly in: number;
    readonly features: number;
    readonly hidden: number;
    readonly classes: number;
    readonly activation: NetworkActivation;
    readonly hiddenActivation: NetworkActivation;
  };
  readonly padding: 'same' | 'symmetric';
  /** False where the file leaves open how other sizes of image are padded. */
  readonly paddingCertain: boolean;
  /** Of the image, where the file says it. */
  readonly height: number | undefined;
  readonly width: number | undefined;
  /** The stem sees scale * x + shift of the file's input, for red, green and blue. */
  readonly inputScale: readonly [number, number, number];
  readonly inputShift: readonly [number, number, number];
}

export interface Checkpoint {
  readonly format: CheckpointFormat;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Strings that the file carries about itself (safetensors' __metadata__); empty for others. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Of a file that holds operations and not just tensors, whose tensors then have this package's names. */
  readonly network?: CheckpointNetwork;
}
