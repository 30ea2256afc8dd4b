// Snapshot, then events: reads what is there, subscribes behind it, and hands every event to the states it concerns.
// Events are applied once a frame, and no more of them than a frame has time for. When the server says that the cursor
// means nothing to it, all is read anew.
import type { LogEvent } from '../api/types';
import { changeOf } from '../live/fold';
import { onNextFrame } from '../live/frame';
import type { Socket } from '../live/socket';
import type { ActivityState } from './activity.svelte';
import type { ApprovalsState } from './approvals.svelte';
import type { DesktopsState } from './desktops.svelte';
import type { Notifications } from './notifications.svelte';
import type { SettingsState } from './settings.svelte';
import type { TasksState } from './tasks.svelte';

export interface FeedStates {
  tasks: TasksState;
  desktops: DesktopsState;
  approvals: ApprovalsState;
  activity: ActivityState;
  settings: SettingsState;
  notifications: Notifications;
}

const ID = 'main';
/** What applying may take of a frame; the rest is for drawing. A hidden tab draws nothing, and gets few turns. */
const SLICE_MS = 20;
const HIDDEN_SLICE_MS = 100;
const HELD_MS_MAX = 1_500;
const START_AGAIN_MS = 2_000;
/** Events between two looks at the clock. */
const PIECE = 100;

const TYPES = ['task.*', 'approval.*', 'desktop.*', 'settings.*', 'key.*', 'secret.*', 'auth.*'];

export class Feed {
  #states: FeedStates;
  #socket: Socket;
  #waiting: LogEvent[] = [];
  /** Applied, and not yet told to those who only want it all. */
  #taken: LogEvent[] = [];
  /** Lays the columns out again. */
  #release: (() => void) | null = null;
  #heldSince: number | null = null;
  #onDrained: () => void = () => {};
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
      tasks.isLoaded ? tasks.reloadColumns() : tasks.loadColumns(),
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
        live: () => this.#drained(),
        tail: (tails) => tasks.tail(tails),
        metrics: (measured) => desktops.measure(measured),
        reset: () => {
          tasks.clear();
          this.#startAgain(generation);
        },
        far: () => this.#startAgain(generation),
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

  /** Tries again, after the server did not answer, until it works or somebody else begins or stops it. */
  startLater(generation = this.#generation): void {
    setTimeout(() => this.#startAgain(generation), START_AGAIN_MS);
  }

  #startAgain(generation: number): void {
    if (generation !== this.#generation) return;
    this.start().catch(() => this.startLater(generation + 1));
  }

  /**
   * A page that was away has much to take in: it goes on with the next frame, stays usable meanwhile, and lays its
   * columns and its activity out when all is there. What never ends is laid out from time to time.
   */
  #apply = (): void => {
    const began = performance.now();
    const { tasks, activity, notifications } = this.#states;
    this.#release ??= tasks.hold();
    this.#heldSince ??= began;
    const slice = document.visibilityState === 'visible' ? SLICE_MS : HIDDEN_SLICE_MS;
    let taken = 0;
    do {
      this.#take(this.#waiting.slice(taken, taken + PIECE));
      taken += PIECE;
    } while (taken < this.#waiting.length && performance.now() - began < slice);
    this.#taken.push(...this.#waiting.splice(0, taken));
    const isDrained = this.#waiting.length === 0;
    if (isDrained || began - this.#heldSince > HELD_MS_MAX) {
      this.#release();
      this.#release = this.#heldSince = null;
      tasks.trim();
      activity.apply(this.#taken);
      notifications.apply(this.#taken);
      this.#taken = [];
    }
    if (isDrained) this.#onDrained();
    else onNextFrame(this.#apply);
  };

  #take(events: readonly LogEvent[]): void {
    const { tasks, desktops, approvals, settings } = this.#states;
    for (const event of events) {
      const change = changeOf(event);
      if (change?.entity === 'task') tasks.apply(change, event);
      else if (change?.entity === 'desktop') desktops.apply(change);
      else if (change?.entity === 'approval') approvals.apply(change);
      else settings.apply(event);
    }
  }

  /** Resolves when everything that has come by now is on the screen. */
  #drained(): Promise<void> | undefined {
    if (!this.#waiting.length) return undefined;
    return new Promise((resolve) => {
      this.#onDrained = resolve;
    });
  }
}
