// Events in words, and bursts of the same in one line. Pure; names are looked up by the caller.
import type { LogEvent } from '../api/types';
import { duration, exitWords, plural } from '../format';
import { titleOf } from '../titles';

export type Tone = 'plain' | 'pending' | 'running' | 'review' | 'done' | 'failed' | 'cancelled';

export interface Names {
  task: (id: string) => string;
  desktop: (id: string) => string;
}

export interface Line {
  /** The seq of the first event in it. */
  key: number;
  at: string;
  tone: Tone;
  /** What it is about: a task's title, a desktop's name; null for many. */
  subject: string | null;
  words: string;
  detail: string | null;
  actor: string | null;
  desktop: string | null;
  href: string | null;
  /** How many events it stands for. */
  count: number;
}

const HIDDEN = new Set([
  'task.phase',
  'task.output',
  'task.outputGap',
  'task.progress',
  'task.response',
  // The task's own event says the same.
  'approval.created',
  'desktop.updated',
]);

const TONES: Record<string, Tone> = {
  'task.created': 'pending',
  'task.started': 'running',
  'task.review': 'review',
  'task.completed': 'done',
  'task.failed': 'failed',
  'task.cancelled': 'cancelled',
  'desktop.error': 'failed',
  'desktop.started': 'done',
  'approval.resolved': 'review',
  'auth.failed': 'failed',
};

/** What of a desktop may be changed, by its field. */
const DESKTOP_PARTS = [
  ['ssh', 'connection'],
  ['agent', 'agent'],
  ['labels', 'labels'],
  ['maxConcurrentTasks', 'tasks at a time'],
  ['outpostOptions', 'outpost'],
] as const;

export const isShown = (event: LogEvent): boolean => !HIDDEN.has(event.type);

const hostsOf = (hosts: readonly string[] | undefined): string => hosts?.join(', ') ?? '';

function words(event: LogEvent): { words: string; detail: string | null } {
  const { payload } = event;
  const took =
    typeof payload.durationMs === 'number' ? ` after ${duration(payload.durationMs).replaceAll(' ', '\u00a0')}` : '';
  switch (event.type) {
    case 'task.created':
      return { words: payload.retryOf ? 'created as a retry' : 'created', detail: null };
    case 'task.started':
      return { words: 'started', detail: null };
    case 'task.review':
      return { words: `waits for a decision${took}`, detail: null };
    case 'task.completed':
      return { words: `done${took}`, detail: null };
    case 'task.failed':
      return {
        words: `failed${took}`,
        detail:
          payload.feedback || payload.error?.message || exitWords(payload.exitCode ?? null, payload.signal ?? null),
      };
    case 'task.cancelled':
      return { words: `cancelled${took}`, detail: null };
    case 'task.cancelRequested':
      return { words: 'is being cancelled', detail: null };
    case 'task.updated':
      return { words: 'edited', detail: null };
    case 'task.archived':
      return { words: 'archived', detail: null };
    case 'task.note':
      return { words: 'note', detail: payload.text ?? payload.message ?? null };
    case 'task.outputRemoved':
      return { words: 'its output was removed', detail: null };
    case 'approval.resolved':
      return { words: payload.status === 'approved' ? 'approved' : 'rejected', detail: payload.feedback ?? null };
    case 'desktop.created':
      return { words: 'added', detail: null };
    case 'desktop.updated':
      return {
        words: 'changed',
        detail:
          DESKTOP_PARTS.filter(([part]) => part in payload)
            .map(([, name]) => name)
            .join(', ') || null,
      };
    case 'desktop.removed':
      return { words: 'removed', detail: null };
    case 'desktop.started':
      return { words: 'is running', detail: null };
    case 'desktop.stopped':
      return { words: 'taken out of service', detail: null };
    case 'desktop.error':
      return { words: 'cannot be used', detail: payload.error?.message ?? null };
    case 'desktop.link':
      return {
        words:
          payload.link === 'up'
            ? 'is connected'
            : payload.link === 'reconnecting'
              ? 'is reconnecting'
              : 'is not connected',
        detail: payload.link === 'up' ? null : (payload.error?.message ?? null),
      };
    case 'desktop.agentReady':
      return { words: payload.agentReady === false ? 'agent is not ready' : 'agent is ready', detail: null };
    case 'settings.updated':
      return { words: `Task Approval Mode turned ${payload.taskApprovalMode ? 'on' : 'off'}`, detail: null };
    case 'secret.created':
      return { words: `Secret ${payload.secretName ?? ''} set`.trim(), detail: null };
    case 'secret.updated':
      return { words: `Secret ${payload.secretName ?? ''} got another value`.trim(), detail: null };
    case 'secret.removed':
      return { words: `Secret ${payload.secretName ?? ''} removed`.trim(), detail: null };
    case 'knownHost.added':
      return {
        words:
          payload.marker === 'revoked'
            ? `Key revoked for ${hostsOf(payload.hosts)}`
            : `Host authority trusted for ${hostsOf(payload.hosts)}`,
        detail: payload.fingerprint ?? null,
      };
    case 'knownHost.removed':
      return {
        words:
          payload.marker === 'revoked'
            ? `Key not revoked any more for ${hostsOf(payload.hosts)}`
            : `Host authority not trusted any more for ${hostsOf(payload.hosts)}`,
        detail: payload.fingerprint ?? null,
      };
    case 'sealKey.changed':
      return { words: `Seal key changed: ${plural(payload.secrets ?? 0, 'secret')} sealed anew`, detail: null };
    case 'key.created':
      return { words: `Key ${payload.name ?? ''} made`.trim(), detail: null };
    case 'key.revoked':
      return { words: `Key ${payload.name ?? ''} revoked`.trim(), detail: null };
    case 'auth.signedIn':
      return { words: payload.method === 'link' ? 'signed in with a link' : 'signed in with a key', detail: null };
    case 'auth.signedOut':
      return { words: `signed out${payload.name === event.actor?.name ? '' : `: ${payload.name}`}`, detail: null };
    case 'auth.failed':
      return {
        words: `${plural(payload.count, 'attempt')} with a ${payload.method} that opens nothing`,
        detail: payload.address === null ? 'from further addresses' : null,
      };
    default:
      return { words: event.type, detail: null };
  }
}

