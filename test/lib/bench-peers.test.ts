// SPDX-License-Identifier: Apache-2.0
// The race with contestants made up here, each a process that speaks the protocol: who agrees, who
// does not, who dies, who is not installed; what is left behind. And once with ourselves. No speed is
// asserted; other runtimes are raced by whoever has them.
// Runs alone: what it times must not share a core.

import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { launchOf, type Entrant } from '../../lib/bench/peers/entrants.js';
import { writeRaceFiles } from '../../lib/bench/peers/files.js';
import type { PeersBench } from '../../lib/bench/peers/index.js';
import type { Task } from '../../lib/bench/peers/protocol.js';
import { logitDifference, race, scoreDifference, type Race } from '../../lib/bench/peers/race.js';
import { peersReport } from '../../lib/bench/peers/report.js';
import { Racer } from '../../lib/bench/peers/racer.js';
import { exampleInput, weightsFor } from '../../lib/bench/subject.js';
import { readCheckpoint } from '../../lib/formats/index.js';
import { standardRecipe } from '../../lib/recipe.js';
import { mapWeights } from '../../lib/weights.js';

/** A contestant: what it answers, and on which request it does something else. */
interface Fake {
  readonly values?: readonly number[];
  readonly milliseconds?: number;
  /** A statement run before each answer; `request` is the request. */
  readonly before?: string;
}

function fakeProgram({ values = [1, -2], milliseconds = 5, before = '' }: Fake): string {
  return `
    const lines = require('node:readline').createInterface({ input: process.stdin });
    const respond = (id, body) => process.stdout.write('@race ' + JSON.stringify({ id, ...body }) + '\\n');
    lines.on('line', (line) => {
      const request = JSON.parse(line);
      console.log('some library talks');
      ${before}
      const value = {
        open: { version: 'fake 1', milliseconds: 10, bare: 1000, loaded: 2000 },
        answer: { values: ${JSON.stringify(values)}, milliseconds: 20 },
        run: { milliseconds: [${milliseconds}, ${milliseconds}], cpuShare: 1, switchesPerSecond: 0 },
        memory: { resident: 3000 },
      }[request.method];
      respond(request.id, { ok: true, value });
    });`;
}

const task: Task = {
  kind: 'tensor', architecture: 'b0', height: 32, width: 32, batch: 1, threads: 1, isa: '', recipe: standardRecipe(224),
  files: { weights: '', onnx: '', network: '', folded: '', input: '' },
};

function run(fakes: Readonly<Record<string, Fake>>, { rounds = 6, kind = 'tensor' }: { rounds?: number; kind?: Task['kind'] } = {}): Promise<Race> {
  const entrants = Object.keys(fakes).map((label): Entrant => ({ label, contestant: label, runtime: 'node' }));
  const launch = ({ label }: Entrant): { command: string; args: readonly string[]; install: string } =>
    label === 'missing'
      ? { command: '/nonexistent/interpreter', args: [], install: 'install it' }
      : { command: process.execPath, args: ['-e', fakeProgram(fakes[label] ?? {})], install: '' };
  return race(entrants, { ...task, kind }, { rounds, turn: 1, python: '' }, () => undefined, launch);
}

describe('agreement', () => {
  it('is the largest difference over our largest', () => {
    assert.equal(logitDifference([1, 2.5], [1, -2]), 4.5 / 2);
    assert.equal(logitDifference([1, 2, 3], [1, 2]), 0); // of the images that both have
    for (const theirs of [[], [NaN], [Infinity]]) assert.equal(logitDifference(theirs, [1]), Infinity);
    assert.equal(logitDifference([0], [0]), Infinity); // zeros say nothing
  });

  it('of photos is that of the best label', () => {
    assert.ok(Math.abs(scoreDifference([7, 0.5, 3, 0.2], [7, 0.6, 9, 0.1]) - 0.1) < 1e-12);
    assert.equal(scoreDifference([3, 0.5], [7, 0.5]), Infinity);
    assert.equal(scoreDifference([], [7, 0.5]), Infinity);
  });
});

