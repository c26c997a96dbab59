// SPDX-License-Identifier: Apache-2.0
// Files that are being downloaded: one of its own for each process, under `<base>.<8 hex digits>.incomplete`,
// begun with what others have left; `<base>.incomplete` is one that nobody writes any more. No locks, which
// would outlive a killed process; two that fetch the same only cost bandwidth. What the bytes should
// be is not known here.

import { randomBytes } from 'node:crypto';
import { constants, promises as fs } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { cannotWrite, systemCode } from '../cache.js';
import type { Growing } from './download.js';

const ENDING = '.incomplete';
/** Of a file that has or had a writer. */
const OWN = /\.[0-9a-f]{8}\.incomplete$/;
/** A file that does not grow for this long is one that nobody writes any more. */
const IDLE_MILLISECONDS = 3000;
const LOOK_MILLISECONDS = 200;

export interface Leftover {
  readonly path: string;
  readonly name: string;
  readonly bytes: number;
  readonly modified: number;
}

export interface Partial extends Growing {
  /** Closes the file and puts it under its final name as one step. */
  finish(path: string): Promise<void>;
  /** Closes the file and leaves it for whoever comes next. */
  leave(): Promise<void>;
  /** Closes the file and removes it. */
  discard(): Promise<void>;
}

/** What lies in the folder under `<base>.incomplete` or `<base>.*.incomplete`, the longest first. */
export async function leftovers(folder: string, base: string): Promise<readonly Leftover[]> {
  const names = (await fs.readdir(folder).catch(() => [])).filter((name) => name.startsWith(`${base}.`) && name.endsWith(ENDING));
  const found: Leftover[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const info = await fs.lstat(path).catch(() => undefined);
    if (info?.isFile() === true) found.push({ path, name, bytes: info.size, modified: info.mtimeMs });
  }
  return found.sort((a, b) => b.bytes - a.bytes);
}

/** Removes what nobody writes any more, and `used` if it is still as it was when it was found. */
export async function removeLeftovers(folder: string, base: string, used: Leftover | undefined): Promise<void> {
  for (const { path, name, modified } of await leftovers(folder, base)) {
    if (!OWN.test(name) || (path === used?.path && modified === used.modified)) await fs.rm(path, { force: true }).catch(() => undefined);
  }
}

/**
 * Opens a file to download into. It begins with a copy of `from`, not with `from` itself: should that
 * have a living writer after all, the two do not meet.
 * @throws EfficientNetError ERR_FILE
 */
export async function openPartial(folder: string, base: string, from?: Leftover): Promise<Partial> {
  const path = join(folder, `${base}.${randomBytes(4).toString('hex')}${ENDING}`);
  let handle: fs.FileHandle | undefined;
  try {
    // A reflink where the file system has them.
    if (from) await fs.copyFile(from.path, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    handle = await fs.open(path, from ? 'r+' : 'wx+', 0o644);
    const { size } = await handle.stat();
    return partial(handle, path, size);
  } catch (cause) {
    await handle?.close();
    await fs.rm(path, { force: true }).catch(() => undefined);
    // It was finished or removed a moment ago.
    if (from && systemCode(cause) === 'ENOENT') return openPartial(folder, base);
    throw cannotWrite(path, cause, from?.bytes);
  }
}

function partial(handle: fs.FileHandle, path: string, bytes: number): Partial {
  return {
    handle,
    path,
    bytes,
    async finish(target) {
      try {
        await handle.sync();
        await handle.close();
        await fs.rename(this.path, target);
      } catch (cause) {
        await fs.rm(this.path, { force: true }).catch(() => undefined);
        throw cannotWrite(target, cause);
      }
    },
    async leave() {
      await handle.close();
      const rest = this.path.replace(OWN, ENDING);
      const other = await fs.stat(rest).catch(() => undefined);
      if (this.bytes > (other?.size ?? 0)) await fs.rename(this.path, rest).catch(() => undefined);
      else await fs.rm(this.path, { force: true });
    },
    async discard() {
      await handle.close();
      await fs.rm(this.path, { force: true });
    },
  };
}

/**
 * Waits as long as another process makes progress with the same download; `onBytes` sees it. Returns
 * once `done` says so, or nothing has grown for some seconds.
 */
export async function waitForOthers(
  folder: string,
  base: string,
  options: { readonly done: () => Promise<boolean>; readonly signal: AbortSignal; readonly onBytes: (bytes: number) => void },
): Promise<void> {
  // Not the same for all: the first to lose patience goes on, and the others see its file grow.
  const patience = IDLE_MILLISECONDS * (1 + Math.random());
  let largest = -1;
  let seen = '';
  let since = 0;
  for (let first = true; ; first = false) {
    options.signal.throwIfAborted();
    if (await options.done()) return;
    const files = (await leftovers(folder, base)).filter(({ name }) => OWN.test(name));
    if (files.length === 0) return;
    if (first && files.every(({ modified }) => Date.now() - modified > IDLE_MILLISECONDS)) return;
    const now = files.map(({ name, bytes }) => `${name}:${bytes}`).sort().join();
    if (now !== seen) [seen, since] = [now, performance.now()];
    else if (performance.now() - since > patience) return;
    const bytes = files[0]?.bytes ?? 0;
    if (bytes > largest) options.onBytes((largest = bytes));
    await delay(LOOK_MILLISECONDS, undefined, { signal: options.signal }).catch(() => undefined);
  }
}
