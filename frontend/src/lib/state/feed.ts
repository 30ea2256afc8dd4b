// Snapshot, then events: reads what is there, subscribes behind it, and hands every event to the states it concerns.
// Events are applied once a frame. When the server says that the cursor means nothing to it, all is read anew.
import type { LogEvent } from '../api/types';
import { changeOf } from '../live/fold';
import { onNextFrame } from '../live/frame';
import type { Socket } from '../live/socket';
import type { ActivityState } from './activity.svelte';
import type { ApprovalsState } from './approvals.svelte';
import type { DesktopsState } from './desktops.svelte';
import type { SettingsState } from './settings.svelte';
import type { TasksState } from './tasks.svelte';

export interface FeedStates {
  tasks: TasksState;
  desktops: DesktopsState;
  approvals: ApprovalsState;
  activity: ActivityState;
  settings: SettingsState;
}

const ID = 'main';
const TYPES = ['task.*', 'approval.*', 'desktop.*', 'settings.*', 'key.*'];

export class Feed {
  #states: FeedStates;
  #socket: Socket;
  #waiting: LogEvent[] = [];
  #unsubscribe: (() => void) | null = null;
  #generation = 0;
  #shown: readonly string[] = [];

  constructor(states: FeedStates, socket: Socket) {
    this.#states = states;
    this.#socket = socket;
  }

  /** Reads all and follows it. Throws when the server refuses or does not answer. */
  async start(): Promise<void> {
    const generation = ++this.#generation;
    const { tasks, desktops, approvals, activity, settings } = this.#states;
    const seqs = await Promise.all([
      desktops.load(),
      settings.load(),
      approvals.load(),
      activity.load(),
      tasks.loadColumns(),
    ]);
    if (generation !== this.#generation) return;
    this.#waiting = [];
    this.#unsubscribe = this.#socket.subscribe(
      { id: ID, after: Math.min(...seqs), types: TYPES, output: 'tail', tailLines: 1, metrics: true },
      {
        events: (events) => {
          for (const event of events) this.#waiting.push(event);
          onNextFrame(this.#apply);
        },
        tail: (tails) => tasks.tail(tails),
        metrics: (measured) => desktops.measure(measured),
        reset: () => {
          tasks.clear();
          this.start().catch(() => this.#restartLater(generation));
        },
      },
    );
    this.#socket.show(ID, this.#shown);
  }

  /** The running tasks whose newest lines are on the screen. */
  show(taskIds: readonly string[]): void {
    this.#shown = taskIds;
    this.#socket.show(ID, taskIds);
  }

  stop(): void {
    this.#generation += 1;
    this.#unsubscribe?.();
    this.#unsubscribe = null;
    this.#waiting = [];
  }

  #restartLater(generation: number): void {
    setTimeout(() => {
      if (generation + 1 === this.#generation) this.start().catch(() => this.#restartLater(this.#generation - 1));
    }, 2_000);
  }

  #apply = (): void => {
    const events = this.#waiting;
    this.#waiting = [];
    const { tasks, desktops, approvals, activity, settings } = this.#states;
    tasks.batch(() => {
      for (const event of events) {
        const change = changeOf(event);
        if (change?.entity === 'task') tasks.apply(change, event);
        else if (change?.entity === 'desktop') desktops.apply(change);
        else if (change?.entity === 'approval') approvals.apply(change);
        else settings.apply(event);
      }
    });
    activity.apply(events);
    tasks.trim();
  };
}