describe('a race', () => {
  it('gives everybody turns and compares round by round', async () => {
    const { trustworthy, rounds, reasons, entrants } = await run({ ours: { milliseconds: 5 }, theirs: { milliseconds: 10, values: [1.00001, -2] } });
    assert.deepEqual({ trustworthy, rounds, reasons }, { trustworthy: true, rounds: 6, reasons: [] });
    const [ours, theirs] = entrants;
    assert.equal(ours?.ratio?.median, 1);
    assert.deepEqual(theirs?.ratio, { median: 0.5, low: 0.5, high: 0.5, interval: [0.5, 0.5] });
    assert.deepEqual(theirs.latency, { min: 10, median: 10, p95: 10, p99: 10 });
    assert.deepEqual(
      { ...theirs, latency: undefined, ratio: undefined },
      {
        label: 'theirs', batch: 1, threads: 1, status: 'ran', version: 'fake 1', imagesPerSecond: 100, firstResult: 30,
        difference: theirs.difference, memory: { bare: 1000, loaded: 2000, ran: 3000 }, latency: undefined, ratio: undefined,
      },
    );
    assert.ok(Math.abs((theirs.difference ?? NaN) - 5e-6) < 1e-12);
  });

  it('does not compare with who computes something else', async () => {
    const { entrants } = await run({ ours: {}, theirs: { values: [1, -2.001] } });
    assert.deepEqual([entrants[1]?.status, entrants[1]?.ratio], ['disagrees', undefined]);
    assert.match(entrants[1]?.reason ?? '', /logits differ by 5\.0e-4 of the largest/);
  });

  it('compares photos by their best label', async () => {
    const { entrants } = await run({ ours: { values: [7, 0.5] }, near: { values: [7, 0.45] }, other: { values: [8, 0.5] } }, { kind: 'photo' });
    assert.deepEqual(entrants.map(({ status }) => status), ['ran', 'ran', 'disagrees']);
  });

  it('reports who is not installed, who fails and who dies, and goes on', async () => {
    const { entrants } = await run({
      ours: {},
      missing: {},
      uninstalled: { before: "return respond(request.id, { ok: false, error: { message: 'x is not installed', install: 'npm install x' } });" },
      broken: { before: "return respond(request.id, { ok: false, error: { message: 'no such operator' } });" },
      dead: { before: "console.error('out of luck'); process.exit(7);" },
      dying: { before: "if (request.method === 'run') process.kill(process.pid, 'SIGKILL');" },
      fine: {},
    });
    const found = Object.fromEntries(entrants.map(({ label, status, reason, install }) => [label, [status, reason, install]]));
    assert.deepEqual(found['missing'], ['not run', '/nonexistent/interpreter was not found', 'install it']);
    assert.deepEqual(found['uninstalled'], ['not run', 'x is not installed', 'npm install x']);
    assert.deepEqual(found['broken'], ['failed', 'no such operator', undefined]);
    assert.deepEqual(found['dead']?.slice(0, 1), ['failed']);
    assert.match(found['dead']?.[1] ?? '', /ended with status 7: out of luck/);
    assert.deepEqual(found['dying']?.slice(0, 2), ['failed', 'its process ended with SIGKILL']);
    assert.equal(found['fine']?.[0], 'ran');
    assert.deepEqual(entrants.map(({ label }) => label), ['ours', 'missing', 'uninstalled', 'broken', 'dead', 'dying', 'fine']);
  }).timeout(20_000);

  it('cannot be run without us', async () => {
    await assert.rejects(run({ ours: { before: 'process.exit(1);' }, theirs: {} }), { code: 'ERR_INVALID_ARGUMENT', message: /itself failed in it: its process ended with status 1/ });
    await assert.rejects(run({ ours: { before: "if (request.method === 'run') process.exit(1);" }, theirs: {} }), { code: 'ERR_INVALID_ARGUMENT' });
  });

  it('is not to be trusted after few rounds, or where a core was shared', async () => {
    assert.match((await run({ ours: {}, theirs: {} }, { rounds: 2 })).reasons[0] ?? '', /theirs: only 2 rounds/);
    const shared = "if (request.method === 'run') return respond(request.id, { ok: true, value: { milliseconds: [1], cpuShare: 0.5, switchesPerSecond: 0 } });";
    assert.match((await run({ ours: {}, theirs: { before: shared } })).reasons[0] ?? '', /theirs: the process had a core for 50 %/);
  });
});

