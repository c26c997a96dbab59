// SPDX-License-Identifier: Apache-2.0
// What all ways of fetching take, and whether the network may be used at all. Fetches nothing.

import type { Timing } from './http.js';

/** Bytes of the download so far; a total of 0 is one that the server does not tell. */
export interface FetchProgress {
  readonly name: string;
  readonly receivedBytes: number;
  readonly totalBytes: number;
}

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined;
  /** Never use the network; by default what EFFICIENTNET_SIMD_OFFLINE says. */
  readonly offline?: boolean | undefined;
  /** Ask whether there is something newer, even where everything is cached. */
  readonly update?: boolean | undefined;
  /** Pauses and patience, for the tests. */
  readonly timing?: Timing | undefined;
}

export function isOffline({ offline }: Pick<FetchOptions, 'offline'>): boolean {
  const value = process.env['EFFICIENTNET_SIMD_OFFLINE'];
  return offline ?? (value !== undefined && value !== '' && value !== '0');
}
