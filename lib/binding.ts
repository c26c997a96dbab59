// SPDX-License-Identifier: Apache-2.0
// The only file that loads the addon, and the declaration of its whole surface. It checks no
// arguments: model.ts does, with the user's names; the addon's own checks keep the process alive.

import { resolve } from 'node:path';

import { EfficientNetError, type ErrorCode } from './errors.js';
import type { Activation, Network } from './network.js';
import type { Recipe } from './recipe.js';
import type { StoredWeights } from './fold.js';
import type { NetworkWeights } from './weights.js';

export type Isa = 'scalar' | 'avx2' | 'avx512' | 'neon';
/** How the pixels of a byte array lie, 8 bits per channel; `stride` bytes from one row to the next. */
export interface NativePixels {
  readonly width: number;
  readonly height: number;
  readonly channels: 'rgb' | 'rgba' | 'bgra' | 'gray';
  readonly stride: number;
}

export type Wanted = 'logits' | 'embedding' | 'features';

export interface NativeShape {
  readonly height: number;
  readonly width: number;
  readonly layout: 'nhwc' | 'nchw';
  readonly output: Wanted;
}

/** What the last layer of one stride puts out. */
export interface NativeMap {
  readonly stride: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

export interface NativeStep {
  /** A layer as describe() names it, or `blocks.N.excite` for the squeeze and the excite together. */
  readonly name: string;
  readonly milliseconds: number;
}

export interface NativeTimings {
  /** Milliseconds. */
  readonly prepare: number;
  readonly infer: number;
}

export interface NativeInfo {
  readonly isa: Isa;
  /** Names of the kernels that this network runs through, in order, once each. */
  readonly kernels: readonly string[];
  readonly threads: number;
  readonly classes: number;
  readonly features: number;
  readonly weightBytes: number;
  readonly activationBytes: number;
}

/**
 * A packed network with a thread and a queue of its own. Inputs are copied before a call returns and
 * outputs written when it has succeeded. Several images of a tensor, and calls of one image that wait,
 * run one on each thread where there are enough; calls settle in their order. Ids are the caller's, 1 to 2^31 - 1; cancel(id) rejects that
 * call with code ERR_CANCELLED.
 */
export interface NativeSession {
  run(input: Float32Array, output: Float32Array, shape: NativeShape, id: number): Promise<void>;
  runSync(input: Float32Array, output: Float32Array, shape: NativeShape): void;
  /** runSync, and how long each step of the last image took, in their order. */
  profile(input: Float32Array, output: Float32Array, shape: NativeShape): readonly NativeStep[];
  runPixels(
    data: Uint8Array,
    output: Float32Array,
    image: NativePixels,
    recipe: Recipe,
    wanted: Wanted,
    id: number,
    /** Another image of the same list follows soon: threads then take whole images, and wait for it. */
    more?: boolean,
  ): Promise<NativeTimings>;
  runPixelsSync(
    data: Uint8Array,
    output: Float32Array,
    image: NativePixels,
    recipe: Recipe,
    wanted: Wanted,
  ): NativeTimings;
  /**
   * What output 'features' holds of an image of that size, one after the other, height x width x channels
   * numbers each.
   */
  featureMaps(height: number, width: number): readonly NativeMap[];
  info(): NativeInfo;
  cancel(id: number): void;
  /** Rejects what is pending with ERR_CLOSED at once; resolves when the memory is free. Only once. */
  close(): Promise<void>;
}

export interface NativeSessionOptions {
  readonly threads: number;
  /** Empty: what EFFICIENTNET_SIMD_ISA names, else the best. */
  readonly isa: string;
  /** The input size to plan for. */
  readonly height: number;
  readonly width: number;
  /**
   * The weights lie in buffers that nobody else holds, so that they can be packed on the session's thread;
   * on the way their memory is given back, page by page. Others are packed before the call returns.
   */
  readonly owned?: boolean;
}

/** Either folded already, or as a checkpoint has them. */
export type NativeWeights = NetworkWeights<Float32Array | StoredWeights>;

export interface CpuReport {
  /** Marketing name, or empty where the system does not tell. */
  readonly brand: string;
  /** Cores that this process may use: affinity and cgroup quota count. */
  readonly cores: number;
  /** Data caches of the first core, in bytes. */
  readonly caches: { readonly l1: number; readonly l2: number; readonly l3: number };
  /** What a model loaded now would use; null if EFFICIENTNET_SIMD_ISA names one that cannot be used. */
  readonly chosen: Isa | null;
  /** The instruction sets that this build has kernels for, best first. */
  readonly isas: readonly {
    readonly name: Isa;
    /** Whether this processor and its operating system support it. */
    readonly present: boolean;
    /** Floats in a vector. */
    readonly lanes: number;
    /** Pixels and channels of a matrix tile, and channels of a vector-by-matrix panel. */
    readonly tiles: { readonly gemmRows: number; readonly gemmColumns: number; readonly gemvColumns: number };
  }[];
}

/** Which kernel to run on what; native/node/kernel_bench.h says which of the numbers each one needs. */
export interface KernelShape {
  readonly kernel:
    | 'gemm' | 'gemm_pool' | 'stem' | 'depthwise' | 'conv' | 'gemv' | 'mean' | 'gate_map' | 'gate_weights' | 'resample'
    | 'probe_fma' | 'probe_read';
  readonly m?: number;
  readonly n?: number;
  readonly k?: number;
  readonly channels?: number;
  /** Of the output. */
  readonly height?: number;
  readonly width?: number;
  readonly kernelSize?: number;
  readonly stride?: number;
  readonly activation?: Activation;
  readonly residual?: boolean;
  readonly threads?: number;
  readonly bytes?: number;
}

/** One kernel with buffers of its own, for benchmarks. */
export interface KernelBench {
  /** As in NativeInfo.kernels. */
  readonly name: string;
  /** Of one iteration: floating point operations (a multiply-add is two), and bytes of its operands. */
  readonly flops: number;
  readonly bytes: number;
  /** Blocks until the kernel has run that often, 1 to 2^30 times. */
  run(iterations: number): void;
}

export interface Addon {
  createSession(network: Network, weights: NativeWeights, options: NativeSessionOptions): Promise<NativeSession>;
  /** height * width * 3 floats, rows of RGB. */
  prepareImage(data: Uint8Array, image: NativePixels, recipe: Recipe): Float32Array;
  /** Frees the buffer's memory at once and leaves it without bytes, as a transfer would. */
  discard(buffer: ArrayBuffer): void;
  cpu(): CpuReport;
  /** `isa` as in NativeSessionOptions. */
  kernelBench(description: KernelShape & { readonly isa: string }): KernelBench;
}

let loaded: Addon | undefined;

/** The addon, loaded on first use. Throws ERR_NATIVE that lists what was tried and what to do. */
export function addon(): Addon {
  return (loaded ??= loadAddon());
}

interface Candidate {
  readonly name: string;
  readonly load: () => unknown;
}

function loadAddon(): Addon {
  const failures: string[] = [];
  for (const { name, load } of candidates()) {
    try {
      const found = load();
      if (isAddon(found)) return found;
      failures.push(`${name}: not an addon of this version`);
    } catch (error) {
      failures.push(`${name}: ${firstLine(error)}`);
    }
  }
  throw new EfficientNetError('ERR_NATIVE', loadMessage(failures));
}

// The paths are literals, relative to dist/lib, so that bundlers can follow them.
function candidates(): Candidate[] {
  const override = process.env['EFFICIENTNET_SIMD_BINARY'];
  if (override !== undefined && override !== '') {
    // Asked for by name: falling back to another binary would hide a mistake.
    return [{ name: `EFFICIENTNET_SIMD_BINARY=${override}`, load: () => require(resolve(override)) as unknown }];
  }
  const list: Candidate[] = [
    {
      name: 'build/Release/efficientnet_simd.node',
      load: () => require('../../build/Release/efficientnet_simd.node') as unknown,
    },
  ];
  const target = `${process.platform}-${process.arch}`;
  list.push({ name: `prebuilds/${target}/efficientnet_simd.node`, load: () => loadPrebuilt(target) });
  return list;
}

function loadPrebuilt(target: string): unknown {
  switch (target) {
    case 'linux-x64':
      return require('../../prebuilds/linux-x64/efficientnet_simd.node');
    case 'linux-arm64':
      return require('../../prebuilds/linux-arm64/efficientnet_simd.node');
    case 'darwin-x64':
      return require('../../prebuilds/darwin-x64/efficientnet_simd.node');
    case 'darwin-arm64':
      return require('../../prebuilds/darwin-arm64/efficientnet_simd.node');
    case 'win32-x64':
      return require('../../prebuilds/win32-x64/efficientnet_simd.node');
    case 'win32-arm64':
      return require('../../prebuilds/win32-arm64/efficientnet_simd.node');
    default:
      throw new EfficientNetError('ERR_NATIVE', 'nothing is prebuilt for this platform');
  }
}

function isAddon(value: unknown): value is Addon {
  const wanted: readonly (keyof Addon)[] = ['createSession', 'prepareImage', 'discard', 'cpu', 'kernelBench'];
  if (typeof value !== 'object' || value === null) return false;
  const properties = new Map<string, unknown>(Object.entries(value));
  return wanted.every((name) => typeof properties.get(name) === 'function');
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0] ?? text;
}

