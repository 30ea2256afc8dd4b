/**
 * What a task's run said, live: its lines, and for a prompt the transcript. One subscription from the
 * beginning of the log, so that history and what happens now are the same stream.
 */
import type { LogEvent } from '../api/types';
import type { Handlers } from '../live/socket';
import type { Subscription } from '../live/wire';
import { OutputLines, type OutputPiece } from './lines';
import { apply, emptyTranscript, type Progress, type Transcript } from './transcript';

const TYPES = ['task.output', 'task.outputGap', 'task.progress', 'task.response', 'task.note'];

export interface Note {
  at: string;
  text: string;
}

/** The head of the agent endpoint's answer. */
export interface ResponseHead {
  status: number;
  contentType: string | null;
}

export interface Subscribes {
  subscribe(subscription: Subscription, handlers: Handlers): () => void;
}

export class Run {
  /** stdout and stderr of a command, or the raw answer to a prompt. */
  readonly lines = new OutputLines();
  #transcript = $state<Transcript>(emptyTranscript());
  #notes = $state<Note[]>([]);
  #response = $state.raw<ResponseHead | null>(null);
  #isCaughtUp = $state(false);
  /** When this page last heard of output, in its own time. */
  #heardAt = $state.raw<number | null>(null);

  get transcript(): Transcript {
    return this.#transcript;
  }

  get notes(): readonly Note[] {
    return this.#notes;
  }

  get response(): ResponseHead | null {
    return this.#response;
  }

  /** What was recorded before is here; what follows happens now. */
  get isCaughtUp(): boolean {
    return this.#isCaughtUp;
  }

  get heardAt(): number | null {
    return this.#heardAt;
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
          },
          reset: () => {
            stop();
            start();
          },
        },
      );
    };
    start();
    return () => stop();
  }

  take(events: readonly LogEvent[]): void {
    for (const event of events) this.#takeOne(event);
  }

  #takeOne({ type, payload, at }: LogEvent): void {
    switch (type) {
      case 'task.output':
        if (this.lines.append(payload as OutputPiece) && this.#isCaughtUp) this.#heardAt = Date.now();
        return;
      case 'task.outputGap':
        this.lines.noteGap(payload.from, payload.to, payload.reason);
        return;
      case 'task.progress':
        apply(this.#transcript, payload as Progress, at);
        return;
      case 'task.response':
        this.#response = { status: payload.status, contentType: payload.contentType };
        return;
      case 'task.note':
        this.#notes.push({ at, text: payload.text });
    }
  }

  #clear(): void {
    this.lines.clear();
    this.#transcript = emptyTranscript();
    this.#notes = [];
    this.#response = null;
    this.#isCaughtUp = false;
    this.#heardAt = null;
  }
}
