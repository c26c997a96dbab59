// SPDX-License-Identifier: Apache-2.0
// The options that give an input's size: --size for both sides, or --height and --width. What a command
// does without them is its own.

import { UsageError, type Values } from './command.js';

/** The largest that a network takes. */
export const LARGEST_SIDE = 4096;

export function readSize(values: Values): { readonly height?: number; readonly width?: number } {
  const size = values.count('size', LARGEST_SIDE);
  const height = values.count('height', LARGEST_SIDE) ?? size;
  const width = values.count('width', LARGEST_SIDE) ?? size;
  if (size !== undefined && (values.has('height') || values.has('width'))) {
    throw new UsageError('--size sets both sides: give it without --height and --width');
  }
  return { ...(height === undefined ? {} : { height }), ...(width === undefined ? {} : { width }) };
}
