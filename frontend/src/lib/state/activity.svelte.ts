// What happened, newest last: the past is read on demand, what happens now comes with the page's subscription.
import { apiPath, type Client, type Query } from '../api/client';
import { asProblem } from '../api/errors';
import { nextLink } from '../api/links';
import type { LogEvent, Problem } from '../api/types';

const PAGE = 100;
const KEPT_MAX = 1_000;
/** Kept while somebody reads the past: what was loaded must not vanish under their eyes. */
const READ_MAX = 10_000;
/** Nobody reads faster; a busy fleet makes hundreds of events a second. */
const SHOWN_EVERY_MS = 250;

export type Kind = '' | 'task' | 'approval' | 'desktop' | 'other';

export interface ActivityFilter {
  kind: Kind;
  desktopId: string;
}

const TYPES: Record<Kind, string> = {
  '': '',
  task: 'task.*',
  approval: 'approval.*',
  desktop: 'desktop.*',
  other: 'settings.*,key.*,secret.*,knownHost.*,sealKey.*,auth.*',
};

/** Whether an event is of that kind and desktop: as the server decides it for the past. */
export function isWanted(event: LogEvent, { kind, desktopId }: ActivityFilter): boolean {
  if (desktopId && event.payload.desktopId !== desktopId) return false;
  return !kind || TYPES[kind].split(',').some((type) => event.type.startsWith(type.slice(0, -1)));
}

export class ActivityState {
  #events = $state.raw<LogEvent[]>([]);
  #isPaused = $state(false);
  #missed = $state(0);
  #held: LogEvent[] = [];
  #arriving: LogEvent[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Where older ones are read; null when there are none. A page may be short or empty although there are more. */
  #older = $state<string | null>(null);
  #isLoading = $state(false);
  #problem = $state.raw<Problem | null>(null);
  /** What did not come was the newest page. */
  #isNewestMissing = false;
  #isReadingPast = false;
  #filter = $state.raw<ActivityFilter>({ kind: '', desktopId: '' });
  #api: Client;

  constructor(api: Client) {
    this.#api = api;
  }

  /** Oldest first, without gaps from its first to its last. */
  get events(): readonly LogEvent[] {
    return this.#events;
  }

  get filter(): ActivityFilter {
    return this.#filter;
  }
  /** What is read from the next `load` on. */
  set filter(filter: ActivityFilter) {
    this.#filter = filter;
  }

  get hasOlder(): boolean {
    return this.#older !== null;
  }

  /** The past is on its way. */
  get isLoading(): boolean {
    return this.#isLoading;
  }

  /** Why the newest page or an older one did not come; null when it did. */
  get problem(): Problem | null {
    return this.#problem;
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

  /** Somebody scrolled away from the newest, or came back to it. */
  set isReadingPast(isReading: boolean) {
    this.#isReadingPast = isReading;
  }

  /** Reads the newest page. Returns the event that it goes up to; a page that does not come asks for no event again. */
  async load(): Promise<number> {
    const filter = this.#filter;
    this.#isLoading = true;
    this.#problem = null;
    this.#isNewestMissing = false;
    try {
      const { data, seq, headers } = await this.#api.get<LogEvent[]>('/activity', this.#query());
      if (filter === this.#filter) {
        this.#events = data.toReversed();
        this.#held = [];
        this.#missed = 0;
        this.#older = nextLink(headers.get('link'));
      }
      return seq ?? data[0]?.seq ?? 0;
    } catch (error) {
      if (filter === this.#filter) {
        this.#problem = asProblem(error);
        this.#isNewestMissing = true;
      }
      return Number.POSITIVE_INFINITY;
    } finally {
      this.#isLoading = false;
    }
  }

  /** Shows only some of what happens, from the newest on; the server looks for them in the past. */
  async narrow(filter: ActivityFilter): Promise<void> {
    this.#filter = filter;
    this.#events = this.#events.filter((event) => isWanted(event, filter));
    await this.load();
  }

  /** Asks again for the page that did not come. */
  async retry(): Promise<void> {
    if (this.#isNewestMissing) await this.load();
    else await this.loadOlder();
  }

  async loadOlder(): Promise<void> {
    if (this.#isLoading || !this.#older) return;
    this.#isLoading = true;
    this.#problem = null;
    this.#isReadingPast = true;
    const filter = this.#filter;
    try {
      for (let found = 0; found === 0 && this.#older; ) {
        const { data, headers } = await this.#api.get<LogEvent[]>(this.#older);
        if (filter !== this.#filter) return;
        found = data.length;
        this.#events = [...data.toReversed(), ...this.#events];
        this.#older = nextLink(headers.get('link'));
      }
    } catch (error) {
      if (filter === this.#filter) this.#problem = asProblem(error);
    } finally {
      this.#isLoading = false;
    }
  }

  apply(events: LogEvent[]): void {
    for (const event of events) if (isWanted(event, this.#filter)) this.#arriving.push(event);
    if (this.#arriving.length) this.#timer ??= setTimeout(this.#arrive, SHOWN_EVERY_MS);
  }

  #arrive = (): void => {
    const events = this.#arriving;
    this.#arriving = [];
    this.#timer = undefined;
    if (this.#isPaused) {
      this.#held = [...this.#held, ...events].slice(-READ_MAX);
      this.#missed += events.length;
    } else {
      this.#add(events);
    }
  };

  #query(before?: number): Query {
    const { kind, desktopId } = this.#filter;
    return { types: TYPES[kind], desktopId, limit: PAGE, before };
  }

  #add(events: LogEvent[]): void {
    const last = this.#events.at(-1)?.seq ?? 0;
    const fresh = events.filter((event) => event.seq > last && isWanted(event, this.#filter));
    if (!fresh.length) return;
    const all = [...this.#events, ...fresh];
    const max = this.#isReadingPast ? READ_MAX : KEPT_MAX;
    if (all.length <= max * 1.2) this.#events = all;
    else {
      this.#events = all.slice(-max);
      this.#older = apiPath('/activity', this.#query(this.#events[0]?.seq));
    }
  }
}
