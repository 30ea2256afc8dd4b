// What each column says while it is empty.
import type { TaskStatus } from '../../lib/api/types';

export const EMPTY_WORDS: Record<TaskStatus, string> = {
  pending: 'New tasks wait here until somebody runs them.',
  running: 'What runs now, with its newest line.',
  review: 'Finished tasks that wait for your decision.',
  done: 'Tasks that ended well.',
  failed: 'Tasks that ended with an error, and why.',
  cancelled: 'Tasks that somebody stopped.',
};
