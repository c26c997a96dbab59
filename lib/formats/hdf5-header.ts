// SPDX-License-Identifier: Apache-2.0
// HDF5 object headers: the list of messages that says what a group or a dataset is, in version 1 (as
// h5py writes it) and version 2 (libver='latest'). HDF5 File Format Specification 3.0, section IV.A.1.
// What the messages mean is in hdf5-messages.ts and hdf5.ts.

import type { Hdf5Bytes } from './hdf5-bytes.js';
import type { Message } from './hdf5-messages.js';

export const messageType = {
  dataspace: 0x01, linkInfo: 0x02, datatype: 0x03, link: 0x06, externalFiles: 0x07, layout: 0x08, filters: 0x0b,
  attribute: 0x0c, continuation: 0x10, symbolTable: 0x11, attributeInfo: 0x15,
} as const;

/** A message that lies elsewhere in the file, in another object. */
const kShared = 0x02;

interface Chunk {
  readonly at: number;
  readonly end: number;
}

/** Every message of the object whose header is at `at`. */
export function headerMessages(file: Hdf5Bytes, at: number): Message[] {
  file.visit(at);
  const version = file.u8(at);
  if (version === 1) return readMessages(file, firstChunk(file, at), 8, continuedPlain);
  file.signature('OHDR', at);
  if (file.u8(at + 4) !== 2) file.fail('Expected an object header of version 1 or 2', at);
  const flags = file.u8(at + 5);
  // The messages' order of creation, where it is tracked, follows their flags.
  return readMessages(file, firstSignedChunk(file, at, flags), (flags & 0x04) === 0 ? 4 : 6, continuedSigned);
}

function firstChunk(file: Hdf5Bytes, at: number): Chunk {
  const size = file.u32(at + 8);
  file.check(at + 16, size);
  return { at: at + 16, end: at + 16 + size };
}

function firstSignedChunk(file: Hdf5Bytes, at: number, flags: number): Chunk {
  const sizeAt = at + 6 + ((flags & 0x20) === 0 ? 0 : 16) + ((flags & 0x10) === 0 ? 0 : 4);
  const width = 1 << (flags & 3);
  const start = sizeAt + width;
  const size = file.unsigned(sizeAt, width);
  file.check(start, size);
  return { at: start, end: start + size };
}

function continuedPlain(file: Hdf5Bytes, { at }: Message): Chunk {
  const [start, size] = [file.place(at), file.u64(at + 8)];
  file.check(start, size);
  return { at: start, end: start + size };
}

/** Between a signature and a checksum. */
function continuedSigned(file: Hdf5Bytes, { at }: Message): Chunk {
  const [start, size] = [file.place(at), file.u64(at + 8)];
  file.check(start, size);
  if (size < 8) file.fail('The continuation of an object header is cut off', at);
  file.signature('OCHK', start);
  return { at: start + 4, end: start + size - 4 };
}

/** `prefix` is the length of what is before a message's body: type, size, flags. */
function readMessages(file: Hdf5Bytes, first: Chunk, prefix: 8 | 6 | 4, follow: (file: Hdf5Bytes, message: Message) => Chunk): Message[] {
  const messages: Message[] = [];
  const chunks = [first];
  for (const chunk of chunks) {
    let at = chunk.at;
    // What is shorter than a message's prefix is a gap.
    while (at + prefix <= chunk.end) {
      file.spend(1, at);
      const type = prefix === 8 ? file.u16(at) : file.u8(at);
      const size = file.u16(at + (prefix === 8 ? 2 : 1));
      const flags = file.u8(at + (prefix === 8 ? 4 : 3));
      const message = { type, at: at + prefix, size };
      at = message.at + size;
      if (at > chunk.end) file.fail('A message of an object header runs past its end', message.at);
      if (type === 0) continue;
      if ((flags & kShared) !== 0) file.unsupported('has a type that several objects share', message.at);
      if (type !== messageType.continuation) {
        messages.push(message);
        continue;
      }
      if (size < 16) file.fail('The place of a continuation is cut off', message.at);
      const next = follow(file, message);
      file.visit(next.at);
      chunks.push(next);
    }
  }
  return messages;
}
