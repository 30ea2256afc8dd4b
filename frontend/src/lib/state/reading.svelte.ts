// What a screen reads from the server and keeps fresh: the newest answer, what went wrong, and whether more is coming.
// An answer stays on the screen while the next one is on its way, and when the next one does not come.
import { asProblem } from '../api/errors';
import type { Problem } from '../api/types';

/** Between two readings, however often something changes. */
const REFRESH_MS = 2_000;

export class Reading<T> {
  #data = $state.raw<T | null>(null);
  #problem = $state.raw<Problem | null>(null);
  #isLoading = $state(false);
  #readAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: AbortController | null = null;
  readonly #read: (signal: AbortSignal) => Promise<T>;

  constructor(read: (signal: AbortSignal) => Promise<T>) {
    this.#read = read;
  }

  get data(): T | null {
    return this.#data;
  }

  /** Why the newest reading failed; null when it did not. */
  get problem(): Problem | null {
    return this.#problem;
  }

  get isLoading(): boolean {
    return this.#isLoading;
  }

  /** Reads now; an earlier reading that is still under way is given up. */
  load = async (): Promise<void> => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    this.#readAt = Date.now();
    this.#isLoading = true;
    try {
      const data = await this.#read(running.signal);
      if (this.#running !== running) return;
      this.#data = data;
      this.#problem = null;
    } catch (error) {
      if (this.#running === running) this.#problem = asProblem(error);
    } finally {
      if (this.#running === running) {
        this.#running = null;
        this.#isLoading = false;
      }
    }
  };

  /** Something changed: reads soon, and not more often than every two seconds. */
  refresh(): void {
    if (this.#timer !== undefined || this.#data === null) return;
    this.#timer = setTimeout(this.load, Math.max(0, this.#readAt + REFRESH_MS - Date.now()));
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running?.abort();
    this.#running = null;
  }
}
