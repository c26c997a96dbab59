// SPDX-License-Identifier: Apache-2.0
// docs/networks.md, line by line: parameters and multiply-accumulates of every network against what
// describe says, and against a count by PyTorch of torchvision's or timm's network, layer by layer.

import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { architectures } from '../../lib/architectures.js';
import { describe as describeNetwork } from '../../lib/describe.js';
import { buildNetwork } from '../../lib/network.js';
import { root } from './helpers/oracle.js';
import { pythonFor, ReferenceNetworks, type Library } from './helpers/reference-networks.js';

interface Row {
  readonly name: string;
  readonly library: Library;
  readonly model: string;
  readonly pixels: number;
  readonly parameters: string;
  readonly megamacs: string;
}

const rows: readonly Row[] = readFileSync(join(root, 'docs', 'networks.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => {
    const [name = '', model = '', pixels = '', parameters = '', megamacs = ''] = line.split('|').slice(1).map((cell) => cell.trim().replaceAll('`', ''));
    const [short = '', mark] = model.split(' ');
    return { name, library: mark === '(torchvision)' ? 'torchvision' : 'timm', model: short, pixels: Number(pixels), parameters, megamacs };
  });

function figures({ parameters, macs }: { readonly parameters: number; readonly macs: number }): readonly string[] {
  return [parameters.toLocaleString('en'), (macs / 1e6).toFixed(macs < 1e8 ? 2 : 1)];
}

describe('the table of networks', function () {
  this.timeout(120_000);
  let reference: ReferenceNetworks | undefined;

  before(async () => {
    // The two libraries, for which Debian's PyTorch is enough.
    const python = pythonFor('timm') === undefined ? undefined : pythonFor('torchvision');
    if (python === undefined) return;
    reference = new ReferenceNetworks(python);
    await reference.start();
  });

  after(() => reference?.close());

  it('has every network of the family', () => {
    assert.deepEqual(rows.map(({ name }) => name), Object.keys(architectures));
  });

  for (const { name, library, model, pixels, ...told } of rows) {
    it(`${name}: ${told.parameters} parameters, ${told.megamacs} million MACs, as ${library} has it`, async function () {
      const network = buildNetwork(name);
      const ours = describeNetwork(network);
      assert.equal(network.resolution, pixels);
      assert.deepEqual([told.parameters, told.megamacs], figures(ours));
      if (reference === undefined) return this.skip();
      const theirs = await reference.count(library, model, pixels);
      assert.deepEqual(theirs, { parameters: ours.parameters, macs: ours.macs });
    });
  }
});
