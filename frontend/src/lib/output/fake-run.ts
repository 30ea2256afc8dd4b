/** For tests: a run as the server knows it, with the answers that the API gives. */
import { type LinesAnswer, NO_STYLES, type Stream, type TailFrame, type WireLine } from './pages';
import type { FindAnswer, FindQuery, OutputSource } from './source';

const LETTERS: Record<Stream, string> = { stdout: 'o', stderr: 'e', response: 'r' };

export class FakeRun implements OutputSource {
  readonly written: WireLine[] = [];
  /** What was asked for, in words. */
  readonly asked: string[] = [];
  /** Characters of an answer at most. */
  charactersMax = 4 * 1024 ** 2;
  /** Lines that one search looks at. */
  scanMax = Number.POSITIVE_INFINITY;
  isRemoved = false;
  /** Throws it instead of answering. */
  failure: Error | null = null;
  /** Answers wait for it. */
  gate: Promise<void> = Promise.resolve();

  /** Write whole lines, and at the end maybe one that has not ended. */
  write(text: string, stream: Stream = 'stdout'): void {
    const last = this.written.at(-1);
    const begun = last && !last[1].endsWith('\n') && last[0] === LETTERS[stream] ? this.written.pop() : undefined;
    const lines = ((begun?.[1] ?? '') + text).split(/(?<=\n)/);
    for (const line of lines) this.written.push([LETTERS[stream], line, begun ? begun[2] : this.written.length]);
  }

  fill(count: number, text: (line: number) => string = (line) => `line ${line}`): this {
    for (let i = 0; i < count; i++) this.write(`${text(this.written.length)}\n`);
    return this;
  }

  get isOpen(): boolean {
    return !(this.written.at(-1)?.[1] ?? '\n').endsWith('\n');
  }

  /** The newest lines, as they are pushed. */
  frame(count = 200): TailFrame {
    const newest = this.written.slice(-count);
    return {
      lines: this.written.length,
      from: this.written.length - newest.length,
      streams: newest.map(([letter]) => letter).join(''),
      text: newest.map(([, text]) => text.replace(/\n$/, '')).join('\n'),
      ms: newest.at(-1)?.[2] ?? 0,
      open: this.isOpen,
    };
  }

  tail(count: number, signal?: AbortSignal): Promise<LinesAnswer> {
    this.asked.push(`tail ${count}`);
    return this.#answer(Math.max(0, this.written.length - count), count, signal);
  }

  lines(from: number, count: number, signal?: AbortSignal): Promise<LinesAnswer> {
    this.asked.push(`lines ${from}+${count}`);
    return this.#answer(from, count, signal);
  }

  async find(query: FindQuery, from: number, limit: number): Promise<FindAnswer> {
    this.asked.push(`find ${JSON.stringify(query.text)} from ${from}`);
    await this.gate;
    if (this.failure) throw this.failure;
    const scannedTo = Math.min(this.written.length - (this.isOpen ? 1 : 0), from + this.scanMax);
    const found: number[] = [];
    for (let line = from; line < scannedTo; line++) {
      const [letter, text] = this.written[line] as WireLine;
      if (query.stream !== null && LETTERS[query.stream] !== letter) continue;
      const has = query.isRegex
        ? new RegExp(query.text, 'i').test(text)
        : text.toLowerCase().includes(query.text.toLowerCase());
      if (has) found.push(line);
    }
    const complete = scannedTo >= this.written.length;
    return { total: found.length, lines: found.slice(0, limit), scannedTo, complete };
  }

  async #answer(from: number, count: number, signal?: AbortSignal): Promise<LinesAnswer> {
    await this.gate;
    signal?.throwIfAborted();
    if (this.failure) throw this.failure;
    const lines: WireLine[] = [];
    let characters = 0;
    for (const line of this.isRemoved ? [] : this.written.slice(from, from + count)) {
      characters += line[1].length;
      if (lines.length > 0 && characters > this.charactersMax) break;
      lines.push(line);
    }
    return { from, lines, total: this.written.length, styles: NO_STYLES, isRemoved: this.isRemoved };
  }
}
