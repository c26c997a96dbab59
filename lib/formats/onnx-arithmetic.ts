// SPDX-License-Identifier: Apache-2.0
// Works out the small numbers that ONNX exports compute while they run: how far to pad, mostly, from
// constants or from the shape of an image. A few values of a few numbers; no tensors, no network.

import { elementCount } from './bytes.js';
import { constantNumbers, type GraphConstant } from './graph.js';
import type { OnnxNode } from './onnx-model.js';

interface Small {
  readonly shape: readonly number[];
  readonly numbers: readonly number[];
}

/** More numbers than any padding or shape has. */
const kMaxNumbers = 64;
/** Of one evaluation; PyTorch's own paddings take about 70. */
const kMaxNodes = 2000;
/** Of all evaluations of a file: L2's 88 paddings at four sizes take 25,000. */
const kMaxInFile = 50_000;
const kMaxDepth = 200;

/** How the values of one file are made. */
export class Makers {
  /** The node that makes a value. */
  readonly node: (name: string) => OnnxNode | undefined;
  readonly constant: (name: string) => GraphConstant | undefined;
  #left = kMaxInFile;

  constructor(node: (name: string) => OnnxNode | undefined, constant: (name: string) => GraphConstant | undefined) {
    this.node = node;
    this.constant = constant;
  }

  /** Counts an evaluated value; false where the file has had its share. */
  count(): boolean {
    return --this.#left >= 0;
  }
}

/**
 * The numbers of a value, or undefined where they depend on more than constants and on the shapes that
 * `shapeOf` gives.
 */
export function smallNumbers(makers: Makers, name: string, shapeOf: (name: string) => readonly number[] | undefined): readonly number[] | undefined {
  return new Evaluator(makers, shapeOf).value(name, 0)?.numbers;
}

class Evaluator {
  readonly #makers: Makers;
  readonly #shapeOf: (name: string) => readonly number[] | undefined;
  readonly #known = new Map<string, Small | undefined>();

  constructor(makers: Makers, shapeOf: (name: string) => readonly number[] | undefined) {
    this.#makers = makers;
    this.#shapeOf = shapeOf;
  }

  value(name: string, depth: number): Small | undefined {
    if (this.#known.has(name)) return this.#known.get(name);
    if (depth > kMaxDepth || this.#known.size > kMaxNodes || !this.#makers.count()) return undefined;
    // A value that depends on itself has none.
    this.#known.set(name, undefined);
    const found = this.#compute(name, depth);
    const result = found !== undefined && found.numbers.length <= kMaxNumbers && found.numbers.length === elementCount(found.shape) ? found : undefined;
    this.#known.set(name, result);
    return result;
  }

  #compute(name: string, depth: number): Small | undefined {
    const constant = this.#makers.constant(name);
    if (constant !== undefined) return constant.bytes.length > 8 * kMaxNumbers ? undefined : small(constant);
    const node = this.#makers.node(name);
    if (node === undefined || node.domain !== '' || node.outputs[0] !== name) return undefined;
    if (node.op === 'Shape') return this.#shape(node, depth);
    const inputs = node.inputs.map((input) => (input === '' ? undefined : this.value(input, depth + 1)));
    // An input that is left out may stay unknown, none that is given.
    return node.inputs.some((input, i) => input !== '' && inputs[i] === undefined) ? undefined : apply(node, inputs);
  }

  #shape({ inputs: [input = ''] }: OnnxNode, depth: number): Small | undefined {
    const shape = this.#shapeOf(input) ?? this.value(input, depth + 1)?.shape;
    return shape && vector(shape);
  }
}

/** -2^63 stands for "from the beginning" in slices: as a number it is exact enough. */
function small(constant: GraphConstant): Small {
  return { shape: constant.shape, numbers: [...constantNumbers(constant)] };
}

function vector(numbers: readonly number[]): Small {
  return { shape: [numbers.length], numbers };
}

const pairs: ReadonlyMap<string, (a: number, b: number) => number> = new Map<string, (a: number, b: number) => number>([
  ['Add', (a, b) => a + b], ['Sub', (a, b) => a - b], ['Mul', (a, b) => a * b], ['Max', Math.max], ['Min', Math.min],
]);
const singles: ReadonlyMap<string, (a: number) => number> = new Map([['Ceil', Math.ceil], ['Floor', Math.floor], ['Neg', (a: number) => -a]]);

/** ONNX's TensorProto types that hold integers: a cast to one of them cuts the fraction off. */
const integerTypes: ReadonlySet<number> = new Set([2, 3, 4, 5, 6, 7, 12, 13]);

