// SPDX-License-Identifier: Apache-2.0
// For tests of the HDF5 reader: opening all of a file, and lists of files that are wrong in one way each.

import { strict as assert } from 'node:assert';
import type { ErrorCode } from '../../../lib/errors.js';
import { readHdf5, type Hdf5Dataset, type Hdf5Group } from '../../../lib/formats/hdf5.js';
import { assertRefuses } from './damage.js';

export type WrongFile = readonly [name: string, bytes: Uint8Array, message: RegExp, code?: ErrorCode];

/** Every dataset of the file, in its order. */
export function openAll(group: Hdf5Group): Hdf5Dataset[] {
  void group.attributes;
  return group.names.flatMap((name) => {
    const node = group.open(name);
    return node.kind === 'group' ? openAll(node) : [node];
  });
}

/** A test for each file: refused as it says, naming the place in the file, within 50 ms. */
export function refuseAll(cases: readonly WrongFile[], count: number): void {
  for (const [name, bytes, message, code = 'ERR_INVALID_CHECKPOINT'] of cases) {
    it(name, () => {
      assertRefuses(() => openAll(readHdf5(bytes, 1000)), code, message);
      assertRefuses(() => openAll(readHdf5(bytes, 1000)), code, /\(at byte \d+ of the file\)/);
    });
  }
  it('has run every case', () => assert.equal(cases.length, count));
}
