/**
 * Lines that have a text, over the whole run, found by the server. It goes on with lines that come later.
 *
 * Usually all hits are known by number. Of a text that is nearly everywhere only the first ones are; then the
 * server is asked again from where somebody stands.
 */
import { asProblem } from '../api/errors';
import type { OutputPages, Stream } from './pages';
import type { FindAnswer, FindQuery, OutputSource } from './source';

export interface Query {
  text: string;
  isRegex: boolean;
  matchCase: boolean;
}

/** What is looked for, and which lines are shown: those that match with so many around each, or, by null, all. */
export interface Finding extends Query {
  context: number | null;
}

/** Lines around each match that can be chosen. */
export const CONTEXTS = [0, 2, 5, 20];

export function isSameQuery(one: Query, other: Query): boolean {
  return one.text === other.text && one.isRegex === other.isRegex && one.matchCase === other.matchCase;
}

const LISTED_STEP = 10_000; // the most numbers that the API gives at once
const NEARBY = 500;
const LATER_MS = 500; // between looks at what a live run has printed since
const RETRY_MS = 3_000;

/** The query as a global expression, for marking matches. Null for a pattern that only the server understands. */
export function expressionOf({ text, isRegex, matchCase }: Query): RegExp | null {
  const flags = matchCase ? 'g' : 'gi';
  if (!isRegex) return new RegExp(text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&'), flags);
  try {
    return new RegExp(text, `${flags}u`);
  } catch {
    return null;
  }
}

/** Hits between two lines, all of them. */
interface Nearby {
  from: number;
  to: number;
  lines: number[];
}

export class Search {
  readonly expression: RegExp | null;
  /** Lines that match, as far as was searched. */
  total = 0;
  scannedTo = 0;
  /** Why the search cannot be done, in words, or "". */
  problem = '';
  /** Numbers of the first hits, ascending: all that there are below `listedTo`. */
  readonly hits: number[] = [];
  listedTo = 0;

  readonly #query: FindQuery;
  readonly #source: OutputSource;
  readonly #pages: OutputPages;
  readonly #changed: () => void;
  readonly #stopped = new AbortController();
  #nearby: Nearby = { from: 0, to: 0, lines: [] };
  #isAsking = false;
  #hasAsked = false;
  #isUnanswered = false;
  #listedMax = LISTED_STEP;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(source: OutputSource, pages: OutputPages, query: Query, stream: Stream | null, changed: () => void) {
    this.#source = source;
    this.#pages = pages;
    this.#changed = changed;
    this.#query = { ...query, stream };
    this.expression = expressionOf(query);
    this.#searchOn();
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  /** Everything printed so far was searched. The open line may still change: it is searched once it is whole. */
  get isComplete(): boolean {
    return this.problem !== '' || this.scannedTo >= this.#pages.wholeCount;
  }

  /** Whether all hits are known by number. */
  get isListed(): boolean {
    return this.hits.length === this.total;
  }

  /** The lines changed: search on soon, and at once where these are the first. */
  lookAgain(delayMs = this.#hasAsked ? LATER_MS : 0): void {
    if (this.isComplete || this.#isAsking) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#searchOn();
    }, delayMs);
  }

  /** Learn the numbers of more hits. */
  async listMore(): Promise<void> {
    this.#listedMax += LISTED_STEP;
    const answer = await this.#ask(this.listedTo, LISTED_STEP);
    if (!answer) return;
    const lines = answer.lines.slice(0, indexFrom(answer.lines, this.scannedTo)); // later ones are not counted yet
    this.#list(this.listedTo, { ...answer, lines, scannedTo: Math.min(this.scannedTo, answer.scannedTo) });
    this.#changed();
  }

  /** The place of a hit among all, from 0 on, or null where that is not known. */
  placeOf(line: number): number | null {
    if (line >= this.listedTo) return null;
    const index = indexFrom(this.hits, line);
    return this.hits[index] === line ? index : null;
  }

  /** The first hit at or after a line, or the last one before it; goes round at the ends. Null when there is none. */
  async nearest(line: number, step: 1 | -1): Promise<number | null> {
    if (this.total === 0) return null;
    if (step > 0) return (await this.#after(line)) ?? (await this.#after(0));
    return (await this.#before(line)) ?? (await this.#before(this.scannedTo));
  }

  async #after(line: number): Promise<number | null> {
    let from = line;
    if (from < this.listedTo) {
      const hit = this.hits[indexFrom(this.hits, from)];
      if (hit !== undefined) return hit;
      from = this.listedTo;
    }
    if (this.isListed) return null;
    const { lines, from: start, to } = this.#nearby;
    if (from >= start && from < to) {
      const hit = lines[indexFrom(lines, from)];
      if (hit !== undefined) return hit;
      from = to;
    }
    while (from < this.scannedTo) {
      const answer = await this.#lookAt(from, NEARBY);
      if (!answer) return null;
      if (answer.lines.length > 0) return answer.lines[0] as number;
      from = answer.to;
    }
    return null;
  }

  async #before(line: number): Promise<number | null> {
    let upTo = line;
    for (let size = 4096; upTo > this.listedTo; size *= 4) {
      const known = this.#nearby;
      if (upTo > known.from && upTo <= known.to) {
        const hit = known.lines[indexFrom(known.lines, upTo) - 1];
        if (hit !== undefined) return hit;
        upTo = Math.max(known.from, this.listedTo);
        continue;
      }
      const from = Math.max(this.listedTo, upTo - size);
      let last: number | undefined;
      for (let at = from; at < upTo; ) {
        const answer = await this.#lookAt(at, LISTED_STEP);
        if (!answer) return null;
        last = answer.lines[indexFrom(answer.lines, upTo) - 1] ?? last;
        at = answer.to;
      }
      if (last !== undefined) return last;
      upTo = from;
    }
    return this.hits[indexFrom(this.hits, upTo) - 1] ?? null;
  }

  async #lookAt(from: number, limit: number): Promise<Nearby | null> {
    const answer = await this.#ask(from, limit);
    if (!answer) return null;
    const isCut = answer.total > answer.lines.length;
    this.#nearby = { from, to: isCut ? (answer.lines.at(-1) ?? from) + 1 : answer.scannedTo, lines: answer.lines };
    return this.#nearby;
  }

  async #searchOn(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    while (!this.isComplete) {
      const from = this.scannedTo;
      const limit = this.isListed ? Math.max(1, this.#listedMax - this.hits.length) : 1;
      const answer = await this.#ask(from, limit);
      if (!answer) break;
      if (this.isListed && this.listedTo === from) this.#list(from, answer);
      this.total += answer.total;
      this.scannedTo = answer.scannedTo;
      this.#changed();
      if (answer.scannedTo <= from) break; // nothing more is recorded yet
    }
    this.#isAsking = false;
    if (!this.#isUnanswered || this.#stopped.signal.aborted) return;
    this.#isUnanswered = false;
    this.lookAgain(RETRY_MS);
  }

  #list(from: number, { lines, total, scannedTo }: FindAnswer): void {
    for (const line of lines) this.hits.push(line);
    this.listedTo = total > lines.length ? (lines.at(-1) ?? from - 1) + 1 : scannedTo;
  }

  async #ask(from: number, limit: number): Promise<FindAnswer | null> {
    this.#hasAsked = true;
    try {
      return await this.#source.find(this.#query, from, limit, this.#stopped.signal);
    } catch (error) {
      if (this.#stopped.signal.aborted) return null;
      const { status, detail } = asProblem(error);
      // What the server refuses it will refuse again; where it did not answer it may answer later.
      if (status >= 400 && status < 500 && status !== 429) this.problem = detail;
      else this.#isUnanswered = true;
      this.#changed();
      return null;
    }
  }
}

