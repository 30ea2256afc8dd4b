// What travels on the WebSocket. An unknown `op` is ignored, so that a newer server does not break an open page.
import type { LogEvent, Metrics } from '../api/types';

/** The newest lines of one task: what a screen needs of its output, never all of it. */
export interface TaskTail {
  taskId: string;
  /** Lines and bytes of the run up to the end of this tail. */
  lines: number;
  bytes: number;
  /** Number of the first line in `text`. */
  from: number;
  /** One letter a line: `o` stdout, `e` stderr. */
  streams: string;
  /** The lines, with "\n" between them. */
  text: string;
  /** When the newest of it came, in milliseconds since the run began. */
  ms: number;
  /** The last line has not ended: it will come again, longer. */
  open: boolean;
}

export interface DesktopMetrics extends Metrics {
  id: string;
}

export type ServerFrame =
  | { op: 'hello'; protocol: number; version: string; serverId: string; logId: string; head: number }
  | { op: 'events'; id: string; events: LogEvent[]; cursor: number }
  | { op: 'live'; id: string; cursor: number }
  | { op: 'tail'; id: string; cursor: number; tasks: TaskTail[] }
  | { op: 'metrics'; id: string; desktops: DesktopMetrics[] }
  | { op: 'heartbeat'; head: number; cursors: Record<string, number> }
  | { op: 'reset'; id: string; logId: string; head: number }
  | { op: 'error'; id?: string; code: string; detail: string };

export interface Subscription {
  /** A name of one's own for the subscription; subscribing again under it replaces the earlier one. */
  id: string;
  /** Send what comes after this position; left out: from now. */
  after?: number;
  /** The log that `after` belongs to. */
  logId?: string | null;
  /** Exact types, or `prefix.*`. */
  types?: string[];
  taskId?: string | null;
  desktopId?: string | null;
  output?: 'full' | 'tail' | 'none';
  tailLines?: number;
  metrics?: boolean;
}

export function subscribeFrame(subscription: Subscription): string {
  const { id, after, logId, types, taskId, desktopId, output, tailLines, metrics } = subscription;
  return JSON.stringify({
    op: 'subscribe',
    id,
    ...(after === undefined ? {} : { after }),
    ...(logId && after !== undefined ? { logId } : {}),
    ...(types ? { types } : {}),
    ...(taskId ? { taskId } : {}),
    ...(desktopId ? { desktopId } : {}),
    ...(output ? { output } : {}),
    ...(tailLines ? { tailLines } : {}),
    ...(metrics ? { metrics } : {}),
  });
}

/** Says for which tasks a subscription wants tails: it replaces what was said before. */
export const showFrame = (id: string, taskIds: readonly string[]): string =>
  JSON.stringify({ op: 'show', id, taskIds });

export const unsubscribeFrame = (id: string): string => JSON.stringify({ op: 'unsubscribe', id });

export function readFrame(text: string): ServerFrame | null {
  try {
    const frame = JSON.parse(text) as unknown;
    if (typeof frame === 'object' && frame !== null && 'op' in frame) return frame as ServerFrame;
  } catch {
    // Not ours; the caller ignores it.
  }
  return null;
}

export const CLOSE_SIGN_IN = 4401;
export const CLOSE_FORBIDDEN = 4403;
