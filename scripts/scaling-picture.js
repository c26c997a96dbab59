#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Writes docs/scaling.svg, the picture of the README: the chart of published accuracies against work
// that the scaling report has. Needs the compiled package (npx tsc).

'use strict';

const fs = require('node:fs');
const path = require('node:path');

const { accuracyByMacs } = require('../dist/lib/cli/accuracy-charts.js');
const { picture } = require('../dist/lib/report/index.js');

fs.writeFileSync(path.join(__dirname, '..', 'docs', 'scaling.svg'), picture(accuracyByMacs(), { width: 820, height: 440 }));
