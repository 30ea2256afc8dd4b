// How a task ended, in a few words: for cards, rows and decisions. Pure.
import type { Task } from '../api/types';
import { exitWords } from '../format';

/** What the exit itself says is said shorter than the error does. */
const EXITS = new Set(['exit_nonzero', 'killed_by_signal']);

type Ended = Pick<Task, 'status' | 'error' | 'feedback' | 'exitCode' | 'signal'>;

/** Why a task is failed or cancelled; null where nothing has to be said. */
export function endingOf({ status, error, feedback, exitCode, signal }: Ended): string | null {
  if (status === 'cancelled') return error?.message ?? null;
  if (status !== 'failed') return null;
  if (error?.code === 'rejected' || (feedback && exitCode === 0)) return `rejected${feedback ? `: ${feedback}` : ''}`;
  if (error && !EXITS.has(error.code)) return error.message;
  return exitWords(exitCode, signal) ?? error?.message ?? 'failed';
}

/** What outlived the run on its desktop; null when nothing did. */
export function leftWords(task: Pick<Task, 'leftRunning'>): string | null {
  if (!task.leftRunning?.length) return null;
  const left = task.leftRunning.map((it) => `${it.command} (pid ${it.pid}, ${it.user})`);
  return `Left running there: ${left.join(', ')}.`;
}
