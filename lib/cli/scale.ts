// SPDX-License-Identifier: Apache-2.0
// `efficientnet-simd scale`: networks by compound scaling and what they cost here, the published ones
// beside them, and the largest that fits a budget. Reads the options; lib/compound computes and
// measures, scale-text.ts and scale-report.ts show.

import { architectures } from '../architectures.js';
import { writeAtomic } from '../cache.js';
import type { BudgetKind, FittedNetwork } from '../compound/fit-budget.js';
import type { Meter } from '../compound/meter.js';
import { paperTarget } from '../compound/dimensions.js';
import { dimensions, type Dimension } from '../compound/published.js';
import { scaleBy, type Formula } from '../compound/scale.js';
import { Study } from '../compound/study.js';
import { outputTarget } from '../output-file.js';
import { Activity } from './activity.js';
import { modelOptions, UsageError, type Command, type Values } from './command.js';
import { formulaArguments, formulaOptions, readFormula } from './formula-options.js';
import type { ScaleFindings } from './scale-findings.js';
import { scaleJson } from './scale-json.js';
import { showScale } from './scale-text.js';
import { printable, type Terminal } from './terminal.js';

const MOST_THREADS = 1024;
const ISAS = ['scalar', 'avx2', 'avx512', 'neon'] as const;
/** From half the work of the base to eight times it. */
const DEFAULT_PHIS = [-1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3];
/** Larger named networks are not measured: a report should not take many minutes. */
const LARGEST_FAMILY_MACS = 5e9;

const budgets: Readonly<Record<string, BudgetKind>> = {
  'budget-ms': 'milliseconds',
  'budget-macs': 'macs',
  'budget-parameters': 'parameters',
  'budget-memory': 'memory',
};

export const scale: Command = {
  name: 'scale',
  operands: '',
  summary:
    'Scale a network in depth, width and resolution together: sizes, work, and latency as measured here with made-up weights.\n' +
    'With a budget, find the largest network that fits it on this machine.',
  options: {
    phi: { value: 'X[,Y...]', help: 'steps of scaling, any numbers; 0 is the base (default -1 to 3)' },
    dimension: { value: 'NAME[,...]', help: 'depth, width, resolution, compound or all: scaled so, at equal MACs' },
    table: { help: 'the published B0 to B8 and L2 beside the formula' },
    'budget-ms': { value: 'N', help: 'find the largest network that takes at most N milliseconds here' },
    'budget-macs': { value: 'N', help: 'the same for multiply-accumulates, as 1.8e9 or 1.8G' },
    'budget-parameters': { value: 'N', help: 'the same for parameters, as 20M' },
    'budget-memory': { value: 'N', help: 'the same for weights and activations in memory, as 64MB or 64MiB' },
    family: { help: 'every network known by name, with --no-measure also those above 5 GMACs; with a budget, choose among b0 to b8 and l2 in place of phi' },
    macs: { value: 'N', help: 'with --dimension: the MACs of all of them (default 1.8G, as in the paper)' },
    base: { value: 'NAME', help: 'the network at phi 0 (default b0)' },
    ...formulaOptions,
    threads: { value: 'N', help: 'threads to measure with (default 1)' },
    isa: modelOptions.isa,
    'no-measure': { help: 'count only' },
    html: { value: 'FILE', help: 'write a report with pictures: all of the above' },
  },
  examples: [
    'scale --phi 0,1,2',
    'scale --budget-ms 5',
    'scale --budget-memory 64MB --family',
    'scale --dimension all',
    'scale --table --json',
    'scale --family',
    'scale --html scaling.html',
  ],
  async run(values, terminal) {
    const request = readRequest(values);
    // Before minutes are spent on what could not be written.
    const html = values.text('html');
    const target = html === undefined ? undefined : await outputTarget(html);
    for (const warning of request.formula.warnings) terminal.error(`warning: ${warning}`);
    const findings = await gather(request, values, terminal);
    if (target !== undefined) {
      const { scaleReport } = await import('./scale-report.js');
      await writeAtomic(target, Buffer.from(scaleReport(findings)));
    }
    if (values.has('json')) terminal.json(scaleJson(findings));
    else showScale(findings, terminal);
    if (target !== undefined && !values.has('json')) terminal.out(`\nreport: ${printable(target)}`);
    const failures = [...(findings.phis ?? []), ...(findings.dimensions ?? []), ...(findings.members ?? [])].filter(
      ({ error }) => error !== undefined,
    );
    for (const { error } of failures) terminal.error(error ?? '');
    return failures.length > 0 ? 1 : 0;
  },
};

interface Request {
  readonly formula: Formula;
  readonly phis: readonly number[] | undefined;
  readonly dimensions: readonly Dimension[] | undefined;
  readonly macs: number;
  readonly table: boolean;
  readonly budget: { readonly kind: BudgetKind; readonly limit: number } | undefined;
}

