// SPDX-License-Identifier: Apache-2.0
// The test command: builds what has changed, runs the native tests, then mocha over the compiled
// tests of test/lib, and prints the sum as the last line: `N passed, N failed[, N skipped]`.
// Exits non-zero when anything failed, when nothing ran, or when a part printed no count.
//
// Usage: npm test [-- --native | --lib] [NAME...]; a name is that of a test file without its ending.

'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { runNativeTests, formatCounts, addCounts } = require('../scripts/native-tests.js');
const { runMocha } = require('./mocha-files.js');

const root = path.join(__dirname, '..');

function script(...args) {
  return spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status === 0;
}

function build() {
  if (!script(path.join(root, 'scripts', 'build-native.js'), '--tests')) return false;
  return script(path.join(path.dirname(require.resolve('typescript/package.json')), 'bin', 'tsc'));
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { native: { type: 'boolean', default: false }, lib: { type: 'boolean', default: false } },
  });
  if (!build()) {
    process.stdout.write('FAILED: the build; its messages are above\n0 passed, 1 failed\n');
    process.exitCode = 1;
    return;
  }
  let total = { passed: 0, failed: 0, skipped: 0 };
  const wantsNative = values.native || !values.lib;
  const wantsLib = values.lib || !values.native;
  const nativeNames = positionals.filter((name) => fs.existsSync(path.join(__dirname, 'native', `${name}.cc`)));
  if (wantsNative && (positionals.length === 0 || nativeNames.length > 0)) {
    total = addCounts(total, await runNativeTests(path.join(root, 'build'), { names: nativeNames }));
  }
  if (wantsLib) total = addCounts(total, await runMocha(positionals));
  if (total.passed + total.failed === 0) {
    process.stdout.write('FAILED: no test ran\n');
    total.failed = 1;
  }
  process.stdout.write(`\n${formatCounts(total)}\n`);
  process.exitCode = total.failed === 0 ? 0 : 1;
}

main();
