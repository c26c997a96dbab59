// SPDX-License-Identifier: Apache-2.0
// `efficientnet-simd bench`: how fast a network, its layers or single kernels are here, and whether
// the figures may be believed. Reads the options; lib/bench measures.

import type { KernelsBench } from '../bench/kernels.js';
import type { ModelBench } from '../bench/model-bench.js';
import { writeAtomic } from '../cache.js';
import { buildNetwork } from '../network.js';
import { Activity } from './activity.js';
import { showKernelsBench, showModelBench } from './bench-text.js';
import { defaultModel, modelOptions, UsageError, type Command, type Values } from './command.js';
import { formulaOptions, readScaled } from './formula-options.js';
import { outputTarget } from './output-file.js';
import { printable, type Terminal } from './terminal.js';

/** The exit status of a measurement that is not to be trusted; 1 is a failure, 2 wrong usage. */
export const UNTRUSTWORTHY = 3;

const MOST_THREADS = 1024;
const MOST_SECONDS = 3600;
const LARGEST_SIDE = 4096;
const DEFAULT_SECONDS = 3;
/** For each kernel, of which there are more than a hundred. */
const KERNEL_SECONDS = 0.3;
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
    isa: modelOptions['isa'] ?? { help: '' },
    seconds: { value: 'N', help: `how long to sample (default ${DEFAULT_SECONDS}; each kernel ${KERNEL_SECONDS})` },
    layers: { help: 'time each step of the network too' },
    kernels: { help: 'measure each kernel on the shapes of b0 and b4, or of --model' },
    html: { value: 'FILE', help: 'write a report with a roofline picture; implies --layers' },
  },
  examples: [
    'bench',
    'bench --model b4 --threads 2 --layers',
    'bench --phi 0.5 --json',
    'bench --isa avx2 --json',
    'bench --model b0 --html report.html',
    'bench --kernels --isa avx2',
  ],
  run: (values, terminal) => {
    const mode = MODES.find((each) => values.has(each)) ?? 'model';
    refuseStrangers(mode, values);
    return runners[mode](values, terminal);
  },
};

/** What is measured; without one of these switches a network. */
const MODES = ['kernels'] as const;
type Mode = (typeof MODES)[number] | 'model';

const runners: Readonly<Record<Mode, (values: Values, terminal: Terminal) => Promise<number>>> = { model: runModel, kernels: runKernels };

/** Options that mean something beside each switch. */
const companions: Readonly<Record<Mode, readonly string[]>> = {
  model: ['model', 'phi', ...Object.keys(formulaOptions), 'weights', 'random', 'size', 'threads', 'isa', 'seconds', 'layers', 'html'],
  kernels: ['model', 'isa', 'seconds', 'html'],
};

function refuseStrangers(mode: Mode, values: Values): void {
  const stranger = Object.keys(bench.options).find((name) => name !== mode && values.has(name) && !companions[mode].includes(name));
  if (stranger !== undefined) throw new UsageError(`--${stranger} means nothing beside --${mode}: leave one of them out`);
}

async function runModel(values: Values, terminal: Terminal): Promise<number> {
  const weights = values.text('weights');
  if (weights !== undefined && values.has('random')) throw new UsageError('--random means no checkpoint: give one of --random and --weights');
  const name = values.text('model') ?? defaultModel;
  const scaled = readScaled(values, name);
  if (scaled !== undefined && weights !== undefined) throw new UsageError('--phi has no checkpoint: give one of --phi and --weights');
  for (const warning of scaled?.warnings ?? []) terminal.error(`warning: ${warning}`);
  const { resolution } = scaled ?? buildNetwork(name);
  const side = values.count('size', LARGEST_SIDE) ?? resolution;
  const html = values.text('html');
  const options = {
    threads: values.count('threads', MOST_THREADS) ?? 1,
    isa: values.choice('isa', ISAS) ?? '',
    height: side,
    width: side,
    seconds: values.count('seconds', MOST_SECONDS) ?? DEFAULT_SECONDS,
    layers: values.has('layers') || html !== undefined,
    bandwidth: values.has('layers') || html !== undefined,
  } as const;
  // Before minutes are spent on what could not be written.
  const target = html === undefined ? undefined : await outputTarget(html);
  const activity = new Activity(terminal.live);
  let result: ModelBench;
  try {
    // Not before the options are known to be right: these load the addon.
    const [{ benchModel }, { madeUp, weightsFor }] = await Promise.all([import('../bench/model-bench.js'), import('../bench/subject.js')]);
    const weighted = scaled === undefined ? await weightsFor(name, { path: weights, random: values.has('random') }) : madeUp(scaled.network);
    result = await benchModel(weighted, options, activity.update);
  } finally {
    activity.end();
  }
  if (target !== undefined) {
    const { modelReport } = await import('../bench/report.js');
    await writeAtomic(target, Buffer.from(modelReport(result, commandLine(values))));
  }
  if (values.has('json')) terminal.json(scaled === undefined ? result : { phi: scaled.phi, network: { width: scaled.width, depth: scaled.depth, resolution: side }, ...result });
  else showModelBench(result, terminal);
  if (target !== undefined && !values.has('json')) terminal.out(`\nreport: ${printable(target)}`);
  return result.trustworthy ? 0 : UNTRUSTWORTHY;
}

async function runKernels(values: Values, terminal: Terminal): Promise<number> {
  const name = values.text('model');
  const networks = (name === undefined ? KERNEL_NETWORKS : [name]).map((each) => buildNetwork(each));
  const html = values.text('html');
  const options = { isa: values.choice('isa', ISAS) ?? '', seconds: (values.count('seconds', MOST_SECONDS) ?? 0) || KERNEL_SECONDS } as const;
  const target = html === undefined ? undefined : await outputTarget(html);
  const activity = new Activity(terminal.live);
  let result: KernelsBench;
  try {
    const [{ benchKernels }, { kernelUses }] = await Promise.all([import('../bench/kernels.js'), import('../bench/kernel-shapes.js')]);
    result = await benchKernels(kernelUses(networks), options, activity.update);
  } finally {
    activity.end();
  }
  if (target !== undefined) {
    const { kernelsReport } = await import('../bench/report.js');
    await writeAtomic(target, Buffer.from(kernelsReport(result, commandLine(values))));
  }
  if (values.has('json')) terminal.json(result);
  else showKernelsBench(result, terminal);
  if (target !== undefined && !values.has('json')) terminal.out(`\nreport: ${printable(target)}`);
  return result.trustworthy ? 0 : UNTRUSTWORTHY;
}

/** The command that would measure the same again. */
function commandLine(values: Values): string {
  const given = Object.entries(bench.options).filter(([name]) => name !== 'html' && values.has(name));
  return ['efficientnet-simd bench', ...given.map(([name]) => ['--' + name, values.text(name)].filter(Boolean).join(' '))].join(' ');
}
