// SPDX-License-Identifier: Apache-2.0
// What a graph does to an image before its first layer: arithmetic per channel, which is the
// normalisation that its users need not do. Finds it and the size of image that the file declares.

import { elementCount } from './bytes.js';
import { constantNumbers, type Graph } from './graph.js';
import type { CheckpointInput } from './tensor.js';

type Rgb = readonly [red: number, green: number, blue: number];

export interface GraphInput {
  /** The first layer sees scale * x + shift of the graph's input, per channel. */
  readonly scale: Rgb;
  readonly shift: Rgb;
  /** The same as the file has it: "multiply 255, subtract 123.675 116.28 103.53"; empty for nothing. */
  readonly steps: string;
  /** In pixels, where the file says it. */
  readonly height: number | undefined;
  readonly width: number | undefined;
}

/** Longest way from the image to the stem that is followed. */
const kMaxSteps = 64;

/** Follows `name` back to the image; undefined where the way there is more than arithmetic. */
export function graphInput(graph: Graph, name: string): GraphInput | undefined {
  let [scale, shift]: [Rgb, Rgb] = [[1, 1, 1], [0, 0, 0]];
  const steps: string[] = [];
  let cursor = name;
  for (let count = 0; count < kMaxSteps; count++) {
    const operation = graph.operation(cursor);
    switch (operation?.kind) {
      case 'input':
        return { scale, shift, steps: steps.reverse().join(', '), ...imageSize(operation.shape) };
      case 'transpose':
        cursor = operation.input;
        break;
      case 'add':
      case 'subtract':
      case 'multiply':
      case 'divide': {
        const right = colours(graph, operation.right);
        const left = operation.kind === 'add' || operation.kind === 'multiply' ? colours(graph, operation.left) : undefined;
        const values = right ?? left;
        if (values === undefined) return undefined;
        cursor = right === undefined ? operation.right : operation.left;
        steps.push(`${operation.kind} ${new Set(values).size === 1 ? rounded(values[0]) : values.map(rounded).join(' ')}`);
        // Walking backwards: what was found so far is applied after this step.
        if (operation.kind === 'add') shift = combine(shift, combine(scale, values, times), plus);
        else if (operation.kind === 'subtract') shift = combine(shift, combine(scale, values, times), minus);
        else scale = combine(scale, values, operation.kind === 'multiply' ? times : (a, b) => a / b);
        break;
      }
      default:
        return undefined;
    }
  }
  return undefined;
}

/** The same for pixels of 0 to 255, whatever the graph takes as white; without a map where it normalises nothing. */
export function checkpointInput({ height, width, scale, shift }: GraphInput): CheckpointInput {
  const size = { ...(height !== undefined && { height }), ...(width !== undefined && { width }) };
  if (scale.every((one) => one === 1) && shift.every((one) => one === 0)) return size;
  // Deviations are 0.2 to 1 of white: that tells whether the graph takes white as 255 or as 1.
  const white = Math.max(...scale.map(Math.abs)) < 0.1 ? 255 : 1;
  const factor = white / 255;
  return { ...size, map: { scale: combine(scale, [factor, factor, factor], times), shift } };
}

const plus = (a: number, b: number): number => a + b;
const minus = (a: number, b: number): number => a - b;
const times = (a: number, b: number): number => a * b;

function combine(a: Rgb, b: Rgb, operation: (a: number, b: number) => number): Rgb {
  return [operation(a[0], b[0]), operation(a[1], b[1]), operation(a[2], b[2])];
}

/** Float32 numbers as their authors wrote them: 123.675 and not 123.67500305. */
function rounded(value: number): string {
  return String(Number(value.toPrecision(7)));
}

/** A constant of one number, or of one for each colour. */
function colours(graph: Graph, name: string): Rgb | undefined {
  const constant = graph.constant(name);
  const count = constant === undefined ? undefined : elementCount(constant.shape);
  if (constant === undefined || (count !== 1 && count !== 3)) return undefined;
  const [a = NaN, b = a, c = a] = constantNumbers(constant);
  return [a, b, c];
}

/** One image of three colours, in either order; anything else says nothing of its size. */
function imageSize(shape: readonly (number | undefined)[]): { readonly height: number | undefined; readonly width: number | undefined } {
  const [, a, b, c] = shape;
  const isImage = shape.length === 4;
  if (isImage && c === 3 && a !== 3) return { height: a, width: b };
  if (isImage && a === 3) return { height: b, width: c };
  return { height: undefined, width: undefined };
}
