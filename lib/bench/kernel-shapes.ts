// SPDX-License-Identifier: Apache-2.0
// Which kernels a network runs and on what shapes, from its definition. Runs nothing.

import type { KernelShape } from '../binding.js';
import { describe, type FeatureShape } from '../describe.js';
import { standardRecipe } from '../recipe.js';
import { embeddingSize, type FusedBlock, type MBConvBlock, type Network } from '../network.js';

/** A kernel on a shape, and where it occurs. */
export interface KernelUse {
  readonly shape: KernelShape;
  /** `expand 96 <- 16, 112x112`. */
  readonly label: string;
  /** How many layers of each network have it. */
  readonly layers: Readonly<Record<string, number>>;
}

/** Every distinct kernel and shape of the networks at their own resolutions, in the order of execution. */
export function kernelUses(networks: readonly Network[]): readonly KernelUse[] {
  const uses = new Map<string, KernelUse>();
  for (const network of networks) {
    for (const { shape, label } of networkShapes(network)) {
      const key = JSON.stringify(shape);
      const known = uses.get(key);
      const layers = { ...known?.layers, [network.name]: (known?.layers[network.name] ?? 0) + 1 };
      uses.set(key, { shape, label: known?.label ?? label, layers });
    }
  }
  return [...uses.values()];
}

type Labelled = Omit<KernelUse, 'layers'>;

function networkShapes(network: Network): readonly Labelled[] {
  const layers = new Map(describe(network).layers.map((layer) => [layer.name, layer]));
  const outputOf = (name: string): FeatureShape => {
    const found = layers.get(name);
    if (found === undefined) throw new Error(`describe() knows no layer ${name} of ${network.name}`);
    return found.output;
  };
  const { stem, head } = network;
  const first = outputOf('stem');
  const [, rows, columns] = outputOf('head.conv');
  const stemUse: Labelled = {
    shape: { kernel: 'stem', height: first[1], width: first[2], n: stem.out, activation: stem.activation },
    label: `stem ${stem.out} <- ${stem.in}, ${sizeOf(first)}`,
  };
  const headUse: Labelled = {
    shape: { kernel: 'gemm_pool', m: rows * columns, n: head.features, k: head.in, activation: head.activation },
    label: `head ${head.features} <- ${head.in}, ${rows}x${columns}`,
  };
  const meanUse: Labelled = {
    shape: { kernel: 'mean', channels: head.features, height: 1, width: rows * columns },
    label: `head's mean ${head.features}, ${rows}x${columns}`,
  };
  let input = first;
  return [
    ...resizeShapes(network),
    stemUse,
    ...network.blocks.flatMap((block, i) => {
      const from = input;
      input = outputOf(`blocks.${i}.${block.kind === 'fused' && !block.hasProject ? 'conv' : 'project'}`);
      return block.kind === 'fused' ? fusedShapes(block, input) : mbconvShapes(block, from, input);
    }),
    headUse,
    meanUse,
    ...(head.hidden > 0 ? [dense('hidden', head.hidden, head.features, head.hiddenActivation)] : []),
    dense('classifier', head.classes, embeddingSize(head), 'none'),
  ];
}

/** A photo of usual proportions, small enough that its resize and not its decoding is seen. */
const PHOTO = { width: 451, height: 300 } as const;
/** The kernel works on bands of 16 rows of 3 bytes a pixel. */
const BAND_BYTES = 48;

/** Both passes over a photo: the columns of one band of rows, then the rows of the crop. */
function resizeShapes({ resolution }: Network): readonly Labelled[] {
  const side = Math.floor(resolution / standardRecipe(resolution).cropFraction);
  const pass = (name: string, from: number, to: number, bytes: number): readonly Labelled[] =>
    from === to ? [] : [{ shape: { kernel: 'resample', k: from, m: to, n: resolution, bytes }, label: `resize ${name} ${resolution} of ${to} <- ${from}` }];
  const columns = Math.round((PHOTO.width * side) / PHOTO.height);
  return [
    ...pass('columns', PHOTO.width, columns, BAND_BYTES),
    ...pass('rows', PHOTO.height, side, Math.ceil((3 * resolution) / BAND_BYTES) * BAND_BYTES),
  ];
}

function sizeOf([, height, width]: FeatureShape): string {
  return `${height}x${width}`;
}

function mbconvShapes(block: MBConvBlock, from: FeatureShape, to: FeatureShape): readonly Labelled[] {
  const { expanded, out, squeeze, activation, kernel, stride, residual } = block;
  const [, height, width] = to;
  const size = sizeOf(to);
  const expand: Labelled = {
    shape: { kernel: 'gemm', m: from[1] * from[2], n: expanded, k: block.in, activation },
    label: `expand ${expanded} <- ${block.in}, ${sizeOf(from)}`,
  };
  const filter: Labelled = {
    shape: { kernel: 'depthwise', kernelSize: kernel, stride, channels: expanded, height, width, activation },
    label: `depthwise ${kernel}x${kernel}/${stride} ${expanded}, ${size}`,
  };
  const mean: Labelled = { shape: { kernel: 'mean', channels: expanded, height, width }, label: `squeeze ${expanded}, ${size}` };
  // As the executor does: the gate multiplies whichever is smaller, map or weights.
  const gate: Labelled = height * width < out
    ? { shape: { kernel: 'gate_map', channels: expanded, height, width }, label: `gate the map ${expanded}, ${size}` }
    : { shape: { kernel: 'gate_weights', n: out, k: expanded }, label: `gate the weights ${out} <- ${expanded}` };
  const reduce = dense('reduce', squeeze, expanded, block.squeezeActivation);
  const excite = dense('excite', expanded, squeeze, block.gateActivation);
  return [
    ...(block.hasExpand ? [expand] : []),
    filter,
    ...(squeeze > 0 ? [mean, reduce, excite, gate] : []),
    project(out, expanded, to, residual),
  ];
}

function fusedShapes(block: FusedBlock, to: FeatureShape): readonly Labelled[] {
  const { expanded, out, activation, kernel, stride, hasProject, residual } = block;
  const convolution: Labelled = {
    shape: { kernel: 'conv', kernelSize: kernel, stride, height: to[1], width: to[2], n: expanded, k: block.in, activation },
    label: `convolution ${kernel}x${kernel}/${stride} ${expanded} <- ${block.in}, ${sizeOf(to)}`,
  };
  return [convolution, ...(hasProject ? [project(out, expanded, to, residual)] : [])];
}

function project(n: number, k: number, to: FeatureShape, residual: boolean): Labelled {
  return {
    shape: { kernel: 'gemm', m: to[1] * to[2], n, k, activation: 'none', residual },
    label: `project ${n} <- ${k}, ${sizeOf(to)}${residual ? ', residual' : ''}`,
  };
}

function dense(name: string, n: number, k: number, activation: NonNullable<KernelShape['activation']>): Labelled {
  return { shape: { kernel: 'gemv', n, k, activation }, label: `${name} ${n} <- ${k}` };
}
