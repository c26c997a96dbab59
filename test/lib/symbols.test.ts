// SPDX-License-Identifier: Apache-2.0
// What the compiled objects export, read with `nm`. An instruction set's object must define its kernel
// table and nothing else that another object could see: a weak copy of a template, compiled for
// AVX-512, could otherwise be chosen by the linker for the whole addon and stop older processors.

import { strict as assert } from 'node:assert';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '..', '..', '..');
const build = join(root, 'build');

interface NamedSymbol {
  readonly kind: string;
  readonly name: string;
}

function symbols(file: string, ...options: readonly string[]): readonly NamedSymbol[] {
  return execFileSync('nm', ['-P', '-C', ...options, file], { encoding: 'utf8', maxBuffer: 1 << 28 })
    .split('\n')
    .map((line) => /^(.+?) ([A-Za-z?])(?: |$)/.exec(line))
    .filter((match): match is RegExpExecArray => match !== null)
    .map((match) => ({ name: match[1] ?? '', kind: match[2] ?? '' }));
}

/** Lower-case kinds are local to the object, except weak ones: w, v and the unique u. */
const isVisible = ({ kind }: NamedSymbol): boolean => /[A-Zwvu]/.test(kind);

function objectOf(isa: string): string | undefined {
  const folder = join(build, 'CMakeFiles', `effnet_isa_${isa}.dir`, 'native', 'kernels');
  const file = existsSync(folder) ? readdirSync(folder).find((name) => name === `${isa}.cc.o`) : undefined;
  return file === undefined ? undefined : join(folder, file);
}

const tables: Readonly<Record<string, string>> = {
  scalar: 'effnet::kScalar',
  avx2: 'effnet::kAvx2',
  avx512: 'effnet::kAvx512',
  neon: 'effnet::kNeon',
};
const expected = process.arch === 'arm64' ? ['scalar', 'neon'] : ['scalar', 'avx2', 'avx512'];

describe('symbols of the compiled objects', () => {
  before(function () {
    // nm of GNU binutils or LLVM; macOS and Windows name and mangle things otherwise.
    if (process.platform !== 'linux' || spawnSync('nm', ['--version']).error !== undefined) this.skip();
  });

  for (const isa of expected) {
    it(`${isa} exports its kernel table and nothing else`, () => {
      const object = objectOf(isa);
      assert.ok(object !== undefined, `${isa}.cc.o not found under build/: run "npm run build"`);
      const own = symbols(object, '--defined-only').filter(isVisible);
      assert.deepEqual(own.map(({ name }) => name), [tables[isa]]);
      assert.match(own[0]?.kind ?? '', /[DR]/, 'a constant, in a data section');
      assert.ok(symbols(object, '--defined-only').length > 10, 'nm lists the kernels');
    });

    it(`${isa} needs nothing but plain memory functions`, () => {
      const object = objectOf(isa) ?? '';
      const harmless = /^(memcpy|memset|memmove|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail)$/;
      const needed = symbols(object, '--undefined-only').map(({ name }) => name);
      assert.deepEqual(needed.filter((name) => !harmless.test(name)), []);
    });

    it(`${isa} runs nothing when it is loaded`, () => {
      const initialisers = symbols(objectOf(isa) ?? '', '--defined-only').filter(({ name }) => name.includes('_GLOBAL__sub_I'));
      assert.deepEqual(initialisers, []);
    });
  }

  it('the addon exports the two entry points of Node-API', () => {
    const addon = join(build, 'Release', 'efficientnet_simd.node');
    const exported = symbols(addon, '-D', '--defined-only').map(({ name }) => name);
    assert.deepEqual([...exported].sort(), ['napi_register_module_v1', 'node_api_module_get_api_version_v1']);
  });

  it('the addon leaves nothing of its own undefined', () => {
    const addon = join(build, 'Release', 'efficientnet_simd.node');
    const open = symbols(addon, '-D', '--undefined-only').map(({ name }) => name);
    assert.deepEqual(open.filter((name) => name.includes('effnet')), []);
    const versions = execFileSync('objdump', ['-T', addon], { encoding: 'utf8', maxBuffer: 1 << 28 });
    assert.ok(!/\bnode::|\bv8::|\buv_/.test(versions), 'only Node-API is used, neither V8 nor libuv');
  });
});
