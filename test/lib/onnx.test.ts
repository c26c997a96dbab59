// SPDX-License-Identifier: Apache-2.0
// The reader of ONNX: tensors stored in every way, layers written in every way that exporters have, and
// files that are damaged or hostile. Files of the exporters themselves are in onnx-export.test.ts.

import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EfficientNetError, type ErrorCode } from '../../lib/errors.js';
import { onnxModel } from '../../lib/export-onnx.js';
import { readCheckpoint } from '../../lib/formats/index.js';
import { readOnnx } from '../../lib/formats/onnx.js';
import type { OnnxNode } from '../../lib/formats/onnx-writer.js';
import { graphField, nodeField } from '../../lib/formats/onnx-schema.js';
import { MessageWriter } from '../../lib/formats/protobuf-writer.js';
import type { Network } from '../../lib/network.js';
import { randomWeights } from '../../lib/random-weights.js';
import { canonicalTensors, mapWeights, type FoldedWeights } from '../../lib/weights.js';
import { build, partsOf, type BuildModel, type BuildTensor, type Stored } from './helpers/onnx-builder.js';
import { assertRefuses, loadsQuickly, milliseconds } from './helpers/damage.js';
import { everyBlock } from './helpers/every-block.js';

/** Weights that half precision and bfloat16 hold exactly, so that every way of storing them gives the same. */
function coarse(weights: FoldedWeights): FoldedWeights {
  for (const part of [weights.stem, ...weights.blocks, weights.head]) {
    for (const values of Object.values(part) as Float32Array[]) values.forEach((value, i) => (values[i] = Math.round(value * 64) / 64));
  }
  return weights;
}

const network: Network = everyBlock({ hidden: 6, activation: 'hard-swish', squeezeActivation: 'relu', gateActivation: 'hard-sigmoid' });
const weights = coarse(randomWeights(network));
const parts = (): BuildModel => partsOf(onnxModel(weights));
const expected = canonicalTensors(weights);

function read(change: (model: BuildModel) => void, external?: ReadonlyMap<string, Uint8Array>): FoldedWeights {
  const model = parts();
  change(model);
  return mapWeights(readOnnx(build(model), external));
}

/** That a file is the network and has its weights, each within a share of the largest. */
function assertSame(found: FoldedWeights, tolerance = 0): void {
  assert.deepEqual(found.network, { ...network, padding: found.network.padding, resolution: found.network.resolution });
  canonicalTensors(found).forEach(({ name, bytes }, k) => {
    const [a, b] = [bytes, expected[k]?.bytes ?? new Uint8Array(0)].map((one) => new Float32Array(new Uint8Array(one).buffer));
    const largest = Math.max(...(b ?? []).map(Math.abs));
    a?.forEach((value, i) => assert.ok(Math.abs(value - (b?.[i] ?? NaN)) <= tolerance * largest, `${name}[${i}]: ${value}, expected ${b?.[i]}`));
  });
}

function fails(change: (model: BuildModel) => void, code: ErrorCode, message: RegExp): void {
  const model = parts();
  change(model);
  const bytes = build(model);
  assertRefuses(() => mapWeights(readOnnx(bytes)), code, message);
}

const node = (model: BuildModel, name: string): OnnxNode => model.nodes.find((one) => one.name === name) ?? assert.fail(name);
const replace = (model: BuildModel, name: string, ...nodes: OnnxNode[]): void => void model.nodes.splice(model.nodes.indexOf(node(model, name)), 1, ...nodes);
const tensor = (model: BuildModel, name: string): BuildTensor => model.tensors.find((one) => one.name === name) ?? assert.fail(name);
const add = (model: BuildModel, name: string, values: readonly number[], shape: readonly number[] = [values.length], integers = false): string => {
  model.tensors.push({ name, shape, values, integers });
  return name;
};

