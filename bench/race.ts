// SPDX-License-Identifier: Apache-2.0
// All figures that the project is judged by, measured one after the other on this machine and set
// beside what they must be and aim for. The command line measures the same one by one; this only
// repeats it and makes the table of bench/results. Not a test: nothing fails when it is slow.
//
//   npm install --no-save --ignore-scripts onnxruntime-node
//   node dist/bench/race.js [--only NAME,...] [--rounds N] [--seconds 0.1] [--json FILE] [--markdown FILE] [--svg FILE]
//
// --peers NAME,... races more than onnxruntime-node (see `efficientnet-simd bench --help`), --python
// names the interpreter for those in Python, --list shows the figures' names. --from FILE,... measures
// nothing and makes table and picture of what --json has written before, also of repeated runs.

import { promises as fs, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { benchModel, machine } from '../lib/bench/model-bench.js';
import { benchPeers, type PeersBench, type PeersOptions } from '../lib/bench/peers/index.js';
import { weightsFor } from '../lib/bench/subject.js';
import { resolveModel } from '../lib/catalogue.js';
import { Activity } from '../lib/cli/activity.js';
import { EfficientNetError } from '../lib/errors.js';
import { buildNetwork } from '../lib/network.js';
import { cells, markdown, racePicture, type Bar, type Outcome, type Row } from './table.js';

interface Settings {
  readonly rounds: number;
  /** Fewer rounds where they take longer. */
  readonly limitSeconds: number | undefined;
  readonly seconds: number;
  readonly peers: readonly string[];
  readonly python: string;
  readonly photo: string;
  readonly progress: (doing: string, share: number) => void;
}

interface Figure extends Bar {
  measure(settings: Settings): Promise<Outcome>;
}

const figures: readonly Figure[] = [
  ratio('b0', 'b0', 1, 0.62, 0.57),
  ratio('b0-2', 'b0', 2, 0.62, 0.54),
  ratio('b1', 'b1', 1, 0.7, 0.62),
  ratio('b3', 'b3', 1, 0.7, 0.62),
  ratio('b4', 'b4', 1, 0.7, 0.62),
  ratio('b7', 'b7', 1, 0.72, 0.65),
  ratio('v2-s', 'v2-s', 1, 0.88, 0.8),
  {
    name: 'avx2', what: 'B0 with AVX2: share of the measured multiply-add peak', unit: '%', digits: 1, better: 'higher', must: 72, aim: 80,
    measure: measureAvx2,
  },
  {
    name: 'photo', short: 'photo to labels', what: 'photo of 451x300 (PNG) to labels, 1 thread: our time over that of sharp + JavaScript + onnxruntime-node', unit: '', digits: 3,
    better: 'lower', must: 0.65, aim: 0.5, measure: measurePhoto,
  },
  {
    name: 'batch', what: 'batch of 16 on 2 threads: images a second over one by one on 1 thread', unit: 'x', digits: 2, better: 'higher',
    must: 1.7, aim: 1.9, measure: measureBatch,
  },
  {
    name: 'memory', what: 'resident memory over bare Node, B0 loaded and run', unit: 'MB', digits: 1, better: 'lower', must: 60, aim: 40,
    measure: measureMemory,
  },
  {
    name: 'addon', what: 'stripped addon', unit: 'MB', digits: 2, better: 'lower', must: 1.5, aim: 1, measure: measureAddon,
  },
];

/** 451x300 pixels, and not compressed with losses: every decoder gives the same. */
const CHELSEA = join(__dirname, '..', '..', 'test', 'images', 'chelsea.png');

/** Of each race, unless --rounds says how many; fewer where the time runs out, at least nine. */
const DEFAULT_ROUNDS = 61;
const MOST_SECONDS = 90;

// ---- measuring ----------------------------------------------------------------------------------------

/** Our time over onnxruntime-node's. */
function ratio(name: string, model: string, threads: number, must: number, aim: number): Figure {
  const side = buildNetwork(model).resolution;
  const what = `${model.toUpperCase()} ${side}, ${threads === 1 ? '1 thread' : `${threads} threads`}: our time over onnxruntime-node's`;
  return {
    name, what, unit: '', digits: 3, better: 'lower', must, aim,
    measure: async (settings) => fromRace(await benchPeers(peersOptions(settings, { model, threads }), settings.progress), 'onnxruntime-node'),
  };
}

function peersOptions({ rounds, limitSeconds, seconds, peers, python }: Settings, given: Partial<PeersOptions>): PeersOptions {
  return { model: 'b0', random: true, threads: 1, isa: '', rounds, limitSeconds, turn: seconds, python, only: ['onnxruntime-node', ...peers], ...given };
}

function fromRace(result: PeersBench, against: string): Outcome {
  const { trustworthy, reasons, entrants } = result;
  const peer = entrants.find(({ label }) => label === against);
  const value = peer?.ratio?.median;
  if (value === undefined) throw new Error(`${against}: ${peer?.status ?? 'did not take part'}${peer?.reason === undefined ? '' : `, ${peer.reason}`}${peer?.install === undefined ? '' : `; ${peer.install}`}`);
  return { value, interval: peer?.ratio?.interval, trustworthy, reasons, details: result, contestants: entrants };
}

const AVX2_SECONDS = 6;

async function measureAvx2({ progress }: Settings): Promise<Outcome> {
  const size = { height: 224, width: 224 };
  const options = { threads: 1, isa: 'avx2', ...size, seconds: AVX2_SECONDS, layers: false, bandwidth: false } as const;
  const result = await benchModel(await weightsFor('b0', { random: true }), options, progress);
  const { median, interval, trustworthy, reasons } = result.peakShare;
  return { value: 100 * median, interval: [100 * interval[0], 100 * interval[1]], trustworthy, reasons, details: result };
}

/** With published weights: made-up ones give every photo nearly the same label. */
async function measurePhoto(settings: Settings): Promise<Outcome> {
  const weights = await resolveModel('b0');
  const only = ['sharp + onnxruntime-node', ...settings.peers];
  return fromRace(await benchPeers(peersOptions(settings, { weights, random: false, photo: settings.photo, only }), settings.progress), 'sharp + onnxruntime-node');
}

async function measureBatch(settings: Settings): Promise<Outcome> {
  const result = await benchPeers(peersOptions(settings, { batch: 16, threads: 2, only: settings.peers }), settings.progress);
  const ratio = result.entrants[1]?.ratio;
  const value = 1 / (ratio?.median ?? NaN);
  return { value, interval: ratio && [1 / ratio.interval[1], 1 / ratio.interval[0]], trustworthy: result.trustworthy, reasons: result.reasons, details: result, contestants: result.entrants };
}

async function measureMemory(settings: Settings): Promise<Outcome> {
  // From a checkpoint file, as it is done; memory does not drift: a short race is enough.
  const result = await benchPeers(peersOptions({ ...settings, rounds: 2, seconds: 0.1 }, {}), settings.progress);
  const { memory } = result.entrants[0] ?? {};
  return { value: ((memory?.ran ?? NaN) - (memory?.bare ?? NaN)) / 1e6, trustworthy: true, reasons: [], details: memory };
}

function measureAddon(): Promise<Outcome> {
  const path = join(__dirname, '..', '..', 'build', 'Release', 'efficientnet_simd.node');
  return Promise.resolve({ value: statSync(path).size / 1e6, trustworthy: true, reasons: [], details: {} });
}

// ---- the command --------------------------------------------------------------------------------------

const defaults: Readonly<Record<string, string>> = { seconds: '0.1' };

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string', default: defaults['seconds'] ?? '' },
      peers: { type: 'string', default: '' },
      python: { type: 'string', default: 'python3' },
      photo: { type: 'string', default: CHELSEA },
      markdown: { type: 'string' },
      json: { type: 'string' },
      svg: { type: 'string' },
      from: { type: 'string' },
      list: { type: 'boolean', default: false },
    },
  });
  if (values.list) {
    for (const { name, what } of figures) console.log(`${name.padEnd(8)} ${what}`);
    return;
  }
  const wanted = values.only?.split(',');
  const unknown = wanted?.find((name) => figures.every((figure) => figure.name !== name));
  if (unknown !== undefined) throw new EfficientNetError('ERR_INVALID_ARGUMENT', `No figure is called ${unknown}; known: ${figures.map(({ name }) => name).join(', ')}`);
  const [rounds, seconds] = [Number(values.rounds ?? DEFAULT_ROUNDS), Number(values.seconds)];
  const limitSeconds = values.rounds === undefined ? MOST_SECONDS : undefined;
  if (!(Number.isInteger(rounds) && rounds > 0 && seconds > 0)) throw new EfficientNetError('ERR_INVALID_ARGUMENT', 'Expected whole --rounds and positive --seconds');
  const settings = { rounds, limitSeconds, seconds, peers: values.peers.split(',').filter(Boolean), python: values.python, photo: values.photo };
  const chosen = figures.filter(({ name }) => wanted?.includes(name) ?? true);
  const rows = values.from === undefined ? await measureAll(chosen, settings) : await readAll(chosen, values.from.split(','));
  const given = (['only', 'peers', 'rounds', 'seconds'] as const).flatMap((name) => (values[name] && values[name] !== defaults[name] ? [`--${name}`, values[name]] : []));
  if (values.markdown !== undefined) await fs.writeFile(values.markdown, markdown(rows, ['node dist/bench/race.js', ...given].join(' ')));
  if (values.svg !== undefined) await fs.writeFile(values.svg, racePicture(rows));
  const plain = rows.flatMap(({ bar: { name }, outcomes, failure }): readonly object[] => (failure === undefined ? outcomes.map((outcome) => ({ name, ...outcome })) : [{ name, failure }]));
  if (values.json !== undefined) await fs.writeFile(values.json, `${JSON.stringify({ machine: machine(), figures: plain }, undefined, 2)}\n`);
  if (rows.some(({ outcomes }) => !outcomes.some(({ trustworthy }) => trustworthy))) process.exitCode = 3;
}