function loadMessage(failures: readonly string[]): string {
  const compiler: Partial<Record<NodeJS.Platform, string>> = {
    darwin: 'Xcode command line tools (xcode-select --install) and cmake',
    win32: 'Visual Studio Build Tools with the C++ workload, and cmake',
  };
  const tools = compiler[process.platform] ?? 'g++, cmake and make (Debian: apt-get install g++ cmake make)';
  return (
    `The native addon could not be loaded on ${process.platform}-${process.arch}, Node ${process.versions.node}. Tried:\n` +
    failures.map((line) => `  ${line}\n`).join('') +
    `To build it: install ${tools}, then run "npm run build" in the repository, or "npx efficientnet-simd-build" where ` +
    'the package is installed. To use a binary from elsewhere: set EFFICIENTNET_SIMD_BINARY to its path'
  );
}

const nativeCodes: readonly ErrorCode[] = [
  'ERR_INVALID_ARGUMENT',
  'ERR_UNSUPPORTED',
  'ERR_OUT_OF_MEMORY',
  'ERR_CLOSED',
  'ERR_NATIVE',
];

/** The code of an error that the addon made; undefined for anything else. */
export function nativeCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The addon's errors as EfficientNetError; anything else as it is. */
export function fromNative(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof EfficientNetError) return error;
  const code = nativeCodes.find((one) => one === nativeCode(error));
  return code === undefined ? error : new EfficientNetError(code, error.message);
}
