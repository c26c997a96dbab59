// SPDX-License-Identifier: Apache-2.0
// Class names as the transformers library keeps them: `id2label`, from an index as text to a name.

import type { FieldReader } from './config.js';

/** The names in order; undefined where there are none, holes, or only the placeholders LABEL_0, LABEL_1. */
export function idLabels(config: FieldReader): readonly string[] | undefined {
  const map = config.fields('id2label');
  const count = map?.names.length ?? 0;
  const names: string[] = [];
  for (let i = 0; i < count; i++) {
    const name = map?.raw(String(i));
    if (typeof name !== 'string') return undefined;
    names.push(name);
  }
  return count === 0 || names.every((name) => /^LABEL_\d+$/.test(name)) ? undefined : names;
}
