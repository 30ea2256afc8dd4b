/**
 * A search over the lines that are held, in steps short enough to run between frames.
 * It goes on with lines that come later. (Where the server searches, only `step` changes.)
 */
import { visibleText, withoutEscapes } from './ansi';
import { type OutputLines, PAGE_LINES, type Stream } from './lines';

export interface Query {
  text: string;
  isRegex: boolean;
  matchCase: boolean;
}

/** The query as a global expression. Throws SyntaxError for a bad regular expression. */
export function expressionOf({ text, isRegex, matchCase }: Query): RegExp {
  const flags = matchCase ? 'g' : 'gi';
  return isRegex ? new RegExp(text, `${flags}u`) : new RegExp(text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&'), flags);
}

export class Search {
  /** For marking matches: global, and left alone by the search. */
  readonly expression: RegExp;
  readonly #tester: RegExp;
  /** Numbers of the lines that match, ascending. */
  #hits = new Uint32Array(256);
  #count = 0;
  #from = 0;
  #next: number;
  readonly #lines: OutputLines;
  readonly #only: Stream | null;
  readonly #literal: string | null;

  constructor(lines: OutputLines, query: Query, only: Stream | null = null) {
    this.#lines = lines;
    this.#only = only;
    this.#next = lines.firstHeld;
    this.expression = expressionOf(query);
    this.#tester = new RegExp(this.expression.source, this.expression.flags.replace('g', ''));
    this.#literal = !query.isRegex && /^[\x20-\x7e]+$/.test(query.text) ? query.text.toLowerCase() : null;
  }

  /** Lines that match so far. */
  get count(): number {
    return this.#count - this.#from;
  }

  get isComplete(): boolean {
    return this.#next >= this.#searchable;
  }

  hitAt(index: number): number {
    return this.#hits[this.#from + index] ?? -1;
  }

  /** The index of the first hit at or after a line; `count` when there is none. */
  indexFrom(line: number): number {
    let low = this.#from;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#hits[middle] as number) < line) low = middle + 1;
      else high = middle;
    }
    return low - this.#from;
  }

  /** Search on for about `budgetMs`. Returns true when hits were found or lost. */
  step(budgetMs: number, now: () => number = () => performance.now()): boolean {
    const before = this.#count - this.#from;
    const lines = this.#lines;
    while (this.#from < this.#count && (this.#hits[this.#from] as number) < lines.firstHeld) this.#from++;
    this.#next = Math.max(this.#next, lines.firstHeld);
    const deadline = now() + budgetMs;
    while (!this.isComplete && now() < deadline) {
      const pageEnd = Math.min(this.#searchable, (Math.floor(this.#next / PAGE_LINES) + 1) * PAGE_LINES);
      if (!this.#canSkip(this.#next)) this.#searchLines(this.#next, pageEnd);
      this.#next = pageEnd;
    }
    return this.#count - this.#from !== before;
  }

  /** A rare word: most pages are passed over without taking them apart. */
  #canSkip(line: number): boolean {
    if (this.#literal === null) return false;
    const text = this.#lines.pageText(line);
    return text !== null && !withoutEscapes(text).toLowerCase().includes(this.#literal);
  }

  #searchLines(from: number, to: number): void {
    for (let line = from; line < to; line++) {
      if (this.#only !== null && this.#lines.stream(line) !== this.#only) continue;
      if (this.#tester.test(visibleText(this.#lines.text(line) ?? ''))) this.#push(line);
    }
  }

  /** The open line may still change; it is searched once the next one has begun. */
  get #searchable(): number {
    return this.#lines.hasOpenLine ? this.#lines.count - 1 : this.#lines.count;
  }

  #push(line: number): void {
    if (this.#count === this.#hits.length) {
      const hits = new Uint32Array(this.#hits.length * 2);
      hits.set(this.#hits);
      this.#hits = hits;
    }
    this.#hits[this.#count++] = line;
  }
}
