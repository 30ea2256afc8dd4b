/** What is said about a task's run: what it waits for, its silence, its end. Pure. */
import type { Desktop, Task } from '../api/types';
import { duration, exitWords } from '../format';

/** A pause shorter than this is nothing to speak of. */
const SILENCE_MS_MIN = 5_000;

type Ended = Pick<Task, 'type' | 'status' | 'exitCode' | 'signal' | 'durationMs' | 'error'>;

/** What a running task waits for, or null while it simply runs. */
export function phaseWords(
  task: Pick<Task, 'status' | 'phase' | 'cancelRequestedAt'>,
  link: string | undefined,
): string | null {
  if (task.status !== 'running') return null;
  if (task.cancelRequestedAt !== null) return 'cancelling';
  if (link === 'reconnecting') return 'reconnecting to the desktop';
  if (link === 'down') return 'desktop not reachable';
  switch (task.phase) {
    case 'queued':
      return 'queued: the desktop is busy';
    case 'starting':
      return 'starting';
    case 'draining':
      return 'ended, collecting output';
    default:
      return null;
  }
}

/**
 * When a desktop that is away is tried again; empty when it is not.
 *
 * The moment is told with the reason, which may stay the same for hours: later ones are not, so then the pause is said.
 */
export function nextTryWords(desktop: Pick<Desktop, 'link' | 'nextTryAt'>, now: number): string {
  if (desktop.link === 'up' || !desktop.nextTryAt) return '';
  const wait = Date.parse(desktop.nextTryAt) - now;
  return wait > 0 ? `Next try in ${Math.ceil(wait / 1000)} s.` : 'It is tried again every 30 s or sooner.';
}

/** Why a running task is not heard of, and when its desktop is tried again; null while it is heard. */
export function awayWords(
  task: Pick<Task, 'status' | 'phase'>,
  desktop: Pick<Desktop, 'name' | 'link' | 'error' | 'nextTryAt' | 'durable'> | undefined,
  now: number,
): string | null {
  if (task.status !== 'running' || task.phase === 'queued' || !desktop || desktop.link === 'up') return null;
  const why = desktop.error ? `: ${desktop.error.message.replace(/\.$/, '')}.` : '.';
  const goesOn = desktop.durable ? 'The run goes on there; what it prints comes when the desktop is back.' : '';
  return [`No connection to ${desktop.name}${why}`, nextTryWords(desktop, now), goesOn].filter(Boolean).join(' ');
}

export function silenceWords(lastAt: number | null, now: number, hasOutput: boolean): string {
  if (lastAt === null || now - lastAt < SILENCE_MS_MIN) return '';
  const since = duration(Math.floor((now - lastAt) / 1000) * 1000);
  return hasOutput ? `Last line ${since} ago` : `Nothing printed for ${since}`;
}

/** The line at the end of an output. */
export function endWords(task: Ended): string {
  const after = task.durationMs === null ? '' : ` after ${duration(task.durationMs)}`;
  if (task.type === 'prompt') return task.status === 'cancelled' ? `Cancelled${after}` : `Ended${after}`;
  if (task.signal || (task.exitCode !== null && task.exitCode !== 0)) {
    const words = exitWords(task.exitCode, task.signal) ?? '';
    return `Process ${words.replace(/^exit /, 'exited ')}${after}`;
  }
  if (task.exitCode === 0) return `Process exited 0${after}`;
  return task.status === 'cancelled' ? `Cancelled${after}` : `Ended${after} without an exit code`;
}

export function endTone(task: Ended): 'quiet' | 'good' | 'bad' {
  if (task.status === 'failed') return 'bad';
  return task.exitCode === 0 ? 'good' : 'quiet';
}
