// SPDX-License-Identifier: Apache-2.0
// The charts of published accuracies in the scaling report: the family beside networks that were
// scaled conventionally. No figure of them was measured here.

import {
  publishedB0,
  publishedFamily,
  publishedMobileNets,
  publishedOthers,
  type PublishedScaling,
} from '../compound/published.js';
import { checkFormula, scaleBy, type Formula } from '../compound/scale.js';
import { formatPlain, formatSi, type Axis, type Point, type Series, type XyChart } from '../report/index.js';
import type { ScaleFindings } from './scale-findings.js';

const accuracyAxis: Axis = { title: 'ImageNet top-1 (%)', format: formatPlain };

/** One network scaled conventionally, and in all dimensions: outlines and filled marks of one colour, and one entry of the key. */
function scaledSeries(name: string, rows: readonly PublishedScaling[], colour: number): readonly Series[] {
  const point = ({ macs, top1, setting, dimension }: PublishedScaling): Point => ({
    x: macs,
    y: top1,
    // The family has a B0 of its own, of nearly the same accuracy.
    ...(dimension === undefined && name === 'B0' ? {} : { label: labelOf(name, dimension, setting) }),
    title: `${name}, ${setting}: ${top1} % at ${formatSi(macs)} MACs`,
  });
  return [
    {
      name,
      hollow: true,
      colour,
      points: rows.filter(({ dimension }) => dimension !== 'compound').map(point),
    },
    { name: '', colour, points: rows.filter(({ dimension }) => dimension === 'compound').map(point) },
  ];
}

const labelOf = (name: string, dimension: PublishedScaling['dimension'], setting: string): string =>
  dimension === undefined ? name : dimension === 'compound' ? 'd, w and r' : setting;

const familySeries = (x: 'macs' | 'parameters'): Series => ({
  name: 'EfficientNet',
  line: 'solid',
  colour: 0,
  points: publishedFamily.map((row) => ({ x: row[x], y: row.top1, label: row.name.toUpperCase() })),
});

export function accuracyByMacs(): XyChart {
  const others = [...new Set(publishedOthers.map(({ name }) => name))];
  return {
    title: 'Accuracy against work, published',
    x: { title: 'MACs of one image', scale: 'log' },
    y: accuracyAxis,
    series: [
      familySeries('macs'),
      ...scaledSeries('B0', publishedB0, 1),
      ...others.flatMap((name, i) =>
        scaledSeries(
          name,
          publishedOthers.filter((row) => row.name === name),
          2 + i,
        ),
      ),
    ],
  };
}

export function accuracyByParameters({ formula }: ScaleFindings): XyChart {
  const points = (which: (dimension: PublishedScaling['dimension']) => boolean): readonly Point[] =>
    publishedB0
      .filter(({ dimension }) => which(dimension))
      .map((row) => ({
        x: countedParameters(row, formula),
        y: row.top1,
        label: labelOf('B0', row.dimension, row.setting),
        title: `B0, ${row.setting}: ${row.top1} %`,
      }));
  return {
    title: 'Accuracy against parameters, published',
    x: { title: 'parameters', scale: 'log' },
    y: accuracyAxis,
    series: [
      familySeries('parameters'),
      { name: 'B0', hollow: true, colour: 1, points: points((dimension) => dimension !== undefined && dimension !== 'compound') },
      { name: '', colour: 1, points: points((dimension) => dimension === 'compound') },
      {
        name: 'MobileNetV2 scaled by hand',
        hollow: true,
        colour: 3,
        line: 'none',
        points: publishedMobileNets.map(({ parameters, top1, setting }) => ({ x: parameters, y: top1, label: setting })),
      },
    ],
  };
}

/** The paper gives no parameters in Table 7: those of the network with these multipliers, rounded as published ones are. */
function countedParameters({ setting }: PublishedScaling, { conventions }: Formula): number {
  const factor = (letter: string): number => Number(new RegExp(`${letter} ([\\d.]+)`).exec(setting)?.[1] ?? 1);
  const formula = checkFormula({
    alpha: factor('d'),
    beta: factor('w'),
    gamma: factor('r'),
    depthRounding: 'up',
    ...conventions,
  });
  return scaleBy(1, formula).parameters;
}
