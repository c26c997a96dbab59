// SPDX-License-Identifier: Apache-2.0
// Checkpoints that lie in several files: which others a first one names. Opens nothing; the names are
// plain names of files in the same folder, as the readers check them.

import { readSafetensorsIndex } from './safetensors-index.js';
import { parseTfjsModel } from './tfjs.js';

/** Whether a file of this name names others, so that its content is worth a look. */
export function mayHaveCompanions(name: string): boolean {
  return /(^|\/)(model\.json|[^/]*\.safetensors\.index\.json)$/.test(name);
}

/** Throws ERR_INVALID_CHECKPOINT for a malformed file. */
export function companionsOf(name: string, bytes: Uint8Array): readonly string[] {
  if (!mayHaveCompanions(name)) return [];
  const names = name.endsWith('.index.json')
    ? readSafetensorsIndex(bytes).names
    : parseTfjsModel(bytes).groups.flatMap((group) => group.paths);
  return [...new Set(names)];
}
