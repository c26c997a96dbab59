// SPDX-License-Identifier: Apache-2.0
// Work that cleans up after itself when the process is told to end: Ctrl-C, a closed terminal, kill. The
// process then ends by that very signal, as whoever sent it expects.

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs `work`, whose signal is aborted when the process is told to end. */
export async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals): void => controller.abort(new Interrupted(name));
  for (const name of signals) process.once(name, stop);
  const release = (): void => {
    for (const name of signals) process.removeListener(name, stop);
  };
  try {
    return await work(controller.signal);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    release();
    process.kill(process.pid, error.by);
    return await new Promise<never>(() => undefined); // the signal is on its way
  } finally {
    release();
  }
}

class Interrupted extends Error {
  readonly by: NodeJS.Signals;

  constructor(by: NodeJS.Signals) {
    super(`interrupted by ${by}`);
    this.by = by;
  }
}