function readRequest(values: Values): Request {
  const chosen = Object.keys(budgets).filter((name) => values.has(name));
  if (chosen.length > 1) throw new UsageError(`Give one budget, not ${chosen.map((name) => `--${name}`).join(' and ')}`);
  const [option] = chosen;
  const ways = [
    option === undefined ? '' : `--${option}`,
    ...['phi', 'dimension', 'table', ...(option === undefined ? ['family'] : [])]
      .filter((name) => values.has(name))
      .map((name) => `--${name}`),
  ].filter(Boolean);
  if (ways.length > 1) throw new UsageError(`Give one of ${ways.join(' and ')}`);
  if (values.has('macs') && !values.has('dimension')) throw new UsageError('--macs needs --dimension');
  if (values.has('no-measure') && option !== undefined) throw new UsageError(`--${option} measures what it finds: leave out --no-measure`);
  const which = values.choices('dimension', [...dimensions, 'all'] as const);
  const limit = option === undefined ? undefined : values.amount(option);
  const formula = readFormula(values, values.text('base'));
  const phis = values.numbers('phi');
  // Errors in a phi belong to the arguments, before anything is measured.
  phis?.forEach((phi) => scaleBy(phi, formula));
  const kind = option === undefined ? undefined : budgets[option];
  return {
    formula,
    phis,
    dimensions: which?.includes('all') === true ? dimensions : which?.filter((one) => one !== 'all'),
    macs: values.amount('macs') ?? paperTarget,
    table: values.has('table'),
    budget: kind === undefined || limit === undefined ? undefined : { kind, limit },
  };
}

async function gather(request: Request, values: Values, terminal: Terminal): Promise<ScaleFindings> {
  const { formula, budget } = request;
  const activity = new Activity(terminal.live);
  try {
    const meter = await openMeter(values);
    const study = new Study(formula, meter, (name, done, total) => activity.update(`Measuring ${name}`, done / total));
    const report = values.has('html');
    const fitted =
      budget === undefined || meter === undefined ? undefined : await fitWith(request, budget, meter, values, activity);
    const members =
      budget === undefined && values.has('family')
        ? await study.members(Object.keys(architectures), meter === undefined ? Infinity : LARGEST_FAMILY_MACS)
        : undefined;
    const alone = budget === undefined && request.dimensions === undefined && !request.table && members === undefined;
    const phis = request.phis !== undefined || alone || report ? await study.phis(request.phis ?? DEFAULT_PHIS) : undefined;
    const base = scaleBy(0, formula);
    const dimensionRows =
      request.dimensions !== undefined || (report && base.macs < paperTarget)
        ? await study.dimensions(request.dimensions ?? dimensions, request.macs)
        : undefined;
    const most = Math.min(LARGEST_FAMILY_MACS, 1.1 * Math.max(0, ...(phis ?? []).map(({ scaled }) => scaled.macs)));
    const family = report ? await study.family(most) : request.table ? await new Study(formula, undefined).family(0) : undefined;
    return {
      formula,
      meter,
      fitted,
      phis,
      dimensions: dimensionRows,
      family,
      members,
      command: commandLine(values),
      formulaArguments: formulaArguments(values),
    };
  } finally {
    activity.end();
  }
}

/** Not before the options are known to be right, and not where nothing is measured: it loads the addon. */
async function openMeter(values: Values): Promise<Meter | undefined> {
  const threads = values.count('threads', MOST_THREADS) ?? 1;
  const isa = values.choice('isa', ISAS);
  if (values.has('no-measure') || (values.has('table') && !values.has('html'))) return undefined;
  const { machineMeter } = await import('../compound/meter.js');
  return machineMeter({ threads, isa });
}

async function fitWith(
  { formula }: Request,
  { kind, limit }: { readonly kind: BudgetKind; readonly limit: number },
  meter: Meter,
  values: Values,
  activity: Activity,
): Promise<FittedNetwork> {
  const { checkFit, runFit } = await import('../compound/fit-budget.js');
  let trials = 0;
  activity.update('Looking for the largest network', 0);
  const onProgress = ({ name }: { readonly name: string }): void =>
    activity.update(`Looking for the largest network, tried ${name}`, Math.min(0.95, ++trials / 10));
  return runFit({ ...checkFit({ [kind]: limit, family: values.has('family') }), formula, onProgress }, meter);
}

/** The command that would find the same again. */
function commandLine(values: Values): string {
  const given = Object.entries(scale.options).filter(([name]) => name !== 'html' && values.has(name));
  return ['efficientnet-simd scale', ...given.map(([name]) => [`--${name}`, values.text(name)].filter(Boolean).join(' '))].join(
    ' ',
  );
}
