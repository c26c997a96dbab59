// SPDX-License-Identifier: Apache-2.0
// Conversions: what is written reads back bit for bit and without options, ONNX Runtime computes the
// same logits from it, and a file appears whole or not at all.

import { strict as assert } from 'node:assert';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync, existsSync, linkSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runCommandLine } from '../../lib/cli/main.js';
import { Terminal } from '../../lib/cli/terminal.js';
import { convert, EfficientNetError, type Activation, type Block, type ConvertOptions, type ErrorCode, type Network } from '../../lib/index.js';
import { networkMetadata } from '../../lib/described-network.js';
import { readCheckpoint } from '../../lib/formats/index.js';
import { writeSafetensors } from '../../lib/formats/safetensors.js';
import { buildNetwork } from '../../lib/network.js';
import { randomWeights } from '../../lib/random-weights.js';
import { canonicalMetadata, canonicalTensors } from '../../lib/weights.js';
import { cut, writeGraph } from './graph-writer.js';
import { everyBlock } from './helpers/every-block.js';
import { apart, floats, generate, pythonWith, using } from './helpers/oracle.js';
import { noise } from './helpers/synthetic.js';

/** A safetensors file as convert writes it for a network that has no name. */
function checkpointOf(network: Network, more: Readonly<Record<string, string>> = {}): Uint8Array {
  const custom = network.name === 'custom' ? { network: networkMetadata(network) } : {};
  return writeSafetensors(canonicalTensors(randomWeights(network)), { ...canonicalMetadata(network), ...custom, ...more });
}

const activations: readonly Activation[] = ['swish', 'relu', 'relu6', 'hard-swish'];
const networks: Readonly<Record<string, Network>> = {
  ...Object.fromEntries(activations.map((activation) => [activation, everyBlock({ activation, hidden: activation === 'relu' ? 0 : 6 })])),
  symmetric: everyBlock({ padding: 'symmetric' }),
  hard: everyBlock({ activation: 'hard-swish', squeezeActivation: 'relu', gateActivation: 'hard-sigmoid', hidden: 7 }),
  sigmoid: everyBlock({ activation: 'relu6', squeezeActivation: 'sigmoid', gateActivation: 'hard-sigmoid' }),
  b0: buildNetwork('b0', { classes: 7, padding: 'same', batchNormEpsilon: 1e-3 }),
};