function apply(node: OnnxNode, inputs: readonly (Small | undefined)[]): Small | undefined {
  const [a, b, c] = inputs;
  if (a === undefined) return undefined;
  const pair = pairs.get(node.op);
  if (pair !== undefined) return b && inputs.length === 2 ? elementwise(a, b, pair) : undefined;
  const single = singles.get(node.op);
  if (single !== undefined) return { shape: a.shape, numbers: a.numbers.map(single) };
  switch (node.op) {
    case 'Identity':
      return a;
    case 'Cast':
      return integerTypes.has(node.attributes.get('to')?.integer ?? 0) ? { shape: a.shape, numbers: a.numbers.map(Math.trunc) } : a;
    case 'Clip': {
      const low = node.attributes.get('min')?.float ?? b?.numbers[0] ?? -Infinity;
      const high = node.attributes.get('max')?.float ?? c?.numbers[0] ?? Infinity;
      return { shape: a.shape, numbers: a.numbers.map((x) => Math.min(Math.max(x, low), high)) };
    }
    case 'Div':
      // Between integers, which are told by being whole, ONNX cuts off; PyTorch divides floats here or whole results.
      return b && elementwise(a, b, (x, y) => x / y);
    default:
      return rearrange(node, a, b, inputs);
  }
}

function rearrange(node: OnnxNode, a: Small, b: Small | undefined, inputs: readonly (Small | undefined)[]): Small | undefined {
  switch (node.op) {
    case 'Squeeze':
      return a.numbers.length === 1 ? { shape: [], numbers: a.numbers } : undefined;
    case 'Unsqueeze':
      return a.shape.length === 0 ? vector(a.numbers) : undefined;
    case 'Concat':
      return inputs.every((input) => input?.shape.length === 1) ? vector(inputs.flatMap((input) => input?.numbers ?? [])) : undefined;
    case 'ConstantOfShape': {
      const [count = 0] = a.numbers;
      const value = node.attributes.get('value')?.tensor;
      const [fill = 0] = (value && small(value))?.numbers ?? [];
      return a.numbers.length === 1 && count >= 0 && count <= kMaxNumbers ? vector(new Array<number>(count).fill(fill)) : undefined;
    }
    case 'Gather': {
      const indices = b?.numbers ?? [];
      const picked = indices.map((i) => a.numbers[i < 0 ? i + a.numbers.length : i] ?? NaN);
      return a.shape.length === 1 && b ? { shape: b.shape, numbers: picked } : undefined;
    }
    case 'Reshape':
      return b && reshape(a, b.numbers);
    case 'Transpose': {
      const [rows = 0, columns = 0] = a.shape;
      const turned = a.numbers.map((_, i) => a.numbers[(i % rows) * columns + Math.floor(i / rows)] ?? NaN);
      return a.shape.length === 2 ? { shape: [columns, rows], numbers: turned } : undefined;
    }
    case 'Slice':
      return slice(a, inputs);
    default:
      return undefined;
  }
}

function elementwise(a: Small, b: Small, operation: (a: number, b: number) => number): Small | undefined {
  if (b.numbers.length === 1) return { shape: a.shape, numbers: a.numbers.map((x) => operation(x, b.numbers[0] ?? NaN)) };
  if (a.numbers.length === 1) return { shape: b.shape, numbers: b.numbers.map((y) => operation(a.numbers[0] ?? NaN, y)) };
  return a.numbers.length === b.numbers.length ? { shape: a.shape, numbers: a.numbers.map((x, i) => operation(x, b.numbers[i] ?? NaN)) } : undefined;
}

function reshape(a: Small, wanted: readonly number[]): Small | undefined {
  const known = wanted.filter((size) => size !== -1).reduce((product, size) => product * size, 1);
  const shape = wanted.map((size) => (size === -1 ? a.numbers.length / known : size));
  return elementCount(shape) === a.numbers.length && shape.every(Number.isInteger) ? { shape, numbers: a.numbers } : undefined;
}

/** Rows of a list or of a table, forwards or backwards: data, starts, ends, axes, steps. */
function slice(a: Small, [, starts, ends, axes, steps]: readonly (Small | undefined)[]): Small | undefined {
  const one = (value: Small | undefined, otherwise: number): number => (value === undefined ? otherwise : value.numbers.length === 1 ? (value.numbers[0] ?? NaN) : NaN);
  const rows = a.shape[0] ?? 0;
  const width = a.numbers.length / rows;
  const step = one(steps, 1);
  if (starts === undefined || ends === undefined || one(axes, 0) !== 0 || rows === 0 || (step !== 1 && step !== -1)) return undefined;
  const limit = (value: number, low: number, high: number): number => Math.min(Math.max(value < 0 ? value + rows : value, low), high);
  const first = limit(one(starts, NaN), 0, step > 0 ? rows : rows - 1);
  const end = limit(one(ends, NaN), step > 0 ? 0 : -1, step > 0 ? rows : rows - 1);
  const picked: number[] = [];
  for (let row = first; step > 0 ? row < end : row > end; row += step) picked.push(...a.numbers.slice(row * width, (row + 1) * width));
  return { shape: [picked.length / width, ...a.shape.slice(1)], numbers: picked };
}
