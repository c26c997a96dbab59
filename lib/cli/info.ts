// SPDX-License-Identifier: Apache-2.0
// `efficientnet-simd info`: a network's layers and what they cost, of a checkpoint what it is, or what this
// processor offers. Packs no weights.

import type { CpuReport } from '../binding.js';
import { writeAtomic } from '../cache.js';
import { describe, type FeatureShape, type NetworkDescription } from '../describe.js';
import { buildNetwork, type Network } from '../network.js';
import { looksLikeRepository } from '../hub/name.js';
import { checkpointOptions } from './checkpoint-options.js';
import { defaultModel, modelOptions, UsageError, type Command, type Values } from './command.js';
import { formulaOptions, readScaled } from './formula-options.js';
import { outputTarget } from '../output-file.js';
import { bar, formatBytes, formatCount, printable, type Column, type Terminal } from './terminal.js';

const BAR_WIDTH = 10;

export const info: Command = {
  name: 'info',
  operands: '',
  summary: 'Show the layers of a network: shapes, strides, receptive fields (field), parameters,\nmultiply-accumulates (MACs) and the bytes of their outputs;\nof a checkpoint also who wrote it and how it is to be used;\nwith --cpu, the instruction sets that this processor has and which one is chosen.',
  options: {
    model: modelOptions.model,
    weights: { ...modelOptions.weights, help: 'show what this checkpoint is: a file, folder or URL' },
    phi: { value: 'X', help: 'the model scaled by so many steps of compound scaling' },
    ...formulaOptions,
    html: { value: 'FILE', help: 'write a report with pictures' },
    cpu: { help: 'show the processor instead of a network' },
    ...checkpointOptions,
  },
  examples: ['info --model b3', 'info --phi 0.5', 'info --weights finetuned.pth', 'info --model v2-s --html v2-s.html', 'info --cpu', 'info --model b0 --json'],
  async run(values, terminal) {
    if (!values.has('cpu')) return showNetwork(values, terminal);
    const stranger = Object.keys(info.options).find((name) => name !== 'cpu' && values.has(name));
    if (stranger !== undefined) throw new UsageError(`--cpu shows no model: give one of --${stranger} and --cpu`);
    // Only here is the addon needed.
    const { cpu } = await import('../cpu.js');
    const report = cpu();
    if (values.has('json')) terminal.json(report);
    else showProcessor(report, terminal);
    return 0;
  },
};

/** Whether --weights or a repository asks for one, with options that go with it. */
function asksForCheckpoint(values: Values): boolean {
  const asks = values.has('weights') || looksLikeRepository(values.text('model') ?? '');
  const other = Object.keys(asks ? { phi: 0, ...formulaOptions } : checkpointOptions).find((name) => values.has(name));
  if (other !== undefined) throw new UsageError(asks ? `--${other} scales a network by name: leave it or the checkpoint out` : `--${other} needs --weights`);
  return asks;
}

async function showNetwork(values: Values, terminal: Terminal): Promise<number> {
  const model = values.text('model') ?? defaultModel;
  const html = values.text('html');
  // Only where it is needed: it loads every reader.
  const checkpoint = asksForCheckpoint(values) ? await import('./info-checkpoint.js') : undefined;
  const described = await checkpoint?.describeCheckpoint(values, terminal);
  const scaled = readScaled(values, model);
  for (const warning of scaled?.warnings ?? []) terminal.error(`warning: ${warning}`);
  const network = described?.network ?? scaled?.network ?? buildNetwork(model);
  const description = describe(network);
  const target = html === undefined ? undefined : await outputTarget(html);
  if (target !== undefined) {
    const { networkReport } = await import('./info-report.js');
    await writeAtomic(target, Buffer.from(networkReport(network, description)));
  }
  const { name, parameters, macs, activationBytes, receptiveField, layers } = description;
  const { resolution, width, depth } = network;
  if (values.has('json')) terminal.json({ name, parameters, macs, activationBytes, receptiveField, resolution, width, depth, layers, ...(described && { checkpoint: described.facts, labels: described.labels ?? null }) });
  else showLayers(network, description, terminal, () => described && checkpoint?.showCheckpoint(described, terminal));
  if (target !== undefined && !values.has('json')) terminal.out(`\nreport: ${printable(target)}`);
  return 0;
}

function showLayers({ resolution, width, depth }: Network, description: NetworkDescription, terminal: Terminal, more: () => void): void {
  const { name, parameters, macs, activationBytes, receptiveField, layers } = description;
  terminal.out(
    `${terminal.bold(name)}  ${formatCount(parameters)} parameters, ${formatCount(macs)} MACs at ${resolution}x${resolution}, ` +
      `width ${formatFactor(width)}, depth ${formatFactor(depth)}`,
  );
  terminal.out(`receptive field ${formatCount(receptiveField)} pixels, ${formatBytes(activationBytes)} of activations in all layers`);
  more();
  terminal.out('');
  const right = (title: string, drop?: number): Column => ({ title, align: 'right', ...(drop === undefined ? {} : { drop }) });
  const most = Math.max(...layers.map((layer) => layer.macs));
  const shape = ([channels, height, columns]: FeatureShape): string => `${channels} x ${height} x ${columns}`;
  terminal.table(
    [{ title: 'layer' }, right('input', 5), right('output'), right('stride', 3), right('field', 2), right('parameters', 1), right('MACs'),
      { title: '', drop: 4 }, right('activations', 6)],
    layers.map((layer) => [
      layer.name,
      shape(layer.input),
      shape(layer.output),
      String(layer.stride),
      layer.receptiveField === null ? 'all' : String(layer.receptiveField),
      formatCount(layer.parameters),
      formatCount(layer.macs),
      bar(layer.macs / most, BAR_WIDTH),
      formatBytes(layer.activationBytes),
    ]),
  );
}

/** 1.0488088 as `1.049`: multipliers are not whole. */
function formatFactor(factor: number): string {
  return String(Number(factor.toFixed(3)));
}

function showProcessor({ brand, cores, caches, chosen, isas }: CpuReport, terminal: Terminal): void {
  terminal.out(`${terminal.bold(brand || 'unnamed processor')}  ${cores} ${cores === 1 ? 'core' : 'cores'} for this process`);
  terminal.out(`caches: ${formatKibibytes(caches.l1)} L1, ${formatKibibytes(caches.l2)} L2, ${formatKibibytes(caches.l3)} L3`);
  terminal.out('');
  terminal.table(
    [{ title: 'instruction set' }, { title: 'present' }, { title: 'chosen' },
      { title: 'lanes', align: 'right' }, { title: 'gemm tile', align: 'right' }],
    isas.map(({ name, present, lanes, tiles }) =>
      [name, present ? 'yes' : 'no', name === chosen ? 'yes' : '', String(lanes), `${tiles.gemmRows} x ${tiles.gemmColumns}`]),
  );
  if (chosen === null) terminal.out('\nNone is chosen: EFFICIENTNET_SIMD_ISA names one that cannot be used here');
}

function formatKibibytes(bytes: number): string {
  return bytes >= 1 << 20 ? `${Number((bytes / (1 << 20)).toFixed(1))} MiB` : `${Math.round(bytes / 1024)} KiB`;
}
