// SPDX-License-Identifier: Apache-2.0
// A process of its own for the catalogue's tests: fetches the fake model into the folder named on the
// command line, and prints the path or the error's code and message. Contains no test.

import { resolveRecord } from '../../lib/catalogue.js';
import { EfficientNetError } from '../../lib/errors.js';
import { record } from './fake-registry.js';

async function main(): Promise<void> {
  try {
    const path = await resolveRecord(record, process.argv[2] ?? '', {
      timing: { pause: 5, stall: 10_000 },
      onProgress: ({ receivedBytes }) => process.stderr.write(`${receivedBytes}\n`),
    });
    process.stdout.write(JSON.stringify({ path }));
  } catch (error) {
    const code = error instanceof EfficientNetError ? error.code : 'none';
    process.stdout.write(JSON.stringify({ code, message: String(error) }));
  }
}

void main();
