// SPDX-License-Identifier: Apache-2.0
// The loaded model: images and tensors in, predictions, logits and embeddings out. Checks arguments
// and joins decoding, the addon's session and labels; how a model is loaded is in model.ts.

import { types } from 'node:util';

import { fromNative, nativeCode, type NativeSession, type NativeTimings, type Wanted } from './binding.js';
import {
  checkOneTensor,
  checkOutput,
  checkSignal,
  checkSyncImage,
  checkTensor,
  checkTensorShape,
  mapsOf,
  type Classification,
  type ClassifyOptions,
  type EmbedOptions,
  type FeatureMap,
  type FeaturesOptions,
  type RunOptions,
  sizeOf,
  type TensorShape,
} from './call-arguments.js';
import { checkBoolean, checkInteger, checkOptions, invalidArgument, isRevoked } from './check.js';
import { EfficientNetError } from './errors.js';
import { decodeImage, heldImage, rawPixels, type DecodedImage, type ImageSource, type RawPixels } from './image.js';
import type { ModelFacts, ModelInfo } from './model-info.js';
import { bestOf, type Prediction } from './scores.js';

/** What load() hands to the class. */
export interface ModelParts {
  readonly session: NativeSession;
  readonly facts: ModelFacts;
  /** One for each class, or undefined where they have no names. */
  readonly labels: readonly string[] | undefined;
}

/** Images of a list that are decoded or queued besides one for each thread. */
const kAhead = 2;
const kLargestId = 2 ** 31 - 1;

/**
 * An EfficientNet in memory, packed for this processor. Made by load(); calls may overlap, and run one
 * after the other on the model's own threads.
 *
 * @example
 * using model = await load('b0');
 * const [best] = await model.classify('cat.jpg'); // { label: 'Egyptian cat', index: 285, score: 0.35 }
 */
export class EfficientNet {
  readonly #facts: ModelFacts;
  readonly #labels: readonly string[] | undefined;
  #session: NativeSession | undefined;
  #native: ReturnType<NativeSession['info']>;
  #closing: Promise<void> | undefined;
  #lastId = 0;

  /** For load(): use that. */
  constructor(parts: ModelParts) {
    if (typeof parts?.session?.info !== 'function') throw invalidArgument('EfficientNet', 'what load() passes (call load() instead)', parts);
    this.#session = parts.session;
    this.#facts = parts.facts;
    this.#labels = parts.labels;
    this.#native = parts.session.info();
  }