describe('convert', () => {
  let folder: string;
  const at = (name: string): string => join(folder, name);
  before(() => (folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-convert-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const [name, network] of Object.entries(networks)) {
    it(`${name}: safetensors to ONNX and back is the same, byte for byte`, async () => {
      const first = at(`${name}.first.safetensors`);
      await convert(checkpointOf(network), first, { recipe: { crop: 'squash', mean: [0.5, 0.4, 0.3] }, labels: Array.from({ length: network.head.classes }, (_, i) => `é${i}`) });
      const made = await convert(first, at(`${name}.onnx`));
      assert.equal(made.bytes, readFileSync(at(`${name}.onnx`)).length);
      const { bytes, ...rest } = await convert(at(`${name}.onnx`), at(`${name}.second.safetensors`));
      assert.deepEqual(rest, {
        output: at(`${name}.second.safetensors`), format: 'safetensors', architecture: network.name, classes: network.head.classes,
        padding: network.padding, source: 'onnx',
      });
      assert.deepEqual(readFileSync(at(`${name}.second.safetensors`)), readFileSync(first));
      await using({ weights: first }, (model) =>
        using({ weights: at(`${name}.onnx`) }, (other) => {
          const { source: _source, checkpoint: _file, weightBytes: _bytes, ...info } = model.info;
          const { source, checkpoint: { format }, weightBytes: _others, ...others } = other.info;
          assert.deepEqual([source, format], ['onnx', 'onnx']);
          assert.deepEqual(others, info);
          assert.deepEqual(info.recipe.mean, [0.5, 0.4, 0.3]);
          const input = noise(3 * 40 * 56, 3);
          assert.deepEqual(other.runSync(input, { height: 40, width: 56 }), model.runSync(input, { height: 40, width: 56 }));
          const pixels = { data: new Uint8Array(300).fill(77), width: 10, height: 10, channels: 'rgb' } as const;
          assert.deepEqual(other.classifySync(pixels), model.classifySync(pixels));
          assert.match(model.classifySync(pixels)[0]?.label ?? '', /^é\d$/);
        }),
      );
    });
  }

  it('leaves ImageNet\'s labels out, and fixes the size of an ONNX input', async () => {
    await convert(checkpointOf(buildNetwork('b0')), at('sized.onnx'), { height: 96 });
    const { metadata, input } = await readCheckpoint(at('sized.onnx'));
    assert.deepEqual([...metadata.keys()].sort(), ['architecture', 'batchNormEpsilon', 'format', 'graph.preprocessing', 'padding', 'recipe', 'version']);
    assert.deepEqual(input, { height: 96, width: 96 });
  });

  it('reads what others write', async () => {
    const golden = join(__dirname, '..', '..', '..', 'test', 'golden');
    const input = noise(3 * 32 * 32, 1);
    for (const name of ['small.onnx', 'small-hard.tflite', 'small-f16.tflite']) {
      const expected = await using({ weights: join(golden, name) }, (model) => model.runSync(input, { height: 32, width: 32 }));
      for (const ending of ['onnx', 'safetensors']) {
        await convert(pathToFileURL(join(golden, name)), pathToFileURL(at(`${name}.${ending}`)));
        const found = await using({ weights: at(`${name}.${ending}`) }, (model) => model.runSync(input, { height: 32, width: 32 }));
        assert.deepEqual(found, expected, `${name} to ${ending}`);
      }
    }
  });
});

describe('convert: files and arguments', () => {
  let folder: string;
  let input: string;
  const at = (name: string): string => join(folder, name);
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-convert-'));
    input = at('in.safetensors');
    writeFileSync(input, checkpointOf(everyBlock()));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  afterEach(() => assert.deepEqual(readdirSync(folder).filter((name) => name.endsWith('.tmp')), []));

  const fails = (run: () => Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> =>
    assert.rejects(run, (error: unknown) => {
      assert.ok(error instanceof EfficientNetError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      return true;
    });

  it('takes the place of a file, writes through a link, and of nothing else', async function () {
    writeFileSync(at('old.onnx'), 'old');
    await convert(input, at('old.onnx'));
    assert.ok(readFileSync(at('old.onnx')).length > 1000);
    if (process.platform === 'win32') return this.skip();
    symlinkSync(at('old.onnx'), at('link.onnx'));
    await convert(input, at('link.onnx'));
    assert.ok(lstatSync(at('link.onnx')).isSymbolicLink());
    mkdirSync(at('folder.onnx'), { recursive: true });
    await fails(() => convert(input, at('folder.onnx')), 'ERR_FILE', /it is a directory/);
    execFileSync('mkfifo', [at('pipe.onnx')]);
    await fails(() => convert(input, at('pipe.onnx')), 'ERR_FILE', /a pipe or a device/);
    await fails(() => convert(input, '/dev/null', { format: 'onnx' }), 'ERR_FILE', /a pipe or a device/);
    await fails(() => convert(input, at('none/out.onnx')), 'ERR_FILE', /its folder does not exist/);
    symlinkSync(input, at('alias.safetensors'));
    await fails(() => convert(at('alias.safetensors'), input), 'ERR_INVALID_ARGUMENT', /another file than its input/);
    await fails(() => convert(pathToFileURL(input).href, input), 'ERR_INVALID_ARGUMENT', /another file than its input/);
    mkdirSync(at('alone'));
    const only = at('alone/model.safetensors');
    copyFileSync(input, only);
    await fails(() => convert(at('alone'), only), 'ERR_INVALID_ARGUMENT', /another file than its input/);
    assert.deepEqual(readFileSync(only), readFileSync(input));
    for (const url of ['file://host/a.onnx', 'file:///a%2fb.onnx'].map((href) => new URL(href))) {
      await fails(() => convert(input, url), 'ERR_FILE', /names no file here/);
      await fails(() => convert(url, at('out.onnx')), 'ERR_FILE', /names no file here/);
    }
  });

  it('takes a name that ends as a folder does for one', async () => {
    for (const path of ['y.onnx/', 'y.onnx/.', 'y.onnx//', 'none/..']) {
      await fails(() => convert(input, `${folder}/${path}`, { format: 'onnx' }), 'ERR_FILE', /it ends as the name of a folder does; name a file/);
    }
    await fails(() => convert(input, new URL(`${pathToFileURL(folder).href}/y.onnx/`), { format: 'onnx' }), 'ERR_FILE', /as the name of a folder does/);
    assert.ok(!existsSync(at('y.onnx')));
  });

  /** That none of these ways to name a part as the output changes it. */
  async function spares(source: string, part: string): Promise<void> {
    const before = readFileSync(part);
    const [soft, hard] = [join(dirname(part), 'soft'), join(dirname(part), 'hard')];
    symlinkSync(part, soft);
    linkSync(part, hard);
    for (const output of [part, relative(process.cwd(), part), pathToFileURL(part), soft, hard]) {
      await fails(() => convert(source, output, { format: 'onnx' }), 'ERR_INVALID_ARGUMENT', /Expected another file than its input/);
      assert.deepEqual(readFileSync(part), before, String(output));
    }
  }

  it('spares every file that its input consists of', async function () {
    if (process.platform === 'win32') return this.skip();
    const network = everyBlock();
    const tensors = [...canonicalTensors(randomWeights(network))];
    mkdirSync(at('index'));
    const metadata = { ...canonicalMetadata(network), network: networkMetadata(network) };
    const halves = [tensors.slice(0, 9), tensors.slice(9)];
    for (const [i, half] of halves.entries()) writeFileSync(at(`index/${i}.safetensors`), writeSafetensors(half, metadata));
    const map = Object.fromEntries(halves.flatMap((half, i) => half.map(({ name }) => [name, `${i}.safetensors`])));
    const index = at('index/model.safetensors.index.json');
    writeFileSync(index, JSON.stringify({ weight_map: map }));
    const config = at('index/config.json');
    writeFileSync(config, '{}');
    for (const part of ['0.safetensors', '1.safetensors', 'model.safetensors.index.json']) {
      await spares(index, at(`index/${part}`));
      for (const name of ['soft', 'hard']) rmSync(at(`index/${name}`));
    }
    await spares(at('index'), config);

    const graph = writeGraph([{ out: 4, stride: 1, expand: false, add: true }]);
    const shards = cut(Buffer.concat(graph.data), 101);
    mkdirSync(at('tfjs'));
    for (const [name, bytes] of shards) writeFileSync(at(`tfjs/${name}`), bytes);
    writeFileSync(at('tfjs/model.json'), JSON.stringify(graph.model([...shards.keys()])));
    await spares(at('tfjs/model.json'), at(`tfjs/${[...shards.keys()].at(-1)}`));
    await convert(at('tfjs/model.json'), at('tfjs/out.onnx'));
    await convert(index, at('index/out.safetensors'));
  });

  /** A file of 20 MB, whose writing takes many chunks. */
  const large = (): Uint8Array => checkpointOf(buildNetwork('b0'));
  const unfinished = (): string[] => readdirSync(folder).filter((name) => name.endsWith('.tmp'));

  it('stops while it writes, leaves what was there and nothing half', async () => {
    const bytes = large();
    for (const name of ['aborted.safetensors', 'aborted.onnx']) {
      writeFileSync(at(name), 'before');
      const controller = new AbortController();
      const reason = new Error('enough');
      const pending = convert(bytes, at(name), { signal: controller.signal });
      let written = 0;
      const watch = (): void => {
        const [found] = unfinished();
        written = found === undefined ? 0 : (statSync(at(found), { throwIfNoEntry: false })?.size ?? 0);
        if (written > 0) controller.abort(reason);
        else setImmediate(watch);
      };
      watch();
      await assert.rejects(pending, (error) => error === reason);
      assert.ok(written > 0 && written < bytes.length / 2, `${written} bytes`);
      assert.equal(readFileSync(at(name), 'utf8'), 'before');
      assert.deepEqual(unfinished(), []);
    }
  });

  it('takes away what a killed process left, and nothing else', async () => {
    writeFileSync(at('large.safetensors'), large());
    const output = at('killed.onnx');
    const script = `
      const { readdirSync } = require('node:fs');
      const watch = () => {
        if (readdirSync(${JSON.stringify(folder)}).some((name) => name.endsWith('.tmp'))) process.kill(process.pid, 'SIGKILL');
        setImmediate(watch).unref();
      };
      require(${JSON.stringify(join(__dirname, '..', '..', 'lib', 'index.js'))}).convert(${JSON.stringify(at('large.safetensors'))}, ${JSON.stringify(output)});
      watch();`;
    assert.equal(spawnSync(process.execPath, ['-e', script], { stdio: 'ignore', timeout: 60_000 }).signal, 'SIGKILL');
    const [left = assert.fail('no temporary file')] = unfinished();
    assert.ok(!existsSync(output));
    const [, pid = assert.fail(left), system = ''] = /^\.killed\.onnx\.(\d+)-([0-9a-f]{16})\.[0-9a-f]{16}\.tmp$/.exec(left) ?? [];
    const others = [
      `.killed.onnx.${process.pid}-${system}.0123456789abcdef.tmp`, // of a process that lives
      `.killed.onnx.${pid}-0123456789abcdef.0123456789abcdef.tmp`, // of another host or container
      `.other.onnx.${pid}-${system}.0123456789abcdef.tmp`, `.killed.onnx.${pid}-${system}.tmp`, `killed.onnx.${pid}-${system}.0123456789abcdef.tmp`,
    ];
    for (const name of others) writeFileSync(at(name), 'other');
    await convert(input, output);
    assert.deepEqual(unfinished().sort(), others.sort());
    assert.ok(readFileSync(output).length > 1000);
    for (const name of others) rmSync(at(name));
  });

  it('a command that is interrupted while it writes cleans up, and ends by the signal', async function () {
    if (process.platform === 'win32') return this.skip();
    writeFileSync(at('large.safetensors'), large());
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const script = `
        const { readdirSync } = require('node:fs');
        let sent = false;
        const watch = () => {
          if (!sent && readdirSync(${JSON.stringify(folder)}).some((name) => name.endsWith('.tmp'))) process.kill(process.pid, '${signal}'), (sent = true);
          setImmediate(watch).unref();
        };
        process.argv = [process.argv[0], 'efficientnet-simd', 'convert', ${JSON.stringify(at('large.safetensors'))}, ${JSON.stringify(at('interrupted.onnx'))}];
        require(${JSON.stringify(join(__dirname, '..', '..', 'lib', 'cli', 'main.js'))}).main();
        watch();`;
      const { signal: by, stderr, stdout } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 60_000 });
      assert.deepEqual([by, stderr, stdout], [signal, '', '']);
      assert.deepEqual(unfinished(), []);
      assert.ok(!existsSync(at('interrupted.onnx')));
    }
  });

  it('a long name is no reason to fail', async () => {
    const name = `${'é'.repeat(120)}.onnx`; // 245 bytes of the 255 that a name may have
    await convert(input, at(name));
    assert.ok(existsSync(at(name)));
  });

  it('leaves the old file where the input is not sound', async () => {
    writeFileSync(at('kept.onnx'), 'kept');
    writeFileSync(at('broken.safetensors'), readFileSync(input).subarray(0, 5000));
    await fails(() => convert(at('broken.safetensors'), at('kept.onnx')), 'ERR_INVALID_CHECKPOINT', /broken\.safetensors/);
    await fails(() => convert(at('missing.pth'), at('kept.onnx')), 'ERR_FILE', /cannot be read/);
    await assert.rejects(() => convert(input, at('kept.onnx'), { signal: AbortSignal.abort('stop') }), (reason) => reason === 'stop');
    assert.equal(readFileSync(at('kept.onnx'), 'utf8'), 'kept');
  });

  it('checks its arguments', async () => {
    const wrong = (value: unknown): never => value as never;
    const cases: readonly (readonly [input: unknown, output: unknown, options: unknown, message: RegExp])[] = [
      [input, at('a.bin'), undefined, /ends in \.safetensors or \.onnx, or the option format/],
      [input, at('a.onnx'), { format: 'tflite' }, /one of 'safetensors', 'onnx' for format/],
      [input, at('a.onnx'), { formt: 'onnx' }, /Unknown option 'formt' in the convert options\. Did you mean 'format'/],
      [input, at('a.onnx'), { weights: input }, /Unknown option 'weights'/],
      [input, at('a.onnx'), { height: 0 }, /an integer from 1 to 4096 for height/],
      [input, at('a.onnx'), { width: 32 }, /a height beside the width/],
      [input, at('a.safetensors'), { height: 32 }, /a safetensors file has no input/],
      [input, '', undefined, /a path or a file URL for the output/],
      [input, 7, undefined, /a path or a file URL for the output/],
      [7, at('a.onnx'), undefined, /for weights but received 7/],
      [input, at('a.onnx'), { labels: ['one'] }, /5 names/],
      [input, at('a.onnx'), { externalData: [] }, /an object of paths or bytes by name for externalData/],
      [input, at('a.onnx'), { externalData: { a: 7 } }, /for externalData\["a"\]/],
    ];
    for (const [from, to, options, message] of cases) {
      await fails(() => convert(wrong(from), wrong(to), wrong(options) as ConvertOptions), 'ERR_INVALID_ARGUMENT', message);
    }
    assert.equal(cases.length, 13);
    assert.ok(!existsSync(at('a.onnx')));
  });

  it('as a command', async () => {
    const run = async (...args: string[]): Promise<{ readonly status: number; readonly out: string; readonly err: string }> => {
      const [out, err]: [string[], string[]] = [[], []];
      const stream = (to: string[]) => ({ isTTY: false, columns: 80, write: (text: string) => to.push(text) > 0 });
      const terminal = new Terminal(stream(out) as never, stream(err) as never, {});
      return { status: await runCommandLine(['convert', ...args], terminal), out: out.join(''), err: err.join('') };
    };
    const { status, out, err } = await run(input, at('command.onnx'), '--json', '--size', '64');
    assert.equal(status, 0, err);
    const { milliseconds, ...result } = JSON.parse(out) as { readonly milliseconds: number };
    assert.ok(milliseconds > 0);
    assert.deepEqual(result, {
      input, output: at('command.onnx'), format: 'onnx', bytes: readFileSync(at('command.onnx')).length, architecture: 'custom', classes: 5, padding: 'same', source: 'canonical',
    });
    assert.match((await run(at('command.onnx'), at('command.safetensors'))).out, /command\.safetensors: custom, 5 classes, same padding, \d+ bytes/);
    for (const [args, message] of [
      [[input], /takes two arguments, IN and OUT, found 1/], [[input, at('x.bin')], /say --to safetensors or --to onnx/],
      [[input, at('x.onnx'), '--to', 'tflite'], /--to expects safetensors or onnx/], [[input, at('x.onnx'), '--width', '32'], /--width needs --height/],
    ] as const) {
      const wrongUse = await run(...args);
      assert.equal(wrongUse.status, 2);
      assert.match(wrongUse.err, message);
    }
    assert.equal((await run(at('none.pth'), at('x.onnx'))).status, 1);
  });
});

