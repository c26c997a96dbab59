// SPDX-License-Identifier: Apache-2.0
// The process of one contestant as the race sees it: asked, put to sleep, woken, ended. Waits for
// every answer and knows when the process has died.

import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

import { MARK, type Failure, type Request, type Response, type Rest } from './protocol.js';

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  /** Where the command itself may be missing: what installs it. */
  readonly install?: string;
}

/** What a contestant failed with. */
export class RacerError extends Error {
  readonly install: string | undefined;

  constructor({ message, install }: Failure) {
    super(message);
    this.install = install;
  }
}

/** Longest time from a request to its answer: loading and compiling a large network, or one long turn. */
const PATIENCE_MS = 600_000;
/** How much of what a process complained about is repeated. */
const COMPLAINT = 400;

type RequestBody = Request extends infer One ? (One extends Request ? Omit<One, 'id'> : never) : never;

/** Those that live, to be ended with this process however it ends. */
const alive = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** Windows has no SIGSTOP. */
export const canStop = process.platform !== 'win32';

export class Racer {
  readonly #child: ChildProcess;
  readonly #stops: boolean;
  #restless = false;
  #waiting: { readonly id: number; readonly settle: (response: Response) => void; readonly fail: (error: Error) => void } | undefined;
  #lastId = 0;
  #complaint = '';
  #ended: RacerError | undefined;

  /** Without `stops` the process is not stopped between its turns, but asked to come to rest. */
  constructor({ command, args, install }: Launch, stops = canStop) {
    this.#stops = stops;
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    alive.add(this.#child);
    this.#child.on('error', (error: NodeJS.ErrnoException) => {
      const missing = error.code === 'ENOENT';
      this.#end({ message: missing ? `${command} was not found` : `${command} could not be started (${error.message})`, install: missing ? install : undefined });
    });
    this.#child.on('close', (code, signal) => {
      const how = signal === null ? `status ${code ?? 0}` : signal;
      this.#end({ message: `its process ended with ${how}${this.#complaint === '' ? '' : `: ${this.#complaint.trim().slice(-COMPLAINT)}`}` });
    });
    this.#child.stdin?.on('error', () => undefined); // the process has ended: `close` tells
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#complaint = (this.#complaint + chunk.toString()).slice(-4 * COMPLAINT);
    });
    if (this.#child.stdout !== null) createInterface({ input: this.#child.stdout }).on('line', (line) => this.#hear(line));
  }

  /** Some thread of it went on spinning after its turns, and nothing here could stop it. */
  get restless(): boolean {
    return this.#restless;
  }

  /** Wakes the process, asks it, and puts it to sleep again: the cores belong to who was asked last. */
  async ask(request: RequestBody): Promise<unknown> {
    if (this.#stops) this.#child.kill('SIGCONT');
    const value = await this.#request(request);
    // Worker threads that spin while idle would take the next one's time.
    if (this.#stops) this.#child.kill('SIGSTOP');
    else this.#restless ||= !((await this.#request({ method: 'rest' })) as Rest).idle;
    return value;
  }

  async #request(request: RequestBody): Promise<unknown> {
    if (this.#ended !== undefined) throw this.#ended;
    const id = ++this.#lastId;
    const response = await new Promise<Response>((settle, fail) => {
      const timer = setTimeout(() => fail(new RacerError({ message: `no answer within ${PATIENCE_MS / 1000} s` })), PATIENCE_MS);
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting = undefined;
      };
      this.#waiting = { id, settle: (answer) => (done(), settle(answer)), fail: (error) => (done(), fail(error)) };
      this.#child.stdin?.write(`${JSON.stringify({ ...request, id })}\n`);
    });
    if (response.ok) return response.value;
    throw new RacerError(response.error);
  }

  /** Resolves when the process is gone. */
  async end(): Promise<void> {
    if (this.#ended !== undefined) return;
    const gone = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGKILL'); // also reaches one that sleeps
    await gone;
  }

  #hear(line: string): void {
    if (!line.startsWith(MARK)) return;
    const response = JSON.parse(line.slice(MARK.length)) as Response;
    if (response.id === this.#waiting?.id) this.#waiting.settle(response);
  }

  #end(failure: Failure): void {
    alive.delete(this.#child);
    this.#ended ??= new RacerError(failure);
    this.#waiting?.fail(this.#ended);
  }
}
