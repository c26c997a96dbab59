// SPDX-License-Identifier: Apache-2.0
// The errors that this package throws. Every one is an EfficientNetError with a stable `code`;
// the message says what was expected, what was found and what to do.

export type ErrorCode =
  | 'ERR_INVALID_ARGUMENT' // an argument or option has the wrong type or value
  | 'ERR_UNKNOWN_ARCHITECTURE' // no network of that name
  | 'ERR_INVALID_IMAGE' // not an image, truncated, or outside the limits
  | 'ERR_INVALID_CHECKPOINT' // a weight file that is malformed or hostile
  | 'ERR_WEIGHTS_MISMATCH' // a sound file whose tensors do not fit the network
  | 'ERR_UNSUPPORTED' // valid, but not supported here (element type, instruction set, format)
  | 'ERR_FILE' // missing, unreadable, a directory, or could not be written
  | 'ERR_FETCH' // a download failed
  | 'ERR_OFFLINE' // not cached and the network is not to be used or cannot be reached
  | 'ERR_MISSING_DEPENDENCY' // an optional package is needed and not installed
  | 'ERR_ABORTED' // stopped by the caller's signal, with what was finished in the error
  | 'ERR_TIMEOUT' // an evaluation of the caller took too long
  | 'ERR_SEARCH_FAILED' // no evaluation of a search succeeded
  | 'ERR_BUDGET' // no network of the family fits a budget
  | 'ERR_CLOSED' // the model was closed
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_NATIVE'; // the addon could not be loaded or failed inside

export class EfficientNetError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'EfficientNetError';
    this.code = code;
  }
}
