// SPDX-License-Identifier: Apache-2.0
// What the fuzzer must know of a reader, and what every reader promises about a file that it accepts.

import { elementBytes, elementCount } from '../../lib/formats/bytes.js';
import type { Checkpoint } from '../../lib/formats/tensor.js';

export interface FuzzReader {
  /** For --reader. */
  readonly name: string;
  /** Sound files, small (a few kilobytes: most changes should hit a header), each of another shape. */
  seeds(): readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** Texts and numbers of the format, to be put in anywhere. */
  readonly tokens?: readonly (string | Uint8Array)[];
  /**
   * Reads one file, throwing nothing but EfficientNetError. A checksum that would stop every change
   * is repaired here first. Given to checkCheckpoint, a result is checked too.
   */
  read(bytes: Uint8Array): unknown;
}

/** Throws where an accepted file gives a tensor that does not fit its bytes, or more than the file holds. */
export function checkCheckpoint(checkpoint: Checkpoint, copies: number = 1): void {
  let total = 0;
  for (const [name, { name: own, type, shape, bytes }] of checkpoint.tensors) {
    const count = elementCount(shape);
    if (own !== name) throw new Error(`tensor ${JSON.stringify(own)} is listed as ${JSON.stringify(name)}`);
    if (count === undefined || count * elementBytes[type] !== bytes.length) {
      throw new Error(`tensor ${JSON.stringify(name)} of [${shape.join()}] ${type} has ${bytes.length} bytes`);
    }
    total += bytes.length > 0 && bytes.buffer.byteLength > bytes.length ? 0 : bytes.length;
  }
  // Views cost nothing; whatever was copied must have been in the file.
  if (total > copies * 2 * 64 * 2 ** 10) throw new Error(`${total} bytes of tensors were copied out of a file of at most 64 kB`);
}
