// SPDX-License-Identifier: Apache-2.0
// Who wrote a checkpoint, and what follows from it: architecture, padding and epsilon. Reads names and
// shapes only.

import { architectures } from './architectures.js';
import { quote } from './formats/bytes.js';
import type { Checkpoint } from './formats/tensor.js';
import { weightsMismatch } from './fold.js';
import { findName, resolveName, type ResolvedName } from './names.js';
import { classCount, detectNaming, inferArchitecture, knownSources, type Naming, type NamingScheme } from './naming.js';
import { describedNetwork, ownPadding } from './described-network.js';
import type { Network, Padding } from './network.js';
import type { PublishedModel } from './published/model.js';
import { timmModels } from './published/timm.js';
import { torchvisionModels } from './published/torchvision.js';

/** What a checkpoint's names and the architecture's name say about how its network must run. */
export interface CheckpointSource {
  readonly naming: Naming;
  /** Found from the shapes; undefined where they fit no network of the family. */
  readonly architecture: string | undefined;
  readonly padding: Padding;
  readonly batchNormEpsilon: number;
  /** The network itself, where the file describes it and not just its tensors. */
  readonly network?: Network | undefined;
  /** Outputs of the classifier; undefined where there is none. */
  readonly classes: number | undefined;
  /**
   * False where the tensors' names leave padding and epsilon open (timm's, of networks that it has in
   * both conventions) and the architecture was not given by timm's own name (`efficientnet_b0`,
   * `tf_efficientnet_b0`): then they are a guess.
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
  const network = describedNetwork(checkpoint);
  if (network !== undefined) return { naming: scheme.naming, network, ...factsOf(network), certain: (checkpoint.network?.paddingCertain ?? true) || ownPadding(checkpoint) !== undefined };
  const inferred = architectureOf(checkpoint, scheme);
  const named = architecture === undefined ? undefined : resolveName(architecture);
  return {
    naming: scheme.naming,
    architecture: inferred,
    classes: classCount(checkpoint, scheme),
    certain: true,
    ...conventions(checkpoint, scheme, named?.architecture.name ?? inferred, named),
  };
}

/** What a checkpoint of our own says it is, where that is known here; else what its shapes fit. */
export function architectureOf(checkpoint: Checkpoint, scheme: NamingScheme): string | undefined {
  const said = scheme.naming === 'canonical' ? findName(checkpoint.metadata.get('architecture') ?? '') : undefined;
  return said?.architecture.name ?? inferArchitecture(checkpoint, scheme);
}

interface Conventions {
  readonly padding: Padding;
  readonly batchNormEpsilon: number;
  readonly certain?: boolean;
}

const ofTensorFlow: Conventions = { padding: 'same', batchNormEpsilon: 1e-3 };
const ofPyTorch: Conventions = { padding: 'symmetric', batchNormEpsilon: 1e-5 };

function factsOf({ name, padding, batchNormEpsilon, head }: Network): Omit<CheckpointSource, 'naming' | 'network' | 'certain'> {
  return { architecture: Object.hasOwn(architectures, name) ? name : undefined, padding, batchNormEpsilon, classes: head.classes };
}

function conventions(checkpoint: Checkpoint, scheme: NamingScheme, architecture: string | undefined, named: ResolvedName | undefined): Conventions {
  switch (scheme.naming) {
    case 'timm':
      return timmConventions(architecture, named);
    case 'torchvision':
      return { ...ofPyTorch, batchNormEpsilon: torchvisionEpsilon(architecture) };
    case 'canonical':
      return canonicalConventions(checkpoint);
    case 'lukemelas':
    case 'transformers':
    case 'keras':
    case 'tensorflow':
    case 'tfjs':
    case 'onnx':
    case 'tflite':
      return ofTensorFlow;
  }
}

function timmConventions(architecture: string | undefined, named: ResolvedName | undefined): Conventions {
  if (named?.published?.source === 'timm') return { ...(named.tensorflow ? ofTensorFlow : ofPyTorch), batchNormEpsilon: named.batchNormEpsilon };
  if (named?.tensorflow === true) return ofTensorFlow;
  const base = architecture?.replace(/-pruned$/, '');
  const models = Object.values<PublishedModel>(timmModels).filter(
    (model) => model.architecture === base && (model.pruned === true) === (base !== architecture),
  );
  const trained = models.filter((model) => model.untrained !== true);
  const of = (some: readonly PublishedModel[]): ReadonlySet<boolean> => new Set(some.map(({ tensorflow }) => tensorflow === true));
  // Of two conventions that which has published weights; of two with weights, timm's own.
  const tensorflow = of(trained).has(true) && !of(trained).has(false);
  const { batchNormEpsilon } = { ...(tensorflow ? ofTensorFlow : ofPyTorch), ...models.find((model) => (model.tensorflow === true) === tensorflow) };
  return { padding: tensorflow ? 'same' : 'symmetric', batchNormEpsilon, certain: of(models).size === 1 };
}

function torchvisionEpsilon(architecture: string | undefined): number {
  const model = Object.values<PublishedModel>(torchvisionModels).find((one) => one.architecture === architecture);
  return model?.batchNormEpsilon ?? 1e-5;
}

function canonicalConventions({ metadata }: Checkpoint): Conventions {
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
