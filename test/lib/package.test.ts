// SPDX-License-Identifier: Apache-2.0
// The package as users get it: packs it, lints the tarball with publint and are-the-types-wrong,
// installs it into an empty folder without scripts, then loads it both ways and compiles against its
// types. What the library computes is tested elsewhere.
// Runs alone: it builds again what the others load.

import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const root = join(__dirname, '..', '..', '..');
const MEGABYTE = 1e6;

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(command: string, args: readonly string[], folder: string): Outcome {
  const result = spawnSync(command, args, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    shell: process.platform === 'win32' && command === 'npm',
  });
  if (result.error) throw result.error;
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

function succeed(command: string, args: readonly string[], folder: string): string {
  const { code, stdout, stderr } = run(command, args, folder);
  assert.equal(code, 0, `${command} ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

/** The file that a development dependency's command starts. */
function tool(name: string, command: string): string {
  const folder = join(root, 'node_modules', name);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { bin: Record<string, string> };
  return join(folder, bin[command] ?? '');
}

/** Files below a folder, as paths relative to it, with their sizes. */
function filesOf(folder: string): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const { size, mode } = lstatSync(join(folder, file));
    if ((mode & 0o170000) === 0o100000) sizes.set(file.replaceAll('\\', '/'), size);
  }
  return sizes;
}

const total = (sizes: ReadonlyMap<string, number>): number => [...sizes.values()].reduce((a, b) => a + b, 0);

describe('the published package', function () {
  this.timeout(600_000);
  const scratch = mkdtempSync(join(tmpdir(), 'efficientnet-simd-package-'));
  const consumer = join(scratch, 'consumer');
  const installed = join(consumer, 'node_modules', 'efficientnet-simd');
  let tarball = '';
  after(() => {
    rmSync(scratch, { recursive: true, force: true });
  });

  before(() => {
    succeed(process.execPath, ['scripts/prepack.js'], root);
    succeed('npm', ['pack', '--ignore-scripts', '--pack-destination', scratch], root);
    const found = readdirSync(scratch).filter((file) => file.endsWith('.tgz'));
    assert.equal(found.length, 1);
    tarball = join(scratch, found[0] ?? '');
  });

  it('passes publint', () => {
    const report = succeed(process.execPath, [tool('publint', 'publint'), 'run', tarball, '--strict'], root);
    assert.match(report, /All good!/);
  });

  it('passes are-the-types-wrong', () => {
    const attw = tool('@arethetypeswrong/cli', 'attw');
    const report = succeed(process.execPath, [attw, tarball, '--profile', 'strict', '--format', 'json'], root);
    const { analysis } = JSON.parse(report) as { analysis: { types: unknown; problems: unknown } };
    assert.deepEqual(analysis.types, { kind: 'included' });
    assert.deepEqual(analysis.problems, []);
  });

  describe('installed without scripts', () => {
    before(function () {
      mkdirSync(consumer);
      writeFileSync(join(consumer, 'package.json'), '{ "private": true }\n');
      const args = ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', tarball];
      const { code, stdout, stderr } = run('npm', args, consumer);
      if (code !== 0 && /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH/.test(stderr)) {
        console.log('    the package registry cannot be reached');
        this.skip();
      }
      assert.equal(code, 0, `npm ${args.join(' ')}\n${stdout}${stderr}`);
    });

    it('takes less than 5 MB with its dependencies', () => {
      const all = filesOf(join(consumer, 'node_modules'));
      const own = filesOf(installed);
      console.log(`    package ${(total(own) / MEGABYTE).toFixed(2)} MB, installed ${(total(all) / MEGABYTE).toFixed(2)} MB`);
      assert.ok(own.size > 50, `only ${own.size} files`);
      assert.ok(total(all) < 5 * MEGABYTE, `${total(all)} bytes`);
      assert.ok(![...all.keys()].some((file) => file.startsWith('sharp/')), 'sharp is not installed by default');
    });

    it('holds what it needs and nothing else', () => {
      const files = [...filesOf(installed).keys()];
      const allowed = /^(bin|bench\/peers|dist\/lib|esm|prebuilds|native|cmake)\/|^(CMakeLists\.txt|LICENSE|README\.md|package\.json|scripts\/build-native\.js)$/;
      assert.deepEqual(files.filter((file) => !allowed.test(file)), []);
      for (const file of ['LICENSE', 'README.md', 'CMakeLists.txt', 'bin/efficientnet-simd.js', 'bench/peers/peer.py',
        `prebuilds/${process.platform}-${process.arch}/efficientnet_simd.node`]) {
        assert.ok(files.includes(file), file);
      }
      assert.deepEqual(files.filter((file) => /\.test\.|binding\.gyp|_test\.cc/.test(file)), []);
    });

    it('asks for no script at installation', () => {
      const { scripts = {} } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
        scripts?: Record<string, string>;
      };
      const names = Object.keys(scripts).filter((name) => /^(pre|post)?install$/.test(name));
      assert.deepEqual(names, []);
    });

    it('is the same class for require and import, with the same names', () => {
      writeFileSync(join(consumer, 'identity.mjs'), `
        import { createRequire } from 'node:module';
        import * as imported from 'efficientnet-simd';
        const required = createRequire(import.meta.url)('efficientnet-simd');
        const names = Object.keys(required).sort();
        const missing = names.filter((name) => imported[name] !== required[name]);
        const extra = Object.keys(imported).filter((name) => !(name in required) && !['default', 'module.exports'].includes(name));
        console.log(JSON.stringify({ names, missing, extra, same: imported.EfficientNet === required.EfficientNet }));
      `);
      const answer = JSON.parse(succeed(process.execPath, ['identity.mjs'], consumer)) as Record<string, unknown>;
      assert.equal(answer['same'], true);
      assert.deepEqual(answer['missing'], []);
      assert.deepEqual(answer['extra'], []);
      const names = answer['names'] as readonly string[];
      assert.ok(names.includes('load') && names.includes('EfficientNet'), names.join());
    });

    it('runs its prebuilt addon', () => {
      const report = succeed(process.execPath, ['-p', "JSON.stringify(require('efficientnet-simd').cpu())"], consumer);
      const { chosen } = JSON.parse(report) as { chosen: string };
      assert.match(chosen, /^(scalar|avx2|avx512|neon)$/);
    });

    it('offers its command', () => {
      const version = succeed('npm', ['exec', '--offline', '--', 'efficientnet-simd', '--version'], consumer);
      const { version: own } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
      assert.match(version, new RegExp(`\\b${own.replaceAll('.', '\\.')}\\b`));
    });

    /** Type-checks files of the consumer's folder as a user would, strictly and with library checks. */
    function compile(files: Readonly<Record<string, string>>): void {
      for (const [name, text] of Object.entries(files)) writeFileSync(join(consumer, name), text);
      const settings = {
        compilerOptions: {
          target: 'es2022', lib: ['es2023', 'esnext.disposable'], module: 'nodenext', strict: true, noEmit: true,
          skipLibCheck: false, types: ['node'], typeRoots: [join(root, 'node_modules', '@types')],
        },
        files: Object.keys(files),
      };
      writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify(settings));
      succeed(process.execPath, [join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc'), '-p', consumer], consumer);
    }

    it('has types for both, strict, without skipping library checks', () => {
      const body = `
        using model = await load({ architecture: 'b0', threads: 1 });
        const found: readonly { readonly label: string; readonly score: number }[] = await model.classify('cat.jpg', { top: 3 });
        const logits: Float32Array = await model.run(new Float32Array(224 * 224 * 3));
        console.log(found, logits);
      `;
      const wrong = "\n// @ts-expect-error: threads is a number\nvoid load({ architecture: 'b0', threads: 'many' });\n";
      compile({
        'use.mts': `import { load } from 'efficientnet-simd';\n${body}${wrong}`,
        'use.cts': `import { load } from 'efficientnet-simd';\nasync function main(): Promise<void> {${body}}\nvoid main();\n${wrong}`,
      });
    });

    it('is used in the README as its types allow', () => {
      const examples = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1] ?? '');
      assert.ok(examples.length >= 5, `${examples.length} examples found`);
      compile(Object.fromEntries(examples.map((text, i) => [`readme-${i}.mts`, text])));
    });
  });
});
