// SPDX-License-Identifier: Apache-2.0
// What `bench` writes on a terminal. A measurement that is not to be trusted is rounded to what it is
// worth and says so first. Measures nothing.

import type { KernelsBench } from '../bench/kernels.js';
import type { LayerTime } from '../bench/layers.js';
import type { Bandwidth } from '../bench/machine.js';
import type { ModelBench } from '../bench/model-bench.js';
import type { EntrantResult, PeersBench } from '../bench/peers/index.js';
import { percent, type Verdict } from '../bench/trust.js';
import { bar, formatBytes, formatCount, printable, type Terminal } from './terminal.js';

const BAR_WIDTH = 12;

/** A number with as many digits as the measurement deserves. */
export function figure(value: number, digits: number, { trustworthy }: Pick<Verdict, 'trustworthy'>): string {
  if (!Number.isFinite(value)) return '-';
  return trustworthy ? value.toFixed(digits) : `~${Number(value.toPrecision(2))}`;
}

export function showVerdict({ trustworthy, reasons }: Verdict, terminal: Terminal): void {
  if (trustworthy) return;
  terminal.out(terminal.bold('NOT TO BE TRUSTED: the machine was not quiet, or too little was measured'));
  for (const reason of reasons) terminal.out(`  - ${printable(reason)}`);
  terminal.out('  Stop what else is running, or measure longer (--seconds), and measure again');
  terminal.out('');
}

export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

export function showModelBench(result: ModelBench, terminal: Terminal): void {
  const { model, height, width, threads, isa, latency, peak, machine } = result;
  showVerdict(result, terminal);
  terminal.out(
    `${terminal.bold(model)}  ${height}x${width}, ${plural(threads, 'thread')}, ${isa}, ${plural(result.runs, 'run')}` +
      `  ${terminal.dim(`${printable(machine.cpu || 'unnamed processor')}, Node ${machine.node}`)}`,
  );
  terminal.out(
    result.weights.kind === 'random'
      ? 'weights: made up, which leaves the time as it is'
      : `weights: ${printable(result.weights.path)}`,
  );
  terminal.out('');
  const of = (value: number, digits: number): string => figure(value, digits, result);
  terminal.table(
    [{ title: 'milliseconds' }, { title: 'min', align: 'right' }, { title: 'median', align: 'right' },
      { title: 'p95', align: 'right' }, { title: 'p99', align: 'right' }],
    [['one image', ...[latency.min, latency.median, latency.p95, latency.p99].map((value) => of(value, 3))]],
  );
  terminal.out('');
  terminal.out(
    `${of(result.gflops, 1)} GFLOP/s, ${figure(100 * result.peakFraction, 1, { trustworthy: result.trustworthy && result.peakShare.trustworthy })} % of the multiply-add peak measured ` +
      `in between, at best ${peak.gflops.toFixed(1)} GFLOP/s on ${threads === 1 ? 'this core' : `${threads} threads`} (${peak.kernel})`,
  );
  terminal.out(
    terminal.dim(
      `middle half of the runs within ${percent(result.spread, 1)} of the median; processor time ${percent(result.usage.cpuShare)} of the time; ` +
        `weights ${formatBytes(result.memory.weightBytes)}, scratch ${formatBytes(result.memory.activationBytes)}`,
    ),
  );
  if (result.bandwidth !== undefined) showBandwidth(result.bandwidth, terminal);
  if (result.layers !== undefined) showLayers(result.layers, result, terminal);
}

export function showKernelsBench(result: KernelsBench, terminal: Terminal): void {
  const { isa, peak, machine, kernels } = result;
  showVerdict(result, terminal);
  terminal.out(
    `${terminal.bold(plural(kernels.length, 'kernel'))}  ${isa}, one thread, peak ${peak.gflops.toFixed(1)} GFLOP/s` +
      `  ${terminal.dim(`${printable(machine.cpu || 'unnamed processor')}, Node ${machine.node}`)}`,
  );
  terminal.out('');
  const networks = [...new Set(kernels.flatMap(({ layers }) => Object.keys(layers)))];
  terminal.table(
    [{ title: 'kernel' }, { title: 'shape' }, ...networks.map((title) => ({ title, align: 'right' } as const)),
      { title: 'microseconds', align: 'right' }, { title: 'GFLOP/s', align: 'right' }, { title: 'of peak', align: 'right' }, { title: 'GB/s', align: 'right' }],
    kernels.map((kernel) => [
      kernel.kernel, kernel.label, ...networks.map((name) => String(kernel.layers[name] ?? '')),
      figure(kernel.microseconds.median, kernel.microseconds.median < 10 ? 3 : 1, kernel),
      // The resize counts no floating point operations.
      ...(kernel.gflops > 0 ? [figure(kernel.gflops, 1, kernel), `${figure(100 * kernel.peakFraction, 0, kernel)} %`] : ['', '']), figure(kernel.gigabytesPerSecond, 1, kernel),
    ]),
  );
  terminal.out(terminal.dim('Operands lie in a cache if they fit. Below the network: the layers of that shape it has. ~: the samples disagree'));
}

