// SPDX-License-Identifier: Apache-2.0
// Widening: every bit pattern of half precision and of bfloat16, at every alignment.

import { strict as assert } from 'node:assert';
import { isFloat, numbersOf } from '../../lib/formats/numbers.js';
import { elementBytes } from '../../lib/formats/bytes.js';
import type { ElementType, Tensor } from '../../lib/formats/tensor.js';

function tensorOf(type: ElementType, bytes: Uint8Array): Tensor {
  return { name: 'a', type, shape: [bytes.length / elementBytes[type]], bytes };
}

const all = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);

describe('numbers of a tensor', () => {
  it('half precision is exact', () => {
    const values = numbersOf(tensorOf('f16', new Uint8Array(all.buffer)));
    const known: readonly (readonly [bits: number, value: number])[] = [
      [0x0000, 0], [0x8000, -0], [0x0001, 2 ** -24], [0x03ff, 1023 * 2 ** -24], [0x0400, 2 ** -14], [0x3555, 0.333251953125],
      [0x3c00, 1], [0x3c01, 1 + 2 ** -10], [0xc000, -2], [0x7bff, 65504], [0xfbff, -65504], [0x7c00, Infinity], [0xfc00, -Infinity], [0x7e00, NaN],
    ];
    for (const [bits, value] of known) assert.ok(Object.is(values[bits], value), `0x${bits.toString(16)} gives ${values[bits]}`);
    for (let bits = 1; bits < 0x7c00; bits++) {
      const [below, value] = [values[bits - 1] ?? NaN, values[bits] ?? NaN];
      // One step up in bits is one unit in the last place up in value, which doubles with every exponent.
      assert.equal(value - below, 2 ** (Math.max(1, (bits - 1) >> 10) - 25));
      assert.equal(values[bits | 0x8000], -value);
    }
    for (let bits = 0x7c01; bits < 0x8000; bits++) assert.ok(Number.isNaN(values[bits]) && Number.isNaN(values[bits | 0x8000]));
  });

  it('bfloat16 is the upper half of a float32', () => {
    const values = numbersOf(tensorOf('bf16', new Uint8Array(all.buffer)));
    const bits = new Uint32Array(values.buffer);
    for (let i = 0; i < all.length; i++) assert.equal(bits[i], i * 65_536);
    assert.deepEqual([values[0x3f80], values[0xc000], values[0x7f80]], [1, -2, Infinity]);
  });

  it('reads at every alignment, as a view where it can', () => {
    const sources: Readonly<Record<string, Float32Array | Float64Array | Uint16Array>> = {
      f32: Float32Array.of(1.5, -2), f64: Float64Array.of(1 / 3, -2), f16: Uint16Array.of(0x3e00, 0xc000), bf16: Uint16Array.of(0x3fc0, 0xc000),
    };
    for (const [type, source] of Object.entries(sources) as [ElementType, Float32Array][]) {
      const raw = new Uint8Array(source.buffer);
      for (let shift = 0; shift < 9; shift++) {
        const around = Buffer.from(new Uint8Array(32).buffer, shift, raw.length);
        around.set(raw);
        const values = numbersOf(tensorOf(type, around));
        assert.deepEqual([...values], [type === 'f64' ? 1 / 3 : 1.5, -2], `${type} + ${shift}`);
        assert.equal(values.buffer === around.buffer, shift % elementBytes[type] === 0 && type.length === 3 && type !== 'f16');
      }
    }
  });

  it('knows which types hold numbers', () => {
    const types = Object.keys(elementBytes) as ElementType[];
    assert.deepEqual(types.filter(isFloat), ['f32', 'f16', 'bf16', 'f64']);
    for (const type of types) if (!isFloat(type)) assert.throws(() => numbersOf(tensorOf(type, new Uint8Array(8))), TypeError);
  });
});
