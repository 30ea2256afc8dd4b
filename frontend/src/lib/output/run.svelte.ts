/**
 * What is said of a task's run besides its lines, live: for a prompt the transcript, and notes, gaps, the head of the
 * agent's answer. One subscription from the beginning of the log, so that history and what happens now are the same
 * stream.
 */
import type { LogEvent } from '../api/types';
import type { Subscribes } from './live-output';
import type { Gap } from './losses';
import { apply, emptyTranscript, type Progress, type Transcript } from './transcript';

/** Nobody reads faster; and while history comes in, it need only be seen to come. */
const SHOWN_EVERY_MS = 50;
const SHOWN_EVERY_MS_BEFORE = 500;

const TYPES = ['task.outputGap', 'task.progress', 'task.response', 'task.note'];

export interface Note {
  at: string;
  text: string;
}

/** The head of the agent endpoint's answer. */
export interface ResponseHead {
  status: number;
  contentType: string | null;
}

export class Run {
  /** What has come, and what of it is shown: a screen looks at thousands of blocks anew, so not for every word. */
  #come = emptyTranscript();
  #transcript = $state.raw<Transcript>(this.#come);
  #shownAt = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #notes = $state<Note[]>([]);
  #gaps = $state.raw<readonly Gap[]>([]);
  #response = $state.raw<ResponseHead | null>(null);
  #isCaughtUp = $state(false);

  get transcript(): Transcript {
    return this.#transcript;
  }

  get notes(): readonly Note[] {
    return this.#notes;
  }

  get gaps(): readonly Gap[] {
    return this.#gaps;
  }

  get response(): ResponseHead | null {
    return this.#response;
  }

  /** What was recorded before is here; what follows happens now. */
  get isCaughtUp(): boolean {
    return this.#isCaughtUp;
  }

  /** Read the run of a task from its beginning and keep up with it. Returns how to stop. */
  follow(socket: Subscribes, taskId: string): () => void {
    let stop = () => {};
    const start = () => {
      this.#clear();
      stop = socket.subscribe(
        { id: `task:${taskId}`, after: 0, taskId, types: TYPES, output: 'full' },
        {
          events: (events) => this.take(events),
          live: () => {
            this.#isCaughtUp = true;
            this.#show();
          },
          reset: () => {
            stop();
            start();
          },
        },
      );
    };
    start();
    return () => {
      clearTimeout(this.#timer);
      stop();
    };
  }

  take(events: readonly LogEvent[]): void {
    for (const event of events) this.#takeOne(event);
    const wait = this.#shownAt + (this.#isCaughtUp ? SHOWN_EVERY_MS : SHOWN_EVERY_MS_BEFORE) - performance.now();
    if (wait <= 0) this.#show();
    else this.#timer ??= setTimeout(() => this.#show(), wait);
  }

  #show(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#shownAt = performance.now();
    this.#transcript = { ...this.#come };
  }

  #takeOne({ seq, type, payload, at }: LogEvent): void {
    switch (type) {
      case 'task.outputGap':
        this.#gaps = [...this.#gaps, { seq, from: payload.from, to: payload.to, reason: payload.reason }];
        return;
      case 'task.progress':
        apply(this.#come, payload as Progress, at);
        return;
      case 'task.response':
        this.#response = { status: payload.status, contentType: payload.contentType };
        return;
      case 'task.note':
        this.#notes.push({ at, text: payload.text });
    }
  }

  #clear(): void {
    this.#come = emptyTranscript();
    this.#show();
    this.#notes = [];
    this.#gaps = [];
    this.#response = null;
    this.#isCaughtUp = false;
  }
}
