// SPDX-License-Identifier: Apache-2.0
// Runs the native tests of one build folder and adds up their counts. Each test executable prints
// `N passed, N failed` (or `..., N skipped`) as its last line; one that prints no such line, exits
// non-zero without a failure, or counts nothing, is itself a failure. Which executables there are
// comes from ctest, with the emulator of a cross build.
//
// Usage: node scripts/native-tests.js BUILD_FOLDER [NAME...]

'use strict';

const { spawn, spawnSync } = require('node:child_process');

const COUNTS = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/;

/** The counts in the last line of a test's output, or undefined. */
function parseCounts(output) {
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  const match = COUNTS.exec(last.trim());
  return match && { passed: Number(match[1]), failed: Number(match[2]), skipped: Number(match[3] ?? 0) };
}

/** `3 passed, 0 failed`, with `, 2 skipped` only where something was. */
function formatCounts({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

function addCounts(a, b) {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/** [{ name, command: [program, ...arguments], folder }] of the build folder. */
function listTests(buildFolder) {
  const ctest = spawnSync('ctest', ['--test-dir', buildFolder, '-C', 'Release', '--show-only=json-v1'],
    { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (ctest.error || ctest.status !== 0) {
    throw new Error(`ctest could not list the tests of ${buildFolder}: ${ctest.error?.message ?? ctest.stderr}`);
  }
  return JSON.parse(ctest.stdout).tests.map((test) => ({
    name: test.name,
    command: test.command ?? [],
    folder: test.properties?.find((property) => property.name === 'WORKING_DIRECTORY')?.value,
  }));
}

function runOne({ name, command, folder }, env) {
  return new Promise((resolve) => {
    const broken = (why) => {
      process.stdout.write(`${name}: FAILED: ${why}\n`);
      resolve({ passed: 0, failed: 1, skipped: 0 });
    };
    if (command.length === 0) {
      broken('it has not been built');
      return;
    }
    let output = '';
    const child = spawn(command[0], command.slice(1), { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.on('data', (chunk) => {
      output += chunk;
      process.stdout.write(chunk);
    });
    child.on('error', (error) => broken(error.message));
    child.on('close', (code, signal) => {
      const counts = parseCounts(output);
      const ended = signal === null ? `exit code ${code}` : `signal ${signal}`;
      if (counts === null || counts === undefined) broken(`it printed no count (${ended})`);
      else if (counts.passed + counts.failed === 0) broken('it ran no test');
      else if (code !== 0 && counts.failed === 0) broken(`no test failed, yet it ended with ${ended}`);
      else resolve(counts);
    });
  });
}

/** Runs every test of the build folder (or those named) one after another. */
async function runNativeTests(buildFolder, { env = process.env, names = [] } = {}) {
  const tests = listTests(buildFolder).filter(({ name }) => names.length === 0 || names.includes(name));
  let total = { passed: 0, failed: 0, skipped: 0 };
  for (const test of tests) {
    process.stdout.write(`\n${test.name}\n`);
    total = addCounts(total, await runOne(test, env));
  }
  if (tests.length === 0) {
    process.stdout.write(`FAILED: ${buildFolder} holds no native test\n`);
    total.failed += 1;
  }
  return total;
}

module.exports = { runNativeTests, parseCounts, formatCounts, addCounts };

if (require.main === module) {
  const [buildFolder, ...names] = process.argv.slice(2);
  if (buildFolder === undefined) {
    process.stderr.write('usage: node scripts/native-tests.js BUILD_FOLDER [NAME...]\n');
    process.exit(2);
  }
  runNativeTests(buildFolder, { names }).then((total) => {
    process.stdout.write(`\n${formatCounts(total)}\n`);
    process.exitCode = total.failed === 0 ? 0 : 1;
  });
}
