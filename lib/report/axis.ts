// SPDX-License-Identifier: Apache-2.0
// Axes of a chart: the range that data need, ticks at round numbers that fit the room, and where a
// value lies. Shared by the pictures and the terminal; draws nothing.

export interface Axis {
  /** With the unit: `latency (ms)`. */
  readonly title: string;
  /** 'linear' unless given. A logarithmic axis leaves out values that are not above zero. */
  readonly scale?: 'linear' | 'log';
  /** Ends of the axis; from the data unless given. */
  readonly min?: number;
  readonly max?: number;
  /** Text of a tick; `formatSi` unless given. */
  readonly format?: (value: number) => string;
}

/** An axis with its range and its ticks settled. */
export interface FittedAxis {
  readonly min: number;
  readonly max: number;
  readonly ticks: readonly number[];
  readonly format: (value: number) => string;
  /** 0 at the lower end, 1 at the upper; outside the range beyond that. */
  readonly position: (value: number) => number;
}

/** Whether a value can be shown on the axis. */
export function isShown({ scale }: Axis, value: number): boolean {
  return Number.isFinite(value) && (scale !== 'log' || value > 0);
}

/**
 * Settles an axis for some values. `fits` says whether these ticks have room; the densest set of
 * round numbers that fits is taken.
 */
export function fitAxis(
  axis: Axis,
  values: readonly number[],
  fits: (ticks: readonly number[], fitted: FittedAxis) => boolean,
): FittedAxis {
  const log = axis.scale === 'log';
  const shown = values.filter((value) => isShown(axis, value));
  const [low, high] = extent(shown, log);
  const format = axis.format ?? formatSi;
  const build = (ticks: readonly number[], [min, max]: readonly [number, number]): FittedAxis => {
    const [from, to] = log ? [Math.log(min), Math.log(max)] : [min, max];
    const position = (value: number): number => ((log ? Math.log(value) : value) - from) / (to - from);
    return {
      min,
      max,
      ticks: ticks.filter((tick) => tick >= min * (1 - 1e-9) - 1e-12 && tick <= max * (1 + 1e-9) + 1e-12),
      format,
      position,
    };
  };
  // Room around the outermost points, unless the caller set the end.
  const nearZero = !log && low >= 0 && low < 0.3 * high;
  const [from, to] = [axis.min ?? (nearZero ? 0 : low), axis.max ?? high];
  const pad = log ? Math.exp(0.05 * Math.log(to / from)) : 0.04 * (to - from);
  const min = axis.min ?? (log ? from / pad : nearZero ? 0 : from - pad);
  const max = axis.max ?? (log ? to * pad : to + pad);
  const range: readonly [number, number] = max > min ? [min, max] : log ? [min, min * 10] : [min, min + 1];
  let fallback: FittedAxis | undefined;
  for (const ticks of log ? logTickSets(range) : linearTickSets(range)) {
    const fitted = build(ticks, range);
    if (distinct(fitted) && fits(fitted.ticks, fitted)) return fitted;
    fallback ??= fitted;
  }
  return build(fallback?.ticks.slice(0, 1) ?? [], range);
}

/** Two ticks of the same text would mislead. */
function distinct({ ticks, format }: FittedAxis): boolean {
  return new Set(ticks.map(format)).size === ticks.length;
}

function extent(values: readonly number[], log: boolean): readonly [number, number] {
  const [low, high] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  if (low === undefined || high === undefined || low > high) return log ? [1, 10] : [0, 1];
  if (low < high) return [low, high];
  if (log) return [low / 2, low * 2];
  const margin = low === 0 ? 1 : Math.abs(low) * 0.1;
  return [low - margin, low + margin];
}

/** Densest first. */
function linearTickSets([min, max]: readonly [number, number]): readonly (readonly number[])[] {
  const sets: number[][] = [];
  const span = max - min;
  for (let exponent = Math.floor(Math.log10(span / 16)); exponent <= Math.ceil(Math.log10(span)); exponent++) {
    for (const mantissa of [1, 2, 5]) {
      const step = mantissa * 10 ** exponent;
      const count = Math.floor(max / step + 1e-9) - Math.ceil(min / step - 1e-9) + 1;
      if (count < 2 || count > 12) continue;
      // Dividing keeps 0.3 from becoming 0.30000000000000004.
      sets.push(Array.from({ length: count }, (_, i) => Number(((Math.ceil(min / step - 1e-9) + i) * step).toPrecision(12))));
    }
  }
  return sets;
}

function logTickSets([min, max]: readonly [number, number]): readonly (readonly number[])[] {
  const first = Math.floor(Math.log10(min));
  const last = Math.ceil(Math.log10(max));
  const decades = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const at = (mantissas: readonly number[], every = 1): number[] =>
    decades
      .filter((exponent) => (exponent - first) % every === 0)
      .flatMap((exponent) => mantissas.map((mantissa) => Number((mantissa * 10 ** exponent).toPrecision(12))))
      .filter((tick) => tick >= min * (1 - 1e-9) && tick <= max * (1 + 1e-9));
  const sets = [[1, 1.5, 2, 3, 4, 5, 6, 8], [1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]].map((mantissas) => at(mantissas));
  for (const every of [2, 3, 4, 6]) sets.push(at([1], every));
  // Less than half a decade: round numbers of a linear axis read better.
  if (max / min < 3) sets.unshift(...linearTickSets([min, max]).map((set) => [...set]));
  return sets.filter((set) => set.length >= 2 && set.length <= 12);
}

/** 5288548 as `5.29 M`, 0.0123 as `12.3 m`; three significant digits. */
export function formatSi(value: number): string {
  if (value === 0) return '0';
  const prefixes = ['p', 'n', 'µ', 'm', '', 'k', 'M', 'G', 'T', 'P'];
  const rounded = Number(value.toPrecision(3));
  const thousands = Math.min(5, Math.max(-4, Math.floor(Math.log10(Math.abs(rounded)) / 3 + 1e-12)));
  const text = String(Number((rounded / 1000 ** thousands).toPrecision(3)));
  const prefix = prefixes[thousands + 4] ?? '';
  return prefix === '' ? text : `${text} ${prefix}`;
}

/** Plain decimals, as few as the value needs: 0.5, 12, 1,200. */
export function formatPlain(value: number): string {
  const text = String(Number(value.toPrecision(6)));
  return text.includes('e') ? text : text.replace(/^(-?\d+)/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ','));
}
