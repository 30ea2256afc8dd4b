/**
 * The moving part of the output view, in plain TypeScript: rows are written at most once a frame,
 * whatever the number of lines that arrive, and the component around it hears of counts four times a
 * second.
 */
import { keyOf } from '../keys/registry';
import { visibleText } from './ansi';
import { luminance, parseRgb } from './contrast';
import { type Query, Search, StreamLines } from './find';
import { type MarkKind, Marks } from './highlights';
import type { LiveOutput } from './live-output';
import type { Stream } from './pages';
import { type Looks, type Marked, pointAt, type Row, Rows, SHOWN_CHARACTERS_MAX } from './rows';
import * as selecting from './selection';
import { Viewport, type WrappedPart } from './viewport';
import { type Choice, includes, VisibleLines, WithContext } from './visible';

export const ROW_HEIGHT_PX = 18; // as in output.css
/** About as wide as a character is: says how many rows are drawn while they wrap, not where they are. */
const CHARACTER_WIDTH_PX = 7.2;
/** The box moves so many rows before all of them get another place in it. */
const BOX_ROWS = 1024;
/** Room for numbers while there are few lines: what is read does not move with every further digit. */
const DIGITS_MIN = 5;
/** Between a line's number and its text, in characters. */
const GUTTER_COLUMNS = 3;
/** Of the time before a line, in characters, as in output.css. */
const TIME_COLUMNS = 14;
const STATUS_INTERVAL_MS = 250;
const SETTLE_MS = 200;
const MARKS_PER_ROW_MAX = 200;
/** Copying more than this would hold a browser up; the raw output can be downloaded. */
export const COPY_ROWS_MAX = 100_000;

export interface PaneStatus {
  /** Rows of the current filter. */
  rows: number;
  following: boolean;
  /** Rows that came since the end was left. */
  newRows: number;
  /** Rows that are left out because they are too many to be listed. */
  isCut: boolean;
  /** What the following is about, or null while nothing is looked for. */
  query: Query | null;
  /** Lines that match. */
  hits: number;
  /** Which of them is shown, from 0 on; null where that is not known, -1 for none. */
  hit: number | null;
  searching: boolean;
  findProblem: string;
}

/** How lines are copied that are not held. `text` comes later, and may fail. */
export interface Copying {
  rows: number;
  text: Promise<string>;
}

export interface PaneEvents {
  status: (status: PaneStatus) => void;
  /** Somebody chose lines by their numbers. */
  mark: (marked: Marked | null) => void;
  tooMuchToCopy: (rows: number) => void;
  /** Somebody copies lines that have to be fetched first. */
  copyLater: (copying: Copying) => void;
}

export class OutputPane {
  readonly #scroller: HTMLElement;
  readonly #spacer = document.createElement('div');
  readonly #box = document.createElement('div');
  readonly #output: LiveOutput;
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
  /** Text of a selection that was fetched for a browser that takes text only at once. */
  #fetched: { selection: selecting.Selection; text: string } | null = null;
  #search: Search | null = null;
  /** Lines of stderr, while one of the streams is shown alone. */
  #stderr: StreamLines | null = null;
  #only: Stream | null = null;
  /** Lines of context around matches, or null while all lines are shown. */
  #context: number | null = null;
  #matches: WithContext | null = null;
  #hitLine = -1;
  #seeking = 0;
  /** Lines that there were when the end was left. */
  #countWhenLeft = 0;
  #frame = 0;
  #statusTimer = 0;
  #settleTimer = 0;
  #rangeHeight = -1;
  #columns = -1;
  #width = 0;

