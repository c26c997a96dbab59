// SPDX-License-Identifier: Apache-2.0
// What this processor offers, as the addon sees it. It chooses nothing.

import { addon, fromNative, type CpuReport } from './binding.js';

export type { CpuReport, Isa } from './binding.js';

/**
 * The instruction sets that this build knows, which of them this processor has, the one a model
 * would use, and the cores this process may use. Throws ERR_NATIVE if the addon cannot be loaded.
 *
 * @example cpu().chosen // 'avx512'
 */
export function cpu(): CpuReport {
  try {
    return addon().cpu();
  } catch (error) {
    throw fromNative(error);
  }
}
