// SPDX-License-Identifier: Apache-2.0
// A measurement as one HTML page: what it found, the roofline with a point for each step, where the
// time goes, and the numbers behind both. Draws with lib/report and measures nothing.

import { basename } from 'node:path';

import { details, figure, formatPlain, html, page, paragraphs, table, type BarChart, type Content, type Section, type Series, type XyChart } from '../report/index.js';
import type { KernelsBench, KernelTime } from './kernels.js';
import type { LayerKind, LayerTime } from './layers.js';
import type { Bandwidth } from './machine.js';
import type { ModelBench } from './model-bench.js';
import { percent, type Verdict } from './trust.js';

/** Names of the kinds of steps, in the order of the key. */
const KINDS: readonly (readonly [LayerKind, string])[] = [
  ['stem', 'stem'],
  ['pointwise', 'pointwise (expand, project)'],
  ['convolution', 'convolution'],
  ['fused', 'expand and depthwise in turns'],
  ['depthwise', 'depthwise'],
  ['excite', 'squeeze and excite'],
  ['head', 'head'],
];
/** Points that get their name written beside them: those that take most of the time. */
const NAMED = 8;

/** The report as the text of one file. */
export function modelReport(result: ModelBench, command: string): string {
  const { model, height, width, threads, isa, latency, gflops, peakFraction, peak, machine, runs, layers = [], bandwidth = [] } = result;
  const of = (value: number, digits: number): string => rounded(value, digits, result);
  const on = threads === 1 ? 'one thread' : `${threads} threads`;
  return page({
    title: `${model} at ${height}x${width}`,
    lead: `One image takes ${of(latency.median, 2)} ms on ${on} with ${isa}: ${of(gflops, 1)} of the ${peak.gflops.toFixed(1)} GFLOP/s that ${threads === 1 ? 'one core was' : 'the cores were'} measured to do at most.`,
    facts: [
      ['median', `${of(latency.median, 2)} ms`],
      ['min', `${of(latency.min, 2)} ms`],
      ['p95', `${of(latency.p95, 2)} ms`],
      ['p99', `${of(latency.p99, 2)} ms`],
      ['of the peak', `${of(100 * peakFraction, 1)} %`],
    ],
    sections: [
      ...doubt(result),
      { title: 'Roofline', content: figure(roofline(layers, peak.gflops, bandwidth), rooflineCaption(bandwidth), 0.62) },
      { title: 'Where the time goes', content: figure(blockTimes(layers, peak.gflops), 'Time of each block, and the least that its multiply-adds would take at the measured peak: the outlined bar.') },
      { title: 'Every step', content: details(`${layers.length} steps with their shapes and times`, stepTable(layers, result)) },
    ],
    footer: paragraphs(
      `${runs} runs after warming up; ${machine.cpu || 'unnamed processor'}, ${machine.cores} cores, ${machine.platform}, Node ${machine.node}. ` +
        `Middle half of the runs within ${percent(result.spread, 1)} of the median.`,
      html`Measured with <code>${command}</code>. Weights: ${result.weights.kind === 'random' ? 'made up, which leaves the time as it is' : basename(result.weights.path)}.`,
    ),
  });
}

