// SPDX-License-Identifier: Apache-2.0
// `efficientnet-simd info`: a network's layers and what they cost, or what this processor offers.
// Loads no weights.

import type { CpuReport } from '../binding.js';
import { describe, type FeatureShape } from '../describe.js';
import { buildNetwork } from '../network.js';
import { defaultModel, modelOptions, UsageError, type Command, type Option } from './command.js';
import { formatCount, type Terminal } from './terminal.js';

const modelOption: Option = { ...modelOptions['model'], help: 'architecture (default b0)' };

export const info: Command = {
  name: 'info',
  operands: '',
  summary: 'Show the layers of a network with their shapes, parameters and multiply-accumulates (MACs);\nwith --cpu, the instruction sets that this processor has and which one is chosen.',
  options: {
    model: modelOption,
    cpu: { help: 'show the processor instead of a network' },
  },
  examples: ['info --model b3', 'info --cpu', 'info --model b0 --json'],
  async run(values, terminal) {
    if (!values.has('cpu')) {
      showNetwork(values.text('model') ?? defaultModel, values.has('json'), terminal);
      return 0;
    }
    if (values.has('model')) throw new UsageError('--cpu shows no model: give one of --model and --cpu');
    // Only here is the addon needed.
    const { cpu } = await import('../cpu.js');
    const report = cpu();
    if (values.has('json')) terminal.json(report);
    else showProcessor(report, terminal);
    return 0;
  },
};

function showNetwork(model: string, json: boolean, terminal: Terminal): void {
  const network = buildNetwork(model);
  const { name, parameters, macs, layers } = describe(network);
  const { resolution, width, depth } = network;
  if (json) {
    terminal.json({ name, parameters, macs, resolution, width, depth, layers });
    return;
  }
  terminal.out(
    `${terminal.bold(name)}  ${formatCount(parameters)} parameters, ${formatCount(macs)} MACs at ${resolution}x${resolution}, ` +
      `width ${width}, depth ${depth}`,
  );
  terminal.out('');
  const shape = ([channels, height, columns]: FeatureShape): string => `${channels} x ${height} x ${columns}`;
  terminal.table(
    [{ title: 'layer' }, { title: 'input', align: 'right' }, { title: 'output', align: 'right' },
      { title: 'parameters', align: 'right' }, { title: 'MACs', align: 'right' }],
    layers.map((layer) =>
      [layer.name, shape(layer.input), shape(layer.output), formatCount(layer.parameters), formatCount(layer.macs)]),
  );
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
