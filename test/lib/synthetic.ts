// SPDX-License-Identifier: Apache-2.0
// Checkpoints of B0 with made-up values, under the names and shapes that torchvision and timm
// themselves gave (test/golden/b0-tensors.json); lukemelas' names are spelled out here. Shares no
// naming code with the library under test.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Checkpoint, Tensor } from '../../lib/formats/tensor.js';
import type { FoldedWeights, MBConvWeights } from '../../lib/weights.js';

export type TestedNaming = 'torchvision' | 'timm' | 'lukemelas';
type Shapes = Readonly<Record<string, readonly number[]>>;

// Compiled tests lie in dist/test/lib, the golden files in test/golden.
const golden = JSON.parse(
  readFileSync(join(__dirname, '..', '..', '..', 'test', 'golden', 'b0-tensors.json'), 'utf8'),
) as { readonly torchvision: Shapes; readonly timm: Shapes };

/** Layers of B0's stages. */
const repeats = [1, 2, 2, 3, 3, 4, 1];

/** Names in the order in which all three libraries list them: the order of execution. */
export function tensorNames(naming: TestedNaming): readonly string[] {
  return naming === 'lukemelas' ? lukemelasNames() : Object.keys(golden[naming]);
}

function lukemelasNames(): string[] {
  const names: string[] = [];
  const norm = (prefix: string): void => {
    names.push(...['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'].map((part) => `${prefix}.${part}`));
  };
  const biased = (prefix: string): void => void names.push(`${prefix}.weight`, `${prefix}.bias`);
  names.push('_conv_stem.weight');
  norm('_bn0');
  repeats.flatMap((count, stage) => Array<number>(count).fill(stage)).forEach((stage, i) => {
    const prefix = `_blocks.${i}`;
    if (stage > 0) {
      names.push(`${prefix}._expand_conv.weight`);
      norm(`${prefix}._bn0`);
    }
    names.push(`${prefix}._depthwise_conv.weight`);
    norm(`${prefix}._bn1`);
    biased(`${prefix}._se_reduce`);
    biased(`${prefix}._se_expand`);
    names.push(`${prefix}._project_conv.weight`);
    norm(`${prefix}._bn2`);
  });
  names.push('_conv_head.weight');
  norm('_bn1');
  biased('_fc');
  return names;
}

/** A small fast generator (mulberry32); the same seed gives the same values everywhere. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The same values, tensor by tensor, whatever the naming. */
export function syntheticB0(naming: TestedNaming, classes = 1000, seed = 1): Map<string, Tensor> {
  const next = random(seed);
  const names = tensorNames(naming);
  const shapes = Object.values(golden.torchvision);
  assert.equal(names.length, shapes.length);
  return new Map(
    names.map((name, i) => {
      const full = shapes[i] ?? assert.fail();
      const shape = full[0] === 1000 ? [classes, ...full.slice(1)] : full;
      if (name.endsWith('num_batches_tracked')) return [name, { name, type: 'i64', shape, bytes: new Uint8Array(8) }];
      const low = name.endsWith('running_var') ? 0.01 : -1;
      return [name, float32(name, shape, () => low + next() * (1 - low))];
    }),
  );
}

export function float32(name: string, shape: readonly number[], value: (index: number) => number): Tensor {
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => value(i));
  return { name, type: 'f32', shape, bytes: new Uint8Array(values.buffer) };
}

export function checkpoint(
  tensors: ReadonlyMap<string, Tensor>,
  format: Checkpoint['format'] = 'torch',
  metadata: ReadonlyMap<string, string> = new Map(),
): Checkpoint {
  return { format, tensors, metadata };
}

/** A copy with some tensors replaced or, where undefined, removed. */
export function altered(tensors: ReadonlyMap<string, Tensor>, changes: Readonly<Record<string, Tensor | undefined>>): Checkpoint {
  const result = new Map(tensors);
  for (const [name, tensor] of Object.entries(changes)) {
    if (tensor === undefined) assert.ok(result.delete(name), name);
    else result.set(name, tensor);
  }
  return checkpoint(result);
}

export function values(tensor: Tensor | undefined): Float32Array {
  assert.ok(tensor !== undefined);
  return new Float32Array(new Uint8Array(tensor.bytes).buffer);
}

/** The weights of a block that is an MBConv block. */
export function mbconvOf({ blocks }: FoldedWeights, index: number): MBConvWeights {
  const block = blocks[index];
  assert.ok(block !== undefined && 'depthwiseWeights' in block, `blocks[${index}]`);
  return block;
}
