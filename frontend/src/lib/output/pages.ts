/**
 * What a page holds of the lines of one run: some pages of them as the server gave them, and the newest
 * lines as they arrive. Where lines come from is the keeper's business; here is no request and no clock.
 *
 * Invariants: a page holds whole lines only, from its first line on, and what it holds never changes; so
 * pages win over the tail, whose lines are shown until their page is here. The last line of the run may
 * still grow: it is in the tail and in no page.
 */
import { PLAIN, type Style, styleAfter } from './ansi';

export type Stream = 'stdout' | 'stderr' | 'response';

/** One row of the server's answer: stream, text with its "\n" when it has one, milliseconds since the run began. */
export type WireLine = [stream: string, text: string, ms: number];

/** An answer about lines. */
export interface LinesAnswer {
  from: number;
  lines: WireLine[];
  /** Lines known of the run, the open one included. */
  total: number;
  /** What each stream has switched on before the first of `lines`. */
  styles: Readonly<Styles>;
  isRemoved: boolean;
}

/** The newest lines, as they travel while the run prints. */
export interface TailFrame {
  lines: number;
  from: number;
  streams: string;
  text: string;
  ms: number;
  open: boolean;
}

export type Styles = Record<Stream, Style>;

/** A line as it can be shown. */
export interface HeldLine {
  /** Without its "\n"; escapes and all. */
  text: string;
  stream: Stream;
  ms: number;
  /** The colours and attributes that earlier lines of the same stream left switched on. */
  style: Style;
  /** Ended by "\n", and not by its length or another stream; a tail does not tell, and says yes. */
  endsWithNewline: boolean;
}

export const PAGE_LINES = 256; // of at most 64 KiB each: 16 MiB at worst
const HELD_BYTES_MAX = 24 * 1024 ** 2;
const PAGES_KEPT_MIN = 3; // what is in view stays, however large
const TAIL_LINES_MAX = 600; // more than the rows of a tall screen
const LINE_OVERHEAD_BYTES = 24;

const STREAMS: Record<string, Stream> = { o: 'stdout', e: 'stderr', r: 'response' };
export const NO_STYLES: Readonly<Styles> = { stdout: PLAIN, stderr: PLAIN, response: PLAIN };

/** Whether a line goes on with the one right before it, and has a number of its own only since lines have a length. */
export function goesOn(before: HeldLine | null | undefined, held: HeldLine | null | undefined): boolean {
  return !!before && !!held && !before.endsWithNewline && before.stream === held.stream;
}

export const pageOf = (line: number): number => Math.floor(line / PAGE_LINES);

/** Lines that follow each other. Their text is one string: a million small ones would be work for the collector. */
class Stretch {
  readonly from: number;
  #text = '';
  #ends: number[] = [];
  #ms: number[] = [];
  #streams: Stream[] = [];
  #styles: Style[] = [];
  #running: Styles;
  bytes = 0;

  constructor(from: number, styles: Readonly<Styles>) {
    this.from = from;
    this.#running = { ...styles };
  }

  get end(): number {
    return this.from + this.#ends.length;
  }

  get running(): Readonly<Styles> {
    return this.#running;
  }

  add(texts: readonly string[], streams: readonly Stream[], ms: readonly number[]): void {
    let end = this.#text.length;
    texts.forEach((text, index) => {
      const stream = streams[index] as Stream;
      end += text.length;
      this.#ends.push(end);
      this.#ms.push(ms[index] as number);
      this.#streams.push(stream);
      this.#styles.push(this.#running[stream]);
      if (text.includes('\x1b')) this.#running[stream] = styleAfter(text, this.#running[stream]);
    });
    const added = texts.join('');
    this.#text += added;
    this.bytes += added.length * (isWide(added) ? 2 : 1) + texts.length * LINE_OVERHEAD_BYTES;
  }

  at(line: number): HeldLine | undefined {
    const index = line - this.from;
    const end = this.#ends[index];
    if (index < 0 || end === undefined) return undefined;
    const text = this.#text.slice(index === 0 ? 0 : this.#ends[index - 1], end);
    const endsWithNewline = text.endsWith('\n');
    return {
      text: endsWithNewline ? text.slice(0, -1) : text,
      stream: this.#streams[index] as Stream,
      ms: this.#ms[index] as number,
      style: this.#styles[index] as Style,
      endsWithNewline,
    };
  }
}

