// SPDX-License-Identifier: Apache-2.0
// The committed table of what the full comparison with torchvision and timm found: one line for each
// network, replaced when it is compared again. Compares nothing.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './oracle.js';
import type { Library, Size } from './reference-networks.js';

const file = join(root, 'test', 'golden', 'parity.tsv');

const head = [
  '# Largest difference of a logit from torchvision 0.14 or timm 1.0.31 on PyTorch 1.13, as a share of the largest',
  '# logit: random weights and batch-norm statistics, see make_networks.py. Written by EFFNET_PARITY=full.',
  'library\tnetwork\tsizes\tinstruction sets\terror',
];

export interface ParityRow {
  readonly library: string;
  readonly model: string;
  /** Height x width, the network's own first. */
  readonly sizes: readonly string[];
  readonly isas: readonly string[];
  readonly error: number;
}

export function parityRecord(): ParityRow[] {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n').slice(head.length);
  return lines.map((line) => {
    const [library = '', model = '', sizes = '', isas = '', error = ''] = line.split('\t');
    return { library, model, sizes: sizes.split(' '), isas: isas.split(' '), error: Number(error) };
  });
}

export function recordParity(found: { readonly library: Library; readonly model: string; readonly sizes: readonly Size[]; readonly isas: readonly string[]; readonly error: number }): void {
  const row: ParityRow = { ...found, sizes: found.sizes.map((size) => size.join('x')) };
  const others = parityRecord().filter(({ library, model }) => library !== row.library || model !== row.model);
  const place = ({ library, model }: ParityRow): string => `${library} ${model}`;
  const rows = [...others, row].sort((a, b) => (place(a) < place(b) ? -1 : 1));
  const lines = rows.map(({ library, model, sizes, isas, error }) => [library, model, sizes.join(' '), isas.join(' '), error.toExponential(1)].join('\t'));
  writeFileSync(file, `${[...head, ...lines].join('\n')}\n`);
}
