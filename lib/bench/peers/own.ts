// SPDX-License-Identifier: Apache-2.0
// The contestant that this package is: through its public interface, as a user calls it.

import type { Isa } from '../../binding.js';
import { load } from '../../model.js';
import { readInput, TOP, type Contestant } from './contestant.js';
import type { Task } from './protocol.js';

export class Own implements Contestant {
  #call: () => ArrayLike<number> | Promise<ArrayLike<number>> = () => [];
  #values: ArrayLike<number> = [];

  async open(task: Task): Promise<string> {
    const { kind, architecture, threads, isa, height, width, batch, files } = task;
    const model = await load({ architecture, weights: files.weights, threads, ...(isa === '' ? {} : { isa: isa as Isa }) });
    if (kind === 'photo') {
      const photo = files.photo ?? '';
      this.#call = async () => (await model.classify(photo, { top: TOP })).flatMap(({ index, score }) => [index, score]);
    } else {
      const input = await readInput(task);
      const output = new Float32Array(batch * model.info.classes);
      this.#call = () => model.runSync(input, { layout: 'nchw', height, width, output });
    }
    return `${model.info.isa}`;
  }

  async run(): Promise<void> {
    this.#values = await this.#call();
  }

  values(): ArrayLike<number> {
    return this.#values;
  }
}
