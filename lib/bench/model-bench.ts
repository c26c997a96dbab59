// SPDX-License-Identifier: Apache-2.0
// Measures one network: latency, the share of the machine's peak, and on request each layer. The
// result says itself whether it may be believed; printing it is the caller's.

import type { Isa } from '../binding.js';
import { cpu } from '../cpu.js';
import { layerTimes, type LayerTime } from './layers.js';
import { measureBandwidth, measurePeak, peakProbe, type Bandwidth, type Peak } from './machine.js';
import { sample, type SamplingPlan } from './sampling.js';
import { latencyOf, median, ratioOf, relativeSpread, type Latency, type Ratio } from './statistics.js';
import { Subject, type SubjectOptions, type Weighted, type WeightsOrigin } from './subject.js';
import { judgePeak, judgeRatio, judgeSamples, judgeUsage, verdict, type Usage, type Verdict } from './trust.js';

export interface Machine {
  /** Marketing name of the processor. */
  readonly cpu: string;
  readonly cores: number;
  readonly platform: string;
  readonly node: string;
}

export interface ModelBench extends Verdict {
  readonly model: string;
  readonly height: number;
  readonly width: number;
  readonly isa: Isa;
  readonly threads: number;
  readonly weights: WeightsOrigin;
  readonly parameters: number;
  readonly macs: number;
  /** Milliseconds from a Float32Array of pixels to logits, one image. */
  readonly latency: Latency;
  readonly runs: number;
  readonly gflops: number;
  /** The best that was measured before, between and after the runs, of all threads. */
  readonly peak: Peak;
  /** Of the peak that was probed in the same tenth of a second, the median of all. */
  readonly peakFraction: number;
  /** The same with quartiles and interval, and whether it may be believed: on a shared machine it may where milliseconds may not. */
  readonly peakShare: Ratio & Verdict;
  /** Between the quartiles, as a share of the median. */
  readonly spread: number;
  readonly usage: Usage;
  readonly memory: { readonly weightBytes: number; readonly activationBytes: number };
  readonly machine: Machine;
  readonly layers?: readonly LayerTime[];
  readonly bandwidth?: readonly Bandwidth[];
}

export interface ModelBenchOptions extends SubjectOptions {
  /** How long to sample, in seconds. */
  readonly seconds: number;
  readonly layers: boolean;
  /** Also measure how fast each level of memory is read. */
  readonly bandwidth: boolean;
}

/** Enough for the quartiles even of a network that takes seconds. */
const FEWEST_RUNS = 20;

/** Told what is being done and the share of it that is over, 0 to 1. */
export type BenchProgress = (doing: string, share: number) => void;

/** Opens the network, measures it and closes it. Rejects with what opening a session rejects with. */
export async function benchModel(weighted: Pick<Weighted, 'weights' | 'origin'>, options: ModelBenchOptions, progress: BenchProgress = () => undefined): Promise<ModelBench> {
  const { threads, isa } = options;
  progress('Packing the weights', 0);
  const subject = await Subject.open(weighted, options);
  try {
    progress('Measuring the peak', 0);
    const before = measurePeak(isa, threads);
    const plan: SamplingPlan = { seconds: options.seconds, fewest: FEWEST_RUNS, limitSeconds: 8 * options.seconds };
    const samples = await sample(subject.run, plan, (share) => progress('Running', share), peakProbe(isa, threads));
    const after = measurePeak(isa, threads);
    const peak = { ...before, gflops: Math.max(before.gflops, after.gflops, ...samples.blocks.map(({ probed }) => probed)) };
    const layers = options.layers ? await benchLayers(subject, plan, peak.gflops, progress) : undefined;
    if (options.bandwidth) progress('Measuring the memory', 0);
    const bandwidth = options.bandwidth ? measureBandwidth(isa, threads) : undefined;
    const { name, parameters, macs, height, width } = subject.description;
    const info = subject.info;
    const speedOf = (milliseconds: readonly number[]): number => (2 * macs) / median(milliseconds) / 1e6;
    const gflops = speedOf(samples.milliseconds);
    const share = ratioOf(samples.blocks.map((block) => speedOf(block.milliseconds) / block.probed));
    const usage = usageOf(samples);
    return {
      model: name,
      height,
      width,
      isa: info.isa,
      threads,
      weights: weighted.origin,
      parameters,
      macs,
      latency: latencyOf(samples.milliseconds),
      runs: samples.milliseconds.length,
      gflops,
      peak,
      peakFraction: share.median,
      peakShare: { ...share, ...verdict([judgeRatio('the share of the peak', share, samples.blocks.length), ...judgeUsage(usage)]) },
      spread: relativeSpread(samples.milliseconds),
      usage,
      ...verdict([...judgeSamples(samples.milliseconds), ...judgeUsage(samples), judgePeak(before.gflops, after.gflops)]),
      memory: { weightBytes: info.weightBytes, activationBytes: info.activationBytes },
      machine: machine(),
      ...(layers === undefined ? {} : { layers }),
      ...(bandwidth === undefined ? {} : { bandwidth }),
    };
  } finally {
    await subject.close();
  }
}

function usageOf({ cpuShare, switchesPerSecond, waitingShare }: Usage): Usage {
  return { cpuShare, switchesPerSecond, ...(waitingShare === undefined ? {} : { waitingShare }) };
}

async function benchLayers(subject: Subject, plan: SamplingPlan, peak: number, progress: BenchProgress): Promise<readonly LayerTime[]> {
  const runs: ReturnType<Subject['profile']>[] = [];
  const { milliseconds } = await sample(() => void runs.push(subject.profile()), plan, (share) => progress('Timing the layers', share));
  // Without those that warmed up.
  return layerTimes(runs.slice(-milliseconds.length), subject.description, peak);
}

export function machine(): Machine {
  const { brand, cores } = cpu();
  return { cpu: brand, cores, platform: `${process.platform}-${process.arch}`, node: process.versions.node };
}
