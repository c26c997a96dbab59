// SPDX-License-Identifier: Apache-2.0
// What travels with a checkpoint and says how it is to be used, whoever wrote it: the common form, and
// the reading of single fields. Each writer's own file format is in a file of its own.

import { EfficientNetError } from '../errors.js';
import type { CheckpointFormat } from '../formats/tensor.js';
import type { Padding } from '../network.js';
import { fractionOf } from '../published/model.js';
import type { Crop, Filter, RecipeOptions } from '../recipe.js';

export interface CheckpointConfig {
  /** Where it was read, for messages: a file's name. */
  readonly from: string;
  /** A name that says what the network is; with timm's, padding and epsilon too. */
  readonly architecture?: string | undefined;
  readonly padding?: Padding | undefined;
  readonly batchNormEpsilon?: number | undefined;
  /** What it says of the recipe; the rest is the source's. */
  readonly recipe: RecipeOptions;
  /** Of the classes, in their order. */
  readonly labels?: readonly string[] | undefined;
  /** Readings that are not the only ones, or that cannot be followed. */
  readonly notes: readonly ConfigNote[];
}

/** Where a model came from. */
export interface CheckpointFacts {
  readonly format: CheckpointFormat;
  /** Its file on this machine; null where bytes were given. */
  readonly path: string | null;
  /** What was read of how it is to be used, beside its tensors' names: `config.json`; null for nothing. */
  readonly configuration: string | null;
}

/** A reading that may be another than the one meant. */
export interface ConfigNote {
  readonly message: string;
  /** The option of load that decides; undefined where none does. */
  readonly option: undefined | 'recipe' | 'keras' | keyof RecipeOptions;
}

export type Fields = Readonly<Record<string, unknown>>;

/** ERR_INVALID_CHECKPOINT of a configuration. */
export function badConfig(from: string, what: string): EfficientNetError {
  return new EfficientNetError('ERR_INVALID_CHECKPOINT', `${from}: ${what}`);
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A field's value, or undefined where it is missing or null. Throws where it is of another type. */
export class FieldReader {
  readonly #fields: Fields;
  readonly from: string;

  constructor(fields: Fields, from: string) {
    this.#fields = fields;
    this.from = from;
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined;
  }

  raw(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? (this.#fields[name] ?? undefined) : undefined;
  }

  text(name: string): string | undefined {
    return this.#typed(name, 'a string', (value) => typeof value === 'string');
  }

  flag(name: string): boolean | undefined {
    return this.#typed(name, 'true or false', (value) => typeof value === 'boolean');
  }

  number(name: string, lowest: number, highest: number): number | undefined {
    const inside = (value: unknown): value is number => typeof value === 'number' && value >= lowest && value <= highest;
    return this.#typed(name, `a number from ${lowest} to ${highest}`, inside);
  }

  /** One number for all three channels, or three. */
  rgb(name: string): readonly number[] | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    const numbers: readonly unknown[] = typeof value === 'number' ? [value, value, value] : Array.isArray(value) ? value : [];
    if (numbers.length === 3 && numbers.every((one) => typeof one === 'number' && Number.isFinite(one))) return numbers as readonly number[];
    throw badConfig(this.from, `expected three numbers for ${name}`);
  }

  texts(name: string): readonly string[] | undefined {
    const isList = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every((one) => typeof one === 'string');
    return this.#typed(name, 'an array of strings', isList);
  }

  fields(name: string): FieldReader | undefined {
    const value = this.#typed(name, 'an object', isFields);
    return value === undefined ? undefined : new FieldReader(value, this.from);
  }

  get names(): readonly string[] {
    return Object.keys(this.#fields);
  }

  #typed<T>(name: string, expected: string, test: (value: unknown) => value is T): T | undefined;
  #typed<T>(name: string, expected: string, test: (value: unknown) => boolean): T | undefined;
  #typed(name: string, expected: string, test: (value: unknown) => boolean): unknown {
    const value = this.raw(name);
    if (value === undefined || test(value)) return value;
    throw badConfig(this.from, `expected ${expected} for ${name}`);
  }
}

/** Pillow's filters in the order of its numbers. */
export const pillowFilters: readonly Filter[] = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'];

/** By the name that timm has for it. */
export function filterOf(name: string, from: string, notes: ConfigNote[]): Filter {
  const found = pillowFilters.find((filter) => filter === name);
  if (found !== undefined) return found;
  notes.push({ option: 'filter', message: `${from} asks for ${name} resizing, which is not available: taking bicubic` });
  return 'bicubic';
}

/** Both sides to `resized`, then the centre of `size`. */
export function squashedCrop(size: number, resized: number): { crop: Crop; cropFraction: number } {
  return { crop: 'squash', cropFraction: fractionOf(size, resized) };
}

/** Short side to `resized`, then the centre of `size`. */
export function centreCrop(size: number, resized: number): { crop: Crop; cropFraction: number } {
  return { crop: 'center', cropFraction: fractionOf(size, Math.max(size, resized)) };
}

/** Names for people where the configuration has them beside its own. */
export function namesOf(names: readonly string[], descriptions: Fields | undefined): readonly string[] {
  return names.map((name) => {
    const text = descriptions !== undefined && Object.hasOwn(descriptions, name) ? descriptions[name] : undefined;
    return typeof text === 'string' && text !== '' ? text : name;
  });
}
