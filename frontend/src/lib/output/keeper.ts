/**
 * Brings the pages that are looked at, and the newest lines: the only one that asks for lines.
 *
 * Few requests at a time, those in view first; what nobody looks at any more is taken back. After a failure
 * it waits and tries again, and at once when it is told that the server is back.
 */
import { asProblem } from '../api/errors';
import type { Problem } from '../api/types';
import { type HeldLine, type OutputPages, PAGE_LINES, pageOf } from './pages';
import type { OutputSource } from './source';

const REQUESTS_MAX = 4; // of the six a browser opens to one server
const TAIL_LINES = 200;
const READ_LINES = 1024; // one request while much is read: the most that the API gives
/** While lines keep coming, those that were pushed are shown as they are; after such a pause they are asked for. */
const QUIET_MS = 700;
const RETRY_MS = 3_000;

export class Keeper {
  /** Why lines that are looked at cannot be shown, or null. */
  problem: Problem | null = null;
  /** Whether the newest lines have been asked for and are here. */
  isOpened = false;

  readonly #pages: OutputPages;
  readonly #source: OutputSource;
  readonly #requests = new Map<number, AbortController>();
  readonly #stopped = new AbortController();
  /** Pages of which the server had no more when the run had so many lines. */
  readonly #exhausted = new Map<number, number>();
  #wanted: number[] = [];
  #isRefreshing = false;
  #refreshAgain = false;
  #isMoving = false;
  #quietTimer: ReturnType<typeof setTimeout> | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(pages: OutputPages, source: OutputSource) {
    this.#pages = pages;
    this.#source = source;
  }

  stop(): void {
    this.#stopped.abort();
    for (const request of this.#requests.values()) request.abort();
    clearTimeout(this.#quietTimer);
    clearTimeout(this.#retryTimer);
  }

  /** Ask for the newest lines and their number: at the beginning, after a lost connection, at the end of the run. */
  async refresh(): Promise<void> {
    if (this.#isRefreshing) {
      this.#refreshAgain = true;
      return;
    }
    this.#isRefreshing = true;
    try {
      this.#pages.putTail(await this.#source.tail(TAIL_LINES, this.#stopped.signal));
      this.isOpened = true;
      this.#recovered();
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#isRefreshing = false;
    }
    if (!this.#refreshAgain) return;
    this.#refreshAgain = false;
    await this.refresh();
  }

  /** The newest lines were pushed. */
  moved(): void {
    this.#isMoving = true;
    clearTimeout(this.#quietTimer);
    this.#quietTimer = setTimeout(() => {
      this.#isMoving = false;
      this.#pages.changed();
    }, QUIET_MS);
  }

  /** Say which lines are in view, in order. What is missing of them is asked for, then what is next to them. */
  look(lines: readonly number[]): void {
    const inView = new Set(lines.filter((line) => !this.#canWait(line)).map(pageOf));
    for (const page of inView) this.#pages.touch(page);
    const wanted = [...inView];
    if (lines.length > 0 && !this.#isMoving) {
      wanted.push(pageOf(lines[0] as number) - 1, pageOf(lines.at(-1) as number) + 1);
    }
    this.#wanted = wanted.filter((page) => page >= 0 && this.#isMissing(page));
    for (const [page, request] of this.#requests) {
      if (this.#wanted.includes(page)) continue;
      this.#requests.delete(page);
      request.abort();
    }
    this.#ask();
  }

  /** Try now what failed before. */
  retry(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    if (!this.isOpened) this.refresh();
    this.#ask();
  }

  /** Go through lines in order, asking for what is not held. Throws what a request throws. */
  async *read(lines: Iterable<number>, signal: AbortSignal): AsyncGenerator<[line: number, held: HeldLine]> {
    const pages = this.#pages;
    let before = -1;
    for (const line of lines) {
      while (!pages.isExact(line) && line < pages.wholeCount) {
        const from = pages.missingFrom(pageOf(line)) ?? line;
        const size = line === before + 1 ? READ_LINES : (pageOf(line) + 1) * PAGE_LINES - from;
        pages.put(await this.#source.lines(from, size, signal));
        if (pages.missingFrom(pageOf(line)) === from) break; // there is no more
      }
      before = line;
      const held = pages.at(line);
      if (held) yield [line, held];
    }
  }

  #isMissing(page: number): boolean {
    if (this.#pages.isRemoved || this.#exhausted.get(page) === this.#pages.count) return false;
    return this.#pages.missingFrom(page) !== null;
  }

  /** A line that was just pushed is asked for when things have calmed down. */
  #canWait(line: number): boolean {
    return this.#isMoving && this.#pages.isShown(line);
  }

  #ask(): void {
    if (this.#retryTimer !== undefined || this.#stopped.signal.aborted) return;
    for (const page of this.#wanted) {
      if (this.#requests.size >= REQUESTS_MAX) return;
      if (!this.#requests.has(page) && this.#isMissing(page)) this.#fetch(page);
    }
  }

  async #fetch(page: number): Promise<void> {
    const from = this.#pages.missingFrom(page);
    if (from === null) return;
    const request = new AbortController();
    this.#requests.set(page, request);
    try {
      const answer = await this.#source.lines(from, (page + 1) * PAGE_LINES - from, request.signal);
      if (this.#requests.get(page) === request) this.#requests.delete(page);
      this.#recovered();
      this.#pages.put(answer);
      // An answer that brings nothing would be asked for again and again.
      if (this.#pages.missingFrom(page) === from) this.#exhausted.set(page, this.#pages.count);
      else this.#exhausted.delete(page);
    } catch (error) {
      if (this.#requests.get(page) === request) this.#requests.delete(page);
      if (!request.signal.aborted) this.#failed(error);
    }
    this.#ask();
  }

  #recovered(): void {
    if (this.problem === null) return;
    this.problem = null;
    this.#pages.changed();
  }

  #failed(error: unknown): void {
    if (this.#stopped.signal.aborted) return;
    this.problem = asProblem(error);
    this.#retryTimer ??= setTimeout(() => this.retry(), RETRY_MS);
    this.#pages.changed();
  }
}
