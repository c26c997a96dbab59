// SPDX-License-Identifier: Apache-2.0
// Where an output file goes, checked before the work that fills it. Writes nothing.

import { constants, promises as fs } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';

import { systemCode } from './cache.js';
import { EfficientNetError } from './errors.js';

/**
 * The file to write: where `path` is a link, what it points to. A device, a pipe or a directory is
 * refused, since the finished file is renamed to its place and would take theirs.
 */
export async function outputTarget(path: string): Promise<string> {
  const refuse = (found: string): EfficientNetError => new EfficientNetError('ERR_FILE', `Cannot write ${path}: ${found}; name a file`);
  // resolve() would drop the slash, and a file take the place of the folder that is meant.
  if (namesFolder(path)) throw refuse('it ends as the name of a folder does');
  try {
    const target = await fs.realpath(path);
    const info = await fs.stat(target);
    if (info.isFile()) return target;
    throw refuse(info.isDirectory() ? 'it is a directory' : 'it is a pipe or a device');
  } catch (cause) {
    if (cause instanceof EfficientNetError) throw cause;
    if (systemCode(cause) !== 'ENOENT') throw refuse(systemCode(cause) || String(cause));
  }
  if ((await fs.lstat(path).catch(() => undefined)) !== undefined) throw refuse('it is a link to nothing');
  if ((await fs.stat(dirname(resolve(path))).catch(() => undefined)) === undefined) throw refuse('its folder does not exist');
  try {
    await fs.access(dirname(resolve(path)), constants.W_OK);
  } catch (cause) {
    throw refuse(`its folder cannot be written to (${systemCode(cause) || String(cause)})`);
  }
  return resolve(path);
}

/** `out/`, `out/.`, `..` */
function namesFolder(path: string): boolean {
  const last = path.split(sep === '\\' ? /[\\/]/ : '/').at(-1) ?? '';
  return ['', '.', '..'].includes(last);
}
