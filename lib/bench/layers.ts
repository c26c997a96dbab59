// SPDX-License-Identifier: Apache-2.0
// What the steps of a run cost and how near to the machine's limits each of them comes. Joins the
// executor's times with describe's shapes; measures nothing.

import type { NativeStep } from '../binding.js';
import type { FeatureShape, LayerDescription, NetworkDescription } from '../describe.js';
import { median, quantile } from './statistics.js';

/** `fused`: an expansion and its depthwise convolution, band of rows by band of rows. */
export type LayerKind = 'stem' | 'pointwise' | 'depthwise' | 'fused' | 'excite' | 'convolution' | 'head';

/** One step of a run. */
export interface LayerTime {
  /** A layer as describe() names it; `blocks.3.excite` is squeeze and excite; several that run as one are joined by `+`. */
  readonly name: string;
  readonly kind: LayerKind;
  readonly input: FeatureShape;
  readonly output: FeatureShape;
  readonly milliseconds: { readonly min: number; readonly median: number };
  /** Of the sum of all steps' medians. */
  readonly share: number;
  readonly macs: number;
  readonly gflops: number;
  /** Of the measured peak of all threads. */
  readonly peakFraction: number;
  /** Floating point operations for each byte of input, output and weights, each counted once. */
  readonly intensity: number;
}

/** What a step has to do at least. */
export interface StepCost {
  readonly kind: LayerKind;
  readonly macs: number;
  readonly bytes: number;
  readonly input: FeatureShape;
  readonly output: FeatureShape;
}

const FLOAT = 4;

/** The step's cost, or undefined where the name is of no layer. */
export function stepCost(step: string, { layers }: NetworkDescription): StepCost | undefined {
  const end = step.lastIndexOf('.') + 1;
  const [prefix, parts] = [step.slice(0, end), step.slice(end).split('+')];
  const named = new Map(layers.map((layer) => [layer.name, layer]));
  const found = parts
    .flatMap((part) => (part === 'excite' ? ['reduce', 'excite'] : [part]))
    .map((part) => named.get(prefix + part))
    .filter((layer) => layer !== undefined);
  const first = found[0];
  const last = found.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const parameters = found.reduce((sum, layer) => sum + layer.parameters, 0);
  return {
    kind: kindOf(step, found),
    macs: found.reduce((sum, layer) => sum + layer.macs, 0),
    bytes: FLOAT * (elements(first.input) + elements(last.output) + parameters),
    input: first.input,
    output: last.output,
  };
}

function elements([channels, height, width]: FeatureShape): number {
  return channels * height * width;
}

function kindOf(step: string, layers: readonly LayerDescription[]): LayerKind {
  if (step === 'stem') return 'stem';
  if (step.startsWith('head.')) return 'head';
  if (step.endsWith('.excite')) return 'excite';
  if (step.includes('+')) return 'fused';
  const heaviest = [...layers].sort((a, b) => b.macs - a.macs)[0]?.name ?? '';
  if (heaviest.endsWith('.depthwise')) return 'depthwise';
  return /\.(expand|project)$/.test(heaviest) ? 'pointwise' : 'convolution';
}

/** Joins the steps of many runs; `peak` in GFLOP/s. */
export function layerTimes(runs: readonly (readonly NativeStep[])[], description: NetworkDescription, peak: number): readonly LayerTime[] {
  const names = runs[0]?.map(({ name }) => name) ?? [];
  const times = names.map((_, i) => runs.map((steps) => steps[i]?.milliseconds ?? NaN));
  const total = times.reduce((sum, samples) => sum + median(samples), 0);
  return names.map((name, i) => {
    const samples = times[i] ?? [];
    const middle = median(samples);
    const cost = stepCost(name, description);
    const flops = 2 * (cost?.macs ?? 0);
    const gflops = flops / middle / 1e6;
    return {
      name,
      kind: cost?.kind ?? 'convolution',
      input: cost?.input ?? [0, 0, 0],
      output: cost?.output ?? [0, 0, 0],
      milliseconds: { min: quantile(samples, 0), median: middle },
      share: middle / total,
      macs: cost?.macs ?? 0,
      gflops,
      peakFraction: gflops / peak,
      intensity: cost === undefined ? 0 : flops / cost.bytes,
    };
  });
}
