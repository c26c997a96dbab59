// SPDX-License-Identifier: Apache-2.0
// `efficientnet-simd convert`: any checkpoint to safetensors or ONNX. The work is convert.ts's.

import { asUsage, checkpointOptions, readCheckpointOptions } from './checkpoint-options.js';
import { UsageError, type Command } from './command.js';
import { untilInterrupted } from './interrupt.js';
import { ProgressBar, type DownloadState } from './progress.js';
import { readSize } from './size-options.js';
import { formatMilliseconds, printable } from './terminal.js';

export const convert: Command = {
  name: 'convert',
  operands: 'IN OUT',
  summary:
    'Write any checkpoint that can be loaded as safetensors or ONNX: by the ending of OUT, .safetensors or .onnx.\n' +
    "IN is a file, an address, a folder, 'hf-hub:OWNER/NAME' or a model of the catalogue. OUT takes the place of a\n" +
    'file that is there; it appears whole or not at all.',
  options: {
    to: { value: 'FORMAT', help: 'safetensors or onnx, in place of what OUT\'s ending says' },
    model: { value: 'NAME', help: 'architecture (default: what the checkpoint says or its shapes are)' },
    size: { value: 'N', help: 'fix the ONNX input to this height and width (default: any size)' },
    height: { value: 'N', help: 'fix the ONNX input to this height in pixels' },
    width: { value: 'N', help: 'fix the ONNX input to this width in pixels' },
    ...checkpointOptions,
  },
  examples: [
    'convert efficientnet_b2.pth b2.safetensors',
    'convert b0 b0.onnx',
    'convert --model tf_efficientnet_b3 b3.pth b3.onnx --size 300',
  ],
  async run(values, terminal) {
    const [input, output, ...more] = values.operands;
    if (input === undefined || output === undefined || more.length > 0) {
      throw new UsageError(`convert takes two arguments, IN and OUT, found ${values.operands.length}`);
    }
    const to = values.choice('to', ['safetensors', 'onnx']);
    const architecture = values.text('model');
    const choices = readCheckpointOptions(values);
    const size = readSize(values);
    if (size.height === undefined && size.width !== undefined) throw new UsageError('--width needs --height beside it');
    if (to === undefined && !/\.(safetensors|onnx)$/i.test(output)) throw new UsageError('OUT ends in neither .safetensors nor .onnx: say --to safetensors or --to onnx');
    const progress = new ProgressBar(terminal.live);
    // Not before the options are known to be right: it takes time to load.
    const library = await import('../convert.js');
    const started = performance.now();
    try {
      const options = {
        ...size,
        ...choices,
        ...(to === undefined ? {} : { format: to }),
        ...(architecture === undefined ? {} : { architecture }),
        onProgress: (state: DownloadState) => progress.update(state),
      };
      const made = await untilInterrupted((signal) => asUsage(library.convert(input, output, { ...options, signal })));
      progress.end();
      const milliseconds = performance.now() - started;
      if (values.has('json')) terminal.json({ input, ...made, milliseconds });
      else terminal.out(`${printable(output)}: ${made.architecture}, ${made.classes} classes, ${made.padding} padding, ${made.bytes} bytes, ${formatMilliseconds(milliseconds)}`);
      return 0;
    } finally {
      progress.end();
    }
  },
};