describe('a racer', () => {
  const sleeping = (pid: number): boolean => / [tT] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/\(.*\)/, ''));

  it('sleeps unless it is asked, and is gone when it is ended', async function () {
    if (process.platform !== 'linux') return this.skip();
    const program = fakeProgram({}).replace("version: 'fake 1'", 'version: String(process.pid)');
    const racer = new Racer({ command: process.execPath, args: ['-e', program] });
    const { version } = (await racer.ask({ method: 'open', task })) as { readonly version: string };
    const pid = Number(version);
    for (let wait = 0; wait < 100 && !sleeping(pid); wait++) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok(sleeping(pid));
    await racer.ask({ method: 'memory' });
    await racer.end();
    assert.ok(!existsSync(`/proc/${pid}`));
    await assert.rejects(racer.ask({ method: 'memory' }), /ended with SIGKILL/);
    await racer.end();
  });

  it('is asked to come to rest where processes cannot be stopped, and it is noted if it does not', async () => {
    for (const idle of [true, false]) {
      const program = fakeProgram({ before: `if (request.method === 'rest') return respond(request.id, { ok: true, value: { idle: ${idle} } });` });
      const racer = new Racer({ command: process.execPath, args: ['-e', program] }, false);
      assert.deepEqual(await racer.ask({ method: 'memory' }), { resident: 3000 });
      assert.equal(racer.restless, !idle);
      await racer.end();
    }
    // Our own child process.
    const own = new Racer(launchOf({ label: '', contestant: 'efficientnet-simd', runtime: 'node' }, ''), false);
    const { resident } = (await own.ask({ method: 'memory' })) as { readonly resident: number };
    assert.ok(resident > 1e6 && !own.restless);
    await own.end();
  }).timeout(20_000);
});