async function measureAll(chosen: readonly Figure[], settings: Omit<Settings, 'progress'>): Promise<readonly Row[]> {
  const activity = new Activity(process.stderr.isTTY ? process.stderr : undefined);
  const rows: Row[] = [];
  for (const figure of chosen) {
    const progress = (doing: string, share: number): void => activity.update(`${figure.name}: ${doing}`, share);
    const row = await figure.measure({ ...settings, progress }).then(
      (outcome): Row => ({ bar: figure, outcomes: [outcome] }),
      (error: unknown): Row => ({ bar: figure, outcomes: [], failure: error instanceof Error ? error.message : String(error) }),
    );
    activity.end();
    rows.push(row);
    console.log(cells(row).join('  |  '));
  }
  return rows;
}

/** Every outcome in the files, by figure. */
async function readAll(chosen: readonly Figure[], paths: readonly string[]): Promise<readonly Row[]> {
  const found = await Promise.all(paths.map(async (path) => JSON.parse(await fs.readFile(path, 'utf8')) as { readonly figures: readonly (Outcome & { readonly name: string; readonly failure?: string })[] }));
  const all = found.flatMap(({ figures: some }) => some).filter(({ failure }) => failure === undefined);
  const rows = chosen.map((bar): Row => ({ bar, outcomes: all.filter(({ name }) => name === bar.name) }));
  for (const row of rows) console.log(cells(row).join('  |  '));
  return rows;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