/** The lines of one stream, all of them, as far as the server has looked. */
export class StreamLines {
  readonly lines: number[] = [];
  upTo = 0;
  readonly stream: Stream;
  readonly #source: OutputSource;
  readonly #pages: OutputPages;
  readonly #stopped = new AbortController();
  #isAsking = false;
  #hasAsked = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(source: OutputSource, pages: OutputPages, stream: Stream) {
    this.#source = source;
    this.#pages = pages;
    this.stream = stream;
    this.#lookOn();
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  /** The lines changed: look on soon, and at once where these are the first. */
  lookAgain(delayMs = this.#hasAsked ? LATER_MS : 0): void {
    if (this.upTo >= this.#pages.wholeCount || this.#isAsking) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#lookOn();
    }, delayMs);
  }

  async #lookOn(): Promise<void> {
    const query = { text: '^', isRegex: true, matchCase: true, stream: this.stream }; // every line has a beginning
    this.#isAsking = true;
    try {
      while (this.upTo < this.#pages.wholeCount) {
        this.#hasAsked = true;
        const { lines, total, scannedTo } = await this.#source.find(
          query,
          this.upTo,
          LISTED_STEP,
          this.#stopped.signal,
        );
        for (const line of lines) this.lines.push(line);
        const upTo = total > lines.length ? (lines.at(-1) ?? this.upTo) + 1 : scannedTo;
        if (upTo <= this.upTo) break; // nothing more is recorded yet
        this.upTo = upTo;
        this.#pages.changed();
      }
      this.#isAsking = false;
    } catch {
      this.#isAsking = false;
      if (!this.#stopped.signal.aborted) this.lookAgain(RETRY_MS);
    }
  }
}

/** The index of the first number that is not below `line`, of an ascending list. */
export function indexFrom(numbers: ArrayLike<number>, line: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] as number) < line) low = middle + 1;
    else high = middle;
  }
  return low;
}
