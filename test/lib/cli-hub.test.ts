// SPDX-License-Identifier: Apache-2.0
// The command line with repositories and addresses in place of files: classify, run, models, progress.

import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';

import { runCommandLine } from '../../lib/cli/main.js';
import { progressLine } from '../../lib/cli/progress.js';
import { Terminal, type Stream } from '../../lib/cli/terminal.js';
import { writeSafetensors } from '../../lib/formats/safetensors.js';
import { commit, sha256, startHub, type FakeHub } from './fake-hub.js';
import { syntheticB0 } from './synthetic.js';

const weights = writeSafetensors(syntheticB0('timm').values());
const image = join(__dirname, '..', '..', '..', 'test', 'images', 'chelsea.png');
const config = {
  architecture: 'tf_efficientnet_b0', label_names: Array.from({ length: 1000 }, (_, i) => `class ${i}`),
  pretrained_cfg: { input_size: [3, 64, 64], interpolation: 'bilinear', crop_pct: 1, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
};

describe('cli, repositories and addresses', () => {
  let hub: FakeHub;
  let home: string;
  let address: string;
  const environment = { ...process.env };
  const server = createServer((_request, response) => response.end(weights));

  before(async () => {
    hub = await startHub();
    hub.repositories.set('me/cats', new Map([
      ['config.json', { bytes: Buffer.from(JSON.stringify(config)), large: false }], ['model.safetensors', { bytes: weights, large: true }],
    ]));
    hub.repositories.set('me/text', new Map([
      ['config.json', { bytes: Buffer.from('{"model_type":"bert"}'), large: false }], ['model.safetensors', { bytes: weights, large: true }],
    ]));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/b0.safetensors`;
    home = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    for (const key of Object.keys(process.env)) if (/^(hf_.*|.*_proxy|efficientnet_simd_.*)$/i.test(key)) delete process.env[key];
    Object.assign(process.env, { HF_HOME: home, HF_ENDPOINT: hub.url, EFFICIENTNET_SIMD_CACHE: join(home, 'own') });
  });

  after(async () => {
    await hub.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(home, { recursive: true, force: true });
    for (const key of Object.keys(process.env)) if (!(key in environment)) delete process.env[key];
    Object.assign(process.env, environment);
  });

  async function call(...args: readonly string[]): Promise<{ readonly status: number; readonly out: string; readonly err: string }> {
    const texts = ['', ''];
    const [out, err] = [0, 1].map((i): Stream => Object.assign(
      new Writable({
        write(chunk: Buffer, _encoding, done) {
          texts[i] += chunk.toString();
          done();
        },
      }),
      { isTTY: i === 1, columns: 100 },
    ));
    assert.ok(out !== undefined && err !== undefined);
    const status = await runCommandLine(args, new Terminal(out, err, {}));
    return { status, out: texts[0] ?? '', err: texts[1] ?? '' };
  }

  it('classifies with a repository, showing the download', async () => {
    const { status, out, err } = await call('classify', '--model', 'me/cats', '--threads', '1', '--json', image);
    assert.equal(status, 0, err);
    const [first] = JSON.parse(out) as { readonly predictions: readonly { readonly label: string }[] }[];
    assert.match(first?.predictions[0]?.label ?? '', /^class \d+$/);
    assert.match(err, /Fetching me\/cats .*MB of 21\.\d MB/);
    assert.ok((await call('classify', '--model', `me/cats@${commit}`, '--threads', '1', image)).err === '');
  });

  it('runs at the size of the network that a repository or a checkpoint turns out to be', async () => {
    const input = join(home, 'in.f32');
    const output = join(home, 'out.f32');
    writeFileSync(input, new Uint8Array(224 * 224 * 3 * 4));
    for (const options of [['--model', 'me/cats'], ['--weights', address, '--model', 'tf_efficientnet_b0']]) {
      const { status, err } = await call('run', ...options, '--threads', '1', '--input', input, '--output', output);
      assert.equal(status, 0, err);
      assert.equal(readFileSync(output).length, 4000);
    }
    const folder = join(home, 'folder');
    const { status, err } = await call('run', '--weights', folder, '--input', input, '--output', output);
    assert.deepEqual([status, err], [1, `efficientnet-simd: ${folder}: The file cannot be read: ENOENT: no such file or directory, open '${folder}'\n`]);
  });

  it('lists what is cached of the family, and nothing else', async () => {
    await call('classify', '--model', 'me/text', image);
    const entries = JSON.parse((await call('models', '--json')).out) as readonly Record<string, unknown>[];
    assert.deepEqual(entries.map(({ name }) => name), ['b0', 'me/cats']);
    const { architecture, source, licence, bytes, cached } = entries[1] ?? {};
    assert.deepEqual([architecture, source, licence, bytes], ['tf_efficientnet_b0', 'hub', null, weights.length]);
    assert.ok(String(cached).endsWith(join('snapshots', commit)));
    assert.match((await call('models')).out, /\nme\/cats +yes +21\.\d MB +hub/);
  });

  it('refuses what contradicts itself, and a hash that is another', async () => {
    assert.deepEqual((({ status, err }) => [status, /give it without --weights/.test(err)])(await call('classify', '--model', 'me/cats', '--weights', address, image)), [2, true]);
    const integrity = `sha256-${Buffer.from(sha256(Buffer.from('x')), 'hex').toString('base64')}`;
    const { status, err } = await call('classify', '--weights', `${address}?v=2`, '--integrity', integrity, image);
    assert.equal(status, 1);
    assert.match(err, /not the file that the option integrity asks for/);
  });

  it('draws a total that nobody knows as none', () => {
    assert.equal(progressLine({ name: 'x', receivedBytes: 5_000_000, totalBytes: 0 }, 1000), `Fetching x  ▕${' '.repeat(16)}▏  5.0 MB  5.0 MB/s`);
  });
});