/** The same for single kernels. */
export function kernelsReport(result: KernelsBench, command: string): string {
  const { isa, peak, machine, kernels } = result;
  const networks = [...new Set(kernels.flatMap(({ layers }) => Object.keys(layers)))];
  const heavy = kernels.filter(({ microseconds, gflops }) => microseconds.median >= 10 && gflops > 0);
  return page({
    title: `Kernels of ${networks.join(' and ')}`,
    lead: `${kernels.length} kernels and shapes on one thread with ${isa}, against ${peak.gflops.toFixed(1)} GFLOP/s that one core was measured to do at most.`,
    sections: [
      ...doubt(result),
      { title: 'Roofline', content: figure(kernelRoofline(kernels, peak.gflops), 'Each point is a kernel on the shape of a layer, its operands in a cache if they fit. The dotted line is the peak of multiply-adds from registers.', 0.62) },
      {
        title: 'Share of the peak',
        content: figure(
          {
            title: 'Share of the multiply-add peak of each kernel that takes 10 microseconds or more',
            categories: heavy.map(({ label }) => label),
            axis: { title: 'percent of the peak', max: 100, format: (value) => String(Math.round(value)) },
            series: [{ name: isa, values: heavy.map(({ peakFraction }) => 100 * peakFraction) }],
          },
          'Kernels that take at least 10 microseconds a call.',
        ),
      },
      { title: 'Every kernel', content: kernelTable(kernels, networks) },
    ],
    footer: paragraphs(`${machine.cpu || 'unnamed processor'}, ${machine.cores} cores, ${machine.platform}, Node ${machine.node}.`, html`Measured with <code>${command}</code>.`),
  });
}

/** \`gemm\` of \`gemm_f32_14x32_avx512\`: kernels of one kind share a colour. */
function kernelKind(name: string): string {
  return name.split('_f32')[0] ?? name;
}

function kernelRoofline(kernels: readonly KernelTime[], peak: number): XyChart {
  const kinds = [...new Set(kernels.map(({ kernel }) => kernelKind(kernel)))];
  return {
    title: 'Speed of each kernel against its arithmetic intensity',
    x: { title: 'FLOP per byte of operands', scale: 'log', format: formatPlain },
    y: { title: 'GFLOP/s', scale: 'log', format: formatPlain },
    series: kinds.map((kind) => ({
      name: kind,
      points: kernels.filter(({ kernel }) => kernelKind(kernel) === kind).map(({ label, gflops, gigabytesPerSecond }) => ({
        x: gflops / gigabytesPerSecond,
        y: gflops,
        title: `${label}: ${gflops.toFixed(1)} GFLOP/s`,
      })),
    })),
    rules: [{ y: peak, label: `peak ${peak.toFixed(0)} GFLOP/s` }],
  };
}

function kernelTable(kernels: readonly KernelTime[], networks: readonly string[]): Content {
  return table({
    columns: [
      { title: 'kernel' }, { title: 'shape' }, ...networks.map((title) => ({ title, align: 'right' } as const)), { title: 'µs', align: 'right' },
      { title: 'GFLOP/s', align: 'right' }, { title: 'of peak', align: 'right' }, { title: 'GB/s', align: 'right' },
    ],
    rows: kernels.map((kernel) => [
      kernel.kernel, kernel.label, ...networks.map((name) => String(kernel.layers[name] ?? '')),
      rounded(kernel.microseconds.median, kernel.microseconds.median < 10 ? 3 : 1, kernel),
      ...(kernel.gflops > 0 ? [rounded(kernel.gflops, 1, kernel), percent(kernel.peakFraction)] : ['', '']), rounded(kernel.gigabytesPerSecond, 1, kernel),
    ]),
  });
}

/** Two digits where the measurement is worth no more. */
export function rounded(value: number, digits: number, { trustworthy }: Pick<Verdict, 'trustworthy'>): string {
  return trustworthy ? value.toFixed(digits) : `~${Number(value.toPrecision(2))}`;
}

/** The section that comes first where the figures are not to be trusted. */
export function doubt({ trustworthy, reasons }: Verdict): readonly Section[] {
  if (trustworthy) return [];
  return [{
    title: 'Not to be trusted',
    content: html`<p>The machine was not quiet, or too little was measured. Measure again before you use these figures.</p><ul>${reasons.map((reason) => html`<li>${reason}</li>`)}</ul>`,
  }];
}

