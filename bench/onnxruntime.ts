// SPDX-License-Identifier: Apache-2.0
// Races this package against onnxruntime-node on one network with the same weights, in one process,
// taking turns, and prints medians and their ratio. Checks first that both compute the same logits.
// Not a test: nothing fails when it is slow. Meant for one thread: with more, onnxruntime's idle workers
// spin on the cores that the other's turn needs, so each has to be timed in a process of its own.
//
//   npm install --no-save --ignore-scripts onnxruntime-node
//   python3 bench/export_onnx.py b0 build/bench
//   node dist/bench/onnxruntime.js --network b0 --folder build/bench [--threads 1] [--size 224] [--rounds 200] [--isa avx2] [--json]

import path from 'node:path';
import { parseArgs } from 'node:util';
import { load, type Isa } from '../lib/index.js';

interface OrtTensor {
  readonly data: Float32Array;
}
interface OrtSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Readonly<Record<string, OrtTensor>>): Promise<Readonly<Record<string, OrtTensor>>>;
}
interface Ort {
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: readonly number[]) => OrtTensor;
  readonly InferenceSession: { create(file: string, options: object): Promise<OrtSession> };
}

interface Timings {
  readonly min: number;
  readonly median: number;
  readonly p95: number;
}

function summary(milliseconds: readonly number[]): Timings {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const at = (fraction: number): number => sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? NaN;
  return { min: at(0), median: at(0.5), p95: at(0.95) };
}

async function timed(work: () => unknown): Promise<number> {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start) / 1e6;
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  let largest = 0;
  let scale = 0;
  b.forEach((value, i) => {
    largest = Math.max(largest, Math.abs(value - (a[i] ?? NaN)));
    scale = Math.max(scale, Math.abs(value));
  });
  return largest / scale;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      network: { type: 'string', default: 'b0' },
      folder: { type: 'string', default: 'build/bench' },
      threads: { type: 'string', default: '1' },
      size: { type: 'string', default: '224' },
      rounds: { type: 'string', default: '200' },
      isa: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const [threads, size, rounds] = [Number(values.threads), Number(values.size), Number(values.rounds)];
  if (threads > 1) {
    console.error("With several threads the turns disturb each other (onnxruntime's idle workers spin): do not trust the ratio.");
  }
  const file = path.resolve(values.folder, values.network);
  const packageName = 'onnxruntime-node'; // not a dependency: resolved at run time only
  const ort = (await import(packageName)) as Ort;

  const model = await load({ architecture: values.network, weights: `${file}.pth`, threads, ...(values.isa ? { isa: values.isa as Isa } : {}) });
  const session = await ort.InferenceSession.create(`${file}.onnx`, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  });
  const pixels = Float32Array.from({ length: 3 * size * size }, (_, i) => Math.sin(i * 0.001));
  const tensor = new ort.Tensor('float32', pixels, [1, 3, size, size]);
  const feeds = { [session.inputNames[0] ?? '']: tensor };
  const ours = (): Float32Array => model.runSync(pixels, { layout: 'nchw', height: size, width: size });

  const theirs = (await session.run(feeds))[session.outputNames[0] ?? '']?.data ?? new Float32Array(0);
  const difference = largestDifference(ours(), theirs);
  if (!(difference < 1e-4)) throw new Error(`The logits differ by ${difference} of the largest; the race would mean nothing`);

  const here: number[] = [];
  const there: number[] = [];
  for (let i = -20; i < rounds; ++i) {
    const a = await timed(ours);
    const b = await timed(() => session.run(feeds));
    if (i < 0) continue; // warming up
    here.push(a);
    there.push(b);
  }
  const [us, them] = [summary(here), summary(there)];
  const result = {
    network: values.network,
    size,
    threads,
    isa: model.info.isa,
    rounds,
    logitDifference: difference,
    efficientnetSimd: us,
    onnxruntimeNode: them,
    ratio: us.median / them.median,
  };
  await model.close();
  if (values.json) {
    console.log(JSON.stringify(result));
    return;
  }
  const row = ({ min, median, p95 }: Timings): string => [min, median, p95].map((x) => x.toFixed(2).padStart(8)).join('');
  console.log(`${values.network} ${size}x${size}, ${threads} thread${threads === 1 ? '' : 's'}, ${model.info.isa}, ${rounds} rounds; milliseconds`);
  console.log(`${''.padEnd(18)}     min  median     p95`);
  console.log(`efficientnet-simd ${row(us)}\nonnxruntime-node  ${row(them)}`);
  console.log(`ratio of medians   ${result.ratio.toFixed(3)}   (logits agree to ${difference.toExponential(1)} of the largest)`);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
