/** The output of one run as it is looked at: what is held of it, what brings more, and the newest lines as they come. */
import type { Handlers } from '../live/socket';
import type { Subscription } from '../live/wire';
import { Keeper } from './keeper';
import { OutputPages, type TailFrame } from './pages';
import type { OutputSource } from './source';

export interface Subscribes {
  subscribe(subscription: Subscription, handlers: Handlers): () => void;
}

/** A piece of raw output, where it is not sent as a tail. */
export interface OutputPiece {
  line: number;
  ms: number;
  text?: string | undefined;
  base64?: string | undefined;
}

export class LiveOutput {
  readonly pages = new OutputPages();
  readonly source: OutputSource;
  readonly keeper: Keeper;

  constructor(source: OutputSource) {
    this.source = source;
    this.keeper = new Keeper(this.pages, source);
  }

  /**
   * Read the end of the run and keep up with it. A prompt's raw answer comes whole, since tails are of what the agent
   * said. `isOver` says that nothing more is expected. Returns how to stop.
   */
  follow(socket: Subscribes, taskId: string, isRaw: boolean, isOver: boolean): () => void {
    let stop = () => {};
    if (isOver) this.pages.end();
    const start = () => {
      stop = socket.subscribe(
        {
          id: `output:${taskId}`,
          taskId,
          types: [isRaw ? 'task.output' : 'task.outputGap'],
          output: isRaw ? 'full' : 'tail',
        },
        {
          tail: (tasks) => {
            for (const frame of tasks) this.#push(frame);
          },
          events: (events) => {
            for (const { type, payload } of events) {
              if (type === 'task.output') this.#push(this.#frameOf(payload as OutputPiece));
            }
          },
          // After an absence the number of lines is not what the tail says first.
          live: () => {
            this.keeper.refresh();
          },
          reset: () => {
            stop();
            this.pages.clear();
            start();
          },
        },
      );
    };
    this.keeper.refresh();
    start();
    return () => stop();
  }

  /** The run is over and all of it is recorded. */
  end(): void {
    if (this.pages.isOver) return;
    this.pages.end();
    this.keeper.refresh();
  }

  /** What was recorded is not what it was: somebody removed it. */
  readAnew(): void {
    const { isOver } = this.pages;
    this.pages.clear();
    if (isOver) this.pages.end();
    this.keeper.refresh();
  }

  #push(frame: TailFrame): void {
    this.keeper.moved();
    this.pages.push(frame);
  }

  /** A piece goes on where the open line was. */
  #frameOf({ line, ms, text, base64 }: OutputPiece): TailFrame {
    const before = line === this.pages.wholeCount ? (this.pages.at(line)?.text ?? '') : '';
    const lines = (before + (base64 === undefined ? (text ?? '') : decoded(base64))).split('\n');
    const open = lines.at(-1) !== '';
    if (!open) lines.pop();
    return {
      lines: line + lines.length,
      from: line,
      streams: 'r'.repeat(lines.length),
      text: lines.join('\n'),
      ms,
      open,
    };
  }
}

function decoded(base64: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
}
