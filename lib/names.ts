// SPDX-License-Identifier: Apache-2.0
// What a network's name means: which architecture, whose conventions, and whose weights. Builds
// nothing; what the libraries publish under which name is in published/.

import type { Architecture } from './architecture.js';
import { architectures, type ArchitectureName } from './architectures.js';
import { describeValue, invalidArgument, nearest } from './check.js';
import { EfficientNetError } from './errors.js';
import type { PublishedModel, PublishedModels, PublishedRecipe } from './published/model.js';
import { timmModels } from './published/timm.js';
import { torchvisionModels } from './published/torchvision.js';
import { missingFor } from './published/unsupported.js';

/** A library's model, and the set of weights that the name asks for. */
export interface PublishedName {
  readonly source: 'timm' | 'torchvision';
  /** As the library spells it: `tf_efficientnet_b0`. */
  readonly model: string;
  /** timm's tag, torchvision's version; the model's default where the name has none or an unknown one. */
  readonly weights: string;
  readonly recipe: PublishedRecipe;
}

export interface ResolvedName {
  readonly architecture: Architecture;
  /** Whether it asks for TensorFlow's padding and epsilon. */
  readonly tensorflow: boolean;
  readonly batchNormEpsilon: number;
  /** Channels were removed after training: the checkpoint's shapes count in place of the architecture's. */
  readonly pruned: boolean;
  /** Undefined for this package's own names. */
  readonly published: PublishedName | undefined;
}

const libraries: readonly (readonly [PublishedName['source'], PublishedModels])[] = [
  ['timm', timmModels],
  ['torchvision', torchvisionModels],
];

/**
 * Finds the architecture of a name, in any case: this package's own (`b0`, `v2-s`), timm's with or
 * without a tag (`tf_efficientnet_b0.ns_jft_in1k`), torchvision's (`efficientnet_v2_s`,
 * `mobilenet_v2.imagenet1k_v2`), and the usual spellings (`efficientnet-b0`, `EfficientNetV2B0`).
 * `tf_` asks for TensorFlow's conventions, `_pruned` for the checkpoint's own shapes.
 *
 * Throws ERR_UNKNOWN_ARCHITECTURE with the nearest known name, ERR_UNSUPPORTED for relatives in timm that
 * need what this package does not have, saying what.
 */
