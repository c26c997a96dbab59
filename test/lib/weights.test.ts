// SPDX-License-Identifier: Apache-2.0
// Mapping checkpoints to weights: the same values under every naming give the same weights, folding
// against the formula in double precision, and every way in which a checkpoint can fail to fit.

import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EfficientNetError, type ErrorCode } from '../../lib/errors.js';
import { readCheckpoint } from '../../lib/formats/index.js';
import { readSafetensors, writeSafetensors } from '../../lib/formats/safetensors.js';
import type { ElementType, Tensor } from '../../lib/formats/tensor.js';
import { buildNetwork, type Network } from '../../lib/network.js';
import { detectSource } from '../../lib/source.js';
import { canonicalMetadata, canonicalTensors, mapWeights, type FoldedWeights } from '../../lib/weights.js';
import { altered, checkpoint, float32, mbconvOf, random, syntheticB0, tensorNames, values, type TestedNaming } from './synthetic.js';

const namings: readonly TestedNaming[] = ['torchvision', 'timm', 'lukemelas'];
const shared = join(__dirname, '..', '..', '..', '..', 'shared', 'models');

function assertFails(action: () => unknown, code: ErrorCode, message: RegExp): void {
  assert.throws(action, (error: unknown) => {
    assert.ok(error instanceof EfficientNetError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

/** Every array of the weights, by place. */
function arrays(weights: FoldedWeights): Map<string, Float32Array> {
  const found = new Map<string, Float32Array>();
  const add = (prefix: string, part: object): void => {
    for (const [key, value] of Object.entries(part)) found.set(`${prefix}.${key}`, value as Float32Array);
  };
  add('stem', weights.stem);
  weights.blocks.forEach((block, i) => add(`blocks.${i}`, block));
  add('head', weights.head);
  return found;
}

describe('weights: namings', () => {
  const tensors = syntheticB0('timm');
  const network = buildNetwork('b0');
  const expected = arrays(mapWeights(checkpoint(tensors), network));

  for (const naming of namings) {
    it(`${naming} gives the same weights`, () => {
      const named = syntheticB0(naming);
      assert.equal(named.size, 360);
      const found = mapWeights(checkpoint(named), network);
      assert.deepEqual(arrays(found), expected);
      assert.equal(detectSource(checkpoint(named)).naming, naming);
    });

    it(`${naming} without the counters of training steps`, () => {
      const named = new Map([...syntheticB0(naming)].filter(([name]) => !name.endsWith('num_batches_tracked')));
      assert.equal(named.size, 311);
      assert.deepEqual(arrays(mapWeights(checkpoint(named), network)), expected);
    });
  }

  it('has the shapes that the engine expects', () => {
    const { stem, blocks, head } = mapWeights(checkpoint(tensors), network);
    assert.deepEqual([stem.weights.length, stem.bias.length], [32 * 3 * 9, 32]);
    assert.equal(blocks.length, 16);
    assert.deepEqual(Object.values(blocks[0] ?? {}).map((array: Float32Array) => array.length), [0, 0, 32 * 9, 32, 8 * 32, 8, 32 * 8, 32, 16 * 32, 16]);
    assert.deepEqual(Object.values(blocks[3] ?? {}).map((array: Float32Array) => array.length), [
      144 * 24, 144, 144 * 25, 144, 6 * 144, 6, 144 * 6, 144, 40 * 144, 40,
    ]);
    assert.deepEqual([head.convWeights.length, head.convBias.length], [1280 * 320, 1280]);
    assert.deepEqual([head.classifierWeights.length, head.classifierBias.length], [1000 * 1280, 1000]);
  });

  it('folds by the formula, in double precision, rounded once', () => {
    for (const [epsilon, options] of [[1e-5, {}], [1e-3, { batchNormEpsilon: 1e-3 }]] as const) {
      const folded = mapWeights(checkpoint(tensors), buildNetwork('b0', options));
      const check = (conv: string, norm: string, weights: Float32Array, bias: Float32Array): void => {
        const [w, scale, shift] = [tensors.get(conv), tensors.get(`${norm}.weight`), tensors.get(`${norm}.bias`)].map(values);
        const [mean, variance] = [tensors.get(`${norm}.running_mean`), tensors.get(`${norm}.running_var`)].map(values);
        assert.ok(w && scale && shift && mean && variance);
        const each = w.length / bias.length;
        bias.forEach((value, o) => {
          const root = Math.sqrt((variance[o] ?? NaN) + epsilon);
          const exact = (shift[o] ?? NaN) - ((mean[o] ?? NaN) * (scale[o] ?? NaN)) / root;
          // The order of operations in double precision may differ; after rounding to 24 bits hardly ever.
          assert.ok(Math.abs(value - exact) <= Math.abs(exact) * 2 ** -23 + 1e-12, `${norm} ${o}`);
          for (let i = o * each; i < (o + 1) * each; i++) {
            const product = ((w[i] ?? NaN) * (scale[o] ?? NaN)) / root;
            assert.ok(Math.abs((weights[i] ?? NaN) - product) <= Math.abs(product) * 2 ** -23, `${conv} ${i}`);
          }
        });
      };
      const [block0, block4] = [mbconvOf(folded, 0), mbconvOf(folded, 4)];
      check('conv_stem.weight', 'bn1', folded.stem.weights, folded.stem.bias);
      check('blocks.0.0.conv_dw.weight', 'blocks.0.0.bn1', block0.depthwiseWeights, block0.depthwiseBias);
      check('blocks.0.0.conv_pw.weight', 'blocks.0.0.bn2', block0.projectWeights, block0.projectBias);
      check('blocks.2.1.conv_pw.weight', 'blocks.2.1.bn1', block4.expandWeights, block4.expandBias);
      check('blocks.2.1.conv_dw.weight', 'blocks.2.1.bn2', block4.depthwiseWeights, block4.depthwiseBias);
      check('blocks.2.1.conv_pwl.weight', 'blocks.2.1.bn3', block4.projectWeights, block4.projectBias);
      check('conv_head.weight', 'bn2', folded.head.convWeights, folded.head.convBias);
      assert.deepEqual(block4.reduceWeights, values(tensors.get('blocks.2.1.se.conv_reduce.weight')));
      assert.deepEqual(block4.exciteBias, values(tensors.get('blocks.2.1.se.conv_expand.bias')));
      assert.deepEqual(folded.head.classifierWeights, values(tensors.get('classifier.weight')));
    }
  });

  it('reads tensors that are not aligned', () => {
    const shifted = new Map([...tensors].map(([name, tensor]) => {
      const around = Buffer.alloc(tensor.bytes.length + 1);
      around.set(tensor.bytes, 1);
      return [name, { ...tensor, bytes: around.subarray(1) }];
    }));
    assert.deepEqual(arrays(mapWeights(checkpoint(shifted), network)), expected);
  });

  it('narrows float64 once, after folding', () => {
    const next = random(9);
    const wide = (tensor: Tensor): Tensor => {
      const exact = Float64Array.from(values(tensor), (value) => value * (1 + next() * 1e-9));
      return { ...tensor, type: 'f64', bytes: new Uint8Array(exact.buffer) };
    };
    const named = new Map([...tensors].map(([name, tensor]) => [name, tensor.type === 'f32' ? wide(tensor) : tensor]));
    for (const [place, array] of arrays(mapWeights(checkpoint(named), network))) {
      const reference = expected.get(place) ?? assert.fail();
      array.forEach((value, i) => assert.ok(Math.abs(value - (reference[i] ?? NaN)) < 1e-6, place));
    }
  });
});

describe('weights: source', () => {
  const of = (naming: TestedNaming, architecture?: string): unknown[] => {
    const { padding, batchNormEpsilon, certain, architecture: inferred, classes } = detectSource(checkpoint(syntheticB0(naming, 7)), architecture);
    assert.deepEqual([inferred, classes], ['b0', 7]);
    return [padding, batchNormEpsilon, certain];
  };

  it('knows the conventions of each source', () => {
    assert.deepEqual(of('lukemelas'), ['same', 1e-3, true]);
    assert.deepEqual(of('torchvision'), ['symmetric', 1e-5, true]);
    assert.deepEqual(of('torchvision', 'b5'), ['symmetric', 1e-3, true]);
    assert.deepEqual(of('torchvision', 'b4'), ['symmetric', 1e-5, true]);
    assert.deepEqual(of('timm', 'efficientnet_b0'), ['symmetric', 1e-5, true]);
    assert.deepEqual(of('timm', 'tf_efficientnet_b0.aa_in1k'), ['same', 1e-3, true]);
  });

  it('says when they are a guess', () => {
    assert.deepEqual(of('timm'), ['symmetric', 1e-5, false]);
    assert.deepEqual(of('timm', 'b0'), ['symmetric', 1e-5, false]);
  });

  it('takes the class count from the classifier', () => {
    const tensors = checkpoint(syntheticB0('timm', 7));
    assert.equal(mapWeights(tensors).network.head.classes, 7);
    assert.equal(mapWeights(tensors, buildNetwork('b0')).network.head.classes, 7);
    assert.equal(mapWeights(tensors).head.classifierBias.length, 7);
  });

  it('refuses names of no source', () => {
    assertFails(() => detectSource(checkpoint(new Map())), 'ERR_WEIGHTS_MISMATCH', /among the checkpoint's 0 tensors: it has no tensors/);
    const resnet = new Map(['conv1.weight', 'bn1.weight'].map((name) => [name, float32(name, [1], () => 0)]));
    assertFails(() => mapWeights(checkpoint(resnet)), 'ERR_WEIGHTS_MISMATCH', /it begins with "conv1\.weight", "bn1\.weight"/);
    assertFails(() => detectSource(checkpoint(syntheticB0('timm')), 'b99'), 'ERR_UNKNOWN_ARCHITECTURE', /b99/);
  });
});

describe('weights: what does not fit', () => {
  const tensors = syntheticB0('torchvision');
  const network = buildNetwork('b0');
  const conv = 'features.3.1.block.0.0.weight';
  const variance = 'features.3.1.block.0.1.running_var';
  const classifier = 'classifier.1.weight';
  const at = (name: string, index: number, value: number): Record<string, Tensor> => {
    const tensor = tensors.get(name) ?? assert.fail();
    const array = values(tensor);
    array[index] = value;
    return { [name]: { ...tensor, bytes: new Uint8Array(array.buffer) } };
  };
  const fails = (changes: Readonly<Record<string, Tensor | undefined>>, code: ErrorCode, message: RegExp): void =>
    assertFails(() => mapWeights(altered(tensors, changes), network), code, message);

  it('missing: every tensor of the network, one at a time', () => {
    let executed = 0;
    for (const name of tensorNames('torchvision')) {
      if (name.endsWith('num_batches_tracked')) continue;
      const change = { [name]: undefined };
      if (name === 'features.0.0.weight') fails(change, 'ERR_WEIGHTS_MISMATCH', /no stem convolution/);
      else fails(change, 'ERR_WEIGHTS_MISMATCH', new RegExp(`does not fit b0: missing tensor "${name}", expected with shape \\[\\d[\\d, ]*\\]\\.$`));
      executed++;
    }
    assert.equal(executed, 311);
  });

  it('surplus', () => {
    fails({ extra: float32('extra', [2, 3], () => 0) }, 'ERR_WEIGHTS_MISMATCH', /surplus tensor "extra" of shape \[2, 3\], which the network does not have/);
    fails({ 'x.num_batches_tracked': float32('x.num_batches_tracked', [], () => 0) }, 'ERR_WEIGHTS_MISMATCH', /surplus tensor "x\.num_/);
  });

  it('misshapen', () => {
    fails({ [conv]: float32(conv, [240, 41, 1, 1], () => 0) }, 'ERR_WEIGHTS_MISMATCH', /"features\.3\.1\.block\.0\.0\.weight" has shape \[240, 41, 1, 1\], expected \[240, 40, 1, 1\]/);
    fails({ [conv]: float32(conv, [40, 240, 1, 1], () => 0) }, 'ERR_WEIGHTS_MISMATCH', /has shape \[40, 240, 1, 1\]/);
    fails({ [conv]: float32(conv, [240, 40], () => 0) }, 'ERR_WEIGHTS_MISMATCH', /has shape \[240, 40\], expected \[240, 40, 1, 1\]/);
    fails({ [classifier]: float32(classifier, [1000, 1281], () => 0) }, 'ERR_WEIGHTS_MISMATCH', /has shape \[1000, 1281\], expected \[1000, 1280\]/);
    fails({ [classifier]: float32(classifier, [0, 1280], () => 0) }, 'ERR_WEIGHTS_MISMATCH', /has shape \[0, 1280\], expected \[1000, 1280\]/);
    fails({ [classifier]: float32(classifier, [7, 1280], () => 0) }, 'ERR_WEIGHTS_MISMATCH', /"classifier\.1\.bias" has shape \[1000\], expected \[7\]/);
  });

  it('another network', () => {
    assertFails(
      () => mapWeights(checkpoint(tensors), buildNetwork('b1')),
      'ERR_WEIGHTS_MISMATCH',
      /does not fit b1: .* and \d+ more\. By its shapes it is a checkpoint of b0: choose that architecture/,
    );
  });

  it('element types', () => {
    const types: readonly ElementType[] = ['i64', 'i32', 'i16', 'i8', 'u8', 'bool'];
    for (const type of types) {
      const tensor = tensors.get(conv) ?? assert.fail();
      fails({ [conv]: { ...tensor, type } }, 'ERR_UNSUPPORTED', new RegExp(`"features\\.3\\.1\\.block\\.0\\.0\\.weight" has the element type ${type}`));
    }
  });

  it('values that are not finite', () => {
    for (const value of [NaN, Infinity, -Infinity]) {
      for (const name of [conv, variance, 'features.3.1.block.2.fc1.bias', classifier]) {
        fails(at(name, 5, value), 'ERR_WEIGHTS_MISMATCH', new RegExp(`holds ${value} at element 5 of shape`));
      }
    }
  });

  it('variances that are none', () => {
    fails(at(variance, 3, -1), 'ERR_WEIGHTS_MISMATCH', /holds the variance -1 at element 3/);
    fails(at(variance, 3, -1e-6), 'ERR_WEIGHTS_MISMATCH', /holds the variance -9\.99.*e-7 at element 3/);
    fails({ [variance]: float32(variance, [240], () => 0) }, 'ERR_WEIGHTS_MISMATCH', /holds only zeros/);
    const zero = altered(tensors, at(variance, 3, 0));
    assert.ok(mbconvOf(mapWeights(zero, network), 4).expandBias.every(Number.isFinite), 'one constant channel is sound');
    assertFails(() => mapWeights(zero, buildNetwork('b0', { batchNormEpsilon: 0 })), 'ERR_WEIGHTS_MISMATCH', /variance 0 at element 3; .* epsilon of 0/);
  });

  it('products beyond float32', () => {
    fails({ ...at('features.3.1.block.0.1.weight', 3, 3e38), ...at(conv, 3 * 40, 3e38) }, 'ERR_WEIGHTS_MISMATCH', /does not fit float32 at element 120/);
  });

  it('strides of a graph', () => {
    const blocks = network.blocks.map((block, i) => (i === 3 ? { ...block, stride: 1 } : block));
    const described = { ...network, blocks, paddingCertain: true };
    assertFails(
      () => mapWeights({ ...checkpoint(tensors), network: described }, network),
      'ERR_WEIGHTS_MISMATCH',
      /own network is not b0: blocks\.3 has the stride 1, expected 2/,
    );
  });
});

describe('weights: canonical files', () => {
  it('come back bit for bit, with what the network needs', () => {
    const network: Network = buildNetwork('b0', { padding: 'same', batchNormEpsilon: 1e-3 });
    const folded = mapWeights(checkpoint(syntheticB0('lukemelas', 12)), network);
    const file = writeSafetensors(canonicalTensors(folded), { ...canonicalMetadata(folded.network), source: 'any' });
    const read = readSafetensors(file);
    assert.equal(read.tensors.size, 2 * (1 + 15 + 4 * 16 + 2));
    assert.deepEqual(read.tensors.get('blocks.3.depthwise.weight')?.shape, [144, 5, 5]);
    assert.deepEqual(detectSource(read), {
      naming: 'canonical', architecture: 'b0', padding: 'same', batchNormEpsilon: 1e-3, classes: 12, certain: true,
    });
    const again = mapWeights(read);
    assert.deepEqual(again.network, folded.network);
    assert.deepEqual(arrays(again), arrays(folded));
    assert.equal(again.head.convWeights.buffer, file.buffer, 'a view, not a copy');
    assert.equal(read.metadata.get('source'), 'any');
  });

  it('must say their padding and epsilon', () => {
    const folded = mapWeights(checkpoint(syntheticB0('timm', 3)));
    for (const metadata of [{}, { padding: 'same' }, { padding: 'x', batchNormEpsilon: '0' }, { padding: 'same', batchNormEpsilon: '-1' }]) {
      const read = readSafetensors(writeSafetensors(canonicalTensors(folded), metadata));
      assertFails(() => mapWeights(read), 'ERR_WEIGHTS_MISMATCH', /metadata does not give padding/);
    }
  });
});

describe('weights: the real B0', () => {
  it('maps from lukemelas/EfficientNet-PyTorch', async function () {
    const path = join(shared, 'efficientnet_b0.lukemelas.safetensors');
    if (!existsSync(path)) {
      console.log(`      skipped: ${path} is not here`);
      return this.skip();
    }
    const read = await readCheckpoint(path);
    const { network, stem } = mapWeights(read);
    assert.deepEqual([network.name, network.padding, network.batchNormEpsilon, network.head.classes], ['b0', 'same', 1e-3, 1000]);
    assert.ok(stem.weights.every(Number.isFinite));
  });
});