export function showPeersBench(result: PeersBench, terminal: Terminal): void {
  const { race, model, height, width, threads, rounds, machine, entrants } = result;
  showVerdict(result, terminal);
  const subject = { inference: 'pixels to logits', photo: 'image file to labels', batch: 'several images at once' }[race];
  terminal.out(
    `${terminal.bold(`${model}, ${subject}`)}  ${height}x${width}, ${plural(threads, 'thread')}, ${plural(rounds, 'round')}` +
      `  ${terminal.dim(`${printable(machine.cpu || 'unnamed processor')}, Node ${machine.node}`)}`,
  );
  terminal.out(result.weights.kind === 'random' ? 'weights: made up, the same for all' : `weights: ${printable(result.weights.path)}, the same for all`);
  terminal.out('');
  const ran = entrants.filter(({ status }) => status === 'ran');
  terminal.table(
    [{ title: 'contestant' }, { title: 'min ms', align: 'right' }, { title: 'median', align: 'right' }, { title: 'p95', align: 'right' },
      { title: 'images/s', align: 'right' }, { title: 'our time / its', align: 'right' }, { title: 'first result', align: 'right' },
      { title: 'memory', align: 'right' }, { title: 'version' }],
    ran.map((entrant) => contestantRow(entrant, result)),
  );
  terminal.out(terminal.dim('memory: resident after the race, over the bare process; ratios by round, with the 95 % interval of their median'));
  for (const { label, status, reason, install } of entrants.filter((each) => each.status !== 'ran')) {
    terminal.out(`${label}: ${status}: ${printable(reason ?? '')}${install === undefined ? '' : `; ${install}`}`);
  }
}

function contestantRow({ label, latency, imagesPerSecond, ratio, firstResult, memory, version }: EntrantResult, verdict: Verdict): readonly string[] {
  const of = (value: number | undefined, digits: number): string => figure(value ?? NaN, digits, verdict);
  const ratios = ratio === undefined ? '-' : ratio.interval[0] === ratio.interval[1] ? ratio.median.toFixed(0) : `${of(ratio.median, 3)} (${ratio.interval[0].toFixed(3)}-${ratio.interval[1].toFixed(3)})`;
  return [
    label, of(latency?.min, 2), of(latency?.median, 2), of(latency?.p95, 2), of(imagesPerSecond, 1), ratios, `${of(firstResult, 0)} ms`,
    memory === undefined ? '-' : formatBytes(memory.ran - memory.bare), version ?? '',
  ];
}

function showBandwidth(levels: readonly Bandwidth[], terminal: Terminal): void {
  terminal.out(terminal.dim(`read: ${levels.map(({ level, gigabytesPerSecond }) => `${level} ${gigabytesPerSecond.toFixed(0)} GB/s`).join(', ')}`));
}

function showLayers(layers: readonly LayerTime[], result: ModelBench, terminal: Terminal): void {
  const of = (value: number, digits: number): string => figure(value, digits, result);
  const largest = Math.max(...layers.map(({ share }) => share));
  terminal.out('');
  terminal.table(
    [{ title: 'step' }, { title: 'output', align: 'right' }, { title: 'ms', align: 'right' }, { title: 'share', align: 'right' },
      { title: '' }, { title: 'MACs', align: 'right' }, { title: 'GFLOP/s', align: 'right' }, { title: 'of peak', align: 'right' }],
    layers.map(({ name, output, milliseconds, share, macs, gflops, peakFraction }) => [
      name, output.join(' x '), of(milliseconds.median, 4), percent(share, 1), bar(share / largest, BAR_WIDTH).padEnd(BAR_WIDTH),
      formatCount(macs), of(gflops, 1), `${of(100 * peakFraction, 1)} %`,
    ]),
  );
  const sum = layers.reduce((total, { milliseconds }) => total + milliseconds.median, 0);
  terminal.out(terminal.dim(`all steps ${of(sum, 3)} ms; the rest is copying the input and the call`));
}
