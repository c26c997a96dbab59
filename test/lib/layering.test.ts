// SPDX-License-Identifier: Apache-2.0
// The layers as a test: reads the include lines of native/ and the import lines of lib/ and compares
// them with the tables below. A new file in lib/ must be given a place in `libLayers`.

import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';

const root = join(__dirname, '..', '..', '..');

function filesUnder(folder: string, endings: readonly string[]): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => file.split(sep).join('/'))
    .filter((file) => endings.some((ending) => file.endsWith(ending)))
    .sort();
}

function matches(text: string, pattern: RegExp): readonly string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? '');
}

// ---- native ---------------------------------------------------------------------------------------

const native = filesUnder('native', ['.h', '.cc', '.inl']);
const includes = new Map(
  native.map((file) => [file, matches(readFileSync(join(root, 'native', file), 'utf8'), /^\s*#\s*include\s+["<]([^">]+)[">]/gm)]),
);
const isIsaFile = (file: string): boolean => /^kernels\/(scalar|avx2|avx512|neon)\.cc$/.test(file);
// The oracle of the tests reads what the engine reads; it is not part of the core library.
const isReference = (file: string): boolean => /^kernels\/reference\.(h|cc)$/.test(file);

/** Folders whose headers a file of the folder may include, its own among them. */
const nativeMay: Readonly<Record<string, readonly string[]>> = {
  base: ['base'],
  simd: ['simd', 'kernels/kernels.h'],
  kernels: ['kernels', 'base'],
  engine: ['engine', 'kernels', 'base'],
  image: ['image', 'engine', 'kernels/kernels.h', 'base'],
  node: ['node', 'image', 'engine', 'kernels', 'base'],
};

function allowedInclude(file: string, target: string): boolean {
  const folder = file.split('/')[0] ?? '';
  const allowed = [...(nativeMay[folder] ?? [])];
  if (isIsaFile(file) || file.endsWith('.inl')) allowed.push('simd');
  if (isReference(file)) allowed.push('engine');
  else if (target.startsWith('kernels/reference')) return false;
  return allowed.some((one) => target === one || target.startsWith(`${one}/`));
}

/** Every header that a translation unit takes in, system headers in <>. */
function reachable(file: string, seen = new Set<string>()): ReadonlySet<string> {
  for (const target of includes.get(file) ?? []) {
    if (seen.has(target)) continue;
    seen.add(target);
    if (includes.has(target)) reachable(target, seen);
  }
  return seen;
}

function offenders(test: (file: string, target: string) => boolean): readonly string[] {
  return [...includes].flatMap(([file, targets]) =>
    targets.filter((target) => test(file, target)).map((target) => `${file} includes ${target}`),
  );
}

describe('layers of native/', () => {
  it('sees the tree', () => {
    assert.ok(native.length >= 30, `only ${native.length} files found`);
    assert.ok(native.filter(isIsaFile).length === 4, 'the four instruction-set files');
  });

  it('includes go down only', () => {
    const own = (target: string): boolean => Object.keys(nativeMay).some((folder) => target.startsWith(`${folder}/`));
    assert.deepEqual(offenders((file, target) => own(target) && !allowedInclude(file, target)), []);
  });

  it('every folder has its place', () => {
    const folders = new Set(native.map((file) => file.split('/')[0] ?? ''));
    assert.deepEqual([...folders].filter((folder) => !(folder in nativeMay)), []);
  });

  it('Node headers stay in node/', () => {
    const isNode = (target: string): boolean => /^(napi|node_api|js_native_api|node|uv|v8)(\.h|_)/.test(target);
    assert.ok(offenders((_, target) => isNode(target)).length > 0);
    assert.deepEqual(offenders((file, target) => isNode(target) && !file.startsWith('node/')), []);
  });

  it('intrinsics stay in simd/', () => {
    const isIntrinsic = (target: string): boolean => /(mmintrin|immintrin|x86intrin|arm_neon|arm_sve)\.h$/.test(target);
    assert.ok(offenders((_, target) => isIntrinsic(target)).length > 0);
    assert.deepEqual(offenders((file, target) => isIntrinsic(target) && !file.startsWith('simd/')), []);
  });

  it('instruction-set files take in no containers and no algorithms', () => {
    const harmless = new Set(['cmath', 'cstddef', 'cstdint', 'cstring', 'immintrin.h', 'arm_neon.h']);
    const found = native.filter(isIsaFile).flatMap((file) =>
      [...reachable(file)].filter((target) => !includes.has(target) && !harmless.has(target)).map((target) => `${file}: <${target}>`),
    );
    assert.deepEqual(found, []);
  });

  it('no printing, aborting or exiting in the core', () => {
    const forbidden = /\b(?:std::)?(?:printf|fprintf|puts|abort|exit|terminate|cout|cerr)\s*(?:\(|<<)/;
    const code = (file: string): string => readFileSync(join(root, 'native', file), 'utf8').replace(/\/\/.*$/gm, '');
    assert.deepEqual(native.filter((file) => forbidden.test(code(file))), []);
  });
});

// ---- lib ------------------------------------------------------------------------------------------

/** Lowest first. A file imports from its own layer or lower ones; `formats/` stands for the folder. */
const libLayers: readonly (readonly string[])[] = [
  ['errors', 'turn'],
  ['check'],
  ['formats/', 'scaling', 'labels', 'scores', 'report/'],
  ['architecture', 'architectures', 'published/', 'names', 'network', 'layers'],
  ['naming/', 'fold', 'naming', 'described-network'],
  ['describe', 'source', 'pruned', 'weights', 'random-weights', 'export-onnx', 'recipe', 'input-recipe', 'leftovers', 'cache', 'output-file'],
  ['config/'],
  ['binding', 'fetch/'],
  ['catalogue', 'cpu', 'image', 'call-arguments', 'model-info', 'hub/'],
  ['efficientnet', 'locate'],
  ['open-weights', 'convert', 'taken-weights'],
  ['model'],
  ['bench/', 'compound/'],
  ['index', 'cli/'],
];

const lib = filesUnder('lib', ['.ts']).filter((file) => !file.endsWith('.d.ts'));
const sources = new Map(lib.map((file) => [file, readFileSync(join(root, 'lib', file), 'utf8')]));
const IMPORT = /(?:^|\n)\s*(?:import|export)\s[^'";]*?from\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)|\brequire\(\s*'([^']+)'\s*\)/g;

function importsOf(file: string): readonly string[] {
  return [...(sources.get(file) ?? '').matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

/** `./errors.js` seen from `formats/torch.ts` is `errors.ts`; undefined for packages. */
function resolveImport(file: string, target: string): string | undefined {
  return target.startsWith('.') ? posix.join(dirname(file), target).replace(/\.js$/, '.ts') : undefined;
}

function layerOf(file: string): number {
  const name = file.replace(/\.ts$/, '');
  return libLayers.findIndex((layer) => layer.some((one) => (one.endsWith('/') ? file.startsWith(one) : one === name)));
}

function edges(): readonly (readonly [string, string])[] {
  return lib.flatMap((file) =>
    importsOf(file)
      .map((target) => resolveImport(file, target))
      .filter((target): target is string => target !== undefined && sources.has(target))
      .map((target) => [file, target] as const),
  );
}

/** The first cycle of imports found, as a path, or an empty list. */
function cycle(): readonly string[] {
  const next = new Map<string, string[]>();
  for (const [from, to] of edges()) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): readonly string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const target of next.get(file) ?? []) {
      const found = visit(target, [...path, file]);
      if (found.length > 0) return found;
    }
    done.add(file);
    return [];
  };
  for (const file of lib) {
    const found = visit(file, []);
    if (found.length > 0) return found;
  }
  return [];
}

function importersOf(pattern: RegExp): readonly string[] {
  return lib.filter((file) => importsOf(file).some((target) => pattern.test(target)));
}

describe('layers of lib/', () => {
  it('every file has its place', () => {
    assert.deepEqual(lib.filter((file) => layerOf(file) < 0), []);
  });

  it('imports go down only', () => {
    const all = edges();
    assert.ok(all.length > 50, `only ${all.length} imports found`);
    assert.deepEqual(
      all.filter(([from, to]) => layerOf(to) > layerOf(from)).map(([from, to]) => `${from} imports ${to}`),
      [],
    );
  });

  it('there is no cycle', () => {
    assert.deepEqual(cycle(), []);
  });

  it('every relative import names a file that exists', () => {
    const missing = lib.flatMap((file) =>
      importsOf(file)
        .filter((target) => !target.endsWith('.node') && !target.endsWith('.json'))
        .filter((target) => !sources.has(resolveImport(file, target) ?? lib[0] ?? ''))
        .map((target) => `${file} imports ${target}`),
    );
    assert.deepEqual(missing, []);
  });

  it('only binding.ts loads the addon', () => {
    assert.deepEqual(importersOf(/\.node$/), ['binding.ts']);
    assert.deepEqual(lib.filter((file) => /dlopen|createRequire/.test(sources.get(file) ?? '')), []);
  });

  it('third-party packages are each used in one place', () => {
    const packages = /^(?!\.|node:)/;
    const outside = importersOf(packages).filter((file) => !file.startsWith('fetch/') && !['image.ts', 'bench/kernels.ts'].includes(file));
    assert.deepEqual(outside, []);
  });

  it('all files start with their licence', () => {
    const header = '// SPDX-License-Identifier: Apache-2.0\n';
    const files = [
      ...filesUnder('native', ['.h', '.cc', '.inl']).map((file) => join('native', file)),
      ...filesUnder('lib', ['.ts']).map((file) => join('lib', file)),
      ...filesUnder('test', ['.ts', '.cc', '.h']).map((file) => join('test', file)),
    ];
    assert.ok(files.length > 80, `only ${files.length} files found`);
    const bare = files.filter((file) => !readFileSync(join(root, file), 'utf8').startsWith(header));
    assert.deepEqual(bare.map((file) => relative('.', file)), []);
  });
});
