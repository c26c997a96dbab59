// SPDX-License-Identifier: Apache-2.0
// Where the names of points go so that they cover neither each other nor the points, and lines as
// little as possible. Geometry in pixels, y downwards; draws nothing.

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Segment {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

export interface LabelRequest {
  /** The point that the text names. */
  readonly x: number;
  readonly y: number;
  readonly text: string;
}

export interface PlacedLabel extends Box {
  readonly text: string;
  /** A thin line from the point, where the text is too far from it to be read as its name. */
  readonly leader: Segment | undefined;
}

/** Narrow, normal and wide letters of a usual sans-serif face, as shares of the size. */
const NARROW = /[ijlftrI.,:;|!'()[\] ]/;
const WIDE = /[mwMW@%G]/;

/** An upper estimate of a text's width in pixels: no font is known here. */
export function textWidth(text: string, size: number): number {
  let ems = 0;
  for (const character of text) ems += NARROW.test(character) ? 0.38 : WIDE.test(character) ? 0.98 : 0.65;
  return ems * size;
}

const DISTANCES = [5, 11, 19, 29, 41] as const;
const DIRECTIONS = [
  [1, 0],
  [0, -1],
  [0, 1],
  [-1, 0],
  [1, 1],
  [-1, -1],
  [1, -1],
  [-1, 1],
] as const;
/** Beyond this the eye needs a line to the point. */
const NEAR = 11;

/**
 * A place for each label inside `bounds`, or undefined where there is none that covers neither a
 * label nor an obstacle; earlier requests choose first.
 */
export function placeLabels(
  requests: readonly LabelRequest[],
  size: number,
  bounds: Box,
  obstacles: readonly Box[],
  lines: readonly Segment[],
): readonly (PlacedLabel | undefined)[] {
  const taken: Box[] = [...obstacles];
  const leaders: Segment[] = [];
  return requests.map((request) => {
    let best: { readonly cost: number; readonly label: PlacedLabel } | undefined;
    for (const label of candidates(request, size)) {
      if (!contains(bounds, label) || taken.some((box) => overlaps(box, label))) continue;
      if (leaders.some((leader) => crosses(leader, label))) continue;
      const { leader } = label;
      if (leader !== undefined && taken.some((box) => !encloses(box, request) && crosses(leader, box))) continue;
      const cost = label.cost + 3 * lines.filter((line) => crosses(line, label)).length;
      if (best === undefined || cost < best.cost) best = { cost, label };
    }
    if (best === undefined) return undefined;
    taken.push(best.label);
    if (best.label.leader !== undefined) leaders.push(best.label.leader);
    return best.label;
  });
}

function candidates({ x, y, text }: LabelRequest, size: number): readonly (PlacedLabel & { readonly cost: number })[] {
  const width = textWidth(text, size);
  const height = size * 1.15;
  return DISTANCES.flatMap((distance, ring) =>
    DIRECTIONS.map(([dx, dy], direction) => {
      // Diagonal places keep the same distance from the point; beside it, letters need more air than above it.
      const reach = dx !== 0 && dy !== 0 ? distance * 0.75 : dx !== 0 ? distance + 3 : distance;
      const left = dx === 0 ? x - width / 2 : dx > 0 ? x + reach : x - reach - width;
      const top = dy === 0 ? y - height / 2 : dy > 0 ? y + reach : y - reach - height;
      const nearest = { x: Math.min(left + width, Math.max(left, x)), y: Math.min(top + height, Math.max(top, y)) };
      const leader = distance > NEAR ? { x1: x, y1: y, x2: nearest.x, y2: nearest.y } : undefined;
      return { x: left, y: top, width, height, text, leader, cost: ring * 1.5 + direction * 0.1 };
    }),
  );
}

export function overlaps(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function contains(outer: Box, inner: Box): boolean {
  return (
    inner.x >= outer.x &&
    inner.y >= outer.y &&
    inner.x + inner.width <= outer.x + outer.width &&
    inner.y + inner.height <= outer.y + outer.height
  );
}

function encloses(box: Box, { x, y }: { readonly x: number; readonly y: number }): boolean {
  return x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height;
}

/** Whether a segment touches a box: the segment clipped to the box (Liang and Barsky) is not empty. */
export function crosses({ x1, y1, x2, y2 }: Segment, { x, y, width, height }: Box): boolean {
  let [from, to] = [0, 1];
  for (const [delta, distance] of [
    [x1 - x2, x1 - x],
    [x2 - x1, x + width - x1],
    [y1 - y2, y1 - y],
    [y2 - y1, y + height - y1],
  ] as const) {
    if (delta === 0) {
      if (distance < 0) return false;
    } else if (delta < 0) from = Math.max(from, distance / delta);
    else to = Math.min(to, distance / delta);
  }
  return from <= to;
}
