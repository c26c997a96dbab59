// SPDX-License-Identifier: Apache-2.0
// Who takes part in which race, and how each is started. Data; one line for each contestant.

import { join } from 'node:path';

import type { Task } from './protocol.js';
import type { Launch } from './racer.js';

export interface Entrant {
  /** Unique in a race. */
  readonly label: string;
  /** As child.ts and peer.py call it. */
  readonly contestant: string;
  readonly runtime: 'node' | 'python';
  /** Where it differs from the race's task. */
  readonly task?: Partial<Pick<Task, 'batch' | 'threads'>>;
}

const node = (contestant: string, label = contestant): Entrant => ({ label, contestant, runtime: 'node' });
const python = (contestant: string): Entrant => ({ label: contestant, contestant, runtime: 'python' });

export const OURS = 'efficientnet-simd';

/** Tensor to logits. The first is who the others are compared with. */
export const inferenceEntrants: readonly Entrant[] = [
  node(OURS),
  node('onnxruntime-node'),
  node('onnxruntime-web'),
  python('openvino'),
  python('litert'),
];

/** An image file to labels. */
export const photoEntrants: readonly Entrant[] = [
  node(OURS),
  node('sharp + onnxruntime-node'),
  node('transformers.js'),
];

/** Several images in one call, and the same images one by one on one thread. */
export function batchEntrants(batch: number, threads: number): readonly Entrant[] {
  const label = (name: string, images: number, cores: number): string =>
    `${name}, ${images === 1 ? 'one by one' : `${images} at once`}, ${cores} thread${cores === 1 ? '' : 's'}`;
  const entrant = (name: string, images: number, cores: number): Entrant =>
    ({ ...node(name, label(name, images, cores)), task: { batch: images, threads: cores } });
  return [entrant(OURS, batch, threads), entrant(OURS, 1, 1), entrant('onnxruntime-node', batch, threads), entrant('onnxruntime-node', 1, 1)];
}

/** `python` is the interpreter for those that need one. */
export function launchOf({ contestant, runtime }: Entrant, python: string): Launch {
  if (runtime === 'node') return { command: process.execPath, args: ['--expose-gc', join(__dirname, 'child.js'), contestant] };
  // Beside dist/, in the repository as in the published package.
  const script = join(__dirname, '..', '..', '..', '..', 'bench', 'peers', 'peer.py');
  return { command: python, args: [script, contestant], install: 'install Python 3, or name one with --python' };
}
