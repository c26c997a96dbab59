// SPDX-License-Identifier: Apache-2.0
// From what a user calls an image to 8-bit pixels: raw pixels are checked and passed through without a
// copy; files and encoded bytes are decoded by sharp, which is loaded when first needed. Nothing is
// resized or normalised here.
//
// Decoded pixels are those of Pillow's `ImageOps.exif_transpose(Image.open(f)).convert('RGB')`: alpha
// is dropped and not blended, embedded colour profiles are ignored, CMYK is converted by Pillow's
// formula, 16-bit colour keeps its high byte, animations and documents give their first frame. It
// differs from Pillow in these: 16-bit grey keeps its high byte (Pillow saturates at 255), transparent
// GIF pixels are black (Pillow shows the palette's colour), AVIF chroma is interpolated otherwise
// (about 10/255), and JPEG may differ by 2/255 where the two were built with different decoders.

import type { Metadata, Sharp } from 'sharp';
import { readFile, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { types } from 'node:util';

import { bufferBytes, checkInteger, checkLive, checkOneOf, checkOptions, describeValue, invalidArgument } from './check.js';
import { EfficientNetError } from './errors.js';

/** Order of the bytes of a pixel; alpha is ignored. */
export type PixelChannels = 'rgb' | 'rgba' | 'bgra' | 'gray';

/** Pixels as a user gives them: rows from top to bottom, 8 bits per channel. */
export interface RawPixels {
  readonly data: Uint8Array | Uint8ClampedArray | ArrayBuffer;
  /** In pixels, 1 to 1,048,576. */
  readonly width: number;
  readonly height: number;
  readonly channels: PixelChannels;
  /** Bytes from one row to the next; by default rows follow each other without gaps. */
  readonly stride?: number | undefined;
}

/** Checked pixels: `data` holds at least (height - 1) * stride + width * bytes per pixel bytes. */
export interface DecodedImage {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: PixelChannels;
  readonly stride: number;
}

/** A path, a file: URL, the bytes of an encoded file, or raw pixels. */
export type ImageSource = string | URL | Uint8Array | ArrayBuffer | RawPixels;

export interface DecodeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Most pixels that a file may decode to; 268,402,689 by default. */
  readonly limitPixels?: number | undefined;
}

/** Longest side of an image, in pixels. */
export const maxImageSide = 2 ** 20;

const defaultLimitPixels = 0x3fff * 0x3fff;
const bytesPerPixel: Readonly<Record<PixelChannels, number>> = { rgb: 3, rgba: 4, bgra: 4, gray: 1 };
const channelNames: readonly PixelChannels[] = ['rgb', 'rgba', 'bgra', 'gray'];

// What sharp's builds read of raster formats. Vector and document formats are left out: their pixels
// depend on the renderer, and rendering untrusted ones is a risk of its own.
const rasterFormats: readonly string[] = ['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif', 'jp2', 'jxl', 'ppm'];

/**
 * Raw pixels, checked and completed, or undefined if `input` is none: a path, encoded bytes, or no
 * image at all. `data` stays the caller's memory. Throws ERR_INVALID_ARGUMENT for wrong raw pixels.
 */
export function rawPixels(input: unknown): DecodedImage | undefined {
  checkLive('image', expectedInput, input);
  if (typeof input !== 'object' || input === null || ArrayBuffer.isView(input) || !('data' in input)) return undefined;
  const given = checkOptions<RawPixels>('image', input, ['data', 'width', 'height', 'channels', 'stride']);
  const width = checkInteger('image.width', given.width, 1, maxImageSide);
  const height = checkInteger('image.height', given.height, 1, maxImageSide);
  const channels = checkOneOf('image.channels', given.channels, channelNames);
  const row = width * bytesPerPixel[channels];
  const stride = given.stride === undefined ? row : checkInteger('image.stride', given.stride, row, 2 ** 31 - 1);
  const data = bytesOf(given.data);
  if (data === undefined) {
    throw invalidArgument('image.data', 'a Uint8Array, Uint8ClampedArray or ArrayBuffer of 8-bit pixels', given.data);
  }
  const least = (height - 1) * stride + row;
  const most = height * stride;
  if (data.length < least || data.length > most) {
    const expected = least === most ? `${least}` : `${least} to ${most}`;
    const why = data.length === 0 ? ' (empty, or its memory was transferred elsewhere)' : '';
    throw new EfficientNetError(
      'ERR_INVALID_ARGUMENT',
      `Expected ${expected} bytes in image.data for ${width} x ${height} pixels of ${channels} with a stride of ${stride} ` +
        `but received ${data.length}${why}`,
    );
  }
  return { data, width, height, channels, stride };
}

