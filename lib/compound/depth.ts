// SPDX-License-Identifier: Apache-2.0
// How many layers each stage gets when a network is made deeper by any real factor.

/**
 * 'nearest': the sum of all layers, times the factor, rounded to the nearest whole number and shared
 * among the stages. 'up': every stage for itself, rounded up, as the published networks are made.
 */
export type DepthRounding = 'nearest' | 'up';

/**
 * Layers for each stage in proportion to `repeats`, at least one each. The sum grows by one layer at
 * a time as the factor grows, and no stage ever loses one (the method of Webster and Sainte-Laguë):
 * rounding stages one by one would let several jump at the same factor, rounding them up all at once.
 */
export function shareLayers(repeats: readonly number[], factor: number): readonly number[] {
  const whole = repeats.reduce((sum, count) => sum + count, 0);
  const wanted = Math.max(repeats.length, Math.floor(whole * factor + 0.5));
  const layers = repeats.map(() => 1);
  for (let placed = repeats.length; placed < wanted; placed++) {
    let next = 0;
    repeats.forEach((count, stage) => {
      const [claim, best] = [count / ((layers[stage] ?? 1) + 0.5), (repeats[next] ?? 0) / ((layers[next] ?? 1) + 0.5)];
      if (claim > best * (1 + 1e-12)) next = stage;
    });
    layers[next] = (layers[next] ?? 0) + 1;
  }
  return layers;
}