export class OutputPages {
  /** Lines known of the run, the open one included. */
  count = 0;
  /** The run is over: its last line is whole, with a "\n" or without. */
  isOver = false;
  /** Some of them are parts of a line, which is longer than a display line may be. */
  hasParts = false;
  /** Somebody took the recorded output away. */
  isRemoved = false;
  heldBytes = 0;
  /** When the newest line came, in milliseconds since the run began. */
  lastMs: number | null = null;

  /** In the order in which they were last looked at. */
  readonly #pages = new Map<number, Stretch>();
  #tail = new Tail();
  readonly #listeners = new Set<() => void>();
  readonly #bytesMax: number;

  constructor(bytesMax: number = HELD_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** Be called after every change. Returns how to stop it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tell everybody who listens to look again. */
  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Lines that cannot change any more. */
  get wholeCount(): number {
    return this.#tail.isOpen && this.#tail.end === this.count ? this.count - 1 : this.count;
  }

  at(line: number): HeldLine | undefined {
    return this.#pages.get(pageOf(line))?.at(line) ?? this.#tail.at(line);
  }

  /** Whether the line is here as the log has it. */
  isExact(line: number): boolean {
    return line < (this.#pages.get(pageOf(line))?.end ?? 0);
  }

  /** Whether something of the line can be shown. */
  isShown(line: number): boolean {
    return this.isExact(line) || this.#tail.has(line);
  }

  /** The first whole line of a page that is not here, or null when all are. */
  missingFrom(page: number): number | null {
    const end = this.#pages.get(page)?.end ?? page * PAGE_LINES;
    return end < Math.min((page + 1) * PAGE_LINES, this.wholeCount) ? end : null;
  }

  /** The page is in view: others go first. */
  touch(page: number): void {
    const held = this.#pages.get(page);
    if (!held) return;
    this.#pages.delete(page);
    this.#pages.set(page, held);
  }

  /** Take lines of one page or more. Those that do not follow what is held of their page are passed over. */
  put(answer: LinesAnswer): void {
    this.#hear(answer);
    const lines = this.#wholeOf(answer);
    let { from, styles } = answer;
    for (let at = 0; at < lines.length; ) {
      const page = pageOf(from);
      const held = this.#pages.get(page) ?? new Stretch(page * PAGE_LINES, styles);
      const size = (page + 1) * PAGE_LINES - from;
      if (held.end < from) break;
      this.#extend(page, held, lines.slice(at + held.end - from, at + size));
      styles = held.running;
      from += size;
      at += size;
    }
    this.#makeRoom();
    this.changed();
  }

  /** Take the last lines of the run, asked for. */
  putTail(answer: LinesAnswer): void {
    this.#hear(answer);
    const isOpen = this.#wholeOf(answer).length < answer.lines.length;
    const [texts, streams, ms] = columnsOf(answer.lines);
    this.#tail.take(answer.from, texts, streams, ms, isOpen, answer.styles);
    this.lastMs = ms.at(-1) ?? this.lastMs;
    this.changed();
  }

  /** Take the newest lines, as they were pushed. */
  push(frame: TailFrame): void {
    const texts = frame.streams === '' ? [] : frame.text.split('\n').map((text) => `${text}\n`);
    if (frame.open && texts.length > 0) texts.push((texts.pop() as string).slice(0, -1));
    const streams = Array.from(frame.streams, streamOf);
    const ms = texts.map(() => frame.ms);
    this.count = Math.max(this.count, frame.lines);
    this.#tail.take(frame.from, texts, streams, ms, frame.open, null);
    this.lastMs = frame.ms;
    this.changed();
  }

  /** The run is over. */
  end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#tail.isOpen = false;
    this.changed();
  }

  clear(): void {
    this.count = this.heldBytes = 0;
    this.isOver = this.isRemoved = this.hasParts = false;
    this.lastMs = null;
    this.#pages.clear();
    this.#tail = new Tail();
    this.changed();
  }

  #hear(answer: LinesAnswer): void {
    this.count = Math.max(this.count, answer.total);
    if (answer.isRemoved) this.isRemoved = true;
    this.hasParts ||= answer.lines.some(
      ([stream, text], index) => !text.endsWith('\n') && answer.lines[index + 1]?.[0] === stream,
    );
  }

