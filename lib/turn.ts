// SPDX-License-Identifier: Apache-2.0
// Long work on the JavaScript thread in pieces, between which timers and input have their turn.

import { setImmediate as nextTurn } from 'node:timers/promises';

/** Work is cut where it has taken this long: what a server adds to its answers while it loads a model. */
const kMilliseconds = 4;

/** A function to be awaited often: it gives the event loop a turn when one is due. */
export function pacer(): () => Promise<void> {
  let began = now();
  return async () => {
    if (now() - began < kMilliseconds) return;
    await nextTurn();
    began = now();
  };
}

/** Milliseconds. Node loads `performance` where it is first asked for, which takes 1.8 ms of a model's loading. */
function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}
