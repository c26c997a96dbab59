// SPDX-License-Identifier: Apache-2.0
// What every contestant does, and what several of them need: packages of the user's own, input files,
// numbers of a photo. Each contestant has a file of its own and runs in a process of its own.

import { promises as fs } from 'node:fs';
import { endianness } from 'node:os';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

import { NotInstalled, type Task } from './protocol.js';

export interface Contestant {
  /** Loads everything that a call needs; resolves to what and which version it is. */
  open(task: Task): Promise<string>;
  /** One call, whose result is kept. */
  run(): Promise<void>;
  /** The result of the last call. */
  values(): ArrayLike<number>;
}

/**
 * A package that is not a dependency, from where the command was started or beside this package. The
 * caller declares what it uses of it. Throws NotInstalled.
 */
export async function userPackage(name: string, entry = name): Promise<unknown> {
  let path: string;
  try {
    path = require.resolve(entry, { paths: [process.cwd(), __dirname] });
  } catch {
    throw new NotInstalled(name, `npm install --no-save --ignore-scripts ${name}`);
  }
  return import(pathToFileURL(path).href);
}

/** The version that a package's own file says. */
export async function versionOf(name: string): Promise<string> {
  for (const folder of require.resolve.paths(name) ?? []) {
    for (const base of [join(process.cwd(), 'node_modules'), folder]) {
      const text = await fs.readFile(join(base, name, 'package.json'), 'utf8').catch(() => undefined);
      if (text !== undefined) return `${name} ${(JSON.parse(text) as { readonly version: string }).version}`;
    }
  }
  return name;
}

/** The task's pixels, [batch][3][height][width]; the file may hold more images. */
export async function readInput({ files, batch, height, width }: Task): Promise<Float32Array> {
  const bytes = (await fs.readFile(files.input)).subarray(0, batch * 3 * height * width * 4);
  const floats = new Float32Array(bytes.length / 4);
  Buffer.from(floats.buffer).set(endianness() === 'LE' ? bytes : bytes.swap32());
  return floats;
}

/** How many classes a photo's labels are. */
export const TOP = 5;

/** Index and score of the best classes, in turn, by a softmax in double precision. */
export function bestClasses(logits: ArrayLike<number>): readonly number[] {
  const values = Float64Array.from(logits);
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = values.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  const order = Array.from(powers.keys()).sort((a, b) => (powers[b] ?? 0) - (powers[a] ?? 0));
  return order.slice(0, TOP).flatMap((index) => [index, (powers[index] ?? 0) / sum]);
}
