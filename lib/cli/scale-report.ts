// SPDX-License-Identifier: Apache-2.0
// The findings of `scale` as one HTML page. Every figure says whether it was published, and where, or
// measured or counted here. The charts are in scale-charts.ts.

import { cpu } from '../cpu.js';
import { amount, type FittedNetwork } from '../compound/fit-budget.js';
import { constraintProduct } from '../compound/constraint.js';
import { paper, timmResults } from '../compound/published.js';
import {
  details,
  figure,
  formatPlain,
  html,
  page,
  paragraphs,
  titledFigure,
  type Content,
  type Section,
} from '../report/index.js';
import { accuracyByMacs, accuracyByParameters } from './accuracy-charts.js';
import {
  budgetChart,
  dimensionGain,
  dimensionMemory,
  dimensionTimes,
  memberChart,
  multiplierChart,
  parameterChart,
  receptiveFieldChart,
  speedChart,
  timeChart,
  workChart,
} from './scale-charts.js';
import { conditions, type ScaleFindings } from './scale-findings.js';
import { dimensionTable, familyTable, here, memberTable, phiTable, published, sourceTable, trialTable } from './scale-tables.js';
import { formatBytes, formatCount } from './terminal.js';

/** The report as the text of one file. */
export function scaleReport(findings: ScaleFindings): string {
  const { formula, meter, fitted, phis = [], command } = findings;
  const timed = phis.filter(({ measured }) => measured !== undefined);
  const [first, last] = [timed[0], timed.at(-1)];
  return page({
    title: `Compound scaling of ${formula.base.name}`,
    lead: html`Depth, width and resolution grow together with one number: depth by ${formula.alpha}<sup>φ</sup>, width by
      ${formula.beta}<sup>φ</sup>, resolution by ${formula.gamma}<sup>φ</sup>. What that costs on this machine, beside what
      was published.`,
    facts: [
      ...(fitted === undefined
        ? []
        : [
            [
              `largest within ${amount(fitted.budget.kind, fitted.budget.limit)}`,
              fitted.phi === undefined ? fitted.name : `φ = ${fitted.phi}`,
            ] as const,
          ]),
      ['work, per step of φ', `× ${constraintProduct(formula).toFixed(2)}`],
      ...[first, last].flatMap((row) =>
        row?.measured === undefined
          ? []
          : [[`φ = ${row.scaled.phi}, here`, `${formatPlain(Number(row.measured.milliseconds.toPrecision(3)))} ms`] as const],
      ),
      ...(meter === undefined
        ? []
        : [['measured with', conditions(meter)] as const, ['processor', cpu().brand || 'unnamed'] as const]),
    ],
    sections: [
      ...(fitted === undefined ? [] : [budgetSection(fitted)]),
      formulaSection(findings),
      ...(timed.length > 1 ? [timeSection(findings)] : []),
      ...(findings.members?.some(({ measured }) => measured !== undefined) === true ? [memberSection(findings)] : []),
      ...(formula.base.name === 'b0' ? [accuracySection(findings)] : []),
      ...(findings.dimensions === undefined ? [] : [dimensionSection(findings)]),
      receptiveSection(findings),
      {
        title: 'All numbers',
        content: [
          details('The networks of the formula', phiTable(findings)),
          details('The published networks beside the formula', familyTable(findings)),
          details('Published accuracies, with their sources', sourceTable()),
        ],
      },
    ],
    footer: footer(findings, command),
  });
}

function budgetSection(fitted: FittedNetwork): Section {
  const { budget, phi, name, share, trials, tuned } = fitted;
  const limit = amount(budget.kind, budget.limit);
  const named = phi === undefined ? name : html`φ = ${phi}`;
  return {
    title: `The largest network within ${limit}`,
    content: [
      paragraphs(
        html`${named}: width ${fitted.width.toFixed(3)}, depth ${fitted.depth.toFixed(3)}, ${fitted.resolution} ×
          ${fitted.resolution} pixels, ${formatCount(fitted.parameters)} parameters, ${formatCount(fitted.macs)} MACs. It
          takes ${fitted.milliseconds.toFixed(2)} ms ${here} and ${formatBytes(fitted.memory)}: ${(100 * share).toFixed(0)}
          % of the budget.`,
        tuned &&
          'The formula has no network between this and one that is too large; its resolution is held while depth and width grow.',
      ),
      trials.length > 1 &&
        figure(budgetChart(fitted), [
          html`Every network that was tried on the way. The search aims a little below the budget, so that the next
            measurement stays below it. `,
          here,
        ]),
      trials.length > 1 && details('Their numbers, in the order of the search', trialTable(fitted)),
    ],
  };
}