describe('onnx: tensors', () => {
  it('as this package writes them', () => assertSame(read(() => undefined)));

  const ways: readonly Stored[] = ['typed', 'unpacked', 'f16', 'f16 typed', 'bf16', 'f64', 'f64 typed'];
  for (const stored of ways) {
    it(`stored as ${stored}`, () => assertSame(read((model) => model.tensors.forEach((one) => (one.stored = stored === 'bf16' && one.values.some((value) => value * 64 % 1 !== 0 || Math.abs(value) > 4) ? 'raw' : stored)))));
  }

  it('views on the file where nothing has to be moved', () => {
    const bytes = build(parts());
    const { tensors } = readOnnx(bytes);
    for (const { name, bytes: view } of tensors.values()) assert.equal(view.buffer, bytes.buffer, name);
  });

  it('behind Identity nodes, one for several layers', () => {
    assertSame(read((model) => {
      for (const { name } of [...model.tensors]) {
        const same = model.tensors.find((one) => one.values.length > 1 && one.name !== name && String(one.values) === String(tensor(model, name).values));
        if (same === undefined && name.endsWith('weight')) {
          tensor(model, name).name = `onnx::${name}`;
          model.nodes.unshift({ op: 'Identity', name: `identity ${name}`, inputs: [`onnx::${name}`], output: name });
        }
      }
    }));
    const zero = read((model) => {
      const bias = tensor(model, 'blocks.5.expand.bias');
      const depthwise = tensor(model, 'blocks.5.depthwise.bias');
      bias.values = depthwise.values = bias.values.map(() => 0);
      model.tensors.splice(model.tensors.indexOf(depthwise), 1);
      model.nodes.unshift({ op: 'Identity', name: 'shared', inputs: [bias.name], output: depthwise.name });
    });
    assert.deepEqual(zero.network.blocks, network.blocks);
  });

  it('in Constant nodes, in any place', () => {
    assertSame(read((model) => {
      for (const one of model.tensors.splice(3, 9)) model.constants.set(one.name, one);
    }));
  });

  it('among the inputs, as before IR version 4', () => {
    assertSame(read((model) => model.tensors.forEach(({ name, shape }) => model.inputs.push({ name, shape }))));
  });

  it('in other files, only where the caller says where they are', async () => {
    const data = Buffer.concat([Buffer.alloc(16), ...parts().tensors.slice(0, 2).map(({ values }) => Buffer.from(Float32Array.from(values).buffer))]);
    const outside = (model: BuildModel, location = 'weights.bin'): void => {
      const [first, second] = model.tensors;
      const length = 4 * (first?.values.length ?? 0);
      (first ?? assert.fail()).stored = { location, offset: '16', length: String(length) };
      (second ?? assert.fail()).stored = { location, offset: String(16 + length) };
    };
    assertSame(read(outside, new Map([['weights.bin', data]])));
    fails(outside, 'ERR_UNSUPPORTED', /Tensor "stem\.weight" lies in the file "weights\.bin" .* externalData: \{ "weights\.bin": 'PATH' \}/);
    const folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-onnx-'));
    try {
      const model = parts();
      outside(model);
      writeFileSync(join(folder, 'a.onnx'), build(model));
      writeFileSync(join(folder, 'weights.bin'), data);
      symlinkSync(join(folder, 'weights.bin'), join(folder, 'link'));
      // It lies beside the model under the right name: it is not opened all the same.
      await assert.rejects(() => readCheckpoint(join(folder, 'a.onnx')), /may not open others/);
      assertSame(mapWeights(await readCheckpoint(join(folder, 'a.onnx'), new Map([['weights.bin', join(folder, 'link')]]))));
      for (const location of ['../weights.bin', '/etc/passwd', 'link', '']) {
        const other = parts();
        outside(other, location);
        writeFileSync(join(folder, 'b.onnx'), build(other));
        await assert.rejects(() => readCheckpoint(join(folder, 'b.onnx')), /lies in the file .* outside the model/);
        await assert.rejects(() => readCheckpoint(join(folder, 'b.onnx'), new Map([['weights.bin', data]])), /gives "weights\.bin", but the ONNX model names/);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    const places: readonly (readonly [offset: string, length: string | undefined, message: RegExp])[] = [
      ['99999999', undefined, /takes 0 bytes from byte 99999999 of "weights\.bin", which has/], ['16', '999999', /takes 999999 bytes/],
      ['-1', undefined, /a number as the offset/], ['1e3', undefined, /a number as the offset/], ['16', '8', /needs 216 bytes but has 8/],
      ['9999999999999999999', undefined, /a number as the offset/],
    ];
    for (const [offset, length, message] of places) {
      assertRefuses(() => read((model) => ((model.tensors[0] ?? assert.fail()).stored = { location: 'weights.bin', offset, ...(length !== undefined && { length }) }), new Map([['weights.bin', data]])), 'ERR_INVALID_CHECKPOINT', message);
    }
    assert.equal(places.length, 6);
  });
});

describe('onnx: layers in every way that exporters write them', () => {
  const variants: Readonly<Record<string, (model: BuildModel) => void>> = {
    'a classifier of MatMul and Add': (model) => {
      const { shape, values } = tensor(model, 'head.classifier.weight');
      const [out = 0, from = 0] = shape;
      add(model, 'transposed', Array.from(values, (_, i) => values[(i % out) * from + Math.floor(i / out)] ?? NaN), [from, out]);
      replace(model, 'head.classifier', { op: 'MatMul', name: 'm', inputs: ['head.hidden.hard-swish', 'transposed'], output: 'm' }, { op: 'Add', name: 'a', inputs: ['head.classifier.bias', 'm'], output: 'logits' });
    },
    'softmax, dropout and casts': (model) => {
      replace(model, 'head.classifier', { ...node(model, 'head.classifier'), output: 'raw' }, { op: 'Softmax', name: 's', inputs: ['raw'], output: 'logits' });
      replace(model, 'head.flatten', { op: 'Dropout', name: 'd', inputs: ['head.mean'], output: 'd' }, { op: 'Cast', name: 'c', inputs: ['d'], output: 'c' }, { op: 'Reshape', name: 'r', inputs: ['c', add(model, 'shape', [-1, 8], [2], true)], output: 'head.flatten' });
    },
    'means over axes': (model) => {
      replace(model, 'head.mean', { op: 'ReduceMean', name: 'r', inputs: ['head.conv.hard-swish'], output: 'head.mean', attributes: { axes: [2, 3], keepdims: 1 } });
      replace(model, 'blocks.0.mean', { op: 'ReduceMean', name: 'r0', inputs: ['blocks.0.depthwise.hard-swish', add(model, 'axes', [-1, -2], [2], true)], output: 'blocks.0.mean' });
    },
    'hard swish in parts': (model) => {
      const [three, six] = [add(model, 'three', [3], []), add(model, 'the six', [6], [1])];
      const [a, b] = [add(model, 'zero', [0], []), add(model, 'another six', [6], [])];
      replace(model, 'stem.hard-swish', { op: 'Add', name: 'h1', inputs: ['stem', three], output: 'h1' }, { op: 'Clip', name: 'h2', inputs: ['h1', a, b], output: 'h2' },
        { op: 'Mul', name: 'h3', inputs: ['stem', 'h2'], output: 'h3' }, { op: 'Div', name: 'h4', inputs: ['h3', six], output: 'stem.hard-swish' });
      const sixth = add(model, 'sixth', [1 / 6], []);
      replace(model, 'head.conv.hard-swish', { op: 'Add', name: 'k1', inputs: [three, 'head.conv'], output: 'k1' }, { op: 'Relu', name: 'k2', inputs: ['k1'], output: 'k2' },
        { op: 'Min', name: 'k3', inputs: ['k2', six], output: 'k3' }, { op: 'Mul', name: 'k4', inputs: [sixth, 'k3'], output: 'k4' }, { op: 'Mul', name: 'k5', inputs: ['k4', 'head.conv'], output: 'head.conv.hard-swish' });
    },
    'hard sigmoid in parts': (model) => {
      const [slope, half, zero, one] = [add(model, 'slope', [1 / 6], []), add(model, 'half', [0.5], []), add(model, 'lowest', [0], []), add(model, 'highest', [1], [])];
      replace(model, 'blocks.0.excite.hard-sigmoid', { op: 'Mul', name: 'g1', inputs: ['blocks.0.excite', slope], output: 'g1' }, { op: 'Add', name: 'g2', inputs: ['g1', half], output: 'g2' },
        { op: 'Max', name: 'g3', inputs: ['g2', zero], output: 'g3' }, { op: 'Min', name: 'g4', inputs: [one, 'g3'], output: 'blocks.0.excite.hard-sigmoid' });
    },
    'rectifiers as Clip and Max': (model) => {
      replace(model, 'blocks.0.reduce.relu', { op: 'Clip', name: 'c', inputs: ['blocks.0.reduce', add(model, 'nothing', [0], [])], output: 'blocks.0.reduce.relu' });
      replace(model, 'blocks.5.reduce.relu', { op: 'Max', name: 'c5', inputs: [add(model, 'none', [0], []), 'blocks.5.reduce'], output: 'blocks.5.reduce.relu' });
    },
    'padding by Pad nodes, fixed for an image of 64 x 64': (model) => {
      (model.inputs[0] ?? assert.fail()).shape = [1, 3, 64, 64];
      for (const name of ['stem', 'blocks.2.conv', 'blocks.4.depthwise', 'blocks.6.conv']) {
        const convolution = node(model, name);
        const [side] = convolution.attributes?.['kernel_shape'] as readonly number[];
        const [before, after] = [((side ?? 0) - 1) / 2 - ((side ?? 0) > 1 ? 1 : 0) + 0, ((side ?? 0) - 1) / 2];
        const { auto_pad: _auto, ...attributes } = convolution.attributes ?? {};
        const pads = add(model, `${name} pads`, [0, 0, before, before, 0, 0, after, after], [8], true);
        replace(model, name, { op: 'Pad', name: `${name} pad`, inputs: [convolution.inputs[0] ?? '', pads], output: `${name} padded` }, { ...convolution, inputs: [`${name} padded`, ...convolution.inputs.slice(1)], attributes });
      }
    },
    'biases as Add nodes': (model) => {
      for (const name of ['stem', 'blocks.3.conv', 'blocks.5.depthwise']) {
        const convolution = node(model, name);
        const bias = tensor(model, `${name}.bias`);
        bias.shape = [1, bias.values.length, 1, 1];
        replace(model, name, { ...convolution, inputs: convolution.inputs.slice(0, 2), output: `${name} alone` }, { op: 'Add', name: `${name} bias`, inputs: [`${name} alone`, bias.name], output: name });
      }
    },
    'the nodes in reverse, when nothing but the order is wrong': (model) => void model.nodes.reverse(),
  };
  for (const [name, change] of Object.entries(variants)) it(name, () => assertSame(read(change)));

  it('batch normalisation, and arithmetic that comes to the same', () => {
    const undo = (model: BuildModel, name: string, nodes: (channels: number, from: string) => OnnxNode[], factor: number, offset: number): void => {
      const weight = tensor(model, `${name}.weight`);
      const bias = tensor(model, `${name}.bias`);
      weight.values = weight.values.map((value) => value / factor);
      bias.values = bias.values.map((value) => (value - offset) / factor);
      replace(model, name, { ...node(model, name), output: `${name} raw` }, ...nodes(bias.values.length, `${name} raw`));
    };
    const found = read((model) => {
      undo(model, 'stem', (channels, from) => {
        const names = (['scale', 'shift', 'mean', 'variance'] as const).map((part, i) => add(model, part, new Array<number>(channels).fill([3, 0.5, 0.25, 0.75][i] ?? 0)));
        return [{ op: 'BatchNormalization', name: 'bn', inputs: [from, ...names], output: 'stem', attributes: { epsilon: { float: 0.25 } } }];
      }, 3, 0.5 - 0.25 * 3);
      undo(model, 'blocks.5.expand', (channels, from) => {
        const by = add(model, 'factor', new Array<number>(channels).fill(2), [channels, 1, 1]);
        return [{ op: 'Mul', name: 'm', inputs: [by, from], output: 'm' }, { op: 'Sub', name: 's', inputs: ['m', add(model, 'less', [0.5], [])], output: 's' }, { op: 'Div', name: 'd', inputs: ['s', add(model, 'by', [4], [1])], output: 'blocks.5.expand' }];
      }, 0.5, -0.125);
    });
    assertSame(found, 1e-6);
  });
});

describe('onnx: what is no network of the family', () => {
  const cases: readonly (readonly [name: string, change: (model: BuildModel) => void, code: ErrorCode, message: RegExp])[] = [
    ['no outputs', (m) => (m.outputs = []), 'ERR_UNSUPPORTED', /a classifier/],
    ['an output that nothing makes', (m) => (m.outputs = ['nothing']), 'ERR_UNSUPPORTED', /at the node "nothing", which is missing/],
    ['two classifiers', (m) => { m.outputs.push('other'); m.nodes.push({ ...node(m, 'head.classifier'), name: 'other', output: 'other' }); }, 'ERR_UNSUPPORTED', /one classifier but found 2/],
    ['two nodes for one value', (m) => m.nodes.push({ ...node(m, 'stem'), name: 'again' }), 'ERR_INVALID_CHECKPOINT', /Two nodes make the value "stem" \(the second at byte \d+ of the file\)/],
    ['two initialisers of one name', (m) => m.tensors.push(m.tensors[3] ?? assert.fail()), 'ERR_INVALID_CHECKPOINT', /Two initialisers/],
    ['a cycle of layers', (m) => replace(m, 'blocks.4.expand', { ...node(m, 'blocks.4.expand'), inputs: ['blocks.5.sum', 'blocks.4.expand.weight', 'blocks.4.expand.bias'] }), 'ERR_UNSUPPORTED', /./],
    ['a cycle of identities', (m) => replace(m, 'stem', { op: 'Identity', name: 'stem', inputs: ['stem'], output: 'stem' }), 'ERR_UNSUPPORTED', /./],
    ['a cycle of additions', (m) => replace(m, 'stem', { op: 'Add', name: 'stem', inputs: ['stem', 'stem.bias'], output: 'stem' }), 'ERR_UNSUPPORTED', /./],
    ['dilation', (m) => ((node(m, 'stem').attributes as Record<string, unknown>)['dilations'] = [2, 2]), 'ERR_UNSUPPORTED', /"Conv" \(dilated\)/],
    ['groups', (m) => ((node(m, 'blocks.3.conv').attributes as Record<string, unknown>)['group'] = 3), 'ERR_UNSUPPORTED', /in one group or depthwise/],
    ['uneven strides', (m) => ((node(m, 'stem').attributes as Record<string, unknown>)['strides'] = [2, 1]), 'ERR_UNSUPPORTED', /equal strides/],
    ['SAME_LOWER', (m) => ((node(m, 'stem').attributes as Record<string, unknown>)['auto_pad'] = 'SAME_LOWER'), 'ERR_UNSUPPORTED', /with auto_pad SAME_LOWER/],
    ['no padding', (m) => ((node(m, 'blocks.3.conv').attributes as Record<string, unknown>)['pads'] = [0, 0, 0, 0]), 'ERR_UNSUPPORTED', /at the node "blocks\.3\.conv"/],
    ['a mean over channels', (m) => replace(m, 'blocks.0.mean', { op: 'ReduceMean', name: 'r', inputs: ['blocks.0.depthwise.hard-swish'], output: 'blocks.0.mean', attributes: { axes: [1, 2] } }), 'ERR_UNSUPPORTED', /the mean of what the gate multiplies/],
    ['a pooling of unknown coverage', (m) => replace(m, 'head.mean', { op: 'AveragePool', name: 'r', inputs: ['head.conv.hard-swish'], output: 'head.mean', attributes: { kernel_shape: [2, 2] } }), 'ERR_UNSUPPORTED', /a mean over the whole image/],
    ['another activation', (m) => replace(m, 'blocks.2.conv.hard-swish', { op: 'Tanh', name: 't', inputs: ['blocks.2.conv'], output: 'blocks.2.conv.hard-swish' }), 'ERR_UNSUPPORTED', /"Tanh"/],
    ['another function of the input than the activation', (m) => replace(m, 'stem.hard-swish', { op: 'Relu', name: 'r', inputs: ['stem'], output: 'r' }, { op: 'Pow', name: 'p', inputs: ['r', 'r'], output: 'stem.hard-swish' }), 'ERR_UNSUPPORTED', /"Pow"/],
    ['channels shuffled', (m) => replace(m, 'blocks.5.expand.hard-swish', { op: 'Reshape', name: 'r', inputs: ['blocks.5.expand'], output: 'blocks.5.expand.hard-swish' }), 'ERR_UNSUPPORTED', /./],
    ['int8 weights', (m) => (tensor(m, 'stem.weight').integers = true), 'ERR_UNSUPPORTED', /element type i64: quantised weights are not supported/],
    ['a weight of no elements', (m) => Object.assign(tensor(m, 'stem.weight'), { shape: [0, 3, 3, 3], values: [] }), 'ERR_UNSUPPORTED', /square convolution/],
    ['channels that do not fit', (m) => Object.assign(tensor(m, 'blocks.5.project.weight'), { shape: [2, 4, 1, 1], values: new Array<number>(8).fill(0) }), 'ERR_WEIGHTS_MISMATCH', /./],
    ['a bias of another length', (m) => Object.assign(tensor(m, 'stem.bias'), { shape: [1, 3], values: [1, 2, 3] }), 'ERR_WEIGHTS_MISMATCH', /Expected 1 or 2 numbers/],
    ['NaN', (m) => (tensor(m, 'stem.weight').values = tensor(m, 'stem.weight').values.with(4, NaN)), 'ERR_WEIGHTS_MISMATCH', /"stem\.weight" holds NaN at element 4/],
  ];
  for (const [name, change, code, message] of cases) it(name, () => fails(change, code, message));
  it('has run every case', () => assert.equal(cases.length, 23));
  it('leaves what does not lead to the output alone', () => assertSame(read((m) => m.nodes.push({ op: 'Magic', name: 'x', inputs: ['stem'], output: 'x' }))));

  it('variances that are none', () => {
    const norm = (variance: readonly number[]) => (model: BuildModel): void => {
      const names = ['scale', 'shift', 'mean'].map((part) => add(model, part, [1, 1]));
      replace(model, 'stem', { ...node(model, 'stem'), output: 'raw' }, { op: 'BatchNormalization', name: 'bn', inputs: ['raw', ...names, add(model, 'variance', variance)], output: 'stem' });
    };
    fails(norm([1, -1]), 'ERR_WEIGHTS_MISMATCH', /batch normalisation "stem" holds the variance -1 at element 1/);
    fails(norm([0, 0]), 'ERR_WEIGHTS_MISMATCH', /holds only zeros/);
    fails(norm([NaN, 1]), 'ERR_WEIGHTS_MISMATCH', /holds the variance NaN/);
  });

  /** Forty more blocks that are one convolution each, of the weights that `weight` names. */
  const deepened = (weight: (model: BuildModel, i: number) => string): BuildModel => {
    const model = partsOf(onnxModel(randomWeights(everyBlock({ width: 96 }))));
    const nodes: OnnxNode[] = [];
    for (let i = 0; i < 40; i++) {
      const from = i === 0 ? 'blocks.1.sum' : `more.${i - 1}.act`;
      nodes.push({ ...node(model, 'blocks.1.conv'), name: `more.${i}`, inputs: [from, weight(model, i), 'blocks.1.conv.bias'], output: `more.${i}` });
      nodes.push({ op: 'Sigmoid', name: `more.${i}.s`, inputs: [`more.${i}`], output: `more.${i}.s` }, { op: 'Mul', name: `more.${i}.act`, inputs: [`more.${i}`, `more.${i}.s`], output: `more.${i}.act` });
    }
    replace(model, 'blocks.2.conv', ...nodes, { ...node(model, 'blocks.2.conv'), inputs: ['more.39.act', 'blocks.2.conv.weight', 'blocks.2.conv.bias'] });
    return model;
  };

  it('a file that uses one large tensor for many layers', () => {
    const bytes = build(deepened(() => 'blocks.1.conv.weight'));
    assert.throws(() => readOnnx(bytes), /Expected weights of each layer's own/);
  });

  it('large tensors that overlap in a file of their own', () => {
    const shape = [96, 96, 3, 3];
    const length = 4 * 96 * 96 * 9;
    const bytes = build(deepened((model, i) => {
      model.tensors.push({ name: `weight ${i}`, shape, values: [], stored: { location: 'w', offset: String(4 * i), length: String(length) } });
      return `weight ${i}`;
    }));
    assert.throws(() => readOnnx(bytes, new Map([['w', new Uint8Array(length + 4 * 40)]])), /Expected weights of each layer's own/);
    // With room for each they are forty blocks.
    const apart = build(deepened((model, i) => {
      model.tensors.push({ name: `weight ${i}`, shape, values: [], stored: { location: 'w', offset: String(length * i), length: String(length) } });
      return `weight ${i}`;
    }));
    assert.equal(readOnnx(apart, new Map([['w', new Uint8Array(40 * length)]])).network?.blocks.length, 47);
  });
});

/** Of an attribute: the body of a loop or branch, which no network of the family has. */
const kSubgraph = 6;

describe('onnx: damaged files', () => {
  const sound = build(parts());

  it('every byte changed, and every truncation', () => {
    let [executed, accepted] = [0, 0];
    const attempt = (bytes: Uint8Array): void => {
      if (loadsQuickly(() => readOnnx(bytes))) accepted++;
      executed++;
    };
    for (let at = 0; at < sound.length; at++) {
      for (const flip of [0x01, 0x80]) {
        const changed = Uint8Array.from(sound);
        changed[at] = (changed[at] ?? 0) ^ flip;
        attempt(changed);
      }
      if (at % 3 === 0) attempt(sound.subarray(0, at));
    }
    assert.equal(executed, 2 * sound.length + Math.ceil(sound.length / 3));
    // Most bytes are weights, or names that the reader does not rely on.
    assert.ok(accepted > 100 && accepted < executed);
  }).timeout(120_000);

  it('lengths and numbers that overflow', () => {
    const huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    const cases: readonly (readonly [bytes: readonly number[], message: RegExp])[] = [
      [[0x08, 0x08, 0x3a, ...huge], /A field of -1 bytes reaches past its message/],
      [[0x08, 0x08, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f], /reaches past its message, of which 0 bytes are left \(at byte 8 of the file\)/],
      [[0x08, 0x08, 0x3a, 0x80], /truncated within a number/],
      [[0x08, ...huge.slice(0, 9), 0x7f], /at most 64 bits/],
      [[0x08, ...new Array<number>(10).fill(0x80), 0x01], /at most 10 bytes/],
      [[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], /at most 53 bits/],
      [[0x08, 0x08, 0x0b], /a field of wire type 0, 1, 2 or 5 but found 3/],
      [[0x08, 0x08, 0x3a, 0x02, 0x00, 0x00], /the tag of a field/],
      [[0x08, 0x08, 0x38, 0x01], /Expected bytes but found a field of wire type 0/],
      [[0x08, 0x08, 0x3a, 0x00, 0x3a, 0x00], /one graph in the model but found a second/],
      [[0x08, 0x08], /found no graph in it/],
      [[0x08, 0x08, 0x3a, 0x03, 0x12, 0x01, 0xff], /a classifier/],
      [[0x08, 0x08, 0x3a, 0x05, 0x0a, 0x03, 0x1a, 0x01, 0xff], /text in UTF-8/],
    ];
    for (const [bytes, message] of cases) {
      assert.throws(() => readOnnx(Uint8Array.from(bytes)), (error: unknown) => error instanceof EfficientNetError && message.test(error.message) || assert.fail(`${bytes.join()}: ${String(error)}`));
    }
    assert.equal(cases.length, 13);
  });

  it('shapes that are not the data\'s', () => {
    for (const [shape, message] of [
      [[2 ** 40, 2 ** 40, 3, 3], /needs too many bytes but has 216/], [[2 ** 31, 2], /needs 17179869184 bytes/], [[-2, 3, 3, 3], /no negative size in the shape \[-2, 3, 3, 3\]/],
      [new Array<number>(17).fill(1), /at most 16 integers/], [[2, 3, 3], /needs 72 bytes but has 216/],
    ] as const) {
      fails((model) => (tensor(model, 'stem.weight').shape = shape), 'ERR_INVALID_CHECKPOINT', message);
    }
  });

  it('one long way of Identity nodes for many values', () => {
    const model = parts();
    const chain = Array.from({ length: 8000 }, (_, i): OnnxNode => ({ op: 'Identity', name: '', inputs: [i === 0 ? 'stem.weight' : `i${i - 1}`], output: `i${i}` }));
    model.nodes = [...chain, ...model.nodes.map((one) => ({ ...one, inputs: one.inputs.map((input) => (input.endsWith('weight') ? 'i7999' : input)) }))];
    const bytes = build(model);
    assertRefuses(() => readOnnx(bytes), 'ERR_UNSUPPORTED', /./);
  });

  it('one long computation for many paddings', () => {
    const model = parts();
    const sum = Array.from({ length: 150 }, (_, i): OnnxNode => ({ op: 'Add', name: '', inputs: [i === 0 ? add(model, 'p', [0, 0, 1, 1, 0, 0, 1, 1], [8], true) : `s${i - 1}`, add(model, `q${i}`, [0], [1], true)], output: `s${i}` }));
    const pads = Array.from({ length: 10_000 }, (_, i): OnnxNode => ({ op: 'Pad', name: '', inputs: ['input', 's149'], output: `pad ${i}` }));
    model.nodes = [...sum, ...pads, ...model.nodes];
    const bytes = build(model);
    // More than a network needs: the rest is not computed, and no layer uses it.
    assertSame(mapWeights(readOnnx(bytes)));
    // All of it would take ten seconds.
    assert.ok(milliseconds(() => readOnnx(bytes)) < 1000);
  });

  it('messages that nest a thousand deep are passed over by their length', () => {
    let nested = new MessageWriter();
    for (let i = 0; i < 1000; i++) nested = new MessageWriter().message(kSubgraph, nested);
    const attribute = new MessageWriter().string(1, 'body').message(kSubgraph, nested);
    const graph = new MessageWriter().message(graphField.node, new MessageWriter().string(nodeField.opType, 'Loop').string(nodeField.output, 'x').message(nodeField.attribute, attribute));
    const model = Buffer.concat(new MessageWriter().integer(1, 8).message(7, graph).parts());
    assertRefuses(() => readOnnx(model), 'ERR_UNSUPPORTED', /a classifier/);
  });

  it('a million empty nodes take no memory to speak of', () => {
    const graph = Buffer.alloc(2_000_000);
    for (let i = 0; i < graph.length; i += 2) graph[i] = 0x0a;
    const model = Buffer.concat(new MessageWriter().integer(1, 8).bytes(7, graph).parts());
    assertRefuses(() => readOnnx(model), 'ERR_INVALID_CHECKPOINT', /at most 20000 nodes and tensors/);
  });
});
