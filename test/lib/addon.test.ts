// SPDX-License-Identifier: Apache-2.0
// How the addon is found and loaded, and what it says of the processor. Its sessions are binding.test.ts's.

import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { cpu } from '../../lib/cpu.js';

describe('loading the addon', () => {
  const binding = join(__dirname, '../../lib/binding.js');
  const script = (path: string): string =>
    `try { require(${JSON.stringify(path)}).addon(); console.log('loaded'); }
     catch (e) { console.log(JSON.stringify({ code: e.code, name: e.name, message: e.message })); }`;
  const outcome = (path: string, binary: string): { code: string; name: string; message: string } => {
    const env = { ...process.env, EFFICIENTNET_SIMD_BINARY: binary };
    const text = execFileSync(process.execPath, ['-e', script(path)], { env, encoding: 'utf8' });
    return JSON.parse(text) as { code: string; name: string; message: string };
  };

  it('names the override that could not be loaded and tries nothing else', () => {
    const { code, name, message } = outcome(binding, join(tmpdir(), 'no-such-addon.node'));
    assert.equal(code, 'ERR_NATIVE');
    assert.equal(name, 'EfficientNetError');
    assert.match(message, /EFFICIENTNET_SIMD_BINARY=.*no-such-addon\.node/);
    assert.doesNotMatch(message, /build\/Release/);
  });

  it('refuses a file that is no addon, or another addon', () => {
    const folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    try {
      writeFileSync(join(folder, 'text.node'), 'not a shared object');
      assert.equal(outcome(binding, join(folder, 'text.node')).code, 'ERR_NATIVE');
      writeFileSync(join(folder, 'other.js'), 'exports.cpu = () => 1;');
      assert.match(outcome(binding, join(folder, 'other.js')).message, /not an addon of this version/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('collects every failure and says how to build', () => {
    // A copy of the loader in a folder that has no binaries.
    const folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    try {
      const lib = join(folder, 'dist', 'lib');
      mkdirSync(lib, { recursive: true });
      for (const file of ['binding.js', 'errors.js']) copyFileSync(join(__dirname, '../../lib', file), join(lib, file));
      const { code, message } = outcome(join(lib, 'binding.js'), '');
      assert.equal(code, 'ERR_NATIVE');
      assert.match(message, /build\/Release\/efficientnet_simd\.node: /);
      assert.match(message, new RegExp(`prebuilds/${process.platform}-${process.arch}/efficientnet_simd\\.node: `));
      assert.match(message, /npm run build/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('cpu()', () => {
  it('lists the instruction sets best first, and chooses one that is present', () => {
    const report = cpu();
    assert.ok(Number.isInteger(report.cores) && report.cores >= 1);
    assert.equal(report.isas.at(-1)?.name, 'scalar');
    assert.equal(report.isas.at(-1)?.present, true);
    if (process.env['EFFICIENTNET_SIMD_ISA'] === undefined) {
      assert.equal(report.chosen, report.isas.find(({ present }) => present)?.name);
    }
    for (const { lanes, tiles } of report.isas) {
      assert.equal(tiles.gemmColumns % lanes, 0);
      assert.ok(tiles.gemmRows >= 1 && tiles.gemvColumns >= lanes);
    }
    for (const size of Object.values(report.caches)) assert.ok(size >= 4096);
  });
});
