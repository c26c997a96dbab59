// SPDX-License-Identifier: Apache-2.0
// Who wrote a checkpoint, and what follows from it: architecture, padding and epsilon. Reads names and
// shapes only.

import { quote } from './formats/bytes.js';
import type { Checkpoint } from './formats/tensor.js';
import { weightsMismatch } from './fold.js';
import { resolveName } from './names.js';
import { classCount, detectNaming, inferArchitecture, knownSources, type Naming, type NamingScheme } from './naming.js';
import type { Padding } from './network.js';

/** What a checkpoint's names and the architecture's name say about how its network must run. */
export interface CheckpointSource {
  readonly naming: Naming;
  /** Found from the shapes; undefined where they fit no network of the family. */
  readonly architecture: string | undefined;
  readonly padding: Padding;
  readonly batchNormEpsilon: number;
  /** Outputs of the classifier; undefined where there is none. */
  readonly classes: number | undefined;
  /**
   * False where the tensors' names leave padding and epsilon open (timm's) and the architecture was
   * not given by timm's own name (`efficientnet_b0`, `tf_efficientnet_b0`): then they are a guess.
   */
  readonly certain: boolean;
}

/**
 * Finds who wrote a checkpoint, and with it padding and epsilon. timm gives the same tensor names to
 * networks of both conventions: there the `tf_` prefix of `architecture`, the name that the user
 * gave, decides. Throws ERR_WEIGHTS_MISMATCH if the names are no known source's.
 */
export function detectSource(checkpoint: Checkpoint, architecture?: string): CheckpointSource {
  const scheme = schemeOf(checkpoint);
  const inferred = inferArchitecture(checkpoint, scheme);
  const named = architecture === undefined ? undefined : resolveName(architecture);
  const variant = named?.architecture.name ?? inferred;
  return {
    naming: scheme.naming,
    architecture: inferred,
    classes: classCount(checkpoint, scheme),
    certain: scheme.naming !== 'timm' || /^(tf_)?efficientnet_/i.test(architecture ?? ''),
    ...conventions(checkpoint, scheme, variant, named?.tensorflow ?? false),
  };
}

function conventions(
  checkpoint: Checkpoint,
  scheme: NamingScheme,
  variant: string | undefined,
  tensorflow: boolean,
): { padding: Padding; batchNormEpsilon: number } {
  const same = { padding: 'same', batchNormEpsilon: 1e-3 } as const;
  switch (scheme.naming) {
    case 'lukemelas':
    case 'tfjs':
      return same;
    case 'timm':
      return tensorflow ? same : { padding: 'symmetric', batchNormEpsilon: 1e-5 };
    case 'torchvision':
      // Its B5 to B7 hold weights trained in TensorFlow, hence the epsilon, but run with symmetric padding.
      return { padding: 'symmetric', batchNormEpsilon: ['b5', 'b6', 'b7'].includes(variant ?? '') ? 1e-3 : 1e-5 };
    case 'canonical':
      return canonicalConventions(checkpoint);
  }
}

function canonicalConventions({ metadata }: Checkpoint): { padding: Padding; batchNormEpsilon: number } {
  const padding = metadata.get('padding');
  const batchNormEpsilon = Number(metadata.get('batchNormEpsilon') ?? NaN);
  if ((padding !== 'same' && padding !== 'symmetric') || !(batchNormEpsilon >= 0 && batchNormEpsilon <= 1)) {
    throw weightsMismatch(
      "The checkpoint has this package's tensor names, but its metadata does not give padding " +
        "('same' or 'symmetric') and batchNormEpsilon. Write such files with canonicalTensors and canonicalMetadata",
    );
  }
  return { padding, batchNormEpsilon };
}

/** Throws ERR_WEIGHTS_MISMATCH if the names are no known source's. */
export function schemeOf(checkpoint: Checkpoint): NamingScheme {
  const scheme = detectNaming(checkpoint);
  if (scheme !== undefined) return scheme;
  const names = [...checkpoint.tensors.keys()];
  const first = names.length === 0 ? 'it has no tensors' : `it begins with ${names.slice(0, 3).map(quote).join(', ')}`;
  throw weightsMismatch(
    `Expected a checkpoint of EfficientNet from one of ${knownSources.join(', ')}, ` +
      `but no stem convolution was found among the checkpoint's ${names.length} tensors: ${first}`,
  );
}