function roofline(layers: readonly LayerTime[], peak: number, bandwidth: readonly Bandwidth[]): XyChart {
  const shown = layers.filter(({ gflops }) => gflops > 0);
  const named = new Set([...shown].sort((a, b) => b.share - a.share).slice(0, NAMED));
  const points: Series[] = KINDS.map(([kind, name], colour) => ({
    name,
    colour,
    points: shown.filter((layer) => layer.kind === kind).map((layer) => ({
      x: layer.intensity,
      y: layer.gflops,
      title: `${layer.name}: ${layer.gflops.toFixed(1)} GFLOP/s, ${layer.milliseconds.median.toFixed(3)} ms`,
      ...(named.has(layer) ? { label: layer.name } : {}),
    })),
  }));
  const [low, high] = [Math.min(...shown.map(({ intensity }) => intensity)) / 1.5, Math.max(...shown.map(({ intensity }) => intensity)) * 1.5];
  const roofs: Series[] = bandwidth.map(({ level, gigabytesPerSecond }) => ({
    name: `read from ${level}`,
    line: level === 'memory' ? 'solid' : 'dashed',
    marks: false,
    muted: true,
    // Up to where the peak takes over.
    points: [low, Math.max(low, Math.min(high, peak / gigabytesPerSecond))].map((x, i) => ({
      x,
      y: x * gigabytesPerSecond,
      ...(i === 0 ? { label: `${level} ${gigabytesPerSecond.toFixed(0)} GB/s` } : {}),
    })),
  }));
  return {
    title: 'Speed of each step against its arithmetic intensity, under the measured limits of this machine',
    x: { title: 'FLOP per byte of input, output and weights', scale: 'log', min: low, max: high, format: formatPlain },
    y: { title: 'GFLOP/s', scale: 'log', format: formatPlain },
    series: [...roofs, ...points.filter((series) => series.points.length > 0)],
    rules: [{ y: peak, label: `peak ${peak.toFixed(0)} GFLOP/s` }],
  };
}

function rooflineCaption(bandwidth: readonly Bandwidth[]): string {
  const levels = bandwidth.map(({ level, gigabytesPerSecond }) => `${level} ${gigabytesPerSecond.toFixed(0)} GB/s`).join(', ');
  return (
    'Each point is a step of the network. The dotted line is the peak of multiply-adds from registers, the slanted ones are what can be ' +
    `computed on data read once from each level (${levels}). A step above the memory line finds its data in a cache. ` +
    'Activations count no operations, although swish takes time.'
  );
}

function blockTimes(layers: readonly LayerTime[], peak: number): BarChart {
  const blocks = new Map<string, { milliseconds: number; floor: number }>();
  for (const { name, milliseconds, macs } of layers) {
    const block = /^blocks\.\d+/.exec(name)?.[0] ?? name;
    const sum = blocks.get(block) ?? { milliseconds: 0, floor: 0 };
    blocks.set(block, { milliseconds: sum.milliseconds + milliseconds.median, floor: sum.floor + (2 * macs) / peak / 1e6 });
  }
  return {
    title: 'Time of each block in milliseconds',
    categories: [...blocks.keys()],
    axis: { title: 'milliseconds', format: (value) => String(Number(value.toPrecision(3))) },
    series: [
      { name: 'measured', values: [...blocks.values()].map(({ milliseconds }) => milliseconds) },
      { name: 'at the peak', hollow: true, colour: 7, values: [...blocks.values()].map(({ floor }) => floor) },
    ],
  };
}

function stepTable(layers: readonly LayerTime[], result: ModelBench): Content {
  const of = (value: number, digits: number): string => rounded(value, digits, result);
  return table({
    columns: [
      { title: 'step' }, { title: 'input', align: 'right' }, { title: 'output', align: 'right' }, { title: 'ms', align: 'right' },
      { title: 'share', align: 'right' }, { title: 'GFLOP/s', align: 'right' }, { title: 'of peak', align: 'right' }, { title: 'FLOP/byte', align: 'right' },
    ],
    rows: layers.map(({ name, input, output, milliseconds, share, gflops, peakFraction, intensity }) => [
      name, input.join(' x '), output.join(' x '), of(milliseconds.median, 4), percent(share, 1), of(gflops, 1), percent(peakFraction, 0), intensity.toFixed(1),
    ]),
  });
}
