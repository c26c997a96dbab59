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

export type CheckpointFormat = 'safetensors' | 'torch' | 'tfjs-graph';

export interface Checkpoint {
  readonly format: CheckpointFormat;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Strings that the file carries about itself (safetensors' __metadata__); empty for others. */
  readonly metadata: ReadonlyMap<string, string>;
}
