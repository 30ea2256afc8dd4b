// What happened, newest last: the past is read on demand, what happens now comes with the page's subscription.
import type { Client } from '../api/client';
import { nextLink } from '../api/links';
import type { LogEvent } from '../api/types';

const PAGE = 100;
const KEPT_MAX = 1000;

export class ActivityState {
  #events = $state.raw<LogEvent[]>([]);
  #isPaused = $state(false);
  #missed = $state(0);
  #held: LogEvent[] = [];
  /** Where older ones are read; null when there are none. A page may be short or empty although there are more. */
  #older = $state<string | null>(null);
  #isLoading = false;
  #api: Client;

  constructor(api: Client) {
    this.#api = api;
  }

  /** Oldest first, without gaps from its first to its last. */
  get events(): readonly LogEvent[] {
    return this.#events;
  }

  get hasOlder(): boolean {
    return this.#older !== null;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }
  set isPaused(paused: boolean) {
    this.#isPaused = paused;
    if (!paused) {
      const held = this.#held;
      this.#held = [];
      this.#missed = 0;
      this.#add(held);
    }
  }

  /** Events held back while paused. */
  get missed(): number {
    return this.#missed;
  }

  async load(): Promise<number> {
    const { data, seq, headers } = await this.#api.get<LogEvent[]>('/activity', { limit: PAGE });
    this.#events = data.toReversed();
    this.#held = [];
    this.#missed = 0;
    this.#older = nextLink(headers.get('link'));
    return seq ?? data[0]?.seq ?? 0;
  }

  async loadOlder(): Promise<void> {
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      for (let found = 0; found === 0 && this.#older; ) {
        const { data, headers } = await this.#api.get<LogEvent[]>(this.#older);
        found = data.length;
        this.#events = [...data.toReversed(), ...this.#events];
        this.#older = nextLink(headers.get('link'));
      }
    } finally {
      this.#isLoading = false;
    }
  }

  apply(events: LogEvent[]): void {
    if (this.#isPaused) {
      this.#held.push(...events);
      this.#missed = this.#held.length;
    } else {
      this.#add(events);
    }
  }

  #add(events: LogEvent[]): void {
    const last = this.#events.at(-1)?.seq ?? 0;
    const fresh = events.filter((event) => event.seq > last);
    if (!fresh.length) return;
    const all = [...this.#events, ...fresh];
    if (all.length <= KEPT_MAX * 1.2) this.#events = all;
    else {
      this.#events = all.slice(-KEPT_MAX);
      this.#older = `/activity?before=${this.#events[0]?.seq}&limit=${PAGE}`;
    }
  }
}