  constructor(scroller: HTMLElement, output: LiveOutput, events: PaneEvents) {
    this.#scroller = scroller;
    this.#output = output;
    this.#events = events;
    this.#visible = new VisibleLines(output.pages);
    this.#spacer.className = 'output-spacer';
    this.#box.className = 'output-box';
    this.#spacer.append(this.#box);
    scroller.append(this.#spacer);
    this.#looks = {
      timeOf: null,
      expanded: new Set(),
      digits: DIGITS_MIN,
      surface: this.#surface(),
      lossBefore: () => null,
    };
    this.#rows = new Rows(this.#box, output.pages, this.#looks);
    this.#observer = new ResizeObserver(() => this.#resized());
    this.#observer.observe(scroller);
    this.#view.setHeight(scroller.clientHeight);
    this.#width = scroller.clientWidth;
    this.#listen();
    this.changed();
  }

  destroy(): void {
    this.#listening.abort();
    this.#observer.disconnect();
    this.#marks.clear();
    cancelAnimationFrame(this.#frame);
    for (const timer of [this.#statusTimer, this.#settleTimer]) clearTimeout(timer);
    this.#search?.stop();
    this.#stderr?.stop();
    this.#spacer.remove();
  }

  /** The lines or something about their looks changed: paint with the next frame. */
  changed(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint();
    });
    this.#search?.lookAgain();
    this.#stderr?.lookAgain();
    this.#report();
  }

  /** Show one stream alone, or all. */
  filter(only: Stream | null): void {
    if (only === this.#only) return;
    this.#only = only;
    if (only === null) {
      this.#stderr?.stop();
      this.#stderr = null;
    }
    if (only !== null) this.#stderr ??= new StreamLines(this.#output.source, this.#output.pages, 'stderr');
    this.#choose();
    if (this.#search) this.find(this.#query, this.#context, this.#stays);
  }

  /** Which lines are rows, by the stream and by what is searched. What is looked at stays as near as it can. */
  #choose(): void {
    const line = this.#visible.count > 0 ? this.#visible.lineAt(this.#view.firstRow) : 0;
    const wasFollowing = this.#view.following;
    this.#matches = null;
    this.#visible = new VisibleLines(this.#output.pages, this.#choice());
    this.#sync();
    if (wasFollowing) this.#view.follow();
    else this.#view.goTo(this.#visible.rowOf(this.#hitLine < 0 ? line : this.#hitLine), this.#hitLine < 0 ? 0 : 0.3);
    this.#countWhenLeft = this.#output.pages.count;
    this.changed();
  }

  #choice(): Choice {
    const search = this.#search;
    const stderr = this.#stderr;
    if (search && this.#context !== null) {
      const list = {
        lines: search.hits,
        get upTo() {
          return search.listedTo;
        },
      };
      this.#matches = new WithContext(list, this.#context, (line) => this.#isOfStream(line));
      return { kind: 'only', list: this.#matches };
    }
    if (!stderr) return { kind: 'all' };
    return { kind: this.#only === 'stderr' ? 'only' : 'without', list: stderr };
  }

  #isOfStream(line: number): boolean {
    return !this.#stderr || includes(this.#stderr.lines, line) === (this.#only === 'stderr');
  }

  wrap(on: boolean): void {
    this.#wraps = on;
    // A browser takes seconds to lay rows out anew that it laid out the other way; written anew they take none.
    this.#shown = this.#rows.paint(0, [], null);
    this.#scroller.classList.toggle('is-wrapping', on);
    this.#columns = -1;
    this.#box.style.transform = '';
    // Before anything asks for a layout: rows are not wrapped to the widest of them.
    if (on) this.#spacer.style.minWidth = '';
    this.changed();
  }

  times(timeOf: Looks['timeOf']): void {
    this.#setLooks({ timeOf });
  }

  losses(lossBefore: Looks['lossBefore']): void {
    this.#setLooks({ lossBefore });
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
    const row = this.#visible.rowOf(line);
    if (!this.#view.isVisible(row) || this.#visible.lineAt(row) !== line) this.#goTo(line);
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

  #query: Query | null = null;
  #stays = false;

  /**
   * Search for something else, or stop; with `context` only lines that match are shown, and so many around them. The
   * first one that matches comes into view, unless the view `stays` where it is.
   */
  find(query: Query | null, context: number | null = null, stays = false): void {
    const { source, pages } = this.#output;
    this.#search?.stop();
    this.#seeking++;
    this.#isSeeking = false;
    this.#query = query;
    this.#stays = stays;
    this.#hitLine = -1;
    this.#search =
      query === null || query.text === ''
        ? null
        : new Search(source, pages, query, this.#only, () => {
            this.#showFirstHit();
            this.changed();
          });
    const wasFiltered = this.#context !== null;
    this.#context = this.#search ? context : null;
    if (wasFiltered || this.#context !== null) this.#choose();
    this.changed();
  }

  /** Go to the next (1) or the previous (-1) line that matches. */
  findNext(step: 1 | -1): void {
    this.#stays = false;
    const top = Math.max(0, this.#visible.lineAt(this.#view.firstRow));
    this.#seek(this.#hitLine < 0 ? top : step > 0 ? this.#hitLine + 1 : this.#hitLine, step);
  }

  /** More of the lines that match, where they are too many to be listed at once. */
  listMore(): void {
    this.#search?.listMore();
  }

  /** Where lines that match are, as shares of the whole height, at most one for each of `places`. */
  hitShares(places: number): { shares: number[]; unlistedFrom: number } {
    const search = this.#search;
    const rows = this.#visible.count;
    if (!search || rows === 0 || this.#context !== null) return { shares: [], unlistedFrom: 1 };
    const taken = new Set<number>();
    for (const line of search.hits) taken.add(Math.floor((this.#visible.rowOf(line) / rows) * places));
    const unlistedFrom = search.isListed ? 1 : this.#visible.rowOf(search.listedTo) / rows;
    return { shares: [...taken].map((place) => place / places), unlistedFrom };
  }

  /** The first hit from here on; what is in view stays where it is. */
  #showFirstHit(): void {
    if (this.#stays || this.#hitLine >= 0 || this.#isSeeking) return;
    if (this.#search && this.#search.total > 0) this.findNext(1);
  }

  #isSeeking = false;

  async #seek(from: number, step: 1 | -1): Promise<void> {
    const search = this.#search;
    if (!search) return;
    const turn = ++this.#seeking;
    this.#isSeeking = true;
    const line = await search.nearest(from, step);
    if (turn !== this.#seeking) return;
    this.#isSeeking = false;
    if (line === null) return;
    this.#hitLine = line;
    this.goToLine(line);
  }

  // ---- selecting and copying --------------------------------------------------------------------

  selectAll(): void {
    if (this.#visible.count === 0) return;
    this.#leaveEnd();
    this.#select({ line: this.#visible.lineAt(0), column: 0 }, this.#endOfLast());
  }

  /** All rows as text: those of the filter, over the whole run. */
  allText(): Promise<string> {
    return this.#textOf({ anchor: { line: this.#visible.lineAt(0), column: 0 }, focus: this.#endOfLast() });
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
    if (rows > COPY_ROWS_MAX) {
      this.#events.tooMuchToCopy(rows);
      return;
    }
    const text = this.#fetched?.selection === selection ? this.#fetched.text : this.#heldText(selection);
    if (text !== null) event.clipboardData?.setData('text/plain', text);
    else this.#copyLater(selection, rows);
  }

  #copyLater(selection: selecting.Selection, rows: number): void {
    const text = this.#textOf(selection);
    text.then(
      (text) => {
        this.#fetched = { selection, text };
      },
      () => {}, // said by whoever waits for the text
    );
    this.#events.copyLater({ rows, text });
  }

  /** The text of a selection, or null when some of it has to be fetched. */
  #heldText(selection: selecting.Selection): string | null {
    const { pages } = this.#output;
    const text = new selecting.SelectedText(selection);
    for (const line of selecting.selectedLines(selection, this.#visible)) {
      // A line that was pushed does not tell how it ended, except the last one, which has not.
      const held = pages.isExact(line) || line >= pages.wholeCount ? pages.at(line) : undefined;
      if (!held) return null;
      text.add(line, held);
    }
    return text.toString();
  }

  async #textOf(selection: selecting.Selection): Promise<string> {
    const { signal } = this.#listening;
    const text = new selecting.SelectedText(selection);
    const lines = selecting.selectedLines(selection, this.#visible);
    for await (const [line, held] of this.#output.keeper.read(lines, signal)) text.add(line, held);
    return text.toString();
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
      const [from, to] = selecting.wordAround(visibleText(this.#output.pages.at(place.line)?.text ?? ''), place.column);
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
    scroller.addEventListener('pointerdown', (event) => this.#pressed(event), { signal });
    scroller.addEventListener('click', (event) => this.#clicked(event), { signal });
    scroller.addEventListener('keydown', (event) => this.#key(event), { signal });
    scroller.addEventListener('copy', (event) => this.#copy(event), { signal });
  }

  #hearsWheel = false;

  /**
   * While lines arrive, the place that the browser scrolls from by itself may be frames old, and a thousand lines away:
   * the first turn of the wheel is ours. Afterwards nothing moves by itself, and scrolling is the browser's.
   */
  #hearWheel(): void {
    const wanted = this.#view.following;
    if (wanted === this.#hearsWheel) return;
    this.#hearsWheel = wanted;
    if (wanted) {
      this.#scroller.addEventListener('wheel', this.#wheel, { passive: false, signal: this.#listening.signal });
    } else this.#scroller.removeEventListener('wheel', this.#wheel);
  }

  readonly #wheel = (event: WheelEvent): void => {
    if (event.deltaY >= 0 || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : ROW_HEIGHT_PX;
    this.#leaveEnd();
    this.#aim = null;
    this.#view.moveBy(event.deltaY * unit);
    this.#paint();
  };

  /** Where the view became larger the browser moves what is in it, and says so now or later: nobody scrolled. */
  #resized(): void {
    this.#view.setHeight(this.#scroller.clientHeight);
    this.#width = this.#scroller.clientWidth;
    this.#view.settled(this.#scroller.scrollTop);
    this.#columns = -1;
    this.changed();
  }

  #scrolled(): void {
    if (this.#scroller.clientHeight !== this.#view.height) {
      this.#resized();
      return;
    }
    // The browser has not laid out the range that it was given, so its place is one of before: nobody scrolled.
    if (this.#scroller.scrollHeight < this.#rangeHeight - ROW_HEIGHT_PX) {
      this.#view.settled(this.#scroller.scrollTop);
      this.changed();
      return;
    }
    const wasFollowing = this.#view.following;
    const top = this.#view.top;
    const needsSettling = this.#view.scrolled(this.#scroller.scrollTop);
    if (this.#view.top !== top) this.#aim = null;
    if (wasFollowing && !this.#view.following) this.#countWhenLeft = this.#output.pages.count;
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
    if (command && keyOf(event) === 'a') this.selectAll();
    else if (event.key === 'Escape' && this.#selection) {
      this.#selection = null;
      this.changed();
    } else if (command || event.altKey) return;
    else if (move !== undefined) {
      if (this.#view.following) this.#countWhenLeft = this.#output.pages.count;
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
    this.#hearWheel();
    const part = this.#wraps ? this.#wrappedPart() : null;
    const first = part?.from ?? view.firstRow;
    const count = part ? part.to - part.from : Math.max(0, Math.min(visible.count - first, view.visibleRows));
    const lines = Array.from({ length: count }, (_, index) => visible.lineAt(first + index));
    this.#shown = this.#rows.paint(first, lines, this.#marked);
    this.#output.keeper.look(lines);
    if (part) this.#placeWrapped(part);
    else this.#placeRows(first);
    this.#paintMarks();
  }

  /** Take over the lines that came. */
  #sync(): void {
    this.#matches?.sync(this.#output.pages.count);
    this.#view.setRows(this.#visible.count);
    const digits = Math.max(DIGITS_MIN, `${this.#output.pages.count}`.length);
    if (digits !== this.#looks.digits) this.#setLooks({ digits });
    // A link leads away from the end before it is known where that is.
    if (!this.#view.following && this.#countWhenLeft === 0) this.#countWhenLeft = this.#output.pages.count;
    if (this.#aim !== null) this.#goTo(this.#aim);
  }

  #goTo(line: number): void {
    this.#view.goTo(this.#visible.rowOf(line));
    this.#aim = this.#view.top === this.#view.topMax ? line : null;
  }

  #placeRows(first: number): void {
    // A row keeps its place in the box while it shows the same line, and the box moves; near, where floats are exact.
    const base = first - (first % BOX_ROWS);
    this.#shown.forEach((row, index) => {
      const y = (first + index - base) * ROW_HEIGHT_PX;
      if (row.y === y) return;
      row.y = y;
      row.element.style.top = `${y}px`;
    });
    this.#box.style.transform = `translateY(${base * ROW_HEIGHT_PX - Math.round(this.#view.top)}px)`;
    const columns = this.#looks.digits + GUTTER_COLUMNS + this.#rows.widest;
    if (this.#columns === columns) return;
    this.#columns = columns;
    this.#spacer.style.minWidth = `${columns}ch`;
    this.#scroller.classList.toggle('is-wide', this.#scroller.scrollWidth > this.#scroller.clientWidth);
  }

  #wrappedPart(): WrappedPart {
    const { digits, timeOf, expanded } = this.#looks;
    const gutter = digits + GUTTER_COLUMNS + (timeOf === null ? 0 : TIME_COLUMNS);
    const columns = Math.max(1, Math.floor(this.#width / CHARACTER_WIDTH_PX) - gutter);
    const heights = new Map<number, number>();
    return this.#view.wrappedPart((row) => {
      let height = heights.get(row);
      if (height === undefined) {
        const line = this.#visible.lineAt(row);
        const { length } = visibleText(this.#output.pages.at(line)?.text ?? '');
        const shown = expanded.has(line) ? length : Math.min(length, SHOWN_CHARACTERS_MAX);
        height = Math.max(1, Math.ceil(shown / columns)) * ROW_HEIGHT_PX;
        heights.set(row, height);
      }
      return height;
    });
  }

  #placeWrapped({ from, to, anchor }: WrappedPart): void {
    this.#shown.forEach((row, index) => {
      row.element.style.order = `${index}`;
    });
    let offset: number;
    if (from === this.#view.firstRow && (to === this.#view.rows || this.#view.lastScreenShare === 0)) {
      offset = this.#view.wrappedOffset(this.#shown[0]?.element.offsetHeight ?? 0, this.#box.scrollHeight);
    } else {
      const { offsetTop = 0, offsetHeight = 0 } = this.#shown[anchor.row - from]?.element ?? {};
      offset = anchor.y - offsetTop - anchor.share * offsetHeight;
    }
    this.#box.style.transform = `translateY(${Math.round(offset)}px)`;
  }

  #paintMarks(): void {
    const marks: [MarkKind, Range][] = [];
    for (const row of this.#shown) {
      if (this.#search?.expression) this.#markMatches(row, this.#search.expression, marks);
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
    this.#countWhenLeft = this.#output.pages.count;
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

  #newRows(): number {
    const { count } = this.#visible;
    if (this.#visible.lineAt(count - 1) < this.#countWhenLeft) return 0;
    return count - this.#visible.rowOf(this.#countWhenLeft);
  }

  #report(): void {
    this.#statusTimer ||= window.setTimeout(() => {
      this.#statusTimer = 0;
      const rows = this.#visible.count;
      const { following } = this.#view;
      const search = this.#search;
      this.#events.status({
        rows,
        following,
        newRows: following ? 0 : this.#newRows(),
        isCut: this.#context !== null && search !== null && !search.isListed,
        query: search && this.#query,
        hits: search?.total ?? 0,
        hit: this.#hitLine < 0 ? -1 : (search?.placeOf(this.#hitLine) ?? null),
        searching: search !== null && !(search.isComplete && this.#output.keeper.isOpened),
        findProblem: search?.problem ?? '',
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
