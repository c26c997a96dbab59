// SPDX-License-Identifier: Apache-2.0
// Entry of the command line: picks the command, and turns whatever goes wrong into a message on
// standard error and an exit status: 1 for a failure, 2 for wrong usage.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { EfficientNetError } from '../errors.js';
import { bench } from './bench.js';
import { classify } from './classify.js';
import { convert } from './convert.js';
import { helpOf, hint, readArguments, UsageError, type Command } from './command.js';
import { info } from './info.js';
import { models } from './models.js';
import { run } from './run.js';
import { scale } from './scale.js';
import { Terminal } from './terminal.js';

const commands: readonly Command[] = [classify, run, info, convert, bench, models, scale];

/** Runs one command line, without the program's name, and returns the exit status. */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  const [first, ...rest] = args;
  let name = '';
  try {
    if (first === '--version' || first === '-v') {
      terminal.out(version());
      return 0;
    }
    if (first === '--help' || first === '-h' || first === 'help') {
      terminal.out(first === 'help' && rest[0] !== undefined ? helpOf(find(rest[0])) : overview());
      return 0;
    }
    if (first === undefined) throw new UsageError('Expected a command');
    const command = find(first);
    name = `${command.name} `;
    const values = readArguments(command, rest);
    if (values.has('help')) {
      terminal.out(helpOf(command));
      return 0;
    }
    return await command.run(values, terminal);
  } catch (error) {
    return report(error, name, terminal);
  }
}

/** Runs the process's own command line. */
export async function main(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    // Whoever read the output wants no more of it ("| head"): no reason to complain.
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit();
      if (stream !== process.stderr) process.stderr.write(`efficientnet-simd: The output cannot be written (${error.code ?? error.message})\n`);
      process.exit(1);
    });
  }
  const terminal = new Terminal(process.stdout, process.stderr, process.env);
  // Not process.exit: what is on its way into a pipe must arrive.
  process.exitCode = await runCommandLine(process.argv.slice(2), terminal);
}

function find(name: string): Command {
  const command = commands.find((each) => each.name === name);
  if (command) return command;
  if (name.startsWith('-')) throw new UsageError(`Unknown option ${name}; expected a command first`);
  throw new UsageError(`Unknown command ${JSON.stringify(name)}${hint(name, commands.map((each) => each.name))}`);
}

function report(error: unknown, name: string, terminal: Terminal): number {
  if (error instanceof UsageError) {
    terminal.error(`${error.message}\nTry: efficientnet-simd ${name}--help`);
    return 2;
  }
  if (error instanceof EfficientNetError) {
    terminal.error(error.message);
    // A name that the user typed: usage, like a misspelt option.
    return error.code === 'ERR_UNKNOWN_ARCHITECTURE' ? 2 : 1;
  }
  // A fault of this program: the place helps whoever reports it.
  terminal.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return 1;
}

function overview(): string {
  const lines = commands.map(({ name, operands, summary }) => ({
    left: `  ${name}${operands ? ` ${operands}` : ''}`,
    right: (summary.split(/[.:;]/)[0] ?? '').replaceAll('\n', ' '),
  }));
  const width = Math.max(...lines.map(({ left }) => left.length));
  return [
    `efficientnet-simd ${version()}: EfficientNet inference on the CPU`,
    '',
    'Usage: efficientnet-simd COMMAND [OPTIONS]',
    '',
    'Commands:',
    ...lines.map(({ left, right }) => `${left.padEnd(width)}  ${right}`),
    '',
    'Options:',
    '  -h, --help     show this help; after a command, that command\'s options and examples',
    '  -v, --version  print the version',
    '',
    'Examples:',
    '  efficientnet-simd classify cat.jpg',
    '  efficientnet-simd info --model b3',
  ].join('\n');
}

function version(): string {
  const text = readFileSync(join(__dirname, '..', '..', '..', 'package.json'), 'utf8');
  const { version: found } = JSON.parse(text) as { readonly version: string };
  return found;
}
