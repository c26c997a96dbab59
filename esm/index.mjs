// SPDX-License-Identifier: Apache-2.0
// The package for `import`: re-exports the CommonJS build, so that both ways of loading give the same
// classes. It holds no code of its own.
export * from '../dist/lib/index.js';
