// SPDX-License-Identifier: Apache-2.0
// A process of its own for the tests of fetching: fetches the repository or address named on the command
// line, and prints the path or the error's code and message. Contains no test.

import { join } from 'node:path';

import { EfficientNetError } from '../../lib/errors.js';
import { resolveUrl } from '../../lib/fetch/url.js';
import { resolveRepository } from '../../lib/hub/repository.js';

async function main(): Promise<void> {
  const [, , what = ''] = process.argv;
  const options = {
    timing: { pause: 5, stall: 10_000 },
    onProgress: ({ receivedBytes }: { readonly receivedBytes: number }) => void process.stderr.write(`${receivedBytes}\n`),
  };
  try {
    if (what.startsWith('http')) {
      process.stdout.write(JSON.stringify({ path: await resolveUrl(new URL(what), options) }));
      return;
    }
    const { path, file } = await resolveRepository(what, options);
    process.stdout.write(JSON.stringify({ path: join(path, file) }));
  } catch (error) {
    process.stdout.write(JSON.stringify({ code: error instanceof EfficientNetError ? error.code : 'none', message: String(error) }));
  }
}

void main();
