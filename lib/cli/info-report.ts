// SPDX-License-Identifier: Apache-2.0
// A network as one HTML page: where its work, its parameters and its memory are, and what its layers
// see. Counted from the definition; nothing is measured.

import type { LayerDescription, NetworkDescription } from '../describe.js';
import type { Network } from '../network.js';
import {
  details,
  formatPlain,
  formatSi,
  html,
  page,
  paragraphs,
  shareBar,
  table,
  titledFigure,
  type BarChart,
  type Point,
  type TableColumn,
  type XyChart,
} from '../report/index.js';
import { formatBytes, formatCount } from './terminal.js';

const FLOAT_BYTES = 4;
const MOST_BARS = 20;

/** The layers of a block, or the stem, or the head. */
interface Group {
  readonly name: string;
  readonly layers: readonly LayerDescription[];
}

/** The report as the text of one file. */
export function networkReport(network: Network, description: NetworkDescription): string {
  const { name, parameters, macs, layers, height, width } = description;
  const groups = groupsOf(layers, network);
  return page({
    title: `${name} at ${height}x${width}`,
    lead: html`${formatCount(parameters)} parameters and ${formatCount(macs)} multiply-accumulates for one image, in
      ${network.blocks.length} blocks.`,
    facts: [
      ['parameters', formatSi(parameters)],
      ['MACs', formatSi(macs)],
      ['weights, float32', formatBytes(FLOAT_BYTES * parameters)],
      ['largest map', formatBytes(largestMap(layers))],
      ['all maps', formatBytes(description.activationBytes)],
      ['receptive field', `${formatCount(description.receptiveField)} pixels`],
    ],
    sections: [
      {
        title: 'Where the work and the parameters are',
        content: [
          titledFigure(
            sharesChart(groups, 'macs', 'Multiply-accumulates', 0),
            'For one image. The early layers have few channels on large maps, the late ones many on small maps.',
          ),
          titledFigure(
            sharesChart(groups, 'parameters', 'Parameters', 1),
            'A weight of an early layer is used for many pixels, one of a late layer for few, and one of the classifier once.',
          ),
        ],
      },
      {
        title: 'From many pixels to many channels',
        content: [
          titledFigure(
            mapsChart(layers),
            html`Inside a block the map is several times as wide as at its ends: fused, it never leaves the cache. Dotted:
              where the maps become smaller.`,
          ),
          titledFigure(
            fieldChart(description),
            html`How much of the picture one value depends on, through the convolutions. The excite layers, which see the
              mean of the whole picture, are left out.`,
          ),
        ],
      },
      { title: 'Every layer', content: details(`${layers.length} layers with their shapes`, layerTable(layers)) },
    ],
    footer: paragraphs(
      html`Counted from the network's definition; nothing was measured. Parameters as published counts have them: weights,
        biases, and scale and shift of each batch norm.`,
    ),
  });
}

/** `blocks.3.expand` belongs to `blocks.3`, `head.conv` to `head`. */
function blocksOf(layers: readonly LayerDescription[]): readonly Group[] {
  return gather(layers, ({ name }) => /^(?:blocks\.\d+|[^.]+)/.exec(name)?.[0] ?? name);
}

/** By stages, where the blocks are too many for a picture. */
function groupsOf(layers: readonly LayerDescription[], { blocks }: Network): readonly Group[] {
  if (blocks.length <= MOST_BARS) return blocksOf(layers);
  return gather(layers, ({ name }) => {
    const block = /^blocks\.(\d+)/.exec(name)?.[1];
    return block === undefined ? (/^[^.]+/.exec(name)?.[0] ?? name) : `stage ${(blocks[Number(block)]?.stage ?? 0) + 1}`;
  });
}

