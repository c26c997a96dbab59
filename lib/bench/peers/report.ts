// SPDX-License-Identifier: Apache-2.0
// A race as one HTML page. Draws with lib/report and measures nothing.

import { basename } from 'node:path';

import { figure, html, page, paragraphs, table, type Content } from '../../report/index.js';
import { doubt, rounded } from '../report.js';
import type { EntrantResult, PeersBench } from './index.js';

const TITLES = { inference: 'Pixels to logits', photo: 'Image file to labels', batch: 'Several images at once' } as const;

/** The report as the text of one file. */
export function peersReport(result: PeersBench, command: string): string {
  const { race, model, height, width, threads, rounds, machine, weights, entrants } = result;
  const ran = entrants.filter(({ status }) => status === 'ran');
  const others = entrants.filter(({ status }) => status !== 'ran');
  return page({
    title: `${model}: ${TITLES[race].toLowerCase()}`,
    lead: `${ran.length} of ${entrants.length} contestants at ${height}x${width} on ${threads === 1 ? 'one thread' : `${threads} threads`}, each in a process of its own, in turns. The same weights, and results that agree.`,
    sections: [
      ...doubt(result),
      {
        title: 'Time of one image',
        content: figure(
          {
            title: 'Milliseconds for one image, the median of all rounds',
            categories: ran.map(({ label }) => label),
            axis: { title: 'milliseconds', format: (value) => String(Number(value.toPrecision(3))) },
            series: [{ name: 'median', values: ran.map(({ imagesPerSecond = NaN }) => 1000 / imagesPerSecond) }],
          },
          'Shorter is faster.',
        ),
      },
      { title: 'Figures', content: contestantTable(ran, result) },
      ...(others.length === 0 ? [] : [{ title: 'Not compared', content: absentees(others) }]),
    ],
    footer: paragraphs(
      `${rounds} rounds; ${machine.cpu || 'unnamed processor'}, ${machine.cores} cores, ${machine.platform}, Node ${machine.node}. ` +
        `Weights: ${weights.kind === 'random' ? 'made up, the same for all' : basename(weights.path)}.`,
      html`Measured with <code>${command}</code>.`,
    ),
  });
}

function contestantTable(ran: readonly EntrantResult[], result: PeersBench): Content {
  const of = (value: number | undefined, digits: number): string => (value === undefined ? '-' : rounded(value, digits, result));
  return table({
    columns: [
      { title: 'contestant' }, { title: 'min ms', align: 'right' }, { title: 'median', align: 'right' }, { title: 'p95', align: 'right' },
      { title: 'images/s', align: 'right' }, { title: 'our time / its', align: 'right' }, { title: 'first result ms', align: 'right' },
      { title: 'memory MB', align: 'right' }, { title: 'version', wrap: true },
    ],
    rows: ran.map(({ label, latency, imagesPerSecond, ratio, firstResult, memory, version }) => [
      label, of(latency?.min, 2), of(latency?.median, 2), of(latency?.p95, 2), of(imagesPerSecond, 1), ratioText(ratio, result), of(firstResult, 0),
      memory === undefined ? '-' : ((memory.ran - memory.bare) / 1e6).toFixed(0), version,
    ]),
  });
}

/** With the interval of the median; ours against ours says nothing. */
function ratioText(ratio: EntrantResult['ratio'], result: PeersBench): string {
  if (ratio === undefined) return '-';
  const { median, interval } = ratio;
  return interval[0] === interval[1] ? rounded(median, 0, { trustworthy: true }) : `${rounded(median, 3, result)} (${interval.map((end) => end.toFixed(3)).join('-')})`;
}

function absentees(others: readonly EntrantResult[]): Content {
  return html`<ul>${others.map(({ label, status, reason, install }) => html`<li>${label}: ${status}, ${reason}${install !== undefined && html`. To install it: <code>${install}</code>`}</li>`)}</ul>`;
}
