// SPDX-License-Identifier: Apache-2.0
// onnxruntime-node and onnxruntime-web, which have the same interface, on tensors; and what a user of
// onnxruntime-node writes to label a photo: sharp, a loop in JavaScript that normalises, softmax.

import { promises as fs } from 'node:fs';

import { bestClasses, readInput, userPackage, versionOf, type Contestant } from './contestant.js';
import type { Task } from './protocol.js';

interface OrtTensor {
  readonly data: Float32Array;
}
interface OrtSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Readonly<Record<string, OrtTensor>>): Promise<Readonly<Record<string, OrtTensor>>>;
}
interface Ort {
  readonly env: { readonly wasm: { numThreads: number } };
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: readonly number[]) => OrtTensor;
  readonly InferenceSession: { create(model: string | Uint8Array, options: object): Promise<OrtSession> };
}

/** A session and how to run it once. */
class OrtModel {
  readonly #ort: Ort;
  readonly #session: OrtSession;

  private constructor(ort: Ort, session: OrtSession) {
    this.#ort = ort;
    this.#session = session;
  }

  static async node({ files, threads }: Task): Promise<OrtModel> {
    const ort = (await userPackage('onnxruntime-node')) as Ort;
    const options = { intraOpNumThreads: threads, interOpNumThreads: 1, graphOptimizationLevel: 'all' };
    return new OrtModel(ort, await ort.InferenceSession.create(files.onnx, options));
  }

  static async web({ files, threads }: Task): Promise<OrtModel> {
    const ort = (await userPackage('onnxruntime-web')) as Ort;
    ort.env.wasm.numThreads = threads;
    const model = await fs.readFile(files.onnx);
    return new OrtModel(ort, await ort.InferenceSession.create(model, { executionProviders: ['wasm'], graphOptimizationLevel: 'all' }));
  }

  /** Made once: what a careful user does with an input that keeps its size. */
  feed(data: Float32Array, shape: readonly number[]): Readonly<Record<string, OrtTensor>> {
    return { [this.#session.inputNames[0] ?? '']: new this.#ort.Tensor('float32', data, shape) };
  }

  async logits(feed: Readonly<Record<string, OrtTensor>>): Promise<Float32Array> {
    const outputs = await this.#session.run(feed);
    return outputs[this.#session.outputNames[0] ?? '']?.data ?? new Float32Array(0);
  }
}

abstract class OrtOnTensors implements Contestant {
  #run: () => Promise<Float32Array> = () => Promise.resolve(new Float32Array(0));
  #values: ArrayLike<number> = [];

  protected abstract readonly packageName: string;
  protected abstract create(task: Task): Promise<OrtModel>;

  async open(task: Task): Promise<string> {
    const { batch, height, width } = task;
    const model = await this.create(task);
    const feed = model.feed(await readInput(task), [batch, 3, height, width]);
    this.#run = () => model.logits(feed);
    return versionOf(this.packageName);
  }

  async run(): Promise<void> {
    this.#values = await this.#run();
  }

  values(): ArrayLike<number> {
    return this.#values;
  }
}

export class OnnxruntimeNode extends OrtOnTensors {
  protected readonly packageName = 'onnxruntime-node';
  protected create(task: Task): Promise<OrtModel> {
    return OrtModel.node(task);
  }
}

export class OnnxruntimeWeb extends OrtOnTensors {
  protected readonly packageName = 'onnxruntime-web';
  protected create(task: Task): Promise<OrtModel> {
    return OrtModel.web(task);
  }
}

interface SharpImage {
  resize(options: object): SharpImage;
  extract(region: { readonly left: number; readonly top: number; readonly width: number; readonly height: number }): SharpImage;
  removeAlpha(): SharpImage;
  toColourspace(space: string): SharpImage;
  raw(): SharpImage;
  toBuffer(): Promise<Buffer>;
}
type Sharp = (file: string) => SharpImage;

/** A photo through sharp, a JavaScript loop and onnxruntime-node. */
export class SharpOnnxruntime implements Contestant {
  #run: () => Promise<readonly number[]> = () => Promise.resolve([]);
  #values: ArrayLike<number> = [];

  async open(task: Task): Promise<string> {
    const { default: sharp } = (await userPackage('sharp')) as { readonly default: Sharp };
    const model = await OrtModel.node(task);
    const { recipe: { height, width }, files } = task;
    const pixels = new Float32Array(3 * height * width);
    const feed = model.feed(pixels, [1, 3, height, width]);
    const prepare = preparation(sharp, files.photo ?? '', task, pixels);
    this.#run = async () => {
      await prepare();
      return bestClasses(await model.logits(feed));
    };
    return `${await versionOf('sharp')}, ${await versionOf('onnxruntime-node')}`;
  }

  async run(): Promise<void> {
    this.#values = await this.#run();
  }

  values(): ArrayLike<number> {
    return this.#values;
  }
}

/** Resize of the shorter side, crop of the centre, normalised planes. */
function preparation(sharp: Sharp, photo: string, { recipe }: Task, pixels: Float32Array): () => Promise<void> {
  const { height, width, mean, std } = recipe;
  const side = Math.floor(Math.min(height, width) / recipe.cropFraction);
  const area = height * width;
  const [sr, sg, sb] = std.map((deviation) => 1 / (255 * deviation)) as [number, number, number];
  const [or, og, ob] = mean.map((value, c) => -value / (std[c] ?? 1)) as [number, number, number];
  return async () => {
    const bytes = await sharp(photo)
      .resize({ width: side, height: side, fit: 'cover', kernel: 'cubic' })
      .extract({ left: (side - width) >> 1, top: (side - height) >> 1, width, height })
      .toColourspace('srgb')
      .removeAlpha()
      .raw()
      .toBuffer();
    for (let i = 0, j = 0; i < area; i++, j += 3) {
      pixels[i] = (bytes[j] ?? 0) * sr + or;
      pixels[area + i] = (bytes[j + 1] ?? 0) * sg + og;
      pixels[2 * area + i] = (bytes[j + 2] ?? 0) * sb + ob;
    }
  };
}
