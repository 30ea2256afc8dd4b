/**
 * The moments of a task's life, from the state events of its history. Pure: what the strip on the task's
 * page shows follows from the events alone.
 */
import type { LogEvent } from '../../lib/api/types';

export type StepTone = 'plain' | 'active' | 'good' | 'bad' | 'waiting';

export interface Step {
  seq: number;
  label: string;
  at: string;
  /** Who did it; null for what happened by itself. */
  actor: string | null;
  tone: StepTone;
  detail: string | null;
}

interface Wording {
  label: string;
  tone?: StepTone;
  /** Something a person did. */
  byPerson?: boolean;
}

const PHASES: Record<string, Wording> = {
  queued: { label: 'Queued', tone: 'waiting' },
  starting: { label: 'Starting', tone: 'active' },
  streaming: { label: 'Running', tone: 'active' },
  draining: { label: 'Collecting output', tone: 'active' },
};

const EVENTS: Record<string, Wording> = {
  'task.created': { label: 'Created', byPerson: true },
  'task.updated': { label: 'Edited', byPerson: true },
  'task.started': { label: 'Run', byPerson: true },
  'task.cancelRequested': { label: 'Cancel requested', tone: 'waiting', byPerson: true },
  'task.review': { label: 'In review', tone: 'waiting' },
  'task.completed': { label: 'Done', tone: 'good' },
  'task.failed': { label: 'Failed', tone: 'bad' },
  'task.cancelled': { label: 'Cancelled' },
  'task.outputGap': { label: 'Output lost', tone: 'bad' },
  'task.outputRemoved': { label: 'Output removed', byPerson: true },
  'task.note': { label: 'Note' },
  'task.archived': { label: 'Archived', byPerson: true },
};

/** A phase shorter than this was on the way to the next one, and is not worth a step. */
const PASSING_MS = 1000;

export function stepsOf(events: readonly LogEvent[]): Step[] {
  const steps: Step[] = [];
  const ordered = [...events].sort((one, other) => one.seq - other.seq);
  ordered.forEach((event, index) => {
    if (!isPassing(event, ordered[index + 1]) && !isSaidByDecision(event, ordered[index - 1])) {
      const step = stepOf(event);
      if (step) steps.push(step);
    }
  });
  return steps;
}

/** Milliseconds between a step and the one before it. */
export function gapBefore(steps: readonly Step[], index: number): number {
  const step = steps[index];
  const before = steps[index - 1];
  return step && before ? Math.max(0, Date.parse(step.at) - Date.parse(before.at)) : 0;
}

function stepOf(event: LogEvent): Step | null {
  const wording = wordingOf(event);
  if (!wording) return null;
  const detail = event.payload.error?.message ?? event.payload.feedback ?? event.payload.text ?? event.payload.reason;
  return {
    seq: event.seq,
    label: wording.label,
    at: event.at,
    actor: wording.byPerson && event.actor && event.actor.id !== 'system' ? event.actor.name : null,
    tone: wording.tone ?? 'plain',
    detail: typeof detail === 'string' && detail !== '' ? detail : null,
  };
}

function wordingOf({ type, payload }: LogEvent): Wording | null {
  if (type === 'task.phase') return PHASES[payload.phase] ?? null;
  if (type === 'approval.resolved') {
    return payload.status === 'approved'
      ? { label: 'Approved', tone: 'good', byPerson: true }
      : { label: 'Rejected', tone: 'bad', byPerson: true };
  }
  return EVENTS[type] ?? null;
}

function isPassing({ type, payload, at }: LogEvent, next: LogEvent | undefined): boolean {
  if (type !== 'task.phase' || payload.phase === 'streaming' || !next) return false;
  return Date.parse(next.at) - Date.parse(at) < PASSING_MS;
}

/** A decision ends the task in the same breath; saying both would be saying it twice. */
function isSaidByDecision({ type }: LogEvent, before: LogEvent | undefined): boolean {
  return (type === 'task.completed' || type === 'task.failed') && before?.type === 'approval.resolved';
}
