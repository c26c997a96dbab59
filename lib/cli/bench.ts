// SPDX-License-Identifier: Apache-2.0
// `efficientnet-simd bench`: how fast a network, its layers or single kernels are here, and whether
// the figures may be believed. Reads the options; lib/bench measures.

import { promises as fs } from 'node:fs';

import type { BenchProgress } from '../bench/model-bench.js';
import type { Verdict } from '../bench/trust.js';
import { systemCode, writeAtomic } from '../cache.js';
import { EfficientNetError } from '../errors.js';
import { buildNetwork } from '../network.js';
import { Activity } from './activity.js';
import { showKernelsBench, showModelBench, showPeersBench } from './bench-text.js';
import { defaultModel, hint, modelOptions, UsageError, type Command, type Values } from './command.js';
import { formulaOptions, readScaled } from './formula-options.js';
import { outputTarget } from '../output-file.js';
import { LARGEST_SIDE } from './size-options.js';
import { printable, type Terminal } from './terminal.js';

/** The exit status of a measurement that is not to be trusted; 1 is a failure, 2 wrong usage. */
export const UNTRUSTWORTHY = 3;

const MOST_THREADS = 1024;
const MOST_SECONDS = 3600;
const DEFAULT_SECONDS = 3;
/** For each kernel, of which there are more than a hundred. */
const KERNEL_SECONDS = 0.3;
/** Of each contestant's turn in a round: turns that follow each other at once share a clock and a neighbour. */
const TURN_SECONDS = 0.1;
const DEFAULT_ROUNDS = 45;
/** Fewer rounds of a network that takes seconds, unless --rounds says how many. */
const RACE_SECONDS = 90;
const MOST_ROUNDS = 1000;
const MOST_IMAGES = 256;
const KERNEL_NETWORKS = ['b0', 'b4'];
const ISAS = ['scalar', 'avx2', 'avx512', 'neon'] as const;

export const bench: Command = {
  name: 'bench',
  operands: '',
  summary:
    'Measure a network: latency, GFLOP/s and the share of the multiply-add peak that this processor is measured to have.\n' +
    `Exits with ${UNTRUSTWORTHY} and says why where the figures are not to be trusted, as on a busy machine.`,
  options: {
    model: { value: 'NAME', help: 'architecture (default b0)' },
    phi: { value: 'X', help: 'the model scaled by so many steps of compound scaling, with made-up weights' },
    ...formulaOptions,
    weights: { value: 'FILE', help: 'checkpoint to load; without it the cached one of the catalogue, else made-up weights' },
    random: { help: 'made-up weights in any case: they leave the time as it is' },
    size: { value: 'N', help: 'height and width in pixels (default: the model\'s)' },
    threads: { value: 'N', help: 'threads to use (default 1)' },
    isa: modelOptions.isa,
    seconds: { value: 'N', help: `how long to sample (default ${DEFAULT_SECONDS}; each kernel ${KERNEL_SECONDS}, each turn of a race ${TURN_SECONDS})` },
    layers: { help: 'time each step of the network too' },
    kernels: { help: 'measure each kernel on the shapes of b0 and b4, or of --model' },
    peers: { help: 'race other runtimes on the same weights, each in a process of its own, in turns' },
    photo: { value: 'IMAGE', help: 'with --peers: from an image file to labels' },
    batch: { value: 'N', help: 'with --peers: N images at once on --threads, against one by one on one thread' },
    only: { value: 'NAMES', help: 'with --peers: race these alone, separated by commas' },
    rounds: { value: 'N', help: `with --peers: how often everybody has a turn (default ${DEFAULT_ROUNDS}, or what ${RACE_SECONDS} seconds allow)` },
    onnx: { value: 'FILE', help: 'with --peers: another exporter\'s graph of the same weights' },
    python: { value: 'FILE', help: 'with --peers: the Python that OpenVINO and LiteRT are installed in (default python3)' },
    html: { value: 'FILE', help: 'write a report with a roofline picture; implies --layers' },
  },
  examples: [
    'bench',
    'bench --model b4 --threads 2 --layers',
    'bench --phi 0.5 --json',
    'bench --isa avx2 --json',
    'bench --model b0 --html report.html',
    'bench --kernels --isa avx2',
    'bench --peers --threads 2',
    'bench --peers --photo cat.jpg',
    'bench --peers --batch 16 --threads 2',
  ],
  run: (values, terminal) => {
    const mode = MODES.find((each) => values.has(each)) ?? 'model';
    refuseStrangers(mode, values);
    return runners[mode](values, terminal);
  },
};

