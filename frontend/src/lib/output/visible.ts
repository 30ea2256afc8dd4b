/**
 * Which lines are rows of the view: all of them, those of a list, or all but those of a list.
 *
 * A list grows at its end while the server looks through the run; lines beyond what it has looked at are no
 * rows yet. Line numbers never move, and rows are only ever added at the end.
 */
import { indexFrom } from './find';
import type { OutputPages } from './pages';

/** Ascending line numbers, known for all lines below `upTo`. */
export interface LineList {
  readonly lines: ArrayLike<number>;
  readonly upTo: number;
}

export type Choice = { kind: 'all' } | { kind: 'only' | 'without'; list: LineList };

export class VisibleLines {
  readonly #pages: OutputPages;
  readonly #choice: Choice;

  constructor(pages: OutputPages, choice: Choice = { kind: 'all' }) {
    this.#pages = pages;
    this.#choice = choice;
  }

  get count(): number {
    const choice = this.#choice;
    if (choice.kind === 'all') return this.#pages.count;
    return choice.kind === 'only' ? choice.list.lines.length : choice.list.upTo - choice.list.lines.length;
  }

  /** Whether every line is a row. */
  get isWhole(): boolean {
    return this.#choice.kind === 'all';
  }

  /** The line of a row, -1 beyond the last one. */
  lineAt(row: number): number {
    if (row < 0 || row >= this.count) return -1;
    const choice = this.#choice;
    if (choice.kind === 'all') return row;
    return choice.kind === 'only' ? (choice.list.lines[row] as number) : row + hiddenBefore(choice.list.lines, row);
  }

  /** The row that shows the line, or the next one that is visible. */
  rowOf(line: number): number {
    const choice = this.#choice;
    const row =
      choice.kind === 'all'
        ? line
        : choice.kind === 'only'
          ? indexFrom(choice.list.lines, line)
          : line - indexFrom(choice.list.lines, line);
    return Math.max(0, Math.min(this.count - 1, row));
  }
}

/** How many lines of an ascending list lie before the row-th line that is not in it. */
function hiddenBefore(hidden: ArrayLike<number>, row: number): number {
  let low = 0;
  let high = hidden.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    // That many lines before the hidden one are shown: the row comes after it when they are not enough.
    if ((hidden[middle] as number) - middle <= row) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Every line of a list with `around` lines before and after it, once each. */
export class WithContext implements LineList {
  readonly lines: number[] = [];
  readonly #list: LineList;
  readonly #around: number;
  readonly #isShown: (line: number) => boolean;
  #taken = 0;
  #upTo = 0;

  constructor(list: LineList, around: number, isShown: (line: number) => boolean = () => true) {
    this.#list = list;
    this.#around = around;
    this.#isShown = isShown;
  }

  get upTo(): number {
    return this.#upTo;
  }

  /** Take over what the list gained; `count` is where the run ends. */
  sync(count: number): void {
    const { lines: hits, upTo } = this.#list;
    // Context after the last hit may only now exist.
    if (this.#taken > 0) this.#add(hits[this.#taken - 1] as number, count);
    for (; this.#taken < hits.length; this.#taken++) this.#add(hits[this.#taken] as number, count);
    this.#upTo = upTo;
  }

  #add(hit: number, count: number): void {
    const from = Math.max((this.lines.at(-1) ?? -1) + 1, hit - this.#around);
    for (let line = from; line <= Math.min(count - 1, hit + this.#around); line++) {
      if (line === hit || this.#isShown(line)) this.lines.push(line);
    }
  }
}

export function includes(list: ArrayLike<number>, line: number): boolean {
  return list[indexFrom(list, line)] === line;
}
