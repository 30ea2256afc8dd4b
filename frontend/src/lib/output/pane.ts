/**
 * The moving part of the output view, in plain TypeScript: rows are written at most once a frame,
 * whatever the number of lines that arrive, and the component around it hears of counts four times a
 * second.
 */
import { visibleText } from './ansi';
import { luminance, parseRgb } from './contrast';
import { type Query, Search } from './find';
import { type MarkKind, Marks } from './highlights';
import type { OutputLines, Stream } from './lines';
import { type Looks, type Marked, pointAt, type Row, Rows } from './rows';
import * as selecting from './selection';
import { Viewport } from './viewport';
import { VisibleLines } from './visible';

export const ROW_HEIGHT_PX = 18; // as in output.css
const STATUS_INTERVAL_MS = 250;
const SETTLE_MS = 200;
const SEARCH_SLICE_MS = 6;
const MARKS_PER_ROW_MAX = 200;
/** Copying more than this would hold a browser up; the raw output can be downloaded. */
export const COPY_ROWS_MAX = 100_000;

export interface PaneStatus {
  /** Rows of the current filter. */
  rows: number;
  following: boolean;
  /** Rows that came since the end was left. */
  newRows: number;
  hits: number;
  /** Which hit is shown, -1 for none. */
  hit: number;
  searching: boolean;
}

export interface PaneEvents {
  status: (status: PaneStatus) => void;
  /** Somebody chose lines by their numbers. */
  mark: (marked: Marked | null) => void;
  tooMuchToCopy: (rows: number) => void;
}

export class OutputPane {
  readonly #scroller: HTMLElement;
  readonly #spacer = document.createElement('div');
  readonly #box = document.createElement('div');
  readonly #lines: OutputLines;
  readonly #events: PaneEvents;
  readonly #view = new Viewport(ROW_HEIGHT_PX);
  readonly #rows: Rows;
  readonly #marks = new Marks();
  readonly #observer: ResizeObserver;
  readonly #listening = new AbortController();
  #visible: VisibleLines;
  #looks: Looks;
  #shown: Row[] = [];
  #wraps = false;
  #marked: Marked | null = null;
  /** A line to be shown that the rows do not reach yet. */
  #aim: number | null = null;
  #selection: selecting.Selection | null = null;
  #search: Search | null = null;
  #hit = -1;
  #hitLine = -1;
  /** Rows that went away at the top since the filter was set: keeps a row's place in the pool. */
  #removed = 0;
  #rowsWhenLeft = 0;
  #frame = 0;
  #statusTimer = 0;
  #settleTimer = 0;
  #searchTimer = 0;
  #rangeHeight = -1;
  #columns = -1;

