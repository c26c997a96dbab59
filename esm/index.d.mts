// SPDX-License-Identifier: Apache-2.0
// Types of index.mjs; those of the CommonJS build.
export * from '../dist/lib/index.js';