/** The network with fewer channels, other shares in each block, as after pruning. */
function pruned(network: Network): Network {
  const share = (count: number, percent: number): number => Math.max(1, Math.ceil((count * percent) / 100));
  let channels = share(network.stem.out, 80);
  const stem = { ...network.stem, out: channels };
  const blocks = network.blocks.map((block, i): Block => {
    const from = channels;
    channels = block.residual ? from : share(block.out, 60 + (7 * i) % 40);
    const expanded = block.kind === 'mbconv' && !block.hasExpand ? from : share(block.expanded, 50 + (11 * i) % 50);
    const common = { in: from, expanded, out: channels };
    return block.kind === 'fused' ? { ...block, ...common } : { ...block, ...common, squeeze: block.squeeze === 0 ? 0 : share(block.squeeze, 70) };
  });
  return { ...network, stem, blocks, head: { ...network.head, in: channels, features: share(network.head.features, 75) } };
}

describe('convert: ONNX Runtime computes the same', function () {
  this.timeout(300_000);
  const sizes = [[64, 64, 1], [65, 97, 2], [33, 40, 3]] as const;
  const names = ['tf_efficientnet_b3', 'v2-s', 'tf_efficientnetv2_b0', 'mobilenetv3-large', 'mobilenetv3-small', 'tf_efficientnet_lite0', 'edgetpu-s', 'tinynet-e', 'mobilenetv2-050', 'mnasnet-a1', 'fbnet-c'];
  const cases: Readonly<Record<string, Network>> = {
    ...networks,
    ...Object.fromEntries(names.map((name) => [name, buildNetwork(name, { classes: 9 })])),
    'efficientnet_b1_pruned': pruned(buildNetwork('efficientnet_b1_pruned', { classes: 9 })),
  };
  let folder = '';
  const at = (name: string, ending: string): string => join(folder, `${name}.${ending}`);
  const file = (name: string, size: readonly number[], kind: string): string => at(name, `${size.join('x')}.${kind}`);
  before(async function () {
    const python = pythonWith(['onnxruntime'], 'EFFNET_REQUIRE_ONNXRUNTIME');
    if (python === undefined) return this.skip();
    folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-convert-'));
    const jobs: string[] = [];
    for (const [name, network] of Object.entries(cases)) {
      await convert(checkpointOf(network), at(name, 'onnx'));
      for (const size of sizes) {
        const [height, width, images] = size;
        writeFileSync(file(name, size, 'in'), new Uint8Array(noise(images * 3 * height * width, height).buffer));
        jobs.push(at(name, 'onnx'), file(name, size, 'in'), file(name, size, 'out'), `${height}x${width}`);
      }
    }
    generate(python, 'run_onnx.py', jobs);
  });
  after(() => {
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
  });

  for (const [name, network] of Object.entries(cases)) {
    it(`${name}: one, two and three images of several sizes within 1e-4 of the largest logit, and the same bits after the way back`, async () => {
      await convert(at(name, 'onnx'), at(name, 'safetensors'));
      await using({ weights: checkpointOf(network) }, (model) =>
        using({ weights: at(name, 'safetensors') }, (back) => {
          for (const size of sizes) {
            const [height, width] = size;
            const input = floats(file(name, size, 'in'));
            const expected = model.runSync(input, { layout: 'nchw', height, width });
            const error = apart(floats(file(name, size, 'out')), expected);
            assert.ok(error < 1e-4, `${size.join('x')}: ${error}`);
            assert.deepEqual(back.runSync(input, { layout: 'nchw', height, width }), expected);
          }
        }),
      );
    });
  }
});
