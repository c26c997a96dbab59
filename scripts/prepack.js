// SPDX-License-Identifier: Apache-2.0
// Runs before `npm pack` and `npm publish`: builds, drops from dist/lib what no longer has a source,
// and puts this platform's addon into prebuilds/ beside those already there.

'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');

// npm reads the standard output of a JSON listing, so the build's own goes to standard error.
function run(...args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(1);
}

function dropStale() {
  const compiled = path.join(root, 'dist', 'lib');
  for (const file of fs.readdirSync(compiled, { recursive: true })) {
    const source = file.replace(/(\.d\.ts|\.js)$/, '.ts');
    if (!fs.existsSync(path.join(root, 'lib', source))) fs.rmSync(path.join(compiled, file), { recursive: true });
  }
}

run(path.join(path.dirname(require.resolve('typescript/package.json')), 'bin', 'tsc'));
run(path.join(__dirname, 'build-native.js'));
dropStale();
const folder = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
fs.mkdirSync(folder, { recursive: true });
fs.copyFileSync(path.join(root, 'build', 'Release', 'efficientnet_simd.node'),
  path.join(folder, 'efficientnet_simd.node'));