/** The image in memory of its own, where it lies in memory at all; what is no image stays as it is. */
export function heldImage(image: ImageSource): ImageSource {
  if (isEncoded(image)) return Buffer.from(bytesOf(image) ?? []);
  let raw: DecodedImage | undefined;
  try {
    raw = rawPixels(image);
  } catch {
    return image; // told when it is used
  }
  return raw === undefined ? image : { ...raw, data: new Uint8Array(raw.data) };
}

/**
 * Decodes a file or encoded bytes, or checks raw pixels, which are not copied: a caller that lets
 * time pass before using them must check their length again.
 *
 * Rejects with ERR_INVALID_IMAGE (not an image, truncated, too large), ERR_FILE (missing, unreadable,
 * not a file), ERR_MISSING_DEPENDENCY (no sharp), ERR_UNSUPPORTED (a vector or document format),
 * ERR_INVALID_ARGUMENT, or the signal's reason.
 */
export async function decodeImage(input: ImageSource, options?: DecodeOptions): Promise<DecodedImage> {
  const { signal, limitPixels } = checkDecodeOptions(options);
  signal?.throwIfAborted();
  const raw = rawPixels(input);
  if (raw !== undefined) return raw;
  const work = isEncoded(input)
    ? // Copied before anything is awaited: the caller may change or transfer the bytes meanwhile.
      decode(Buffer.from(bytesOf(input) ?? []), 'the given bytes', limitPixels)
    : decodeFile(pathOf(input), limitPixels, signal);
  return abortable(work, signal);
}

function checkDecodeOptions(options: unknown): { signal: AbortSignal | undefined; limitPixels: number } {
  const { signal, limitPixels } = checkOptions<DecodeOptions>('options', options, ['signal', 'limitPixels']);
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidArgument('signal', 'an AbortSignal', signal);
  return {
    signal,
    limitPixels: limitPixels === undefined ? defaultLimitPixels : checkInteger('limitPixels', limitPixels, 1),
  };
}

// By internal slots and not by instanceof: values from other realms (vm, Electron) are as good.
function bytesOf(value: unknown): Uint8Array | undefined {
  if (types.isUint8Array(value)) return value;
  if (types.isUint8ClampedArray(value)) return value.length === 0 ? new Uint8Array(0) : new Uint8Array(value.buffer, value.byteOffset, value.length);
  if (types.isAnyArrayBuffer(value)) return bufferBytes(value);
  return undefined;
}

function isEncoded(input: unknown): input is Uint8Array | ArrayBuffer {
  return types.isUint8Array(input) || types.isAnyArrayBuffer(input);
}

const expectedInput = 'a path, a file: URL, the bytes of an image file, or raw pixels { data, width, height, channels }';

function pathOf(input: unknown): string {
  if (typeof input !== 'string' && !(input instanceof URL)) throw invalidArgument('image', expectedInput, input);
  const text = String(input);
  if (text === '') throw invalidArgument('image', expectedInput, input);
  if (/^file:/i.test(text)) {
    try {
      return fileURLToPath(text);
    } catch (error) {
      const message = `Expected a file: URL of a local file for image but received ${text}`;
      throw new EfficientNetError('ERR_INVALID_ARGUMENT', message, { cause: error });
    }
  }
  if (input instanceof URL || /^(https?|data|blob|ftp):/i.test(text)) {
    throw new EfficientNetError(
      'ERR_INVALID_ARGUMENT',
      `Expected ${expectedInput} for image but received the URL ${text.slice(0, 80)}; fetch it first and pass its bytes`,
    );
  }
  return text;
}

async function decodeFile(path: string, limitPixels: number, signal: AbortSignal | undefined): Promise<DecodedImage> {
  let bytes: Buffer;
  try {
    // Looked at first: opening a pipe would wait for its writer, and a device may never end.
    const found = await stat(path);
    if (!found.isFile()) {
      const kind = found.isDirectory() ? 'a directory' : 'not a regular file';
      throw new EfficientNetError('ERR_FILE', `Expected an image file at ${path} but it is ${kind}`);
    }
    bytes = await readFile(path, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof EfficientNetError ? error : fileError(path, error);
  }
  return decode(bytes, path, limitPixels);
}

function fileError(path: string, error: unknown): EfficientNetError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const found =
    code === 'ENOENT' || code === 'ENOTDIR'
      ? 'there is none'
      : code === 'EACCES' || code === 'EPERM'
        ? 'this process may not read it'
        : `it could not be read: ${firstLine(error)}`;
  return new EfficientNetError('ERR_FILE', `Expected an image file at ${path} but ${found}`, { cause: error });
}