  /** What the model is and how it runs; stays readable after close(). */
  get info(): ModelInfo {
    if (this.#session !== undefined) this.#native = this.#session.info();
    const { isa, kernels, threads, weightBytes, activationBytes } = this.#native;
    return { ...this.#facts, isa, kernels, threads, weightBytes, activationBytes };
  }

  /**
   * Labels an image: a path, a file URL, an encoded file's bytes, or raw pixels. The scores are the
   * softmax over all classes. Raw pixels of a single image are copied before the call returns.
   *
   * Given several images, decodes some while others run, where there are enough one on each thread, and
   * returns a list for each. Raw pixels and encoded bytes among them are copied before the call returns.
   *
   * Rejects with ERR_INVALID_IMAGE or ERR_FILE for what cannot be read, ERR_INVALID_ARGUMENT,
   * ERR_MISSING_DEPENDENCY if an encoded image needs sharp, ERR_CLOSED, or the signal's reason.
   */
  classify(image: ImageSource, options?: ClassifyOptions & { readonly timings?: false | undefined }): Promise<Prediction[]>;
  classify(image: ImageSource, options: ClassifyOptions & { readonly timings: true }): Promise<Classification>;
  classify(images: readonly ImageSource[], options?: ClassifyOptions & { readonly timings?: false | undefined }): Promise<Prediction[][]>;
  classify(images: readonly ImageSource[], options: ClassifyOptions & { readonly timings: true }): Promise<Classification[]>;
  async classify(
    image: ImageSource | readonly ImageSource[],
    options?: ClassifyOptions,
  ): Promise<Prediction[] | Classification | Prediction[][] | Classification[]> {
    const { top, signal, timings } = this.#checkClassify(options);
    if (!isList(image)) {
      const result = await this.#classifyOne(image, top, signal);
      return timings ? result : result.predictions;
    }
    const results = await this.#classifyAll(image, top, signal);
    return timings ? results : results.map(({ predictions }) => predictions);
  }

  /**
   * The same at once, for raw pixels; blocks the calling thread, and waits for a call that is running
   * but not for those queued behind it. Encoded images can only be decoded asynchronously.
   */
  classifySync(image: RawPixels, options?: ClassifyOptions & { readonly timings?: false | undefined }): Prediction[];
  classifySync(image: RawPixels, options: ClassifyOptions & { readonly timings: true }): Classification;
  classifySync(image: RawPixels, options?: ClassifyOptions): Prediction[] | Classification {
    const { top, signal, timings } = this.#checkClassify(options);
    signal?.throwIfAborted();
    const pixels = checkSyncImage(image);
    const logits = new Float32Array(this.#facts.classes);
    const times = this.#pixelsSync(pixels, logits, 'logits');
    const predictions = bestOf(logits, top, this.#labels);
    return timings ? { predictions, milliseconds: { decode: 0, prepare: times.prepare, infer: times.infer } } : predictions;
  }

  /**
   * Runs normalised RGB images: images x height x width x 3 numbers ('nhwc') or images x 3 x height x
   * width ('nchw'). Returns images x classes logits, in `output` if given. The input is copied before
   * the call returns, so its buffer may be reused, transferred or resized at once.
   *
   * Rejects with ERR_INVALID_ARGUMENT for a wrong length and for NaN or infinite numbers, ERR_CLOSED,
   * or the signal's reason. Finite numbers give what float32 arithmetic makes of them.
   *
   * @example const logits = await model.run(new Float32Array(224 * 224 * 3));
   */
  async run(input: Float32Array, options?: RunOptions): Promise<Float32Array> {
    const call = this.#checkRun(input, options);
    await this.#start(call.signal, (session, id) => session.run(input, call.output, { ...call.shape, output: 'logits' }, id));
    return call.output;
  }

  /** The same at once; blocks the calling thread. The signal is looked at before the run only. */
  runSync(input: Float32Array, options?: RunOptions): Float32Array {
    const call = this.#checkRun(input, options);
    call.signal?.throwIfAborted();
    this.#sync((session) => session.runSync(input, call.output, { ...call.shape, output: 'logits' }));
    return call.output;
  }

  /**
   * The pooled features before the classifier, `info.features` numbers, of an image as classify()
   * takes it, or of one normalised tensor (height x width x 3 at the model's resolution).
   */
  async embed(input: ImageSource | Float32Array, options?: EmbedOptions): Promise<Float32Array> {
    const signal = checkSignal(checkOptions<EmbedOptions>('the embed options', options, ['signal']).signal);
    const output = new Float32Array(this.#facts.features);
    await this.#one(input, output, 'embedding', this.#ownShape(input), signal);
    return output;
  }

  /** The same at once, for raw pixels or one tensor. */
  embedSync(input: RawPixels | Float32Array): Float32Array {
    const output = new Float32Array(this.#facts.features);
    this.#oneSync(input, output, 'embedding', this.#ownShape(input));
    return output;
  }

  /**
   * The maps inside the network, one for each stride from 2 on: what the last layer with that stride puts
   * out, before the head. Of an image as classify() takes it, or of one normalised tensor (of any size,
   * with `height` and `width`). The head is not computed.
   *
   * @example
   * const maps = await model.features('cat.jpg');
   * console.log(maps.map(({ stride, channels, height, width }) => [stride, channels, height, width]));
   * // b0: [2, 16, 112, 112], [4, 24, 56, 56], [8, 40, 28, 28], [16, 112, 14, 14], [32, 320, 7, 7]
   */
  async features(input: ImageSource | Float32Array, options?: FeaturesOptions): Promise<FeatureMap[]> {
    const { shape, signal, maps, output } = this.#checkFeatures(input, options);
    await this.#one(input, output, 'features', shape, signal);
    return mapsOf(maps, output);
  }

  /** The same at once, for raw pixels or one tensor. */
  featuresSync(input: RawPixels | Float32Array, options?: FeaturesOptions): FeatureMap[] {
    const { shape, signal, maps, output } = this.#checkFeatures(input, options);
    signal?.throwIfAborted();
    this.#oneSync(input, output, 'features', shape);
    return mapsOf(maps, output);
  }

  /**
   * Frees the model's memory and threads. Calls that are pending reject with ERR_CLOSED at once, and
   * later calls do too; closing again does nothing. The promise resolves when everything is free: at
   * most one block of the network later.
   */
  close(): Promise<void> {
    if (this.#session !== undefined) {
      this.#native = this.#session.info();
      this.#closing = this.#session.close();
      this.#session = undefined;
    }
    return this.#closing ?? Promise.resolve();
  }

  [Symbol.dispose](): void {
    void this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ---- checked arguments ----------------------------------------------------------------------------

  #checkClassify(options: ClassifyOptions | undefined): { top: number; signal: AbortSignal | undefined; timings: boolean } {
    const classes = this.#classes();
    const given = checkOptions<ClassifyOptions>('the classify options', options, ['top', 'signal', 'timings']);
    return {
      top: given.top === undefined ? Math.min(5, classes) : checkInteger('top', given.top, 1, classes),
      signal: checkSignal(given.signal),
      timings: given.timings === undefined ? false : checkBoolean('timings', given.timings),
    };
  }

  #classes(): number {
    const { classes, features } = this.#facts;
    if (classes > 0) return classes;
    throw new EfficientNetError(
      'ERR_UNSUPPORTED',
      `The checkpoint has no classifier, so that there are no classes and no logits: call embed() for its ${features} features, or load one with a classifier`,
    );
  }

  #checkRun(input: unknown, options: RunOptions | undefined) {
    const { resolution } = this.#facts;
    const classes = this.#classes();
    const given = checkOptions<RunOptions>('the run options', options, ['layout', 'height', 'width', 'output', 'signal']);
    const shape = checkTensorShape(given, resolution);
    const signal = checkSignal(given.signal);
    this.#open();
    const images = checkTensor(input, shape);
    return { shape, output: checkOutput(given.output, images, classes), signal };
  }

  #checkFeatures(input: unknown, options: FeaturesOptions | undefined) {
    const given = checkOptions<FeaturesOptions>('the features options', options, ['layout', 'height', 'width', 'signal']);
    const shape = checkTensorShape(given, this.#facts.resolution);
    const signal = checkSignal(given.signal);
    if (types.isFloat32Array(input)) {
      checkOneTensor(input, shape, 'take features of');
    } else if (given.layout !== undefined || given.height !== undefined || given.width !== undefined) {
      throw invalidArgument('input', 'a Float32Array, since layout, height or width were given, which only a tensor has', input);
    }
    const { height, width } = types.isFloat32Array(input) ? shape : this.#facts.recipe;
    const maps = this.#sync((session) => session.featureMaps(height, width));
    const output = new Float32Array(sizeOf(maps));
    return { shape, signal, maps, output };
  }

  // ---- calls into the session -----------------------------------------------------------------------

  #open(): NativeSession {
    if (this.#session !== undefined) return this.#session;
    throw new EfficientNetError('ERR_CLOSED', 'The model is closed: load it again to use it');
  }

  /** Runs one job; up to the call of `start` everything happens before this returns. */
  async #start<T>(signal: AbortSignal | undefined, start: (session: NativeSession, id: number) => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    const session = this.#open();
    const id = (this.#lastId = (this.#lastId % kLargestId) + 1);
    const cancel = (): void => session.cancel(id);
    try {
      const pending = start(session, id);
      signal?.addEventListener('abort', cancel, { once: true });
      return await pending;
    } catch (error) {
      if (nativeCode(error) === 'ERR_CANCELLED') throw signal?.reason;
      throw fromNative(error);
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  #sync<T>(call: (session: NativeSession) => T): T {
    const session = this.#open();
    try {
      return call(session);
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** The shape of a tensor at the model's resolution. */
  #ownShape(input: unknown): TensorShape {
    const shape = checkTensorShape({}, this.#facts.resolution);
    if (types.isFloat32Array(input)) checkOneTensor(input, shape, 'embed');
    return shape;
  }

  /** One image, or one tensor of that shape. */
  async #one(input: ImageSource | Float32Array, output: Float32Array, wanted: Wanted, shape: TensorShape, signal: AbortSignal | undefined): Promise<void> {
    if (types.isFloat32Array(input)) {
      await this.#start(signal, (session, id) => session.run(input, output, { ...shape, output: wanted }, id));
    } else {
      await this.#pixels(input, output, wanted, signal);
    }
  }

  #oneSync(input: RawPixels | Float32Array, output: Float32Array, wanted: Wanted, shape: TensorShape): void {
    if (types.isFloat32Array(input)) {
      this.#sync((session) => session.runSync(input, output, { ...shape, output: wanted }));
    } else {
      this.#pixelsSync(checkSyncImage(input), output, wanted);
    }
  }

  /** Milliseconds that decoding took, and the session's own. */
  async #pixels(
    image: ImageSource,
    output: Float32Array,
    wanted: Wanted,
    signal: AbortSignal | undefined,
    more?: () => boolean,
  ): Promise<NativeTimings & { readonly decode: number }> {
    signal?.throwIfAborted();
    this.#open();
    const started = performance.now();
    // Raw pixels go to the session, which copies them, before this call first returns.
    const decoded = rawPixels(image) ?? (await decodeImage(image, { signal }));
    const decode = performance.now() - started;
    const times = await this.#start(signal, (session, id) =>
      session.runPixels(decoded.data, output, decoded, this.#facts.recipe, wanted, id, more?.() ?? false),
    );
    return { ...times, decode };
  }

  #pixelsSync(decoded: DecodedImage, output: Float32Array, wanted: Wanted): NativeTimings {
    return this.#sync((session) => session.runPixelsSync(decoded.data, output, decoded, this.#facts.recipe, wanted));
  }

  async #classifyOne(image: ImageSource, top: number, signal: AbortSignal | undefined, more?: () => boolean): Promise<Classification> {
    const logits = new Float32Array(this.#facts.classes);
    const { decode, prepare, infer } = await this.#pixels(image, logits, 'logits', signal, more);
    return { predictions: bestOf(logits, top, this.#labels), milliseconds: { decode, prepare, infer } };
  }

  /** A failure ends the call: images not begun are left, and the error names its image. */
  async #classifyAll(given: readonly ImageSource[], top: number, signal: AbortSignal | undefined): Promise<Classification[]> {
    signal?.throwIfAborted();
    this.#open(); // also where there is nothing to do
    const images = [...given]; // the caller may go on changing the list, and what is in it
    const results: Classification[] = new Array<Classification>(images.length);
    let next = 0;
    let decoded = 0;
    const more = (): boolean => ++decoded < images.length;
    const lane = async (): Promise<void> => {
      for (let at = next++; at < images.length; at = next++) {
        try {
          results[at] = await this.#classifyOne(images[at] as ImageSource, top, signal, more);
        } catch (error) {
          next = images.length;
          if (signal?.aborted === true && error === signal.reason) throw error;
          throw error instanceof EfficientNetError
            ? new EfficientNetError(error.code, `images[${at}]: ${error.message}`, { cause: error })
            : error;
        }
      }
    };
    const lanes = Promise.all(Array.from({ length: Math.min(this.#native.threads + kAhead, images.length) }, lane));
    // Those images are copied already, by the session or for the decoder.
    try {
      for (let at = next; at < images.length; at++) images[at] = heldImage(images[at] as ImageSource);
    } catch (error) {
      next = images.length;
      lanes.catch(() => undefined); // the same call has failed already
      throw error;
    }
    await lanes;
    return results;
  }
}

function isList(value: ImageSource | readonly ImageSource[]): value is readonly ImageSource[] {
  return !isRevoked(value) && Array.isArray(value);
}