describe('files of a race', () => {
  it('hold the same weights in every form, and go away', async () => {
    const weighted = await weightsFor('b0', { random: true });
    const listeners = process.listenerCount('exit');
    const photo = join(__dirname, '../../../test/images/chelsea.png');
    const { files, remove } = await writeRaceFiles(weighted, { height: 32, width: 40, batch: 2, photo });
    try {
      assert.deepEqual(mapWeights(await readCheckpoint(files.folded)).head, weighted.weights.head);
      assert.equal(files.weights, files.folded);
      assert.deepEqual(JSON.parse(readFileSync(files.network, 'utf8')), weighted.weights.network);
      const input = new Float32Array(new Uint8Array(readFileSync(files.input)).buffer);
      assert.deepEqual(input, exampleInput(2 * 3 * 32 * 40));
      const onnx = readFileSync(files.onnx);
      assert.ok(onnx.length > 4 * 5_288_548 * 0.99 && onnx.includes('head.classifier.weight'));
      const folder = files.transformers ?? assert.fail();
      assert.ok(readFileSync(join(folder, 'onnx', 'model.onnx')).includes('pixel_values'));
      const preprocessor = JSON.parse(readFileSync(join(folder, 'preprocessor_config.json'), 'utf8')) as { size: unknown };
      assert.deepEqual(preprocessor.size, { shortest_edge: 256 });
    } finally {
      remove();
    }
    assert.ok(!existsSync(files.network));
    assert.equal(process.listenerCount('exit'), listeners); // many races in one process
  });

  it('take a checkpoint and a graph as they are', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
    try {
      const random = await weightsFor('b0', { random: true });
      const weighted = { ...random, origin: { kind: 'file', path: join(folder, 'mine.pth') } } as const;
      writeFileSync(weighted.origin.path, '');
      const { files, remove } = await writeRaceFiles(weighted, { height: 32, width: 32, batch: 1, onnx: join(folder, 'mine.onnx') });
      remove();
      assert.deepEqual([files.weights, files.onnx, files.photo], [join(folder, 'mine.pth'), join(folder, 'mine.onnx'), undefined]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('bench --peers', () => {
  const program = join(__dirname, '../../../bin/efficientnet-simd.js');
  const folder = mkdtempSync(join(tmpdir(), 'efficientnet-simd-'));
  after(() => rmSync(folder, { recursive: true }));
  const bench = (...args: readonly string[]): Promise<{ status: number; out: string; err: string }> =>
    new Promise((resolve) => {
      execFile(process.execPath, [program, 'bench', '--peers', ...args], { encoding: 'utf8', cwd: folder }, (error, out, err) => {
        resolve({ status: typeof error?.code === 'number' ? error.code : error === null ? 0 : NaN, out, err });
      });
    });

  it('races ourselves, and says of the others what is missing', async () => {
    const report = join(folder, 'race.html');
    const args = ['--random', '--size', '32', '--rounds', '1', '--seconds', '1', '--python', join(folder, 'python'), '--html', report, '--json'];
    const { status, out, err } = await bench(...args);
    const result = JSON.parse(out) as PeersBench;
    assert.equal(status, result.trustworthy ? 0 : 3, err);
    assert.deepEqual([result.race, result.model, result.height, result.threads, result.weights], ['inference', 'b0', 32, 1, { kind: 'random' }]);
    assert.deepEqual(result.entrants.map(({ label }) => label), ['efficientnet-simd', 'onnxruntime-node', 'onnxruntime-web', 'openvino', 'litert']);
    const [ours, ort, , openvino] = result.entrants;
    assert.equal(ours?.status, 'ran');
    assert.ok((ours.memory?.ran ?? 0) > (ours.memory?.bare ?? Infinity) && (ours.firstResult ?? 0) > 0);
    // Where the developer has it, it ran; where not, it says how to get it.
    assert.ok(ort?.status === 'ran' || ort?.install === 'npm install --no-save --ignore-scripts onnxruntime-node', JSON.stringify(ort));
    assert.deepEqual([openvino?.status, openvino?.install], ['not run', 'install Python 3, or name one with --python']);
    const text = readFileSync(report, 'utf8');
    assert.ok(text.includes('Not compared') && text.includes('name one with --python'));
    assert.equal(text, peersReport(result, /<code>(efficientnet-simd[^<]*)<\/code>/.exec(text)?.[1] ?? ''));
  }).timeout(60_000);

  writeFileSync(join(folder, 'nothing.jpg'), 'not an image');
  const refused: readonly (readonly [args: string, status: number, message: RegExp])[] = [
    ['--photo a.jpg --batch 2', 2, /give one of --photo and --batch/],
    ['--photo nothing.jpg --size 64', 2, /leave --size out/],
    ['--photo no-such.jpg', 1, /Cannot read no-such\.jpg \(ENOENT\), given with --photo/],
    ['--photo .', 1, /Expected a file for --photo/],
    ['--photo nothing.jpg --random', 1, /itself failed in it: .*nothing\.jpg/],
    ['--onnx no-such.onnx', 1, /no-such\.onnx/],
    ['--only openvin', 2, /found "openvin"; did you mean openvino\?/],
    ['--only openvino --photo nothing.jpg', 2, /--only expects some of sharp \+ onnxruntime-node, transformers\.js/],
    ['--rounds 0', 2, /--rounds expects/],
    ['--batch 0', 2, /--batch expects/],
    ['--kernels', 2, /--peers means nothing beside --kernels/],
    ['--layers', 2, /--layers means nothing beside --peers/],
    ['--isa sse', 2, /scalar, avx2, avx512 or neon/],
  ];
  for (const [args, status, message] of refused) {
    it(`refuses ${args} with status ${status}`, async () => {
      const outcome = await bench(...args.split(' '));
      assert.equal(outcome.status, status, outcome.err);
      assert.equal(outcome.out, '');
      assert.match(outcome.err, message);
    }).timeout(20_000);
  }

  it('has options that mean nothing without it', async () => {
    const { status, err } = await new Promise<{ status: number; err: string }>((resolve) => {
      execFile(process.execPath, [program, 'bench', '--rounds', '3'], (error, _, text) => resolve({ status: Number(error?.code), err: text }));
    });
    assert.deepEqual([status, /--rounds means something only beside --peers/.test(err)], [2, true]);
  });
});
