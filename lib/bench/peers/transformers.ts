// SPDX-License-Identifier: Apache-2.0
// transformers.js: its image classification pipeline on a photo, with the model in a folder of its own
// form. It runs on onnxruntime-node and decodes with sharp.

import { dirname, basename } from 'node:path';

import { TOP, userPackage, versionOf, type Contestant } from './contestant.js';
import type { Task } from './protocol.js';

type Classify = (image: string, options: { readonly top_k: number }) => Promise<readonly { readonly label: string; readonly score: number }[]>;
interface Transformers {
  readonly env: { allowRemoteModels: boolean; allowLocalModels: boolean; localModelPath: string };
  pipeline(task: 'image-classification', model: string, options: object): Promise<Classify>;
}

export class TransformersPipeline implements Contestant {
  #classify: Classify = () => Promise.resolve([]);
  #photo = '';
  #values: ArrayLike<number> = [];

  async open({ files, threads }: Task): Promise<string> {
    const transformers = (await userPackage('@huggingface/transformers')) as Transformers;
    const folder = files.transformers ?? '';
    Object.assign(transformers.env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: dirname(folder) });
    this.#classify = await transformers.pipeline('image-classification', basename(folder), {
      dtype: 'fp32',
      device: 'cpu',
      session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
    });
    this.#photo = files.photo ?? '';
    return versionOf('@huggingface/transformers');
  }

  async run(): Promise<void> {
    // Labels are the numbers of the classes, as text.
    this.#values = (await this.#classify(this.#photo, { top_k: TOP })).flatMap(({ label, score }) => [Number(label), score]);
  }

  values(): ArrayLike<number> {
    return this.#values;
  }
}
