// SPDX-License-Identifier: Apache-2.0
// `efficientnet-simd classify`: image files to labelled scores. A file that fails is reported on
// standard error and does not keep the others from being classified.

import { EfficientNetError } from '../errors.js';
import type { Model } from '../model.js';
import { checkpointOptions } from './checkpoint-options.js';
import { modelOptions, UsageError, type Command } from './command.js';
import { openModel } from './open-model.js';
import { bar, formatMilliseconds, printable, type Terminal } from './terminal.js';

const BAR_WIDTH = 20;
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
      for (const image of values.operands) {
        try {
          const result = await classifyOne(model, image, top);
          results.push(result);
          if (!json) show(result, results.length > 1, terminal);
        } catch (error) {
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