/** What is measured; without one of these switches a network. */
const MODES = ['kernels', 'peers'] as const;
type Mode = (typeof MODES)[number] | 'model';

const runners: Readonly<Record<Mode, (values: Values, terminal: Terminal) => Promise<number>>> = {
  model: runModel,
  kernels: runKernels,
  peers: runPeers,
};

/** Options that mean something beside each switch. */
const companions: Readonly<Record<Mode, readonly string[]>> = {
  model: ['model', 'phi', ...Object.keys(formulaOptions), 'weights', 'random', 'size', 'threads', 'isa', 'seconds', 'layers', 'html'],
  kernels: ['model', 'isa', 'seconds', 'html'],
  peers: ['model', 'weights', 'random', 'size', 'threads', 'isa', 'seconds', 'photo', 'batch', 'only', 'rounds', 'onnx', 'python', 'html'],
};

function refuseStrangers(mode: Mode, values: Values): void {
  const stranger = Object.keys(bench.options).find((name) => name !== mode && values.has(name) && !companions[mode].includes(name));
  if (stranger !== undefined && mode === 'model') throw new UsageError(`--${stranger} means something only beside --peers`);
  if (stranger !== undefined) throw new UsageError(`--${stranger} means nothing beside --${mode}: leave one of them out`);
}

/** Measures with progress where somebody watches, writes the report, and shows the result. */
async function measure<Result extends Verdict>(
  values: Values,
  terminal: Terminal,
  work: (progress: BenchProgress) => Promise<Result>,
  report: (result: Result, command: string) => Promise<string>,
  show: (result: Result, terminal: Terminal) => void,
): Promise<number> {
  const html = values.text('html');
  // Before minutes are spent on what could not be written.
  const target = html === undefined ? undefined : await outputTarget(html);
  const activity = new Activity(terminal.live);
  let result: Result;
  try {
    result = await work(activity.update);
  } finally {
    activity.end();
  }
  if (target !== undefined) await writeAtomic(target, Buffer.from(await report(result, commandLine(values))));
  if (values.has('json')) {
    terminal.json(result);
  } else {
    show(result, terminal);
    if (target !== undefined) terminal.out(`\nreport: ${printable(target)}`);
  }
  return result.trustworthy ? 0 : UNTRUSTWORTHY;
}

// The measuring parts load the addon, and are loaded once the options are known to be right.

async function runModel(values: Values, terminal: Terminal): Promise<number> {
  const name = modelName(values);
  const weights = givenWeights(values);
  const scaled = readScaled(values, name);
  if (scaled !== undefined && weights !== undefined) throw new UsageError('--phi has no checkpoint: give one of --phi and --weights');
  for (const warning of scaled?.warnings ?? []) terminal.error(`warning: ${warning}`);
  const side = values.count('size', LARGEST_SIDE) ?? (scaled ?? buildNetwork(name)).resolution;
  const detailed = values.has('layers') || values.has('html');
  const options = {
    threads: values.count('threads', MOST_THREADS) ?? 1,
    isa: values.choice('isa', ISAS) ?? '',
    height: side,
    width: side,
    seconds: secondsOf(values) ?? DEFAULT_SECONDS,
    layers: detailed,
    bandwidth: detailed,
  } as const;
  return measure(values, terminal, async (progress) => {
    const [{ benchModel }, { madeUp, weightsFor }] = await Promise.all([import('../bench/model-bench.js'), import('../bench/subject.js')]);
    const weighted = scaled === undefined ? await weightsFor(name, { path: weights, random: values.has('random') }) : madeUp(scaled.network);
    const result = await benchModel(weighted, options, progress);
    return scaled === undefined ? result : { phi: scaled.phi, network: { width: scaled.width, depth: scaled.depth, resolution: side }, ...result };
  }, async (result, command) => (await import('../bench/report.js')).modelReport(result, command), showModelBench);
}

