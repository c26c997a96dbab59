#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The command `efficientnet-simd`: starts the compiled command line and nothing else.
'use strict';

require('../dist/lib/cli/main.js').main();
