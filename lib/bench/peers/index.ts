// SPDX-License-Identifier: Apache-2.0
// A whole race from a network's name: weights, files, contestants, turns, result. Prints nothing.

import { buildNetwork } from '../../network.js';
import { machine, type Machine } from '../model-bench.js';
import { weightsFor, type WeightsOrigin } from '../subject.js';
import { batchEntrants, inferenceEntrants, OURS, photoEntrants, type Entrant } from './entrants.js';
import { writeRaceFiles } from './files.js';
import { race, type Race, type RaceProgress } from './race.js';

export type { EntrantResult, Race } from './race.js';

export interface PeersOptions {
  readonly model: string;
  readonly weights?: string | undefined;
  readonly random: boolean;
  /** Height and width in pixels; the model's unless given. */
  readonly size?: number | undefined;
  readonly threads: number;
  /** Ours; empty: the best. */
  readonly isa: string;
  readonly rounds: number;
  /** Fewer rounds where they would take longer. */
  readonly limitSeconds?: number | undefined;
  /** Seconds of each contestant's turn in a round. */
  readonly turn: number;
  readonly python: string;
  /** Race on an image file to labels, instead of pixels to logits. */
  readonly photo?: string | undefined;
  /** Race on so many images at once, against one by one on one thread. */
  readonly batch?: number | undefined;
  /** Of the others, race these; all unless given. */
  readonly only?: readonly string[] | undefined;
  /** A graph of the same weights from another exporter, for those that run ONNX. */
  readonly onnx?: string | undefined;
}

export interface PeersBench extends Race {
  readonly race: 'inference' | 'photo' | 'batch';
  readonly model: string;
  readonly height: number;
  readonly width: number;
  readonly threads: number;
  readonly weights: WeightsOrigin;
  readonly machine: Machine;
}

/** Rejects with what loading weights rejects with, or where our own contestant does not run. */
export async function benchPeers(options: PeersOptions, progress: RaceProgress = () => undefined): Promise<PeersBench> {
  const { model, threads, isa, photo, batch, rounds, turn, python } = options;
  const kind = photo !== undefined ? 'photo' : batch !== undefined ? 'batch' : 'inference';
  progress('Writing the weights in every form', 0);
  const weighted = await weightsFor(model, { path: options.weights, random: options.random });
  const side = options.size ?? buildNetwork(model).resolution;
  const { files, remove } = await writeRaceFiles(weighted, { height: side, width: side, batch: batch ?? 1, photo, onnx: options.onnx });
  // Those asleep would stay behind: the exit ends them, and removes the files.
  const stop = (): never => process.exit(130);
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    const task = {
      kind: kind === 'photo' ? 'photo' : 'tensor', architecture: model, height: side, width: side, batch: 1, threads, isa,
      recipe: weighted.recipe, files,
    } as const;
    const result = await race(chosen(entrantsOf(kind, batch ?? 1, threads), options.only), task, { rounds, limitSeconds: options.limitSeconds, turn: 1000 * turn, python }, progress);
    const { name } = weighted.weights.network;
    return { race: kind, model: name, height: side, width: side, threads, weights: weighted.origin, machine: machine(), ...result };
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    remove();
  }
}

function entrantsOf(kind: PeersBench['race'], batch: number, threads: number): readonly Entrant[] {
  if (kind === 'photo') return photoEntrants;
  return kind === 'batch' ? batchEntrants(batch, threads) : inferenceEntrants;
}

/** Everybody's label, for those who choose. */
export function peersOf(race: PeersBench['race']): readonly string[] {
  return [...new Set(entrantsOf(race, 1, 1).map(({ contestant }) => contestant))].filter((contestant) => contestant !== OURS);
}

function chosen(entrants: readonly Entrant[], only: readonly string[] | undefined): readonly Entrant[] {
  return entrants.filter(({ contestant }) => contestant === OURS || (only?.includes(contestant) ?? true));
}
