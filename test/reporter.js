// SPDX-License-Identifier: Apache-2.0
// mocha's own spec reporter, which also writes the counts and the names of failed and skipped tests to
// the JSON file given as the reporter option `output`, for test/mocha-files.js to add up.

'use strict';

const fs = require('node:fs');
const { Mocha } = require('mocha');

class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const [failedNames, skippedNames] = [[], []];
    runner.on('fail', (test) => failedNames.push(test.fullTitle()));
    runner.on('pending', (test) => skippedNames.push(test.fullTitle()));
    runner.once('end', () => {
      const { passes, failures } = runner.stats;
      fs.writeFileSync(options.reporterOptions.output,
        JSON.stringify({ passed: passes, failed: failures, skipped: skippedNames.length, failedNames, skippedNames }));
    });
  }
}

module.exports = CountingReporter;
