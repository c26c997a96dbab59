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

export type CheckpointFormat = 'safetensors' | 'torch' | 'keras' | 'tfjs-graph' | 'tfjs-layers' | 'onnx' | 'tflite';

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
}

/** scale * x + shift of a pixel x of 0 to 255, for red, green and blue. */
export interface ChannelMap {
  readonly scale: readonly [number, number, number];
  readonly shift: readonly [number, number, number];
}

/** How the file's own layers or operations prepare the image, as far as it says. */
export interface CheckpointInput {
  /** In pixels. */
  readonly height?: number;
  readonly width?: number;
  /** What the stem sees. */
  readonly map?: ChannelMap;
  /** A second reading of the same file: that of Keras before its square-root quirk was made up for. */
  readonly legacyMap?: ChannelMap;
  /** A layer between image and stem that is not known, so that there is no map; '' where there is none at all. */
  readonly unknown?: string | undefined;
  /** The network was built for images of any size, and pads a map of odd size as if its size were even. */
  readonly padsAsEven?: true;
}

export interface Checkpoint {
  readonly format: CheckpointFormat;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Strings that the file carries about itself (safetensors' __metadata__); empty for others. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Of a file that holds operations and not just tensors, whose tensors then have this package's names. */
  readonly network?: CheckpointNetwork;
  readonly input?: CheckpointInput;
}