function gather(layers: readonly LayerDescription[], nameOf: (layer: LayerDescription) => string): readonly Group[] {
  const groups = new Map<string, LayerDescription[]>();
  for (const layer of layers) groups.set(nameOf(layer), [...(groups.get(nameOf(layer)) ?? []), layer]);
  return [...groups].map(([name, members]) => ({ name, layers: members }));
}

function sharesChart(groups: readonly Group[], what: 'macs' | 'parameters', title: string, colour: number): BarChart {
  return {
    title,
    categories: groups.map(({ name }) => name),
    series: [{ name: title, colour, values: groups.map(({ layers }) => layers.reduce((sum, layer) => sum + layer[what], 0)) }],
    axis: { title: what === 'macs' ? 'MACs of one image' : 'parameters' },
  };
}

function largestMap(layers: readonly LayerDescription[]): number {
  return Math.max(...layers.map(({ activationBytes }) => activationBytes));
}

/** Between the blocks, and at the widest place inside each. */
function mapsChart(layers: readonly LayerDescription[]): XyChart {
  const blocks = blocksOf(layers).filter(({ name }) => name !== 'head');
  const last = ({ layers: members }: Group): LayerDescription | undefined => members.at(-1);
  const widest = ({ layers: members }: Group): LayerDescription | undefined =>
    members.reduce<LayerDescription | undefined>((a, b) => (a === undefined || b.activationBytes > a.activationBytes ? b : a), undefined);
  const points = (of: (group: Group) => LayerDescription | undefined): Point[] =>
    blocks.flatMap((group, i) => {
      const layer = of(group);
      return layer === undefined
        ? []
        : [{ x: i, y: layer.activationBytes, title: `${layer.name}: ${layer.output.join(' x ')}, ${formatBytes(layer.activationBytes)}` }];
    });
  const firstAt = new Map<number, number>();
  blocks.forEach((group, i) => {
    const side = last(group)?.output[1] ?? 0;
    firstAt.set(side, firstAt.get(side) ?? i);
  });
  return {
    title: 'Size of the maps',
    x: { title: 'block (0: the stem)', format: formatPlain },
    y: { title: 'bytes, float32', scale: 'log' },
    series: [
      { name: 'the widest inside each block', line: 'solid', colour: 1, points: points(widest) },
      { name: 'between the blocks', line: 'solid', colour: 0, points: points(last) },
    ],
    rules: [...firstAt].map(([side, at]) => ({ x: at, label: `${side} px` })),
  };
}

function fieldChart({ layers, height }: NetworkDescription): XyChart {
  const ends = blocksOf(layers).flatMap(({ name, layers: members }) =>
    name === 'head' ? [] : [{ name, field: members.at(-1)?.receptiveField ?? NaN }],
  );
  return {
    title: 'Receptive field after each block',
    x: { title: 'block (0: the stem)', format: formatPlain, min: 0 },
    y: { title: 'pixels of the input', format: formatPlain, min: 0 },
    series: [
      {
        name: 'receptive field',
        line: 'solid',
        points: ends.map(({ name, field }, i) => ({ x: i, y: field, title: `${name}: ${field} pixels` })),
      },
    ],
    rules: [{ y: height, label: 'the whole picture' }],
  };
}

function layerTable(layers: readonly LayerDescription[]): ReturnType<typeof table> {
  const right = (title: string): TableColumn => ({ title, align: 'right' });
  const most = Math.max(...layers.map(({ macs }) => macs));
  return table({
    columns: [
      { title: 'layer' },
      ...['input', 'output', 'stride', 'receptive field', 'parameters', 'MACs'].map(right),
      { title: '' },
      right('as float32'),
    ],
    rows: layers.map((layer) => [
      layer.name,
      layer.input.join('×'),
      layer.output.join('×'),
      String(layer.stride),
      layer.receptiveField === null ? 'all' : formatCount(layer.receptiveField),
      formatCount(layer.parameters),
      formatCount(layer.macs),
      shareBar(layer.macs / most),
      formatBytes(layer.activationBytes),
    ]),
  });
}
