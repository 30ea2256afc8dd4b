/** The moments of one task, read from the log and read again when the task changes. */
import type { Client } from '../../lib/api/client';
import type { LogEvent } from '../../lib/api/types';
import { type Step, stepsOf } from './timeline';

export class History {
  #steps = $state.raw<readonly Step[]>([]);
  #version = -1;
  readonly #api: Client;
  readonly #taskId: string;

  constructor(api: Client, taskId: string) {
    this.#api = api;
    this.#taskId = taskId;
  }

  get steps(): readonly Step[] {
    return this.#steps;
  }

  /** Bring the steps up to a version of the task. Returns how to stop. */
  readFor(version: number): () => void {
    const reading = new AbortController();
    if (version > this.#version) this.#read(version, reading.signal);
    return () => reading.abort();
  }

  async #read(version: number, signal: AbortSignal): Promise<void> {
    try {
      const { data } = await this.#api.get<LogEvent[]>(`/tasks/${this.#taskId}/events`, {}, { signal });
      this.#steps = stepsOf(data);
      this.#version = version;
    } catch {
      // The strip stays as it is; the task itself says its state, and the next change reads again.
    }
  }
}
