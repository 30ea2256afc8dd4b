// What the page knows about its own freshness: live, catching up, or offline since when and until when.
import type { Connection, Phase } from '../live/connection';
import { SILENCE_MS_MAX, start } from '../live/connection';
import type { Hello, Socket } from '../live/socket';
import { clock } from './clock';

/** A break shorter than this is not worth a bar across the page. */
const BAR_AFTER_MS = 1_000;
const BACK_SHOWN_MS = 3_000;

export class ConnectionState {
  /** Told when the socket is refused because nobody is signed in. */
  onSignedOut: () => void = () => {};
  #link = $state.raw<Connection>(start(Date.now()));
  #arrived = $state(0);
  #back = $state<number | null>(null);
  #hello: Hello | null = null;
  #isOutdated = $state(false);
  #wasAway = $state(false);
  #socket: Socket;
  #backTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.onConnection = (link) => this.#follow(link);
    socket.onCatchingUp = (count) => {
      this.#arrived += count;
    };
    socket.onHello = (hello) => {
      this.#isOutdated ||= this.#hello !== null && this.#hello.version !== hello.version;
      this.#hello ??= hello;
    };
  }

  get phase(): Phase {
    return this.#link.phase;
  }

  /** Since when the data on the screen is not kept current (ms, the server's clock), or null. */
  get asOf(): number | null {
    const { offlineSince } = this.#link;
    return offlineSince === null ? null : clock.of(offlineSince);
  }

  /** When the next try is due (ms, the server's clock), or null. */
  get retryAt(): number | null {
    const { retryAt } = this.#link;
    return retryAt === null ? null : clock.of(retryAt);
  }

  /** Whether a break is long enough to say so across the page. */
  isLostAt(now: number): boolean {
    const { lostAt, offlineSince } = this.#link;
    if (!this.#wasAway || lostAt === null) return false;
    // A silence was long when it was noticed; a closed connection may be back in a moment.
    const wasSilent = offlineSince !== null && lostAt - offlineSince > SILENCE_MS_MAX;
    return wasSilent || now - clock.of(lostAt) >= BAR_AFTER_MS;
  }

  /** Events that have arrived since the connection came back. */
  get arrived(): number {
    return this.#arrived;
  }

  /** For three seconds after a break: how many events were caught up. */
  get back(): number | null {
    return this.#back;
  }

  /** The server was upgraded under this page. */
  get isOutdated(): boolean {
    return this.#isOutdated;
  }

  /** Whether requests have a chance. */
  get isUsable(): boolean {
    return this.phase !== 'offline' && this.phase !== 'signed-out' && !(this.phase === 'connecting' && this.#wasAway);
  }

  tryNow(): void {
    this.#socket.tryNow();
  }

  #follow(link: Connection): void {
    const before = this.#link;
    // Every message is a step; only what can be seen on the page may wake the page.
    if (link.phase === before.phase && link.retryAt === before.retryAt && link.offlineSince === before.offlineSince)
      return;
    this.#link = link;
    if (link.phase === before.phase) return;
    if (link.phase === 'signed-out') this.onSignedOut();
    if (link.phase === 'offline') {
      if (before.phase === 'live' || before.phase === 'catching-up') this.#arrived = 0;
      this.#wasAway = true;
      this.#back = null;
    }
    if (link.phase === 'live' && this.#wasAway) {
      this.#wasAway = false;
      this.#back = this.#arrived;
      clearTimeout(this.#backTimer);
      this.#backTimer = setTimeout(() => {
        this.#back = null;
      }, BACK_SHOWN_MS);
    }
  }
}
