// SPDX-License-Identifier: Apache-2.0
// Runs the compiled tests of test/lib, each file in a mocha of its own and as many at once as there are
// cores; what a file printed appears in one piece when it ends. A file that says `// Runs alone` above its
// code measures time, or takes every core: those come last, one after the other. Builds nothing.

'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { addCounts } = require('../scripts/native-tests.js');

const root = path.join(__dirname, '..');
const folder = path.join(root, 'test', 'lib');
const mocha = path.join(path.dirname(require.resolve('mocha/package.json')), 'bin', 'mocha.js');

// From the sources, not from dist/: a test that was removed must not run on from its old output.
function listTests(names) {
  return fs.readdirSync(folder, { recursive: true })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => {
      const text = fs.readFileSync(path.join(folder, file), 'utf8');
      // Waiting for a Python that computes networks takes longest, so that it has to begin first.
      return { file, name: path.basename(file, '.test.ts'), alone: /^\/\/ Runs alone/m.test(text), late: !/python/i.test(text) };
    })
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .sort((a, b) => Number(a.late) - Number(b.late) || (a.file < b.file ? -1 : 1));
}

/** The counts of one file, with the names of what failed and was skipped, and its seconds. */
function runFile({ file, name }, scratch, live) {
  const report = path.join(scratch, `${name}.json`);
  const args = [mocha, ...(process.stdout.isTTY ? ['--color'] : []), '--reporter', path.join(__dirname, 'reporter.js'),
    '--reporter-option', `output=${report}`, path.join('dist', 'test', 'lib', file.replace(/\.ts$/, '.js'))];
  const started = performance.now();
  const child = spawn(process.execPath, args, { cwd: root, stdio: live ? 'inherit' : ['ignore', 'pipe', 'pipe'] });
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => output.push(chunk));
  return new Promise((resolve) => {
    const end = (status) => {
      process.stdout.write(Buffer.concat(output));
      const found = fs.existsSync(report) ? JSON.parse(fs.readFileSync(report, 'utf8')) : undefined;
      const counts = sound(name, found, status) ? found
        : { passed: found?.passed ?? 0, failed: (found?.failed ?? 0) + 1, skipped: 0, failedNames: [`${name} as a whole`], skippedNames: [] };
      resolve({ ...counts, name, seconds: (performance.now() - started) / 1000 });
    };
    child.once('error', (error) => end(String(error)));
    child.once('close', (code, signal) => end(signal ?? code));
  });
}

function sound(name, counts, status) {
  let problem;
  if (counts === undefined) problem = `mocha ended without a count (${status})`;
  else if (counts.passed + counts.failed + counts.skipped === 0) problem = 'it holds no test';
  else if (status !== 0 && counts.failed === 0) problem = `no test failed, yet mocha ended with ${status}`;
  if (problem !== undefined) process.stdout.write(`FAILED: ${name}: ${problem}\n`);
  return problem === undefined;
}

async function runAll(tests, jobs, scratch) {
  const queue = [...tests];
  const results = [];
  const work = async () => {
    for (let test = queue.shift(); test !== undefined; test = queue.shift()) results.push(await runFile(test, scratch, jobs === 1));
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return results;
}

/** Runs all of test/lib, or those named; the sum of their counts. */
async function runMocha(names) {
  const tests = listTests(names);
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'efficientnet-simd-test-'));
  try {
    const [alone, together] = [tests.filter((test) => test.alone), tests.filter((test) => !test.alone)];
    const jobs = Math.max(1, Math.min(os.availableParallelism(), together.length));
    const results = [...await runAll(together, jobs, scratch), ...await runAll(alone, 1, scratch)];
    const slowest = results.toSorted((a, b) => b.seconds - a.seconds).slice(0, 12);
    if (tests.length > 1) process.stdout.write(`slowest: ${slowest.map(({ name, seconds }) => `${name} ${seconds.toFixed(0)} s`).join(', ')}\n`);
    for (const { skippedNames } of results) for (const name of skippedNames) process.stdout.write(`skipped: ${name}\n`);
    for (const { failedNames } of results) for (const name of failedNames) process.stdout.write(`failed: ${name}\n`);
    return results.reduce(addCounts, { passed: 0, failed: 0, skipped: 0 });
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
}

module.exports = { runMocha };
