// SPDX-License-Identifier: Apache-2.0
// The names that Keras gives the layers of an EfficientNet, for files that do not hold them: Keras 2.12
// to 2.15 numbered the layers of a .weights.h5 by class only (conv2d_17, batch_normalization_24). The
// order in which they were made tells which is which. Judges no shape; fold.ts does.

import { classOf, type KerasLayer } from './keras-layers.js';

/** The layers with the names that the network's own have; others keep the file's. */
export function nameLayers(layers: readonly KerasLayer[]): readonly KerasLayer[] {
  const unnamed = layers.filter(({ name }) => name === undefined);
  const names = new Map<string, string>();
  for (const group of byContainer(unnamed)) for (const [key, name] of networkNames(group)) names.set(key, name);
  return layers.map((layer) => ({ ...layer, name: layer.name ?? names.get(layer.key) ?? layer.key.slice(layer.key.lastIndexOf('/') + 1) }));
}

function byContainer(layers: readonly KerasLayer[]): readonly (readonly KerasLayer[])[] {
  const groups = new Map<string, KerasLayer[]>();
  for (const layer of layers) {
    const container = layer.key.slice(0, layer.key.lastIndexOf('/'));
    const group = groups.get(container);
    if (group === undefined) groups.set(container, [layer]);
    else group.push(layer);
  }
  return [...groups.values()];
}

/** The layers of one class in the order of their numbers. */
function ofClass(layers: readonly KerasLayer[], className: string): readonly KerasLayer[] {
  const number = ({ key }: KerasLayer): number => Number(/_(\d+)$/.exec(key)?.[1] ?? 0);
  return layers.filter(({ key }) => classOf(key) === className).sort((a, b) => number(a) - number(b));
}

const shapeOf = (layer: KerasLayer | undefined): readonly number[] => layer?.variables.get('kernel')?.shape ?? [];
const hasBias = (layer: KerasLayer | undefined): boolean => layer?.variables.has('bias') ?? false;

/**
 * Walks the convolutions as Keras made them: the stem; for each block the expansion, the depthwise
 * convolution, the two of the excite (which alone have biases) and the projection, those that it has;
 * the head. A stage begins where a block changes the channels, the kernel or the kind.
 */
function networkNames(layers: readonly KerasLayer[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const [convs, depthwises, norms] = ['conv2d', 'depthwise_conv2d', 'batch_normalization'].map((name) => ofClass(layers, name));
  if (convs === undefined || depthwises === undefined || norms === undefined || convs.length < 3) return names;
  let [conv, depthwise, norm] = [0, 0, 0];
  const name = (layer: KerasLayer | undefined, text: string): void => void (layer !== undefined && names.set(layer.key, text));
  const normed = (text: string): void => {
    name(convs[conv++], `${text}_conv`);
    name(norms[norm++], `${text}_bn`);
  };
  let [stage, index, last] = [0, 0, ''];
  normed('stem');
  while (conv < convs.length - 1) {
    const first = convs[conv];
    const [kernel = 0, , , out = 0] = shapeOf(first);
    const isFused = kernel > 1;
    const isWide = isFused && shapeOf(convs[conv + 1])[0] === 1 && shapeOf(convs[conv + 1])[2] === out && conv + 1 < convs.length - 1;
    const expands = !hasBias(first) && (!isFused || isWide);
    const project = isFused ? conv + (isWide ? 1 : 0) : conv + (expands ? 1 : 0) + (hasBias(convs[conv + (expands ? 1 : 0)]) ? 2 : 0);
    const [, , , to] = shapeOf(convs[project]);
    const [, , from] = shapeOf(first);
    const kind = `${isFused} ${expands} ${isFused ? kernel : shapeOf(depthwises[depthwise])[0]} ${to}`;
    const isSame = kind === last && (hasBias(first) || from === to);
    [stage, index, last] = isSame ? [stage, index + 1, kind] : [stage + 1, 0, kind];
    const prefix = `block${stage}${String.fromCharCode(97 + index)}_`;
    if (expands) normed(`${prefix}expand`);
    if (!isFused) {
      name(depthwises[depthwise++], `${prefix}dwconv`);
      name(norms[norm++], `${prefix}bn`);
      if (hasBias(convs[conv])) {
        name(convs[conv++], `${prefix}se_reduce`);
        name(convs[conv++], `${prefix}se_expand`);
      }
    }
    normed(`${prefix}project`);
  }
  normed('top');
  return names;
}
