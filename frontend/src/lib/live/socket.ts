// The one WebSocket of the page. It carries any number of subscriptions, each a cursor over the log: after a lost
// connection each goes on behind the last event that it was given, so nothing is missed and nothing comes twice.
// What to do when is decided in connection.ts; here it is only done.
import type { LogEvent } from '../api/types';
import { type Connection, type Input, next, start } from './connection';
import {
  type DesktopMetrics,
  readFrame,
  type ServerFrame,
  type Subscription,
  showFrame,
  subscribeFrame,
  type TaskTail,
  unsubscribeFrame,
} from './wire';

export interface Handlers {
  events?: (events: LogEvent[], cursor: number) => void;
  tail?: (tasks: TaskTail[]) => void;
  metrics?: (desktops: DesktopMetrics[]) => void;
  /** Everything that the log had has come; what follows happens now. The page is live when what it gives is over. */
  live?: () => Promise<void> | undefined;
  /** The cursor means nothing to this log any more: read a snapshot and subscribe anew. */
  reset?: () => void;
  /**
   * So many events were missed that reading the state again is quicker than hearing them all: do that, and subscribe
   * anew. Without it they all come.
   */
  far?: () => void;
  error?: (code: string, detail: string) => void;
}

interface Open {
  subscription: Subscription;
  handlers: Handlers;
  isLive: boolean;
  isDead: boolean;
  /** The tasks whose tails are wanted; undefined is all. */
  shown?: readonly string[];
}

export interface Hello {
  version: string;
  serverId: string;
  logId: string;
  head: number;
}

const TICK_MS = 500;
/** From so many missed events on a snapshot is less work than the events, for the server and for the page. */
const FAR_EVENTS = 3_000;

export class Socket {
  /** Told after every step; the connection state of the page is made of this. */
  onConnection: (connection: Connection) => void = () => {};
  onHello: (hello: Hello) => void = () => {};
  /** Told how many events came while catching up. */
  onCatchingUp: (count: number) => void = () => {};

  #url: string;
  #open = new Map<string, Open>();
  #socket: WebSocket | null = null;
  #connection: Connection | null = null;
  #timer: ReturnType<typeof setInterval> | null = null;
  #isReady = false;
  #logId: string | null = null;

  constructor(url: string) {
    this.#url = url;
  }

