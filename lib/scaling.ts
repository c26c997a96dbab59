// SPDX-License-Identifier: Apache-2.0
// Compound scaling: the published coefficients of each named network and the rounding rules that
// turn them into channels and layers. Numbers only; it builds no network.

/** How a network differs from its base. */
export interface ScaleFactors {
  /** Multiplies the channels. */
  readonly width: number;
  /** Multiplies the layers of a stage. */
  readonly depth: number;
  /** Height and width of the input in pixels. */
  readonly resolution: number;
}

/** How a network of the family differs from B0. */
export interface Coefficients extends ScaleFactors {
  /** Rate in training; the identity at inference. */
  readonly dropout: number;
}

export type EfficientNetName = 'b0' | 'b1' | 'b2' | 'b3' | 'b4' | 'b5' | 'b6' | 'b7' | 'b8' | 'l2';

/**
 * The published coefficients. They are not alpha^phi, beta^phi, gamma^phi at integer phi: B1, for
 * example, keeps the width of B0, and B7 is 3.1 deep where 1.2^7 is 3.58.
 */
export const coefficients: Readonly<Record<EfficientNetName, Coefficients>> = {
  b0: { width: 1.0, depth: 1.0, resolution: 224, dropout: 0.2 },
  b1: { width: 1.0, depth: 1.1, resolution: 240, dropout: 0.2 },
  b2: { width: 1.1, depth: 1.2, resolution: 260, dropout: 0.3 },
  b3: { width: 1.2, depth: 1.4, resolution: 300, dropout: 0.3 },
  b4: { width: 1.4, depth: 1.8, resolution: 380, dropout: 0.4 },
  b5: { width: 1.6, depth: 2.2, resolution: 456, dropout: 0.4 },
  b6: { width: 1.8, depth: 2.6, resolution: 528, dropout: 0.5 },
  b7: { width: 2.0, depth: 3.1, resolution: 600, dropout: 0.5 },
  b8: { width: 2.2, depth: 3.6, resolution: 672, dropout: 0.5 },
  l2: { width: 4.3, depth: 5.3, resolution: 800, dropout: 0.5 },
};

/** How scaled channels and layers become whole numbers. */
export interface Rounding {
  /** Channels are multiples of this; 8 unless given. */
  readonly divisor?: number | undefined;
  /** The least share of the exact channels that rounding may leave; 0.9 unless given, 0 in EfficientNetV2. */
  readonly limit?: number | undefined;
  /** 'up' unless given; TinyNet rounds its layers to the nearest. */
  readonly depth?: 'up' | 'nearest' | undefined;
}

/**
 * Channels scaled by width and rounded to the nearest multiple of the divisor, at least one of it; if
 * that leaves less than `limit` of the exact value, the next multiple is taken.
 */
export function roundChannels(channels: number, width: number, { divisor = 8, limit = 0.9 }: Rounding = {}): number {
  const exact = channels * width;
  const rounded = Math.max(divisor, Math.floor((exact + divisor / 2) / divisor) * divisor);
  return rounded < limit * exact ? rounded + divisor : rounded;
}

/** Layers of a stage scaled by depth: rounded up, or to the nearest (halves to even) and at least one. */
export function roundRepeats(repeats: number, depth: number, rule: 'up' | 'nearest' = 'up'): number {
  const exact = repeats * depth;
  if (rule === 'up') return Math.ceil(exact);
  const rounded = Math.round(exact);
  return Math.max(1, rounded - exact === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded);
}