function formulaSection(findings: ScaleFindings): Section {
  return {
    title: 'What the formula does, and where the published networks lie',
    content: [
      titledFigure(
        multiplierChart(findings),
        html`Lines: the formula. Outlines: the published networks at the φ whose network costs as many MACs. The table of
          the paper is not the formula at whole numbers of φ: B1 keeps the width of B0, B7 is less deep. ${published}`,
      ),
      titledFigure(
        workChart(findings),
        html`MACs of one image, counted. The steps are the rounding of channels, layers and pixels; the dotted line is the
          base times ${constraintProduct(findings.formula).toFixed(3)}<sup>φ</sup>.`,
      ),
      titledFigure(
        parameterChart(findings),
        html`Parameters, counted. Resolution adds none, so they grow more slowly than the work. B1 to B3 hold more of them
          than the formula at equal work: every one of their stages has its layers rounded up.`,
      ),
    ],
  };
}

function timeSection(findings: ScaleFindings): Section {
  const rows = [...(findings.phis ?? []), ...(findings.family ?? [])].filter(({ measured }) => measured !== undefined);
  const disturbed = rows.filter(({ measured }) => (measured?.doubts.length ?? 0) > 0);
  return {
    title: 'What it costs here',
    content: [
      disturbed.length > 0 &&
        paragraphs(
          html`The machine was not quiet: ${disturbed.length} of the ${rows.length} networks were disturbed while they were
            measured (${disturbed[0]?.measured?.doubts[0] ?? ''}). Take these times with care.`,
        ),
      titledFigure(timeChart(findings), [
        'Median time of one image with made-up weights, which leaves the time as it is. ',
        here,
      ]),
      titledFigure(speedChart(findings), [
        'The same as work done in a second: what the hardware makes of the larger maps and wider layers. ',
        here,
      ]),
    ],
  };
}

function memberSection({ members = [] }: ScaleFindings): Section {
  return {
    title: 'Every network known by name',
    content: [
      figure(
        memberChart(members),
        [
          html`Those of up to 5 GMACs, each at its own resolution. On a line from the lower left to the upper right lie
            networks of one speed: below it, more work is done in the time. `,
          here,
        ],
        0.7,
      ),
      details(
        'Their numbers',
        memberTable(members),
      ),
    ],
  };
}

function accuracySection(findings: ScaleFindings): Section {
  return {
    title: 'Accuracy: the family beside networks scaled conventionally',
    content: [
      titledFigure(
        accuracyByMacs(),
        html`ImageNet top-1. Outlines: a network, and what becomes of it scaled in one dimension by
          so much (d, w, r); filled, in the same colour: scaled in all three. ${published}
          ${paper}, Tables 2, 3 and 7.`,
        0.62,
      ),
      titledFigure(
        accuracyByParameters(findings),
        html`The same against parameters. ${published} Family: ${paper}, Table 2. MobileNetV2 scaled by hand:
          ${timmResults}. B0 in one dimension: accuracies from Table 7, parameters counted here.`,
        0.55,
      ),
    ],
  };
}

function dimensionSection(findings: ScaleFindings): Section {
  const rows = findings.dimensions ?? [];
  const measured = rows.some((row) => row.measured !== undefined);
  return {
    title: 'One dimension, or all three',
    content: [
      paragraphs(
        html`The same network made larger in one way at a time, to equal MACs. The accuracies belong to the paper's own
          networks of about that work, whose MACs are not exactly equal.`,
      ),
      measured && titledFigure(dimensionTimes(rows), here),
      measured && titledFigure(dimensionMemory(rows), here),
      rows.some((row) => row.published !== undefined) && titledFigure(dimensionGain(rows), html`${published} ${paper}, Table 7.`),
      dimensionTable(findings),
    ],
  };
}

function receptiveSection(findings: ScaleFindings): Section {
  return {
    title: 'Receptive field against input size',
    content: figure(
      receptiveFieldChart(findings),
      html`What one value of the last map sees through the convolutions, against the size of the picture. A larger picture
        wants a deeper network, and compound scaling keeps the two in step; scaling in one dimension does not. The excite
        layers, which see the mean of the whole picture, are left out.`,
      0.6,
    ),
  };
}

function footer({ meter, phis = [] }: ScaleFindings, command: string): Content {
  const machine = meter === undefined ? undefined : cpu();
  const runs = phis.reduce((sum, { measured }) => sum + (measured?.runs ?? 0), 0);
  return paragraphs(
    machine !== undefined &&
      html`${machine.brand || 'Unnamed processor'}, ${machine.cores} ${machine.cores === 1 ? 'core' : 'cores'},
        ${process.platform}-${process.arch}, Node ${process.versions.node}; ${formatCount(runs)} runs of the formula's
        networks.`,
    html`Made with <code>${command}</code>.`,
  );
}