  /** Without the line at the very end while it may still grow; the tail gets to know of it. */
  #wholeOf({ from, lines, total, styles }: LinesAnswer): WireLine[] {
    const last = lines.at(-1);
    if (this.isOver || !last || from + lines.length < Math.max(total, this.count) || last[1].endsWith('\n'))
      return lines;
    const line = from + lines.length - 1;
    if (!this.#tail.has(line)) this.#tail.take(line, ...columnsOf([last]), true, styles);
    return lines.slice(0, -1);
  }

  #extend(page: number, held: Stretch, lines: WireLine[]): void {
    if (lines.length === 0) return;
    const before = held.bytes;
    held.add(...columnsOf(lines));
    this.heldBytes += held.bytes - before;
    this.#pages.delete(page);
    this.#pages.set(page, held);
  }

  #makeRoom(): void {
    for (const [page, held] of this.#pages) {
      if (this.heldBytes <= this.#bytesMax || this.#pages.size <= PAGES_KEPT_MIN) return;
      this.#pages.delete(page);
      this.heldBytes -= held.bytes;
    }
  }
}

/** The newest lines: a window that moves on with what is printed, and forgets what falls out of it. */
class Tail {
  isOpen = false;
  #stretches: Stretch[] = [];

  get end(): number {
    return this.#stretches.at(-1)?.end ?? 0;
  }

  has(line: number): boolean {
    return line >= (this.#stretches[0]?.from ?? 0) && line < this.end;
  }

  at(line: number): HeldLine | undefined {
    return this.#stretches.findLast((stretch) => stretch.from <= line)?.at(line);
  }

  /** Lines that do not follow what is here take its place; what is older than what is here is passed over. */
  take(
    from: number,
    texts: string[],
    streams: Stream[],
    ms: number[],
    isOpen: boolean,
    styles: Readonly<Styles> | null,
  ): void {
    const end = from + texts.length;
    if (texts.length === 0 || end < this.end || this.#knowsMore(end, texts.at(-1) as string, isOpen)) return;
    const before = this.#stretches.findLast((stretch) => stretch.from <= from);
    const follows = before !== undefined && from <= this.end;
    let running = styles ?? NO_STYLES;
    if (follows && styles === null) running = this.#upTo(before, from);
    const kept = follows ? this.#stretches.filter((stretch) => stretch.from < from) : [];
    const stretch = new Stretch(from, running);
    stretch.add(texts, streams, ms);
    kept.push(stretch);
    while (kept.length > 1 && end - (kept[1] as Stretch).from >= TAIL_LINES_MAX) kept.shift();
    this.#stretches = kept;
    this.isOpen = isOpen;
  }

  /** Whether the same last line has come further already: an answer and a push may overtake each other. */
  #knowsMore(end: number, text: string, isOpen: boolean): boolean {
    if (end !== this.end || !isOpen) return false;
    return !this.isOpen || (this.at(end - 1)?.text.length ?? 0) > text.length;
  }

  /** What is switched on before a line, when lines from there on come again. */
  #upTo(stretch: Stretch, line: number): Readonly<Styles> {
    if (line === stretch.end) return stretch.running;
    const styles: Styles = { ...stretch.running };
    for (let again = stretch.end - 1; again >= line; again--) {
      const held = stretch.at(again);
      if (held) styles[held.stream] = held.style;
    }
    return styles;
  }
}

export const streamOf = (letter: string): Stream => STREAMS[letter] ?? 'stdout';

function columnsOf(lines: readonly WireLine[]): [string[], Stream[], number[]] {
  return [lines.map(([, text]) => text), lines.map(([letter]) => streamOf(letter)), lines.map(([, , ms]) => ms)];
}

/** Whether the text takes two bytes a character in a browser's memory. */
function isWide(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of one byte
  return /[^\x00-\xff]/.test(text);
}
