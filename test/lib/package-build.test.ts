// SPDX-License-Identifier: Apache-2.0
// scripts/build-native.js on a machine without tools: one message that names what to install. The
// build itself is exercised by everything else that runs.

import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const script = join(__dirname, '..', '..', '..', 'scripts', 'build-native.js');

describe('building without tools', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'efficientnet-simd-tools-'));
  after(() => {
    rmSync(scratch, { recursive: true, force: true });
  });
  before(function () {
    if (process.platform === 'win32') this.skip();
  });

  /** Runs the script where nothing but the named, do-nothing programs is on PATH. */
  function build(name: string, programs: readonly string[]): { readonly code: number | null; readonly message: string } {
    const folder = join(scratch, name);
    mkdirSync(folder);
    for (const program of programs) {
      writeFileSync(join(folder, program), '#!/bin/sh\nexit 0\n');
      chmodSync(join(folder, program), 0o755);
    }
    const { PATH: _, CXX: __, ...env } = process.env;
    const { status, stderr, stdout } = spawnSync(process.execPath, [script], { env: { ...env, PATH: folder }, encoding: 'utf8' });
    assert.equal(stdout, '');
    return { code: status, message: stderr };
  }

  it('names everything that is missing, at once', () => {
    const { code, message } = build('nothing', []);
    assert.equal(code, 1);
    assert.match(message, /CMake and a C\+\+17 compiler and make or ninja not found/);
  });

  it('names only what is missing', () => {
    const { message } = build('compiler', ['c++', 'make']);
    assert.match(message, /: CMake not found/);
  });

  const managers: readonly (readonly [string, RegExp])[] = [
    ['apt-get', /apt-get install -y g\+\+ cmake make/],
    ['apk', /apk add g\+\+ cmake make/],
    ['dnf', /dnf install -y gcc-c\+\+ cmake make/],
  ];
  for (const [manager, command] of managers) {
    it(`gives the command for ${manager}`, function () {
      if (process.platform !== 'linux') this.skip();
      const { code, message } = build(manager, [manager]);
      assert.equal(code, 1);
      assert.match(message, command);
    });
  }
});
