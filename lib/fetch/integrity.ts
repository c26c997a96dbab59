// SPDX-License-Identifier: Apache-2.0
// The `integrity` option: what web pages write beside a script, `sha256-` and the hash in base64.

import { describeValue } from '../check.js';
import type { Digest } from '../cache.js';
import { EfficientNetError } from '../errors.js';

const lengths = { sha256: 32, sha384: 48, sha512: 64 } as const;
type Algorithm = keyof typeof lengths;

/** Throws ERR_INVALID_ARGUMENT that says what form is expected and what was found. */
export function parseIntegrity(value: unknown): Digest {
  const [, name, base64 = ''] = (typeof value === 'string' ? /^([a-z0-9]+)-(.*)$/s.exec(value) : undefined) ?? [];
  const algorithm = Object.hasOwn(lengths, name ?? '') ? (name as Algorithm) : undefined;
  const bytes = Buffer.from(base64, 'base64');
  // What it decodes to must be written just so: Buffer passes over what is no base64.
  if (algorithm !== undefined && bytes.length === lengths[algorithm] && sameText(bytes, base64)) return { algorithm, hex: bytes.toString('hex') };
  throw new EfficientNetError(
    'ERR_INVALID_ARGUMENT',
    `Expected for integrity 'sha256-' and the 44 characters of the SHA-256 of the file in base64 (or 'sha384-' and 64, 'sha512-' and 88), but ${found(value, algorithm, base64)}`,
  );
}

/** The same as text, for a message to copy it from. */
export function formatIntegrity({ algorithm, hex }: Digest): string {
  return `${algorithm}-${Buffer.from(hex, 'hex').toString('base64')}`;
}

/** The padding at the end may be left out. */
function sameText(bytes: Buffer, base64: string): boolean {
  const text = bytes.toString('base64');
  return base64 === text || base64 === text.replace(/=+$/, '');
}

/** What is wrong with it, and what was probably meant. */
function found(value: unknown, algorithm: Algorithm | undefined, base64: string): string {
  if (typeof value !== 'string') return `received ${describeValue(value)}`;
  const hash = algorithm === undefined ? value.replace(/^[a-z0-9]+[:-]/i, '') : base64;
  const sized = Object.entries(lengths).find(([, length]) => hash.length === 2 * length)?.[0];
  if (/^[0-9a-f]+$/i.test(hash) && sized !== undefined) {
    return `received a hash in hexadecimal; in base64 it is '${sized}-${Buffer.from(hash, 'hex').toString('base64')}'`;
  }
  if (/\s/.test(value.trim())) return `received ${describeValue(value)}: several hashes, or one with spaces in it; give one`;
  if (algorithm === undefined) return `received ${describeValue(value)}, which does not begin with one of these`;
  if (/[^A-Za-z0-9+/=]/.test(base64)) return `received ${describeValue(value)}, in which ${JSON.stringify(/[^A-Za-z0-9+/=]/.exec(base64)?.[0])} is no character of base64`;
  return `received ${describeValue(value)}, whose hash is ${Buffer.from(base64, 'base64').length} bytes long, not the ${lengths[algorithm]} of ${algorithm}`;
}