  /** Opens the connection and keeps it open until `stop`. */
  start(): void {
    if (this.#timer !== null) return;
    this.#timer = setInterval(() => this.#step({ kind: 'tick', at: Date.now(), dice: Math.random() }), TICK_MS);
    window.addEventListener('online', this.#wake);
    document.addEventListener('visibilitychange', this.#wake);
    this.#enter(start(Date.now()));
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    window.removeEventListener('online', this.#wake);
    document.removeEventListener('visibilitychange', this.#wake);
    this.#drop();
    this.#connection = null;
  }

  tryNow(): void {
    this.#step({ kind: 'try-now', at: Date.now() });
  }

  /** Adds a subscription (or replaces the one of the same id) and gives the function that ends it. */
  subscribe(subscription: Subscription, handlers: Handlers): () => void {
    const open: Open = { subscription: { ...subscription }, handlers, isLive: false, isDead: false };
    if (this.#open.has(subscription.id)) this.#send(unsubscribeFrame(subscription.id));
    this.#open.set(subscription.id, open);
    this.#ask(open);
    return () => {
      if (this.#open.get(subscription.id) !== open) return;
      this.#open.delete(subscription.id);
      this.#send(unsubscribeFrame(subscription.id));
      this.#noteCaughtUp();
    };
  }

  /** Says for which tasks a subscription wants tails; said again by itself after a lost connection. */
  show(id: string, taskIds: readonly string[]): void {
    const open = this.#open.get(id);
    if (!open) return;
    open.shown = taskIds;
    this.#send(showFrame(id, taskIds));
  }

  #wake = (): void => {
    if (document.visibilityState === 'visible') this.#step({ kind: 'woke', at: Date.now(), dice: Math.random() });
  };

  #step(input: Input): void {
    if (this.#connection) this.#enter(next(this.#connection, input));
  }

  #enter(connection: Connection): void {
    const before = this.#connection;
    this.#connection = connection;
    if (connection === before) return;
    if (connection.phase !== before?.phase) {
      // A new try never uses an old socket; and where no socket should be, none stays.
      if (connection.phase === 'connecting' || connection.phase === 'offline' || connection.phase === 'signed-out') {
        this.#drop();
      }
      if (connection.phase === 'connecting') this.#connect();
    }
    this.onConnection(connection);
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#isReady = false;
    for (const open of this.#open.values()) open.isLive = false;
    socket?.close();
  }

  #connect(): void {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => {
      if (this.#socket !== socket) return;
      this.#step({ kind: 'opened', at: Date.now() });
    };
    socket.onmessage = (message) => {
      if (this.#socket !== socket) return;
      this.#step({ kind: 'heard', at: Date.now() });
      const frame = readFrame(String(message.data));
      if (frame) this.#receive(frame);
    };
    socket.onclose = (event) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#isReady = false;
      this.#step({ kind: 'closed', at: Date.now(), code: event.code, dice: Math.random() });
    };
  }

  #send(text: string): void {
    if (this.#isReady) this.#socket?.send(text);
  }

  /** Goes on where the subscription was, or lets it begin anew where that is far behind. */
  #resume(open: Open, { logId, head }: Hello): void {
    const { after, logId: itsLog } = open.subscription;
    const missed = after === undefined || itsLog !== logId ? 0 : head - after;
    if (missed > FAR_EVENTS && open.handlers.far) {
      this.onCatchingUp(missed);
      open.handlers.far();
    } else this.#ask(open);
  }

  #ask(open: Open): void {
    if (open.isDead) return;
    this.#send(subscribeFrame(open.subscription));
    if (open.shown) this.#send(showFrame(open.subscription.id, open.shown));
  }

  #receive(frame: ServerFrame): void {
    if (frame.op === 'hello') {
      this.#logId = frame.logId;
      this.onHello(frame);
      this.#isReady = true;
      for (const open of this.#open.values()) this.#resume(open, frame);
      this.#noteCaughtUp();
      return;
    }
    if (frame.op === 'heartbeat') {
      for (const [id, cursor] of Object.entries(frame.cursors)) this.#advance(this.#open.get(id), cursor);
      return;
    }
    const open = frame.id === undefined ? undefined : this.#open.get(frame.id);
    if (!open) return;
    switch (frame.op) {
      case 'events':
        if (this.#connection?.phase === 'catching-up') this.onCatchingUp(frame.events.length);
        this.#advance(open, frame.cursor);
        open.handlers.events?.(frame.events, frame.cursor);
        break;
      case 'tail':
        this.#advance(open, frame.cursor);
        open.handlers.tail?.(frame.tasks);
        break;
      case 'metrics':
        open.handlers.metrics?.(frame.desktops);
        break;
      case 'live':
        this.#advance(open, frame.cursor);
        this.#becomeLive(open, open.handlers.live?.());
        break;
      case 'reset':
        open.isDead = true;
        open.subscription.after = undefined;
        open.handlers.reset?.();
        this.#noteCaughtUp();
        break;
      case 'error':
        open.handlers.error?.(frame.code, frame.detail);
        break;
    }
  }

  #becomeLive(open: Open, shown: Promise<void> | undefined): void {
    const socket = this.#socket;
    const become = () => {
      // A socket that was lost meanwhile has another to become live on.
      if (this.#socket !== socket) return;
      open.isLive = true;
      this.#noteCaughtUp();
    };
    if (shown) shown.then(become);
    else become();
  }

  /** A subscription resumes behind what it was given; one that began "from now" gets its place with the first frame. */
  #advance(open: Open | undefined, cursor: number): void {
    if (!open) return;
    open.subscription.after = cursor;
    open.subscription.logId = this.#logId ?? open.subscription.logId;
  }

  #noteCaughtUp(): void {
    if (!this.#isReady || this.#connection?.phase !== 'catching-up') return;
    for (const open of this.#open.values()) if (!open.isLive && !open.isDead) return;
    this.#step({ kind: 'caught-up', at: Date.now() });
  }
}

export function socketUrl(location: Location): string {
  return `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/api/mission-control/activity/ws`;
}