type SharpModule = typeof import('sharp');

let sharpModule: Promise<SharpModule> | undefined;

async function loadSharp(): Promise<SharpModule> {
  sharpModule ??= import('sharp').then((loaded) => loaded.default);
  try {
    return await sharpModule;
  } catch (error) {
    sharpModule = undefined; // so that it can be installed while the process lives
    throw new EfficientNetError(
      'ERR_MISSING_DEPENDENCY',
      `Decoding image files needs the package sharp, which could not be loaded (${firstLine(error)}). ` +
        'Run `npm install sharp`, or pass raw pixels { data, width, height, channels }',
      { cause: error },
    );
  }
}

async function decode(bytes: Buffer, origin: string, limitPixels: number): Promise<DecodedImage> {
  if (bytes.length === 0) {
    throw new EfficientNetError('ERR_INVALID_IMAGE', `Expected an encoded image in ${origin} but received 0 bytes`);
  }
  const sharp = await loadSharp();
  try {
    // The header alone, without a limit, so that the message can give the size.
    const header = await sharp(bytes, { limitInputPixels: false }).metadata();
    checkHeader(header, origin, limitPixels);
    // Pillow refuses truncated files, and reads on after mere warnings; 'error' is that.
    const image = sharp(bytes, { limitInputPixels: limitPixels, failOn: 'error', ignoreIcc: true });
    return await pixelsOf(image, header);
  } catch (error) {
    if (error instanceof EfficientNetError) throw error;
    const message = `Expected a whole image file in ${origin} but it cannot be decoded: ${firstLine(error)}`;
    throw new EfficientNetError('ERR_INVALID_IMAGE', message, { cause: error });
  }
}

function checkHeader(header: Metadata, origin: string, limitPixels: number): void {
  const { format, width, height } = header;
  if (!rasterFormats.includes(format)) {
    throw new EfficientNetError(
      'ERR_UNSUPPORTED',
      `Expected a raster image (${rasterFormats.join(', ')}) in ${origin} but received ${format}; render it to PNG first`,
    );
  }
  if (width * height > limitPixels || Math.max(width, height) > maxImageSide) {
    throw new EfficientNetError(
      'ERR_INVALID_IMAGE',
      `Expected an image of at most ${limitPixels} pixels, and ${maxImageSide} on a side, in ${origin} but its header says ` +
        `${width} x ${height}; make it smaller`,
    );
  }
}

async function pixelsOf(image: Sharp, header: Metadata): Promise<DecodedImage> {
  const upright = image.rotate().removeAlpha(); // without an angle: by the EXIF orientation
  const isCmyk = header.space === 'cmyk' && header.depth === 'uchar';
  const converted = isCmyk ? upright.pipelineColourspace('cmyk').toColourspace('cmyk') : upright.toColourspace('srgb');
  const { data, info } = await converted.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const count = width * height;
  if (data.length !== count * info.channels) {
    throw new Error(`sharp gave ${data.length} bytes for ${width} x ${height} x ${info.channels}`);
  }
  if (isCmyk && info.channels === 4) {
    return { data: rgbOfCmyk(data), width, height, channels: 'rgb', stride: 3 * width };
  }
  if (info.channels === 1) return { data, width, height, channels: 'gray', stride: width };
  if (info.channels === 3) return { data, width, height, channels: 'rgb', stride: 3 * width };
  throw new Error(`sharp gave ${info.channels} channels`);
}

/** Pillow's conversion: each ink scaled by what black leaves, in 8-bit arithmetic with rounding. */
function rgbOfCmyk(cmyk: Uint8Array): Uint8Array {
  const pixels = cmyk.length / 4;
  const rgb = new Uint8Array(3 * pixels);
  for (let i = 0; i < pixels; i++) {
    const light = 255 - (cmyk[4 * i + 3] ?? 0);
    for (let c = 0; c < 3; c++) {
      const product = (cmyk[4 * i + c] ?? 0) * light + 128;
      rgb[3 * i + c] = Math.max(0, light - (((product >> 8) + product) >> 8));
    }
  }
  return rgb;
}

/** `work`, or the signal's reason as soon as it is aborted; sharp itself cannot be stopped. */
function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise<T>((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : describeValue(error);
  return text.split('\n', 1)[0] ?? '';
}
