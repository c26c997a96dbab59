// SPDX-License-Identifier: Apache-2.0
// What a network's name means: which architecture, and whose conventions. Builds nothing.

import type { Architecture } from './architecture.js';
import { architectures } from './architectures.js';
import { describeValue, invalidArgument, nearest } from './check.js';
import { EfficientNetError } from './errors.js';

/** What a name means: the architecture, and whether it asks for TensorFlow's conventions. */
export interface ResolvedName {
  readonly architecture: Architecture;
  readonly tensorflow: boolean;
}

/**
 * Finds the architecture of a name: `b0`, `efficientnet_b0`, `efficientnet-b0`, `tf_efficientnet_b0`,
 * in any case and with or without timm's tag (`tf_efficientnet_b0.ns_jft_in1k`).
 * Throws ERR_UNKNOWN_ARCHITECTURE with the nearest known name.
 */
export function resolveName(name: string): ResolvedName {
  if (typeof name !== 'string') throw invalidArgument('architecture', 'the name of an architecture', name);
  const match = /^(tf[_-])?(?:efficientnet[_-]?)?([a-z0-9-]{1,16})(?:\.[a-z0-9_]{1,64})?$/.exec(name.toLowerCase());
  const architecture = Object.values(architectures).find((one) => one.name === match?.[2]);
  if (architecture !== undefined) return { architecture, tensorflow: match?.[1] !== undefined };
  const known = Object.keys(architectures);
  const suggestion = suggestName(name, known);
  throw new EfficientNetError(
    'ERR_UNKNOWN_ARCHITECTURE',
    `Expected the name of an architecture but received ${describeValue(name)}.` +
      (suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`) +
      ` Known: ${known.join(', ')}, each also as efficientnet_NAME, efficientnet-NAME or tf_efficientnet_NAME`,
  );
}

function suggestName(name: string, known: readonly string[]): string | undefined {
  const spellings = known.flatMap((one) => [one, `efficientnet_${one}`, `efficientnet-${one}`, `tf_efficientnet_${one}`]);
  const found = nearest(name, spellings);
  if (found !== undefined || name.length > 80) return found;
  // 'b9' or 'efficientnet_x0' with a foreign tag: compare what follows the family's name.
  return nearest(name.toLowerCase().replace(/^(tf[_-])?efficientnet[_-]?/, ''), known);
}
