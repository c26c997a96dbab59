// SPDX-License-Identifier: Apache-2.0
// Several images, and a machine that is not ours alone: tensors of 16, calls that wait, lists of photos and of
// raw pictures against one by one; and one image on two threads while a busy process has the second core.
// All in one process, the ways of a table taking turns in each round. Prints Markdown; judges nothing.
//
//   node dist/bench/several.js [--rounds 15] [--only tensor,photos,pictures,busy]

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { median, pairedRatio, quantile } from '../lib/bench/statistics.js';
import { exampleInput } from '../lib/bench/subject.js';
import { load, buildNetwork, type EfficientNet, type RawPixels } from '../lib/index.js';
import { randomWeights } from '../lib/random-weights.js';
import { writeSafetensors } from '../lib/formats/safetensors.js';
import { canonicalMetadata, canonicalTensors } from '../lib/weights.js';

const kImages = 16;
const kSide = { width: 640, height: 480 } as const;

type Ways = Readonly<Record<string, () => unknown>>;

/** The first way is what the others are compared with. */
async function table(title: string, ways: Ways, rounds: number): Promise<void> {
  const times = new Map<string, number[]>(Object.keys(ways).map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    for (const [name, run] of Object.entries(ways)) {
      const start = performance.now();
      await run();
      if (round >= 0) times.get(name)?.push(performance.now() - start);
    }
  }
  const base = times.get(Object.keys(ways)[0] ?? '') ?? [];
  console.log(`\n${title}\n\n| way | min ms | median ms | times as fast as the first | quartiles |\n|---|---|---|---|---|`);
  for (const [name, own] of times) {
    const ratio = pairedRatio(base, own);
    const cells = [name, quantile(own, 0).toFixed(1), median(own).toFixed(1), ratio.median.toFixed(2), `${ratio.low.toFixed(2)}-${ratio.high.toFixed(2)}`];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

async function photos(): Promise<readonly Buffer[]> {
  const { default: sharp } = await import('sharp');
  const files = ['chelsea', 'coffee'].map((name) => join(__dirname, '..', '..', 'test', 'images', `${name}.png`));
  const resized = files.map((file) => sharp(file).resize(kSide.width, kSide.height, { fit: 'fill' }).jpeg({ quality: 90 }).toBuffer());
  const buffers = await Promise.all(resized);
  return Array.from({ length: kImages }, (_, i) => buffers[i % buffers.length] ?? Buffer.alloc(0));
}

async function oneByOne<T>(model: EfficientNet, images: readonly T[], call: (model: EfficientNet, image: T) => unknown): Promise<void> {
  for (const image of images) await call(model, image);
}

async function whileBusy(core: string, work: () => Promise<void>): Promise<void> {
  const child = spawn('taskset', ['-c', core, process.execPath, '-e', 'for (;;);'], { stdio: 'ignore' });
  try {
    await sleep(300);
    await work();
  } finally {
    child.kill('SIGKILL');
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { rounds: { type: 'string', default: '15' }, only: { type: 'string', default: 'tensor,photos,pictures,busy' } } });
  const rounds = Number(values.rounds);
  const wanted = values.only.split(',');
  const weights = randomWeights(buildNetwork('b0'));
  const bytes = writeSafetensors(canonicalTensors(weights), canonicalMetadata(weights.network));
  await using one = await load({ weights: bytes, threads: 1 });
  await using two = await load({ weights: bytes, threads: 2 });
  const image = exampleInput(224 * 224 * 3);
  const tensor = exampleInput(kImages * image.length);
  const repeat = (model: EfficientNet, times: number) => (): void => {
    for (let i = 0; i < times; i++) model.runSync(image);
  };
  const together = (): void => void two.runSync(tensor);

  if (wanted.includes('tensor')) {
    const waiting = (): Promise<unknown> => Promise.all(Array.from({ length: kImages }, () => two.run(image)));
    const ways = { 'one by one, 1 thread': repeat(one, kImages), 'one by one, 2 threads': repeat(two, kImages), 'one tensor, 2 threads': together, 'calls at once, 2 threads': waiting };
    await table(`${kImages} tensors of B0`, ways, rounds);
  }
  if (wanted.includes('photos')) {
    const list = await photos();
    const classify = (model: EfficientNet) => () => oneByOne(model, list, (m, photo) => m.classify(photo));
    await table(`${kImages} photos, JPEG of ${kSide.width}x${kSide.height}`, {
      'one by one, 1 thread': classify(one), 'list, 1 thread': () => one.classify(list),
      'one by one, 2 threads': classify(two), 'list, 2 threads': () => two.classify(list),
    }, rounds);
  }
  if (wanted.includes('pictures')) {
    const data = Uint8Array.from({ length: kSide.width * kSide.height * 3 }, (_, i) => i >> 8);
    const list = Array.from({ length: kImages }, (): RawPixels => ({ data, ...kSide, channels: 'rgb' }));
    const classify = (model: EfficientNet) => () => oneByOne(model, list, (m, picture) => m.classify(picture));
    await table(`${kImages} raw pictures of ${kSide.width}x${kSide.height}`, {
      'one by one, 1 thread': classify(one), 'one by one, 2 threads': classify(two), 'list, 2 threads': () => two.classify(list),
    }, rounds);
  }
  if (wanted.includes('busy')) {
    for (const [what, core] of [['the second core', '1'], ['either core', '0,1']] as const) {
      const ways = { 'one by one, 1 thread': repeat(one, kImages), 'one by one, 2 threads': repeat(two, kImages), 'one tensor, 2 threads': together };
      await whileBusy(core, () => table(`${kImages} tensors while a busy process has ${what}`, ways, rounds));
    }
  }
}

void main();
