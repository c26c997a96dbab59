// SPDX-License-Identifier: Apache-2.0
// The fuzzer's entries for Keras: HDF5 alone (everything in the file is opened), HDF5 as a checkpoint,
// the JSON that describes a model, and a .keras archive.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { kMaxRatio } from '../../../lib/formats/hdf5-bytes.js';
import { readHdf5, type Hdf5Group } from '../../../lib/formats/hdf5.js';
import { readKerasArchive, readKerasHdf5 } from '../../../lib/formats/keras.js';
import { kerasInput } from '../../../lib/formats/keras-input.js';
import { parseKerasConfig } from '../../../lib/formats/keras-config.js';
import { readKerasLayers } from '../../../lib/formats/keras-layers.js';
import { writeZip } from '../../lib/zip-writer.js';
import { chunked, chunkTree, filterList } from '../../lib/helpers/hdf5-chunk-writer.js';
import { datatype, Hdf5Writer, space, types } from '../../lib/helpers/hdf5-writer.js';
import { legacyFile, storedFile } from '../../lib/helpers/small-keras.js';
import { checkCheckpoint, type FuzzReader } from '../reader.js';

const golden = (name: string): Buffer => readFileSync(join(__dirname, '..', '..', '..', '..', 'test', 'golden', name));

const config = JSON.stringify({
  class_name: 'Functional',
  config: {
    name: 'small',
    layers: [
      { class_name: 'InputLayer', config: { name: 'input', batch_shape: [null, 8, 8, 3] } },
      { class_name: 'Rescaling', config: { name: 'rescaling', scale: 1 / 255, offset: 0 } },
      { class_name: 'Normalization', config: { name: 'normalization', mean: [1, 2, 3], variance: { class_name: '__numpy__', config: { value: [[1, 2, 3]] } } } },
      { class_name: 'Sequential', config: { name: 'inner', layers: [{ class_name: 'Conv2D', config: { name: 'stem_conv' } }] } },
      { class_name: 'Dense', config: { name: 'predictions', activation: 'softmax' } },
    ],
  },
});

const structures = [
  'TREE', 'SNOD', 'HEAP', 'GCOL', 'OHDR', 'OCHK', 'FRHP', 'BTHD', '\xff\xff\xff\xff\xff\xff\xff\xff', '\x01\0', '\x03\0', '\x08\0', '\x0c\0',
  '\x10\0', '\x11\0', '\x06\0', '\x02\0', '\x0b\0', '\x07\0', '\x15\0', '\x03\x01', '\x03\x02', '\x04\x03', '\x40',
].map((text) => Buffer.from(text, 'latin1'));
const names = ['layer_names', 'layer_names0', 'weight_names', 'model_config', 'model_weights', 'layers', 'vars', 'kernel:0', '../', 'dense', '0'];

function openAll(group: Hdf5Group): void {
  void group.attributes;
  for (const name of group.names) {
    const node = group.open(name);
    if (node.kind === 'group') openAll(node);
  }
}

/** One dataset of three chunks in a tree, which h5py's own files give four kilobytes each. */
function chunkedFile(filtered: boolean): Buffer {
  const file = new Hdf5Writer();
  const tree = chunkTree(file, [0, 2, 4].map((first) => {
    const plain = Buffer.from(Float32Array.of(first, first + 1).buffer);
    const data = filtered ? deflateSync(plain) : plain;
    return { place: [first], at: file.block(data), size: data.length };
  }));
  const messages = [space([6]), datatype(types.f32), chunked(tree, [2, 4]), ...(filtered ? [filterList(1)] : [])];
  return file.finish(file.group([{ name: 'x', at: file.header(messages) }]));
}

export const kerasReaders: readonly FuzzReader[] = [
  {
    name: 'hdf5',
    seeds: () => [legacyFile(), storedFile(), golden('small-latest.h5')],
    tokens: [...structures, ...names],
    read: (bytes) => openAll(readHdf5(bytes, 7)),
  },
  {
    name: 'hdf5-chunks',
    seeds: () => [golden('small-chunked-v110.h5'), golden('small-chunked-latest.h5'), chunkedFile(false), chunkedFile(true)],
    tokens: [...structures, 'FAHD', 'FADB', '\x03\x02', '\x04\x02', '\x05\x02', '\x01\x03'],
    read: (bytes) => openAll(readHdf5(bytes)),
  },
  {
    name: 'keras',
    seeds: () => [legacyFile(), legacyFile(config), storedFile(), golden('small-latest.h5')],
    tokens: [...structures, ...names],
    read: (bytes) => {
      checkCheckpoint(readKerasHdf5(bytes), kMaxRatio);
      readKerasLayers(readHdf5(bytes));
    },
  },
  {
    name: 'keras-config',
    seeds: () => [Buffer.from(config)],
    tokens: ['{', '}', '[', ']', '"', ':', ',', '1e999', '-1', 'null', '"layers":[', '"config":{', '"Lambda"', '"Normalization"', '"Rescaling"', '__proto__', '"scale":[1,2,3]'],
    read: (bytes) => kerasInput(parseKerasConfig(Buffer.from(bytes).toString('utf8')), []),
  },
  {
    name: 'keras-archive',
    seeds: () => [legacyFile(), storedFile()],
    tokens: [...structures, ...names],
    // The checksums would stop every change: the archive is made around the changed file.
    read: (bytes) =>
      checkCheckpoint(
        readKerasArchive(
          writeZip([{ name: 'metadata.json', data: Buffer.from('{}') }, { name: 'config.json', data: Buffer.from(config) }, { name: 'model.weights.h5', data: bytes }]),
        ),
        kMaxRatio,
      ),
  },
];
