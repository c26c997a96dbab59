// SPDX-License-Identifier: Apache-2.0
// Which padding a network was exported with, from the numbers that an exporter froze for one size of
// image. Under TensorFlow's SAME a convolution of stride 2 pads one pixel less at the top and left
// where its input is even, and like PyTorch's kernel / 2 where it is odd.

import { samePads, type FixedPads, type Graph } from './graph.js';
import type { GraphLayer } from './graph-layer.js';

export interface FoundPadding {
  readonly padding: 'same' | 'symmetric';
  /**
   * False where other sizes are a guess: both give the same numbers at the size of the export, or SAME's
   * numbers are fixed for any size.
   */
  readonly certain: boolean;
}

/**
 * The one padding that explains every convolution, which are given in order of execution.
 * Throws ERR_UNSUPPORTED, naming the convolution, where there is none.
 */
export function findPadding(graph: Graph, layers: readonly GraphLayer[], height: number | undefined, width: number | undefined): FoundPadding {
  let [rows, columns] = [height, width];
  let same = true;
  let symmetric = true;
  for (const layer of layers) {
    const { stride, size: { kernel } } = layer;
    const side = (kernel - 1) / 2;
    const isSame = layer.pads === 'same' || fits(layer.pads, rows, columns, kernel, stride);
    const isSymmetric = layer.pads === 'same' ? stride === 1 : layer.pads.every((pad) => pad === side);
    same &&= isSame;
    symmetric &&= isSymmetric;
    if (!same && !symmetric) graph.fail(layer.name, 'a convolution padded like the others, by kernel / 2 or as TensorFlow pads,');
    rows = rows === undefined ? undefined : Math.ceil(rows / stride);
    columns = columns === undefined ? undefined : Math.ceil(columns / stride);
  }
  const isFixed = !symmetric && height === undefined && layers.some(({ pads, stride }) => stride > 1 && pads !== 'same');
  return { padding: symmetric ? 'symmetric' : 'same', certain: same !== symmetric && !isFixed };
}

/** Whether fixed pads are SAME's for an input of that size; for an unknown one, as Keras then has it, for an even one. */
function fits(pads: FixedPads, rows: number | undefined, columns: number | undefined, kernel: number, stride: number): boolean {
  const [top, left, bottom, right] = pads;
  return fitsOne(top, bottom, rows, kernel, stride) && fitsOne(left, right, columns, kernel, stride);
}

function fitsOne(before: number, after: number, size: number | undefined, kernel: number, stride: number): boolean {
  const [first, last] = samePads(size ?? 2 * kernel, kernel, stride);
  return before === first && after === last;
}
