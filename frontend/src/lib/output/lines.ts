/**
 * The output of one run as display lines, held in little memory.
 *
 * It is fed with `task.output` events. A display line is the API's: it ends at "\n", where the
 * stream changes, or after 64 KiB. Bytes lie in pages of 256 lines beside typed arrays, and text
 * is decoded only for lines somebody looks at.
 *
 * Invariants: the bytes of line `n` end where those of line `n + 1` begin; an event is taken once,
 * told by its `position`; lines below `firstHeld` were dropped to stay within the limits.
 * A line that is not held reads as `undefined`: that is where pages fetched on demand will join.
 */
import { isPlain, PLAIN, type Style, styleAfter } from './ansi';

export type Stream = 'stdout' | 'stderr' | 'response';

/** What is needed of a `task.output` event. `position` and `length` count raw bytes of the run. */
export interface OutputPiece {
  stream: Stream;
  position: number;
  length: number;
  /** Number of lines before this event. */
  line: number;
  /** Milliseconds since the run began on its desktop. */
  ms: number;
  text?: string | undefined;
  base64?: string | undefined;
}

/** Bytes of the run that the log does not have. `line` is the first line after the hole. */
export interface OutputGap {
  line: number;
  bytes: number;
  reason: string;
}

export interface HoldLimits {
  bytes: number;
  lines: number;
}

export const LINE_BYTES_MAX = 64 * 1024; // the API's definition of a line
export const PAGE_LINES = 256; // at most 16 MiB a page, so that dropping one stays a small step
const HELD_MAX: HoldLimits = { bytes: 64 * 1024 ** 2, lines: 2_000_000 };
const STYLES_MAX = 65_535; // a style's number is kept in 16 bits

const STREAMS: readonly Stream[] = ['stdout', 'stderr', 'response'];
const NEWLINE = 10;
const ESCAPE = 27;
const PAGE_OVERHEAD_BYTES = PAGE_LINES * (4 + 4 + 1);

