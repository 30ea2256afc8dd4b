// Reconnecting as a table: one pure step from what is and what happened to what is next. The WebSocket, the clock
// and the dice live in socket.ts. `connecting` means "open a socket", `offline` means "have none".

export type Phase = 'connecting' | 'catching-up' | 'live' | 'offline' | 'signed-out';

export interface Connection {
  phase: Phase;
  /** Failures in a row. */
  failures: number;
  /** The last moment that the page shows for certain (ms): null while it is kept current. */
  offlineSince: number | null;
  /** When the loss was noticed (ms). */
  lostAt: number | null;
  /** When the next try is due (ms), while offline. */
  retryAt: number | null;
  /** When the socket last said anything, or when the present try began (ms). */
  heardAt: number;
}

export type Input =
  | { kind: 'opened'; at: number }
  | { kind: 'heard'; at: number }
  /** Every subscription has what the log has. */
  | { kind: 'caught-up'; at: number }
  | { kind: 'closed'; at: number; code: number; dice: number }
  | { kind: 'tick'; at: number; dice: number }
  /** The network came back, or the tab became visible. */
  | { kind: 'woke'; at: number; dice: number }
  | { kind: 'try-now'; at: number };

/** The server sends a heartbeat after 2 s of silence: two missed ones and a slow network are 5 s. */
export const SILENCE_MS_MAX = 5_000;
/** A socket that has not opened by then never will. */
export const OPENING_MS_MAX = 8_000;
export const BACKOFF_MS_MIN = 500;
export const BACKOFF_MS_MAX = 10_000;
const SIGN_IN_CODES = new Set([4401, 4403]);

/** Doubles from 0.5 s to 10 s; the dice (0..1) take up to half of it off, so that many pages do not come back at once. */
export function backoffMs(failures: number, dice: number): number {
  const full = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures - 1, 10));
  return Math.max(BACKOFF_MS_MIN, Math.round(full * (1 - dice / 2)));
}

export function start(at: number): Connection {
  return { phase: 'connecting', failures: 0, offlineSince: at, lostAt: at, retryAt: null, heardAt: at };
}

function lose(link: Connection, at: number, dice: number): Connection {
  const failures = link.failures + 1;
  return {
    phase: 'offline',
    failures,
    offlineSince: link.offlineSince ?? link.heardAt,
    lostAt: link.lostAt ?? at,
    retryAt: at + backoffMs(failures, dice),
    heardAt: link.heardAt,
  };
}

function connect(link: Connection, at: number): Connection {
  return { ...link, phase: 'connecting', retryAt: null, heardAt: at };
}

function isSilent(link: Connection, at: number): boolean {
  if (link.phase === 'connecting') return at - link.heardAt > OPENING_MS_MAX;
  return (link.phase === 'live' || link.phase === 'catching-up') && at - link.heardAt > SILENCE_MS_MAX;
}

/** A clock that was set back would make everything wait for the old time; what lies in the future is brought to now. */
function notAfter(link: Connection, at: number): Connection {
  const { heardAt, lostAt, retryAt } = link;
  if (heardAt <= at && (lostAt ?? at) <= at && (retryAt === null || retryAt - at <= BACKOFF_MS_MAX)) return link;
  return {
    ...link,
    heardAt: Math.min(heardAt, at),
    lostAt: lostAt === null ? null : Math.min(lostAt, at),
    retryAt: retryAt === null ? null : Math.min(retryAt, at),
  };
}

export function next(before: Connection, input: Input): Connection {
  const link = notAfter(before, input.at);
  if (link.phase === 'signed-out') return input.kind === 'try-now' ? start(input.at) : link;
  switch (input.kind) {
    case 'opened':
      return { ...link, phase: 'catching-up', retryAt: null, heardAt: input.at };
    case 'heard':
      return { ...link, heardAt: input.at };
    case 'caught-up':
      return { ...link, phase: 'live', failures: 0, offlineSince: null, lostAt: null, heardAt: input.at };
    case 'closed':
      if (SIGN_IN_CODES.has(input.code)) {
        return { ...link, phase: 'signed-out', retryAt: null, offlineSince: link.offlineSince ?? link.heardAt };
      }
      return link.phase === 'offline' ? link : lose(link, input.at, input.dice);
    case 'tick':
      if (link.phase === 'offline' && link.retryAt !== null && input.at >= link.retryAt) return connect(link, input.at);
      return isSilent(link, input.at) ? lose(link, input.at, input.dice) : link;
    case 'woke':
      if (link.phase === 'offline') return connect(link, input.at);
      // A machine that slept kept a socket that may be dead; no need to wait for the tick to say so.
      return isSilent(link, input.at) ? connect(lose(link, input.at, input.dice), input.at) : link;
    case 'try-now':
      return link.phase === 'offline' ? connect(link, input.at) : link;
  }
}
