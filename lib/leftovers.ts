// SPDX-License-Identifier: Apache-2.0
// Temporary files beside the file that they are to become: their names, and which of them nobody will
// finish, because the process that wrote them was killed. Writes none; cache.ts does.

import { promises as fs, readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

const crypto = (): typeof import('node:crypto') => require('node:crypto') as typeof import('node:crypto');

/** `.name.4711-<system>.<random>.tmp`; earlier versions wrote no process. */
const TEMPORARY = /^\..+\.[0-9a-f]{16}\.tmp$/;
const OWNED = /^\.(.+)\.([1-9]\d{0,9})-([0-9a-f]{16})\.[0-9a-f]{16}\.tmp$/s;
/** Of a name, so that the temporary one stays within the 255 bytes that file systems take. */
const KEPT_CHARACTERS = 48;
/** A file is written in well under a minute; what is older was left by a killed process. */
const STALE_MILLISECONDS = 10 * 60 * 1000;

/** A name beside `path` that no other writer has, and that says which process writes it. */
export function temporaryPath(path: string): string {
  const random = crypto().randomBytes(8).toString('hex');
  return join(dirname(path), `.${shortened(path)}.${process.pid}-${system()}.${random}.tmp`);
}

/**
 * Removes what processes left that were killed while they wrote to `path`: files whose name says that the
 * writer ran on this system, where no process has its number now. A writer in another container, on
 * another host of a shared folder or before the last boot cannot be looked for, so its file stays; so does
 * that of a terminated worker thread until its process has ended.
 */
export async function removeAbandoned(path: string): Promise<void> {
  const folder = dirname(path);
  for (const name of await fs.readdir(folder).catch(() => [])) {
    const [, of, pid, where] = OWNED.exec(name) ?? [];
    if (of !== shortened(path) || where !== system() || lives(Number(pid))) continue;
    await fs.rm(join(folder, name), { force: true }).catch(() => undefined);
  }
}

/** Removes temporary files of a folder of our own that are too old to be written to still. */
export async function removeStale(folder: string, now = Date.now()): Promise<void> {
  const names = await fs.readdir(folder).catch(() => []);
  for (const name of names.filter((each) => TEMPORARY.test(each))) {
    const path = join(folder, name);
    const info = await fs.stat(path).catch(() => undefined);
    if (info && now - info.mtimeMs > STALE_MILLISECONDS) {
      await fs.rm(path, { force: true }).catch(() => undefined);
    }
  }
}

function shortened(path: string): string {
  return [...basename(path)].slice(0, KEPT_CHARACTERS).join('');
}

/** True also for what may not be signalled, which is there nevertheless. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

let known: string | undefined;

/** Where process numbers mean the same: the host, and on Linux its boot and the container's numbering. */
function system(): string {
  known ??= crypto().createHash('sha256').update([hostname(), bootId(), numbering()].join('\0')).digest('hex').slice(0, 16);
  return known;
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}

function numbering(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}