interface Page {
  bytes: Uint8Array<ArrayBuffer>;
  used: number;
  lines: number;
  /** Where each line's bytes end, its "\n" included. */
  ends: Uint32Array;
  ms: Uint32Array;
  streams: Uint8Array;
  /** Number of the style each line starts in; absent while all of them start plain. */
  styles: Uint16Array | null;
  /** Whether every whole line ends with "\n", so that the page's text can be taken as one. */
  isRegular: boolean;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export class OutputLines {
  /** Lines known so far, the open one included. */
  count = 0;
  /** The first line that is still held. */
  firstHeld = 0;
  heldBytes = 0;
  /** UTF-16 units of the longest line are at most this many. */
  longestBytes = 0;
  readonly gaps: OutputGap[] = [];

  #pages: Page[] = [];
  #pagesDropped = 0;
  #nextPosition = 0;
  #openStream = -1;
  #openHasEscape = false;
  #styles: Style[] = [PLAIN];
  #styleNumbers = new Map<string, number>();
  /** The style each stream is in after its last whole line. */
  #running = STREAMS.map(() => 0);
  #listeners = new Set<() => void>();
  readonly #limits: HoldLimits;

  constructor(limits: HoldLimits = HELD_MAX) {
    this.#limits = limits;
  }

  /** Be called after every change. Returns how to stop it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Take an event. Returns false for one that was taken before. */
  append(piece: OutputPiece): boolean {
    if (piece.position < this.#nextPosition) return false;
    if (piece.position > this.#nextPosition) this.#resumeAfterHole(piece);
    this.#nextPosition = piece.position + piece.length;
    const bytes = piece.base64 === undefined ? encoder.encode(piece.text ?? '') : fromBase64(piece.base64);
    const stream = STREAMS.indexOf(piece.stream);
    if (stream !== this.#openStream) this.#closeOpenLine();
    this.#write(bytes, stream, Math.max(0, piece.ms));
    this.#dropOldest();
    this.#changed();
    return true;
  }

  /** Remember that the bytes `from` to `to` of the run are missing for good. */
  noteGap(from: number, to: number, reason: string): void {
    if (to <= this.#nextPosition) return;
    this.gaps.push({ line: this.count, bytes: to - Math.max(from, this.#nextPosition), reason });
    this.#closeOpenLine();
    this.#nextPosition = to;
    this.#changed();
  }

  /** Whether the last line may still grow. `end()` closes it. */
  get hasOpenLine(): boolean {
    return this.#openStream >= 0;
  }

  /** The run is over: its last line is whole even without a "\n". */
  end(): void {
    this.#closeOpenLine();
    this.#changed();
  }

  isHeld(line: number): boolean {
    return line >= this.firstHeld && line < this.count;
  }

  /** The text of a line without its "\n", escapes and all. */
  text(line: number): string | undefined {
    const page = this.#pageOf(line);
    if (!page) return undefined;
    const index = line % PAGE_LINES;
    const start = index === 0 ? 0 : (page.ends[index - 1] as number);
    let end = page.ends[index] as number;
    if (end > start && page.bytes[end - 1] === NEWLINE) end--;
    return decoder.decode(page.bytes.subarray(start, end));
  }

  /** Whether the line was ended by "\n", and not by its length or another stream. */
  endsWithNewline(line: number): boolean {
    const page = this.#pageOf(line);
    const end = page?.ends[line % PAGE_LINES] ?? 0;
    return page !== undefined && end > 0 && page.bytes[end - 1] === NEWLINE;
  }

  stream(line: number): Stream | undefined {
    const page = this.#pageOf(line);
    return page && STREAMS[page.streams[line % PAGE_LINES] as number];
  }

  ms(line: number): number | undefined {
    return this.#pageOf(line)?.ms[line % PAGE_LINES];
  }

  /** The colours and attributes that earlier lines of the same stream left switched on. */
  styleAtStart(line: number): Style {
    const number = this.#pageOf(line)?.styles?.[line % PAGE_LINES] ?? 0;
    return this.#styles[number] ?? PLAIN;
  }

  /** The text of the whole page that holds `line`, escapes and all, or null when its lines must be read one by one. */
  pageText(line: number): string | null {
    const page = this.#pageOf(line);
    return page?.isRegular ? decoder.decode(page.bytes.subarray(0, page.used)) : null;
  }

  clear(): void {
    this.count = this.firstHeld = this.heldBytes = this.longestBytes = 0;
    this.gaps.length = 0;
    this.#pages = [];
    this.#pagesDropped = this.#nextPosition = 0;
    this.#openStream = -1;
    this.#openHasEscape = false;
    this.#running.fill(0);
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #pageOf(line: number): Page | undefined {
    return this.isHeld(line) ? this.#pages[Math.floor(line / PAGE_LINES) - this.#pagesDropped] : undefined;
  }

  /** The event does not continue where the last one ended: bytes between them are not there. */
  #resumeAfterHole(piece: OutputPiece): void {
    const missing = piece.position - this.#nextPosition;
    if (this.#nextPosition > 0) this.noteGap(this.#nextPosition, piece.position, 'not recorded');
    this.#closeOpenLine();
    if (piece.line <= this.count) return;
    // Whole lines are missing too; what was held before them would carry wrong numbers beside them.
    if (this.gaps.length === 0) this.gaps.push({ line: piece.line, bytes: missing, reason: 'not recorded' });
    this.#startAt(piece.line);
  }

  #startAt(line: number): void {
    this.#pages = [];
    this.heldBytes = 0;
    this.#pagesDropped = Math.floor(line / PAGE_LINES);
    this.count = this.firstHeld = line;
    if (line % PAGE_LINES > 0) this.#addPage(0).lines = line % PAGE_LINES;
  }

  #addPage(bytesWanted: number): Page {
    const page: Page = {
      bytes: new Uint8Array(Math.max(1024, bytesWanted)),
      used: 0,
      lines: 0,
      ends: new Uint32Array(PAGE_LINES),
      ms: new Uint32Array(PAGE_LINES),
      streams: new Uint8Array(PAGE_LINES),
      styles: null,
      isRegular: true,
    };
    this.#pages.push(page);
    this.heldBytes += page.bytes.length + PAGE_OVERHEAD_BYTES;
    return page;
  }

  #write(bytes: Uint8Array, stream: number, ms: number): void {
    const hasEscape = bytes.includes(ESCAPE);
    let at = 0;
    while (at < bytes.length) {
      let page = this.#pages.at(-1);
      if (!page || (page.lines === PAGE_LINES && this.#openStream < 0)) {
        page = this.#addPage(Math.min(bytes.length - at, (page?.used ?? 16_384) * 1.1));
      }
      const firstLine = this.#openStream < 0 ? page.lines : page.lines - 1;
      const wasOpenWithEscape = this.#openHasEscape;
      const end = this.#markLines(page, bytes, at, stream, ms);
      this.#copy(page, bytes.subarray(at, end));
      if (hasEscape || wasOpenWithEscape || this.#running[stream] !== 0) {
        this.#trackStyles(page, firstLine, stream, wasOpenWithEscape);
        this.#openHasEscape = this.#openStream >= 0 && (hasEscape || wasOpenWithEscape);
      }
      if (page.lines === PAGE_LINES && this.#openStream < 0) this.#shrink(page);
      at = end;
    }
  }

  /** Enter the ends of the lines that begin in `bytes` from `at` on, as many as fit in the page. */
  #markLines(page: Page, bytes: Uint8Array, at: number, stream: number, ms: number): number {
    const shift = page.used - at;
    while (at < bytes.length) {
      if (this.#openStream < 0) {
        if (page.lines === PAGE_LINES) break;
        page.streams[page.lines] = stream;
        page.ms[page.lines] = ms;
        page.ends[page.lines] = at + shift;
        page.lines++;
        this.count++;
        this.#openStream = stream;
      }
      const index = page.lines - 1;
      const lineStart = index === 0 ? 0 : (page.ends[index - 1] as number);
      const room = LINE_BYTES_MAX - ((page.ends[index] as number) - lineStart);
      const newline = bytes.indexOf(NEWLINE, at);
      let end = newline < 0 ? bytes.length : newline + 1;
      let isWhole = newline >= 0;
      if (end - at >= room) {
        end = at + room;
        isWhole = true;
        page.isRegular &&= bytes[end - 1] === NEWLINE;
      }
      page.ends[index] = end + shift;
      this.longestBytes = Math.max(this.longestBytes, end + shift - lineStart);
      if (isWhole) this.#openStream = -1;
      at = end;
    }
    return at;
  }

  #copy(page: Page, bytes: Uint8Array): void {
    const needed = page.used + bytes.length;
    if (needed > page.bytes.length) this.#resize(page, Math.max(needed, Math.ceil(page.bytes.length * 1.6)));
    page.bytes.set(bytes, page.used);
    page.used = needed;
  }

  #shrink(page: Page): void {
    if (page.bytes.length > page.used * 1.1) this.#resize(page, page.used);
  }

  #resize(page: Page, size: number): void {
    const bytes = new Uint8Array(size);
    bytes.set(page.bytes.subarray(0, page.used));
    this.heldBytes += size - page.bytes.length;
    page.bytes = bytes;
  }

  /** Note the style each line starts in, and what its whole lines leave switched on. */
  #trackStyles(page: Page, firstLine: number, stream: number, firstHasEscape: boolean): void {
    for (let index = firstLine; index < page.lines; index++) {
      const running = this.#running[stream] as number;
      const isContinued = index === firstLine && firstHasEscape;
      if (running !== 0 && !isContinued) {
        page.styles ??= new Uint16Array(PAGE_LINES);
        page.styles[index] = running;
      }
      if (index === page.lines - 1 && this.#openStream >= 0) break;
      const start = index === 0 ? 0 : (page.ends[index - 1] as number);
      const bytes = page.bytes.subarray(start, page.ends[index]);
      if (!bytes.includes(ESCAPE)) continue;
      const before = this.#styles[running] ?? PLAIN;
      this.#running[stream] = this.#numberOf(styleAfter(decoder.decode(bytes), before));
    }
  }

  #numberOf(style: Style): number {
    if (isPlain(style)) return 0;
    const key = `${style.foreground};${style.background};${style.attributes}`;
    const known = this.#styleNumbers.get(key);
    if (known !== undefined) return known;
    if (this.#styles.length >= STYLES_MAX) return 0;
    this.#styleNumbers.set(key, this.#styles.length);
    return this.#styles.push(style) - 1;
  }

  #closeOpenLine(): void {
    if (this.#openStream < 0) return;
    const page = this.#pages.at(-1);
    const stream = this.#openStream;
    this.#openStream = -1;
    if (page) page.isRegular = false;
    if (page && this.#openHasEscape) this.#trackStyles(page, page.lines - 1, stream, true);
    this.#openHasEscape = false;
  }

  #dropOldest(): void {
    while (
      this.#pages.length > 1 &&
      (this.heldBytes > this.#limits.bytes || this.count - this.firstHeld > this.#limits.lines)
    ) {
      const page = this.#pages.shift() as Page;
      this.heldBytes -= page.bytes.length + PAGE_OVERHEAD_BYTES;
      this.#pagesDropped++;
      this.firstHeld = this.#pagesDropped * PAGE_LINES;
    }
  }
}

function fromBase64(base64: string): Uint8Array {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
