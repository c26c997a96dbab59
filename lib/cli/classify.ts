// SPDX-License-Identifier: Apache-2.0
// `efficientnet-simd classify`: image files to labelled scores. A file that fails is reported on
// standard error and does not keep the others from being classified. Some are decoded while others run; what is
// told of them keeps their order.

import { EfficientNetError } from '../errors.js';
import type { Model } from '../model.js';
import { checkpointOptions } from './checkpoint-options.js';
import { modelOptions, UsageError, type Command } from './command.js';
import { openModel } from './open-model.js';
import { bar, formatMilliseconds, printable, type Terminal } from './terminal.js';

const BAR_WIDTH = 20;
/** Images that are decoded or wait, besides one for each thread. */
const AHEAD = 2;
const MOST_PREDICTIONS = 1_000_000;

/** One element of the JSON output. */
interface Classified {
  readonly image: string;
  readonly predictions: readonly { readonly label: string; readonly index: number; readonly score: number }[];
  readonly milliseconds: { readonly decode: number; readonly prepare: number; readonly infer: number };
}

export const classify: Command = {
  name: 'classify',
  operands: 'IMAGE...',
  summary: 'Label images: the most likely classes of each, with their probabilities.',
  options: {
    ...modelOptions,
    ...checkpointOptions,
    top: { value: 'N', help: 'how many classes to show (default 5)' },
  },
  examples: [
    'classify cat.jpg',
    'classify --top 1 --json photos/*.jpg',
    'classify --model b2 --weights efficientnet_b2.pth --threads 4 cat.jpg',
    'classify --model timm/efficientnet_b0.ra_in1k cat.jpg',
  ],
  async run(values, terminal) {
    if (values.operands.length === 0) throw new UsageError('Expected at least one image');
    const wanted = values.count('top', MOST_PREDICTIONS) ?? 5;
    const json = values.has('json');
    const model = await openModel(values, terminal);
    // Who asks for more classes than there are gets all.
    const top = Math.min(wanted, model.info.classes);
    const results: Classified[] = [];
    let status = 0;
    try {
      for await (const { image, result, error } of classifyEach(model, values.operands, top)) {
        if (result !== undefined) {
          results.push(result);
          if (!json) show(result, results.length > 1, terminal);
        } else {
          if (!(error instanceof EfficientNetError)) throw error;
          terminal.error(error.message.includes(image) ? error.message : `${image}: ${error.message}`);
          status = 1;
        }
      }
    } finally {
      await model.close();
    }
    if (json) terminal.json(results);
    return status;
  },
};

interface Outcome {
  readonly image: string;
  /** Or the error. */
  readonly result?: Classified;
  readonly error?: unknown;
}

/** In the order of the images, a few begun ahead. */
async function* classifyEach(model: Model, images: readonly string[], top: number): AsyncGenerator<Outcome> {
  const begun: Promise<Outcome>[] = [];
  for (let at = 0; at < images.length; at++) {
    for (const image of images.slice(begun.length, at + model.info.threads + AHEAD)) {
      begun.push(classifyOne(model, image, top).then((result) => ({ image, result }), (error: unknown) => ({ image, error })));
    }
    const outcome = await begun[at];
    if (outcome !== undefined) yield outcome;
  }
}

async function classifyOne(model: Model, image: string, top: number): Promise<Classified> {
  const { predictions, milliseconds } = await model.classify(image, { top, timings: true });
  return { image, predictions, milliseconds };
}

function show({ image, predictions, milliseconds }: Classified, separate: boolean, terminal: Terminal): void {
  const { decode, prepare, infer } = milliseconds;
  if (separate) terminal.out('');
  terminal.out(
    `${terminal.bold(printable(image))}  ` +
      terminal.dim(`decode ${formatMilliseconds(decode)}, prepare ${formatMilliseconds(prepare)}, infer ${formatMilliseconds(infer)}`),
  );
  for (const { label, index, score } of predictions) {
    const drawn = bar(score, BAR_WIDTH);
    terminal.out(`  ${score.toFixed(4)}  ${drawn.padEnd(BAR_WIDTH)}  ${printable(label)} ${terminal.dim(`(${index})`)}`);
  }
}
