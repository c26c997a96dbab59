// SPDX-License-Identifier: Apache-2.0
// One piece of work for all who ask for it at the same time in this process. Each can leave by its
// own signal; the work itself is stopped when the last has left. Other processes are not seen here.

export interface Participant<Progress> {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

interface Running<Result, Progress> {
  readonly result: Promise<Result>;
  readonly controller: AbortController;
  readonly participants: Set<Participant<Progress>>;
}

export class Shared<Result, Progress> {
  readonly #running = new Map<string, Running<Result, Progress>>();

  /**
   * Joins the work of that key, or starts it. Rejects with the signal's reason once it is aborted.
   * An error thrown by a listener reaches that listener's own caller, who then takes no more part.
   */
  async join(
    key: string,
    participant: Participant<Progress>,
    work: (signal: AbortSignal, onProgress: (progress: Progress) => void) => Promise<Result>,
  ): Promise<Result> {
    const { signal, onProgress } = participant;
    signal?.throwIfAborted();
    const running = this.#running.get(key) ?? this.#start(key, work);
    let listener: Participant<Progress> = participant;
    let onAbort: (() => void) | undefined;
    const left = new Promise<never>((_, reject) => {
      onAbort = (): void => reject(signal?.reason);
      signal?.addEventListener('abort', onAbort, { once: true });
      listener = {
        onProgress: (progress) => {
          try {
            onProgress?.(progress);
          } catch (error) {
            reject(error);
          }
        },
      };
    });
    running.participants.add(listener);
    try {
      return await Promise.race([running.result, left]);
    } finally {
      if (onAbort) signal?.removeEventListener('abort', onAbort);
      running.participants.delete(listener);
      if (running.participants.size === 0) {
        // Whoever comes now must not join what is being stopped.
        if (this.#running.get(key) === running) this.#running.delete(key);
        running.controller.abort();
      }
    }
  }

  #start(
    key: string,
    work: (signal: AbortSignal, onProgress: (progress: Progress) => void) => Promise<Result>,
  ): Running<Result, Progress> {
    const controller = new AbortController();
    const participants = new Set<Participant<Progress>>();
    const result = work(controller.signal, (progress) => {
      for (const { onProgress } of [...participants]) onProgress?.(progress);
    });
    // All may have left before it fails.
    result.catch(() => undefined);
    const running = { result, controller, participants };
    this.#running.set(key, running);
    return running;
  }
}