export function resolveName(name: string): ResolvedName {
  if (typeof name !== 'string') throw invalidArgument('architecture', 'the name of an architecture', name);
  const found = findName(name);
  if (found !== undefined) return found;
  const needs = missingFor(partsOf(name).spelling);
  if (needs !== undefined) {
    throw new EfficientNetError('ERR_UNSUPPORTED', `Expected a network that this package runs but received ${describeValue(name)}, which needs ${needs}`);
  }
  const suggestion = suggestName(name);
  throw new EfficientNetError(
    'ERR_UNKNOWN_ARCHITECTURE',
    `Expected the name of an architecture but received ${describeValue(name)}.` +
      (suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`) +
      ' Known: b0 to b8, l2, lite0 to lite4, edgetpu, v2, tinynet, mobilenetv2 and v3, mnasnet, fbnet-c and spnasnet with their ' +
      "variants, also by timm's and torchvision's names; 'efficientnet-simd scale --family --no-measure' lists them",
  );
}

/** The same without an error. */
export function findName(name: string): ResolvedName | undefined {
  const { spelling, tag } = partsOf(name);
  const [model, weights = tag] = renamed(spelling);
  return publishedName(model, weights) ?? ownName(spelling);
}

/** `timm/efficientnet_b0.ra_in1k` without the owner, its tag apart; empty where it is no name at all. */
function partsOf(name: string): { readonly spelling: string; readonly tag: string | undefined } {
  const match = /^(?:(?:hf[-_]hub:)?(?:timm|google)\/)?([a-z0-9_-]{1,64})(?:\.([a-z0-9_]{1,64}))?$/.exec(name.toLowerCase());
  const [, spelling = '', tag] = match ?? [];
  return { spelling, tag };
}

/** What timm called some of its models before it had tags. */
const oldSuffixes: readonly (readonly [RegExp, string])[] = [
  [/^(tf_efficientnet_.+)_ap$/, 'ap_in1k'],
  [/^(tf_efficientnet_.+)_ns_475$/, 'ns_jft_in1k_475'],
  [/^(tf_efficientnet_.+)_ns$/, 'ns_jft_in1k'],
  [/^(tf_efficientnetv2_.+)_in21ft1k$/, 'in21k_ft_in1k'],
  [/^(tf_efficientnetv2_.+)_in21k$/, 'in21k'],
];

function renamed(model: string): readonly [model: string, weights?: string] {
  for (const [pattern, weights] of oldSuffixes) {
    const base = pattern.exec(model)?.[1];
    if (base !== undefined) return [base, weights];
  }
  return [model];
}

function publishedName(name: string, weights: string | undefined): ResolvedName | undefined {
  const candidates = libraries.flatMap(([source, models]) => {
    const model = Object.hasOwn(models, name) ? models[name] : undefined;
    return model === undefined ? [] : [{ source, model }];
  });
  // Both libraries have an efficientnet_b0; a tag tells whose is meant, and timm's comes first.
  const chosen = candidates.find(({ model }) => weights !== undefined && Object.hasOwn(model.weights, weights)) ?? candidates[0];
  return chosen === undefined ? undefined : resolved(chosen.source, name, chosen.model, weights);
}

function resolved(source: PublishedName['source'], name: string, model: PublishedModel, tag: string | undefined): ResolvedName | undefined {
  const weights = tag !== undefined && Object.hasOwn(model.weights, tag) ? tag : Object.keys(model.weights)[0];
  const recipe = weights === undefined ? undefined : model.weights[weights];
  if (weights === undefined || recipe === undefined) return undefined;
  const tensorflow = model.tensorflow === true;
  return {
    architecture: architectureNamed(recipe.architecture ?? model.architecture, model.pruned === true),
    tensorflow,
    batchNormEpsilon: model.batchNormEpsilon ?? epsilonOf(tensorflow),
    pruned: model.pruned === true,
    published: { source, model: name, weights, recipe },
  };
}

function epsilonOf(tensorflow: boolean): number {
  return tensorflow ? 1e-3 : 1e-5;
}

function architectureNamed(name: ArchitectureName, pruned: boolean): Architecture {
  const architecture = architectures[name];
  return pruned ? { ...architecture, name: `${name}-pruned` } : architecture;
}

/** Spellings that begin with the family's name. */
const efficientNets = /^(b\d|l2|lite|edgetpu|v2)/;

/** This package's names without separators, and with the family's name before those that go without it. */
const ownNames: ReadonlyMap<string, ArchitectureName> = new Map(
  (Object.keys(architectures) as ArchitectureName[]).flatMap((name) => {
    const plain = name.replaceAll('-', '');
    const spellings = efficientNets.test(name) ? [plain, `efficientnet${plain}`] : [plain];
    return spellings.map((spelling) => [spelling, name] as const);
  }),
);

function ownName(spelling: string): ResolvedName | undefined {
  const [, prefix, middle = '', suffix] = /^(tf[_-])?(.*?)([_-]pruned)?$/.exec(spelling) ?? [];
  const name = ownNames.get(middle.replaceAll(/[_-]/g, ''));
  if (name === undefined) return undefined;
  const tensorflow = prefix !== undefined;
  const pruned = suffix !== undefined;
  return { architecture: architectureNamed(name, pruned), tensorflow, batchNormEpsilon: epsilonOf(tensorflow), pruned, published: undefined };
}

function suggestName(name: string): string | undefined {
  const own = Object.keys(architectures);
  const spellings = own.flatMap((one) => (efficientNets.test(one) ? [one, `efficientnet_${one}`, `efficientnet-${one}`, `tf_efficientnet_${one}`] : [one]));
  const found = nearest(name, [...spellings, ...libraries.flatMap(([, models]) => Object.keys(models))]);
  if (found !== undefined || name.length > 80) return found;
  // 'b9' or 'efficientnet_x0' with a foreign tag: compare what follows the family's name.
  return nearest(name.toLowerCase().replace(/^(tf[_-])?efficientnet[_-]?/, ''), own);
}
