// Events to state, purely. The same fold serves history and what happens now: an event at or below an object's version
// is ignored, so a snapshot may overlap with the events that follow it, and nothing is ever applied twice.
import type { LogEvent, TaskStatus } from '../api/types';

export type Entity = 'task' | 'desktop' | 'approval';

export interface Change {
  entity: Entity;
  id: string;
  /** The event carries the whole object. */
  isWhole: boolean;
  version: number;
  fields: Record<string, unknown>;
}

const WITHOUT_VERSION = new Set(['task.output', 'task.outputGap', 'task.response', 'task.progress', 'task.note']);

/** What an event says about an object, or null where it says nothing that is kept. */
export function changeOf(event: LogEvent): Change | null {
  const { type, payload } = event;
  if (WITHOUT_VERSION.has(type)) return null;
  if (type.startsWith('task.')) {
    const { taskId, ...fields } = payload;
    if (typeof taskId !== 'string' || typeof fields.version !== 'number') return null;
    return { entity: 'task', id: taskId, isWhole: type === 'task.created', version: fields.version, fields };
  }
  if (type.startsWith('desktop.')) {
    const { desktopId, ...fields } = payload;
    if (typeof desktopId !== 'string' || typeof fields.version !== 'number') return null;
    return { entity: 'desktop', id: desktopId, isWhole: type === 'desktop.created', version: fields.version, fields };
  }
  if (type.startsWith('approval.')) {
    const { approvalId, ...fields } = payload;
    const id = approvalId ?? fields.id;
    if (typeof id !== 'string') return null;
    // An approval has two moments and no version: the decision is the later one.
    const version = fields.status === 'pending' ? 1 : 2;
    return { entity: 'approval', id, isWhole: true, version, fields: { ...fields, id } };
  }
  return null;
}

/** Whether a change says something that is not known yet. An unknown object is only made from a whole one. */
export function isNews(known: { version: number } | undefined, change: Change): boolean {
  return known ? change.version > known.version : change.isWhole;
}

/** Folds one event into a plain map; what the state classes do with their reactive objects, without them. */
export function foldInto(objects: Map<string, Record<string, unknown> & { version: number }>, event: LogEvent): void {
  const change = changeOf(event);
  if (!change) return;
  const known = objects.get(change.id);
  if (!isNews(known, change)) return;
  objects.set(change.id, { ...known, ...change.fields, id: change.id, version: change.version });
}

export const STATUSES: readonly TaskStatus[] = ['pending', 'running', 'review', 'done', 'failed', 'cancelled'];
export const OPEN_STATUSES: ReadonlySet<TaskStatus> = new Set(['pending', 'running', 'review']);
export const isFinished = (status: TaskStatus): boolean => !OPEN_STATUSES.has(status);
