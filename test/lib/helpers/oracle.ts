// SPDX-License-Identifier: Apache-2.0
// Comparing with implementations that nobody here wrote: a Python that has them, the files that a
// generator made, and how far logits are apart. Which are compared is in the tests.

import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load, type EfficientNet, type LoadOptions } from '../../../lib/index.js';

export const root = join(__dirname, '..', '..', '..', '..');

/** Importing PyTorch or TensorFlow takes seconds: what a Python has is asked once. */
const known = new Map<string, boolean>();

function imports(python: string, modules: readonly string[]): boolean {
  const command = `import ${modules.join(', ')}`;
  const key = `${python} ${command}`;
  const answer = known.get(key) ?? spawnSync(python, ['-c', command]).status === 0;
  known.set(key, answer);
  return answer;
}

/**
 * The first Python that imports all the modules: the preferred one, Debian's, then the one on PATH. Where
 * there is none, a test is skipped, or fails where the variable `required` is 1.
 */
export function pythonWith(modules: readonly string[], required: string, preferred = process.env['EFFNET_PYTHON']): string | undefined {
  const candidates = [preferred ?? '', '/usr/bin/python3', 'python3'].filter((name) => name !== '');
  const found = candidates.find((name) => imports(name, modules));
  assert.ok(found !== undefined || process.env[required] !== '1', `${required}=1, but no Python here imports ${modules.join(', ')}`);
  return found;
}

/** Runs a generator of test/golden; its messages are the test's failure. */
export function generate(python: string, script: string, args: readonly string[]): void {
  const { status, stderr, stdout } = spawnSync(python, [join(root, 'test', 'golden', script), ...args], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  assert.equal(status, 0, `${script} ${args.join(' ')}: ${stderr}${stdout}`);
}

export function floats(file: string): Float32Array {
  const bytes = readFileSync(file);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

export function largest(values: ArrayLike<number>): number {
  return Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** The largest difference as a share of the largest value expected. */
export function apart(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(found.length, expected.length);
  const [difference, scale] = [largest(Array.from(found, (value, i) => value - (expected[i] ?? NaN))), largest(expected)];
  assert.ok(scale > 0);
  return difference / scale;
}

export async function using<T>(options: LoadOptions, work: (model: EfficientNet) => Promise<T> | T): Promise<T> {
  const model = await load(options);
  try {
    return await work(model);
  } finally {
    await model.close();
  }
}
