// SPDX-License-Identifier: Apache-2.0
// timm's names as repositories of the hub, where timm publishes its weights: `efficientnet_b0.ra_in1k` is
// `timm/efficientnet_b0.ra_in1k`.

import { resolveName } from '../names.js';
import type { PublishedModel } from '../published/model.js';
import { timmModels } from '../published/timm.js';

/** The repository of the weights that a name asks for; undefined for one that asks for none in particular. */
export function repositoryOf(name: string): string | undefined {
  const { published } = resolveName(name);
  if (published?.source !== 'timm') return undefined;
  const tag = /\.([a-z0-9_]+)$/i.exec(name)?.[1];
  if (tag !== undefined) return `timm/${published.model}.${tag.toLowerCase()}`;
  // Names from before timm had tags say in their end what a tag says now.
  return name.toLowerCase() === published.model ? undefined : `timm/${published.model}.${published.weights}`;
}

/** The first repository that holds trained weights of an architecture. */
export function repositoryFor(architecture: string): string | undefined {
  const models = Object.entries<PublishedModel>(timmModels).filter(([, model]) => model.untrained !== true && model.pruned !== true);
  const found = models.find(([, model]) => model.architecture === architecture);
  const weights = found && Object.entries(found[1].weights).find(([, recipe]) => (recipe.architecture ?? architecture) === architecture);
  return found && weights && `timm/${found[0]}.${weights[0]}`;
}
