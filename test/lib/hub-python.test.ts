// SPDX-License-Identifier: Apache-2.0
// The cache shared with the Python library huggingface_hub itself, in both directions, against the fake
// hub. EFFNET_HUB_PYTHON names a Python that has the library; python3 unless given. Skipped without one,
// unless EFFNET_REQUIRE_HUB=1.

import { strict as assert } from 'node:assert';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { resolveRepository } from '../../lib/hub/repository.js';
import { noise, startHub, type FakeHub } from './fake-hub.js';

const name = 'timm/efficientnet_b0.ra_in1k';
const script = `
import json, os, sys
from huggingface_hub import hf_hub_download, scan_cache_dir
paths = [hf_hub_download("${name}", f) for f in ("config.json", "model.safetensors")]
info = scan_cache_dir()
print(json.dumps({"paths": paths, "repos": [r.repo_id for r in info.repos], "warnings": [str(w) for w in info.warnings]}))
`;

describe('the cache of the Python library', () => {
  let hub: FakeHub;
  let home: string;
  const environment = { ...process.env };
  const python = process.env['EFFNET_HUB_PYTHON'] ?? 'python3';

  before(async function () {
    this.timeout(60_000);
    const found = spawnSync(python, ['-c', 'import huggingface_hub as h; print(h.__version__)'], { encoding: 'utf8' });
    if (found.status !== 0) {
      assert.ok(process.env['EFFNET_REQUIRE_HUB'] !== '1', `EFFNET_REQUIRE_HUB=1, but ${python} does not import huggingface_hub`);
      console.log('      SKIPPED: no Python with huggingface_hub');
      this.skip();
    }
    console.log(`    huggingface_hub ${found.stdout.trim()}`);
    hub = await startHub();
    hub.repositories.set(name, new Map([
      ['config.json', { bytes: Buffer.from('{"architecture":"efficientnet_b0","pretrained_cfg":{}}'), large: false }],
      ['model.safetensors', { bytes: noise(100_000), large: true }],
    ]));
  });

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    for (const key of Object.keys(process.env)) if (/^(hf_.*|hugging.*|.*_proxy|efficientnet_simd_.*)$/i.test(key)) delete process.env[key];
    Object.assign(process.env, { HF_HOME: home, HF_ENDPOINT: hub.url });
    hub.log.length = 0;
  });

  afterEach(() => {
    rmSync(home, { recursive: true, force: true });
    for (const key of Object.keys(process.env)) if (!(key in environment)) delete process.env[key];
    Object.assign(process.env, environment);
  });

  after(() => hub?.close());

  /** Not spawnSync: the hub answers from this process. */
  const run = (env: Readonly<Record<string, string>> = {}): Promise<{ readonly paths: readonly string[]; readonly repos: readonly string[]; readonly warnings: readonly string[] }> =>
    new Promise((resolve, reject) => {
      const child = spawn(python, ['-c', script], { env: { ...process.env, HF_HUB_DISABLE_XET: '1', HF_HUB_DISABLE_TELEMETRY: '1', ...env } });
      let [out, errors] = ['', ''];
      child.stdout.on('data', (text: Buffer) => (out += text.toString()));
      child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
      child.on('close', (status) => (status === 0 ? resolve(JSON.parse(out)) : reject(new Error(errors))));
    });

  it('what Python fetched is found here without a network', async () => {
    const { paths } = await run();
    hub.log.length = 0;
    const { path, file } = await resolveRepository(name);
    assert.deepEqual([join(path, 'config.json'), join(path, file)], paths);
    assert.deepEqual(hub.log, []);
  }).timeout(60_000);

  it('what is fetched here Python finds, offline and online, without fetching it again', async () => {
    const { path, file } = await resolveRepository(name);
    const expected = { paths: [join(path, 'config.json'), join(path, file)], repos: [name], warnings: [] };
    hub.log.length = 0;
    assert.deepEqual(await run({ HF_HUB_OFFLINE: '1' }), expected);
    assert.equal(hub.log.join(), '');
    assert.deepEqual(await run(), expected);
    assert.ok(hub.log.length > 0 && hub.log.every((line) => line.startsWith('HEAD ')), hub.log.join());
    assert.deepEqual(readFileSync(join(path, file)), noise(100_000));
  }).timeout(60_000);
});
