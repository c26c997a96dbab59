// SPDX-License-Identifier: Apache-2.0
// PyTorch checkpoints (.pth, .pt, .bin) as torch.save writes them since 1.6: a zip of stored files,
// ROOT/data.pkl describing the tensors and ROOT/data/KEY holding their elements. Tensors are views on
// the file wherever they lie in row-major order. Runs no code of the file; see pickle.ts.

import { EfficientNetError } from '../errors.js';
import { invalidCheckpoint, quote } from './bytes.js';
import { readPickle } from './pickle.js';
import type { Checkpoint } from './tensor.js';
import { resolveTensors } from './torch-tensors.js';
import { readZip } from './zip.js';

/**
 * Reads a checkpoint in PyTorch's zip format. A dictionary of tensors is taken as it is; one that
 * wraps it under `state_dict_ema`, `model_ema`, `state_dict` or `model` is unwrapped, and the prefix
 * `module.` of data-parallel training removed.
 * Throws ERR_INVALID_CHECKPOINT, or ERR_UNSUPPORTED for TorchScript archives and big-endian files.
 */
export function readTorch(bytes: Uint8Array): Checkpoint {
  const files = readZip(bytes);
  const root = findRoot(files);
  const pickle = files.get(`${root}data.pkl`) ?? new Uint8Array(0);
  const value = readPickle(pickle, pickle.byteOffset - bytes.byteOffset);
  const tensors = resolveTensors(value, ({ key }) => files.get(`${root}data/${key}`), bytes.length);
  return { format: 'torch', tensors, metadata: new Map() };
}

function findRoot(files: ReadonlyMap<string, Uint8Array>): string {
  const pickles = [...files.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const [pickle] = pickles;
  if (pickle === undefined || pickles.length > 1) {
    throw invalidCheckpoint('Expected one folder with data.pkl in the zip archive, as torch.save writes it');
  }
  const root = pickle.slice(0, -'data.pkl'.length);
  const stranger = [...files.keys()].find((name) => !name.startsWith(root));
  if (stranger !== undefined) throw invalidCheckpoint(`Expected every zip entry under ${quote(root)}, but found ${quote(stranger)}`);
  if (files.has(`${root}constants.pkl`)) {
    throw new EfficientNetError(
      'ERR_UNSUPPORTED',
      'The file is a TorchScript program, not a checkpoint; save the weights alone with torch.save(model.state_dict(), path)',
    );
  }
  const order = files.get(`${root}byteorder`);
  if (order !== undefined && Buffer.from(order).toString('latin1') !== 'little') {
    throw new EfficientNetError('ERR_UNSUPPORTED', 'The checkpoint was written on a big-endian machine; save it again on a little-endian one');
  }
  return root;
}