  constructor(scroller: HTMLElement, lines: OutputLines, events: PaneEvents) {
    this.#scroller = scroller;
    this.#lines = lines;
    this.#events = events;
    this.#visible = new VisibleLines(lines);
    this.#spacer.className = 'output-spacer';
    this.#box.className = 'output-box';
    this.#spacer.append(this.#box);
    scroller.append(this.#spacer);
    this.#looks = { timeOf: null, expanded: new Set(), surface: this.#surface() };
    this.#rows = new Rows(this.#box, lines, this.#looks);
    this.#observer = new ResizeObserver(() => {
      this.#view.setHeight(scroller.clientHeight);
      this.changed();
    });
    this.#observer.observe(scroller);
    this.#view.setHeight(scroller.clientHeight);
    this.#listen();
    this.changed();
  }

  destroy(): void {
    this.#listening.abort();
    this.#observer.disconnect();
    this.#marks.clear();
    cancelAnimationFrame(this.#frame);
    for (const timer of [this.#statusTimer, this.#settleTimer, this.#searchTimer]) clearTimeout(timer);
    this.#spacer.remove();
  }

  /** The lines or something about their looks changed: paint with the next frame. */
  changed(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint();
    });
    this.#report();
    if (this.#search && !this.#search.isComplete) this.#searchOn();
  }

  filter(only: Stream | null): void {
    const line = this.#visible.count > 0 ? this.#visible.lineAt(this.#view.firstRow) : 0;
    const wasFollowing = this.#view.following;
    this.#visible = new VisibleLines(this.#lines, only);
    this.#removed = 0;
    this.#rows.rewriteAll();
    this.#view.setRows(this.#visible.count);
    if (wasFollowing) this.#view.follow();
    else this.#view.goTo(this.#visible.rowOf(line), 0);
    this.#rowsWhenLeft = this.#visible.count;
    this.changed();
  }

  wrap(on: boolean): void {
    this.#wraps = on;
    this.#scroller.classList.toggle('is-wrapping', on);
    this.#columns = -1;
    this.#box.style.transform = '';
    this.changed();
  }

  times(timeOf: Looks['timeOf']): void {
    this.#setLooks({ timeOf });
  }

  /** The theme changed: free colours are chosen anew. */
  recolour(): void {
    this.#setLooks({ surface: this.#surface() });
  }

  follow(): void {
    this.#aim = null;
    this.#view.follow();
    this.changed();
  }

  goToStart(): void {
    this.#aim = null;
    this.#leaveEnd();
    this.#view.goTo(0, 0);
    this.changed();
  }

  /** Show a line, without moving when it is in view. */
  goToLine(line: number): void {
    this.#sync();
    this.#leaveEnd();
    if (!this.#view.isVisible(this.#visible.rowOf(line))) this.#goTo(line);
    this.changed();
  }

  /** Show a line as soon as it is here, unless somebody moves before. */
  aimAt(line: number): void {
    this.#leaveEnd();
    this.#sync();
    this.#goTo(line);
    this.changed();
  }

  /** Mark lines, as a link to them does. */
  mark(marked: Marked | null): void {
    this.#marked = marked;
    this.changed();
  }

  // ---- finding ----------------------------------------------------------------------------------

  /** Search for something else, or stop. Throws SyntaxError for a bad regular expression. */
  find(query: Query | null): void {
    this.#search = query === null || query.text === '' ? null : new Search(this.#lines, query, this.#visible.only);
    this.#hit = this.#hitLine = -1;
    this.changed();
  }

  /** Go to the next (1) or the previous (-1) hit. */
  findNext(step: 1 | -1): void {
    const search = this.#search;
    if (!search || search.count === 0) return;
    const from = this.#hitLine >= 0 ? this.#hitLine : this.#visible.lineAt(this.#view.firstRow);
    const at = search.indexFrom(step > 0 && this.#hitLine >= 0 ? from + 1 : from);
    this.#hit = (((step > 0 ? at : at - 1) % search.count) + search.count) % search.count;
    this.#hitLine = search.hitAt(this.#hit);
    this.goToLine(this.#hitLine);
  }

  /** Where the hits are, as shares of the whole height, at most one for each of `places`. */
  hitShares(places: number): number[] {
    const search = this.#search;
    if (!search || this.#visible.count === 0) return [];
    const taken = new Set<number>();
    const step = Math.max(1, Math.floor(search.count / 20_000));
    for (let index = 0; index < search.count; index += step) {
      taken.add(Math.floor((this.#visible.rowOf(search.hitAt(index)) / this.#visible.count) * places));
    }
    return [...taken].map((place) => place / places);
  }

  #searchOn(): void {
    if (this.#searchTimer !== 0) return;
    this.#searchTimer = window.setTimeout(() => {
      this.#searchTimer = 0;
      const search = this.#search;
      if (!search) return;
      search.step(SEARCH_SLICE_MS);
      if (this.#hit < 0 && search.count > 0) this.#showFirstHit(search);
      this.changed();
    }, 4);
  }

  /** The first hit from here on; what is in view stays where it is. */
  #showFirstHit(search: Search): void {
    const index = search.indexFrom(this.#visible.lineAt(this.#view.firstRow));
    if (index >= search.count && !search.isComplete) return;
    this.#hit = index % search.count;
    this.#hitLine = search.hitAt(this.#hit);
    this.goToLine(this.#hitLine);
  }

  // ---- selecting and copying --------------------------------------------------------------------

  selectAll(): void {
    if (this.#visible.count === 0) return;
    this.#leaveEnd();
    this.#select({ line: this.#visible.lineAt(0), column: 0 }, this.#endOfLast());
  }

  /** All that is held, as text. */
  allText(): string {
    if (this.#visible.count === 0) return '';
    const all = { anchor: { line: this.#visible.lineAt(0), column: 0 }, focus: this.#endOfLast() };
    return selecting.textOf(all, this.#lines, this.#visible);
  }

  get visibleRows(): number {
    return this.#visible.count;
  }

  #endOfLast(): selecting.Place {
    return { line: this.#visible.lineAt(this.#visible.count - 1), column: selecting.LINE_END };
  }

  #select(anchor: selecting.Place, focus: selecting.Place): void {
    this.#selection = { anchor, focus };
    this.changed();
  }

  #copy(event: ClipboardEvent): void {
    const selection = this.#selection;
    if (!selection || selecting.ordered(selection) === null || (window.getSelection()?.toString() ?? '') !== '') return;
    event.preventDefault();
    const rows = selecting.selectedRows(selection, this.#visible);
    if (rows > COPY_ROWS_MAX) this.#events.tooMuchToCopy(rows);
    else event.clipboardData?.setData('text/plain', selecting.textOf(selection, this.#lines, this.#visible));
  }

  #placeAt(x: number, y: number): selecting.Place {
    const frame = this.#scroller.getBoundingClientRect();
    const inside = Math.max(frame.top + 1, Math.min(frame.top + this.#scroller.clientHeight - 2, y));
    const row = this.#rows.rowOf(
      document.elementFromPoint(Math.max(frame.left + 2, Math.min(frame.right - 20, x)), inside),
    );
    if (!row)
      return inside > frame.top + this.#scroller.clientHeight / 2
        ? this.#endOfLast()
        : { line: this.#visible.lineAt(this.#view.firstRow), column: 0 };
    const caret = caretAt(x, inside);
    if (caret && row.text.contains(caret.node)) {
      const range = document.createRange();
      range.setStart(row.text, 0);
      range.setEnd(caret.node, caret.offset);
      return { line: row.line, column: range.toString().length };
    }
    return { line: row.line, column: x < row.text.getBoundingClientRect().left ? 0 : row.length };
  }

  #beginSelection(event: PointerEvent, clicks: number): void {
    const place = this.#placeAt(event.clientX, event.clientY);
    if (clicks >= 3) {
      this.#select({ line: place.line, column: 0 }, { line: place.line, column: selecting.LINE_END });
    } else if (clicks === 2) {
      const [from, to] = selecting.wordAround(visibleText(this.#lines.text(place.line) ?? ''), place.column);
      this.#select({ line: place.line, column: from }, { line: place.line, column: to });
    } else {
      this.#select(event.shiftKey && this.#selection ? this.#selection.anchor : place, place);
    }
    this.#followPointer(event, clicks > 1);
  }

  /** Extend the selection while the button is down, scrolling when the pointer is outside. */
  #followPointer(event: PointerEvent, keepsFirst: boolean): void {
    const done = new AbortController();
    const frame = this.#scroller.getBoundingClientRect();
    let { clientX: x, clientY: y } = event;
    const startX = x;
    const startY = y;
    const extend = () => {
      const anchor = this.#selection?.anchor;
      if (!anchor || (keepsFirst && Math.abs(x - startX) + Math.abs(y - startY) < 4)) return;
      this.#leaveEnd();
      this.#select(anchor, this.#placeAt(x, y));
    };
    const scrolling = window.setInterval(() => {
      const outside = y < frame.top ? y - frame.top : y > frame.bottom ? y - frame.bottom : 0;
      if (outside === 0) return;
      this.#view.moveBy(outside * 2);
      this.#view.leaveEnd();
      this.#paint();
      extend();
    }, 30);
    const end = () => {
      done.abort();
      clearInterval(scrolling);
    };
    const signal = AbortSignal.any([done.signal, this.#listening.signal]);
    window.addEventListener(
      'pointermove',
      (move) => {
        ({ clientX: x, clientY: y } = move);
        extend();
      },
      { signal },
    );
    window.addEventListener('pointerup', end, { signal });
    window.addEventListener('pointercancel', end, { signal });
    this.#listening.signal.addEventListener('abort', end, { once: true });
  }

  // ---- input ------------------------------------------------------------------------------------

  #listen(): void {
    const scroller = this.#scroller;
    const { signal } = this.#listening;
    scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true, signal });
    scroller.addEventListener(
      'wheel',
      (event) => {
        if (event.deltaY < 0) this.#leaveEnd();
      },
      { passive: true, signal },
    );
    scroller.addEventListener('pointerdown', (event) => this.#pressed(event), { signal });
    scroller.addEventListener('click', (event) => this.#clicked(event), { signal });
    scroller.addEventListener('keydown', (event) => this.#key(event), { signal });
    scroller.addEventListener('copy', (event) => this.#copy(event), { signal });
  }

  #scrolled(): void {
    const wasFollowing = this.#view.following;
    const top = this.#view.top;
    const needsSettling = this.#view.scrolled(this.#scroller.scrollTop);
    if (this.#view.top !== top) this.#aim = null;
    if (wasFollowing && !this.#view.following) this.#rowsWhenLeft = this.#visible.count;
    if (needsSettling) {
      clearTimeout(this.#settleTimer);
      const atEdge = this.#view.top === 0 || this.#view.top === this.#view.topMax;
      this.#settleTimer = window.setTimeout(
        () => {
          this.#settleTimer = 0;
          this.#settle();
        },
        atEdge ? 0 : SETTLE_MS,
      );
    }
    this.changed();
  }

  #pressed(event: PointerEvent): void {
    if (event.button !== 0 || event.pointerType === 'touch') return; // touch has its own selection
    if ((event.target as Element).closest('a, button')) return;
    const frame = this.#scroller.getBoundingClientRect();
    const isOnScrollBar =
      event.clientX - frame.left > this.#scroller.clientWidth ||
      event.clientY - frame.top > this.#scroller.clientHeight;
    if (isOnScrollBar) {
      this.#leaveEnd();
      return;
    }
    event.preventDefault();
    this.#scroller.focus({ preventScroll: true });
    this.#beginSelection(event, this.#countClick(event));
  }

  #lastPress = { at: 0, x: 0, y: 0, count: 0 };

  /** Pointer events carry no click count. */
  #countClick({ timeStamp, clientX: x, clientY: y }: PointerEvent): number {
    const last = this.#lastPress;
    const isAgain = timeStamp - last.at < 500 && Math.abs(x - last.x) + Math.abs(y - last.y) < 6;
    this.#lastPress = { at: timeStamp, x, y, count: isAgain ? last.count + 1 : 1 };
    return this.#lastPress.count;
  }

  #clicked(event: MouseEvent): void {
    const target = event.target as Element;
    const row = this.#rows.rowOf(target);
    if (!row) return;
    if (target.closest('.output-more')) {
      this.#setLooks({ expanded: new Set(this.#looks.expanded).add(row.line) });
    } else if (target.closest('.output-number') && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.#leaveEnd();
      this.mark(this.#extendMark(row.line, event.shiftKey));
      this.#events.mark(this.#marked);
    }
  }

  #extendMark(line: number, extends_: boolean): Marked | null {
    const marked = this.#marked;
    if (extends_ && marked) return { from: Math.min(marked.from, line), to: Math.max(marked.to, line) };
    return marked && marked.from === line && marked.to === line ? null : { from: line, to: line };
  }

  #key(event: KeyboardEvent): void {
    const command = event.ctrlKey || event.metaKey;
    const page = this.#view.height - 2 * ROW_HEIGHT_PX;
    const moves: Record<string, number> = {
      ArrowUp: -ROW_HEIGHT_PX,
      ArrowDown: ROW_HEIGHT_PX,
      PageUp: -page,
      PageDown: page,
    };
    const move = moves[event.key];
    if (command && event.key === 'a') this.selectAll();
    else if (event.key === 'Escape' && this.#selection) {
      this.#selection = null;
      this.changed();
    } else if (command || event.altKey) return;
    else if (move !== undefined) {
      if (this.#view.following) this.#rowsWhenLeft = this.#visible.count;
      this.#aim = null;
      this.#view.moveBy(move);
      this.changed();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // ---- painting ---------------------------------------------------------------------------------

  #paint(): void {
    const view = this.#view;
    const visible = this.#visible;
    this.#sync();
    if (view.height === 0) return;
    this.#settle();
    const first = view.firstRow;
    // Wrapped rows at the end are aligned to the bottom, so more of them may be needed above.
    const count = Math.max(
      0,
      Math.min(visible.count - first, view.visibleRows * (this.#wraps && view.lastScreenShare > 0 ? 2 : 1)),
    );
    this.#shown = this.#rows.paint(
      first + this.#removed,
      count,
      (index) => visible.lineAt(first + index),
      this.#marked,
    );
    if (this.#wraps) this.#placeWrapped();
    else this.#placeRows(first);
    this.#paintMarks();
  }

  /** Take over the lines that came and went. */
  #sync(): void {
    const gone = this.#visible.sync();
    if (gone > 0) {
      this.#removed += gone;
      this.#rowsWhenLeft -= gone;
      this.#view.removeAbove(gone);
    }
    this.#view.setRows(this.#visible.count);
    if (this.#aim !== null) this.#goTo(this.#aim);
  }

  #goTo(line: number): void {
    this.#view.goTo(this.#visible.rowOf(line));
    this.#aim = this.#view.top === this.#view.topMax ? line : null;
  }

  #placeRows(first: number): void {
    const offset = first * ROW_HEIGHT_PX - Math.round(this.#view.top);
    this.#shown.forEach((row, index) => {
      row.element.style.transform = `translateY(${offset + index * ROW_HEIGHT_PX}px)`;
    });
    if (this.#columns === this.#rows.widest) return;
    this.#columns = this.#rows.widest;
    this.#spacer.style.minWidth = `calc(${this.#columns}ch + var(--output-gutter))`;
  }

  #placeWrapped(): void {
    this.#spacer.style.minWidth = '';
    this.#shown.forEach((row, index) => {
      row.element.style.order = `${index}`;
      row.element.style.transform = '';
    });
    const heightOfFirst = this.#shown[0]?.element.offsetHeight ?? 0;
    const offset = this.#view.wrappedOffset(heightOfFirst, this.#box.scrollHeight);
    this.#box.style.transform = `translateY(${Math.round(offset)}px)`;
  }

  #paintMarks(): void {
    const marks: [MarkKind, Range][] = [];
    for (const row of this.#shown) {
      if (this.#search) this.#markMatches(row, this.#search.expression, marks);
      const columns = this.#selection && selecting.columnsIn(this.#selection, row.line, row.length);
      if (columns) marks.push(['selection', rangeIn(row, columns[0], columns[1])]);
    }
    this.#marks.set(marks);
  }

  #markMatches(row: Row, expression: RegExp, marks: [MarkKind, Range][]): void {
    const text = (row.text.textContent ?? '').slice(0, row.length);
    const kind: MarkKind = row.line === this.#hitLine ? 'current' : 'match';
    let count = 0;
    for (const match of text.matchAll(expression)) {
      if (match[0] === '') continue;
      if (++count > MARKS_PER_ROW_MAX) break;
      marks.push([kind, rangeIn(row, match.index, match.index + match[0].length)]);
    }
  }

  /** Give the scroll bar its range and its place. */
  #settle(): void {
    const view = this.#view;
    const scroller = this.#scroller;
    if (this.#rangeHeight !== view.rangeHeight) {
      this.#rangeHeight = view.rangeHeight;
      this.#spacer.style.height = `${this.#rangeHeight}px`;
    }
    if (this.#settleTimer !== 0) return; // somebody scrolls; the place is corrected when that is over
    if (Math.abs(scroller.scrollTop - view.scrollTop) >= 1) scroller.scrollTop = view.scrollTop;
    view.settled(scroller.scrollTop);
  }

  #leaveEnd(): void {
    if (!this.#view.following) return;
    this.#view.leaveEnd();
    this.#rowsWhenLeft = this.#visible.count;
    this.#report();
  }

  #setLooks(change: Partial<Looks>): void {
    this.#looks = { ...this.#looks, ...change };
    this.#rows.setLooks(this.#looks);
    this.changed();
  }

  #surface(): number {
    const colour = parseRgb(getComputedStyle(this.#scroller).backgroundColor);
    return colour ? luminance(colour) : 1;
  }

  #report(): void {
    this.#statusTimer ||= window.setTimeout(() => {
      this.#statusTimer = 0;
      const rows = this.#visible.count;
      const { following } = this.#view;
      this.#events.status({
        rows,
        following,
        newRows: following ? 0 : Math.max(0, rows - this.#rowsWhenLeft),
        hits: this.#search?.count ?? 0,
        hit: this.#search ? Math.min(this.#hit, this.#search.count - 1) : -1,
        searching: this.#search !== null && !this.#search.isComplete,
      });
    }, STATUS_INTERVAL_MS);
  }
}

function rangeIn(row: Row, from: number, to: number): Range {
  const range = document.createRange();
  range.setStart(...pointAt(row, from));
  range.setEnd(...pointAt(row, to));
  return range;
}

/** `caretPositionFromPoint` is recent in some browsers. */
function caretAt(x: number, y: number): { node: Node; offset: number } | null {
  if ('caretPositionFromPoint' in document) {
    const position = document.caretPositionFromPoint(x, y);
    return position && { node: position.offsetNode, offset: position.offset };
  }
  const range = (
    document as Document & { caretRangeFromPoint?(x: number, y: number): Range | null }
  ).caretRangeFromPoint?.(x, y);
  return range ? { node: range.startContainer, offset: range.startOffset } : null;
}