export function lineOf(event: LogEvent, names: Names): Line {
  const { payload } = event;
  const isTask = event.type.startsWith('task.') || event.type.startsWith('approval.');
  const isDesktop = event.type.startsWith('desktop.');
  return {
    key: event.seq,
    at: event.at,
    tone: TONES[event.type] ?? 'plain',
    subject: isTask
      ? names.task(payload.taskId)
      : isDesktop
        ? (payload.name ?? names.desktop(payload.desktopId))
        : null,
    ...words(event),
    actor: event.actor && event.actor.id !== 'system' ? event.actor.name : null,
    desktop: isTask && payload.desktopId ? names.desktop(payload.desktopId) : null,
    href: isTask ? `/tasks/${payload.taskId}` : isDesktop ? `/desktops/${payload.desktopId}` : null,
    count: 1,
  };
}

const BURST_MIN = 4;
const BURST_MS = 30_000;
/** Nothing happened between them, so that nothing is lost by a longer time. */
const SIGN_INS_MS = 3_600_000;
const SIGNED_IN = 'auth.signedIn';
/** What is done to many tasks at once. */
const BURST_WORDS: Record<string, string> = {
  'task.created': 'created',
  'task.started': 'started',
  'task.completed': 'done',
  'task.failed': 'failed',
  'task.cancelled': 'cancelled',
  'task.archived': 'archived',
};

/** Lines that were made before, by their first event. */
export type KnownLines = WeakMap<LogEvent, Line>;

/**
 * Events as lines, oldest first; many of the same kind in a row, by the same person, become one. With `known`, a line
 * that says the same as before is the same object: a screen draws it once.
 */
export function linesOf(events: readonly LogEvent[], names: Names, known: KnownLines = new WeakMap()): Line[] {
  const lines: Line[] = [];
  const shown = events.filter(isShown);
  for (let index = 0; index < shown.length; ) {
    const first = shown[index] as LogEvent;
    let end = index + 1;
    if (BURST_WORDS[first.type] || first.type === SIGNED_IN) {
      while (end < shown.length && belongs(first, shown[end] as LogEvent)) end += 1;
    }
    const burst = shown.slice(index, end);
    if (burst.length >= BURST_MIN) lines.push(kept(known, first, burstLine(burst, names)));
    else for (const event of burst) lines.push(kept(known, event, lineOf(event, names)));
    index = end;
  }
  return lines;
}

/** The line as it was, where it says the same: of an event only the names can change, and how many follow it. */
function kept(known: KnownLines, event: LogEvent, line: Line): Line {
  const before = known.get(event);
  const isSame = before?.subject === line.subject && before.desktop === line.desktop && before.at === line.at;
  if (isSame && before.count === line.count) return before;
  known.set(event, line);
  return line;
}

function belongs(first: LogEvent, event: LogEvent): boolean {
  return (
    event.type === first.type &&
    event.actor?.id === first.actor?.id &&
    Date.parse(event.at) - Date.parse(first.at) < (first.type === SIGNED_IN ? SIGN_INS_MS : BURST_MS)
  );
}

function burstLine(burst: LogEvent[], names: Names): Line {
  const first = burst[0] as LogEvent;
  const many = { ...lineOf(first, names), at: (burst.at(-1) as LogEvent).at, count: burst.length };
  if (first.type === SIGNED_IN) {
    const isOneWay = burst.every(({ payload }) => payload.method === first.payload.method);
    return { ...many, words: `${isOneWay ? many.words : 'signed in'} ${burst.length} times` };
  }
  const desktops = [...new Set(burst.map((event) => names.desktop(event.payload.desktopId)))];
  const where =
    desktops.length > 3 ? `${desktops.slice(0, 2).join(', ')} and ${desktops.length - 2} more` : desktops.join(', ');
  return {
    ...many,
    subject: plural(burst.length, 'task'),
    words: BURST_WORDS[first.type] ?? '',
    detail: null,
    desktop: where,
    href: null,
  };
}

/** Titles that the events themselves tell. */
export function titlesIn(events: readonly LogEvent[]): Map<string, string> {
  const titles = new Map<string, string>();
  for (const { type, payload } of events) {
    if (type === 'task.created')
      titles.set(payload.taskId, titleOf({ title: payload.title ?? null, content: payload.content ?? '' }));
  }
  return titles;
}
