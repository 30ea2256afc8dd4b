// What may be done with a task in each column, and what dropping its card on another column means. Pure: the board,
// its menu, its keys and its drag and drop all ask here.
import type { Role, TaskStatus } from './api/types';

export type Move = 'run' | 'cancel' | 'approve' | 'reject' | 'retry' | 'archive';

export const MOVE_LABELS: Record<Move, string> = {
  run: 'Run',
  cancel: 'Cancel',
  approve: 'Approve',
  reject: 'Reject',
  retry: 'Retry',
  archive: 'Archive',
};

export const MOVE_ROLE: Role = 'operator';

const MOVES: Record<TaskStatus, readonly Move[]> = {
  pending: ['run', 'cancel', 'archive'],
  running: ['cancel'],
  review: ['approve', 'reject'],
  done: ['retry', 'archive'],
  failed: ['retry', 'archive'],
  cancelled: ['retry', 'archive'],
};

const TARGETS: Record<TaskStatus, Partial<Record<TaskStatus, Move>>> = {
  pending: { running: 'run', cancelled: 'cancel' },
  running: { cancelled: 'cancel' },
  review: { done: 'approve', failed: 'reject' },
  done: {},
  failed: { pending: 'retry' },
  cancelled: { pending: 'retry' },
};

export const movesOf = (status: TaskStatus): readonly Move[] => MOVES[status];
export const allows = (status: TaskStatus, move: Move): boolean => MOVES[status].includes(move);

/** What dropping a card of one column on another does; null where the life of a task has no such edge. */
export const moveTo = (from: TaskStatus, to: TaskStatus): Move | null => TARGETS[from][to] ?? null;

export const targetsOf = (from: TaskStatus): [TaskStatus, Move][] =>
  Object.entries(TARGETS[from]) as [TaskStatus, Move][];

const RUNS_FIRST = 'It gets here by itself, when it has run.';
const IS_OVER = 'It is over. “Retry” in its menu makes a new task of it.';

/** Why a card cannot be dropped on a column; null where it can, or where it already is. */
export function whyNotTo(from: TaskStatus, to: TaskStatus): string | null {
  if (from === to || moveTo(from, to)) return null;
  switch (from) {
    case 'pending':
      return RUNS_FIRST;
    case 'running':
      return to === 'pending' ? 'It runs already. Cancel it, then retry it.' : 'It gets here by itself, when it ends.';
    case 'review':
      return to === 'cancelled'
        ? 'It has run. Approve or reject it.'
        : 'Reject it with a retry: that makes a new task.';
    case 'done':
      return IS_OVER;
    case 'failed':
    case 'cancelled':
      return 'It is over. Drop it on Pending to make a new task of it.';
  }
}

/** What a target says while a card is held over it. */
export const DROP_WORDS: Record<Move, string> = {
  run: 'Run now',
  cancel: 'Cancel',
  approve: 'Approve',
  reject: 'Reject with feedback',
  retry: 'Make a new task of it',
  archive: 'Archive',
};
