// SPDX-License-Identifier: Apache-2.0
// The addon's kernels as benchmarks see them: names, what an iteration counts, and that nonsense is
// refused with an error that says what was expected. No speed is asserted.

import { strict as assert } from 'node:assert';

import { addon, type Isa, type KernelShape } from '../../lib/binding.js';

const shapes: readonly (readonly [shape: KernelShape, name: RegExp, flops: number, floats: number])[] = [
  [{ kernel: 'gemm', m: 49, n: 24, k: 10, activation: 'swish' }, /^gemm_f32_/, 2 * 49 * 24 * 10, 49 * 10 + 240 + 24 + 49 * 24],
  [{ kernel: 'gemm', m: 1, n: 1, k: 1, activation: 'none', residual: true }, /^gemm_f32_/, 2, 5],
  [{ kernel: 'gemm_pool', m: 49, n: 40, k: 17, activation: 'relu6' }, /^gemm_f32_/, 2 * 49 * 40 * 17, 49 * 17 + 680 + 40 + 40],
  [{ kernel: 'stem', height: 5, width: 7, n: 32, activation: 'swish' }, /^stem_f32_k3s2/, 2 * 35 * 27 * 32, 11 * 45 + 864 + 32 + 1120],
  [{ kernel: 'depthwise', kernelSize: 3, stride: 1, channels: 20, height: 9, width: 9, activation: 'swish' },
    /^depthwise_f32_k3s1/, 2 * 81 * 9 * 20, 121 * 20 + 180 + 20 + 1620],
  [{ kernel: 'depthwise', kernelSize: 5, stride: 2, channels: 1, height: 1, width: 1, activation: 'none' },
    /^depthwise_f32_k5s2/, 50, 25 + 25 + 1 + 1],
  [{ kernel: 'depthwise', kernelSize: 7, stride: 2, channels: 2, height: 3, width: 2, activation: 'hard-swish' },
    /^depthwise_f32_s2/, 2 * 6 * 49 * 2, 11 * 9 * 2 + 98 + 2 + 12],
  [{ kernel: 'conv', kernelSize: 3, stride: 2, k: 24, n: 48, height: 5, width: 4, activation: 'swish' },
    /^conv_f32_s2/, 2 * 20 * 9 * 24 * 48, 11 * 9 * 24 + 9 * 24 * 48 + 48 + 20 * 48],
  [{ kernel: 'gemv', n: 1000, k: 1280, activation: 'none' }, /^gemv_f32_/, 2_560_000, 1280 + 1_280_000 + 2000],
  [{ kernel: 'mean', channels: 96, height: 56, width: 56 }, /^mean_f32_/, 96 * 56, 96 * 56 + 96],
  [{ kernel: 'gate_map', channels: 33, height: 7, width: 7 }, /^gate_map_f32_/, 33 * 49, 2 * 33 * 49 + 33],
  [{ kernel: 'gate_weights', n: 24, k: 96 }, /^gate_weights_f32_/, 24 * 96, 2 * 24 * 96 + 96],
  [{ kernel: 'resample', k: 300, m: 256, n: 224, bytes: 672 }, /^resample_u8_/, 0, (300 + 224) * 168],
  [{ kernel: 'probe_read', threads: 2, bytes: 4096 }, /^probe_read_f32_/, 0, 2048],
];

describe('kernels for benchmarks', () => {
  const { cpu, kernelBench } = addon();
  const present = cpu().isas.filter(({ present: here }) => here);

  for (const { name: isa, lanes } of present) {
    it(`${isa}: every kernel runs on its shape and counts its work`, () => {
      for (const [shape, name, flops, floats] of shapes) {
        const bench = kernelBench({ ...shape, isa });
        assert.match(bench.name, name);
        assert.ok(bench.name.endsWith(`_${isa}`), bench.name);
        assert.equal(bench.flops, flops, bench.name);
        assert.equal(bench.bytes, 4 * floats, bench.name);
        bench.run(1);
        bench.run(3);
      }
    });

    it(`${isa}: the peak counts whole vectors on every thread`, () => {
      const one = kernelBench({ kernel: 'probe_fma', isa, threads: 1 });
      assert.equal(one.flops % (2 * lanes), 0);
      assert.equal(kernelBench({ kernel: 'probe_fma', isa, threads: 3 }).flops, 3 * one.flops);
      one.run(10);
    });
  }

  const wrong: readonly (readonly [message: RegExp, shape: object])[] = [
    [/name of a kernel but received gemmm/, { kernel: 'gemmm', isa: '' }],
    [/string for kernel/, { isa: '' }],
    [/string for isa/, { kernel: 'gemm' }],
    [/number for n/, { kernel: 'gemv', isa: '', k: 3, activation: 'none' }],
    [/1 to 65536 for k/, { kernel: 'gemv', isa: '', k: 0, n: 3, activation: 'none' }],
    [/1 to 65536 for k/, { kernel: 'gemv', isa: '', k: NaN, n: 3, activation: 'none' }],
    [/1 to 67108864 for m/, { kernel: 'gemm', isa: '', m: 2 ** 40, n: 3, k: 3, activation: 'none' }],
    [/activation/, { kernel: 'gemv', isa: '', k: 3, n: 3, activation: 'gelu' }],
    [/kernelSize/, { kernel: 'depthwise', isa: '', kernelSize: 0, stride: 1, channels: 1, height: 1, width: 1, activation: 'none' }],
    [/resize from k to another m/, { kernel: 'resample', isa: '', k: 9, m: 9, n: 9, bytes: 48 }],
    [/resize from k to another m/, { kernel: 'resample', isa: '', k: 9, m: 8, n: 9, bytes: 48 }],
    [/resize from k to another m/, { kernel: 'resample', isa: '', k: 9, m: 8, n: 8, bytes: 47 }],
    [/1 to 1024 for threads/, { kernel: 'probe_fma', isa: '', threads: 0 }],
  ];
  for (const [message, shape] of wrong) {
    it(`refuses ${JSON.stringify(shape)}`, () => {
      assert.throws(() => kernelBench(shape as KernelShape & { readonly isa: Isa }), { code: 'ERR_INVALID_ARGUMENT', message });
    });
  }

  it('refuses an instruction set that is not here, and counts that are none', () => {
    const here = new Set<string>(present.map(({ name }) => name));
    const absent = ['neon', 'avx2', 'avx512'].find((name) => !here.has(name)) ?? assert.fail();
    assert.throws(() => kernelBench({ kernel: 'probe_fma', isa: absent, threads: 1 }), { code: 'ERR_UNSUPPORTED' });
    const bench = kernelBench({ kernel: 'mean', isa: '', channels: 1, height: 1, width: 1 });
    for (const count of [0, -1, 1.5, NaN, 2 ** 31, undefined as unknown as number]) {
      assert.throws(() => bench.run(count), { code: 'ERR_INVALID_ARGUMENT', message: /iterations/ });
    }
  });

  it('refuses shapes of terabytes', () => {
    const shape = { kernel: 'gemm', m: 2 ** 26, n: 1, k: 2 ** 16, activation: 'none', isa: '' } as const;
    assert.throws(() => kernelBench(shape), { code: 'ERR_INVALID_ARGUMENT', message: /at most 2147483648 floats/ });
  });
});
