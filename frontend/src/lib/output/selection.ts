/**
 * What is selected in the output, by line and column, whether or not those rows exist on the screen.
 * Columns count UTF-16 units of the visible text.
 */
import { visibleText } from './ansi';
import { goesOn, type HeldLine } from './pages';
import type { VisibleLines } from './visible';

export interface Place {
  line: number;
  column: number;
}

export interface Selection {
  anchor: Place;
  focus: Place;
}

/** Beyond every line's end. */
export const LINE_END = Number.MAX_SAFE_INTEGER;

export function compare(one: Place, other: Place): number {
  return one.line - other.line || one.column - other.column;
}

/** First and last place of a selection, or null when it is empty. */
export function ordered({ anchor, focus }: Selection): [Place, Place] | null {
  const order = compare(anchor, focus);
  if (order === 0) return null;
  return order < 0 ? [anchor, focus] : [focus, anchor];
}

/** The columns of one line that are selected, or null. */
export function columnsIn(selection: Selection, line: number, length: number): [number, number] | null {
  const range = ordered(selection);
  if (!range || line < range[0].line || line > range[1].line) return null;
  const from = line === range[0].line ? Math.min(range[0].column, length) : 0;
  const to = line === range[1].line ? Math.min(range[1].column, length) : length;
  return from <= to ? [from, to] : null;
}

/** The word, or the run of other characters, around a column: what a double click selects. */
export function wordAround(text: string, column: number): [number, number] {
  const kind = (character: string | undefined) =>
    character === undefined
      ? 'none'
      : /[\p{L}\p{N}_.\-/~@:]/u.test(character)
        ? 'word'
        : /\s/.test(character)
          ? 'space'
          : 'sign';
  const wanted = kind(text[Math.min(column, text.length - 1)]);
  let from = Math.min(column, text.length);
  let to = from;
  while (from > 0 && kind(text[from - 1]) === wanted) from--;
  while (to < text.length && kind(text[to]) === wanted) to++;
  return [from, to];
}

/** How many rows a selection covers. */
export function selectedRows(selection: Selection, visible: VisibleLines): number {
  const range = ordered(selection);
  return range ? visible.rowOf(range[1].line) - visible.rowOf(range[0].line) + 1 : 0;
}

/** The lines that a selection covers, in order. */
export function* selectedLines(selection: Selection, visible: VisibleLines): Generator<number> {
  const range = ordered(selection);
  if (!range) return;
  for (let row = visible.rowOf(range[0].line); row < visible.count; row++) {
    const line = visible.lineAt(row);
    if (line > range[1].line) return;
    yield line;
  }
}

/**
 * The selected text as it was printed, without escapes, from the lines of its rows in order. Lines that were
 * divided only for display, by their length, are joined again.
 */
export class SelectedText {
  readonly #range: [Place, Place] | null;
  readonly #parts: string[] = [];
  #before: { line: number; held: HeldLine } | null = null;

  constructor(selection: Selection) {
    this.#range = ordered(selection);
  }

  add(line: number, held: HeldLine): void {
    if (!this.#range) return;
    const [first, last] = this.#range;
    const before = this.#before;
    this.#before = { line, held };
    if (before) {
      const isPart = line === before.line + 1 && goesOn(before.held, held);
      if (!isPart) this.#parts.push('\n');
    }
    const from = line === first.line ? first.column : 0;
    this.#parts.push(visibleText(held.text).slice(from, line === last.line ? last.column : undefined));
  }

  toString(): string {
    return this.#parts.join('');
  }
}
