// SPDX-License-Identifier: Apache-2.0
// The `integrity` option: what web pages write beside a script, `sha256-` and the hash in base64.

import { invalidArgument } from '../check.js';
import type { Digest } from '../cache.js';

const lengths = { sha256: 32, sha384: 48, sha512: 64 } as const;

/** Throws ERR_INVALID_ARGUMENT. */
export function parseIntegrity(value: unknown): Digest {
  const [, name, base64 = ''] = (typeof value === 'string' ? /^(sha256|sha384|sha512)-([A-Za-z0-9+/]+={0,2})$/.exec(value) : undefined) ?? [];
  const algorithm = name === 'sha256' || name === 'sha384' || name === 'sha512' ? name : undefined;
  const bytes = Buffer.from(base64, 'base64');
  if (algorithm !== undefined && bytes.length === lengths[algorithm]) return { algorithm, hex: bytes.toString('hex') };
  throw invalidArgument('integrity', "a hash as in 'sha256-' and its base64 (or sha384, sha512)", value);
}

/** The same as text, for a message to copy it from. */
export function formatIntegrity({ algorithm, hex }: Digest): string {
  return `${algorithm}-${Buffer.from(hex, 'hex').toString('base64')}`;
}