function runKernels(values: Values, terminal: Terminal): Promise<number> {
  const name = values.text('model');
  const networks = (name === undefined ? KERNEL_NETWORKS : [name]).map((each) => buildNetwork(each));
  const options = { isa: values.choice('isa', ISAS) ?? '', seconds: secondsOf(values) ?? KERNEL_SECONDS } as const;
  return measure(values, terminal, async (progress) => {
    const [{ benchKernels }, { kernelUses }] = await Promise.all([import('../bench/kernels.js'), import('../bench/kernel-shapes.js')]);
    return benchKernels(kernelUses(networks), options, progress);
  }, async (result, command) => (await import('../bench/report.js')).kernelsReport(result, command), showKernelsBench);
}

async function runPeers(values: Values, terminal: Terminal): Promise<number> {
  if (values.has('photo') && values.has('batch')) throw new UsageError('A race is on a photo or on a batch: give one of --photo and --batch');
  if (values.has('photo') && values.has('size')) throw new UsageError('The recipe of the weights decides how a photo is resized: leave --size out');
  const model = modelName(values);
  buildNetwork(model);
  const options = {
    model,
    weights: givenWeights(values),
    random: values.has('random'),
    size: values.count('size', LARGEST_SIDE),
    threads: values.count('threads', MOST_THREADS) ?? 1,
    isa: values.choice('isa', ISAS) ?? '',
    rounds: values.count('rounds', MOST_ROUNDS) ?? DEFAULT_ROUNDS,
    limitSeconds: values.has('rounds') ? undefined : RACE_SECONDS,
    turn: secondsOf(values) ?? TURN_SECONDS,
    python: values.text('python') ?? 'python3',
    photo: await givenFile(values, 'photo'),
    onnx: await givenFile(values, 'onnx'),
    batch: values.count('batch', MOST_IMAGES),
    only: values.text('only')?.split(','),
  } as const;
  const { benchPeers, peersOf } = await import('../bench/peers/index.js');
  const known = peersOf(values.has('photo') ? 'photo' : values.has('batch') ? 'batch' : 'inference');
  const stranger = options.only?.find((name) => !known.includes(name));
  if (stranger !== undefined) throw new UsageError(`--only expects some of ${known.join(', ')}, found ${JSON.stringify(stranger)}${hint(stranger, known)}`);
  return measure(values, terminal, (progress) => benchPeers(options, progress),
    async (result, command) => (await import('../bench/peers/report.js')).peersReport(result, command), showPeersBench);
}

function secondsOf(values: Values): number | undefined {
  const seconds = values.number('seconds');
  if (seconds === undefined || (seconds > 0 && seconds <= MOST_SECONDS)) return seconds;
  throw new UsageError(`--seconds expects a number above 0, up to ${MOST_SECONDS}, found ${JSON.stringify(values.text('seconds'))}`);
}

function modelName(values: Values): string {
  return values.text('model') ?? defaultModel;
}

function givenWeights(values: Values): string | undefined {
  const weights = values.text('weights');
  if (weights !== undefined && values.has('random')) throw new UsageError('--random means no checkpoint: give one of --random and --weights');
  return weights;
}

/** A path whose file is there; what it holds is for others to say. */
async function givenFile(values: Values, option: string): Promise<string | undefined> {
  const path = values.text(option);
  if (path === undefined) return undefined;
  const found = await fs.stat(path).catch((cause: unknown) => {
    throw new EfficientNetError('ERR_FILE', `Cannot read ${path} (${systemCode(cause) || String(cause)}), given with --${option}`, { cause });
  });
  if (!found.isFile()) throw new EfficientNetError('ERR_FILE', `Expected a file for --${option}, but ${path} is none`);
  return path;
}

/** The command that would measure the same again. */
function commandLine(values: Values): string {
  const given = Object.entries(bench.options).filter(([name]) => name !== 'html' && values.has(name));
  return ['efficientnet-simd bench', ...given.map(([name]) => ['--' + name, values.text(name)].filter(Boolean).join(' '))].join(' ');
}
