// SPDX-License-Identifier: Apache-2.0
// What a command is, and how its arguments are read: strictly, with the nearest known name for a
// misspelt one. Runs no command and writes nothing.

import { parseArgs } from 'node:util';

import { nearest } from '../check.js';
import type { Terminal } from './terminal.js';

export interface Option {
  /** What stands for the value in the help; without one the option is a switch. */
  readonly value?: string;
  readonly help: string;
}

export interface Command {
  readonly name: string;
  /** After the name in the help: `IMAGE...`, or nothing. */
  readonly operands: string;
  readonly summary: string;
  readonly options: Readonly<Record<string, Option>>;
  readonly examples: readonly string[];
  /** Does the work and returns the exit status. */
  run(values: Values, terminal: Terminal): Promise<number>;
}

/** Wrong usage: the message goes to standard error and the exit status is 2. */
export class UsageError extends Error {}

/** Options of every command. */
export const commonOptions: Readonly<Record<string, Option>> = {
  json: { help: 'print one JSON value and nothing else on standard output' },
  help: { help: 'show this help' },
};

/** What --model is unless given. */
export const defaultModel = 'b0';

/** Options of the commands that run a model. */
export const modelOptions = {
  model: { value: 'NAME', help: 'architecture, or owner/name[@revision] of the model hub (default b0)' },
  weights: { value: 'FILE', help: 'checkpoint: a file, folder or URL; without it the published one is fetched once' },
  threads: { value: 'N', help: 'threads to use (default: the cores that this process may use)' },
  isa: { value: 'NAME', help: 'scalar, avx2, avx512 or neon (default: the best that this processor has)' },
} satisfies Readonly<Record<string, Option>>;

/** The arguments of one call, with accessors that check. */
export class Values {
  readonly operands: readonly string[];
  readonly #values: ReadonlyMap<string, string | true>;

  constructor(values: ReadonlyMap<string, string | true>, operands: readonly string[]) {
    this.#values = values;
    this.operands = operands;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return value === true ? undefined : value;
  }

  required(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw new UsageError(`--${name} is required`);
    return value;
  }

  /** A whole number of at least 1. */
  count(name: string, largest: number): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = /^\d{1,9}$/.test(value) ? Number(value) : NaN;
    if (number >= 1 && number <= largest) return number;
    throw new UsageError(`--${name} expects a whole number from 1 to ${largest}, found ${JSON.stringify(value)}`);
  }

  /** A number, also as `1.8e9`, `20M` or `1.5 GiB`. */
  amount(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const match = /^(\d+(?:\.\d+)?(?:e\d{1,2})?)\s?(?:([kKMGT])(i?))?B?$/.exec(value);
    const power = ' KMGT'.indexOf((match?.[2] ?? ' ').toUpperCase());
    const number = Number(match?.[1] ?? NaN) * (match?.[3] === 'i' ? 1024 : 1000) ** power;
    if (number > 0 && Number.isFinite(number)) return number;
    throw new UsageError(`--${name} expects a number above 0, as 5, 1.8e9, 20M or 64MiB, found ${JSON.stringify(value)}`);
  }

  /** Numbers separated by commas. */
  numbers(name: string): readonly number[] | undefined {
    return this.text(name)?.split(',').map((part) => {
      const number = numberOf(part);
      if (number !== undefined) return number;
      throw new UsageError(`--${name} expects numbers separated by commas, as 0,0.5,1, found ${JSON.stringify(part)}`);
    });
  }

  number(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = numberOf(value);
    if (number !== undefined) return number;
    throw new UsageError(`--${name} expects one number, found ${JSON.stringify(value)}`);
  }

  /** One or several of the choices, separated by commas. */
  choices<Choice extends string>(name: string, choices: readonly Choice[]): readonly Choice[] | undefined {
    return this.text(name)?.split(',').map((part) => {
      const found = choices.find((choice) => choice === part.trim());
      if (found !== undefined) return found;
      throw new UsageError(`--${name} expects ${listed(choices)}, or several separated by commas, found ${JSON.stringify(part)}${hint(part, choices)}`);
    });
  }

  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    const value = this.text(name);
    const found = choices.find((choice) => choice === value);
    if (value === undefined || found !== undefined) return found;
    throw new UsageError(`--${name} expects ${listed(choices)}, found ${JSON.stringify(value)}${hint(value, choices)}`);
  }
}

/**
 * Reads a command's arguments.
 * @throws UsageError
 */
export function readArguments(command: Command, args: readonly string[]): Values {
  const known: Readonly<Record<string, Option>> = { ...command.options, ...commonOptions };
  const config = Object.fromEntries(
    Object.entries(known).map(([name, { value }]) => [name, { type: value === undefined ? ('boolean' as const) : ('string' as const) }]),
  );
  const { tokens } = parseArgs({
    args: [...args],
    options: { ...config, help: { type: 'boolean', short: 'h' } },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string | true>();
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(known, token.name) ? known[token.name] : undefined;
    if (!option) throw new UsageError(`Unknown option ${token.rawName}${hint(token.name, Object.keys(known), '--')}`);
    values.set(token.name, readValue(option, token));
  }
  if (command.operands === '' && operands.length > 0 && !values.has('help')) {
    throw new UsageError(`${command.name} takes no arguments but options, found ${JSON.stringify(operands[0])}`);
  }
  return new Values(values, operands);
}

function readValue(
  option: Option,
  token: { readonly rawName: string; readonly value: string | undefined; readonly inlineValue: boolean | undefined },
): string | true {
  const { rawName, value, inlineValue } = token;
  if (option.value === undefined) {
    if (value === undefined) return true;
    throw new UsageError(`${rawName} takes no value, found ${JSON.stringify(value)}`);
  }
  // "--model --json" forgot the value; "--model=--json" did not.
  if (value === undefined || value === '' || (inlineValue !== true && value.startsWith('--'))) {
    throw new UsageError(`${rawName} needs a value: ${rawName} ${option.value}`);
  }
  return value;
}

/** `; did you mean X?`, or nothing. */
export function hint(text: string, names: readonly string[], prefix = ''): string {
  const near = nearest(text, names);
  return near === undefined ? '' : `; did you mean ${prefix}${near}?`;
}

function listed(choices: readonly string[]): string {
  return `${choices.slice(0, -1).join(', ')} or ${choices.at(-1) ?? ''}`;
}

export function helpOf(command: Command): string {
  const options = Object.entries({ ...command.options, ...commonOptions });
  const left = options.map(([name, { value }]) => `  ${name === 'help' ? '-h, ' : ''}--${name}${value === undefined ? '' : ` ${value}`}`);
  const width = Math.max(...left.map((text) => text.length));
  return [
    `Usage: efficientnet-simd ${[command.name, command.operands, '[OPTIONS]'].filter(Boolean).join(' ')}`,
    '',
    command.summary,
    '',
    'Options:',
    ...options.map(([, { help }], i) => `${(left[i] ?? '').padEnd(width)}  ${help}`),
    '',
    'Examples:',
    ...command.examples.map((example) => `  efficientnet-simd ${example}`),
  ].join('\n');
}

function numberOf(text: string): number | undefined {
  const number = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i.test(text) ? Number(text) : NaN;
  return Number.isFinite(number) ? number : undefined;
}
