// SPDX-License-Identifier: Apache-2.0
// mocha's own spec reporter, which also writes the counts and the names of skipped tests to the
// JSON file given as the reporter option `output`, for test/run.js to add up.

'use strict';

const fs = require('node:fs');
const { Mocha } = require('mocha');

class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const skippedNames = [];
    runner.on('pending', (test) => skippedNames.push(test.fullTitle()));
    runner.once('end', () => {
      const { passes, failures } = runner.stats;
      fs.writeFileSync(options.reporterOptions.output,
        JSON.stringify({ passed: passes, failed: failures, skipped: skippedNames.length, skippedNames }));
    });
  }
}

module.exports = CountingReporter;
