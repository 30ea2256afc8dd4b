/**
 * Which lines are rows of the view: all that are held, or those of one stream.
 *
 * Row numbers start at 0 with the first line that is held, so they move when old lines are dropped;
 * `sync` says by how many. Line numbers never move.
 */
import type { OutputLines, Stream } from './lines';

export class VisibleLines {
  readonly #lines: OutputLines;
  readonly only: Stream | null;
  #first = 0;
  #upTo = 0;
  /** With a filter: the numbers of its lines, `#start` of them no longer held. */
  #index = new Uint32Array(0);
  #start = 0;
  #end = 0;

  constructor(lines: OutputLines, only: Stream | null = null) {
    this.#lines = lines;
    this.only = only;
    this.sync();
  }

  get count(): number {
    return this.only === null ? this.#upTo - this.#first : this.#end - this.#start;
  }

  /** Take over what the store gained and lost. Returns how many rows went away at the top. */
  sync(): number {
    const { firstHeld, count } = this.#lines;
    if (this.#upTo > count) this.#first = this.#upTo = this.#start = this.#end = 0; // the store was cleared
    const before = this.#first;
    this.#first = firstHeld;
    const from = Math.max(this.#upTo, firstHeld);
    const hadRows = this.#upTo;
    this.#upTo = count;
    if (this.only === null) return Math.max(0, Math.min(firstHeld, hadRows) - before);
    for (let line = from; line < count; line++) {
      if (this.#lines.stream(line) === this.only) this.#push(line);
    }
    const start = this.#start;
    while (this.#start < this.#end && (this.#index[this.#start] as number) < firstHeld) this.#start++;
    return this.#start - start;
  }

  lineAt(row: number): number {
    return this.only === null ? this.#first + row : (this.#index[this.#start + row] ?? -1);
  }

  /** The row that shows the line, or the next one that is visible. */
  rowOf(line: number): number {
    if (this.only === null) return Math.max(0, Math.min(this.count - 1, line - this.#first));
    let low = this.#start;
    let high = this.#end;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#index[middle] as number) < line) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, Math.min(this.count - 1, low - this.#start));
  }

  #push(line: number): void {
    if (this.#end === this.#index.length) this.#makeRoom();
    this.#index[this.#end++] = line;
  }

  #makeRoom(): void {
    const held = this.#index.subarray(this.#start, this.#end);
    const index = new Uint32Array(Math.max(1024, held.length * 2));
    index.set(held);
    this.#end = held.length;
    this.#start = 0;
    this.#index = index;
  }
}
