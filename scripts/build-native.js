#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Compiles the addon from source into build/Release, incrementally. In the repository `npm install`
// runs it; users of the published package run it as `npx efficientnet-simd-build` on platforms
// without a prebuilt addon. It never runs by itself in a consumer's installation.
//
// Option: --tests, to build the native tests too.

'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');

const root = path.join(__dirname, '..');
const buildFolder = path.join(root, 'build');

// Used only where they are not installed: they are development dependencies of this package.
const TOOLS = ['cmake-js@^8.0.0', 'node-addon-api@^8.9.2'];

function fail(message) {
  process.stderr.write(`\nefficientnet-simd: ${message}\n`);
  process.exit(1);
}

function runs(command, args) {
  const result = spawnSync(command, args, { stdio: 'ignore', shell: false });
  return result.error === undefined && result.status === 0;
}

function missingTools() {
  const missing = [];
  if (!runs('cmake', ['--version'])) missing.push('CMake');
  if (process.platform === 'win32') return missing; // cmake-js finds and reports Visual Studio itself
  const compilers = process.env.CXX ? [process.env.CXX.split(' ')[0]] : ['c++', 'g++', 'clang++'];
  if (!compilers.some((name) => runs(name, ['--version']))) missing.push('a C++17 compiler');
  if (!['ninja', 'make', 'gmake'].some((name) => runs(name, ['--version']))) missing.push('make or ninja');
  return missing;
}

function isInstalled(command) {
  return (process.env.PATH ?? '').split(path.delimiter)
    .some((folder) => fs.existsSync(path.join(folder, command)));
}

// The command that installs everything needed, for the package manager of this machine.
function remedy() {
  if (process.platform === 'darwin') return 'xcode-select --install && brew install cmake';
  if (process.platform === 'win32') {
    return 'winget install Kitware.CMake Microsoft.VisualStudio.2022.BuildTools '
      + '--override "--quiet --add Microsoft.VisualStudio.Workload.VCTools --includeRecommended"';
  }
  const sudo = process.getuid?.() === 0 ? '' : 'sudo ';
  if (isInstalled('apt-get')) return `${sudo}apt-get update && ${sudo}apt-get install -y g++ cmake make`;
  if (isInstalled('apk')) return `${sudo}apk add g++ cmake make`;
  if (isInstalled('dnf')) return `${sudo}dnf install -y gcc-c++ cmake make`;
  return 'install g++ (or clang++), cmake and make with the package manager of this system';
}

function checkTools() {
  const missing = missingTools();
  if (missing.length === 0) return;
  fail(`the native addon cannot be compiled: ${missing.join(' and ')} not found.\n`
    + `Install what is missing, then run the same command again:\n\n  ${remedy()}\n`);
}

// Folder of an installed module, looked for from here and from `extra`.
function moduleFolder(name, extra) {
  try {
    return path.dirname(require.resolve(`${name}/package.json`, { paths: [root, ...extra] }));
  } catch {
    return undefined;
  }
}

// Finds cmake-js and node-addon-api; fetches them into a temporary folder where they are missing.
function buildTools() {
  const find = (extra) => {
    const cmakeJs = moduleFolder('cmake-js', extra);
    const addonApi = moduleFolder('node-addon-api', extra);
    return cmakeJs && addonApi ? { cmakeJs, addonApi } : undefined;
  };
  const present = find([]);
  if (present) return { ...present, dispose() {} };

  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'efficientnet-simd-build-'));
  const dispose = () => fs.rmSync(folder, { recursive: true, force: true });
  process.stderr.write(`efficientnet-simd: fetching the build tools ${TOOLS.join(', ')}\n`);
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
  const npm = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...TOOLS],
    { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'], shell: process.platform === 'win32' });
  const fetched = find([folder]);
  if (npm.status !== 0 || !fetched) {
    dispose();
    fail(`could not fetch ${TOOLS.join(' and ')} with npm; add them to your project with\n\n`
      + `  npm install --save-dev ${TOOLS.join(' ')}\n`);
  }
  return { ...fetched, dispose };
}

// CMake refuses to work in a tree that was moved, or whose tools have gone since it was configured.
function dropStaleCache() {
  const cache = path.join(buildFolder, 'CMakeCache.txt');
  if (!fs.existsSync(cache)) return;
  const text = fs.readFileSync(cache, 'utf8');
  const entry = (name) => new RegExp(`^${name}:\\w+=(.*)$`, 'm').exec(text)?.[1] ?? '';
  const gone = (file) => path.isAbsolute(file) && !fs.existsSync(file);
  const moved = path.resolve(entry('CMAKE_HOME_DIRECTORY')) !== path.resolve(root);
  const used = [entry('CMAKE_MAKE_PROGRAM'), entry('CMAKE_CXX_COMPILER'), entry('EFFNET_NODE_ADDON_API'),
    ...entry('CMAKE_JS_INC').split(';')];
  if (moved || used.some(gone)) fs.rmSync(buildFolder, { recursive: true, force: true });
}

function cmakeJs(tools, extra) {
  const args = [path.join(tools.cmakeJs, 'bin', 'cmake-js'), 'build',
    '--directory', root, '--out', buildFolder, '--parallel', String(os.availableParallelism()),
    '--log-level', 'error', `--CDEFFNET_NODE_ADDON_API=${tools.addonApi}`, ...extra];
  return spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status === 0;
}

const USAGE = `efficientnet-simd-build [--tests]
Compiles the addon for this machine; it needs a C++17 compiler, CMake and make (or Ninja).
  --tests  build the native tests too
`;

function options() {
  try {
    return parseArgs({ options: { tests: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } } }).values;
  } catch (error) {
    process.stderr.write(`${error.message}\n${USAGE}`);
    return process.exit(2);
  }
}

function main() {
  const values = options();
  if (values.help) return void process.stdout.write(USAGE);
  checkTools();
  dropStaleCache();
  const tools = buildTools();
  let built;
  try {
    built = cmakeJs(tools, []) && (!values.tests || cmakeJs(tools, ['--target', 'effnet_tests']));
  } finally {
    tools.dispose();
  }
  if (!built) {
    fail('the native build failed; the compiler\'s messages are above.');
  }
}

main();
